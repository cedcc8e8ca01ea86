"""The quickstart on CSV files. `make quickstart` runs it on the tickets."""

import csv
import gzip
import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[1] / "examples" / "quickstart.py"


def run(*arguments, check=True):
    command = [sys.executable, "-W", "error", str(EXAMPLE), *map(str, arguments)]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
    return subprocess.run(
        command, check=check, env=environment, capture_output=True, text=True
    )


@pytest.fixture
def files(tmp_path):
    rows = [("it is a good, lovely\nday", "fine"), ("what an awful rain", "poor")] * 6
    train, test = tmp_path / "train.csv", tmp_path / "test.csv.gz"
    with train.open("w", newline="") as plain, gzip.open(test, "wt", newline="") as zip:
        for file in (plain, zip):
            csv.writer(file).writerows([("review", "stars"), *rows])
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


def test_the_quickstart_names_a_missing_column(files):
    done = run(*files, "--text", "body", "--label", "stars", check=False)
    assert done.returncode == 1
    assert "must have a column 'body', got ['review', 'stars']" in done.stderr
