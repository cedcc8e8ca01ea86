"""Compare classifiers of several labels per text.

python benchmarks/multilabel.py --data DIRECTORY [--dataset NAME ...] [--seeds 0 1 2]
    [--method NAME ...] [--change JSON] [--test]

The labels of a text are all labels of its row, such as scenario and intent. Without
``--test``, all texts come from splits of the training data. ``--change`` gives
parameters of the classifier that differ from the defaults. All methods use the same
texts for a seed.

Methods: "matrix", AttentionFineTuneClassifier on a matrix of 0 and 1; "tags",
MultiTaskClassifier on the same matrix as one task; "features", OneVsRestClassifier of
logistic regression on the features of TransformerFeatureExtractor, with C chosen by
cross-validation.

Each run appends one JSON line to results/multilabel.jsonl. Runs that are already in the
file are skipped. ``--table`` prints means over seeds. Use one thread
(OMP_NUM_THREADS=1).
"""

import argparse
import json
import time
import warnings

import pandas as pd
from _common import RESULTS, already, append, read_frame
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, f1_score
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.multiclass import OneVsRestClassifier
from sklearn.preprocessing import MultiLabelBinarizer

from sklearn_attnft import (
    AttentionFineTuneClassifier,
    MultiTaskClassifier,
    TransformerFeatureExtractor,
)

FILE = RESULTS / "multilabel.jsonl"
SETS = {  # columns that have the labels
    "massive_en": ["label", "label_scenario"],
    "clinc150": ["label", "label_domain"],
    "trec": ["label", "label_fine"],
}
N_TRAIN = 2000
N_DEV = 1000  # texts of the training data that are scored without --test
C = [1.0, 10.0, 100.0, 1000.0]
KEYS = ["part", "dataset", "seed", "method", "changed"]
METHODS = ["features", "matrix", "tags"]


def draw(data, name, seed, test):
    """Return training and scored texts and their matrices of labels."""
    train = read_frame(data, name, "train").sample(frac=1.0, random_state=seed)
    if test:
        scored = read_frame(data, name, "test")
    else:
        train, scored = train_test_split(train, test_size=0.2, random_state=seed)
        scored = scored[:N_DEV]
    train = train[:N_TRAIN]
    tags = MultiLabelBinarizer().fit(_tags(train, name))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="unknown class")
        return [
            each
            for frame in (train, scored)
            for each in (frame["text"].tolist(), tags.transform(_tags(frame, name)))
        ]


def _tags(frame, name):
    """Return the set of labels of each row, with the columns in their names."""
    columns = SETS[name]
    return [
        {f"{column}={value}" for column, value in zip(columns, row, strict=True)}
        for row in frame[columns].to_numpy()
    ]


def predict(method, changed, seed, texts, y, scored):
    """Fit a method and return its predictions."""
    model = AttentionFineTuneClassifier(**{"random_state": seed, **changed})
    if method == "matrix":
        return model.fit(texts, y).predict(scored)
    if method == "tags":
        return (
            MultiTaskClassifier(model).fit(texts, {"tags": y}).predict(scored)["tags"]
        )
    extractor = TransformerFeatureExtractor().fit(texts)
    regression = OneVsRestClassifier(LogisticRegression(max_iter=1000))
    search = GridSearchCV(regression, {"estimator__C": C}, cv=3, scoring="f1_macro")
    search.fit(extractor.transform(texts), y)
    return search.predict(extractor.transform(scored))


def run(arguments):
    changed = json.loads(arguments.change)
    done = already(FILE, KEYS)
    part = "test" if arguments.test else "development"
    for seed in arguments.seeds:
        for name in arguments.dataset:
            for method in arguments.method:
                extra = {} if method == "features" else changed
                row = dict(zip(KEYS, (part, name, seed, method, extra), strict=True))
                if json.dumps(list(row.values())) in done:
                    continue
                *data, truth = draw(arguments.data, name, seed, arguments.test)
                start = time.process_time()
                predicted = predict(method, extra, seed, *data)
                row["n_labels"] = truth.shape[1]
                row["cpu_seconds"] = round(time.process_time() - start, 1)
                for average in ("macro", "micro"):
                    score = f1_score(truth, predicted, average=average, zero_division=0)
                    row[f"f1_{average}"] = round(float(score), 4)
                accuracy = accuracy_score(truth, predicted)
                row["accuracy"] = round(float(accuracy), 4)
                append(FILE, row)


def table():
    """Print the means over seeds, with the lowest and highest macro-F1."""
    rows = pd.read_json(FILE, lines=True)
    rows["changed"] = rows["changed"].map(json.dumps)
    groups = rows.groupby(["part", "dataset", "method", "changed"])
    cells = groups[["f1_macro", "f1_micro", "accuracy"]].mean().round(3)
    cells["lowest f1_macro"] = groups["f1_macro"].min().round(3)
    cells["highest f1_macro"] = groups["f1_macro"].max().round(3)
    cells["cpu_seconds"] = groups["cpu_seconds"].median()
    cells["seeds"] = groups.size()
    print(cells.reset_index().to_markdown(index=False))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", help="directory with the data sets")
    parser.add_argument("--dataset", nargs="+", choices=SETS, default=list(SETS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--method", nargs="+", choices=METHODS, default=METHODS)
    parser.add_argument("--change", default="{}", help="parameters, as JSON")
    parser.add_argument("--test", action="store_true", help="score the test sets")
    parser.add_argument("--table", action="store_true", help="print the results")
    arguments = parser.parse_args()
    if arguments.table:
        table()
    else:
        warnings.filterwarnings("ignore", category=UserWarning, module="sklearn")
        run(arguments)
