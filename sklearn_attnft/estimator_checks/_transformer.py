# SPDX-License-Identifier: BSD-3-Clause
# ruff: noqa: D401 (the docstring of a check is the rule that it holds)
"""Texts to features: one row a text, named, in the container asked for."""

import numpy as np
from sklearn import config_context
from sklearn.compose import ColumnTransformer
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import FeatureUnion

from ._data import corpus
from ._tools import assert_refused, dense, fresh, installed


def _fit_and_transform(estimator):
    X, y = corpus(estimator)
    fitted = fresh(estimator).fit(X, y)
    return fitted, X, dense(fitted.transform(X))


def check_transform_shape(estimator):
    """``transform`` gives floating numbers, two-dimensional, a row for each text."""
    fitted, X, features = _fit_and_transform(estimator)
    assert features.ndim == 2, f"transform gave an array of shape {features.shape}."
    assert len(features) == len(X), f"{len(features)} rows for {len(X)} texts."
    assert features.dtype.kind == "f", f"transform gave the dtype {features.dtype}."
    assert np.isfinite(features).all(), "transform gave numbers that are not finite."
    other = dense(fitted.transform(X[:1])).shape
    assert other == (1, features.shape[1]), (
        f"The features of one text have the shape {other}, those of {len(X)} texts "
        f"{features.shape}: the number of features must not depend on the texts."
    )


def check_fit_transform(estimator):
    """``fit_transform`` gives what ``fit`` and then ``transform`` give."""
    X, y = corpus(estimator)
    _, _, expected = _fit_and_transform(estimator)
    np.testing.assert_array_equal(
        dense(fresh(estimator).fit_transform(X, y)),
        expected,
        err_msg="fit_transform differs from fit followed by transform.",
    )


def check_feature_names_out(estimator):
    """There is one name for each feature, all different."""
    fitted, _, features = _fit_and_transform(estimator)
    names = fitted.get_feature_names_out()
    assert isinstance(names, np.ndarray), f"The names are in a {type(names)}."
    assert names.dtype == object, f"The names have the dtype {names.dtype}, not object."
    assert all(isinstance(name, str) for name in names), "A name is not a str."
    assert len(names) == features.shape[1], (
        f"get_feature_names_out gave {len(names)} names for {features.shape[1]} "
        "features."
    )
    assert len(set(names)) == len(names), "Two features have one name."


def check_feature_names_out_before_fit(estimator):
    """Before ``fit`` there are no names, and NotFittedError says so."""
    assert_refused(
        fresh(estimator).get_feature_names_out,
        "get_feature_names_out before fit",
        errors=(NotFittedError,),
    )


def _assert_frame(frame, frame_type, fitted, expected, index=None):
    assert isinstance(frame, frame_type), (
        f"The output is a {type(frame).__name__} and not the {frame_type.__name__} "
        "that was asked for. Does a method skip the wrapper of TransformerMixin?"
    )
    names = fitted.get_feature_names_out()
    assert list(frame.columns) == list(names), "The columns are not the feature names."
    np.testing.assert_array_equal(
        frame.to_numpy(), expected, err_msg="The frame has other values than the array."
    )
    if index is not None:
        assert frame.index.equals(index), (
            f"The rows have the index {list(frame.index)[:3]}... and X has "
            f"{list(index)[:3]}...: joined to their texts they go to the wrong ones."
        )


def check_set_output_default(estimator):
    """``set_output(transform="default")`` gives an array, of the same values."""
    fitted, X, expected = _fit_and_transform(estimator)
    output = fitted.set_output(transform="default").transform(X)
    assert isinstance(output, np.ndarray), f"The output is a {type(output).__name__}."
    np.testing.assert_array_equal(output, expected)


def check_set_output_pandas(estimator):
    """``set_output(transform="pandas")`` gives a frame with the index of X."""
    import pandas as pd

    fitted, X, expected = _fit_and_transform(estimator)
    fitted.set_output(transform="pandas")
    index = pd.Index([f"row {i}" for i in range(len(X))])
    series = pd.Series(X, index=index, dtype=object)
    _assert_frame(fitted.transform(X), pd.DataFrame, fitted, expected)
    _assert_frame(fitted.transform(series), pd.DataFrame, fitted, expected, index)
    table = series.to_frame("text")
    _assert_frame(fitted.transform(table), pd.DataFrame, fitted, expected, index)
    y = corpus(estimator)[1]
    again = fresh(estimator).set_output(transform="pandas")
    _assert_frame(again.fit_transform(series, y), pd.DataFrame, again, expected, index)


def check_set_output_polars(estimator):
    """``set_output(transform="polars")`` gives a polars frame."""
    import polars as pl

    fitted, X, expected = _fit_and_transform(estimator)
    fitted.set_output(transform="polars")
    for texts in (X, pl.Series("text", X), pl.DataFrame({"text": X})):
        _assert_frame(fitted.transform(texts), pl.DataFrame, fitted, expected)


def check_global_output_pandas(estimator):
    """``set_config(transform_output="pandas")`` is heeded."""
    import pandas as pd

    fitted, X, expected = _fit_and_transform(estimator)
    with config_context(transform_output="pandas"):
        frame = fitted.transform(X)
        # Predictions are arrays, of several outputs a list, whatever is configured.
        for method in ("predict", "predict_proba"):
            if hasattr(fitted, method):
                kind = type(getattr(fitted, method)(X))
                assert kind in (np.ndarray, list), f"{method} gave a {kind.__name__}."
    _assert_frame(frame, pd.DataFrame, fitted, expected)


def check_column_transformer(estimator):
    """It works on the text column of a table, beside a column of numbers."""
    import pandas as pd

    _, X, expected = _fit_and_transform(estimator)
    y = corpus(estimator)[1]
    table = pd.DataFrame({"text": X, "number": np.arange(len(X), dtype=float)})
    for columns in ("text", ["text"]):
        union = ColumnTransformer(
            [
                ("text", fresh(estimator), columns),
                ("number", "passthrough", ["number"]),
            ],
            sparse_threshold=0.0,
        )
        features = union.fit_transform(table, y)
        np.testing.assert_array_equal(
            features,
            np.column_stack([expected, table["number"]]),
            err_msg=f"In a ColumnTransformer that takes {columns!r} the features are "
            "others than alone.",
        )
        names = union.get_feature_names_out()
        assert len(names) == features.shape[1], f"{len(names)} names: {names}."


def check_feature_union(estimator):
    """It works in a FeatureUnion, beside word counts."""
    fitted, X, expected = _fit_and_transform(estimator)
    union = FeatureUnion([("ours", fresh(estimator)), ("words", TfidfVectorizer())])
    features = dense(union.fit_transform(X, corpus(estimator)[1]))
    width = expected.shape[1]
    np.testing.assert_allclose(
        features[:, :width],
        expected,
        rtol=1e-6,
        err_msg="In a FeatureUnion the features are others than alone.",
    )
    assert features.shape[1] > width, "The other transformer's features are lost."
    names = [f"ours__{name}" for name in fitted.get_feature_names_out()]
    assert list(union.get_feature_names_out())[:width] == names, "Names are lost."


def applicable(traits):
    """Yield the checks that apply."""
    if "transform" not in traits.methods:
        return
    yield check_transform_shape
    if not traits.tags.non_deterministic and "fit_transform" in traits.methods:
        yield check_fit_transform
    yield check_feature_names_out
    if traits.tags.requires_fit:
        yield check_feature_names_out_before_fit
    if not traits.tags.non_deterministic:
        yield check_feature_union
        if installed("pandas"):
            yield check_column_transformer
    if "set_output" not in traits.methods:
        return
    yield check_set_output_default
    if installed("pandas"):
        yield check_set_output_pandas
        yield check_global_output_pandas
    if installed("polars"):
        yield check_set_output_polars
