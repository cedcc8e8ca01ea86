# SPDX-License-Identifier: BSD-3-Clause
# ruff: noqa: D401 (the docstring of a check states its rule)
"""Checks of a regressor: its targets, predictions, scores and weights."""

import inspect
import warnings

import numpy as np
from sklearn.exceptions import DataConversionWarning
from sklearn.metrics import r2_score

from ._data import RAGGED, contradiction, corpus, uneven_weights
from ._tags import declares_text, last_step
from ._tools import LONGER, assert_refused, assert_same, fresh, installed, outputs


def _assert_refused_numbers(estimator, wrong, what, naming=("y",)):
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


def check_numbers_none_refused(estimator):
    """``fit`` refuses ``y=None``."""
    _assert_refused_numbers(estimator, lambda y: None, "y=None")


def check_numbers_nan_refused(estimator):
    """NaN and None in y are refused, because they are missing values."""
    for value in (np.nan, None):
        for kind in (float, object):
            if value is None and kind is float:
                continue
            wrong = _with_first(value, kind)
            _assert_refused_numbers(estimator, wrong, f"{value} in y")


def check_numbers_infinite_refused(estimator):
    """Infinite numbers are refused."""
    for value in (np.inf, -np.inf):
        _assert_refused_numbers(estimator, _with_first(value, float), f"{value} in y")


def _with_first(value, dtype):
    """Return a function that replaces the first number in y with `value`."""

    def replace(y):
        y = y.astype(dtype)
        y.flat[0] = value
        return y

    return replace


def check_numbers_str_refused(estimator):
    """Words as targets are refused."""
    _assert_refused_numbers(
        estimator,
        lambda y: np.where(y > y.mean(), "good", "bad"),
        "words in y",
    )


def check_numbers_lengths_refused(estimator):
    """``fit`` and ``score`` refuse X and y of different lengths."""
    X, y = corpus(estimator)
    _assert_refused_numbers(estimator, lambda y: y[:-1], "one number too few")
    if hasattr(estimator, "score"):
        fitted = fresh(estimator).fit(X, y)
        assert_refused(lambda: fitted.score(X, y[:-1]), "score with one number too few")


def check_numbers_column_warns(estimator):
    """``fit`` flattens a column of numbers and issues a DataConversionWarning."""
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
        "A column of numbers must give the same outputs as one-dimensional numbers",
    )


def check_numbers_predictions(estimator):
    """``predict`` returns finite floats in the shape of y."""
    X, y = corpus(estimator)
    texts = [*X, *RAGGED]
    predicted = fresh(estimator).fit(X, y).predict(texts)
    shape = len(texts), *y.shape[1:]
    assert np.shape(predicted) == shape, (
        f"predict returned the shape {np.shape(predicted)}, expected {shape}."
    )
    predicted = np.asarray(predicted)
    assert predicted.dtype.kind == "f", (
        f"predict returned the dtype {predicted.dtype}, expected floats. Does predict "
        "return classes?"
    )
    assert np.isfinite(predicted).all(), (
        "predict returned NaN or infinity, expected finite numbers."
    )


def check_numbers_of_several_columns(estimator):
    """If the tags declare several outputs, ``predict`` returns a column per output."""
    X, y = corpus(estimator)
    y = np.column_stack([y, 10 - 5 * y])
    fitted = fresh(estimator, **LONGER).fit(X, y)
    predicted = np.asarray(fitted.predict(X))
    assert predicted.shape == y.shape, (
        f"predict returned the shape {predicted.shape}, expected {y.shape}."
    )
    for i in range(2):
        score = r2_score(y[:, i], predicted[:, i])
        assert score > 0.5, (
            f"In column {i}, R² of the training data is {score:.2f}, expected more "
            "than 0.5. Are columns exchanged, or predictions not in the unit of y?"
        )


def check_numbers_learn(estimator):
    """On an easy corpus, R² of the training data is more than 0.5."""
    X, y = corpus(estimator)
    score = r2_score(y, fresh(estimator, **LONGER).fit(X, y).predict(X))
    assert score > 0.5, (
        f"R² of the training data is {score:.2f}, expected more than 0.5. Are numbers "
        "assigned to the wrong texts? If training is too slow, increase the learning "
        "rates."
    )


def check_numbers_score_is_r2(estimator):
    """``score`` is R², with and without weights.

    If the tags do not declare text input, there are two exceptions. Weights are passed
    only if ``score`` takes weights. The check is left out if a parameter `scoring` is
    set.
    """
    X, y = corpus(estimator)
    fitted = fresh(estimator).fit(X, y)
    noise = np.sin(np.arange(len(X))).reshape(-1, *[1] * (y.ndim - 1))
    predicted, truth = fitted.predict(X), y + noise
    np.testing.assert_allclose(
        fitted.score(X, truth),
        r2_score(truth, predicted),
        err_msg="score must be sklearn.metrics.r2_score.",
    )
    score = last_step(estimator).score
    takes_weights = "sample_weight" in inspect.signature(score).parameters
    if not (takes_weights or declares_text(estimator)):
        return
    weights = np.arange(1.0, len(X) + 1) ** 2
    np.testing.assert_allclose(
        fitted.score(X, truth, sample_weight=weights),
        r2_score(truth, predicted, sample_weight=weights),
        err_msg="score with sample_weight must be the weighted R². Does score ignore "
        "the weights?",
    )


def check_numbers_dtypes_are_equal(estimator):
    """The type of y does not change the outputs.

    The check tries a list, arrays of float, int and object, and a Series.
    """
    X, y = corpus(estimator)
    expected = outputs(fresh(estimator).fit(X, y), X)
    kinds = {"a list": list, "an int array": lambda y: y.astype(int)}
    kinds["an object array"] = lambda y: y.astype(object)
    if installed("pandas"):
        import pandas as pd

        kinds["a Series with another index"] = lambda y: pd.Series(
            y, index=np.arange(len(y))[::-1]
        )
    for kind, convert in kinds.items():
        assert_same(
            outputs(fresh(estimator).fit(X, convert(y)), X),
            expected,
            f"Numbers in {kind} must give the same outputs as in an array of float",
        )


def check_numbers_unit(estimator):
    """If y is shifted and scaled, the predictions change in the same way."""
    X, y = corpus(estimator)
    expected = fresh(estimator).fit(X, y).predict(X)
    for shift, factor in ((1000.0, 1.0), (0.0, 1e-4), (-5.0, 1e4)):
        np.testing.assert_allclose(
            (fresh(estimator).fit(X, shift + factor * y).predict(X) - shift) / factor,
            expected,
            atol=1e-3,
            err_msg=f"After a fit on {shift} + {factor} * y, subtract {shift} from the "
            f"predictions and divide by {factor}. The results must be the predictions "
            "of a fit on y. Standardize y inside fit.",
        )


def check_numbers_constant(estimator):
    """If all numbers in y are equal, ``predict`` returns this number."""
    X, y = corpus(estimator)
    for value in (0.0, 0.1, -1e6):
        predicted = fresh(estimator).fit(X, np.full_like(y, value)).predict(X)
        np.testing.assert_allclose(
            predicted,
            np.full_like(y, value),
            atol=1e-2,
            err_msg=f"With y={value} for all texts, predict must return {value}. Is y "
            "divided by a standard deviation of 0?",
        )


def check_weights_move_numbers(estimator):
    """The prediction for a text is close to the number with the larger weight.

    Each text occurs twice in the training data, with different numbers and different
    weights.
    """
    X, y = contradiction(estimator)
    low, high = np.unique(y)[[0, -1]]
    for heavy, light in ((low, high), (high, low)):
        weights = np.where(y == heavy, 50.0, 1.0)
        fitted = fresh(estimator, **LONGER).fit(X, y, sample_weight=weights)
        distance = np.abs(fitted.predict(X) - heavy).mean() / abs(heavy - light)
        assert distance < 0.3, (
            f"The number {heavy} has 50 times larger weights, but the distance of the "
            f"predictions from this number is {distance:.2f} of its distance from "
            f"{light}, expected less than 0.3. Are weights ignored, or assigned to the "
            "wrong rows?"
        )


def check_weight_zero_hides_numbers(estimator):
    """A row of weight 0 does not change the fit, even if its target is very large."""
    X, y = corpus(estimator)
    weights = uneven_weights(len(X))
    weights[2] = 0.0
    wrong = y.copy()
    wrong[2] = 1e9
    assert_same(
        outputs(fresh(estimator).fit(X, wrong, sample_weight=weights), X),
        outputs(fresh(estimator).fit(X, y, sample_weight=weights), X),
        "A row of weight 0 must not change the fit (is its target used in the mean or "
        "the standard deviation of y?)",
        tolerance=1e-6,
    )


def check_validation_numbers_refused(estimator):
    """NaN, infinite numbers and words in `y_val` are refused."""
    X, y = corpus(estimator)
    for value in (np.nan, np.inf, "good"):
        wrong = _with_first(value, object if value == "good" else float)(y[10:])
        assert_refused(
            lambda wrong=wrong: fresh(estimator).fit(
                X[:10], y[:10], X_val=X[10:], y_val=wrong
            ),
            f"fit with {value} in y_val",
            errors=(ValueError,),
            naming=("y_val",),
        )


def check_failed_numbers_keep_the_earlier_fit(estimator):
    """If ``fit`` raises an error because of y, the fitted model stays as it was."""
    X, y = corpus(estimator)
    fitted = fresh(estimator).fit(X, y)
    before = outputs(fitted, X)
    wrong = {"one number too few": y[:-1], "NaN": _with_first(np.nan, float)(y)}
    for what, numbers in wrong.items():
        assert_refused(
            lambda numbers=numbers: fitted.fit(X, numbers), f"A second fit with {what}"
        )
        assert_same(
            outputs(fitted, X),
            before,
            f"After a second fit that failed because of {what}, the estimator must "
            "give the outputs of the first fit (set attributes after all steps that "
            "can fail)",
        )


def applicable(traits):
    """Yield the checks that apply to a regressor.

    If the tags do not declare text input, some checks are left out. The reason is that
    some regressors of scikit-learn accept missing numbers, depend on the unit of y, or
    return a column if y is a column.
    """
    if not traits.regressor:
        return
    if not traits.tags.no_validation:
        yield check_numbers_none_refused
        yield check_numbers_infinite_refused
        yield check_numbers_str_refused
        yield check_numbers_lengths_refused
        if traits.text:
            yield check_numbers_nan_refused
    yield check_numbers_predictions
    if traits.text or ("score" in traits.methods and not traits.scoring):
        yield check_numbers_score_is_r2
    if not traits.tags.regressor_tags.poor_score:
        yield check_numbers_learn
    if traits.columns or not traits.text:
        return
    yield check_numbers_column_warns
    if traits.tags.target_tags.multi_output:
        yield check_numbers_of_several_columns
    yield check_numbers_constant
    if not traits.tags.non_deterministic:
        yield check_numbers_dtypes_are_equal
        yield check_numbers_unit
    yield check_failed_numbers_keep_the_earlier_fit
    if traits.weights:
        yield check_weights_move_numbers
        if not traits.tags.non_deterministic:
            yield check_weight_zero_hides_numbers
    if {"X_val", "y_val"} <= traits.fit_takes:
        yield check_validation_numbers_refused
