"""Measure the memory of predictions for many short texts (Linux only).

python benchmarks/memory.py [--texts 200000 1000000]

A classifier with the default parameters predicts texts from a list, whose memory is not
counted, and texts that a sequence computes when they are read. "above_start" is the
largest increase of the resident memory during ``predict``, with its output. Each
measurement runs in a new process and appends one JSON line to results/memory.jsonl. Use
one thread (OMP_NUM_THREADS=1).
"""

import argparse
import gc
import multiprocessing
import time
from collections.abc import Sequence
from pathlib import Path

from _common import RESULTS, append, mebibytes

from sklearn_attnft import AttentionFineTuneClassifier
from sklearn_attnft.datasets import load_support_tickets


class Orders(Sequence):
    """Texts that are computed when they are read."""

    def __init__(self, n):
        self.n = n

    def __len__(self):
        return self.n

    def __getitem__(self, i):
        if isinstance(i, slice):
            return [self[each] for each in range(*i.indices(self.n))]
        if not 0 <= i < self.n:
            raise IndexError(i)
        return f"order {i} is on its way"


def measure(container, n):
    """Return a row of results."""
    train = load_support_tickets(subset="train", return_X_y=True)
    texts, labels = (list(each)[:64] for each in train)
    clf = AttentionFineTuneClassifier(max_epochs=1, random_state=0).fit(texts, labels)
    clf.predict(texts)
    X = Orders(n)
    if container == "list":
        X = list(X)
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")  # resets the peak
    before, start = mebibytes("VmRSS"), time.process_time()
    output = clf.predict(X)
    return {
        "container": container,
        "n_texts": n,
        "above_start_mebibytes": round(mebibytes("VmHWM") - before, 1),
        "output_mebibytes": round(output.nbytes / 2**20, 1),
        "cpu_seconds": round(time.process_time() - start, 1),
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--texts", nargs="+", type=int, default=[200_000, 1_000_000])
    spawn = multiprocessing.get_context("spawn")
    for n in parser.parse_args().texts:
        for container in ("list", "sequence"):
            with spawn.Pool(1) as pool:
                row = pool.apply(measure, (container, n))
            append(RESULTS / "memory.jsonl", row)
