"""The quickstart on the user's own files. `make quickstart` runs it on the tickets."""

import csv
import gzip
import json
import os
import runpy
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

EXAMPLE = Path(__file__).parents[1] / "examples" / "quickstart.py"
ROWS = [("it is a good, lovely\nday", "fine"), ("what an awful rain", "poor")] * 6
TEXTS, LABELS = map(list, zip(*ROWS, strict=True))
NAMES = ("review", "stars")


def run(*arguments, check=True):
    command = [sys.executable, "-W", "error", str(EXAMPLE), *map(str, arguments)]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
    return subprocess.run(
        command, check=check, env=environment, capture_output=True, text=True
    )


def write_csv(path, rows=ROWS, names=NAMES, *, encoding="utf-8", delimiter=","):
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "wt", newline="", encoding=encoding) as file:
        csv.writer(file, delimiter=delimiter).writerows([names, *rows])
    return path


@pytest.fixture
def files(tmp_path):
    train = write_csv(tmp_path / "train.csv")
    test = write_csv(tmp_path / "test.csv.gz")
    return ["--train", train, "--test", test, "--model", tmp_path / "model.joblib"]


def test_the_quickstart_fits_and_reports_on_csv_files(files):
    done = run(*files, "--text", "review", "--label", "stars")
    assert "12 training texts, 12 test texts" in done.stdout
    assert "TF-IDF + logistic regression: fit" in done.stdout
    assert "AttentionFineTuneClassifier: fit" in done.stdout
    assert "accuracy: 1.0000 fine-tuned, 1.0000 TF-IDF" in done.stdout
    assert "a new process loads it and predicts" in done.stdout
    assert "poor  what an awful rain" in done.stdout
    assert "fit: classifier 40/40: 100%" in done.stderr


def test_texts_that_share_no_word_and_half_characters_are_fitted(tmp_path):
    rows = [{"text": f"alpha{i} beta{i} \ud800", "label": i % 2} for i in range(4)]
    path = tmp_path / "few.json"
    path.write_text(json.dumps(rows))
    model = tmp_path / "model.joblib"
    done = run("--train", path, "--test", path, "--model", model)
    assert "1  alpha1 beta1 ?" in done.stdout


@pytest.fixture(scope="module")
def example():
    return runpy.run_path(str(EXAMPLE))


READABLE = {
    "bom.csv": lambda path: write_csv(path, encoding="utf-8-sig"),
    "capitals.csv": lambda path: write_csv(path, names=("REVIEW", " Stars ")),
    "more.csv": lambda path: write_csv(
        path, [("x", *row) for row in ROWS], ("Review", "review", "stars")
    ),
    "semicolons.csv": lambda path: write_csv(path, delimiter=";"),
    "tabs.tsv": lambda path: write_csv(path, delimiter="\t"),
    "packed.CSV.GZ": lambda path: path.write_bytes(
        write_csv(path.with_suffix(".gz")).read_bytes()
    ),
    "lines.jsonl": lambda path: records().to_json(path, orient="records", lines=True),
    "lines.json.gz": lambda path: records().to_json(path, orient="records", lines=True),
    "list.json": lambda path: records().to_json(path, orient="records"),
    "column.parquet": lambda path: records().to_parquet(path),
    "category.parquet": lambda path: records("category").to_parquet(path),
}


def records(dtype="str"):
    return pd.DataFrame({"review": TEXTS, "stars": pd.Series(LABELS, dtype=dtype)})


@pytest.mark.parametrize("name", READABLE)
def test_files_are_read(name, example, tmp_path):
    READABLE[name](tmp_path / name)
    assert example["read_file"](str(tmp_path / name), *NAMES) == (TEXTS, LABELS)


@pytest.mark.parametrize("encoding", ["cp1252", "utf-16", "latin-1", "utf-8"])
def test_files_are_read_in_their_encoding(encoding, example, tmp_path):
    path = write_csv(tmp_path / "train.csv", [("café", "fête")], encoding=encoding)
    got = example["read_file"](str(path), *NAMES, encoding)
    assert got == (["café"], ["fête"])


def test_labels_that_are_numbers_become_str(example, tmp_path):
    path = tmp_path / "train.jsonl"
    path.write_text('{"review": "a\u2028b", "stars": 3}\n{"review": "", "stars": 0}\n')
    assert example["read_file"](str(path), *NAMES) == (["a\u2028b", ""], ["3", "0"])


def test_lines_may_end_as_on_an_old_mac(example, tmp_path):
    path = tmp_path / "train.csv"
    path.write_bytes(b"review,stars\rgood,a\rbad,b\r")
    assert example["read_file"](str(path), *NAMES) == (["good", "bad"], ["a", "b"])


def test_missing_values_in_parquet_are_named(example, tmp_path):
    path = tmp_path / "train.parquet"
    stars = pd.array([1, None], dtype="Int64")
    pd.DataFrame({"review": ["a", "b"], "stars": stars}).to_parquet(path)
    with pytest.raises(SystemExit, match=r"got \['b', None\] in row 2"):
        example["read_file"](str(path), *NAMES)


BAD = {
    "missing.csv": (None, "cannot be read: No such file or directory"),
    "missing.parquet": (None, "cannot be read: No such file"),
    "empty.csv": (b"", "must have rows, got an empty file"),
    "empty.jsonl": (b"\n", "must have rows, got an empty file"),
    "header.csv": (b"review,stars\n", "must have rows, got an empty file"),
    "columns.csv": (b"body,topic\na,b\n", "a column 'review', got ['body', 'topic']"),
    "columns.jsonl": (b'{"review": "a"}', "a column 'stars', got ['review']"),
    "short.csv": (b"review,stars\ngood,a\nbad\n", "got ['bad', None] in row 2"),
    "long.csv": (b"review,stars\ngood, day,a\n", "got ['good', ' day', ['a']] in row"),
    "label.csv": (b"review,stars\ngood,\n", "got ['good', ''] in row 1"),
    "label.jsonl": (b'{"review": "a", "stars": NaN}', "got ['a', nan] in row 1"),
    "text.jsonl": (b'{"review": 1, "stars": 2}', "got [1, 2] in row 1"),
    "labels.jsonl": (b'{"review": "a", "stars": ["b"]}', "got ['a', ['b']] in row 1"),
    "absent.json": (b'[{"review":"a","stars":1},{}]', "got [] in row 2"),
    "quote.csv": (b'review,stars\n"good" day,a\n', "cannot be read: "),
    "open.csv": (b'review,stars\n"good day,a\nbad,b\n', "cannot be read: "),
    "one.csv": (b"review,stars\ngood,a\nbad,a\n", "at least 2 different labels"),
    "cp1252.csv": ("review,stars\ncafé,a\n".encode("cp1252"), "--encoding cp1252"),
    "utf16.csv": ("review,stars\ncafé,a\n".encode("utf-16"), "must be encoded as"),
    "damaged.csv.gz": (b"review,stars\n", "cannot be read: Not a gzipped file"),
    "cut.csv.gz": (gzip.compress(b"review,stars\n" * 9)[:-12], "cannot be read: "),
    "damaged.json": (b"[{", "cannot be read: "),
    "lines.jsonl": (b"[1, 2]\n", "cannot be read: each row must be a JSON object"),
    "damaged.parquet": (b"PAR1", "cannot be read: "),
    "directory.csv": ("directory", "cannot be read: Is a directory"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_problem_is_one_sentence(name, example, tmp_path, monkeypatch):
    content, message = BAD[name]
    path = tmp_path / name
    if content == "directory":
        path.mkdir()
    elif content is not None:
        path.write_bytes(content)
    said = exit_of(example, monkeypatch, "--train", path, "--test", path)
    assert said.startswith(f"{path} ")
    assert message in said
    assert "\n" not in said


def exit_of(example, monkeypatch, *arguments):
    """Run the example, which must exit before it fits; return its message."""
    arguments = ["--text", "review", "--label", "stars", *arguments]
    monkeypatch.setattr(sys, "argv", ["quickstart.py", *map(str, arguments)])
    monkeypatch.setattr("sys.stdout.reconfigure", lambda **_: None, raising=False)
    with pytest.raises(SystemExit) as caught:
        example["main"]()
    return caught.value.code


def test_an_encoding_that_does_not_exist(example, monkeypatch, tmp_path):
    path = write_csv(tmp_path / "train.csv")
    arguments = ("--train", path, "--test", path, "--encoding", "nothing")
    said = exit_of(example, monkeypatch, *arguments)
    assert said == f"{path} cannot be read: unknown encoding: nothing"


def test_parquet_without_pandas(example, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "pandas", None)
    path = tmp_path / "train.parquet"
    said = exit_of(example, monkeypatch, "--train", path, "--test", path)
    assert said.startswith(f"{path} cannot be read: ")
    assert "pandas" in said


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--train", "x.csv"], "--train and --test must be given together"),
        (["--model", "no/such/m"], "--model no/such/m must be in a directory that"),
        (["--model", "."], "--model . must be a file, got a directory"),
    ],
)
def test_wrong_arguments_exit_with_2(arguments, message, example, monkeypatch, capsys):
    assert exit_of(example, monkeypatch, *arguments) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("texts", ["- -", "!"])
def test_texts_without_a_word_are_one_sentence(texts, tmp_path):
    path = write_csv(
        tmp_path / "t.csv", [(texts, "a"), (texts, "b")], ("text", "label")
    )
    done = run("--train", path, "--test", path, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("error: empty vocabulary")
    assert done.stderr.count("\n") == 1
