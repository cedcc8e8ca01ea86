"""Compare the methods of the paper: accuracy, time, and the layers that they select.

python benchmarks/method/study.py --data DIRECTORY frozen   # on a frozen encoder
python benchmarks/method/study.py --data DIRECTORY trained  # with a trained encoder
python benchmarks/method/study.py --data DIRECTORY base     # with a larger encoder
python benchmarks/method/study.py --data DIRECTORY long     # whole texts of imdb

All methods have the default parameters, except those in METHODS. ``frozen`` and
``trained`` use six data sets, 50, 200 and 2,000 labels and three seeds. Texts with more
than 48 words (about 64 tokens) are reduced to their first and last 24 words. All texts
of the 2,000 that have no label are unlabeled texts for the language model, so it reads
the same 2,000 texts for all numbers of labels. ``base`` needs the encoder that
``benchmarks/encoders.py`` installs. ``long`` reads texts in windows of 256 tokens.

Each run appends one JSON line to ../results/method.jsonl. Runs that are already in the
file are skipped. ``--dataset``, ``--labels`` and ``--seeds`` select runs. ``--share
0/2`` and ``--share 1/2`` run one half each, to start two processes at once. Seconds are
processor time, summed over all cores, because other work on the machine changes it
little.
"""

import argparse
import collections
import json
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegressionCV
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from tqdm import tqdm

sys.path.insert(0, str(Path(__file__).parents[1]))
from _common import RESULTS, already, append, fit_and_score, read

from sklearn_attnft import AttentionFineTuneClassifier, TransformerFeatureExtractor

FILE = RESULTS / "method.jsonl"
LARGE_ENCODER = Path(__file__).parents[1] / "encoders" / "all-mpnet-base-v2"
MEAN = {"layers": "last", "pooling": "mean"}
FROZEN = {
    "regression": None,  # logistic regression on the features of the frozen encoder
    "frozen mean": {**MEAN, "trainable_layers": 0},
    "frozen layers": {"pooling": "mean", "trainable_layers": 0},
    "frozen attention": {"trainable_layers": 0},
}
# The number of LM epochs, their rate (the default) and the weight of joint training
# were chosen on splits of training data, for the first edition of the study.
TRAINED = {
    "mean": MEAN,
    "attention": {},
    "sequential": {"lm_epochs": 3},
    "joint": {"lm_weight": 0.1},
    "hybrid": {"head": "lstm"},
}
METHODS = FROZEN | TRAINED
BASE = ("regression", "frozen attention", "attention")
SETS = (
    "trec",
    "imdb",
    "ag_news",
    "dbpedia14",
    "yelp_polarity_like",
    "yelp_full_like",
)
BASE_SETS = ("trec", "ag_news", "yelp_polarity_like")
SEEDS = range(3)
SIZES = (2000, 200, 50)  # nested, stratified samples, the largest first
CACHE = Path(tempfile.gettempdir()) / "sklearn_attnft-study"  # for language models
N_WORDS = 24  # kept at either end of a text
N_LONG_TEST = 500  # test texts of `long`
KEYS = ["part", "dataset", "method", "n", "seed"]


def training_rows(data, name, seed):
    """Return pairs of text and label.

    For each n in `SIZES`, the first n rows are a stratified random sample.
    """
    texts, labels = read(data, name, "train" if name == "trec" else "train_small")
    rows, others = list(zip(texts, labels, strict=True)), []
    for size in SIZES:
        labels = [label for _, label in rows]
        rows, left = train_test_split(
            rows, train_size=size, stratify=labels, random_state=seed
        )
        others = left + others
    return (rows + others)[: SIZES[0]]


def test_texts(data, name):
    return read(data, name, "test" if name == "trec" else "test_small")


def shorten(texts):
    """Remove the middle of long texts, as the classifier does with tokens."""
    return [_shorten(text.split()) for text in texts]


def _shorten(words):
    if len(words) > 2 * N_WORDS:
        words = words[:N_WORDS] + words[-N_WORDS:]
    return " ".join(words)


def runs(part):
    """Return the runs of a part as dicts with `KEYS`."""
    sets, methods, sizes = {
        "frozen": (SETS, FROZEN, SIZES),
        "trained": (SETS, TRAINED, SIZES),
        "base": (BASE_SETS, BASE, (2000, 200)),
        "long": (("imdb",), (*FROZEN, "mean", "attention"), (2000,)),
    }[part]
    return [
        dict(zip(KEYS, (part, dataset, method, n, seed), strict=True))
        for seed in SEEDS
        for n in sizes
        for dataset in sets
        for method in methods
    ]


def model(run, labels, cache):
    """Return the unfitted estimator of a run."""
    settings = {"max_length": 128}
    if run["part"] == "long":
        settings = {"max_length": 256, "long_texts": "window"}
    if run["part"] == "base":
        settings["encoder"] = LARGE_ENCODER
    if run["method"] == "regression":
        fewest = min(collections.Counter(labels).values())
        regression = LogisticRegressionCV(
            Cs=np.logspace(-2, 3, 6),
            l1_ratios=(0,),
            cv=max(2, min(5, fewest)),
            max_iter=1000,
            scoring="accuracy",
            use_legacy_attributes=False,
        )
        return make_pipeline(TransformerFeatureExtractor(**settings), regression)
    settings = {**settings, **METHODS[run["method"]]}
    return AttentionFineTuneClassifier(
        **settings, random_state=run["seed"], cache=cache
    )


def measure(data, run):
    """Run one fit. Return its accuracy, its times and its layer attention."""
    dataset, method, n, seed = (run[key] for key in KEYS[1:])
    rows, (test, test_labels) = (
        training_rows(data, dataset, seed),
        test_texts(data, dataset),
    )
    texts, labels = map(list, zip(*rows, strict=True))
    if run["part"] == "long":
        test, test_labels = test[:N_LONG_TEST], test_labels[:N_LONG_TEST]
    else:
        texts, test = shorten(texts), shorten(test)
    extra, cache = {}, None
    if method in ("sequential", "joint") and n < len(texts):
        extra["X_unlabeled"] = texts[n:]
    if method == "sequential":
        cache = CACHE.with_name(f"{CACHE.name}-{dataset}-{seed}")
        if n == SIZES[0]:  # the time of its language model is reported
            shutil.rmtree(cache, ignore_errors=True)
    texts, labels = texts[:n], labels[:n]
    fitted = model(run, labels, cache)
    result = fit_and_score(fitted, texts, labels, test, test_labels, **extra)
    if hasattr(fitted, "layer_attention_"):
        result["layers"] = np.round(fitted.layer_attention_, 3).tolist()
    return result


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", required=True, help="directory with the data sets")
    parser.add_argument("--share", default="0/1", help="K/N: every Nth run, from K on")
    parser.add_argument(
        "part", nargs="+", choices=["frozen", "trained", "base", "long"]
    )
    parser.add_argument("--dataset", nargs="+", choices=SETS, default=SETS)
    parser.add_argument("--labels", type=int, nargs="+", default=SIZES)
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS)
    arguments = parser.parse_args()
    first, step = map(int, arguments.share.split("/"))
    for part in arguments.part:
        chosen = [
            run
            for run in runs(part)
            if run["dataset"] in arguments.dataset
            and run["n"] in arguments.labels
            and run["seed"] in arguments.seeds
        ]
        for run in tqdm(chosen[first::step], desc=part):
            if json.dumps(list(run.values())) not in already(FILE, KEYS):
                append(FILE, {**run, **measure(arguments.data, run)})
