"""Measure the defaults on test sets, compared with TF-IDF and logistic regression.

python benchmarks/accuracy.py --data DIRECTORY [--dataset NAME ...] [--seeds 0 1 2]

Data sets:

- trec: the full official split with 6 classes. trec_fine: the same with 50 classes.
- ag_news, imdb: 2,000 rows of `train_small`, sampled with stratification for each seed,
  and all rows of `test_small`.
- trec_50, ag_news_50: 50 training rows, sampled in the same way.

Each run appends one JSON line to results/accuracy.jsonl. Runs that are already in the
file are skipped. The benchmark stops if a fit predicts a single class for all texts.
``--table`` prints the mean, the minimum and the maximum of the results.
"""

import argparse
import json
import warnings
from dataclasses import dataclass

import pandas as pd
from _common import RESULTS, already, append, baseline, draw, fit_and_score, read
from sklearn.exceptions import ConvergenceWarning

from sklearn_attnft import AttentionFineTuneClassifier

FILE = RESULTS / "accuracy.jsonl"


@dataclass(frozen=True)
class Data:
    """Training part, number of sampled training rows, and test part of a data set.

    If `n` is None, all training rows are used.
    """

    name: str
    part: str
    n: int | None
    test_part: str
    n_seeds: int
    label: str = "label"


DATA = {
    "trec": Data("trec", "train", None, "test", 5),
    "trec_fine": Data("trec", "train", None, "test", 5, "label_fine"),
    "ag_news": Data("ag_news", "train_small", 2000, "test_small", 3),
    "imdb": Data("imdb", "train_small", 2000, "test_small", 3),
    "trec_50": Data("trec", "train", 50, "test", 10),
    "ag_news_50": Data("ag_news", "train_small", 50, "test_small", 10),
}
KEYS = ["dataset", "model", "seed"]


def run(data, names, seeds):
    warnings.simplefilter("error", ConvergenceWarning)
    done = already(FILE, KEYS)
    for name in names:
        which = DATA[name]
        test = read(data, which.name, which.test_part, which.label)
        for seed in seeds or range(which.n_seeds):
            train = read(data, which.name, which.part, which.label)
            train = draw(*train, which.n, seed)
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
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", help="directory with the data sets")
    parser.add_argument("--dataset", nargs="+", choices=DATA, default=list(DATA))
    parser.add_argument(
        "--seeds", type=int, nargs="+", help="default: `n_seeds` of each data set"
    )
    parser.add_argument("--table", action="store_true", help="print the results")
    arguments = parser.parse_args()
    if arguments.table:
        table()
    else:
        run(arguments.data, arguments.dataset, arguments.seeds)
