"""Compare several tasks on one encoder with a separate model for each task.

python benchmarks/multitask.py --data DIRECTORY heads    # compare head_learning_rate
python benchmarks/multitask.py --data DIRECTORY sets     # 3 data sets with 2 tasks each
python benchmarks/multitask.py --data DIRECTORY missing  # keep 20 % of the fine labels
python benchmarks/multitask.py --data DIRECTORY stacked  # 2 data sets, 2 epochs

Shared and separate fits alternate in one process. Each run appends one JSON line to
results/multitask.jsonl. Runs that are already in the file are skipped. Seconds are
processor time, summed over all cores, because other work on the machine changes it
little. ``--table`` prints means over seeds. Rows of 2026-11-23 were measured by an
earlier version of this file, with the default head_learning_rate. Rows without seconds
were measured with another clock.
"""

import argparse
import json
import time

import numpy as np
import pandas as pd
from _common import RESULTS, already, append, draw_rows, read_frame
from sklearn.model_selection import train_test_split
from tqdm import tqdm

from sklearn_attnft import AttentionFineTuneClassifier, MultiTaskClassifier

FILE = RESULTS / "multitask.jsonl"
KEYS = ["part", "dataset", "model", "seed", "changed"]
# Data set: number of sampled training rows. If None, all rows are used.
SETS = {"trec": None, "massive_en": None, "clinc150": 5000}
SETTINGS = {"max_length": 128, "head_learning_rate": 5e-3}  # for all models
FRACTION_LABELED = 0.2  # of the rows, for `label_fine` in "missing"


def template(seed, **params):
    return AttentionFineTuneClassifier(
        **{**SETTINGS, "random_state": seed, **params},
    )


HEAD_RATES = (1e-3, 5e-3)  # for "heads"
MISSING = {"sampling": "uniform", "weights": {"label_fine": 3}, "max_epochs": 8}
MISSING_CHANGES = ({}, {"weights": None})  # for "missing-dev"


def rows_of(data, name, seed):
    """Return the training rows and the test rows as data frames."""
    test = read_frame(data, name, "test")
    return draw_rows(read_frame(data, name, "train"), SETS[name], seed), test


def development_rows(data, name, seed):
    """Split the training data, so that choosing settings reads no test data."""
    train = read_frame(data, name, "train")
    train, test = train_test_split(train, test_size=0.25, random_state=seed)
    return draw_rows(train, SETS[name], seed), test


def run_shared(train, test, seed, sampling="proportional", weights=None, **params):
    """Fit one model to all tasks."""
    labels = train.columns.drop("text")
    start = time.process_time()
    clf = MultiTaskClassifier(
        template(seed, **params), task_sampling=sampling, task_weights=weights
    ).fit(train["text"], train[labels])
    fitted = time.process_time()
    predicted = clf.predict(test["text"])
    done = time.process_time()
    accuracy = {
        name: round(clf.task(name).score(*labeled(test, name)), 4) for name in predicted
    }
    return result(accuracy, fitted - start, done - fitted)


def run_separate(train, test, seed, **params):
    """Fit a classifier for each task, on the rows that have its label."""
    accuracy, fit_seconds, predict_seconds = {}, 0.0, 0.0
    for name in train.columns.drop("text"):
        start = time.process_time()
        clf = template(seed, **params).fit(*labeled(train, name))
        fitted = time.process_time()
        clf.predict(test["text"])
        done = time.process_time()
        fit_seconds += fitted - start
        predict_seconds += done - fitted
        accuracy[name] = round(clf.score(*labeled(test, name)), 4)
    return result(accuracy, fit_seconds, predict_seconds)


def labeled(frame, name):
    """Return the texts and the labels of the rows that have a label."""
    frame = frame[frame[name].notna()]
    return frame["text"], frame[name]


def result(accuracy, fit_seconds, predict_seconds):
    return {
        "accuracy": accuracy,
        "fit_seconds": round(fit_seconds, 1),
        "predict_seconds": round(predict_seconds, 2),
    }


def heads(data, seed):
    """Compare learning rates of the heads on splits of the training data."""
    for rate in HEAD_RATES:
        parts = development_rows(data, "trec", seed)
        yield "trec", *both(*parts, seed, head_learning_rate=rate)


def sets(data, seed):
    for name in SETS:
        yield name, *both(*rows_of(data, name, seed), seed)


def both(train, test, seed, **changed):
    """Return the changed parameters, and a function to run each kind of model."""
    runs = {
        "shared": lambda: run_shared(train, test, seed, **changed),
        "separate": lambda: run_separate(train, test, seed, **changed),
    }
    return changed, runs


def missing(data, seed, rows=rows_of, **changed):
    """Compare with the fine labels alone, with the same number of optimizer steps."""
    train, test = rows(data, "trec", seed)
    kept = np.random.RandomState(seed).rand(len(train)) < FRACTION_LABELED
    train["label_fine"] = train["label_fine"].where(kept)
    fine, fine_test = train[["text", "label_fine"]], test[["text", "label_fine"]]
    shared = {**MISSING, **changed}
    alone = {"max_epochs": round(shared["max_epochs"] / kept.mean())}
    runs = {
        "shared": lambda: run_shared(train, test, seed, **shared),
        "separate": lambda: run_separate(fine, fine_test, seed, **alone),
    }
    yield "trec", changed, runs


def missing_dev(data, seed):
    """Choose the task weights of "missing" on a split of the training data."""
    for changed in MISSING_CHANGES:
        yield from missing(data, seed, development_rows, **changed)


def stacked(data, seed):
    parts = {}
    for part in ("train", "test"):
        frames = [
            read_frame(data, name, part if name == "trec" else f"{part}_small")[
                ["text", "label"]
            ].rename(columns={"label": name})
            for name in ("trec", "ag_news")
        ]
        parts[part] = pd.concat(frames, ignore_index=True)
    train, test = parts["train"], parts["test"]
    yield "trec+ag_news", *both(train, test, seed, max_epochs=2)


def table():
    rows = pd.read_json(FILE, lines=True)
    rows = rows.join(pd.json_normalize(rows["accuracy"].tolist())).drop(
        columns="accuracy"
    )
    groups = rows.groupby([*KEYS[:3], rows["changed"].map(json.dumps)])
    shown = (
        groups.mean(numeric_only=True).drop(columns="seed").dropna(axis=1, how="all")
    )
    print(shown.round(4).to_markdown())
    print(groups["seed"].count().to_markdown())


PARTS = {
    "heads": heads,
    "sets": sets,
    "missing-dev": missing_dev,
    "missing": missing,
    "stacked": stacked,
}

if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", help="directory with the data sets")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--models", nargs="+", help="shared or separate; default: both")
    parser.add_argument("--table", action="store_true", help="print the results")
    parser.add_argument("part", nargs="*", help=", ".join(PARTS))
    arguments = parser.parse_args()
    if not set(arguments.part) <= set(PARTS):
        parser.error(f"part must be one of {', '.join(PARTS)}")
    if arguments.part and not arguments.data:
        parser.error("--data is required: the directory with the data sets")
    for part in arguments.part:
        for seed in tqdm(arguments.seeds, desc=part):
            for dataset, changed, runs in PARTS[part](arguments.data, seed):
                for model, measure in runs.items():
                    values = (part, dataset, model, seed, changed)
                    row = dict(zip(KEYS, values, strict=True))
                    if arguments.models and model not in arguments.models:
                        continue
                    if json.dumps(list(row.values())) not in already(FILE, KEYS):
                        append(FILE, {**row, **measure()})
    if arguments.table:
        table()
