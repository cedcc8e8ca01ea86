"""Fine-tune a language model on labeled texts and compare it with TF-IDF.

python examples/quickstart.py
python examples/quickstart.py --train FILE --test FILE --text COLUMN --label COLUMN

Without arguments, the script uses the support tickets that are included in the package.
Given arguments, it reads any CSV files, also with gzip compression. It prints
classification reports of AttentionFineTuneClassifier and of TF-IDF with logistic
regression, and writes the fitted model. A new process then loads the model and
predicts.
"""

import argparse
import csv
import gzip
import json
import subprocess
import sys
import time

import joblib
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, classification_report
from sklearn.pipeline import make_pipeline

from sklearn_attnft import AttentionFineTuneClassifier
from sklearn_attnft.datasets import load_support_tickets

IN_A_NEW_PROCESS = """
import json, sys, joblib
model, texts = joblib.load(sys.argv[1]), json.load(sys.stdin)
for text, label in zip(texts, model.predict(texts)):
    print(f"  {label:>12}  {text[:60]}")
"""


def read_csv(path, text, label):
    """Read a column of texts and a column of labels."""
    opened = gzip.open if path.endswith(".gz") else open
    csv.field_size_limit(2**31 - 1)  # long texts
    with opened(path, "rt", encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file)
        for column in (text, label):
            if column not in (reader.fieldnames or []):
                sys.exit(
                    f"{path} must have a column {column!r}, got {reader.fieldnames}"
                )
        rows = list(reader)
    return [row[text] for row in rows], [row[label] for row in rows]


def load(arguments):
    """Return training texts and labels, then test texts and labels."""
    if arguments.train is None:
        parts = ("train", "test")
        loaded = [load_support_tickets(subset=part, return_X_y=True) for part in parts]
    else:
        columns = arguments.text, arguments.label
        files = (arguments.train, arguments.test)
        loaded = [read_csv(file, *columns) for file in files]
    return (*loaded[0], *loaded[1])


def fit_and_report(name, model, X_train, y_train, X_test, y_test):
    """Fit, predict and print a report. Return the accuracy."""
    start = time.perf_counter()
    model.fit(X_train, y_train)
    fitted = time.perf_counter()
    predicted = model.predict(X_test)
    done = time.perf_counter()
    print(f"\n{name}: fit {fitted - start:.1f} s, predict {done - fitted:.1f} s")
    print(classification_report(y_test, predicted, digits=3, zero_division=0))
    return accuracy_score(y_test, predicted)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--train", help="CSV file, optionally .gz (default: the tickets)"
    )
    parser.add_argument("--test", help="CSV file with the same columns")
    parser.add_argument("--text", default="text", help="column of texts")
    parser.add_argument("--label", default="label", help="column of labels")
    parser.add_argument("--model", default="quickstart.joblib", help="file to write")
    parser.add_argument("--random-state", type=int, default=0)
    arguments = parser.parse_args()
    if (arguments.train is None) != (arguments.test is None):
        parser.error("--train and --test must be given together")

    X_train, _, X_test, _ = data = load(arguments)
    print(f"{len(X_train)} training texts, {len(X_test)} test texts")
    tfidf = make_pipeline(
        TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, min_df=2),
        LogisticRegression(C=10, max_iter=1000),
    )
    attention = AttentionFineTuneClassifier(
        random_state=arguments.random_state, verbose=1
    )
    before = fit_and_report("TF-IDF + logistic regression", tfidf, *data)
    after = fit_and_report("AttentionFineTuneClassifier", attention, *data)
    print(f"accuracy: {after:.4f} fine-tuned, {before:.4f} TF-IDF")

    attention.set_params(verbose=0)
    joblib.dump(attention, arguments.model)
    print(
        f"\nwrote {arguments.model}; a new process loads it and predicts:", flush=True
    )
    subprocess.run(
        [sys.executable, "-c", IN_A_NEW_PROCESS, arguments.model],
        input=json.dumps(list(X_test[:5])),
        text=True,
        check=True,
    )


if __name__ == "__main__":
    main()
