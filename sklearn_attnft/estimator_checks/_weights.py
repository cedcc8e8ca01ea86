# SPDX-License-Identifier: BSD-3-Clause
# ruff: noqa: D401 (the docstring of a check is the rule that it holds)
"""What `sample_weight` means: how often a row is there."""

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils._testing import ignore_warnings

from ._data import contradiction, corpus, first_column, uneven_weights
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

# Rows in another order sum to another last digit, which training then enlarges.
EQUIVALENCE = 1e-4


def _fit(estimator, X, y, sample_weight=None):
    return fresh(estimator, **FULL_BATCH).fit(X, y, sample_weight=sample_weight)


def check_weights_none_is_ones(estimator):
    """No weights are weights of 1."""
    X, y = corpus(estimator)
    assert_same(
        outputs(_fit(estimator, X, y, np.ones(len(X))), X),
        outputs(_fit(estimator, X, y), X),
        "Weights of 1 have to act as none",
        tolerance=1e-6,
    )


def check_weights_matter(estimator):
    """Weights that shift the balance of the classes change what is learned."""
    X, y = corpus(estimator)
    weighted = _fit(estimator, X, y, uneven_weights(len(X)))
    assert differ(outputs(weighted, X), outputs(_fit(estimator, X, y), X)), (
        "A fit with uneven weights gives what it gives without: sample_weight is "
        "accepted and not used."
    )


@ignore_warnings(category=ConvergenceWarning)  # one label is what is wanted
def check_weights_decide(estimator):
    """Where texts have both labels, the label of the heavy rows is predicted."""
    X, y = contradiction(estimator)
    rows = first_column(y)
    for heavy in np.unique(rows):
        weights = np.where(rows == heavy, 50.0, 1.0)
        # "balanced" would undo the weights.
        unfitted = fresh(estimator, class_weight=None, **LONGER)
        fitted = unfitted.fit(X, y, sample_weight=weights)
        share = np.mean(fitted.predict(X) == heavy)
        assert share > 0.8, (
            f"Where rows of {heavy!r} weigh 50 times the others, {share:.2f} of the "
            "predictions are that; expected nearly all. Are weights in the order of "
            "the rows that they belong to?"
        )


def check_weights_scale_invariance(estimator):
    """Only the proportions of the weights matter."""
    X, y = corpus(estimator)
    weights = uneven_weights(len(X))
    expected = outputs(_fit(estimator, X, y, weights), X)
    for scale in (0.125, 32.0):
        assert_same(
            outputs(_fit(estimator, X, y, weights * scale), X),
            expected,
            f"Weights times {scale} have to act as before (divide them by their mean)",
            tolerance=1e-5,
        )


def check_weight_two_is_row_twice(estimator):
    """A row of weight 2 is the row twice, a row of weight 3 the row three times."""
    X, y = corpus(estimator)
    weights = np.ones(len(X), dtype=int)
    weights[::4], weights[3] = 2, 3
    rows = np.repeat(np.arange(len(X)), weights)
    repeated = _fit(estimator, [X[i] for i in rows], y[rows])
    assert_same(
        outputs(_fit(estimator, X, y, weights), X),
        outputs(repeated, X),
        "A row of weight k has to act as k such rows",
        tolerance=EQUIVALENCE,
    )


def check_weight_zero_is_row_absent(estimator):
    """A row of weight 0 is as good as absent."""
    X, y = corpus(estimator)
    present = np.ones(len(X), dtype=bool)
    present[[1, 2, 5, 8, 15]] = False
    labels = y.copy()
    labels[~present] = y[0]  # rows that would teach something else
    kept = [text for text, there in zip(X, present, strict=True) if there]
    assert_same(
        outputs(_fit(estimator, X, labels, present.astype(float)), X),
        outputs(_fit(estimator, kept, labels[present]), X),
        "A row of weight 0 has to act as if absent (does it count in a mean, a "
        "vocabulary or the number of rows?)",
        tolerance=EQUIVALENCE,
    )


def _assert_accepted(estimator, convert, what):
    X, y = corpus(estimator)
    weights = uneven_weights(len(X))
    assert_same(
        outputs(_fit(estimator, X, y, convert(weights)), X),
        outputs(_fit(estimator, X, y, weights), X),
        f"sample_weight in {what} has to act as in an array",
    )


def check_weights_list(estimator):
    """A list of weights will do."""
    _assert_accepted(estimator, lambda weights: weights.tolist(), "a list")


def check_weights_int(estimator):
    """Weights of int will do."""
    _assert_accepted(estimator, lambda weights: weights.astype(int), "an int array")


def check_weights_series(estimator):
    """A Series of weights is read by position."""
    import pandas as pd

    _assert_accepted(
        estimator,
        lambda weights: pd.Series(weights, index=np.arange(len(weights))[::-1]),
        "a Series with another index",
    )


def check_weights_not_overwritten(estimator):
    """The array of weights is left as it was."""
    X, y = corpus(estimator)
    weights = uneven_weights(len(X))
    weights[3] = 0.0
    before = weights.copy()
    _fit(estimator, X, y, weights)
    np.testing.assert_array_equal(
        weights, before, err_msg="fit changed sample_weight. Is it scaled in place?"
    )


def _assert_weights_refused(estimator, wrong, what):
    X, y = corpus(estimator)
    weights = wrong(uneven_weights(len(X)))
    assert_refused(
        lambda: _fit(estimator, X, y, weights), what, naming=("sample_weight",)
    )


def check_weights_wrong_length_refused(estimator):
    """As many weights as rows."""
    for wrong in (lambda w: w[:-1], lambda w: np.r_[w, 1.0]):
        _assert_weights_refused(estimator, wrong, "a sample_weight of another length")


def check_weights_two_dimensional_refused(estimator):
    """Weights are one-dimensional."""
    for wrong in (lambda w: np.array([w, w]).T, lambda w: w[:, None]):
        _assert_weights_refused(estimator, wrong, "a two-dimensional sample_weight")


def check_weights_negative_refused(estimator):
    """A row cannot be there less than never."""
    _assert_weights_refused(
        estimator, lambda w: np.r_[-1.0, w[1:]], "a negative sample_weight"
    )


def check_weights_all_zero_refused(estimator):
    """With nothing to learn from, nothing is learned."""
    _assert_weights_refused(estimator, np.zeros_like, "a sample_weight of zeros")


def check_weights_not_finite_refused(estimator):
    """NaN and infinity are no weights."""
    for value in (np.nan, np.inf):
        _assert_weights_refused(
            estimator, lambda w, v=value: np.r_[v, w[1:]], f"{value} in sample_weight"
        )


def check_weights_of_one_class_refused(estimator):
    """Weights that leave one class only leave nothing to tell apart."""
    X, y = corpus(estimator)
    rows = first_column(y)
    weights = (rows == rows[0]).astype(float)
    assert_refused(
        lambda: _fit(estimator, X, y, weights),
        "a sample_weight that is positive in one class only",
        errors=(ValueError,),
        naming=("class",),
    )


def applicable(traits):
    """Yield the checks that apply: all want a ``fit`` that takes `sample_weight`."""
    if "sample_weight" not in traits.fit_takes:
        return
    if not traits.tags.non_deterministic:
        yield check_weights_none_is_ones
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
    yield check_weights_negative_refused
    yield check_weights_all_zero_refused
    yield check_weights_not_finite_refused
    if traits.classifier:
        yield check_weights_decide
        yield check_weights_of_one_class_refused
