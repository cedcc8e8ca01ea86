# SPDX-License-Identifier: BSD-3-Clause
# ruff: noqa: D401 (the docstring of a check states its rule)
"""Checks of a classifier that takes a matrix of 0 and 1 as y."""

import numpy as np
from scipy.sparse import csr_array, issparse
from sklearn.metrics import accuracy_score, get_scorer, roc_auc_score
from sklearn.model_selection import cross_val_predict, cross_val_score

from ._data import RAGGED, corpus
from ._tools import (
    FULL_BATCH,
    LONGER,
    assert_refused,
    assert_same,
    fresh,
    installed,
    outputs,
)

# Rounding errors depend on the order of the rows. If a regression initializes a head,
# the first gradients of the head are almost 0, and Adam amplifies the rounding errors.
WEIGHTS = 1e-2


def _tags(estimator, n_labels=3):
    """Return texts and a label matrix.

    Up to three columns are the labels "good", "long" and "good or long".
    """
    X, y = corpus(estimator)
    good = (y == "good").astype(int)
    is_long = np.array([len(text.split()) > 4 for text in X], dtype=int)
    return X, np.column_stack([good, is_long, good | is_long])[:, :n_labels]


def check_multilabel_predictions(estimator):
    """``predict`` returns a matrix of 0 and 1 in the shape of y."""
    X, y = _tags(estimator)
    texts = [*X, *RAGGED]
    predicted = fresh(estimator).fit(X, y).predict(texts)
    shape = len(texts), y.shape[1]
    assert predicted.shape == shape, (
        f"predict returned the shape {predicted.shape}, expected {shape}."
    )
    dense = predicted.toarray() if issparse(predicted) else np.asarray(predicted)
    assert np.isin(dense, (0, 1)).all(), (
        "predict returned other values than 0 and 1. Does it return probabilities?"
    )


def check_multilabel_probabilities(estimator):
    """``predict_proba`` is one array. ``predict`` is 1 where the array is above 0.5."""
    for n_labels in (2, 3):
        X, y = _tags(estimator, n_labels)
        fitted, texts = fresh(estimator).fit(X, y), [*X, *RAGGED]
        proba, shape = fitted.predict_proba(texts), (len(texts), n_labels)
        assert np.shape(proba) == shape, (
            f"predict_proba has the shape {np.shape(proba)}, expected {shape}."
        )
        assert ((proba >= 0) & (proba <= 1)).all(), (
            "predict_proba has values below 0 or above 1, expected probabilities. "
            "Does it return logits?"
        )
        np.testing.assert_array_equal(
            fitted.predict(texts),
            proba > 0.5,
            err_msg="predict must be 1 where predict_proba is above 0.5. Elsewhere, it "
            "must be 0.",
        )
        if hasattr(fitted, "decision_function"):
            np.testing.assert_array_equal(
                fitted.decision_function(texts) > 0,
                proba > 0.5,
                err_msg="decision_function must be positive where predict is 1, and "
                "at most 0 where predict is 0.",
            )


def check_multilabel_classes(estimator):
    """``classes_`` is a list with one array [0, 1] for each label."""
    X, y = _tags(estimator)
    classes = fresh(estimator).fit(X, y).classes_
    found = [np.asarray(each).tolist() for each in classes]
    assert isinstance(classes, list), (
        f"classes_ is {classes!r}, expected a list with one array for each label. If "
        "classes_ is an array, scorers read it as the classes of a single label."
    )
    assert found == [[0, 1]] * 3, (
        f"classes_ is {classes!r}, expected one array [0, 1] for each of 3 labels."
    )


def check_multilabel_scorers(estimator):
    """Scorers read the right probabilities for two and for three labels."""
    for n_labels in (2, 3):
        X, y = _tags(estimator, n_labels)
        fitted = fresh(estimator).fit(X, y)
        expected = roc_auc_score(y, fitted.predict_proba(X))
        found = get_scorer("roc_auc")(fitted, X, y)
        assert found == expected, (
            f"With {n_labels} labels, the scorer roc_auc returned {found}, expected "
            f"{expected}. Is classes_ a list with one array for each label?"
        )
        assert np.isfinite(get_scorer("f1_macro")(fitted, X, y))


def check_multilabel_learns(estimator):
    """On an easy corpus, the training accuracy of each label is more than 0.8."""
    X, y = _tags(estimator)
    predicted = fresh(estimator, **LONGER).fit(X, y).predict(X)
    accuracies = (np.asarray(predicted) == y).mean(axis=0)
    assert (accuracies > 0.8).all(), (
        f"The training accuracies of the labels are {accuracies}, expected more than "
        "0.8. Are columns exchanged, or labels assigned to the wrong texts?"
    )


def check_multilabel_score(estimator):
    """``score`` is the fraction of texts whose labels are all correct."""
    X, y = _tags(estimator)
    fitted = fresh(estimator).fit(X, y)
    predicted, truth = fitted.predict(X), y.copy()
    truth[::3] = np.asarray(predicted)[::3]
    truth[1::3, 0] = 1 - truth[1::3, 0]
    np.testing.assert_allclose(
        fitted.score(X, truth),
        accuracy_score(truth, predicted),
        err_msg="score must be the fraction of texts whose labels are all correct "
        "(subset accuracy).",
    )


def check_multilabel_containers(estimator):
    """Labels in a list, data frame or sparse matrix act like labels in an array.

    If the labels are a sparse matrix, ``predict`` returns a sparse matrix.
    """
    X, y = _tags(estimator)
    expected = outputs(fresh(estimator).fit(X, y), X)
    held = {"a list": y.tolist(), "a bool array": y == 1}
    held["a sparse matrix"] = csr_array(y)
    if installed("pandas"):
        import pandas as pd

        held["a data frame"] = pd.DataFrame(y, columns=["a", "b", "c"])
    for kind, labels in held.items():
        fitted = fresh(estimator).fit(X, labels)
        assert_same(
            outputs(fitted, X),
            expected,
            f"Labels in {kind} must give the same outputs as labels in an int array",
        )
        assert issparse(fitted.predict(X)) == issparse(labels), (
            f"With labels in {kind}, predict returned {type(fitted.predict(X))}, "
            "expected a sparse matrix if and only if the y passed to fit is sparse."
        )


def check_multilabel_cross_validation(estimator):
    """``cross_val_score`` and ``cross_val_predict`` accept a matrix of labels."""
    X, y = _tags(estimator)
    scores = cross_val_score(fresh(estimator), X, y, cv=2, error_score="raise")
    assert np.isfinite(scores).all(), (
        f"cross_val_score returned {scores}, expected finite scores. Does score return "
        "NaN?"
    )
    for method in ("predict", "predict_proba"):
        held_out = cross_val_predict(fresh(estimator), X, y, cv=2, method=method)
        assert np.shape(held_out) == y.shape, (
            f"With {method}, cross_val_predict returned the shape "
            f"{np.shape(held_out)}, expected {y.shape}."
        )


def check_multilabel_weight_two_is_row_twice(estimator):
    """A row of weight 2 acts like two rows of weight 1."""
    X, y = _tags(estimator)
    weights = np.ones(len(X), dtype=int)
    weights[::4] = 2
    rows = np.repeat(np.arange(len(X)), weights)
    model = fresh(estimator, **FULL_BATCH)
    twice = fresh(model).fit([X[i] for i in rows], y[rows])
    assert_same(
        outputs(model.fit(X, y, sample_weight=weights), X),
        outputs(twice, X),
        "A row of weight 2 must act like two rows of weight 1",
        tolerance=WEIGHTS,
    )


def check_multilabel_missing_refused(estimator):
    """NaN and None in a matrix of labels are refused, and the error names y."""
    X, y = _tags(estimator)
    for value in (np.nan, None):
        wrong = y.astype(object)
        wrong[3, 1] = value
        assert_refused(
            lambda wrong=wrong: fresh(estimator).fit(X, wrong),
            f"fit with {value} in a matrix of labels",
            errors=(ValueError,),
            naming=("y",),
        )


def check_multilabel_refit_forgets(estimator):
    """An earlier fit on a matrix of labels does not change a fit on single labels."""
    X, y = _tags(estimator)
    labels = corpus(estimator)[1]
    expected = fresh(estimator).fit(X, labels)
    refitted = fresh(estimator).fit(X, csr_array(y)).fit(X, labels)
    kept = set(vars(refitted)) ^ set(vars(expected))
    assert not kept, (
        f"The attributes {sorted(kept)} exist only after a second fit or only after a "
        "single fit, expected the same attributes. Does fit keep attributes that an "
        "earlier fit set?"
    )
    assert_same(
        outputs(refitted, X),
        outputs(expected, X),
        "A second fit must give the same outputs as a single fit on the same data",
    )


def applicable(traits):
    """Yield the checks that apply.

    The checks apply only if the tags declare text input, because some classifiers of
    scikit-learn return probabilities as a list, or dense predictions if `y` is sparse.
    """
    if not (traits.classifier and traits.text) or traits.columns:
        return
    if not traits.tags.classifier_tags.multi_label:
        return
    yield check_multilabel_predictions
    yield check_multilabel_classes
    if "predict_proba" in traits.methods:
        yield check_multilabel_probabilities
        yield check_multilabel_scorers
        yield check_multilabel_cross_validation
    if not traits.tags.classifier_tags.poor_score:
        yield check_multilabel_learns
    yield check_multilabel_score
    yield check_multilabel_missing_refused
    if not traits.tags.non_deterministic:
        yield check_multilabel_containers
        yield check_multilabel_refit_forgets
        if traits.weights:
            yield check_multilabel_weight_two_is_row_twice
