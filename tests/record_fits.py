"""Record what fits on the tiny encoder give, to the bit, before and after a change.

    python tests/record_fits.py write FILE    # at the commit before
    python tests/record_fits.py compare FILE  # after each step

Float32 on one thread. It compares predictions, features, histories (without seconds),
explanations, estimates, and what is loaded from directories and pickles.
"""

import inspect
import json
import os
import pickle
import sys
import tempfile
import warnings

os.environ["HF_HUB_OFFLINE"] = "1"

import numpy as np
import pandas as pd
import skorch.callbacks
import tiny
import torch

from sklearn_attnft import (
    AttentionFineTuneClassifier,
    MultiTaskClassifier,
    TransformerFeatureExtractor,
)

RNG = np.random.RandomState(0)
TEXTS = [" ".join(RNG.choice(tiny.WORDS, RNG.randint(2, 14))) for _ in range(60)]
LONG = [" ".join(RNG.choice(tiny.WORDS, RNG.randint(5, 90))) for _ in range(30)]
LABELS = np.array([len(text) % 3 for text in TEXTS])
MORE = [" ".join(RNG.choice(tiny.WORDS, 8)) for _ in range(25)]
NEW = [" ".join(RNG.choice(tiny.WORDS, RNG.randint(2, 40))) for _ in range(23)]
RENAMED = {"checkpoint_dir": "checkpoint", "pickle_weights": "weights"}


def known(cls, params):
    """Return parameters under the names that this version has for them."""
    names = inspect.signature(cls).parameters
    return {n if n in names else RENAMED[n]: value for n, value in params.items()}


def classifier(**params):
    small = {
        "encoder": tiny.ENCODER,
        "max_length": 32,
        "max_epochs": 2,
        "batch_size": 8,
        "learning_rate": 1e-3,
        "head_learning_rate": 1e-2,
        "random_state": 0,
        "precision": "float32",
    }
    cls = AttentionFineTuneClassifier
    return cls(**known(cls, {**small, **params}))


def extractor(**params):
    cls = TransformerFeatureExtractor
    small = {"encoder": tiny.ENCODER, "max_length": 32, "precision": "float32"}
    return cls(**known(cls, {**small, "random_state": 0, **params}))


def rows(history):
    return json.dumps([{k: v for k, v in r.items() if k != "dur"} for r in history])


def of(fitted, texts=NEW):
    """Return everything that a fitted estimator says of texts."""
    found = {"history": rows(fitted.history_), "features": fitted.transform(texts)}
    if hasattr(fitted, "predict_proba"):
        proba = fitted.predict_proba(texts)
        proba = proba if isinstance(proba, list) else [proba]
        found |= {f"proba {i}": each for i, each in enumerate(proba)}
        found["labels"] = repr(np.asarray(fitted.predict(texts)).tolist())
    return found


def simple(fit_params=None, texts=TEXTS, labels=LABELS, **params):
    return of(classifier(**params).fit(texts, labels, **(fit_params or {})))


class Killed(Exception):
    """What stands for a kill."""


class KillAfter(skorch.callbacks.Callback):
    def __init__(self, n_epochs):
        self.n_epochs = n_epochs

    def on_epoch_begin(self, net, **kwargs):
        if len(net.history) > self.n_epochs:
            raise Killed


def resumed(directory):
    shared = {"checkpoint_dir": directory, "max_epochs": 3, "lm_epochs": 1}
    fit = {"X_unlabeled": MORE}
    first = classifier(callbacks=[KillAfter(1)], **shared)
    try:
        first.fit(TEXTS, LABELS, **fit)
    except Killed:
        pass
    else:
        raise AssertionError("it was not killed")
    second = classifier(callbacks=[KillAfter(1)], **shared)
    import unittest.mock

    with unittest.mock.patch.object(KillAfter, "on_epoch_begin", return_value=None):
        second.fit(TEXTS, LABELS, **fit)
    return of(second)


def several():
    y = pd.DataFrame({"kind": LABELS, "long": [len(t) > 40 for t in TEXTS]})
    y = y.astype(object)
    y.loc[::4, "long"] = None
    inner = classifier(class_weight=None)
    clf = MultiTaskClassifier(
        inner,
        task_sampling="sqrt",
        task_weights={"long": 2.0},
        task_params={"kind": {"pooling": "concat", "class_weight": "balanced"}},
    )
    clf.fit(TEXTS, y, X_val=NEW[:10], y_val=y.iloc[:10])
    found = of(clf)
    view = clf.task("kind")
    return found | {"view": view.predict_proba(NEW), "score": clf.score(TEXTS, y)}


def several_tags():
    sets = [{c for c in "abc" if c in text} for text in TEXTS]
    matrix = np.array([[w in t for w in ("the", "is")] for t in TEXTS], dtype=float)
    matrix[3, 1] = np.nan
    y = {"letters": sets, "words": matrix, "kind": LABELS}
    clf = MultiTaskClassifier(
        classifier(lm_weight=0.3, early_stopping=True, label_smoothing=0.1),
        task_weights="uncertainty",
    )
    return of(clf.fit(TEXTS, y))


def cached(directory):
    found = {}
    for i in range(2):
        clf = classifier(lm_epochs=2, cache=directory)
        clf.fit(TEXTS, LABELS)
        found |= {f"lm {i} {n}": v for n, v in of(clf).items()}
        found[f"lm {i} uses"] = repr(clf.cache_info()[:2])
        frozen = classifier(trainable_layers=0, cache=directory, random_state=i)
        found |= {
            f"frozen {i} {n}": v for n, v in of(frozen.fit(LONG, [0, 1] * 15)).items()
        }
        texts = extractor(cache=directory)
        found |= {f"texts {i} {n}": v for n, v in of(texts.fit(TEXTS)).items()}
        found[f"texts {i} uses"] = repr(texts.cache_info()[:2])
    return found


def explained():
    clf = classifier(long_texts="window").fit(TEXTS, LABELS)
    found = {}
    for attribution in (None, "gradient", "integrated_gradients"):
        for words in (False, True):
            table = clf.explain(NEW, attribution=attribution, words=words)
            for column in table:
                values = table[column].tolist()
                found[f"{attribution} {words} {column}"] = repr(values)
    table = clf.faithfulness(NEW, attribution="gradient", random_state=0)
    return found | {name: repr(table[name].tolist()) for name in table}


def kept(directory):
    clf = classifier(trainable_layers=0).fit(TEXTS, LABELS)
    path = clf.save(os.path.join(directory, "saved"))
    loaded = type(clf).load(path)
    delta = pickle.loads(
        pickle.dumps(clf.set_params(**known(type(clf), {"pickle_weights": "delta"})))
    )
    return {
        "loaded": loaded.predict_proba(NEW),
        "delta": delta.predict_proba(NEW),
    }


def estimated():
    clf = classifier(lm_epochs=1, contrastive_epochs=2, max_epochs="auto")
    report = clf.estimate_fit(TEXTS, LABELS)
    stages = [(s.name, s.n_epochs, s.n_steps, s.n_tokens) for s in report.stages]
    return {"stages": repr(stages)}


def cases(directory):
    """Yield names and what each case gives."""
    lm = {"X_unlabeled": MORE}
    weighted = {"sample_weight": RNG.permutation(np.repeat([0.0, 1.0, 2.5], 20))}
    validation = {"X_val": NEW[:12], "y_val": LABELS[:12]}
    yield "default", lambda: simple()
    yield "auto epochs, all", lambda: simple(max_epochs="auto", trainable_layers="all")
    yield "mlp, concat", lambda: simple(head="mlp", pooling="concat", dropout=0.3)
    yield "lstm, mean", lambda: simple(head="lstm", pooling="mean")
    yield "max", lambda: simple(pooling="max", layers="last", encoder_dropout=0.2)
    yield "cls, lower layers", lambda: simple(pooling="cls", layers=[0, 1])
    yield (
        "windows",
        lambda: simple(
            texts=LONG, labels=[0, 1, 1] * 10, long_texts="window", max_length=16
        ),
    )
    yield (
        "windows, lstm, micro",
        lambda: simple(
            texts=LONG,
            labels=[0, 1, 1] * 10,
            long_texts="window",
            head="lstm",
            max_length=16,
            micro_batch_size=3,
            validation_fraction=0.2,
            early_stopping=True,
        ),
    )
    yield "truncated", lambda: simple(texts=LONG, labels=[0, 1, 1] * 10)
    yield "one block", lambda: simple(trainable_layers=1, layer_decay=0.8)
    yield "frozen", lambda: simple(trainable_layers=0, max_epochs=4)
    yield (
        "blocks, unfreezing",
        lambda: simple(
            trainable_layers="blocks", gradual_unfreezing=True, max_epochs=4
        ),
    )
    yield "lm", lambda: simple(lm, lm_epochs=2)
    yield "joint", lambda: simple(lm, lm_weight=0.5)
    yield (
        "joint after lm, micro",
        lambda: simple(lm, lm_weight=0.5, lm_epochs=1, micro_batch_size=5),
    )
    yield "contrastive", lambda: simple(contrastive_epochs=3, trainable_layers=0)
    yield (
        "contrastive, micro, lm",
        lambda: simple(lm, contrastive_epochs=2, micro_batch_size=4, lm_epochs=1),
    )
    yield (
        "weights",
        lambda: simple(
            {**weighted, **validation}, class_weight="balanced", label_smoothing=0.1
        ),
    )
    yield (
        "early stopping",
        lambda: simple(
            validation, early_stopping=True, max_epochs=5, n_iter_no_change=1
        ),
    )
    yield "strings", lambda: simple(labels=np.array(list("abc"))[LABELS])
    yield "resumed", lambda: resumed(os.path.join(directory, "resume"))
    yield "several tasks", several
    yield "several tags", several_tags
    yield "cached", lambda: cached(os.path.join(directory, "cache"))
    yield "cached in memory", lambda: cached("memory")
    yield "features", lambda: of(extractor().fit(TEXTS))
    yield (
        "features, all, concat, windows",
        lambda: of(
            extractor(layers="all", pooling="concat", long_texts="window").fit(LONG)
        ),
    )
    yield "features, lm", lambda: of(extractor(lm_epochs=1).fit(TEXTS))
    yield "explained", explained
    yield "kept", lambda: kept(directory)
    yield "estimated", estimated


def record():
    torch.set_num_threads(1)
    tiny.save_tiny_encoder()
    warnings.simplefilter("ignore")
    found = {}
    with tempfile.TemporaryDirectory() as directory:
        for name, run in cases(directory):
            for what, value in run().items():
                found[f"{name}: {what}"] = np.asarray(value)
    return found


if __name__ == "__main__":
    action, path = sys.argv[1:]
    found = record()
    if action == "write":
        np.savez(path, **found)
        print(len(found), "values of", len({n.split(":")[0] for n in found}), "cases")
    else:
        before = dict(np.load(path))
        wrong = sorted(before.keys() ^ found.keys())
        for name in before.keys() & found.keys():
            a, b = before[name], found[name]
            same = a.dtype == b.dtype and a.shape == b.shape
            if not (same and a.tobytes() == b.tobytes()):
                wrong.append(name)
                if "--show" in os.environ.get("RECORD", "") and a.dtype.kind == "U":
                    print(name, a, b, sep="\n")
        print(f"{len(before)} values, {len(wrong)} differ")
        print(*sorted(wrong), sep="\n")
        sys.exit(bool(wrong))
