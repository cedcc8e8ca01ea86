"""Compare the time that ``estimate_fit`` predicts with the time of the fit.

python benchmarks/estimate.py --data DIRECTORY

Each estimate is followed by its fit in the same process. A small fit runs first, so
that imports are not timed. Each fit appends one JSON line to results/estimate.jsonl.
Fits that are already in the file are skipped. ``--table`` prints the predicted and the
measured seconds.
"""

import argparse
import json
import time

import pandas as pd
from _common import RESULTS, already, append, draw, fit_and_score, read

from sklearn_attnft import AttentionFineTuneClassifier

FILE = RESULTS / "estimate.jsonl"
# Data set, training part, number of rows, parameters that differ from the defaults.
FITS = [
    ("trec", "train", 500, {}),
    ("trec", "train", 500, {"lm_epochs": 1, "trainable_layers": 2, "max_epochs": 4}),
    ("imdb", "train_small", 100, {"max_epochs": 1}),
]
KEYS = ["dataset", "rows", "changed"]


def run(data):
    for dataset, part, n, changed in FITS:
        row = dict(zip(KEYS, (dataset, n, changed), strict=True))
        if json.dumps(list(row.values())) in already(FILE, KEYS):
            continue
        texts, labels = draw(*read(data, dataset, part), n, 0)
        AttentionFineTuneClassifier(**changed).fit(texts[:40], labels[:40])
        clf = AttentionFineTuneClassifier(random_state=0, **changed)
        start = time.perf_counter()
        estimate = clf.estimate_fit(texts, labels)
        seconds = time.perf_counter() - start
        taken = fit_and_score(clf, texts, labels, texts[:1], labels[:1])
        measured = {
            "said_seconds": round(estimate.seconds, 1),
            "fit_seconds": taken["fit_seconds"],
            "estimate_seconds": round(seconds, 1),
        }
        append(FILE, {**row, **measured})


def table():
    rows = pd.read_json(FILE, lines=True)
    rows["ratio"] = rows["said_seconds"] / rows["fit_seconds"]
    shown = rows.drop(columns=["date", "machine", "versions"])
    print(shown.round(2).to_markdown(index=False))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", help="directory with the data sets")
    parser.add_argument("--table", action="store_true", help="print the results")
    arguments = parser.parse_args()
    if arguments.table:
        table()
    else:
        run(arguments.data)
