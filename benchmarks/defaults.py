"""Choose the defaults of the classifier on splits of the training data.

python benchmarks/defaults.py --data DIRECTORY [--dataset NAME ...] [--seeds 0 1]

Each variant changes one to three parameters of a base configuration. All variants use
the same texts and seeds. Each run appends one JSON line to results/defaults.jsonl. Runs
that are already in the file are skipped. ``--table`` prints the means.
"""

import argparse
import json

import pandas as pd
from _common import RESULTS, already, append, development_split, fit_and_score

from sklearn_attnft import AttentionFineTuneClassifier

FILE = RESULTS / "defaults.jsonl"
# Number of texts to train on and to score on. If None, all texts are used.
DATA = {"trec": (None, None), "ag_news": (400, 500)}
BASE = {
    "learning_rate": 2e-4,
    "head_learning_rate": 1e-3,
    "max_epochs": 3,
    "batch_size": 32,
    "layers": "all",
    "pooling": "attention",
    "head": "linear",
    "trainable_layers": "blocks",
    "dropout": 0.1,
    "encoder_dropout": 0.0,
    "layer_decay": 1.0,
    "label_smoothing": 0.0,
}
VARIANTS = [
    {},
    {"trainable_layers": 4},
    {"trainable_layers": 4, "max_epochs": 4},
    {"trainable_layers": 4, "label_smoothing": 0.1},
    {"trainable_layers": 4, "learning_rate": 1e-4},
    {"learning_rate": 1e-4},
    {"trainable_layers": 4, "layers": "last"},
    {"trainable_layers": 4, "head_learning_rate": 3e-3},
    {"layers": "last"},
    {"learning_rate": 1e-4, "encoder_dropout": 0.1},
    {"encoder_dropout": 0.1},
    {"layers": "last", "encoder_dropout": 0.1},
    {"label_smoothing": 0.1},
    {"trainable_layers": "all"},
    {"head_learning_rate": 3e-3},
    {"pooling": "mean"},
    {"learning_rate": 1e-4, "trainable_layers": "all"},
    {"learning_rate": 1e-4, "label_smoothing": 0.1},
    {"learning_rate": 1e-4, "head_learning_rate": 3e-3},
    {"learning_rate": 1e-4, "layers": "last", "pooling": "mean"},
    {"layer_decay": 0.9},
    {"max_epochs": 4},
    {"batch_size": 16},
    {"learning_rate": 4e-4},
    {"head": "mlp"},
    {"dropout": 0.3},
]
KEYS = ["dataset", "n", "n_dev", "seed", "changed"]


def run(data, names, seeds, first):
    done = already(FILE, KEYS)
    for changed in VARIANTS[:first]:
        for seed in seeds:
            for name in names:
                n, n_dev = DATA[name]
                row = dict(zip(KEYS, (name, n, n_dev, seed, changed), strict=True))
                if json.dumps(list(row.values())) in done:
                    continue
                clf = AttentionFineTuneClassifier(
                    **{**BASE, **changed}, random_state=seed
                )
                split = development_split(data, name, n, n_dev, seed)
                append(FILE, {**row, **fit_and_score(clf, *split)})


def table():
    rows = pd.read_json(FILE, lines=True)
    rows["n"] = rows["n"].map(lambda n: f"{n:.0f}", na_action="ignore").fillna("all")
    rows["changed"] = rows["changed"].map(lambda c: json.dumps(c) if c else "(base)")
    shown = rows.pivot_table(
        index="changed",
        columns=["dataset", "n"],
        values="accuracy",
        aggfunc=["mean", "count"],
    )
    print(shown.round(4).to_markdown())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", help="directory with the data sets")
    parser.add_argument("--dataset", nargs="+", choices=DATA, default=list(DATA))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--first", type=int, help="number of variants; default: all")
    parser.add_argument("--table", action="store_true", help="print the results")
    arguments = parser.parse_args()
    if arguments.table:
        table()
    else:
        run(arguments.data, arguments.dataset, arguments.seeds, arguments.first)
