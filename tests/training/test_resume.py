"""A killed fit resumes and ends with the same weights, or warns why it does not."""

import contextlib
import dataclasses
import errno
import itertools
import json
import math
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
import tiny
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV
from skorch.callbacks import Callback, EarlyStopping, EpochTimer, ParamMapper

from sklearn_attnft import (
    AttentionFineTuneClassifier,
    MultiTaskClassifier,
    TransformerFeatureExtractor,
)
from sklearn_attnft._training import _loop, _resume
from sklearn_attnft._training._fingerprint import Fingerprint
from sklearn_attnft._utils._files import replaced

X = ["good day", "bad dog", "lovely night", "awful rain", "good man " * 9, "sad"] * 4
Y = ["good", "bad"] * 12


class Killed(BaseException):
    """Stands for a kill: the package does not catch it."""


@pytest.fixture
def kill(monkeypatch):
    """Return a function that kills fits after a number of training steps."""
    original = _loop._Net.train_step

    def after(n_steps):
        counter = itertools.count()

        def train_step(self, batch, **kwargs):
            if next(counter) == n_steps:
                raise Killed
            return original(self, batch, **kwargs)

        monkeypatch.setattr(_loop._Net, "train_step", train_step)

    return after


def weights(estimator):
    return {name: w.numpy() for name, w in estimator.module_.state_dict().items()}


def assert_same_fit(one, other):
    ours, theirs = weights(one), weights(other)
    assert ours.keys() == theirs.keys()
    for name, weight in ours.items():
        np.testing.assert_array_equal(weight, theirs[name], err_msg=name)
    for row, expected in zip(one.history_, other.history_, strict=True):
        assert {**row, "dur": 0} == {**expected, "dur": 0}


PARAMETERS = [
    {"dropout": 0.3, "encoder_dropout": 0.2},
    {"dropout": 0.3, "precision": "bfloat16"},
    {"lm_epochs": 2},
    {"lm_epochs": 1, "lm_weight": 0.5, "dropout": 0.2},
    {"early_stopping": True, "validation_fraction": 0.3, "n_iter_no_change": 1},
    {"gradual_unfreezing": True, "head": "lstm", "layer_decay": 0.9},
    {"micro_batch_size": 3, "dropout": 0.3, "class_weight": {"good": 2.0, "bad": 1.0}},
    {"trainable_layers": 0, "pooling": "max"},
    {"contrastive_epochs": 2, "encoder_dropout": 0.2},
    # The language model also trains the blocks that the classifier freezes.
    {"lm_epochs": 1, "trainable_layers": 1},
    {"lm_epochs": 1, "trainable_layers": 0},
    {"contrastive_epochs": 1, "trainable_layers": 1},
]


@pytest.mark.parametrize("parameters", PARAMETERS)
@pytest.mark.parametrize("minutes", [0.0, 10.0])  # a state per step, a state per epoch
def test_a_fit_goes_on_where_it_was_killed(parameters, minutes, small, kill, tmp_path):
    clf = AttentionFineTuneClassifier(**{**small, **parameters})
    expected = clf.fit(X, Y)
    kept = {"checkpoint_dir": tmp_path, "checkpoint_minutes": minutes}
    clf = AttentionFineTuneClassifier(**{**small, **parameters, **kept})
    kills = 0
    for n_steps in (0, 1, 2, 5, 1, 4, 3, 7):
        # An epoch has three steps. With a state per epoch, one must be completed.
        kill(n_steps if minutes == 0 else n_steps + 3)
        try:
            clf.fit(X, Y)
        except Killed:
            kills += 1
            assert not hasattr(clf, "module_")
            continue
        break
    assert kills >= (2 if minutes == 0 else 1)
    kill(math.inf)
    assert_same_fit(clf.fit(X, Y), expected)


def test_several_label_sets_go_on(small, kill, tmp_path):
    y = [["a", "x"], ["b", None], ["a", "y"], ["b", "x"], ["a", "y"], ["b", "x"]] * 4
    template = AttentionFineTuneClassifier(**small, dropout=0.2)
    expected = MultiTaskClassifier(template, task_weights="uncertainty").fit(X, y)
    template.set_params(checkpoint_dir=tmp_path, checkpoint_minutes=0)
    clf = MultiTaskClassifier(template, task_weights="uncertainty")
    for n_steps in (2, 3):
        kill(n_steps)
        with pytest.raises(Killed):
            clf.fit(X, y)
    kill(math.inf)
    assert_same_fit(clf.fit(X, y), expected)


def test_an_extractor_goes_on(small, kill, tmp_path):
    parameters = {"max_length": 32, "lm_epochs": 3, "random_state": 0}
    texts = [f"{text} number {i}" for i, text in enumerate(X * 4)]
    extractor = TransformerFeatureExtractor(small["encoder"], **parameters)
    expected = extractor.fit(texts)
    kept = {"checkpoint_dir": tmp_path, "checkpoint_minutes": 0}
    extractor = TransformerFeatureExtractor(small["encoder"], **parameters, **kept)
    for n_steps in (1, 2, 3):
        kill(n_steps)
        with pytest.raises(Killed):
            extractor.fit(texts)
    kill(math.inf)
    assert_same_fit(extractor.fit(texts), expected)


def test_a_finished_fit_is_not_run_again(small, kill, tmp_path):
    clf = AttentionFineTuneClassifier(**small, checkpoint_dir=tmp_path, lm_epochs=1)
    expected = clf.fit(X, Y).predict_proba(X)
    kill(0)
    np.testing.assert_array_equal(clf.fit(X, Y).predict_proba(X), expected)
    # Only the weights are kept.
    (state,) = tmp_path.glob("*/state.pt")
    assert state.stat().st_size < 1.5 * sum(w.nbytes for w in weights(clf).values())


def test_the_candidates_of_a_search_share_the_directory(small, kill, tmp_path):
    grid = {"pooling": ["mean", "max"], "learning_rate": [1e-3, 2e-3]}

    def search(**kept):
        clf = AttentionFineTuneClassifier(**small, **kept)
        return GridSearchCV(clf, grid, cv=2, refit=False, error_score="raise")

    expected = search().fit(X, Y).cv_results_["mean_test_score"]
    kill(14)
    with pytest.raises(Killed):
        search(checkpoint_dir=tmp_path).fit(X, Y)
    kill(math.inf)
    with warnings.catch_warnings():
        # The killed fit differs in one parameter from other candidates.
        warnings.filterwarnings(
            "ignore", message="checkpoint_dir has an unfinished fit"
        )
        found = search(checkpoint_dir=tmp_path).fit(X, Y).cv_results_["mean_test_score"]
    np.testing.assert_array_equal(found, expected)
    assert len(list(tmp_path.iterdir())) == 4  # the texts of both folds are equal
    kill(0)
    search(checkpoint_dir=tmp_path).fit(X, Y)


def test_a_random_state_instance_is_known_by_its_draw(small, kill, tmp_path):
    def fit():
        parameters = {**small, "random_state": np.random.RandomState(3)}
        clf = AttentionFineTuneClassifier(**parameters, checkpoint_dir=tmp_path)
        return clf.fit(X, Y)

    first = fit()
    kill(0)
    assert_same_fit(fit(), first)


def test_a_fit_that_nearly_matches_is_named_and_not_continued(small, kill, tmp_path):
    kept = {"checkpoint_dir": tmp_path, "checkpoint_minutes": 0}
    clf = AttentionFineTuneClassifier(**small, **kept)
    kill(4)
    with pytest.raises(Killed):
        clf.fit(X, Y)
    (folder,) = tmp_path.iterdir()
    kill(math.inf)
    clf.set_params(dropout=0.25)
    message = r"unfinished fit on .* with dropout=0\.1, but this fit has dropout=0\.25,"
    with pytest.warns(UserWarning, match=message) as caught:
        clf.fit(X, Y)
    assert str(folder) in str(caught[0].message)
    assert caught[0].filename == __file__
    expected = AttentionFineTuneClassifier(**small, dropout=0.25).fit(X, Y)
    assert_same_fit(clf, expected)
    # A fit with two other parameters, or of other data, does not warn.
    clf.set_params(dropout=0.3, max_epochs=2).fit(X, Y)
    clf.set_params(dropout=0.1, max_epochs=3).fit(X[:-2], Y[:-2])


# Locks the folder of a fit for as long as it runs.
HOLD = """
import sys, time
from pathlib import Path
from sklearn_attnft._training._resume import ResumeState
with ResumeState(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""


@contextlib.contextmanager
def fit_running_in(folder):
    """Let another process hold the lock of a fit; kill it at the end."""
    command = [sys.executable, "-c", HOLD, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"held\n"
        yield
        process.kill()


def killed_fit(clf, kill, directory):
    """Kill a fit in its second epoch; return its folder, with half of an old state."""
    clf.set_params(checkpoint_dir=directory, checkpoint_minutes=0)
    kill(4)
    with pytest.raises(Killed):
        clf.fit(X, Y)
    kill(math.inf)
    (folder,) = directory.iterdir()
    half = folder / "state.pt.abc.tmp"
    half.write_bytes(b"half")
    os.utime(half, (1, 1))
    return folder


def test_no_warning_of_a_similar_fit_that_is_running(small, kill, tmp_path):
    clf = AttentionFineTuneClassifier(**small)
    with fit_running_in(killed_fit(clf, kill, tmp_path)):
        clf.set_params(dropout=0.25).fit(X, Y)
    with pytest.warns(UserWarning, match="unfinished fit"):  # its process was killed
        clf.set_params(dropout=0.3).fit(X, Y)


def test_two_processes_may_run_the_same_fit(small, kill, tmp_path):
    clf = AttentionFineTuneClassifier(**small)
    folder = killed_fit(clf, kill, tmp_path)
    half = folder / "state.pt.def.tmp"
    half.write_bytes(b"half")  # by a process without the lock
    with fit_running_in(folder):
        assert not (folder / "state.pt.abc.tmp").exists()
        os.utime(half, (1, 1))
        clf.fit(X, Y)
        assert half.exists()
    assert_same_fit(clf, AttentionFineTuneClassifier(**small).fit(X, Y))


def test_a_file_system_without_locks_will_do(small, kill, tmp_path, monkeypatch):
    clf = AttentionFineTuneClassifier(**small)
    folder = killed_fit(clf, kill, tmp_path)

    def claim(directory, name, wait):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(_resume, "claim", claim)
    clf.fit(X, Y)
    assert (folder / "state.pt.abc.tmp").exists()
    assert_same_fit(clf, AttentionFineTuneClassifier(**small).fit(X, Y))


def test_what_changes_nothing_does_not_matter(small, tmp_path, kill):
    clf = AttentionFineTuneClassifier(**small, checkpoint_dir=tmp_path).fit(X, Y)
    kill(0)
    same = {"learning_rate": np.float64(1e-3), "checkpoint_minutes": 3, "device": "cpu"}
    clf.set_params(**same).fit(np.array(X, dtype=object), np.array(Y))
    kill(math.inf)
    clf.fit(X[::-1], Y[::-1])
    assert len(list(tmp_path.iterdir())) == 2


def stop_after(patience):
    return EarlyStopping("train_loss", patience=patience, threshold=1.0)


def test_callbacks_are_told_apart_by_their_parameters(small, tmp_path):
    clf = AttentionFineTuneClassifier(
        **small | {"max_epochs": 5}, checkpoint_dir=tmp_path
    )
    epochs = [
        clf.set_params(callbacks=[stop_after(n)]).fit(X, Y).n_iter_ for n in (1, 3)
    ]
    assert epochs == [2, 4]
    clf.set_params(callbacks=[EpochTimer(), ParamMapper("none", fn=lambda net: None)])
    with pytest.raises(
        ValueError,
        match=r"parameter must be .* got <function .* set checkpoint_dir=None",
    ):
        clf.fit(X, Y)


class Norms(Callback):
    """Records objects that are not plain data."""

    def on_batch_end(self, net, **kwargs):
        net.history.record_batch("norm", np.float64(1.0))
        net.history.record_batch("object", object())


def test_what_callbacks_record_does_not_spoil_the_state(small, kill, tmp_path):
    clf = AttentionFineTuneClassifier(
        **small, callbacks=[Norms()], checkpoint_dir=tmp_path
    )
    kill(4)
    with pytest.raises(Killed):
        clf.fit(X, Y)
    kill(math.inf)
    plain = AttentionFineTuneClassifier(**small).fit(X, Y)
    found, expected = weights(clf.fit(X, Y)), weights(plain)
    for name, weight in expected.items():
        np.testing.assert_array_equal(found[name], weight)


def test_an_encoder_of_the_same_weights_may_be_another(small, tmp_path):
    encoder = tmp_path / "encoder"
    shutil.copytree(tiny.ENCODER, encoder)
    parameters = {**small, "encoder": encoder, "checkpoint_dir": tmp_path / "c"}
    clf = AttentionFineTuneClassifier(**parameters).fit(X, Y)
    config = json.loads((encoder / "config.json").read_text())
    config["num_attention_heads"] = 4
    (encoder / "config.json").write_text(json.dumps(config))
    found = clf.fit(X, Y).predict_proba(X)
    fresh = clf.set_params(checkpoint_dir=None).fit(X, Y).predict_proba(X)
    np.testing.assert_array_equal(found, fresh)


def test_the_adapted_encoder_serves_every_pooling(kill, tmp_path):
    extractor = TransformerFeatureExtractor(
        tiny.ENCODER,
        max_length=32,
        lm_epochs=1,
        random_state=0,
        checkpoint_dir=tmp_path,
    ).fit(X)
    kill(0)
    extractor.set_params(pooling="max", layers="all").fit(X)


def test_a_collapse_is_said_of_a_finished_fit_too(small, tmp_path):
    clf = AttentionFineTuneClassifier(**small, checkpoint_dir=tmp_path)
    for _ in range(2):
        with pytest.warns(ConvergenceWarning):
            clf.fit(["good day"] * 40, ["rare"] + ["common"] * 39)


def test_what_a_killed_writer_left_is_swept(small, kill, tmp_path):
    clf = AttentionFineTuneClassifier(**small)
    folder = killed_fit(clf, kill, tmp_path)
    clf.fit(X, Y)
    names = {path.name for path in folder.iterdir()}
    assert names == {"fit.json", "state.pt", "running.lock"}


def test_a_folder_of_something_else_is_left_alone(small, tmp_path):
    almost = '{"parameters": {}, "data": ""}'
    other = '{"parameters": 1, "data": "", "finished": false}'
    for i, content in enumerate(['{"a": 1}', "[]", "not JSON", almost, other]):
        folder = tmp_path / f"mine{i}"
        folder.mkdir()
        (folder / "fit.json").write_text(content)
    AttentionFineTuneClassifier(**small, checkpoint_dir=tmp_path).fit(X, Y)


def test_a_directory_that_goes_away_ends_nothing(small, tmp_path):
    class Vandal(Callback):
        def on_epoch_end(self, net, **kwargs):
            shutil.rmtree(tmp_path / "c", ignore_errors=True)

    monkey = {**small, "checkpoint_dir": tmp_path / "c", "callbacks": [Vandal()]}
    Vandal.__qualname__ = "Vandal"  # as if it were defined in a module
    clf = AttentionFineTuneClassifier(**monkey)
    with pytest.warns(UserWarning, match="could not be written"):
        clf.fit(X, Y)
    assert clf.n_iter_ == 3


def test_halved_micro_batches_are_no_fit_to_go_back_to(small, monkeypatch, tmp_path):
    original = _loop._Net.infer
    calls = itertools.count()

    def infer(self, batch):
        if len(batch.input_ids) > 4 and next(calls) > 3:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return original(self, batch)

    monkeypatch.setattr(_loop._Net, "infer", infer)
    clf = AttentionFineTuneClassifier(**small, checkpoint_dir=tmp_path)
    with pytest.warns(UserWarning, match="micro_batch_size=4") as caught:
        clf.fit(X, Y)
    assert len(caught) == 1


def test_a_state_that_cannot_be_read_is_named(small, tmp_path):
    clf = AttentionFineTuneClassifier(**small, checkpoint_dir=tmp_path).fit(X, Y)
    (state,) = tmp_path.glob("*/state.pt")
    state.write_bytes(state.read_bytes()[:1000])
    with pytest.raises(
        ValueError, match=r"state\.pt cannot be read .* Delete this file"
    ):
        clf.fit(X, Y)


def test_a_state_runs_no_code(small, tmp_path):
    import pickle

    class Evil:
        def __reduce__(self):
            return (os.mkdir, (str(tmp_path / "it-ran"),))

    clf = AttentionFineTuneClassifier(**small, checkpoint_dir=tmp_path / "c").fit(X, Y)
    (state,) = tmp_path.glob("c/*/state.pt")
    state.write_bytes(pickle.dumps(Evil()))
    with pytest.raises(ValueError, match="cannot be read"):
        clf.fit(X, Y)
    assert not (tmp_path / "it-ran").exists()


def test_a_directory_that_is_none(small, tmp_path):
    path = tmp_path / "file"
    path.write_text("")
    clf = AttentionFineTuneClassifier(**small, checkpoint_dir=path)
    with pytest.raises(OSError, match=r"checkpoint_dir='.*file' cannot be written to"):
        clf.fit(X, Y)


def test_a_full_disk_ends_nothing(small, tmp_path, monkeypatch):
    def save(state, file):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", save)
    clf = AttentionFineTuneClassifier(**small, checkpoint_dir=tmp_path)
    with pytest.warns(UserWarning, match=r"could not be written .*No space left"):
        clf.fit(X, Y)
    assert_same_fit(clf, AttentionFineTuneClassifier(**small).fit(X, Y))
    (folder,) = tmp_path.iterdir()
    assert {path.name for path in folder.iterdir()} == {"fit.json", "running.lock"}


def test_weights_that_went_wrong_are_not_kept(small, tmp_path):
    kept = {"checkpoint_dir": tmp_path, "checkpoint_minutes": 0}
    wrong = {"learning_rate": 1e37, "warmup_fraction": 0.9, "max_grad_norm": None}
    clf = AttentionFineTuneClassifier(**{**small, **wrong, **kept})
    with pytest.raises(FloatingPointError, match=r"last good state is in .*") as caught:
        clf.fit(X, Y)
    (path,) = tmp_path.glob("*/state.pt")
    assert str(path.parent) in str(caught.value)
    state = torch.load(path, weights_only=True)
    assert all(weight.isfinite().all() for weight in state["module"].values())


@given(st.binary(max_size=20), st.binary(max_size=20), st.booleans())
def test_a_file_is_replaced_whole_or_not_at_all(before, after, is_killed):
    import tempfile

    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "file"
        path.write_bytes(before)
        try:
            with replaced(path) as file:
                file.write(after)
                if is_killed:
                    raise Killed
        except Killed:
            pass
        assert path.read_bytes() == (before if is_killed else after)
        assert list(Path(directory).iterdir()) == [path]


@pytest.mark.parametrize("make", [list, np.array, pd.Series, pl.Series, pd.DataFrame])
def test_fingerprints_read_all_values_of_a_container(make):
    def of(last):
        label_texts = {"a": make([*["a text of many words " * 5] * 99, last])}
        params = {"label_texts": label_texts}
        return Fingerprint.of(params, seed=0, encoder="e", data=label_texts)

    assert of("one").data == of("one").data != of("two").data
    assert of("one").name == of("one").name != of("two").name


texts = st.lists(st.text(max_size=4), max_size=4)


@given(texts, texts, st.floats(0, 1), st.floats(0, 1))
def test_fingerprints_are_the_same_for_the_same(one, other, rate, other_rate):
    def of(data, rate):
        params = {"learning_rate": rate, "verbose": rate}
        return Fingerprint.of(params, seed=0, encoder="e", data=data)

    assert (of(one, rate).data == of(other, rate).data) == (one == other)
    assert (of(one, rate).name == of(one, other_rate).name) == (rate == other_rate)
    differing = [] if rate == other_rate else ["learning_rate"]
    assert of(one, rate).differences(of(one, other_rate)) == differing


@dataclasses.dataclass(frozen=True)
class Sample:
    texts: list
    labels: object
    name: object = None


def data_to_hash():
    """Return data of all types. Some objects occur more than once in it."""
    word = "".join(["go", "od"])
    pair = (word, np.float64(0.5))
    table = np.arange(12.0).reshape(3, 4)
    return {
        "one": Sample([word, "good"], table, name=1),
        None: [pair, pair, ("good", np.float64(0.5))],
        2: (table, table.copy(), np.array([word, None], dtype=object)),
        "four": {"b": {}, "a": np.array(["x", "yz"]), word: np.zeros((2, 0))},
    }


def data_of_other_identity():
    """Return equal data with another order of dicts and another memory layout."""
    table = np.arange(12.0).reshape(3, 4)
    wide = np.repeat(table, 2, axis=1)
    pairs = [("".join(["goo", "d"]), np.float64(0.5)) for _ in range(3)]
    return {
        2: (np.asfortranarray(table), wide[:, ::2], np.array(["good", None])),
        "four": {"good": np.zeros((2, 0)), "a": np.array(["x", "yz"]), "b": {}},
        "one": Sample(["good"] * 2, wide[:, 1::2], name=1),
        None: pairs,
    }


def fingerprint_of(data):
    fingerprint = Fingerprint.of({}, seed=0, encoder=data, data=data)
    return f"{fingerprint.name} {fingerprint.data}"


@pytest.mark.parametrize("seed", ["0", "1", "2"])
def test_another_process_has_the_same_fingerprint(seed):
    expected = fingerprint_of(data_to_hash())
    assert fingerprint_of(data_of_other_identity()) == expected
    code = "import test_resume as t; print(t.fingerprint_of(t.data_to_hash()))"
    environment = {**os.environ, "PYTHONHASHSEED": seed}
    environment["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    found = subprocess.check_output([sys.executable, "-c", code], env=environment)
    assert found.decode().strip() == expected


DIFFERENT = [
    ["ab", "c"],
    ["a", "bc"],
    [["ab"], "c"],
    ["ab", ["c"]],
    [1, "c"],
    ["1", "c"],
    ["int 1", "c"],
    [1.0, "c"],
    [np.ones(4), "c"],
    [np.ones(4, dtype=np.float32), "c"],
    [np.ones((2, 2)), "c"],
    [np.array([1, 1, 1, -0.0]), "c"],
    [np.array([1, 1, 1, 0.0]), "c"],
    [None, "c"],
    ["None", "c"],
    ["\ud800", "c"],
    ["\ufffd", "c"],
    [Sample(["a"], None), "c"],
    [Sample(["a"], "c"), None],
]


def test_other_data_has_another_fingerprint():
    assert len({fingerprint_of(data) for data in DIFFERENT}) == len(DIFFERENT)


PARAMETERS_OF_A_LONG_FIT = {
    "max_length": 32,
    "max_epochs": 6,
    "batch_size": 8,
    "dropout": 0.3,
    "lm_epochs": 2,
    "random_state": 0,
    "checkpoint_minutes": 0,
}
SCRIPT = """
import sys
import numpy as np
from sklearn_attnft import AttentionFineTuneClassifier
from test_resume import PARAMETERS_OF_A_LONG_FIT, X, Y, weights
clf = AttentionFineTuneClassifier(sys.argv[1], **PARAMETERS_OF_A_LONG_FIT)
print("begin", flush=True)
np.savez(sys.argv[3], **weights(clf.set_params(checkpoint_dir=sys.argv[2]).fit(X, Y)))
"""


@contextlib.contextmanager
def fit_in_a_process(encoder, directory, output):
    """Start a fit in another process, and wait until it begins."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    environment["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    command = [sys.executable, "-c", SCRIPT, encoder, str(directory), str(output)]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"begin\n"
        yield process


def test_sigkill_loses_nothing(tiny_encoder, tmp_path):
    clf = AttentionFineTuneClassifier(tiny_encoder, **PARAMETERS_OF_A_LONG_FIT)
    expected = weights(clf.fit(X, Y))
    directory, output = tmp_path / "checkpoint", tmp_path / "output.npz"
    with fit_in_a_process(tiny_encoder, directory, output) as process:
        while not list(directory.glob("*/state.pt")):
            assert process.poll() is None
            time.sleep(0.001)
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    with fit_in_a_process(tiny_encoder, directory, output) as process:
        assert process.wait() == 0
    with np.load(output) as found:
        assert set(found.files) == expected.keys()
        for name in found.files:
            np.testing.assert_array_equal(found[name], expected[name])


@pytest.mark.parametrize("is_finished", [False, True])
def test_flipped_bits_of_a_state_are_refused(is_finished, small, tmp_path, kill):
    parameters = {**small, "max_epochs": 2, "checkpoint_dir": tmp_path}
    clf = AttentionFineTuneClassifier(**parameters, checkpoint_minutes=0)
    if is_finished:
        clf.fit(X, Y)
    else:
        kill(4)
        with pytest.raises(Killed):
            clf.fit(X, Y)
        kill(math.inf)
    (path,) = tmp_path.glob("*/state.pt")
    whole, rng = path.read_bytes(), np.random.RandomState(0)
    for _ in range(30):
        damaged = bytearray(whole)
        damaged[rng.randint(len(whole))] ^= 1 << rng.randint(8)
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match=re.escape(str(path))):
            clf.fit(X, Y)
    path.write_bytes(whole)
    clf.fit(X, Y)
