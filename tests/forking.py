"""Fork a process whose threads predict; kill some children, and wait for the others."""

import contextlib
import os
import pickle
import random
import select
import signal
import sys
import threading
import time

import numpy as np
import tiny

from sklearn_attnft import AttentionFineTuneClassifier, TransformerFeatureExtractor

PATIENCE = 60  # seconds after which an answer does not come any more
TEXTS = [" ".join(tiny.WORDS[i : i + 9]) for i in range(0, 90, 3)]


def make_reads(directory):
    """Return functions without arguments that return the same array in each call."""
    small = {"max_length": 32, "random_state": 0, "precision": "float32"}
    labels = ["good", "bad", "ugly"] * 10

    def classifier(**params):
        params = {**small, "max_epochs": 1, "trainable_layers": 0, **params}
        return AttentionFineTuneClassifier(tiny.ENCODER, **params).fit(TEXTS, labels)

    clf, cached = classifier(), classifier(cache=directory / "cache")
    features = TransformerFeatureExtractor(
        tiny.ENCODER, max_length=32, precision="float32", cache="memory"
    ).fit(TEXTS)
    pickled, path = pickle.dumps(clf), clf.save(directory / "saved")
    return [
        lambda: clf.predict_proba(TEXTS),
        lambda: clf.predict_proba(TEXTS[:1]),
        lambda: cached.predict_proba(TEXTS),
        lambda: features.transform(TEXTS),
        lambda: clf.explain(TEXTS, attribution="gradient")["attribution"].to_numpy(),
        lambda: pickle.loads(pickled).predict_proba(TEXTS),
        lambda: pickle.loads(pickle.dumps(clf)).predict_proba(TEXTS),
        lambda: AttentionFineTuneClassifier.load(path).predict_proba(TEXTS),
    ]


class Readers:
    """Threads that call functions in random order and compare the results."""

    def __init__(self, reads, n_threads):
        self.reads = reads
        self.expected = [read() for read in reads]
        self.wrong = []
        self.n_calls = [0] * n_threads
        self.stop = threading.Event()
        self.threads = [
            threading.Thread(target=self._run, args=(i,), daemon=True)
            for i in range(n_threads)
        ]

    def read(self, rng):
        """Call one function; return whether the result is right."""
        i = rng.randrange(len(self.reads))
        # Threads that share a cache find other hidden states: they are rounded.
        return np.allclose(self.reads[i](), self.expected[i], rtol=0, atol=1e-5)

    def _run(self, thread):
        rng = random.Random(thread)
        while not self.stop.is_set():
            if not self.read(rng):
                self.wrong.append(thread)
            self.n_calls[thread] += 1

    def go_on(self):
        """Return whether each thread ends a call and another one."""
        before, deadline = list(self.n_calls), time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            pairs = zip(self.n_calls, before, strict=True)
            if all(now >= then + 2 for now, then in pairs):
                return True
            time.sleep(0.01)
        return False


def fork(readers, n_forks, *, seed=0):
    """Fork a process while its threads predict; kill every second child.

    Returns
    -------
    dict
        "forks" and "kills"; "answers" is the number of other children that returned a
        right result, and "parent_calls" the number of calls of the threads.
        "parent_waits" says whether a thread stopped.
    """
    rng, kills, answers = random.Random(seed), 0, 0
    for thread in readers.threads:
        thread.start()
    for i in range(n_forks):
        time.sleep(rng.uniform(0, 0.02))
        ours, theirs = os.pipe()
        child = os.fork()
        if child == 0:
            _run_child(readers, random.Random(i), theirs, endless=i % 2)
        os.close(theirs)
        if i % 2:
            time.sleep(rng.uniform(0, 0.3))
            kills += 1
        else:
            ready, _, _ = select.select([ours], [], [], PATIENCE)
            answers += bool(ready) and os.read(ours, 1) == b"1"
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(ours)
    waits = not readers.go_on()
    readers.stop.set()
    for thread in readers.threads:
        thread.join(0 if waits else None)
    return {
        "forks": n_forks,
        "kills": kills,
        "answers": answers,
        "parent_calls": sum(readers.n_calls),
        "parent_waits": waits,
        "wrong": len(readers.wrong),
    }


def _run_child(readers, rng, pipe, *, endless):
    with contextlib.suppress(BaseException):
        is_right = readers.read(rng)
        while endless:
            readers.read(rng)
        os.write(pipe, b"1" if is_right else b"0")
    os._exit(0)


if __name__ == "__main__":
    import json
    import tempfile
    import warnings
    from pathlib import Path

    import torch

    n_forks, n_threads = map(int, sys.argv[1:])
    torch.set_num_threads(n_threads)
    warnings.simplefilter("ignore")  # Python warns about forks of threads
    if not os.path.exists(tiny.ENCODER):
        tiny.save_tiny_encoder()
    with tempfile.TemporaryDirectory() as directory:
        readers = Readers(make_reads(Path(directory)), 3)
        print(json.dumps(fork(readers, n_forks)))
