"""Compare exported models with torch: equality, accuracy, time, start and memory.

python benchmarks/export.py --data DIRECTORY --serving PYTHON

PYTHON is the interpreter of an environment with only numpy, onnxruntime and tokenizers.
A classifier with the default parameters is fitted on 1,000 texts of each data set and
predicts up to 1,000 test texts. Torch and the exports take turns, three rounds, in
float32 and on one thread; times are medians of processor time. ``--sets`` selects data
sets, and ``--seeds`` training texts. Each fit appends one JSON line to
results/export.jsonl. With ``--equal``, models of several kinds are fitted on 300 texts
instead, and the environment of PYTHON predicts the test texts; each model appends one
line to results/export_equal.jsonl.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

import joblib
import numpy as np
import torch
from _common import RESULTS, append, read

from sklearn_attnft import AttentionFineTuneClassifier, MultiTaskClassifier
from sklearn_attnft.predictor import OnnxPredictor

SETS = {
    "trec": ("train", "test"),
    "ag_news": ("train_small", "test_small"),
    "imdb": ("train_small", "test_small"),
    "massive_en": ("train", "test"),
}
ROUNDS = 3
EQUAL = {
    "attention": {},
    "lstm": {"head": "lstm"},
    "concat": {"pooling": "concat"},
    "windows": {"max_length": 64, "long_texts": "window"},
    "tasks": {},
}
# Predicts texts.json with an exported directory.
PREDICT = """
import json, sys
import numpy as np
from predictor import OnnxPredictor
model = OnnxPredictor(".", threads=1)
texts = json.load(open("../texts.json"))
found = model.predict_proba(texts)
np.savez("../found.npz", *(found if isinstance(found, list) else [found]))
assert not {"torch", "transformers", "sklearn"} & set(sys.modules)
"""
# Prints the processor time and the resident memory after the first answer.
FIRST_ANSWER = {
    "torch": "import joblib; joblib.load('model.joblib').predict_proba(['It rains.'])",
    "float32": "from predictor import OnnxPredictor; "
    "OnnxPredictor('.', threads=1).predict_proba(['It rains.'])",
}
REPORT = """
import os, time
seconds = time.process_time()
pages = int(open("/proc/self/statm").read().split()[1])
print(seconds, pages * os.sysconf("SC_PAGE_SIZE") / 2**20)
"""


def sample(data, name, part, n, seed=0):
    """Sample `n` texts and labels of a part at random."""
    texts, labels = read(data, name, part)
    rows = np.random.default_rng(seed).permutation(len(texts))[:n]
    return [texts[i] for i in rows], np.array([labels[i] for i in rows])


def measure(models, texts):
    """Return the median milliseconds of one text and of all texts, by model."""
    one, all_texts = {name: [] for name in models}, {name: [] for name in models}
    for _ in range(ROUNDS):
        for name, model in models.items():
            model.predict_proba(texts[:1])
            start = time.process_time()
            for text in texts[:30]:
                model.predict_proba([text])
            one[name].append((time.process_time() - start) / 30)
            start = time.process_time()
            model.predict_proba(texts)
            all_texts[name].append(time.process_time() - start)
    return [
        {name: round(1e3 * float(np.median(times)), 2) for name, times in each.items()}
        for each in (one, all_texts)
    ]


def first_answer(python, directory, code):
    """Return processor seconds and megabytes of a new process, as medians."""
    runs = []
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    if python == sys.executable:
        environment = dict(os.environ)
    for _ in range(ROUNDS):
        done = subprocess.run(
            [python, "-c", code + REPORT],
            cwd=directory,
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        runs.append([float(each) for each in done.stdout.split()])
    return np.round(np.median(runs, axis=0), 3).tolist()


def installed(python):
    """Return the megabytes of the packages of an environment, without pip."""
    code = "import numpy; print(numpy.__path__[0])"
    found = subprocess.run([python, "-c", code], capture_output=True, text=True)
    packages = Path(found.stdout.strip()).parent
    tools = ("pip", "setuptools", "pkg_resources")
    files = [
        path
        for path in packages.rglob("*")
        if path.is_file() and not path.relative_to(packages).parts[0].startswith(tools)
    ]
    return round(sum(path.stat().st_size for path in files) / 2**20)


def run(data, name, serving, seed):
    train, test = SETS[name]
    clf = AttentionFineTuneClassifier(random_state=seed)
    train_texts, train_labels = sample(data, name, train, 1000, seed)
    clf.fit(train_texts, train_labels)
    clf.set_params(precision="float32")
    texts, labels = sample(data, name, test, 1000)
    with tempfile.TemporaryDirectory() as directory:
        paths = {each: Path(directory, each) for each in ("float32", "int8")}
        clf.export_onnx(paths["float32"])
        check = train_texts[:300]
        clf.export_onnx(paths["int8"], quantize="int8", check_texts=check)
        models = {"torch": clf}
        models |= {k: OnnxPredictor(path, threads=1) for k, path in paths.items()}
        found = {k: model.predict_proba(texts) for k, model in models.items()}
        predicted = {k: clf.classes_[p.argmax(axis=1)] for k, p in found.items()}
        ms_one, ms_all = measure(models, texts)
        row = {"dataset": name, "seed": seed, "n_texts": len(texts)}
        for k in paths:
            distance = np.abs(found[k] - found["torch"]).max()
            row[f"{k}_difference"] = float(f"{distance:.2g}")
            changed = predicted[k] != predicted["torch"]
            row[f"{k}_changed_labels"] = int(changed.sum())
        accuracy = {
            k: round(float(np.mean(p == labels)), 4) for k, p in predicted.items()
        }
        row |= {"accuracy": accuracy, "ms_one": ms_one, "ms_all": ms_all}
        joblib.dump(clf, Path(directory, "model.joblib"))
        onnx_code, torch_code = FIRST_ANSWER["float32"], FIRST_ANSWER["torch"]
        start = {k: first_answer(serving, path, onnx_code) for k, path in paths.items()}
        start["torch"] = first_answer(sys.executable, directory, torch_code)
    row["start_seconds_and_megabytes"] = start
    row["installed_megabytes"] = installed(serving)
    append(RESULTS / "export.jsonl", row)


def fit_kind(kind, texts, labels):
    """Fit one of the models of EQUAL. "tasks" has one task of tags."""
    clf = AttentionFineTuneClassifier(random_state=0, max_epochs=1, **EQUAL[kind])
    if kind != "tasks":
        return clf.fit(texts, labels)
    tags = [
        {label, "long"} if len(text) > 60 else {label}
        for text, label in zip(texts, labels, strict=True)
    ]
    return MultiTaskClassifier(clf).fit(texts, {"label": labels, "tags": tags})


def compare(data, name, kind, serving):
    """Compare probabilities and labels of one model with torch."""
    train, test = SETS[name]
    model = fit_kind(kind, *sample(data, name, train, 300))
    model.set_params(**{"estimator__" * (kind == "tasks") + "precision": "float32"})
    texts, _ = sample(data, name, test, 1000)
    expected = model.predict_proba(texts)
    expected = expected if isinstance(expected, list) else [expected]
    with tempfile.TemporaryDirectory() as directory:
        Path(directory, "texts.json").write_text(json.dumps(texts))
        path = model.export_onnx(Path(directory, "model"))
        environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
        code = [serving, "-W", "ignore", "-c", PREDICT]
        subprocess.run(code, cwd=path, env=environment, check=True)
        found = list(np.load(Path(directory, "found.npz")).values())
    distance = max(np.abs(f - e).max() for f, e in zip(found, expected, strict=True))
    changed = [decide(f) != decide(e) for f, e in zip(found, expected, strict=True)]
    row = {"dataset": name, "kind": kind, "n_texts": len(texts)}
    row["difference"] = float(f"{distance:.2g}")
    row["changed_labels"] = int(sum(each.sum() for each in changed))
    append(RESULTS / "export_equal.jsonl", row)


def decide(probabilities):
    """Return classes, or 0 and 1 for the tags, whose rows do not sum to 1."""
    one_class = np.allclose(probabilities.sum(axis=1), 1, atol=1e-3)
    return probabilities.argmax(axis=1) if one_class else probabilities > 0.5


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True, help="directory with the data sets")
    parser.add_argument("--serving", required=True, help="Python of the three packages")
    parser.add_argument("--sets", nargs="+", default=list(SETS), choices=list(SETS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--equal", action="store_true", help="compare predictions only")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore", message=".*longer than max_length")
    warnings.filterwarnings("ignore", message="quantize='int8' changes")
    for each in arguments.sets:
        if not arguments.equal:
            for seed in arguments.seeds:
                run(arguments.data, each, arguments.serving, seed)
            continue
        for kind in EQUAL:
            compare(arguments.data, each, kind, arguments.serving)
