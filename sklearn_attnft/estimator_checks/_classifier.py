# SPDX-License-Identifier: BSD-3-Clause
# ruff: noqa: D401 (the docstring of a check states its rule)
"""Checks of the labels, probabilities and scores of a classifier."""

import inspect

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils._testing import ignore_warnings

from ._data import RAGGED, contradiction, corpus, takes_three_classes
from ._tags import declares_text, last_step, tags_of
from ._tools import (
    FULL_BATCH,
    LONGER,
    assert_refused,
    assert_same,
    fresh,
    installed,
    outputs,
)


def _assert_labels(estimator, labels, kinds):
    """Fit on the given labels and check ``classes_`` and the predictions.

    Parameters
    ----------
    estimator : estimator
    labels : sequence
        Two or three labels in unsorted order.
    kinds : str
        Allowed values of ``classes_.dtype.kind``, one character each.
    """
    X, y = corpus(estimator, n_classes=len(labels))
    codes = np.unique(y, return_inverse=True)[1]
    given = np.asarray(labels)[codes]
    _assert_classes(fresh(estimator).fit(X, given), X, set(given.tolist()), kinds)


def _assert_classes(fitted, X, labels, kinds):
    classes = fitted.classes_
    assert list(classes) == sorted(labels), (
        f"classes_ is {classes!r}, expected the sorted labels {sorted(labels)!r}. Use "
        "numpy.unique."
    )
    assert classes.dtype.kind in kinds, (
        f"classes_ has the dtype {classes.dtype}, expected one of the dtype kinds in "
        f"{kinds!r} for labels such as {min(labels)!r}. Are the labels converted to "
        "str?"
    )
    predicted = fitted.predict(X)
    # A DummyClassifier can predict a str dtype that is shorter than that of classes_.
    same = predicted.dtype == classes.dtype
    assert same or (tags_of(fitted).no_validation and predicted.dtype.kind in kinds), (
        f"predict returned the dtype {predicted.dtype}, expected the dtype of "
        f"classes_, {classes.dtype}. Does predict return indices of classes_?"
    )
    assert set(predicted) <= set(labels), (
        f"predict returned {set(predicted) - set(labels)}, expected only labels that "
        "are in y. Does predict return indices of classes_?"
    )


def check_labels_str(estimator):
    """The estimator accepts str labels in a fixed-width array."""
    _assert_labels(estimator, ["spam", "ham"], "U")


def check_labels_object(estimator):
    """The estimator accepts str labels in an object array."""
    labels = np.array(["spam", "ham and eggs", "a"], dtype=object)
    _assert_labels(estimator, labels, "OUT")


def check_labels_list_of_str(estimator):
    """The estimator accepts str labels in a list."""
    X, y = corpus(estimator)
    labels = [str(label) for label in y]
    _assert_classes(fresh(estimator).fit(X, labels), X, set(labels), "OUT")


def check_labels_bool(estimator):
    """The estimator accepts bool labels and keeps their type."""
    _assert_labels(estimator, [True, False], "b")


def check_labels_gapped_int(estimator):
    """The estimator accepts int labels other than 0, 1, 2."""
    _assert_labels(estimator, [30, 7, 500], "iu")


def check_labels_negative_int(estimator):
    """The estimator accepts the labels -1 and 1."""
    _assert_labels(estimator, [1, -1], "i")


def check_labels_categorical(estimator):
    """The estimator accepts a pandas categorical that has an unused category."""
    import pandas as pd

    X, y = corpus(estimator)
    held = pd.Series(pd.Categorical(y, categories=["good", "never", "bad"]))
    _assert_classes(fresh(estimator).fit(X, held), X, set(y), "OUT")


def check_predict_is_argmax(estimator):
    """``predict`` returns the class with the highest probability."""
    for n_classes in (2, 3):
        X, y = corpus(estimator, n_classes)
        fitted, texts = fresh(estimator).fit(X, y), [*X, *RAGGED]
        best = fitted.classes_[fitted.predict_proba(texts).argmax(axis=1)]
        np.testing.assert_array_equal(
            fitted.predict(texts),
            best,
            err_msg="predict(X) must equal classes_[predict_proba(X).argmax(axis=1)].",
        )


def check_predict_proba(estimator):
    """Probabilities are finite, not negative, and sum to 1 in each row."""
    for n_classes in (2, 3):
        X, y = corpus(estimator, n_classes)
        proba = fresh(estimator).fit(X, y).predict_proba([*X, *RAGGED])
        shape = len(X) + len(RAGGED), len(set(y))
        assert proba.shape == shape, (
            f"predict_proba has the shape {proba.shape}, expected {shape}."
        )
        assert np.isfinite(proba).all(), (
            "predict_proba contains NaN or infinity, expected finite probabilities."
        )
        assert (proba >= 0).all(), (
            f"predict_proba contains {proba.min()}, expected no negative probability."
        )
        np.testing.assert_allclose(
            proba.sum(axis=1),
            1.0,
            rtol=1e-6,
            err_msg="The rows of predict_proba must sum to 1. Is the softmax missing, "
            "or computed over the wrong axis?",
        )


def check_predict_log_proba(estimator):
    """``predict_log_proba`` is the logarithm of ``predict_proba``.

    If the tags declare text input, the logarithms must be finite. Otherwise, minus
    infinity is accepted for a probability of zero, because scikit-learn's classifiers
    return it.
    """
    X, y = corpus(estimator, n_classes=3)
    fitted = fresh(estimator).fit(X, y)
    smallest = np.finfo(float).tiny
    logarithms = outputs(fitted, X)["predict_log_proba"]
    if not declares_text(estimator):
        logarithms = np.maximum(logarithms, np.log(smallest))
    np.testing.assert_allclose(
        logarithms,
        np.log(np.maximum(fitted.predict_proba(X), smallest)),
        rtol=1e-5,
        atol=1e-6,
        err_msg="predict_log_proba must be the logarithm of predict_proba. Does it "
        "return logits that are not normalized?",
    )


def check_decision_function(estimator):
    """``decision_function`` has scikit-learn's shape and agrees with ``predict``."""
    X, y = corpus(estimator)
    fitted = fresh(estimator).fit(X, y)
    scores = fitted.decision_function(X)
    assert scores.shape == (len(X),), (
        f"With two classes, decision_function has the shape {scores.shape}, expected "
        f"({len(X)},). Return the score of classes_[1] only."
    )
    np.testing.assert_array_equal(
        fitted.predict(X),
        fitted.classes_[(scores > 0).astype(int)],
        err_msg="predict must return classes_[1] where the score is positive. Is the "
        "sign of the score wrong?",
    )
    if not takes_three_classes(estimator):
        return
    X, y = corpus(estimator, n_classes=3)
    fitted = fresh(estimator).fit(X, y)
    scores = fitted.decision_function(X)
    assert scores.shape == (len(X), 3), (
        f"With three classes, decision_function has the shape {scores.shape}, expected "
        f"{(len(X), 3)}."
    )
    np.testing.assert_array_equal(
        fitted.predict(X),
        fitted.classes_[scores.argmax(axis=1)],
        err_msg="predict must equal classes_[decision_function.argmax(axis=1)].",
    )


def check_decision_orders_as_proba(estimator):
    """For two classes, scores and probabilities put the texts in the same order."""
    X, y = corpus(estimator)
    fitted = fresh(estimator).fit(X, y)
    order = np.argsort(fitted.decision_function([*X, *RAGGED]))
    steps = np.diff(fitted.predict_proba([*X, *RAGGED])[order, 1])
    assert (steps >= -1e-6).all(), (
        f"predict_proba falls by up to {-steps.min():.2g} where decision_function "
        "rises, expected the same order of texts. Is the sign of the score wrong?"
    )


def check_score_is_accuracy(estimator):
    """``score`` is the accuracy, with and without weights.

    If the tags do not declare text input, there are two exceptions. Weights are passed
    only if ``score`` takes weights. The check is left out if a parameter `scoring` is
    set.
    """
    X, y = corpus(estimator)
    fitted = fresh(estimator).fit(X, y)
    truth = np.roll(y, 1)
    truth[::3] = y[::3]  # some predictions are right and some are wrong
    right = fitted.predict(X) == truth
    weights = np.arange(1.0, len(X) + 1) ** 2
    np.testing.assert_allclose(
        fitted.score(X, truth),
        right.mean(),
        err_msg="score must be the fraction of correct predictions (accuracy).",
    )
    # A Pipeline passes weights on to its last step.
    score = last_step(estimator).score
    takes_weights = "sample_weight" in inspect.signature(score).parameters
    if not (takes_weights or declares_text(estimator)):
        return
    np.testing.assert_allclose(
        fitted.score(X, truth, sample_weight=weights),
        np.average(right, weights=weights),
        err_msg="score with sample_weight must be the weighted accuracy. Does score "
        "ignore the weights?",
    )


def check_learns(estimator):
    """On an easy corpus, the training accuracy is more than 0.8."""
    for n_classes in (2, 3):
        X, y = corpus(estimator, n_classes)
        accuracy = np.mean(fresh(estimator, **LONGER).fit(X, y).predict(X) == y)
        assert accuracy > 0.8, (
            f"With {n_classes} classes, the training accuracy is {accuracy:.2f}, "
            "expected more than 0.8. Are labels assigned to the wrong texts, or are no "
            "weights trained? If training is too slow, increase the learning rates."
        )


@ignore_warnings(category=ConvergenceWarning)  # expected: one class is predicted
def check_class_weight_moves_predictions(estimator):
    """If each text occurs with both labels, the class with more weight is predicted."""
    X, y = contradiction(estimator)
    for heavy in np.unique(y):
        weights = {label: 100.0 if label == heavy else 1.0 for label in np.unique(y)}
        fitted = fresh(estimator, class_weight=weights, **LONGER).fit(X, y)
        fraction = np.mean(fitted.predict(X) == heavy)
        assert fraction > 0.8, (
            f"With class_weight={weights}, a fraction of {fraction:.2f} of the "
            f"predictions is {heavy!r}, expected more than 0.8. Is class_weight "
            "ignored, or applied to the wrong classes?"
        )


def check_class_weight_balanced(estimator):
    """Balanced class weights are ``n_samples / (n_classes * n_samples_of_class)``."""
    X, y = corpus(estimator)
    rows = np.r_[0:10, 10 : len(X) : 2]  # unbalanced classes
    X, y = [X[i] for i in rows], y[rows]
    labels, counts = np.unique(y, return_counts=True)
    explicit = dict(zip(labels, len(y) / (2 * counts), strict=True))
    fits = [
        fresh(estimator, class_weight=weight, **FULL_BATCH).fit(X, y)
        for weight in ("balanced", explicit)
    ]
    assert_same(
        outputs(fits[0], X),
        outputs(fits[1], X),
        f'class_weight="balanced" must act like class_weight={explicit}',
        tolerance=1e-5,
    )


def check_class_weight_unknown_class_refused(estimator):
    """``fit`` refuses a class in `class_weight` that is not in y."""
    X, y = corpus(estimator)
    weights = {y[0]: 1.0, "no such class": 2.0}
    unfitted = fresh(estimator, class_weight=weights)
    assert_refused(
        lambda: unfitted.fit(X, y),
        "fit with a class_weight for a class that is not in y",
    )


def applicable(traits):
    """Yield the checks that apply."""
    if not traits.classifier or traits.columns:
        return
    yield check_labels_str
    yield check_labels_object
    yield check_labels_list_of_str
    yield check_labels_bool
    yield check_labels_gapped_int
    yield check_labels_negative_int
    if installed("pandas"):
        yield check_labels_categorical
    if "predict_proba" in traits.methods:
        yield check_predict_is_argmax
        yield check_predict_proba
    if "predict_log_proba" in traits.methods:
        yield check_predict_log_proba
    if "decision_function" in traits.methods:
        yield check_decision_function
    if {"decision_function", "predict_proba"} <= traits.methods:
        yield check_decision_orders_as_proba
    if traits.text or ("score" in traits.methods and not traits.scoring):
        yield check_score_is_accuracy
    if not traits.tags.classifier_tags.poor_score:
        yield check_learns
    if "class_weight" in traits.parameters:
        yield check_class_weight_moves_predictions
        yield check_class_weight_balanced
        yield check_class_weight_unknown_class_refused
