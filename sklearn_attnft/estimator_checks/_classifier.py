# SPDX-License-Identifier: BSD-3-Clause
# ruff: noqa: D401 (the docstring of a check is the rule that it holds)
"""What a classifier's methods say, and that they say the same."""

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils._testing import ignore_warnings

from ._data import RAGGED, contradiction, corpus
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
    """Fit on labels of some type and see what comes out.

    Parameters
    ----------
    estimator : estimator
    labels : sequence
        Two or three labels, not sorted.
    kinds : str
        What the kind of the dtype of ``classes_`` may be.
    """
    X, y = corpus(estimator, n_classes=len(labels))
    codes = np.unique(y, return_inverse=True)[1]
    given = np.array(labels)[codes]
    if isinstance(labels, np.ndarray):
        given = labels[codes]
    _assert_classes(fresh(estimator).fit(X, given), X, set(labels), kinds)


def _assert_classes(fitted, X, labels, kinds):
    classes = fitted.classes_
    assert list(classes) == sorted(labels), (
        f"classes_ is {classes!r}; it has to hold the labels, sorted "
        f"({sorted(labels)!r}), as numpy.unique gives them."
    )
    assert classes.dtype.kind in kinds, (
        f"classes_ has the dtype {classes.dtype}; for labels like {min(labels)!r} its "
        f"kind has to be one of {kinds!r}. Are the labels converted to str?"
    )
    predicted = fitted.predict(X)
    assert predicted.dtype == classes.dtype, (
        f"predict gave the dtype {predicted.dtype} and classes_ has {classes.dtype}."
    )
    assert set(predicted) <= set(labels), (
        f"predict gave {set(predicted) - set(labels)}, which are no labels of y. Are "
        "they indices of classes_?"
    )


def check_labels_str(estimator):
    """Labels of str, in an array of fixed width."""
    _assert_labels(estimator, ["spam", "ham"], "U")


def check_labels_object(estimator):
    """Labels of str in an object array."""
    labels = np.array(["spam", "ham and eggs", "a"], dtype=object)
    _assert_labels(estimator, labels, "OUT")


def check_labels_list_of_str(estimator):
    """Labels in a plain list of str."""
    X, y = corpus(estimator)
    labels = [str(label) for label in y]
    _assert_classes(fresh(estimator).fit(X, labels), X, set(labels), "OUT")


def check_labels_bool(estimator):
    """Labels of bool."""
    _assert_labels(estimator, [True, False], "b")


def check_labels_gapped_int(estimator):
    """Labels of int that are not 0, 1, 2."""
    _assert_labels(estimator, [30, 7, 500], "iu")


def check_labels_negative_int(estimator):
    """Labels of -1 and 1."""
    _assert_labels(estimator, [1, -1], "i")


def check_labels_categorical(estimator):
    """Labels in a pandas categorical, whose categories need not all occur."""
    import pandas as pd

    X, y = corpus(estimator)
    held = pd.Series(pd.Categorical(y, categories=["good", "never", "bad"]))
    _assert_classes(fresh(estimator).fit(X, held), X, set(y), "OUT")


def check_predict_is_argmax(estimator):
    """``predict`` gives the class of the highest probability."""
    for n_classes in (2, 3):
        X, y = corpus(estimator, n_classes)
        fitted, texts = fresh(estimator).fit(X, y), [*X, *RAGGED]
        best = fitted.classes_[fitted.predict_proba(texts).argmax(axis=1)]
        np.testing.assert_array_equal(
            fitted.predict(texts),
            best,
            err_msg="predict differs from classes_[predict_proba.argmax(axis=1)].",
        )


def check_predict_proba(estimator):
    """Probabilities are finite, not negative, and sum to 1 in each row."""
    for n_classes in (2, 3):
        X, y = corpus(estimator, n_classes)
        proba = fresh(estimator).fit(X, y).predict_proba([*X, *RAGGED])
        shape = len(X) + len(RAGGED), n_classes
        assert proba.shape == shape, (
            f"predict_proba has the shape {proba.shape}; expected {shape}."
        )
        assert np.isfinite(proba).all(), "predict_proba is not finite."
        assert (proba >= 0).all(), f"A probability is negative: {proba.min()}."
        np.testing.assert_allclose(
            proba.sum(axis=1),
            1.0,
            rtol=1e-6,
            err_msg="Rows of predict_proba do not sum to 1. Is there no softmax, or "
            "one over the wrong axis?",
        )


def check_predict_log_proba(estimator):
    """``predict_log_proba`` is the logarithm of ``predict_proba``."""
    X, y = corpus(estimator, n_classes=3)
    fitted = fresh(estimator).fit(X, y)
    proba = fitted.predict_proba(X)
    np.testing.assert_allclose(
        fitted.predict_log_proba(X),
        np.log(np.maximum(proba, np.finfo(float).tiny)),
        rtol=1e-5,
        atol=1e-6,
        err_msg="predict_log_proba is not the logarithm of predict_proba.",
    )


def check_decision_function(estimator):
    """The scores have scikit-learn's shape and agree with ``predict``."""
    X, y = corpus(estimator)
    fitted = fresh(estimator).fit(X, y)
    scores = fitted.decision_function(X)
    assert scores.shape == (len(X),), (
        f"With two classes decision_function has the shape {scores.shape}; expected "
        f"({len(X)},), the score of classes_[1]."
    )
    np.testing.assert_array_equal(
        fitted.predict(X),
        fitted.classes_[(scores > 0).astype(int)],
        err_msg="A positive score has to mean classes_[1]. Is its sign turned?",
    )
    X, y = corpus(estimator, n_classes=3)
    fitted = fresh(estimator).fit(X, y)
    scores = fitted.decision_function(X)
    assert scores.shape == (len(X), 3), f"With three classes it has {scores.shape}."
    np.testing.assert_array_equal(
        fitted.predict(X),
        fitted.classes_[scores.argmax(axis=1)],
        err_msg="predict differs from classes_[decision_function.argmax(axis=1)].",
    )


def check_decision_orders_as_proba(estimator):
    """With two classes, scores and probabilities rank the texts alike."""
    X, y = corpus(estimator)
    fitted = fresh(estimator).fit(X, y)
    order = np.argsort(fitted.decision_function([*X, *RAGGED]))
    steps = np.diff(fitted.predict_proba([*X, *RAGGED])[order, 1])
    assert (steps >= -1e-6).all(), (
        "predict_proba falls where decision_function rises (by up to "
        f"{-steps.min():.2g}): they rank texts differently."
    )


def check_score_is_accuracy(estimator):
    """``score`` is the accuracy, also with weights."""
    X, y = corpus(estimator)
    fitted = fresh(estimator).fit(X, y)
    truth = np.roll(y, 1)
    truth[::3] = y[::3]  # neither all right nor all wrong
    right = fitted.predict(X) == truth
    weights = np.arange(1.0, len(X) + 1) ** 2
    np.testing.assert_allclose(
        fitted.score(X, truth), right.mean(), err_msg="score is not the accuracy."
    )
    np.testing.assert_allclose(
        fitted.score(X, truth, sample_weight=weights),
        np.average(right, weights=weights),
        err_msg="score does not weigh by sample_weight.",
    )


def check_learns(estimator):
    """It learns an easy corpus: more than 0.8 of its own training texts."""
    for n_classes in (2, 3):
        X, y = corpus(estimator, n_classes)
        accuracy = np.mean(fresh(estimator, **LONGER).fit(X, y).predict(X) == y)
        assert accuracy > 0.8, (
            f"After training, {accuracy:.2f} of the {n_classes} classes' training "
            "texts are right; expected more than 0.8. Are labels shifted against "
            "texts, or does nothing train? If it is only slow: raise learning rates."
        )


@ignore_warnings(category=ConvergenceWarning)  # one class is what is wanted
def check_class_weight_moves_predictions(estimator):
    """Where texts have both labels, the class of the heavy weight is predicted."""
    X, y = contradiction(estimator)
    for heavy in np.unique(y):
        weights = {label: 100.0 if label == heavy else 1.0 for label in np.unique(y)}
        fitted = fresh(estimator, class_weight=weights, **LONGER).fit(X, y)
        share = np.mean(fitted.predict(X) == heavy)
        assert share > 0.8, (
            f"With class_weight={weights}, {share:.2f} of the predictions are "
            f"{heavy!r}; expected nearly all. Is class_weight used, and in the order "
            "of classes_?"
        )


def check_class_weight_balanced(estimator):
    """Weights "balanced" are ``n_samples / (n_classes * n_samples_of_class)``."""
    X, y = corpus(estimator)
    rows = np.r_[0:10, 10 : len(X) : 2]  # more of one class
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
        f'class_weight="balanced" has to be class_weight={explicit}',
        tolerance=1e-5,
    )


def check_class_weight_unknown_class_refused(estimator):
    """A misspelt class in the dict of `class_weight` is refused."""
    X, y = corpus(estimator)
    weights = {y[0]: 1.0, "no such class": 2.0}
    unfitted = fresh(estimator, class_weight=weights)
    assert_refused(
        lambda: unfitted.fit(X, y), "a class_weight of a class that y has not"
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
    yield check_score_is_accuracy
    if not traits.tags.classifier_tags.poor_score:
        yield check_learns
    if "class_weight" in traits.parameters:
        yield check_class_weight_moves_predictions
        yield check_class_weight_balanced
        yield check_class_weight_unknown_class_refused
