"""Fits with random_state=None draw a new seed each; only a killed fit keeps its own."""

import errno
import itertools
import math
import signal
import subprocess
import sys

import numpy as np
import pytest
import tiny
import torch
from sklearn.model_selection import GridSearchCV
from test_resume import Killed, X, Y, assert_same_fit, kill

from sklearn_attnft import (
    AttentionFineTuneClassifier,
    MultiTaskClassifier,
    TransformerFeatureExtractor,
)
from sklearn_attnft._fit import _prepare
from sklearn_attnft._training import _loop, _seed_claim
from sklearn_attnft._training._fingerprint import Fingerprint
from sklearn_attnft._training._seed_claim import claim_seed

__all__ = ["kill"]  # a fixture
TEXTS = [f"{text} number {i}" for i, text in enumerate(X * 2)]


def classifier(directory, **params):
    small = {"max_length": 32, "max_epochs": 3, "batch_size": 8, "precision": "float32"}
    params = {**small, "checkpoint_minutes": 0, **params}
    return AttentionFineTuneClassifier(tiny.ENCODER, **params, checkpoint_dir=directory)


def several(directory, **params):
    return MultiTaskClassifier(classifier(directory, **params))


def extractor(directory, **params):
    params = {"lm_epochs": 3, "max_length": 32, "checkpoint_minutes": 0, **params}
    return TransformerFeatureExtractor(tiny.ENCODER, **params, checkpoint_dir=directory)


TWO_TASKS = {"mood": Y, "number": [1, 2, 3] * 8}
FITS = {
    "classifier": (classifier, X, Y),
    "lm": (lambda *args: classifier(*args, lm_epochs=1), TEXTS, Y * 2),
    "contrastive": (lambda *args: classifier(*args, contrastive_epochs=2), X, Y),
    "early_stopping": (
        lambda *args: classifier(
            *args, early_stopping=True, validation_fraction=0.3, n_iter_no_change=3
        ),
        X,
        Y,
    ),
    "tasks": (several, X, TWO_TASKS),
    "extractor": (extractor, TEXTS, None),
}
of_each_fit = pytest.mark.parametrize("fit", FITS.values(), ids=FITS)


@of_each_fit
def test_each_finished_fit_has_a_seed_of_its_own(fit, tmp_path):
    make, X, y = fit
    found = {make(tmp_path).fit(X, y).transform(X).tobytes() for _ in range(3)}
    assert len(found) == 3
    assert not list(tmp_path.iterdir())


@of_each_fit
def test_a_killed_fit_keeps_its_seed(fit, kill, tmp_path, monkeypatch):
    make, X, y = fit
    seeds = itertools.count(5)
    monkeypatch.setattr(_prepare, "draw_seed", lambda random_state: next(seeds))
    expected = make(None).fit(X, y)  # of the seed 5
    seeds = itertools.count(5)
    for n_steps in (1, 2):
        kill(n_steps)
        with pytest.raises(Killed):
            make(tmp_path).fit(X, y)
    kill(math.inf)
    assert_same_fit(make(tmp_path).fit(X, y), expected)
    assert not list(tmp_path.iterdir())


def test_fits_that_run_at_the_same_time_have_seeds_of_their_own(tmp_path):
    fingerprint = Fingerprint({"a": "1"}, "data")
    with claim_seed(tmp_path, fingerprint, 1), claim_seed(tmp_path, fingerprint, 2):
        third = claim_seed(tmp_path, fingerprint, 3)
        other = claim_seed(tmp_path, Fingerprint({"a": "2"}, "data"), 4)
    assert (third.seed, other.seed) == (3, 4)
    third.finish()
    # The first two were killed.
    resumed = [claim_seed(tmp_path, fingerprint, 5) for _ in range(3)]
    assert [each.seed for each in resumed] == [1, 2, 5]


HOLD = """
import sys, time
from sklearn_attnft._training._fingerprint import Fingerprint
from sklearn_attnft._training._seed_claim import claim_seed
claim = claim_seed(sys.argv[1], Fingerprint({}, "data"), 1)
print("held", flush=True)
time.sleep(600)
"""


def test_a_process_that_runs_keeps_its_seed_and_a_killed_one_does_not(tmp_path):
    fingerprint = Fingerprint({}, "data")
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"held\n"
        with claim_seed(tmp_path, fingerprint, 2) as claim:
            assert claim.seed == 2
            claim.finish()
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert claim_seed(tmp_path, fingerprint, 3).seed == 1


def test_a_fit_that_finishes_meanwhile_leaves_no_seed(tmp_path, monkeypatch):
    fingerprint = Fingerprint({}, "data")
    finishing = claim_seed(tmp_path, fingerprint, 1)
    original = _seed_claim.claim

    def claim(directory, name, wait):
        if name == "1.lock":
            finishing.finish()
        return original(directory, name, wait)

    monkeypatch.setattr(_seed_claim, "claim", claim)
    assert claim_seed(tmp_path, fingerprint, 2).seed == 2


@pytest.mark.parametrize("error", [OSError(errno.ENOLCK, "No"), NotImplementedError()])
def test_without_locks_a_killed_fit_resumes(error, kill, tmp_path, monkeypatch):
    def claim(directory, name, wait):
        raise error

    monkeypatch.setattr(_seed_claim, "claim", claim)
    kill(4)
    with pytest.raises(Killed):
        classifier(tmp_path).fit(X, Y)
    kill(5)  # of nine
    first = classifier(tmp_path).fit(X, Y)
    kill(math.inf)
    second = classifier(tmp_path).fit(X, Y)
    assert not np.array_equal(first.transform(X), second.transform(X))


def test_a_fit_with_halved_micro_batches_keeps_its_seed(kill, tmp_path, monkeypatch):
    original = _loop._Net.infer

    def infer(self, batch):
        if len(batch.input_ids) > 4:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return original(self, batch)

    monkeypatch.setattr(_loop._Net, "infer", infer)
    clf = classifier(tmp_path)
    kill(4)
    with (
        pytest.warns(UserWarning, match="micro_batch_size=4"),
        pytest.raises(Killed),
    ):
        clf.fit(X, Y)
    kill(7)  # one fails, and four of nine are done
    with pytest.warns(UserWarning, match="micro_batch_size=4"):
        clf.fit(X, Y)
    assert not list(tmp_path.iterdir())


@pytest.mark.filterwarnings("ignore:checkpoint_dir has an unfinished fit")
def test_a_search_without_a_seed_leaves_only_unfinished_fits(kill, tmp_path):
    search = GridSearchCV(classifier(tmp_path), {"dropout": [0.1, 0.2]}, cv=2)
    kill(13)  # a fit has six steps
    with pytest.raises(Killed):
        search.fit(X, Y)
    assert len(list(tmp_path.glob("*/state.pt"))) == 1
    kill(math.inf)
    search.fit(X, Y)
    assert not list(tmp_path.iterdir())


def test_a_killed_fit_of_other_parameters_is_named(kill, tmp_path):
    kill(4)
    with pytest.raises(Killed):
        classifier(tmp_path).fit(X, Y)
    kill(math.inf)
    message = "with dropout=0.1, but this fit has dropout=0.2"
    with pytest.warns(UserWarning, match=message):
        classifier(tmp_path, dropout=0.2).fit(X, Y)
    assert len(list(tmp_path.glob("*/state.pt"))) == 1


def test_a_directory_that_cannot_be_written_to_is_named(tmp_path):
    path = tmp_path / "file"
    path.write_text("")
    with pytest.raises(OSError, match=r"checkpoint_dir='.*file' cannot be written to"):
        classifier(path).fit(X, Y)
