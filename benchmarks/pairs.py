"""Compare classifiers of pairs of texts on a task that needs both texts.

python benchmarks/pairs.py --data DIRECTORY [--seeds 0 1 2] [--method NAME ...]
    [--change JSON]
python benchmarks/pairs.py --table

The task: do two news of ag_news belong to the same of its four classes? There are 2,000
training pairs of the training data and 1,000 test pairs of the test data. Half of the
pairs have texts of the same class. Each text occurs in one pair only.

Methods: "pairs", AttentionFineTuneClassifier on the pairs, whose parameters
``--change`` changes; "features", logistic regression on |a - b| and a * b, where a and
b are the features of TransformerFeatureExtractor for both texts, standardized, with C
chosen by cross-validation; "features and texts", the same with a and b as further
features.

Each run appends one JSON line to results/pairs.jsonl. Runs that are already in the file
are skipped. Use one thread (OMP_NUM_THREADS=1).
"""

import argparse
import json
import subprocess
import time
from pathlib import Path

import numpy as np
import pandas as pd
from _common import RESULTS, already, append, read
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_attnft import AttentionFineTuneClassifier, TransformerFeatureExtractor

FILE = RESULTS / "pairs.jsonl"
KEYS = ["seed", "method", "changed"]
METHODS = ["features", "features and texts", "pairs"]
N_TRAIN, N_TEST = 2000, 1000
C = [1e-4, 1e-3, 1e-2, 1e-1, 1.0]


def make_pairs(texts, labels, n_pairs, rng):
    """Return pairs of different texts, and whether their labels are the same."""
    classes = sorted(set(labels))
    left = {
        c: rng.permutation(np.flatnonzero(np.array(labels) == c)).tolist()
        for c in classes
    }
    is_same = rng.permutation(np.arange(n_pairs) % 2)
    pairs = []
    for same in is_same:
        first = classes[rng.randint(len(classes))]
        others = [c for c in classes if c != first]
        second = first if same else others[rng.randint(len(others))]
        pairs.append((texts[left[first].pop()], texts[left[second].pop()]))
    return pairs, np.where(is_same, "same", "other")


def combine(extractor, pairs, with_texts):
    """Return the features of pairs, computed from those of both texts."""
    a, b = (extractor.transform(list(side)) for side in zip(*pairs, strict=True))
    return np.hstack([np.abs(a - b), a * b, *([a, b] if with_texts else [])])


def score(method, changed, seed, train, y, test, y_test):
    """Fit a method and return its accuracy."""
    if method == "pairs":
        model = AttentionFineTuneClassifier(**{"random_state": seed, **changed})
        return model.fit(train, y).score(test, y_test)
    extractor = TransformerFeatureExtractor().fit(["any text"])
    regression = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
    search = GridSearchCV(regression, {"logisticregression__C": C}, cv=5)
    with_texts = method == "features and texts"
    search.fit(combine(extractor, train, with_texts), y)
    return search.score(combine(extractor, test, with_texts), y_test)


def commit():
    """Return the commit of this repository."""
    where = Path(__file__).parent
    command = ["git", "-C", str(where), "rev-parse", "--short", "HEAD"]
    return subprocess.run(command, capture_output=True, text=True).stdout.strip()


def run(arguments):
    changed = json.loads(arguments.change)
    for seed in arguments.seeds:
        rng = np.random.RandomState(seed)
        parts = [
            make_pairs(*read(arguments.data, "ag_news", part), n, rng)
            for part, n in (("train", N_TRAIN), ("test", N_TEST))
        ]
        (train, y), (test, y_test) = parts
        for method in arguments.method:
            row = {"seed": seed, "method": method}
            row["changed"] = changed if method == "pairs" else {}
            if json.dumps(list(row.values())) in already(FILE, KEYS):
                continue
            start = time.process_time()
            accuracy = score(method, row["changed"], seed, train, y, test, y_test)
            row["accuracy"] = round(float(accuracy), 4)
            row["cpu_seconds"] = round(time.process_time() - start, 1)
            append(FILE, {**row, "commit": commit()})


def table():
    """Print the mean, lowest and highest accuracy over seeds."""
    rows = pd.read_json(FILE, lines=True)
    rows["changed"] = rows["changed"].map(json.dumps)
    groups = rows.groupby(["method", "changed"])
    cells = groups["accuracy"].agg(["mean", "min", "max"]).round(3)
    cells["cpu_seconds"] = groups["cpu_seconds"].median()
    cells["seeds"] = groups.size()
    print(cells.reset_index().to_markdown(index=False))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", help="directory with the data sets")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--method", nargs="+", choices=METHODS, default=METHODS)
    parser.add_argument("--change", default="{}", help="parameters, as JSON")
    parser.add_argument("--table", action="store_true", help="print the results")
    arguments = parser.parse_args()
    if arguments.table:
        table()
    else:
        run(arguments)
