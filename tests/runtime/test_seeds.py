"""A seeded fit does not depend on what else the process does."""

import contextlib
import pickle

import numpy as np
import pytest
import tiny
import torch
from torch import nn

from sklearn_attnft import (
    AttentionFineTuneClassifier,
    MultiTaskClassifier,
    TransformerFeatureExtractor,
)
from sklearn_attnft._runtime._seeds import initial_weights
from sklearn_attnft._training import _loop

X = ["good day", "bad dog", "lovely night", "awful rain", "good man " * 9, "sad"] * 4
Y = ["good", "bad"] * 12


def classifier(**params):
    small = {"max_length": 32, "max_epochs": 2, "batch_size": 8, "precision": "float32"}
    params = {**small, "random_state": 0, "dropout": 0.0, **params}
    return AttentionFineTuneClassifier(tiny.ENCODER, **params)


def several(**params):
    y = {"mood": Y, "tags": [{"x"}, {"x", "y"}, set()] * 8}
    clf = MultiTaskClassifier(
        classifier(**params), task_weights="uncertainty", task_sampling="sqrt"
    )
    return clf.fit(X, y)


def extractor():
    params = {"lm_epochs": 1, "random_state": 0, "precision": "float32"}
    return TransformerFeatureExtractor(tiny.ENCODER, max_length=32, **params).fit(X * 2)


PARAMETERS = [
    {},
    {"head": "lstm", "pooling": "mean"},
    {"head": "mlp", "pooling": "concat"},
    {"lm_epochs": 1, "head": "mlp"},
    {"lm_weight": 0.3},
    {"trainable_layers": 0},
    {"contrastive_epochs": 1},
    {"early_stopping": True, "validation_fraction": 0.3},
    {"label_smoothing": 0.1, "class_weight": "balanced", "gradual_unfreezing": True},
    {"long_texts": "window", "max_length": 8, "micro_batch_size": 3},
]
FITS = {
    **{
        str(p): lambda p=p, **more: classifier(**p, **more).fit(X, Y)
        for p in PARAMETERS
    },
    "tasks": several,
    "extractor": extractor,
}


@contextlib.contextmanager
def default_dtype():
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)


@contextlib.contextmanager
def default_device():
    torch.set_default_device("meta")
    try:
        yield
    finally:
        torch.set_default_device(None)


@contextlib.contextmanager
def no_gradients():
    torch.set_grad_enabled(False)
    try:
        yield
    finally:
        torch.set_grad_enabled(True)


@contextlib.contextmanager
def deterministic():
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(False)


@contextlib.contextmanager
def other_seeds():
    torch.manual_seed(7)
    np.random.seed(7)
    yield


@contextlib.contextmanager
def draws_of_other_threads():
    """Draw from the global generators at moments when other threads could run."""

    def drawing(function):
        def draw(*args, **kwargs):
            torch.rand(3)
            np.random.rand()
            return function(*args, **kwargs)

        return draw

    with pytest.MonkeyPatch.context() as patch:
        for owner, name in (
            (nn.Linear, "reset_parameters"),
            (nn.LSTM, "reset_parameters"),
            (_loop._Net, "train_step"),
            (_loop, "train"),
        ):
            patch.setattr(owner, name, drawing(getattr(owner, name)))
        yield


AROUND = [
    default_dtype,
    default_device,
    no_gradients,
    deterministic,
    other_seeds,
    draws_of_other_threads,
]


def results(fitted):
    rows = [{**row, "dur": 0} for row in fitted.history_]
    weights = {n: w.numpy() for n, w in fitted.module_.state_dict().items()}
    return rows, weights, fitted.transform(X)


@pytest.mark.parametrize("around", AROUND)
@pytest.mark.parametrize("fit", FITS.values(), ids=FITS)
def test_a_seeded_fit_depends_on_nothing_else(fit, around):
    expected = results(fit())
    with around():
        found = results(fit())
    np.testing.assert_equal(found, expected)


READ = {str(p): p for p in PARAMETERS if "pooling" in p or "long_texts" in p}


@pytest.mark.parametrize("around", AROUND)
@pytest.mark.parametrize("params", READ.values(), ids=READ)
def test_a_prediction_depends_on_nothing_else(params, around, tmp_path):
    clf = classifier(**params).fit(X, Y)
    path = clf.save(tmp_path / "saved")

    def read():
        loaded = AttentionFineTuneClassifier.load(path)
        copied = pickle.loads(pickle.dumps(clf))
        explained = clf.explain(X, attribution="integrated_gradients")
        faithful = clf.faithfulness(X, random_state=0)
        return (
            *(each.predict_proba(X) for each in (clf, loaded, copied)),
            clf.transform(X),
            explained.drop(columns="token").to_numpy(),
            faithful.drop(columns="ranking").to_numpy(),
        )

    expected = read()
    with around():
        found = read()
    np.testing.assert_equal(found, expected)


# Dropout draws from the generator of the process: the documentation of random_state
# says that other threads can change it.
@pytest.mark.parametrize("around", AROUND[:-1])
@pytest.mark.parametrize(
    "params",
    [{}, {"encoder_dropout": 0.2, "lm_epochs": 1}, {"head": "mlp", "lm_weight": 0.1}],
    ids=str,
)
def test_dropout_depends_on_nothing_else_in_the_thread(params, around):
    def fit():
        return classifier(**{"dropout": 0.3, **params}).fit(X, Y)

    expected = results(fit())
    with around():
        found = results(fit())
    np.testing.assert_equal(found, expected)


def test_initial_weights_are_those_of_a_seeded_process():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        expected = nn.Linear(4, 5), nn.LSTM(4, 3), nn.Embedding(3, 2), torch.rand(2)
        torch.manual_seed(4)
        with initial_weights(torch.Generator().manual_seed(3)):
            made = nn.Linear(4, 5), nn.LSTM(4, 3), nn.Embedding(3, 2)
        after = torch.rand(2)
    for one, other in zip(made, expected[:3], strict=True):
        for name, weight in one.state_dict().items():
            assert torch.equal(weight, other.state_dict()[name])
    assert torch.equal(after, expected[3])
