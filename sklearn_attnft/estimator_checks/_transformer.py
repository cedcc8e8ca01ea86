# SPDX-License-Identifier: BSD-3-Clause
# ruff: noqa: D401 (the docstring of a check states its rule)
"""Checks of transformers: features, their names and the output container."""

import unittest

import numpy as np
import sklearn
from scipy.sparse import issparse
from sklearn import config_context
from sklearn.compose import ColumnTransformer
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import FeatureUnion
from sklearn.utils.fixes import parse_version

from ._data import corpus
from ._tags import declares_text, first_declares_text, provides
from ._tools import assert_refused, dense, features, fresh, installed

# fit_transform and transform of TfidfVectorizer sum the squares of a row in different
# orders, so the features differ by one unit in the last place. The two methods of PCA
# compute different products, so the features differ by up to seven units.
UNITS_IN_LAST_PLACE = 16

# scikit-learn 1.6 keeps the index of a data frame, but not the index of a Series.
# Remove this constant when setup.cfg requires scikit-learn 1.7.
_KEEPS_SERIES_INDEX = parse_version(sklearn.__version__) >= parse_version("1.7")


def _fit_and_transform(estimator):
    X, y = corpus(estimator)
    fitted = fresh(estimator).fit(X, y)
    return fitted, X, features(fitted, X)


def _assert_equal(estimator, actual, expected, message):
    """Check that features are equal.

    If the tags do not declare text input, features may differ by rounding errors. The
    limit is `UNITS_IN_LAST_PLACE` times ``np.spacing`` of the largest feature. The
    largest feature matters, because a decomposition computes small features as
    differences of large numbers.
    """
    atol = 0.0
    if not declares_text(estimator) and expected.dtype.kind == "f":
        atol = UNITS_IN_LAST_PLACE * np.spacing(np.abs(expected).max())
    np.testing.assert_allclose(actual, expected, rtol=0, atol=atol, err_msg=message)


def _with_output(estimator, fitted, container):
    """Return a fitted estimator whose ``set_output`` was called.

    If the tags declare text input, ``set_output`` is called on `fitted`. Otherwise, a
    clone is fitted after ``set_output``, because the steps of a Pipeline warn if they
    get arrays in ``fit`` and data frames later.
    """
    if declares_text(estimator):
        return fitted.set_output(transform=container)
    return fresh(estimator).set_output(transform=container).fit(*corpus(estimator))


def check_transform_shape(estimator):
    """``transform`` returns a two-dimensional array of numbers, one row per text.

    If the tags declare text input, the numbers are floats.
    """
    fitted, X, output = _fit_and_transform(estimator)
    assert output.ndim == 2, (
        f"transform returned the shape {output.shape}, expected two dimensions."
    )
    assert len(output) == len(X), (
        f"transform returned {len(output)} rows for {len(X)} texts, expected one row "
        "per text."
    )
    assert output.dtype.kind == "f" or not declares_text(estimator), (
        f"transform returned the dtype {output.dtype}, expected floats."
    )
    assert np.isfinite(output).all(), (
        "transform returned NaN or infinity, expected finite numbers."
    )
    other = features(fitted, X[:1]).shape
    assert other == (1, output.shape[1]), (
        f"transform of one text returned the shape {other}, expected "
        f"{(1, output.shape[1])}. Does the number of features depend on the texts?"
    )


def check_fit_transform(estimator):
    """``fit_transform`` returns the same features as ``fit``, then ``transform``."""
    X, y = corpus(estimator)
    _, _, expected = _fit_and_transform(estimator)
    _assert_equal(
        estimator,
        dense(fresh(estimator).fit_transform(X, y)),
        expected,
        "fit_transform must equal fit followed by transform.",
    )


def check_feature_names_out(estimator):
    """``get_feature_names_out`` returns a unique name for each feature."""
    fitted, _, output = _fit_and_transform(estimator)
    names = fitted.get_feature_names_out()
    assert isinstance(names, np.ndarray), (
        f"get_feature_names_out returned the type {type(names).__name__}, expected an "
        "ndarray."
    )
    assert names.dtype == object, (
        f"get_feature_names_out returned the dtype {names.dtype}, expected object."
    )
    assert all(isinstance(name, str) for name in names), (
        "get_feature_names_out returned names that are not str, expected str only."
    )
    assert len(names) == output.shape[1], (
        f"get_feature_names_out returned {len(names)} names, expected "
        f"{output.shape[1]}, one per feature."
    )
    assert len(set(names)) == len(names), (
        "get_feature_names_out returned duplicate names, expected unique names."
    )


def check_feature_names_out_before_fit(estimator):
    """Before ``fit``, ``get_feature_names_out`` raises NotFittedError."""
    assert_refused(
        fresh(estimator).get_feature_names_out,
        "get_feature_names_out before fit",
        errors=(NotFittedError,),
    )


def _assert_frame(frame, frame_type, fitted, expected, index=None):
    assert isinstance(frame, frame_type), (
        f"The output has the type {type(frame).__name__}, expected "
        f"{frame_type.__name__} after set_output or set_config. Does a method skip the "
        "wrapper of TransformerMixin?"
    )
    names = fitted.get_feature_names_out()
    assert list(frame.columns) == list(names), (
        f"The output has the columns {list(frame.columns)[:3]}..., expected the "
        f"feature names {list(names)[:3]}..."
    )
    _assert_equal(
        fitted,
        frame.to_numpy(),
        expected,
        "The data frame must have the same values as the array.",
    )
    if index is not None:
        assert frame.index.equals(index), (
            f"The output has the index {list(frame.index)[:3]}..., expected the index "
            f"of X, {list(index)[:3]}... Is X converted before the wrapper of "
            "TransformerMixin reads the index?"
        )


def _fit_and_transform_dense(estimator):
    """Fit and transform, or raise SkipTest if the features are a sparse matrix."""
    fitted, X, expected = _fit_and_transform(estimator)
    if issparse(fitted.transform(X)):
        raise unittest.SkipTest("`transform` returns a sparse matrix.")
    return fitted, X, expected


def check_set_output_default(estimator):
    """After ``set_output(transform="default")``, ``transform`` returns an array.

    The array has the same values as before ``set_output``.
    """
    fitted, X, expected = _fit_and_transform_dense(estimator)
    output = fitted.set_output(transform="default").transform(X)
    assert isinstance(output, np.ndarray), (
        f"The output has the type {type(output).__name__}, expected an ndarray."
    )
    np.testing.assert_array_equal(output, expected)


def check_set_output_pandas(estimator):
    """After ``set_output(transform="pandas")``, ``transform`` returns a data frame.

    If X has an index, the data frame has the same index.
    """
    import pandas as pd

    fitted, X, expected = _fit_and_transform_dense(estimator)
    fitted = _with_output(estimator, fitted, "pandas")
    index = pd.Index([f"row {i}" for i in range(len(X))])
    series = pd.Series(X, index=index, dtype=object)
    _assert_frame(fitted.transform(X), pd.DataFrame, fitted, expected)
    kept = index if _KEEPS_SERIES_INDEX else None
    _assert_frame(fitted.transform(series), pd.DataFrame, fitted, expected, kept)
    if first_declares_text(estimator):
        table = series.to_frame("text")
        _assert_frame(fitted.transform(table), pd.DataFrame, fitted, expected, index)
    y = corpus(estimator)[1]
    again = fresh(estimator).set_output(transform="pandas")
    _assert_frame(again.fit_transform(series, y), pd.DataFrame, again, expected, kept)


def check_set_output_polars(estimator):
    """After ``set_output(transform="polars")``, ``transform`` returns a data frame."""
    import polars as pl

    fitted, X, expected = _fit_and_transform_dense(estimator)
    fitted = _with_output(estimator, fitted, "polars")
    series = pl.Series("text", X)
    tables = [series.to_frame()] if first_declares_text(estimator) else []
    for texts in (X, series, *tables):
        _assert_frame(fitted.transform(texts), pl.DataFrame, fitted, expected)


def check_global_output_pandas(estimator):
    """After ``set_config(transform_output="pandas")``, the output is a data frame."""
    import pandas as pd

    fitted, X, expected = _fit_and_transform_dense(estimator)
    with config_context(transform_output="pandas"):
        if not declares_text(estimator):  # as in _with_output
            fitted = fresh(estimator).fit(X, corpus(estimator)[1])
        frame = fitted.transform(X)
        # The setting does not apply to predictions.
        for method in ("predict", "predict_proba"):
            if hasattr(fitted, method):
                kind = type(getattr(fitted, method)(X))
                assert kind in (np.ndarray, list), (
                    f"{method} returned the type {kind.__name__}, expected an ndarray "
                    "or a list."
                )
    _assert_frame(frame, pd.DataFrame, fitted, expected)


def check_column_transformer(estimator):
    """A ColumnTransformer can apply the transformer to a column of texts.

    The data frame of this check also has a column of numbers. If the tags declare text
    input, the transformer must also accept the texts as a data frame of one column.
    """
    import pandas as pd

    _, X, expected = _fit_and_transform(estimator)
    y = corpus(estimator)[1]
    table = pd.DataFrame({"text": X, "number": np.arange(len(X), dtype=float)})
    for columns in ("text", ["text"]) if first_declares_text(estimator) else ("text",):
        union = ColumnTransformer(
            [
                ("text", fresh(estimator), columns),
                ("number", "passthrough", ["number"]),
            ],
            sparse_threshold=0.0,
        )
        output = union.fit_transform(table, y)
        _assert_equal(
            estimator,
            output[:, :-1],
            expected,
            f"In a ColumnTransformer with the columns {columns!r}, the features must "
            "be those of the transformer alone.",
        )
        np.testing.assert_array_equal(output[:, -1], table["number"])
        if not provides(estimator, "get_feature_names_out"):
            continue
        names = union.get_feature_names_out()
        assert len(names) == output.shape[1], (
            f"The ColumnTransformer returned {len(names)} names, expected "
            f"{output.shape[1]}, one per feature."
        )


def check_feature_union(estimator):
    """A FeatureUnion can combine the transformer with word counts."""
    fitted, X, expected = _fit_and_transform(estimator)
    union = FeatureUnion([("ours", fresh(estimator)), ("words", TfidfVectorizer())])
    output = dense(union.fit_transform(X, corpus(estimator)[1]))
    width = expected.shape[1]
    _assert_equal(
        estimator,
        output[:, :width],
        expected,
        "In a FeatureUnion, the features must be those of the transformer alone.",
    )
    assert output.shape[1] > width, (
        f"The FeatureUnion returned {output.shape[1]} features, expected more than "
        f"{width} because the union has a second transformer."
    )
    if not provides(estimator, "get_feature_names_out"):
        return
    names = [f"ours__{name}" for name in fitted.get_feature_names_out()]
    assert list(union.get_feature_names_out())[:width] == names, (
        "In a FeatureUnion, the feature names must be those of the transformer alone, "
        "with a prefix."
    )


def applicable(traits):
    """Yield the checks that apply."""
    if "transform" not in traits.methods:
        return
    yield check_transform_shape
    if not traits.tags.non_deterministic and "fit_transform" in traits.methods:
        yield check_fit_transform
    if traits.text or "get_feature_names_out" in traits.methods:
        yield check_feature_names_out
        if traits.tags.requires_fit:
            yield check_feature_names_out_before_fit
    if not traits.tags.non_deterministic:
        yield check_feature_union
        if installed("pandas"):
            yield check_column_transformer
    if not {"get_feature_names_out", "set_output"} <= traits.methods:
        return
    yield check_set_output_default
    if installed("pandas"):
        yield check_set_output_pandas
        yield check_global_output_pandas
    if installed("polars"):
        yield check_set_output_polars
