# SPDX-License-Identifier: BSD-3-Clause
# ruff: noqa: D401 (the docstring of a check states its rule)
"""Checks that ``fit`` refuses targets that cannot be class labels."""

import warnings

import numpy as np
from sklearn.exceptions import DataConversionWarning

from ._data import corpus
from ._tags import declares_text
from ._tools import assert_refused, assert_same, fresh, outputs


def _assert_refused_y(estimator, wrong, what, naming=("y",)):
    """Check that ``fit`` refuses the targets that `wrong` returns.

    If the tags declare text input, ``fit`` must raise a ValueError whose message
    contains the words in `naming`.
    """
    X, y = corpus(estimator)
    unfitted = fresh(estimator)
    strict = declares_text(estimator)
    assert_refused(
        lambda: unfitted.fit(X, wrong(y)),
        f"fit with {what}",
        errors=(ValueError,) if strict else (Exception,),
        naming=naming if strict else (),
    )


def check_y_none_refused(estimator):
    """``fit`` refuses ``y=None``."""
    _assert_refused_y(estimator, lambda y: None, "y=None")


def check_y_missing_label_refused(estimator):
    """``fit`` refuses labels that contain None, because None is a missing label."""
    _assert_refused_y(
        estimator,
        lambda y: np.array([None, *y[1:]], dtype=object),
        "None in y",
    )


def check_y_nan_refused(estimator):
    """``fit`` refuses labels that contain NaN, because NaN is a missing label.

    If the tags do not declare text input, the check does not try a list with NaN,
    because numpy converts NaN in a list of str to a str.
    """
    _assert_refused_y(
        estimator,
        lambda y: np.where(np.arange(len(y)) == 3, np.nan, y == y[0]).astype(float),
        "NaN in y",
    )
    _assert_refused_y(
        estimator,
        lambda y: np.array([float("nan"), *y[1:]], dtype=object),
        "NaN among str in y",
    )
    if not declares_text(estimator):
        return
    _assert_refused_y(
        estimator,
        lambda y: [float("nan"), *y[1:].tolist()],
        "NaN among str in a list y",
    )


def check_y_of_two_columns_refused(estimator):
    """A y of two columns is refused."""
    _assert_refused_y(estimator, lambda y: np.array([y, y]).T, "a y of two columns")


def check_y_continuous_refused(estimator):
    """Continuous targets are refused."""
    _assert_refused_y(
        estimator,
        lambda y: np.linspace(0.1, 0.9, len(y)),
        "a continuous y",
        naming=(),
    )


def check_y_of_mixed_types_refused(estimator):
    """Labels that mix str and numbers are refused, because they cannot be sorted.

    If the tags do not declare text input, the check does not try a list of str and
    numbers, because numpy converts the numbers to str.
    """
    _assert_refused_y(
        estimator,
        lambda y: np.array([1, *y[1:]], dtype=object),
        "str and numbers in y",
        naming=(),
    )
    if not declares_text(estimator):
        return
    _assert_refused_y(
        estimator,
        lambda y: [1, *y[1:].tolist()],
        "str and numbers in a list y",
        naming=(),
    )


def check_y_column_warns(estimator):
    """``fit`` flattens a column of labels and issues a DataConversionWarning."""
    X, y = corpus(estimator)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fitted = fresh(estimator).fit(X, y[:, None])
    kinds = [warning.category for warning in caught]
    assert any(issubclass(kind, DataConversionWarning) for kind in kinds), (
        f"fit with a y of shape (n, 1) issued the warnings {kinds}, expected a "
        "DataConversionWarning. Use sklearn.utils.column_or_1d(y, warn=True)."
    )
    assert_same(
        outputs(fitted, X),
        outputs(fresh(estimator).fit(X, y), X),
        "A column of labels must give the same outputs as one-dimensional labels",
    )


def check_lengths_refused(estimator):
    """``fit`` and ``score`` refuse X and y of different lengths."""
    X, y = corpus(estimator)
    unfitted = fresh(estimator)
    cases = {"one label too few": (X, y[:-1]), "one text too few": (X[:-1], y)}
    for what, case in cases.items():
        assert_refused(
            lambda case=case: unfitted.fit(*case),
            f"fit with {what}",
            naming=("y",) if declares_text(estimator) else (),
        )
    if hasattr(estimator, "score"):
        fitted = fresh(estimator).fit(X, y)
        assert_refused(lambda: fitted.score(X, y[:-1]), "score with one label too few")


def check_one_class_refused(estimator):
    """A y with one class is refused, and the message contains "class"."""
    _assert_refused_y(
        estimator, lambda y: np.full(len(y), y[0]), "one class in y", naming=("class",)
    )


def applicable(traits):
    """Yield the checks that apply to a classifier.

    If the tags do not declare text input, some checks are left out. The reason is that
    some classifiers of scikit-learn accept a y with one class or with several columns,
    or do not warn about a single column.
    """
    if not traits.classifier or traits.columns or traits.tags.no_validation:
        return
    yield check_y_none_refused
    yield check_y_missing_label_refused
    yield check_y_nan_refused
    if traits.text or not traits.tags.target_tags.multi_output:
        yield check_y_of_two_columns_refused
    yield check_y_continuous_refused
    yield check_y_of_mixed_types_refused
    if traits.text:
        yield check_y_column_warns
    yield check_lengths_refused
    if traits.text:
        yield check_one_class_refused
