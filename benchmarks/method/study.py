"""Compare the methods of the paper: accuracy, few labels, a new domain, time.

python benchmarks/method/study.py --data DIRECTORY lm      # language-model settings
python benchmarks/method/study.py --data DIRECTORY tune    # learning rates, layers
python benchmarks/method/study.py --data DIRECTORY main    # 6 methods on 6 data sets
python benchmarks/method/study.py --data DIRECTORY labels  # 50 and 200 labels
python benchmarks/method/study.py --data DIRECTORY domain  # test on another data set

``lm`` and ``tune`` use splits of the training data only. Each part uses the settings
that the parts before it chose.

For all methods, including language-model training, training sets have up to 2,000
texts. Texts with more than 48 words (about 64 tokens) are reduced to their first and
last 24 words. ``--full`` uses all rows, all methods, texts of up to 256 tokens, and
1,000 labels as well in `labels`. It needs a GPU.

`labels` labels 50 or 200 of the 2,000 texts of `main` and uses the others as unlabeled
texts. The language model therefore reads the same texts as in `main`, and one that
`main` has adapted is not adapted again.

Each run appends one JSON line to ../results/method.jsonl. Runs that are already in the
file are skipped. ``--share 0/2`` and ``--share 1/2`` run one half each, to start two
processes at once. Seconds are processor time, summed over all cores, because other work
on the machine changes it little.
"""

import argparse
import json
import shutil
import sys
import tempfile
from pathlib import Path

import pandas as pd
from sklearn.model_selection import train_test_split
from tqdm import tqdm

sys.path.insert(0, str(Path(__file__).parents[1]))
from _common import (
    RESULTS,
    already,
    append,
    development_split,
    fit_and_score,
    read,
)

from sklearn_attnft import AttentionFineTuneClassifier

FILE = RESULTS / "method.jsonl"
METHODS = {
    "plain": {"layers": "last", "pooling": "mean"},
    "frozen": {"trainable_layers": 0},
    "attention": {},
    "sequential": {},  # `lm` chooses its settings
    "joint": {"lm_weight": 0.1},
    "hybrid": {"head": "lstm"},
}
SETS = (
    "trec",
    "imdb",
    "ag_news",
    "dbpedia14",
    "yelp_polarity_like",
    "yelp_full_like",
)
# Candidates of `lm`. A higher rate or more epochs move the encoder further from its
# pretrained weights.
LM_SETTINGS = (
    {"lm_epochs": 3, "lm_learning_rate": 2e-5},
    {"lm_epochs": 3, "lm_learning_rate": 1e-4},
    {"lm_epochs": 6, "lm_learning_rate": 2e-5},
)
# Candidates of `tune`. They are the same for all methods, except that a frozen encoder
# does not have a learning rate, and that attention can be restricted to the last layer.
RATES = (
    {"learning_rate": 1e-4},
    {"learning_rate": 2e-4},
    {"learning_rate": 4e-4},
    {"learning_rate": 2e-4, "head_learning_rate": 3e-3},
    {"learning_rate": 2e-4, "head_learning_rate": 1e-2},
)
FROZEN_RATES = (
    {"head_learning_rate": 1e-3},
    {"head_learning_rate": 3e-3},
    {"head_learning_rate": 1e-2},
    {"head_learning_rate": 3e-2},
)
LAST = {"learning_rate": 2e-4, "layers": "last"}
FROZEN_LAST = {"head_learning_rate": 1e-2, "layers": "last"}
TUNED_ON = ("trec", "ag_news", "yelp_polarity_like")
FEW_LABELS = ("plain", "attention", "sequential")
CACHE = Path(tempfile.gettempdir()) / "sklearn_attnft-study"  # for language models
N_WORDS = 24  # kept at either end of a text
N_TEXTS = 2000
SIZES = (N_TEXTS, 1000, 200, 50)  # of nested, stratified samples
DOMAINS = (("imdb", "yelp_polarity_like"), ("yelp_polarity_like", "imdb"))
KEYS = ["part", "dataset", "test", "method", "n", "seed", "settings", "full"]


def training_rows(data, name, seed):
    """Order texts and labels for few-label samples.

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
    return rows + others


def test_texts(data, name):
    return read(data, name, "test" if name == "trec" else "test_small")


def shorten(texts):
    """Remove the middle of long texts, as the classifier does with tokens."""
    return [_shorten(text.split()) for text in texts]


def _shorten(words):
    if len(words) > 2 * N_WORDS:
        words = words[:N_WORDS] + words[-N_WORDS:]
    return " ".join(words)


def best(part, method):
    """Return the settings with the best mean accuracy, {} without results."""
    rows = pd.read_json(FILE, lines=True) if FILE.exists() else pd.DataFrame()
    if len(rows):
        rows = rows[(rows["part"] == part) & (rows["method"] == method)]
    if rows.empty:
        return {}
    means = rows.groupby(rows["settings"].map(json.dumps))["accuracy"].mean()
    return json.loads(means.idxmax())


def lm_runs(full):
    for settings in LM_SETTINGS:
        for dataset in TUNED_ON:
            yield row("lm", dataset, "sequential", 1000, 0, settings, full)


def candidates(method):
    """Return the settings that `tune` compares for a method."""
    if method == "frozen":
        return (*FROZEN_RATES, FROZEN_LAST)
    return RATES if method == "plain" else (*RATES, LAST)


def tune_runs(full):
    for method in METHODS:
        for candidate in candidates(method):
            settings = {**best("lm", method), **candidate}
            for dataset in TUNED_ON:
                yield row("tune", dataset, method, 1000, 0, settings, full)


def main_runs(full):
    n = None if full else N_TEXTS
    for seed in range(3):
        for dataset in SETS:
            for method in METHODS:
                yield row("main", dataset, method, n, seed, full=full)


def labels_runs(full):
    for seed in range(3):
        for n in (50, 200, 1000) if full else (50, 200):
            for dataset in SETS:
                for method in METHODS if full else FEW_LABELS:
                    yield row("labels", dataset, method, n, seed, full=full)


def domain_runs(full):
    n = None if full else N_TEXTS
    for seed in range(3):
        for dataset, test in DOMAINS:
            for method in METHODS if full else FEW_LABELS:
                yield row("domain", dataset, method, n, seed, full=full, test=test)


def row(part, dataset, method, n, seed, settings=None, full=False, test=None):
    settings = best("tune", method) if settings is None else settings
    values = (part, dataset, test or dataset, method, n, seed, settings, full)
    return dict(zip(KEYS, values, strict=True))


def measure(data, run):
    """Run one fit. Return its accuracy and times."""
    dataset, n, seed = run["dataset"], run["n"], run["seed"]
    cut = list if run["full"] else shorten
    has_lm = run["method"] in ("sequential", "joint")
    extra, cache = {}, None
    if run["part"] in ("lm", "tune"):
        split = development_split(data, dataset, n, 500, seed)
        train, test, cache = split[:2], split[2:], CACHE
    else:
        rows = training_rows(data, dataset, seed)
        train, test = zip(*rows[:n], strict=True), test_texts(data, run["test"])
    if run["part"] == "labels" and has_lm:
        extra["X_unlabeled"] = cut(text for text, _ in rows[n:N_TEXTS])
    if run["part"] == "domain" and has_lm:
        others = training_rows(data, run["test"], seed)
        extra["X_unlabeled"] = cut(text for text, _ in others[:N_TEXTS])
    if run["method"] == "sequential" and run["part"] in ("main", "labels"):
        cache = CACHE.with_name(f"{CACHE.name}-{dataset}-{seed}")
        if run["part"] == "main":  # its time is reported
            shutil.rmtree(cache, ignore_errors=True)
    clf = AttentionFineTuneClassifier(
        **{**METHODS[run["method"]], **run["settings"]},
        max_length=256 if run["full"] else 128,
        precision="auto" if run["full"] else "float32",  # the same on any CPU
        random_state=seed,
        cache=cache,
    )
    (texts, labels), (others, other_labels) = train, test
    labels = list(labels)
    return fit_and_score(clf, cut(texts), labels, cut(others), other_labels, **extra)


PARTS = {
    "lm": lm_runs,
    "tune": tune_runs,
    "main": main_runs,
    "labels": labels_runs,
    "domain": domain_runs,
}

if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", required=True, help="directory with the data sets")
    parser.add_argument(
        "--full", action="store_true", help="more texts and methods, for a GPU"
    )
    parser.add_argument(
        "--share", default="0/1", help="K/N: run every Nth run, starting at K"
    )
    parser.add_argument("part", nargs="+", choices=PARTS)
    arguments = parser.parse_args()
    first, step = map(int, arguments.share.split("/"))
    for part in arguments.part:
        for run in tqdm(list(PARTS[part](arguments.full))[first::step], desc=part):
            if json.dumps(list(run.values())) not in already(FILE, KEYS):
                append(FILE, {**run, **measure(arguments.data, run)})
