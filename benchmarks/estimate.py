"""How near ``estimate_fit`` comes to the time of a fit.

python benchmarks/estimate.py --data DIRECTORY

An estimate, then the fit, in one process, after a small fit that pays for imports; one
JSON line a fit is added to results/estimate.jsonl, and one that is there already is not
repeated. ``--table`` prints seconds said and taken.
"""

import argparse
import json
import time

import pandas as pd
from _common import RESULTS, already, append, draw, fit_and_score, read

from sklearn_attnft import AttentionFineTuneClassifier

FILE = RESULTS / "estimate.jsonl"
# Data set, training part, rows, what is changed of the defaults.
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
    parser.add_argument("--data", help="directory of the data sets")
    parser.add_argument("--table", action="store_true")
    arguments = parser.parse_args()
    if arguments.table:
        table()
    else:
        run(arguments.data)
