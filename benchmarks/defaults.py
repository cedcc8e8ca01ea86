"""Compare the defaults with logistic regression, on many data sets and label counts.

python benchmarks/defaults.py --data DIRECTORY [--dataset NAME ...] [--labels N ...]
    [--seeds 0 1 2] [--method NAME ...] [--change JSON] [--test]

Without ``--test``, all texts come from splits of the training data. This is the bench
on which defaults are chosen. ``--change`` gives parameters of the classifier that
differ from the defaults. All methods use the same texts for a seed.

Methods: "default", the classifier; "frozen", the classifier with trainable_layers=0;
"features", logistic regression on the features of TransformerFeatureExtractor; "tfidf",
logistic regression on TF-IDF features. The two logistic regressions choose C by
cross-validation.

Each run appends one JSON line to a file in results/. Runs that are already in the file
are skipped. ``--table`` prints the accuracy, compared with the better of the two
logistic regressions, and the differences of changed parameters to the defaults. Use one
thread (OMP_NUM_THREADS=1).
"""

import argparse
import collections
import json
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from _common import RESULTS, already, append, find_strata, read_frame
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import make_pipeline

from sklearn_attnft import AttentionFineTuneClassifier, TransformerFeatureExtractor
from sklearn_attnft.datasets import load_support_tickets

# The directory of each data set, its column of labels and its files for training and
# test.
SETS = {
    "trec": ("trec", "label", "train", "test"),
    "trec_fine": ("trec", "label_fine", "train", "test"),
    "clinc150": ("clinc150", "label", "train", "test"),
    "massive": ("massive_en", "label", "train", "test"),
    "ag_news": ("ag_news", "label", "train_small", "test_small"),
    "imdb": ("imdb", "label", "train_small", "test_small"),
    "dbpedia14": ("dbpedia14", "label", "train_small", "test_small"),
    "yelp2": ("yelp_polarity_like", "label", "train_small", "test_small"),
    "yelp5": ("yelp_full_like", "label", "train_small", "test_small"),
    "tickets": None,  # the package has them
}
LABELS = [50, 200, 1000, 2000]
N_DEV = 1000  # texts of the training data that are scored without --test
C = [0.01, 0.1, 1.0, 10.0, 100.0, 1000.0]
KEYS = ["part", "dataset", "n", "seed", "method", "changed"]


def load(data, name, part):
    """Return texts and labels of a part ("train" or "test") of a data set."""
    if SETS[name] is None:
        return load_support_tickets(subset=part, return_X_y=True)
    directory, column, *files = SETS[name]
    frame = read_frame(data, directory, files[part == "test"])
    return frame["text"].tolist(), frame[column].tolist()


def draw(data, name, n, seed, test):
    """Return training and scored texts and labels, or None if the set is too small.

    A data set needs at least two labels for each class on average.
    """
    texts, labels = (np.asarray(each) for each in load(data, name, "train"))
    if n < 2 * len(set(labels)):
        return None
    rows = np.arange(len(texts))
    if test:
        scored = [np.asarray(each) for each in load(data, name, "test")]
    else:
        rows, held_out = train_test_split(
            rows, test_size=0.2, stratify=find_strata(labels), random_state=seed
        )
        held_out = held_out[:N_DEV]
        scored = [texts[held_out], labels[held_out]]
    if n > len(rows):
        return None
    if n < len(rows):
        strata = find_strata(labels[rows])
        rows, _ = train_test_split(
            rows, train_size=n, stratify=strata, random_state=seed
        )
    return [each.tolist() for each in (texts[rows], labels[rows], *scored)]


def searched(steps, labels):
    """Return logistic regression whose C is chosen by cross-validation."""
    n_splits = max(2, min(5, min(collections.Counter(labels).values())))
    grid = {"logisticregression__C": C}
    model = make_pipeline(*steps, LogisticRegression(max_iter=1000))
    return GridSearchCV(model, grid, cv=n_splits)


def score(method, changed, seed, texts, labels, scored, y_scored):
    """Fit a method. Return its accuracy and processor seconds."""
    start = time.process_time()
    if method in ("default", "frozen"):
        frozen = {"trainable_layers": 0} if method == "frozen" else {}
        parameters = {"random_state": seed, **frozen, **changed}
        model = AttentionFineTuneClassifier(**parameters).fit(texts, labels)
    elif method == "features":
        extractor = TransformerFeatureExtractor(**changed).fit(texts)
        texts, scored_texts = extractor.transform(texts), scored
        encoded = time.process_time() - start
        model = searched([], labels).fit(texts, labels)
        scored = extractor.transform(scored_texts)
    else:
        tfidf = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
        model = searched([tfidf], labels).fit(texts, labels)
    row = {"fit_cpu_seconds": round(time.process_time() - start, 1)}
    if method == "features":
        row["encode_cpu_seconds"] = round(encoded, 1)
    row["accuracy"] = round(float(model.score(scored, y_scored)), 4)
    if hasattr(model, "best_params_"):
        row["C"] = model.best_params_["logisticregression__C"]
    if hasattr(model, "layer_attention_"):
        row["layers"] = np.round(model.layer_attention_, 3).tolist()
    return row


def run(arguments, file):
    changed = json.loads(arguments.change)
    done = already(file, KEYS)
    part = "test" if arguments.test else "development"
    for seed in arguments.seeds:
        for n in arguments.labels:
            for name in arguments.dataset:
                texts = None
                for method in arguments.method:
                    extra = _changes(method, changed)
                    key = (part, name, n, seed, method, extra)
                    row = dict(zip(KEYS, key, strict=True))
                    if json.dumps(list(row.values())) in done:
                        continue
                    texts = texts or draw(arguments.data, name, n, seed, arguments.test)
                    if texts is not None:
                        append(file, {**row, **score(method, extra, seed, *texts)})


def _changes(method, changed):
    """Return the changed parameters that a method has."""
    if method in ("default", "frozen"):
        return changed
    is_of_features = method == "features" and "encoder" in changed
    return {"encoder": changed["encoder"]} if is_of_features else {}


def table(file):
    """Print mean accuracies, and differences in percentage points.

    "default - better" is the difference of the classifier to the better of the two
    logistic regressions with the same seed. "frozen - features" is the difference of
    trainable_layers=0 to logistic regression on the features.
    """
    rows = pd.read_json(file, lines=True)
    rows["changed"] = rows["changed"].map(json.dumps)
    is_baseline = rows["method"].isin(["tfidf", "features"])
    for (part, changed), ours in rows[~is_baseline].groupby(["part", "changed"]):
        runs = pd.concat([rows[is_baseline & (rows["part"] == part)], ours])
        print(f"\n{part}, changed: {changed}\n")
        _print(
            runs.pivot_table(
                index=["dataset", "n", "seed"], columns="method", values="accuracy"
            )
        )
    _print_changes(rows)


def _print_changes(rows):
    """Print the differences of changed parameters to the defaults, per data set."""
    is_default = rows["changed"] == "{}"
    keys = ["part", "method", "n", "dataset", "seed"]
    pairs = rows[~is_default].merge(
        rows[is_default], on=keys, suffixes=("", "_default")
    )
    pairs["points"] = 100 * (pairs["accuracy"] - pairs["accuracy_default"])
    cells = pairs.pivot_table(
        index=["changed", *keys[:3]], columns="dataset", values="points"
    )
    cells["mean"] = cells.mean(axis=1)
    print("\nchanged - default, in percentage points\n")
    print(cells.round(1).reset_index().to_markdown(index=False))


def _print(runs):
    """Print the table of one set of parameters."""
    runs = runs.dropna()  # samples that not all methods have finished
    better = runs[["tfidf", "features"]].max(axis=1)
    references = {"default": better, "frozen": runs["features"]}
    names = {"default": "default - better", "frozen": "frozen - features"}
    by_cell = runs.groupby(["dataset", "n"])
    cells, summary = by_cell.mean().round(3), []
    for method in [name for name in references if name in runs]:
        differences = 100 * (runs[method] - references[method])
        low, mean, high = (
            getattr(differences.groupby(["dataset", "n"]), name)()
            for name in ("min", "mean", "max")
        )
        cells[names[method]] = [
            f"{m:+.1f} ({a:+.1f} to {b:+.1f})"
            for a, m, b in zip(low, mean, high, strict=True)
        ]
        large = mean[mean.index.get_level_values("n") >= 200]
        summary.append(
            f"{names[method]}, {len(large)} cells with at least 200 labels: mean "
            f"{large.mean():+.1f}, lowest {large.min():+.1f}"
        )
    cells["seeds"] = by_cell.size()
    print(cells.reset_index().to_markdown(index=False), *sorted(summary), sep="\n\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", help="directory with the data sets")
    parser.add_argument("--dataset", nargs="+", choices=SETS, default=list(SETS))
    parser.add_argument("--labels", type=int, nargs="+", default=LABELS)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    methods = ["tfidf", "features", "default", "frozen"]
    parser.add_argument("--method", nargs="+", choices=methods, default=methods)
    parser.add_argument("--change", default="{}", help="parameters, as JSON")
    parser.add_argument("--test", action="store_true", help="score the test sets")
    parser.add_argument("--file", default="defaults.jsonl", help="file in results/")
    parser.add_argument("--table", action="store_true", help="print the results")
    arguments = parser.parse_args()
    file = RESULTS / Path(arguments.file).name
    if arguments.table:
        table(file)
    else:
        warnings.filterwarnings("ignore", message=".*longer than max_length")
        warnings.filterwarnings("ignore", category=UserWarning, module="sklearn")
        warnings.filterwarnings("ignore", category=ConvergenceWarning)
        run(arguments, file)
