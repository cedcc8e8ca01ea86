"""Measure the defaults on all of TREC, compared with TF-IDF and logistic regression.

python benchmarks/accuracy.py --data DIRECTORY [--dataset NAME ...] [--seeds 0 1 2]

The official split has 5,452 training and 500 test texts, with 6 classes (trec) or 50
classes (trec_fine). ``defaults.py`` measures smaller training sets.

``--encoder`` measures another encoder, such as that of ``encoders.py``.

Each run appends one JSON line to results/accuracy.jsonl. Runs that are already in the
file are skipped. The benchmark stops if a fit predicts a single class for all texts.
``--table`` prints the mean, the minimum and the maximum of the results.
"""

import argparse
import json
import warnings
from pathlib import Path

import pandas as pd
from _common import RESULTS, already, append, baseline, fit_and_score, read
from sklearn.exceptions import ConvergenceWarning

from sklearn_attnft import AttentionFineTuneClassifier

FILE = RESULTS / "accuracy.jsonl"


DATA = {"trec": "label", "trec_fine": "label_fine"}  # columns of the labels
KEYS = ["dataset", "model", "seed"]


def run(data, names, seeds, encoder):
    warnings.simplefilter("error", ConvergenceWarning)
    done = already(FILE, KEYS)
    for name in names:
        train, test = (
            read(data, "trec", part, DATA[name]) for part in ("train", "test")
        )
        for seed in seeds:
            attention = AttentionFineTuneClassifier(random_state=seed)
            models = {"tfidf": baseline(), "attention": attention}
            if encoder:
                attention.set_params(encoder=encoder)
                models = {f"attention, {Path(encoder).name}": attention}
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
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--encoder", help="directory of an encoder")
    parser.add_argument("--table", action="store_true", help="print the results")
    arguments = parser.parse_args()
    if arguments.table:
        table()
    else:
        run(arguments.data, arguments.dataset, arguments.seeds, arguments.encoder)
