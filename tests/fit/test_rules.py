"""The parameters that are "auto"."""

import dataclasses
import inspect
import math

import numpy as np
import pytest
import tiny
from recipes import config

from sklearn_attnft import AttentionFineTuneClassifier, MultiTaskClassifier
from sklearn_attnft._fit import _pipeline
from sklearn_attnft._fit._contrastive_stage import ContrastiveStage

X = ["good day", "bad dog", "lovely night", "awful rain", "fine man", "sad cat"] * 4
Y = ["good", "bad"] * 12
TWO = {"mood": Y, "half": ["a"] * 12 + ["b"] * 12}


def classifier(**params):
    small = {"encoder": tiny.ENCODER, "max_length": 8, "batch_size": 8}
    return AttentionFineTuneClassifier(**{**small, "random_state": 0, **params})


@pytest.fixture
def plan(monkeypatch):
    """Return a function that fits and returns the FitPlan of the fit."""

    class FitBegins(Exception):
        pass

    def stop(fit, progress, timer):
        raise FitBegins(fit)

    monkeypatch.setattr(_pipeline, "run_with_retries", stop)

    def fit(estimator, y=Y):
        with pytest.raises(FitBegins) as stopped:
            estimator.fit(X, y)
        return stopped.value.args[0]

    return fit


@pytest.mark.parametrize(
    ("params", "rate", "dropout"),
    [
        ({}, 2e-3, 0.1),
        ({"trainable_layers": 1}, 2e-3, 0.1),
        ({"trainable_layers": 0}, 5e-4, 0.5),
        ({"head": "mlp"}, 5e-3, 0.1),
        ({"head": "lstm", "trainable_layers": 0}, 5e-3, 0.5),
    ],
)
def test_rates_and_dropout_depend_on_head_and_trained_layers(
    params, rate, dropout, plan
):
    fit = plan(classifier(**params))
    assert fit.plan.head_learning_rate == rate
    assert [task.dropout for task in fit.spec.tasks] == [dropout]


def test_a_larger_encoder_learns_more_slowly(plan):
    rate = plan(classifier()).plan.learning_rate
    assert rate == pytest.approx(2e-4 * 384 / tiny.HIDDEN_SIZE)


@pytest.mark.parametrize(("rate", "half"), [("auto", 0.5), (1e-3, 1.0)])
def test_contrastive_training_has_half_of_the_automatic_rate(rate, half, plan):
    fit = plan(classifier(learning_rate=rate, contrastive_epochs=2))
    stage = ContrastiveStage.make(fit, config(learning_rate=9.0))
    assert stage.config.learning_rate == half * fit.plan.learning_rate


def test_numbers_of_the_user_are_kept(plan):
    numbers = {
        "learning_rate": 0.5,
        "head_learning_rate": 0.25,
        "dropout": 0.3,
        "max_epochs": 7,
    }
    for trainable_layers in (0, "all"):
        fit = plan(classifier(trainable_layers=trainable_layers, **numbers))
        assert numbers.items() <= dataclasses.asdict(fit.plan).items()
        assert fit.spec.tasks[0].dropout == 0.3


def test_parameters_of_a_task_decide_too(plan):
    params = {"mood": {"head": "mlp"}, "half": {"dropout": 0.2}}
    model = MultiTaskClassifier(classifier(trainable_layers=0), task_params=params)
    fit = plan(model, TWO)
    assert fit.plan.head_learning_rate == 5e-3  # the rate of heads with random weights
    assert sorted(task.dropout for task in fit.spec.tasks) == [0.2, 0.5]
    auto = model.set_params(task_params={"mood": {"dropout": "auto"}})
    assert [task.dropout for task in plan(auto, TWO).spec.tasks] == [0.5, 0.5]


def test_every_auto_parameter_is_resolved(plan):
    signature = inspect.signature(AttentionFineTuneClassifier).parameters
    auto = {name for name, each in signature.items() if each.default == "auto"}
    auto -= {"device", "precision"}
    assert auto == {"learning_rate", "head_learning_rate", "dropout", "max_epochs"}
    resolved = vars(plan(classifier()).plan)
    assert all(resolved[name] != "auto" for name in auto)


@pytest.mark.parametrize(
    ("params", "n_texts", "n_epochs"),
    [
        ({}, 8, 40),
        ({}, 24, 14),
        ({}, 21, 14),
        ({}, 104, 4),
        ({}, 200, 3),
        ({"trainable_layers": 0}, 8, 200),
        ({"trainable_layers": 0}, 24, 67),
        ({"trainable_layers": 0}, 300, 10),
    ],
)
def test_few_texts_have_more_epochs(params, n_texts, n_epochs):
    clf = classifier(**params)
    # Texts of weight 0 do not count.
    X_all, Y_all = (X * 50)[: n_texts + 100], (Y * 50)[: n_texts + 100]
    weights = np.repeat([1.0, 0.0], [n_texts, 100])
    assert clf.fit(X_all, Y_all, sample_weight=weights).n_iter_ == n_epochs
    y = [[a, b] for a, b in zip(Y_all, Y_all[1:] + Y_all[:1], strict=True)]
    shared = MultiTaskClassifier(clf).fit(X_all, y, sample_weight=weights)
    assert shared.n_iter_ == n_epochs
    assert clf.max_epochs == "auto"


@pytest.mark.parametrize(
    ("passed", "params", "n_left"),
    [
        ({}, {"early_stopping": True, "validation_fraction": 0.5}, 12),
        ({"X_val": X, "y_val": Y}, {"early_stopping": True}, 24),
        ({}, {"class_weight": {"good": 1, "bad": 1, "none": 0}}, 20),
    ],
    ids=["validation fraction", "validation set", "weight zero"],
)
def test_only_training_texts_count(passed, params, n_left):
    clf = classifier(**params, n_iter_no_change=99)
    y = [*Y[:20], *["none"] * 4] if "class_weight" in params else Y
    clf.fit(X, y, **passed)
    assert clf.history_[0]["step"] == math.ceil(n_left / 8)
    assert 40 <= clf.history_[-1]["step"] < 40 + clf.history_[0]["step"]
