"""Compare the speed of two checkouts of the package.

Each measurement runs in a new process, and the checkouts alternate. The time is the
processor time of the process. --before and --after are directories of checkouts; in
each, the package is imported from the directory. The last line of a part has the
ratios after / before: median (minimum to maximum) over the repetitions.

python benchmarks/speed.py --before DIRECTORY --data DIRECTORY [--part fit-trec ...]
"""

import argparse
import json
import os
import pickle
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

from _common import RESULTS, append, draw, read

FIT_ROWS, TEST_ROWS = 2000, 1000
TRANSFORM_ROWS = 2000
N_CALLS = 200
N_SHORT = 200_000


def fit(data, dataset, seed):
    """Time a default fit, and score it on test texts."""
    from sklearn_attnft import AttentionFineTuneClassifier

    train = draw(*read(data, dataset, "train"), FIT_ROWS, seed)
    test = draw(*read(data, dataset, "test"), TEST_ROWS, 0)
    clf = AttentionFineTuneClassifier(random_state=seed)
    seconds = timed(lambda: clf.fit(*train))
    return {"cpu_seconds": seconds, "accuracy": round(clf.score(*test), 4)}


def frozen(data, dataset, seed):
    """Time fits on a frozen encoder, and one pass of the encoder over the texts.

    The cached fit finds the hidden states of all texts in the cache.
    """
    from sklearn_attnft import AttentionFineTuneClassifier, TransformerFeatureExtractor

    texts, labels = draw(*read(data, dataset, "train"), FIT_ROWS, seed)
    extractor = TransformerFeatureExtractor().fit(texts[:1])
    extractor.transform(texts[:200])
    row = {"encode_cpu_seconds": timed(lambda: extractor.transform(texts))}
    clf = AttentionFineTuneClassifier(trainable_layers=0, random_state=seed)
    row["cpu_seconds"] = timed(lambda: clf.fit(texts, labels))
    with tempfile.TemporaryDirectory() as cache:
        clf.set_params(cache=cache).fit(texts, labels)
        row["cached_cpu_seconds"] = timed(lambda: clf.fit(texts, labels))
    return row


def transform(data, dataset, seed, precision):
    """Time the features of texts."""
    from sklearn_attnft import TransformerFeatureExtractor

    texts, _ = draw(*read(data, dataset, "test"), TRANSFORM_ROWS, seed)
    extractor = TransformerFeatureExtractor(precision=precision).fit(texts[:1])
    extractor.transform(texts[:200])
    return {"cpu_seconds": timed(lambda: extractor.transform(texts))}


def one_text(data, dataset, seed, precision):
    """Time predictions of one text, and the forward pass of the bare encoder."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    from sklearn_attnft import AttentionFineTuneClassifier
    from sklearn_attnft._hf import DEFAULT_ENCODER, find_encoder

    texts, labels = draw(*read(data, dataset, "train"), N_CALLS, seed)
    clf = AttentionFineTuneClassifier(
        max_epochs=1, trainable_layers=0, precision=precision, random_state=0
    ).fit(texts, labels)
    source = str(find_encoder(DEFAULT_ENCODER))
    model, tokenizer = AutoModel.from_pretrained(source), None
    tokenizer = AutoTokenizer.from_pretrained(source)
    inputs = [tokenizer(text, return_tensors="pt") for text in texts]

    @torch.inference_mode()
    def encode():
        for each in inputs:
            model(**each)

    def predict():
        for text in texts:
            clf.predict_proba([text])

    ours, bare = [], []
    for _ in range(4):
        ours.append(timed(predict))
        bare.append(timed(encode))
    return {
        "cpu_seconds": statistics.median(ours[1:]) / N_CALLS,
        "bare_cpu_seconds": statistics.median(bare[1:]) / N_CALLS,
    }


def memory():
    """Measure the peak of additional memory of a large transform, in MiB."""
    sys.path.append(str(Path(__file__).resolve().parents[1]))  # after the checkout
    from benchmarks.peers.memory import peak

    return {"mebibytes": peak(N_SHORT)["peak"]["mebibytes"]}


# Prints the processor time of a process that loads a classifier and predicts a text.
START = """
import pickle, sys, time
with open(sys.argv[1], "rb") as file:
    clf = pickle.load(file)
clf.predict_proba(["how far is it from here to the sea"])
print(time.process_time())
"""


def start(pickled):
    """Time a new process: the imports, loading a classifier and its first prediction.

    The process is another one than this one, which has imported more.
    """
    command = [sys.executable, "-c", START, pickled]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return {"cpu_seconds": float(done.stdout)}


def write_pickle(data, path):
    """Write the classifier for :func:`start`."""
    from sklearn_attnft import AttentionFineTuneClassifier

    train = draw(*read(data, "trec", "train"), 60, 0)
    clf = AttentionFineTuneClassifier(max_epochs=1, random_state=0).fit(*train)
    Path(path).write_bytes(pickle.dumps(clf))


def timed(function):
    """Return the processor seconds of a call."""
    start = time.process_time()
    function()
    return round(time.process_time() - start, 5)


FITTED = ["trec", "ag_news", "clinc150", "massive_en", "dbpedia14"]
FITTED += ["yelp_polarity_like", "yelp_full_like", "imdb"]
PARTS = {
    **{
        f"fit-{name}": lambda o, name=name: fit(o.data, name, o.seed) for name in FITTED
    },
    "frozen-trec": lambda o: frozen(o.data, "trec", o.seed),
    "frozen-ag_news": lambda o: frozen(o.data, "ag_news", o.seed),
    "transform": lambda o: transform(o.data, "ag_news", o.seed, "auto"),
    "transform-float32": lambda o: transform(o.data, "ag_news", o.seed, "float32"),
    "one-text": lambda o: one_text(o.data, "trec", o.seed, "auto"),
    "one-text-float32": lambda o: one_text(o.data, "trec", o.seed, "float32"),
    "memory": lambda o: memory(),
    "start": lambda o: start(o.pickled),
}


def in_checkout(checkout, *arguments):
    """Run this script with the package of a checkout; return what it prints."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(checkout),
        "OMP_NUM_THREADS": "1",
        "HF_HUB_OFFLINE": "1",
    }
    done = subprocess.run(
        [sys.executable, __file__, *map(str, arguments)],
        env=environment,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return done.stdout.strip()


def commit_of(checkout):
    """Return the last commit of a checkout, or "" if it is not a repository."""
    command = ["git", "-C", str(checkout), "rev-parse", "--short", "HEAD"]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    return done.stdout.strip()


def compare(part, options, folder):
    """Run a part in both checkouts in turn, and write all results."""
    checkouts = {"before": options.before, "after": options.after}
    # A checkout may not read the pickles of another one.
    pickles = {name: folder / f"{name}.pickle" for name in checkouts}
    for name in checkouts if part == "start" else ():
        arguments = ["--data", options.data, "--write", pickles[name]]
        in_checkout(checkouts[name], *arguments)
    measured = {name: [] for name in checkouts}
    for seed in range(options.repeats):
        for name in sorted(checkouts, reverse=seed % 2 == 0):
            arguments = ["--data", options.data, "--part", part, "--seed", seed]
            arguments += ["--pickled", pickles[name], "--measure"]
            found = json.loads(in_checkout(checkouts[name], *arguments))
            measured[name].append(found)
            key = {"part": part, "of": name, "commit": commit_of(checkouts[name])}
            append(options.results, {**key, "seed": seed, "threads": 1, **found})
    report(part, measured)


def report(part, measured):
    """Print the ratios after / before of a part, and the means of both."""
    rows = list(zip(measured["after"], measured["before"], strict=True))
    for key in measured["after"][0]:
        ratios = sorted(after[key] / before[key] for after, before in rows)
        values = [
            statistics.mean(row[key] for row in measured[name]) for name in measured
        ]
        print(
            f"{part}, {key}: {statistics.median(ratios):.3f} "
            f"({ratios[0]:.3f} to {ratios[-1]:.3f}), means {values[0]:.4g} before and "
            f"{values[1]:.4g} after"
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default="data")
    parser.add_argument("--before", help="directory of the earlier checkout")
    parser.add_argument("--after", default=Path(__file__).resolve().parents[1])
    parser.add_argument("--part", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--results", type=Path, default=RESULTS / "speed.jsonl")
    parser.add_argument("--seed", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--pickled", help=argparse.SUPPRESS)
    parser.add_argument("--write", help=argparse.SUPPRESS)
    parser.add_argument("--measure", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    if options.write:
        write_pickle(options.data, options.write)
    elif options.measure:
        print(json.dumps(PARTS[options.part[0]](options)))
    else:
        with tempfile.TemporaryDirectory() as folder:
            for part in options.part:
                compare(part, options, Path(folder))


if __name__ == "__main__":
    main()
