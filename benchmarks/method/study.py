"""The methods of the paper compared: accuracy, few labels, a new domain, time.

python benchmarks/method/study.py --data DIRECTORY tune     # learning rates
python benchmarks/method/study.py --data DIRECTORY main     # six sets, six methods
python benchmarks/method/study.py --data DIRECTORY labels   # 50 and 200 labels
python benchmarks/method/study.py --data DIRECTORY domain   # from one set to another

Texts are cut at 128 tokens and training sets at 2,000 texts; ``--full`` takes 1,000
labels in `labels`, all methods, all rows and 256 tokens: for a GPU. ``tune`` measures
on splits of training data only; the other parts take what it chose. One JSON line a run
is added to ../results/method.jsonl; a run that is there already is not repeated.
"""

import argparse
import json
import sys
from pathlib import Path

import pandas as pd
from tqdm import tqdm

sys.path.insert(0, str(Path(__file__).parents[1]))
from _common import (
    RESULTS,
    already,
    append,
    development_split,
    draw,
    fit_and_score,
    read,
)

from sklearn_attnft import AttentionFineTuneClassifier

FILE = RESULTS / "method.jsonl"
METHODS = {
    "plain": {"layers": "last", "pooling": "mean"},
    "frozen": {"trainable_layers": 0},
    "attention": {},
    "sequential": {"lm_epochs": 2},
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
# What is tuned, the same way for every method; a frozen encoder has no rate.
RATES = {"learning_rate": [1e-4, 2e-4, 4e-4]}
FROZEN_RATES = {"head_learning_rate": [1e-3, 3e-3, 1e-2]}
TUNED_ON = ("trec", "ag_news", "yelp_polarity_like")
FEW_LABELS = ("plain", "attention", "sequential")
DOMAINS = (("imdb", "yelp_polarity_like"), ("yelp_polarity_like", "imdb"))
KEYS = ["part", "dataset", "test", "method", "n", "seed", "settings", "full"]


def training_texts(data, name):
    """Read the training texts that the study draws from."""
    return read(data, name, "train" if name == "trec" else "train_small")


def test_texts(data, name):
    return read(data, name, "test" if name == "trec" else "test_small")


def chosen_settings(method):
    """Take the setting that `tune` found best on average; the default without it."""
    if not FILE.exists():
        return {}
    rows = pd.read_json(FILE, lines=True)
    rows = rows[(rows["part"] == "tune") & (rows["method"] == method)]
    if rows.empty:
        return {}
    means = rows.groupby(rows["settings"].map(json.dumps))["accuracy"].mean()
    return json.loads(means.idxmax())


def tune_runs(full):
    for method in METHODS:
        rates = FROZEN_RATES if method == "frozen" else RATES
        ((name, values),) = rates.items()
        for value in values:
            for dataset in TUNED_ON:
                yield row("tune", dataset, method, 1000, 0, {name: value}, full)


def main_runs(full):
    n = None if full else 2000
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
    n = None if full else 2000
    for seed in range(3):
        for dataset, test in DOMAINS:
            for method in METHODS if full else FEW_LABELS:
                yield row("domain", dataset, method, n, seed, full=full, test=test)


def row(part, dataset, method, n, seed, settings=None, full=False, test=None):
    settings = chosen_settings(method) if settings is None else settings
    values = (part, dataset, test or dataset, method, n, seed, settings, full)
    return dict(zip(KEYS, values, strict=True))


def measure(data, run):
    """Do one run; return its accuracy and times."""
    dataset, n, seed = run["dataset"], run["n"], run["seed"]
    extra = {}
    if run["part"] == "tune":
        split = development_split(data, dataset, n, 1000, seed)
        train, test = split[:2], split[2:]
    else:
        train = draw(*training_texts(data, dataset), n, seed)
        test = test_texts(data, run["test"])
    if run["part"] in ("labels", "domain") and run["method"] in ("sequential", "joint"):
        # Texts without label: the rest of the set, or the other domain's.
        seen, others = set(train[0]), training_texts(data, run["test"])[0]
        extra["X_unlabeled"] = [text for text in others if text not in seen][:2000]
    clf = AttentionFineTuneClassifier(
        **{**METHODS[run["method"]], **run["settings"]},
        max_length=256 if run["full"] else 128,
        random_state=seed,
    )
    return fit_and_score(clf, *train, *test, **extra)


PARTS = {
    "tune": tune_runs,
    "main": main_runs,
    "labels": labels_runs,
    "domain": domain_runs,
}

if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", required=True, help="directory of the data sets")
    parser.add_argument("--full", action="store_true", help="for a GPU")
    parser.add_argument("part", nargs="+", choices=PARTS)
    arguments = parser.parse_args()
    for part in arguments.part:
        done = already(FILE, KEYS)
        runs = list(PARTS[part](arguments.full))
        todo = [r for r in runs if json.dumps(list(r.values())) not in done]
        for run in tqdm(todo, desc=part, initial=len(runs) - len(todo)):
            append(FILE, {**run, **measure(arguments.data, run)})
