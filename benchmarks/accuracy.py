"""Accuracy of the defaults on test sets, beside TF-IDF and logistic regression.

python benchmarks/accuracy.py --data DIRECTORY [--dataset NAME ...] [--seeds 0 1 2]

trec: the official split, whole. ag_news and imdb: `train_small` cut to 2,000 rows,
stratified, another cut for each seed; `test_small`. One JSON line a run is added to
results/accuracy.jsonl, and a run that is there already is not repeated. ``--table``
prints means and spreads.
"""

import argparse
import json

import pandas as pd
from _common import RESULTS, already, append, baseline, draw, fit_and_score, read

from sklearn_attnft import AttentionFineTuneClassifier

FILE = RESULTS / "accuracy.jsonl"
# Name: training part, rows drawn (None: all), test part, seeds.
DATA = {
    "trec": ("train", None, "test", 5),
    "ag_news": ("train_small", 2000, "test_small", 3),
    "imdb": ("train_small", 2000, "test_small", 3),
}
KEYS = ["dataset", "model", "seed"]


def run(data, names, seeds):
    done = already(FILE, KEYS)
    for name in names:
        part, n, test_part, usual = DATA[name]
        test = read(data, name, test_part)
        for seed in seeds or range(usual):
            train = draw(*read(data, name, part), n, seed)
            models = {
                "tfidf": baseline(),
                "attention": AttentionFineTuneClassifier(random_state=seed),
            }
            for model, estimator in models.items():
                row = dict(zip(KEYS, (name, model, seed), strict=True))
                if json.dumps(list(row.values())) not in done:
                    append(FILE, {**row, **fit_and_score(estimator, *train, *test)})


def table():
    rows = pd.read_json(FILE, lines=True)
    shown = rows.groupby(["dataset", "model"])[["accuracy", "fit_seconds"]].agg(
        ["mean", "min", "max", "count"]
    )
    print(shown.round(4).to_markdown())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", help="directory of the data sets")
    parser.add_argument("--dataset", nargs="+", choices=DATA, default=list(DATA))
    parser.add_argument(
        "--seeds", type=int, nargs="+", help="default: 0 to 4 for trec, else 0 to 2"
    )
    parser.add_argument("--table", action="store_true")
    arguments = parser.parse_args()
    if arguments.table:
        table()
    else:
        run(arguments.data, arguments.dataset, arguments.seeds)
