"""Fine-tune a language model on labeled texts and compare it with TF-IDF.

python examples/quickstart.py
python examples/quickstart.py --train FILE --test FILE --text COLUMN --label COLUMN

Without arguments, the script uses the support tickets that are included in the package.
Given arguments, it reads CSV, TSV, JSON or parquet files with a column of texts and a
column of labels; CSV, TSV and JSON also with gzip compression. It prints
classification reports of AttentionFineTuneClassifier and of TF-IDF with logistic
regression, and writes the fitted model. A new process then loads the model and
predicts.
"""

import argparse
import csv
import gzip
import io
import json
import os
import subprocess
import sys
import time
import zlib

import joblib
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, classification_report
from sklearn.pipeline import make_pipeline

from sklearn_attnft import AttentionFineTuneClassifier
from sklearn_attnft.datasets import load_support_tickets

IN_A_NEW_PROCESS = """
import json, sys, joblib
sys.stdout.reconfigure(errors="replace")
model, texts = joblib.load(sys.argv[1]), json.load(sys.stdin)
for text, label in zip(texts, model.predict(texts)):
    print(f"  {label:>12}  {text[:60]}")
"""


def load(arguments):
    """Return training texts and labels, then test texts and labels."""
    if arguments.train is None:
        parts = ("train", "test")
        loaded = [load_support_tickets(subset=part, return_X_y=True) for part in parts]
    else:
        columns = arguments.text, arguments.label
        files = (arguments.train, arguments.test)
        loaded = [read_file(file, *columns, arguments.encoding) for file in files]
        if len(set(loaded[0][1])) < 2:
            sys.exit(f"{arguments.train} must have at least 2 different labels, got 1")
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
        "--train", help="CSV, TSV, JSON or parquet file (default: the tickets)"
    )
    parser.add_argument("--test", help="file with the same columns")
    parser.add_argument("--encoding", default="utf-8", help="of the files")
    parser.add_argument("--text", default="text", help="column of texts")
    parser.add_argument("--label", default="label", help="column of labels")
    parser.add_argument("--model", default="quickstart.joblib", help="file to write")
    parser.add_argument("--random-state", type=int, default=0)
    arguments = parser.parse_args()
    if (arguments.train is None) != (arguments.test is None):
        parser.error("--train and --test must be given together")
    if not os.path.isdir(os.path.dirname(arguments.model) or "."):
        parser.error(f"--model {arguments.model} must be in a directory that exists")
    if os.path.isdir(arguments.model):
        parser.error(f"--model {arguments.model} must be a file, got a directory")
    sys.stdout.reconfigure(errors="replace")  # any text can be printed

    X_train, _, X_test, _ = data = load(arguments)
    print(f"{len(X_train)} training texts, {len(X_test)} test texts")
    tfidf = make_pipeline(
        TfidfVectorizer(
            ngram_range=(1, 2), sublinear_tf=True, min_df=2 if len(X_train) > 99 else 1
        ),
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


def read_file(path, text, label, encoding="utf-8"):
    """Return the texts and labels of a file; exit with a message if it has none."""
    try:
        rows = read_rows(path, encoding)
    except UnicodeDecodeError:
        sys.exit(
            f"{path} must be encoded as {encoding}; pass its encoding, for example "
            "--encoding cp1252"
        )
    except OSError as error:
        sys.exit(f"{path} cannot be read: {error.strerror or error}")
    except (ValueError, LookupError, EOFError, ImportError, csv.Error, zlib.error) as e:
        sys.exit(f"{path} cannot be read: {' '.join(str(e).split())}")
    if not rows:
        sys.exit(f"{path} must have rows, got an empty file")
    names = [name for name in rows[0] if name is not None]
    lower = {name.strip().lower(): name for name in names}
    cells = []
    for column in (text, label):
        found = column if column in names else lower.get(column.lower())
        if found is None:
            sys.exit(f"{path} must have a column {column!r}, got {names}")
        cells.append([row.get(found) for row in rows])
    texts, labels = cells
    for i, row in enumerate(rows):
        is_label = isinstance(labels[i], (str, int, float)) and labels[i] != ""
        is_label = is_label and labels[i] == labels[i]  # not NaN
        if not isinstance(texts[i], str) or not is_label or None in row:
            sys.exit(
                f"{path} must have a text and a label in each row, got "
                f"{list(row.values())!r:.80} in row {i + 1}; correct or remove the row"
            )
    return texts, [str(label) for label in labels]


def read_rows(path, encoding):
    """Return the rows of a file as a list of dict."""
    name = path.lower().removesuffix(".gz")
    if name.endswith(".parquet"):
        import pandas

        with open(path, "rb") as file:
            frame = pandas.read_parquet(file).astype(object)
        return frame.where(frame.notna(), None).to_dict("records")
    opened = gzip.open if path.lower().endswith(".gz") else open
    with opened(path, "rt", encoding=encoding, newline="") as file:
        content = file.read().removeprefix("\ufeff")
    if name.endswith((".json", ".jsonl")):
        if content.lstrip().startswith("["):
            rows = json.loads(content)
        else:
            rows = [json.loads(line) for line in content.split("\n") if line.strip()]
        if not all(isinstance(row, dict) for row in rows):
            raise ValueError("each row must be a JSON object")
        return rows
    csv.field_size_limit(2**31 - 1)  # long texts
    table = io.StringIO(content, newline="")
    delimiter = max("\t;,", key=table.readline().count)  # in the header
    table.seek(0)
    return list(csv.DictReader(table, delimiter=delimiter, strict=True))


if __name__ == "__main__":
    try:
        main()
    except ValueError as error:  # such as texts without a word
        sys.exit(f"error: {' '.join(str(error).split())}")
