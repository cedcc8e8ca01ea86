"""Helpers of the benchmarks: data sets, sampling, the baseline and result files."""

import collections
import datetime
import gzip
import io
import json
import platform
import time
import warnings
from pathlib import Path

import pandas as pd
import sklearn
import torch
import transformers
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline

from sklearn_attnft._runtime._device import resolve_device, resolve_dtype

RESULTS = Path(__file__).parent / "results"


def read_frame(data, name, part):
    """Return a part of a data set as a data frame of str columns."""
    path = Path(data) / name / f"{part}.csv.gz"
    with gzip.open(path) as file:
        return pd.read_csv(io.BytesIO(file.read()), dtype=str, keep_default_na=False)


def read(data, name, part, label="label"):
    """Return the texts and the labels of a part of a data set, as lists of str."""
    frame = read_frame(data, name, part)
    return frame["text"].tolist(), frame[label].tolist()


def draw_rows(frame, n, seed):
    """Sample `n` rows at random. If `n` is None, return all rows."""
    return frame if n is None else frame.sample(n, random_state=seed)


def find_strata(labels):
    """Return the labels for stratification, with all rare classes as one stratum."""
    labels = list(labels)
    counts = collections.Counter(labels)
    return [label if counts[label] >= 5 else "rare" for label in labels]


def draw(texts, labels, n, seed):
    """Sample `n` texts, stratified by label. If `n` is None, return all texts."""
    if n is None or n >= len(texts):
        return texts, labels
    texts, _, labels, _ = train_test_split(
        texts, labels, train_size=n, stratify=find_strata(labels), random_state=seed
    )
    return texts, labels


def development_split(data, name, n, n_dev, seed):
    """Split the training data, so that choosing defaults reads no test data."""
    part = "train" if name == "trec" else "train_small"
    texts, labels = read(data, name, part)
    texts, dev_texts, labels, dev_labels = train_test_split(
        texts, labels, test_size=0.2, stratify=labels, random_state=seed
    )
    return *draw(texts, labels, n, seed), *draw(dev_texts, dev_labels, n_dev, seed)


def baseline():
    """Return TF-IDF and logistic regression, with settings that suit most texts."""
    return make_pipeline(
        TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, min_df=2),
        LogisticRegression(C=10, max_iter=1000),
    )


def fit_and_score(estimator, texts, labels, test_texts, test_labels, **fit_params):
    """Fit and score an estimator. Return its accuracy and the seconds it took.

    `fit_cpu_seconds` is the processor time of the fit, summed over all cores.
    """
    start, process = time.perf_counter(), time.process_time()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*longer than max_length")
        estimator.fit(texts, labels, **fit_params)
    fitted, process = time.perf_counter(), time.process_time() - process
    accuracy = estimator.score(test_texts, test_labels)
    return {
        "accuracy": round(accuracy, 4),
        "fit_seconds": round(fitted - start, 1),
        "fit_cpu_seconds": round(process, 1),
        "score_seconds": round(time.perf_counter() - fitted, 1),
    }


def processor():
    """Return vendor, family and model of the processor, or what the platform says."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    about = dict(map(str.strip, line.split(":", 1)) for line in lines if ":" in line)
    if "cpu family" not in about:
        return platform.processor()
    return "{vendor_id} family {cpu family} model {model}".format_map(about)


def machine():
    """Return the date, the machine, the versions and the data type of a result.

    "precision" is the data type for ``precision="auto"``, which is the default.
    """
    where = [
        platform.machine(),
        f"{torch.get_num_threads()} threads",
        torch.backends.cpu.get_cpu_capability(),
    ]
    if torch.cuda.is_available():
        where.append(torch.cuda.get_device_name())
    return {
        "date": datetime.date.today().isoformat(),
        "machine": ", ".join(where),
        "processor": processor(),
        "precision": str(resolve_dtype("auto", resolve_device("auto"))),
        "versions": f"torch {torch.__version__}, transformers "
        f"{transformers.__version__}, scikit-learn {sklearn.__version__}",
    }


def mebibytes(name):
    """Return a memory statistic of this process, see proc_pid_status(5)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    kibibytes = next(line for line in lines if line.startswith(name)).split()[1]
    return round(int(kibibytes) / 1024, 1)


def already(path, keys):
    """Return the settings whose results are in a file, to skip them in a new run."""
    if not path.exists():
        return set()
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    return {json.dumps([row[key] for key in keys]) for row in rows}


def append(path, row):
    """Print a result and append it to a file. If `path` is None, only print it."""
    line = json.dumps({**row, **machine()})
    if path is not None:
        path.parent.mkdir(exist_ok=True)
        with path.open("a") as file:
            file.write(line + "\n")
    print(line, flush=True)
