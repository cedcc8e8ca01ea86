# SPDX-License-Identifier: BSD-3-Clause
# ruff: noqa: D401 (the docstring of a check is the rule that it holds)
"""Targets that cannot be class labels are refused, by the name of `y`."""

import warnings

import numpy as np
from sklearn.exceptions import DataConversionWarning

from ._data import corpus
from ._tools import assert_refused, assert_same, fresh, outputs


def _assert_refused_y(estimator, wrong, what, naming=("y",)):
    """See that ``fit`` refuses the targets that `wrong` makes of good ones."""
    X, y = corpus(estimator)
    unfitted = fresh(estimator)
    assert_refused(
        lambda: unfitted.fit(X, wrong(y)), what, errors=(ValueError,), naming=naming
    )


def check_y_none_refused(estimator):
    """No targets at all is refused."""
    _assert_refused_y(estimator, lambda y: None, "y=None")


def check_y_missing_label_refused(estimator):
    """None among the labels is a missing label, not a class."""
    _assert_refused_y(
        estimator,
        lambda y: np.array([None, *y[1:]], dtype=object),
        "None inside y",
    )


def check_y_nan_refused(estimator):
    """NaN among the labels is a missing label, not a class."""
    _assert_refused_y(
        estimator,
        lambda y: np.where(np.arange(len(y)) == 3, np.nan, y == y[0]).astype(float),
        "NaN inside y",
    )
    _assert_refused_y(
        estimator,
        lambda y: np.array([float("nan"), *y[1:]], dtype=object),
        "NaN among str inside y",
    )
    _assert_refused_y(
        estimator,
        lambda y: [float("nan"), *y[1:].tolist()],
        "NaN among str inside a list y",
    )


def check_y_of_two_columns_refused(estimator):
    """A label for each text is one column, not two."""
    _assert_refused_y(estimator, lambda y: np.array([y, y]).T, "y of two columns")


def check_y_continuous_refused(estimator):
    """Measurements are not class labels."""
    _assert_refused_y(
        estimator,
        lambda y: np.linspace(0.1, 0.9, len(y)),
        "a continuous y",
        naming=(),
    )


def check_y_of_mixed_types_refused(estimator):
    """Labels of which some are str and some numbers cannot be sorted."""
    _assert_refused_y(
        estimator,
        lambda y: np.array([1, *y[1:]], dtype=object),
        "str and numbers in y",
        naming=(),
    )
    _assert_refused_y(
        estimator,
        lambda y: [1, *y[1:].tolist()],
        "str and numbers in a list y",
        naming=(),
    )


def check_y_column_warns(estimator):
    """A column of labels is flattened, with a DataConversionWarning."""
    X, y = corpus(estimator)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fitted = fresh(estimator).fit(X, y[:, None])
    kinds = [warning.category for warning in caught]
    assert any(issubclass(kind, DataConversionWarning) for kind in kinds), (
        f"y of shape (n, 1) gave the warnings {kinds} and no DataConversionWarning; "
        "use sklearn.utils.column_or_1d(y, warn=True)."
    )
    assert_same(
        outputs(fitted, X),
        outputs(fresh(estimator).fit(X, y), X),
        "A column of labels has to act as the labels flat",
    )


def check_lengths_refused(estimator):
    """As many labels as texts, in ``fit`` and in ``score``."""
    X, y = corpus(estimator)
    unfitted = fresh(estimator)
    cases = {"a label too few": (X, y[:-1]), "a text too few": (X[:-1], y)}
    for what, case in cases.items():
        assert_refused(lambda case=case: unfitted.fit(*case), what, naming=("y",))
    if hasattr(estimator, "score"):
        fitted = fresh(estimator).fit(X, y)
        assert_refused(lambda: fitted.score(X, y[:-1]), "a label too few in score")


def check_one_class_refused(estimator):
    """One class leaves nothing to tell apart; the message says "class"."""
    _assert_refused_y(
        estimator, lambda y: np.full(len(y), y[0]), "one class in y", naming=("class",)
    )


def applicable(traits):
    """Yield the checks that apply."""
    if not traits.classifier or traits.columns or traits.tags.no_validation:
        return
    yield check_y_none_refused
    yield check_y_missing_label_refused
    yield check_y_nan_refused
    yield check_y_of_two_columns_refused
    yield check_y_continuous_refused
    yield check_y_of_mixed_types_refused
    yield check_y_column_warns
    yield check_lengths_refused
    yield check_one_class_refused
