"""Linear heads that start at a regression of the context vectors."""

import numpy as np
import pytest
import tiny
import torch
from scipy.special import expit, softmax
from sklearn.linear_model import LogisticRegression, Ridge

from sklearn_attnft import (
    AttentionFineTuneClassifier,
    AttentionFineTuneRegressor,
    MultiTaskClassifier,
)
from sklearn_attnft._fit import _classification_stage, _head_start
from sklearn_attnft._fit._rules import start_penalty
from sklearn_attnft._regressor import CLASSIFICATION
from sklearn_attnft.datasets import load_support_tickets

X, Y = load_support_tickets(subset="train", return_X_y=True)
X, Y = list(X[:60]), list(Y[:60])
X = [" ".join(text.split()[:12]) for text in X]
LONG = [" ".join([text] * 3) for text in X]
NO_TRAINING = {"head_learning_rate": 1e-12, "learning_rate": 1e-9, "max_epochs": 1}


def classifier(**params):
    defaults = {
        "encoder": tiny.ENCODER,
        "max_length": 64,
        "trainable_layers": 0,
        "precision": "float32",
        "random_state": 0,
    }
    return AttentionFineTuneClassifier(**{**defaults, **params})


def without_training(monkeypatch, **params):
    """Return a classifier whose fit ends at the start of the training."""
    monkeypatch.setattr(_classification_stage, "train", lambda *args: [])
    return classifier(**params)


def regression(contexts, labels, weights=None):
    penalty = start_penalty("cross_entropy", len(set(labels)), is_frozen=True)
    weights = np.ones(len(labels)) if weights is None else weights
    contexts = contexts.astype(np.float64)
    C = 1 / (penalty * variance(contexts, weights) * weights.sum())
    model = LogisticRegression(C=C, max_iter=5000, tol=1e-8)
    return model.fit(contexts, labels, sample_weight=weights)


def variance(contexts, weights=None):
    mean = np.average(contexts, axis=0, weights=weights)
    return np.average(((contexts - mean) ** 2).sum(axis=1), weights=weights)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("long_texts", ["truncate", "window"])
def test_the_head_starts_at_the_logistic_regression(long_texts, weighted, monkeypatch):
    weights = np.linspace(0.5, 1.5, len(X)) if weighted else None
    texts = LONG if long_texts == "window" else X
    clf = without_training(monkeypatch, long_texts=long_texts, layers="last")
    clf.fit(texts, Y, sample_weight=weights)
    contexts = clf.transform(texts)
    expected = regression(contexts, Y, weights).predict_proba(contexts)
    np.testing.assert_allclose(clf.predict_proba(texts), expected, atol=1e-3)


def test_a_multilabel_head_starts_at_one_regression_per_label(monkeypatch):
    rng = np.random.default_rng(0)
    y = {"tags": (rng.random((len(X), 3)) < 0.4).astype(float)}
    y["tags"][:5, 1] = np.nan
    clf = MultiTaskClassifier(without_training(monkeypatch)).fit(X, y)
    contexts = clf.transform(X)
    known = ~np.isnan(y["tags"])
    head = clf.module_.tasks[0].classify[-1]
    penalty = start_penalty("binary_cross_entropy", 3, is_frozen=True)
    scale = variance(contexts) * penalty
    logits = contexts @ head.weight.detach().numpy().T + head.bias.detach().numpy()
    # The gradient of the penalized loss vanishes.
    errors = np.where(known, expit(logits) - np.nan_to_num(y["tags"]), 0.0)
    errors /= known.sum(axis=1, keepdims=True) * len(X)
    gradient = errors.T @ contexts
    gradient += scale * head.weight.detach().numpy()
    assert np.abs(gradient).max() < 1e-5
    assert np.abs(errors.sum(axis=0)).max() < 1e-5


@pytest.mark.parametrize("trainable_layers", [0, "blocks"])
@pytest.mark.parametrize("n_outputs", [1, 2])
def test_a_head_of_numbers_starts_at_ridge_regression(
    n_outputs, trainable_layers, monkeypatch
):
    monkeypatch.setattr(_classification_stage, "train", lambda *args: [])
    rng = np.random.default_rng(0)
    y, weights = rng.normal(7, 3, (len(X), n_outputs)), np.linspace(0.5, 1.5, len(X))
    parameters = classifier(layers="last").get_params()
    parameters = {n: v for n, v in parameters.items() if n not in CLASSIFICATION}
    reg = AttentionFineTuneRegressor(**parameters)
    reg.set_params(trainable_layers=trainable_layers)
    reg.fit(X, y[:, 0] if n_outputs == 1 else y, sample_weight=weights)
    contexts = reg.transform(X).astype(float)
    is_frozen = trainable_layers == 0
    penalty = start_penalty("squared_error", n_outputs, is_frozen=is_frozen)
    # The loss is the mean over the outputs, and the penalty is the sum over them.
    alpha = n_outputs * penalty / 2 * variance(contexts, weights) * weights.sum()
    ridge = Ridge(alpha=alpha).fit(contexts, y, sample_weight=weights)
    expected = ridge.predict(contexts)
    if n_outputs == 1:
        expected = expected.ravel()
    np.testing.assert_allclose(reg.predict(X), expected, atol=1e-2)


def test_each_task_has_a_start_of_its_own_texts(monkeypatch):
    rng = np.random.default_rng(0)
    second = rng.choice(["a", "b", "c"], len(X)).astype(object)
    second[::3] = None
    clf = MultiTaskClassifier(without_training(monkeypatch))
    clf.fit(X, {"first": Y, "second": second})
    rows = second != None  # noqa: E711
    size = clf.transform(X).shape[1] // 2
    contexts = clf.transform(X)[:, size:]
    expected = regression(contexts[rows], second[rows].astype(str))
    np.testing.assert_allclose(
        clf.task("second").predict_proba(X), expected.predict_proba(contexts), atol=1e-3
    )


@pytest.mark.parametrize("head", ["mlp", "lstm"])
def test_other_heads_start_at_random_weights(head, monkeypatch):
    clf = without_training(monkeypatch, head=head).fit(X, Y)
    last = clf.module_.tasks[0].classify[-1]
    assert last.weight.detach().norm() < 2.0
    probability = softmax(clf.decision_function(X), axis=1)
    assert probability.max() < 0.6


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"trainable_layers": 1},
        {"trainable_layers": "all", "max_epochs": 1},
        {"contrastive_epochs": 1},
        {"lm_epochs": 1},
        {"lm_weight": 0.5},
        {"class_weight": "balanced"},
        {"early_stopping": True, "max_epochs": 2, "validation_fraction": 0.3},
    ],
)
def test_a_fit_starts_there_in_each_combination_of_stages(params):
    clf = classifier(**NO_TRAINING | params).fit(X, Y)
    most_frequent = max(Y.count(label) for label in Y) / len(Y)
    assert clf.score(X, Y) > most_frequent + 0.15


def test_a_large_data_set_is_sampled(monkeypatch):
    read = []
    regress = _head_start._regress

    def note(contexts, labels, *args):
        read.append(sorted(contexts.sum(dim=1).tolist()))
        return regress(contexts, labels, *args)

    monkeypatch.setattr(_head_start, "MAX_TEXTS", 40)
    monkeypatch.setattr(_head_start, "_regress", note)
    for seed in (0, 0, 1):
        without_training(monkeypatch, random_state=seed).fit(X, Y)
    assert [len(each) for each in read] == [40] * 3
    assert read[0] == read[1] != read[2]


def test_a_resumed_fit_does_not_repeat_the_regression(monkeypatch, tmp_path):
    first = classifier(max_epochs=2, checkpoint_dir=tmp_path).fit(X, Y)
    monkeypatch.setattr(_head_start, "_regress", None)
    again = classifier(max_epochs=2, checkpoint_dir=tmp_path).fit(X, Y)
    np.testing.assert_array_equal(first.predict_proba(X), again.predict_proba(X))


def test_the_user_s_random_state_and_mode_are_untouched():
    torch.manual_seed(3)
    with torch.no_grad():
        classifier(**NO_TRAINING).fit(X, Y)
    state = torch.get_rng_state()
    torch.manual_seed(3)
    assert torch.equal(state, torch.get_rng_state())


def test_the_estimate_includes_the_start():
    estimate = classifier().estimate_fit(X, Y)
    (stage,) = estimate.stages
    assert stage.seconds > 0
