"""No process waits forever for a lock that a fork has copied."""

import contextlib
import copy
import json
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import tiny
import torch
from tqdm import tqdm

import sklearn_attnft
from sklearn_attnft import (
    AttentionFineTuneClassifier,
    MultiTaskClassifier,
    TransformerFeatureExtractor,
)
from sklearn_attnft._cache import Counts, claim
from sklearn_attnft._utils import _process, _progress_bar
from sklearn_attnft._utils._process import ForkableLock

pytestmark = [
    pytest.mark.skipif(
        not hasattr(os, "fork"), reason="forks; ends where the system has os.fork"
    ),
    # Python warns about forks of processes with threads.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]
X = ["good day", "bad dog", "lovely night", "awful rain", "good man", "sad"] * 4
Y = ["good", "bad"] * 12
SMALL = {"max_length": 32, "random_state": 0, "precision": "float32"}


def classifier(encoder=tiny.ENCODER, **params):
    return AttentionFineTuneClassifier(
        encoder, **{**SMALL, "max_epochs": 1, "trainable_layers": 0, **params}
    )


def extractor(**params):
    return TransformerFeatureExtractor(tiny.ENCODER, **SMALL, **params)


def everything(directory, **params):
    """Call each public method."""
    lm = {"lm_epochs": 1, "contrastive_epochs": 1, "lm_weight": 0.1}
    shown = {**params, "cache": directory / "cache", "checkpoint_dir": directory / "c"}
    classifier(**shown, **lm, trainable_layers=1).fit(X, Y, X_val=X, y_val=Y)
    clf = classifier(**shown)
    clf.estimate_fit(X, Y)
    clf.fit(X, Y)
    for name in ("predict", "predict_proba", "decision_function", "transform"):
        getattr(clf, name)(X)
    clf.explain(X, attribution="gradient", words=True)
    clf.faithfulness(X[:2])
    clf.score(X, Y)
    clf.cache_info()
    pickle.loads(pickle.dumps(clf)).predict(X)
    clf.load(clf.save(directory / "saved")).predict(X)
    several = MultiTaskClassifier(clf).fit(X, {"mood": Y, "number": [1, 2, 3] * 8})
    several.score(X, several.predict(X))
    several.task("mood").predict(X)
    extractor(**shown, lm_epochs=1).fit(X).transform(X)


def test_no_bar_is_made_if_none_is_shown(tmp_path, monkeypatch):
    def refuse(cls, *args, **kwargs):
        raise AssertionError("tqdm takes a lock, also with disable=True")

    monkeypatch.setattr(tqdm, "__new__", refuse)
    everything(tmp_path)


def test_a_bar_does_not_wait_for_the_lock_of_other_bars(tmp_path, capfd):
    done = threading.Event()

    def run():
        everything(tmp_path, verbose=1)
        done.set()

    with tqdm.get_lock():  # as a killed child leaves it
        threading.Thread(target=run, daemon=True).start()
        assert done.wait(60)
    assert "fit" in capfd.readouterr().err


def in_child(work, seconds=60):
    """Run a function in a forked child; return its exit code, negative if killed."""
    child = os.fork()
    if child == 0:
        signal.alarm(seconds)
        with contextlib.suppress(BaseException):
            work()
            os._exit(0)
        os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@contextlib.contextmanager
def held_elsewhere(locks):
    """Let another thread hold locks."""
    held, over = threading.Event(), threading.Event()

    def hold():
        with contextlib.ExitStack() as stack:
            for lock in locks:
                stack.enter_context(lock)
            held.set()
            over.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait()
    yield
    over.set()
    thread.join()


def test_a_child_does_not_wait_for_a_thread_of_its_parent(tmp_path):
    counts = Counts()
    clf = classifier(cache="memory").fit(X, Y)
    clf.predict(X)

    def work():
        with contextlib.ExitStack() as stack:
            for lock in list(_process._LOCKS):
                stack.enter_context(lock)
        counts.add(1, 1)
        everything(tmp_path, verbose=1)
        clf.predict(X)

    bars = _progress_bar._bar_class().get_lock()
    assert counts._lock in _process._LOCKS
    assert bars in _process._LOCKS
    with held_elsewhere(list(_process._LOCKS)):
        assert in_child(work) == 0


def test_a_thread_that_forks_keeps_its_lock():
    lock = ForkableLock()

    def work():
        with lock:
            pass
        lock.release()
        with held_elsewhere([lock]):  # it was released
            pass

    with lock:
        assert in_child(work, seconds=10) == 0


def test_a_lock_is_freed():
    before = len(_process._LOCKS)
    Counts()
    assert len(_process._LOCKS) == before


def test_every_lock_in_use_during_a_prediction_is_forkable():
    # The stores of a cache have ordinary locks: a child opens new stores.
    known = {"_utils/_process.py", "_cache/_directory.py", "_cache/_memory.py"}
    known.add("predictor.py")  # a child gets a new lock
    package = Path(sklearn_attnft.__file__).parent
    users = {
        path.relative_to(package).as_posix()
        for path in package.rglob("*.py")
        if "threading.Lock(" in path.read_text()
        or "threading.RLock(" in path.read_text()
    }
    assert users == known


@pytest.fixture(scope="module")
def many_words(tmp_path_factory):
    """Return an encoder whose weights are copied and checked in two threads."""
    words = [*tiny.WORDS, *(f"word{i}" for i in range(20_000))]
    return tiny.save_tiny_encoder(tmp_path_factory.mktemp("many"), words=words)


@pytest.fixture
def two_threads():
    """Set torch to two threads and start them with a computation."""
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    torch.rand(2000, 2000).exp()
    yield
    torch.set_num_threads(threads)


IN_CHILD = {
    "dumps": lambda clf, path: pickle.dumps(clf),
    "loads": lambda clf, path: pickle.loads((path / "pickle").read_bytes()),
    "save": lambda clf, path: clf.save(path / "new"),
    "load": lambda clf, path: clf.load(path / "saved"),
    "deepcopy": lambda clf, path: copy.deepcopy(clf),
    "explain": lambda clf, path: clf.explain(X, attribution="integrated_gradients"),
    "faithfulness": lambda clf, path: clf.faithfulness(X),
    "layers": lambda clf, path: clf.layer_attention_,
    "cache": lambda clf, path: copy.copy(clf).set_params(cache=path).predict(X),
    "fit": lambda clf, path: copy.copy(clf).fit(X, Y),
    "estimate": lambda clf, path: clf.estimate_fit(X, Y),
}


@pytest.mark.parametrize("weights", ["full", "delta"])
@pytest.mark.parametrize("work", IN_CHILD.values(), ids=IN_CHILD)
def test_a_child_does_not_wait_for_threads_of_torch(
    work, weights, many_words, two_threads, tmp_path
):
    clf = classifier(many_words, pickle_weights=weights).fit(X, Y)
    (tmp_path / "pickle").write_bytes(pickle.dumps(clf))
    clf.save(tmp_path / "saved")
    clf.predict(X * 20)
    assert in_child(lambda: work(clf, tmp_path)) == 0


@pytest.mark.parametrize("n_threads", [1, 2])
def test_children_that_are_killed_while_threads_predict_stop_nobody(n_threads):
    path = Path(__file__).parent / "forking.py"
    environment = {**os.environ, "OMP_NUM_THREADS": str(n_threads)}
    environment["PYTHONPATH"] = os.pathsep.join(sys.path)
    command = [sys.executable, str(path), "20", str(n_threads)]
    found = json.loads(subprocess.check_output(command, env=environment, timeout=300))
    assert found.pop("parent_calls") >= 6
    assert found == {
        "forks": 20,
        "kills": 10,
        "answers": 10,
        "parent_waits": False,
        "wrong": 0,
    }


# Locks a name and forks a child that lives on after it is killed.
FORKS = """
import os, sys, time
from sklearn_attnft._cache import claim
release = claim(sys.argv[1], "name.lock", wait=True)
child = os.fork()
if child:
    print(child, flush=True)
time.sleep(600)
"""


def test_the_child_of_a_killed_process_does_not_keep_its_lock(tmp_path):
    command = [sys.executable, "-c", FORKS, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        child = int(process.stdout.readline())
        assert claim(tmp_path, "name.lock", wait=False) is None
        process.kill()
        process.wait()
        deadline, release = time.monotonic() + 10, None
        while release is None and time.monotonic() < deadline:
            release = claim(tmp_path, "name.lock", wait=False)
        os.kill(child, signal.SIGKILL)
    assert release is not None
