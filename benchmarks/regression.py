"""Compare the regressor with ridge regression and with a classifier, on star ratings.

python benchmarks/regression.py --data DIRECTORY [--labels N ...] [--seeds 0 1 2]
    [--method NAME ...] [--change JSON] [--outliers FRACTION] [--test]

The data set is yelp_full_like, whose five classes are the numbers 1 to 5. Without
``--test``, all texts come from splits of the training data. ``--change`` gives
parameters of the regressor that differ from the defaults. ``--outliers`` replaces this
fraction of the training numbers, half of them by -20 and half by 30. All methods use
the same texts for a seed.

Methods: "default", the regressor; "frozen", the regressor with trainable_layers=0;
"features", ridge regression on the features of TransformerFeatureExtractor; "expected",
the mean of the ratings under the probabilities of AttentionFineTuneClassifier; "tfidf",
ridge regression on TF-IDF features. The two ridge regressions choose alpha by
cross-validation.

Each run appends one JSON line to results/regression.jsonl. Runs that are already in the
file are skipped. ``--table`` prints means over seeds. Use one thread
(OMP_NUM_THREADS=1).
"""

import argparse
import json
import time
import warnings

import numpy as np
import pandas as pd
from _common import RESULTS, already, append, read
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import Ridge
from sklearn.metrics import mean_absolute_error, r2_score
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import make_pipeline

from sklearn_attnft import (
    AttentionFineTuneClassifier,
    AttentionFineTuneRegressor,
    TransformerFeatureExtractor,
)

DATASET = "yelp_full_like"
FILE = RESULTS / "regression.jsonl"
N_DEV = 1000  # texts of the training data that are scored without --test
ALPHA = np.logspace(-3, 2, 11).tolist()
KEYS = ["part", "n", "seed", "method", "changed"]
METHODS = ["tfidf", "features", "expected", "default", "frozen"]


def load(data, part):
    texts, labels = read(data, DATASET, part)
    return texts, np.array([float(label.split()[0]) for label in labels])  # "5 stars"


def draw(data, n, seed, test):
    """Return training and scored texts and numbers."""
    texts, numbers = load(data, "train_small")
    rows = np.arange(len(texts))
    if test:
        scored = load(data, "test_small")
    else:
        rows, held_out = train_test_split(
            rows, test_size=0.2, stratify=numbers, random_state=seed
        )
        held_out = held_out[:N_DEV]
        scored = [texts[i] for i in held_out], numbers[held_out]
    rows, _ = train_test_split(
        rows, train_size=n, stratify=numbers[rows], random_state=seed
    )
    return [texts[i] for i in rows], numbers[rows], *scored


def with_outliers(numbers, fraction, seed):
    """Replace a fraction of the numbers by -20 or 30."""
    rng = np.random.default_rng(seed)
    is_outlier = rng.random(len(numbers)) < fraction
    return np.where(is_outlier, rng.choice([-20.0, 30.0], len(numbers)), numbers)


def searched(*steps):
    """Return ridge regression whose alpha is chosen by cross-validation."""
    model = make_pipeline(*steps, Ridge())
    return GridSearchCV(model, {"ridge__alpha": ALPHA}, cv=5)


def predict(method, changed, seed, texts, numbers, scored):
    """Fit a method and return its predictions."""
    if method in ("default", "frozen"):
        frozen = {"trainable_layers": 0} if method == "frozen" else {}
        parameters = {"random_state": seed, **frozen, **changed}
        model = AttentionFineTuneRegressor(**parameters).fit(texts, numbers)
        return model.predict(scored)
    if method == "expected":
        model = AttentionFineTuneClassifier(random_state=seed)
        model.fit(texts, numbers.astype(int))
        return model.predict_proba(scored) @ model.classes_
    if method == "features":
        extractor = TransformerFeatureExtractor().fit(texts)
        model = searched().fit(extractor.transform(texts), numbers)
        return model.predict(extractor.transform(scored))
    tfidf = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
    return searched(tfidf).fit(texts, numbers).predict(scored)


def run(arguments):
    changed = json.loads(arguments.change)
    done = already(FILE, KEYS)
    part = "test" if arguments.test else "development"
    if arguments.outliers:
        part = f"{part}, {arguments.outliers:.0%} outliers"
    for seed in arguments.seeds:
        for n in arguments.labels:
            for method in arguments.method:
                extra = changed if method in ("default", "frozen") else {}
                row = dict(zip(KEYS, (part, n, seed, method, extra), strict=True))
                if json.dumps(list(row.values())) in done:
                    continue
                data = draw(arguments.data, n, seed, arguments.test)
                texts, numbers, scored, truth = data
                numbers = with_outliers(numbers, arguments.outliers, seed)
                start = time.process_time()
                predicted = predict(method, extra, seed, texts, numbers, scored)
                row["cpu_seconds"] = round(time.process_time() - start, 1)
                row["mae"] = round(float(mean_absolute_error(truth, predicted)), 4)
                row["r2"] = round(float(r2_score(truth, predicted)), 4)
                append(FILE, row)


def table():
    """Print the means over seeds, with the lowest and highest values."""
    rows = pd.read_json(FILE, lines=True)
    rows["changed"] = rows["changed"].map(json.dumps)
    groups = rows.groupby(["part", "n", "method", "changed"])
    cells = groups[["mae", "r2"]].agg(["mean", "min", "max"]).round(3)
    cells.columns = [" ".join(column) for column in cells]
    cells["cpu_seconds"] = groups["cpu_seconds"].median()
    cells["seeds"] = groups.size()
    print(cells.reset_index().to_markdown(index=False))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", help="directory with the data sets")
    parser.add_argument("--labels", type=int, nargs="+", default=[2000])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--method", nargs="+", choices=METHODS, default=METHODS)
    parser.add_argument("--change", default="{}", help="parameters, as JSON")
    parser.add_argument("--outliers", type=float, default=0.0)
    parser.add_argument("--test", action="store_true", help="score the test set")
    parser.add_argument("--table", action="store_true", help="print the results")
    arguments = parser.parse_args()
    if arguments.table:
        table()
    else:
        warnings.filterwarnings("ignore", message=".*longer than max_length")
        run(arguments)
