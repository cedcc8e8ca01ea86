# SPDX-License-Identifier: BSD-3-Clause
# ruff: noqa: D401 (the docstring of a check states its rule)
"""Checks that weights act like repeated rows and that invalid weights are refused."""

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils._testing import ignore_warnings

from ._data import contradiction, corpus, first_column, uneven_weights
from ._tags import declares_text
from ._tools import (
    FULL_BATCH,
    LONGER,
    assert_refused,
    assert_same,
    differ,
    fresh,
    installed,
    outputs,
)

# Rounding errors depend on the order of the rows, and training amplifies the errors.
EQUIVALENCE = 1e-4


def _fit(estimator, X, y, sample_weight=None):
    return fresh(estimator, **FULL_BATCH).fit(X, y, sample_weight=sample_weight)


def check_weights_none_is_ones(estimator):
    """Weights of 1 give the same fit as no weights."""
    X, y = corpus(estimator)
    assert_same(
        outputs(_fit(estimator, X, y, np.ones(len(X))), X),
        outputs(_fit(estimator, X, y), X),
        "Weights of 1 must give the same outputs as no weights",
        tolerance=1e-6,
    )


def check_weights_matter(estimator):
    """Weights that shift the balance of the classes change what is learned."""
    X, y = corpus(estimator)
    weighted = _fit(estimator, X, y, uneven_weights(len(X)))
    assert differ(outputs(weighted, X), outputs(_fit(estimator, X, y), X)), (
        "A fit with uneven weights gives the same outputs as a fit without weights, "
        "expected a difference. Is sample_weight ignored?"
    )


@ignore_warnings(category=ConvergenceWarning)  # expected: one label is predicted
def check_weights_decide(estimator):
    """If each text occurs with both labels, the one with more weight is predicted."""
    X, y = contradiction(estimator)
    rows = first_column(y)
    for heavy in np.unique(rows):
        weights = np.where(rows == heavy, 50.0, 1.0)
        # class_weight="balanced" would cancel the sample weights.
        unfitted = fresh(estimator, class_weight=None, **LONGER)
        fitted = unfitted.fit(X, y, sample_weight=weights)
        fraction = np.mean(fitted.predict(X) == heavy)
        assert fraction > 0.8, (
            f"With 50 times larger weights for {heavy!r}, a fraction of "
            f"{fraction:.2f} of the predictions is this label, expected more than 0.8. "
            "Are weights ignored, or assigned to the wrong rows?"
        )


def check_weights_scale_invariance(estimator):
    """Multiplying all weights by a constant does not change the fit."""
    X, y = corpus(estimator)
    weights = uneven_weights(len(X))
    expected = outputs(_fit(estimator, X, y, weights), X)
    for scale in (0.125, 32.0):
        assert_same(
            outputs(_fit(estimator, X, y, weights * scale), X),
            expected,
            f"Multiplying all weights by {scale} must not change the outputs (divide "
            "the weights by their mean)",
            tolerance=1e-5,
        )


def check_weight_two_is_row_twice(estimator):
    """A row of weight k acts like k rows of weight 1."""
    X, y = corpus(estimator)
    weights = np.ones(len(X), dtype=int)
    weights[::4], weights[3] = 2, 3
    rows = np.repeat(np.arange(len(X)), weights)
    repeated = _fit(estimator, [X[i] for i in rows], y[rows])
    assert_same(
        outputs(_fit(estimator, X, y, weights), X),
        outputs(repeated, X),
        "A row of weight k must act like k rows of weight 1",
        tolerance=EQUIVALENCE,
    )


def check_weight_zero_is_row_absent(estimator):
    """A row of weight 0 acts like a removed row."""
    X, y = corpus(estimator)
    present = np.ones(len(X), dtype=bool)
    present[[1, 2, 5, 8, 15]] = False
    labels = y.copy()
    labels[~present] = y[0]  # wrong labels, which would change the fit
    kept = [text for text, there in zip(X, present, strict=True) if there]
    assert_same(
        outputs(_fit(estimator, X, labels, present.astype(float)), X),
        outputs(_fit(estimator, kept, labels[present]), X),
        "A row of weight 0 must act like a removed row (does it count in a mean, a "
        "vocabulary or the number of rows?)",
        tolerance=EQUIVALENCE,
    )


def _assert_accepted(estimator, convert, what):
    X, y = corpus(estimator)
    weights = uneven_weights(len(X))
    assert_same(
        outputs(_fit(estimator, X, y, convert(weights)), X),
        outputs(_fit(estimator, X, y, weights), X),
        f"sample_weight in {what} must give the same outputs as in a float array",
    )


def check_weights_list(estimator):
    """A list of weights is accepted."""
    _assert_accepted(estimator, lambda weights: weights.tolist(), "a list")


def check_weights_int(estimator):
    """Weights of int are accepted."""
    _assert_accepted(estimator, lambda weights: weights.astype(int), "an int array")


def check_weights_series(estimator):
    """A pandas Series of weights is read by position, and its index is ignored."""
    import pandas as pd

    _assert_accepted(
        estimator,
        lambda weights: pd.Series(weights, index=np.arange(len(weights))[::-1]),
        "a Series with another index",
    )


def check_weights_not_overwritten(estimator):
    """``fit`` does not change the array of weights."""
    X, y = corpus(estimator)
    weights = uneven_weights(len(X))
    weights[3] = 0.0
    before = weights.copy()
    _fit(estimator, X, y, weights)
    np.testing.assert_array_equal(
        weights,
        before,
        err_msg="fit changed sample_weight, expected no change. Is the array "
        "scaled in place?",
    )


def _assert_weights_refused(estimator, wrong, what):
    X, y = corpus(estimator)
    weights = wrong(uneven_weights(len(X)))
    assert_refused(
        lambda: _fit(estimator, X, y, weights),
        f"fit with {what}",
        naming=("sample_weight",) if declares_text(estimator) else (),
    )


def check_weights_wrong_length_refused(estimator):
    """A sample_weight that is shorter or longer than X is refused."""
    for wrong in (lambda w: w[:-1], lambda w: np.r_[w, 1.0]):
        _assert_weights_refused(estimator, wrong, "a sample_weight of another length")


def check_weights_two_dimensional_refused(estimator):
    """Two-dimensional weights are refused."""
    for wrong in (lambda w: np.array([w, w]).T, lambda w: w[:, None]):
        _assert_weights_refused(estimator, wrong, "a two-dimensional sample_weight")


def check_weights_negative_refused(estimator):
    """Negative weights are refused."""
    _assert_weights_refused(
        estimator, lambda w: np.r_[-1.0, w[1:]], "a negative sample_weight"
    )


def check_weights_all_zero_refused(estimator):
    """Weights that are all zero are refused."""
    _assert_weights_refused(estimator, np.zeros_like, "a sample_weight of zeros")


def check_weights_not_finite_refused(estimator):
    """NaN and infinity are refused as weights."""
    for value in (np.nan, np.inf):
        _assert_weights_refused(
            estimator, lambda w, v=value: np.r_[v, w[1:]], f"{value} in sample_weight"
        )


def check_weights_of_one_class_refused(estimator):
    """Weights that are positive for one class only are refused."""
    X, y = corpus(estimator)
    rows = first_column(y)
    weights = (rows == rows[0]).astype(float)
    assert_refused(
        lambda: _fit(estimator, X, y, weights),
        "fit with a sample_weight that is positive for one class only",
        errors=(ValueError,),
        naming=("class",),
    )


def applicable(traits):
    """Yield the checks that apply.

    If ``fit`` does not take `sample_weight`, no check applies. The checks of scale,
    negative weights and weights of one class apply only if the tags declare text input.
    The reason is that scikit-learn's classifiers depend on the scale of the weights,
    and that some of them accept negative weights or weights of one class.
    """
    if not traits.weights:
        return
    if not traits.tags.non_deterministic:
        yield check_weights_none_is_ones
        if traits.text:
            yield check_weights_scale_invariance
        yield check_weight_two_is_row_twice
        yield check_weight_zero_is_row_absent
        yield check_weights_list
        yield check_weights_int
        if installed("pandas"):
            yield check_weights_series
    yield check_weights_matter
    yield check_weights_not_overwritten
    yield check_weights_wrong_length_refused
    yield check_weights_two_dimensional_refused
    if traits.text:
        yield check_weights_negative_refused
    yield check_weights_all_zero_refused
    yield check_weights_not_finite_refused
    if traits.classifier:
        yield check_weights_decide
        if traits.text:
            yield check_weights_of_one_class_refused
