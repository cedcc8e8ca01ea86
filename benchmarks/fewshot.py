"""Few labels: our defaults beside SetFit and logistic regression on frozen features.

python benchmarks/fewshot.py --data DIRECTORY [--dev] [--dataset trec] [--per-class 8]

Draws of 8 labels a class; the three see the same texts and the same encoder, and take
turns in one process. SetFit (``pip install setfit``) runs with its defaults. ``--dev``
tests on 500 other training texts, for choosing; else on the test set. One JSON line a
run is added to results/fewshot.jsonl, and a run that is there already is not repeated.
``--set NAME=VALUE ...`` changes parameters of ours; ``--table`` prints the results.
"""

import argparse
import ast
import json
import tempfile

import numpy as np
import pandas as pd
from _common import RESULTS, already, append, draw, fit_and_score, read
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from sklearn_attnft import AttentionFineTuneClassifier, TransformerFeatureExtractor
from sklearn_attnft._backbone import DEFAULT_ENCODER, find_encoder

FILE = RESULTS / "fewshot.jsonl"
KEYS = ["dataset", "per_class", "dev", "model", "settings", "seed"]
MAX_LENGTH = 128


def few(texts, labels, per_class, seed):
    """Draw `per_class` texts of each class; return them and the rest."""
    labels = np.array(labels)
    random = np.random.RandomState(seed)
    chosen = np.concatenate(
        [
            random.choice(np.flatnonzero(labels == label), per_class, replace=False)
            for label in np.unique(labels)
        ]
    )
    rest = np.setdiff1d(np.arange(len(labels)), chosen)
    return [
        ([texts[i] for i in rows], labels[rows].tolist()) for rows in (chosen, rest)
    ]


class SetFit:
    """SetFit with its defaults, as an estimator."""

    def __init__(self, seed):
        self.seed = seed

    def fit(self, texts, labels):
        """Train on pairs, then a logistic regression."""
        from datasets import Dataset
        from setfit import SetFitModel, Trainer, TrainingArguments

        self.classes, indices = np.unique(labels, return_inverse=True)
        self.model = SetFitModel.from_pretrained(find_encoder(DEFAULT_ENCODER))
        data = Dataset.from_dict({"text": texts, "label": indices.tolist()})
        with tempfile.TemporaryDirectory() as directory:
            arguments = TrainingArguments(
                output_dir=directory,
                seed=self.seed,
                report_to="none",
                save_strategy="no",
            )
            Trainer(model=self.model, args=arguments, train_dataset=data).train()
        return self

    def score(self, texts, labels):
        """Return the accuracy."""
        predicted = self.classes[np.asarray(self.model.predict(texts))]
        return float(np.mean(predicted == np.array(labels)))


def models(seed, settings):
    ours = {"max_length": MAX_LENGTH, "random_state": seed, **settings}
    return {
        "attention": AttentionFineTuneClassifier(**ours),
        "setfit": SetFit(seed),
        "frozen": make_pipeline(
            TransformerFeatureExtractor(max_length=MAX_LENGTH),
            LogisticRegression(max_iter=1000),
        ),
    }


def run(arguments):
    name, per_class = arguments.dataset, arguments.per_class
    settings = dict(arguments.set)
    test = read(arguments.data, name, "test" if name == "trec" else "test_small")
    pool = read(arguments.data, name, "train" if name == "trec" else "train_small")
    for seed in arguments.seeds:
        train, rest = few(*pool, per_class, seed)
        if arguments.dev:
            test = draw(*rest, 500, seed)
        for model, estimator in models(seed, settings).items():
            if arguments.models and model not in arguments.models:
                continue
            of_model = settings if model == "attention" else {}
            values = name, per_class, arguments.dev, model, of_model, seed
            row = dict(zip(KEYS, values, strict=True))
            if json.dumps(list(row.values())) not in already(FILE, KEYS):
                append(FILE, {**row, **fit_and_score(estimator, *train, *test)})


def table():
    rows = pd.read_json(FILE, lines=True)
    rows["settings"] = rows["settings"].map(json.dumps)
    shown = rows.groupby(KEYS[:-1])[["accuracy", "fit_seconds"]].agg(
        ["mean", "min", "max", "count"]
    )
    print(shown.round(3).to_markdown())


def setting(text):
    name, _, value = text.partition("=")
    try:
        return name, ast.literal_eval(value)
    except (SyntaxError, ValueError):
        return name, value


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", help="directory of the data sets")
    parser.add_argument("--dataset", default="trec")
    parser.add_argument("--per-class", type=int, default=8)
    parser.add_argument("--dev", action="store_true")
    parser.add_argument("--seeds", type=int, nargs="+", default=list(range(5)))
    parser.add_argument("--models", nargs="+", help="default: all")
    parser.add_argument("--set", type=setting, nargs="+", default=[])
    parser.add_argument("--table", action="store_true")
    arguments = parser.parse_args()
    if arguments.table:
        table()
    else:
        run(arguments)
