"""Compare few labels with SetFit: five or eight labeled texts per class.

"ours" has the parameters that the user guide gives for few labels: contrastive training
if there are at most FEW_CLASSES classes, and otherwise the defaults. "ours, label
texts" has ``label_texts`` as well: the names of the classes, with spaces in place of
underscores. "ours, written texts" adds the texts of label_texts.json to the names: two
texts for each class, or six if there are few classes. Their author knew what the data
sets are about. Texts that are also test texts are left out. "ours, more labels" has as
many more labeled texts per class as "ours, written texts" has names and written texts,
so it shows what labels are worth. "ours, defaults" has the default parameters. "ours,
frozen" is logistic regression (C=1) on the features of TransformerFeatureExtractor.
"setfit, 20 iterations" and "setfit, 1000 steps" are SetFit with ``num_iterations=20``
and ``max_steps=1000``: its default trains on all pairs, which are hundreds of thousands
if there are many classes. "setfit, written texts" is SetFit with ``num_iterations=20``,
and with the names and the written texts among its labeled texts. All methods compute in
bfloat16 if the hardware supports it. Each seed gives another training sample. Accuracy
is measured on the full test set. The time of a fit includes loading.
"""

import functools
import json
import os
import re
import tempfile
from collections import defaultdict
from pathlib import Path
from unittest import mock

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from sklearn_attnft import AttentionFineTuneClassifier, TransformerFeatureExtractor

from .._common import draw, read
from ._contest import Contest, dtype, encoder, timed

METRIC, REPEATS = "seconds", 5
DATASETS = {"trec": 8, "ag_news": 8, "massive_en": 8, "clinc150": 5}
FEW_CLASSES = 10
LABEL_TEXTS = Path(__file__).with_name("label_texts.json")
PARAMETERS = {"contrastive_epochs": 10, "layers": "last", "trainable_layers": 0}


def contest(data, dataset, rows, seed):
    labeled = read(data, dataset, "train")
    train = draw_each(*labeled, DATASETS[dataset], seed)
    test = draw(*read(data, dataset, "test"), rows, seed)
    classes = sorted(set(train[1]))
    recipe = PARAMETERS if len(classes) <= FEW_CLASSES else {}
    names = {label: label.replace("_", " ") for label in classes}
    texts = json.loads(LABEL_TEXTS.read_text())[dataset]
    written = with_names(texts, names, test[0])
    n_more = DATASETS[dataset] + 1 + max(map(len, texts.values()))
    contestants = {
        "ours": lambda: ours(train, test, seed, **recipe),
        "ours, label texts": lambda: ours(
            train, test, seed, **recipe, label_texts=names
        ),
        "ours, written texts": lambda: ours(
            train, test, seed, **recipe, label_texts=written
        ),
        "ours, more labels": lambda: ours(
            draw_each(*labeled, n_more, seed), test, seed, **recipe
        ),
        "ours, defaults": lambda: ours(train, test, seed),
        "ours, frozen": lambda: frozen(train, test),
        "setfit, 20 iterations": lambda: setfit(train, test, seed, num_iterations=20),
        "setfit, 1000 steps": lambda: setfit(train, test, seed, max_steps=1000),
        "setfit, written texts": lambda: setfit(
            with_texts(*train, written), test, seed, num_iterations=20
        ),
    }
    return Contest(len(train[0]), contestants)


def draw_each(texts, labels, n, seed):
    """Sample `n` texts of each label, or all texts of a label that has fewer."""
    by_label = defaultdict(list)
    for text, label in zip(texts, labels, strict=True):
        by_label[label].append(text)
    rng = np.random.default_rng(seed)
    drawn = [
        (str(text), label)
        for label, its_texts in sorted(by_label.items())
        for text in rng.choice(its_texts, min(n, len(its_texts)), replace=False)
    ]
    return tuple(map(list, zip(*drawn, strict=True)))


def with_names(texts, names, test_texts):
    """Return the name and the texts of each label, without those that are test texts.

    Case and punctuation are ignored.
    """
    known = {plain(text) for text in test_texts}
    return {
        label: [name, *(text for text in texts[label] if plain(text) not in known)]
        for label, name in names.items()
    }


def plain(text):
    """Return a text without case and punctuation."""
    return " ".join(re.findall(r"\w+", text.lower()))


def with_texts(texts, labels, written):
    """Return texts and labels with the written texts of each class added."""
    added = [(text, label) for label, its in written.items() for text in its]
    more_texts, more_labels = zip(*added, strict=True)
    return [*texts, *more_texts], [*labels, *more_labels]


def ours(train, test, seed, **parameters):
    classifier = AttentionFineTuneClassifier(**parameters, random_state=seed)
    return measure(classifier, train, test)


def frozen(train, test):
    classifier = LogisticRegression(max_iter=1000)
    pipeline = make_pipeline(TransformerFeatureExtractor(), classifier)
    return measure(pipeline, train, test)


def measure(estimator, train, test):
    warm_up()
    with timed() as measured:
        estimator.fit(*train)
    return {**measured, **accuracy(estimator.predict(test[0]), test[1])}


@functools.cache
def warm_up():
    """Run the imports of a fit, which are not timed for any contestant."""
    TransformerFeatureExtractor().fit_transform(["It rains."])
    classifier = AttentionFineTuneClassifier(max_epochs=1)
    classifier.fit(["It rains.", "The sun is out."], ["bad", "good"])


def setfit(train, test, seed, **arguments):
    warm_up()
    from datasets import Dataset, disable_progress_bars
    from setfit import SetFitModel, Trainer, TrainingArguments
    from setfit import logging as setfit_logging
    from transformers import set_seed

    disable_progress_bars()
    setfit_logging.set_verbosity_error()
    set_seed(seed)
    # SetFit has no parameter for bfloat16, but transformers reads this variable.
    precision = {"ACCELERATE_MIXED_PRECISION": "bf16"}
    with (
        tempfile.TemporaryDirectory() as directory,
        mock.patch.dict(os.environ, precision if dtype() == torch.bfloat16 else {}),
        timed() as measured,
    ):
        model = SetFitModel.from_pretrained(encoder())
        texts, labels = train
        trainer = Trainer(
            model=model,
            args=TrainingArguments(
                output_dir=directory,
                seed=seed,
                report_to="none",
                save_strategy="no",
                logging_strategy="no",
                show_progress_bar=False,
                **arguments,
            ),
            train_dataset=Dataset.from_dict({"text": texts, "label": labels}),
        )
        trainer.train()
    return {**measured, **accuracy(model.predict(test[0]), test[1])}


def accuracy(predicted, labels):
    right = np.mean(np.asarray(predicted) == np.asarray(labels))
    return {"accuracy": round(float(right), 4)}
