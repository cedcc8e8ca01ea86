# SPDX-License-Identifier: BSD-3-Clause
# ruff: noqa: D401 (the docstring of a check states its rule)
"""Checks of unusual texts, and checks that the container of X has no effect."""

import numpy as np

from ._data import corpus
from ._tags import declares_text
from ._tools import assert_same, fresh, installed, outputs


def _assert_like_a_list(estimator, convert, what, convert_y=None):
    """Check that texts in a container give the same outputs as in a list."""
    X, y = corpus(estimator)
    held = convert(X)
    expected = outputs(fresh(estimator).fit(X, y), X)
    fitted = fresh(estimator).fit(held, y if convert_y is None else convert_y(y))
    assert_same(
        outputs(fitted, held),
        expected,
        f"Texts in {what} must give the same outputs as texts in a list",
    )


def check_tuple(estimator):
    """A tuple of texts gives the same outputs as a list."""
    _assert_like_a_list(estimator, tuple, "a tuple")


def check_object_array(estimator):
    """An object array of texts gives the same outputs as a list."""
    _assert_like_a_list(
        estimator, lambda X: np.array(X, dtype=object), "an object array"
    )


def check_fixed_width_array(estimator):
    """An array of fixed-width strings gives the same outputs as a list."""
    _assert_like_a_list(estimator, np.array, "an array of fixed-width strings")


def check_string_dtype_array(estimator):
    """An array of ``numpy.dtypes.StringDType`` gives the same outputs as a list."""
    _assert_like_a_list(
        estimator,
        lambda X: np.array(X, dtype=np.dtypes.StringDType()),
        "an array of numpy.dtypes.StringDType",
    )


def check_column_array(estimator):
    """An array of one column gives the same outputs as a list."""
    _assert_like_a_list(
        estimator,
        lambda X: np.array(X, dtype=object)[:, None],
        "an array of shape (n, 1)",
    )


def check_read_only_array(estimator):
    """A read-only array, such as joblib creates, gives the same outputs as a list."""

    def convert(X):
        array = np.array(X, dtype=object)
        array.flags.writeable = False
        return array

    def convert_y(y):
        y = y.copy()
        y.flags.writeable = False
        return y

    _assert_like_a_list(estimator, convert, "a read-only array", convert_y)


def check_strided_array(estimator):
    """A strided view of an array gives the same outputs as a list."""
    _assert_like_a_list(
        estimator,
        lambda X: np.repeat(np.array(X, dtype=object), 2)[::2],
        "a strided array",
    )


def _shuffled_index(values, dtype, seed):
    """Return a Series or data frame whose index differs from the row positions."""
    import pandas as pd

    index = np.random.RandomState(seed).permutation(len(values)) + 100
    if np.ndim(values) == 2:
        return pd.DataFrame(values, index=index, dtype=dtype)
    return pd.Series(list(values), index=index, dtype=dtype)


def check_pandas_object_series(estimator):
    """A pandas Series of objects is read by position, and its index is ignored."""
    _assert_like_a_list(
        estimator,
        lambda X: _shuffled_index(X, object, seed=0),
        "a pandas Series of objects",
        lambda y: _shuffled_index(y, None, seed=1),
    )


def check_pandas_string_series(estimator):
    """A pandas Series of dtype "string" gives the same outputs as a list."""
    _assert_like_a_list(
        estimator,
        lambda X: _shuffled_index(X, "string", seed=0),
        "a pandas Series of strings",
    )


def check_pandas_frame(estimator):
    """A pandas data frame of one column gives the same outputs as a list."""
    _assert_like_a_list(
        estimator,
        lambda X: _shuffled_index(X, object, seed=0).to_frame("text"),
        "a pandas data frame of one column",
    )


def check_polars_series(estimator):
    """A polars Series gives the same outputs as a list."""
    import polars as pl

    _assert_like_a_list(estimator, pl.Series, "a polars Series")


def check_polars_frame(estimator):
    """A polars data frame of one column gives the same outputs as a list."""
    import polars as pl

    _assert_like_a_list(
        estimator,
        lambda X: pl.DataFrame({"text": X}),
        "a polars data frame of one column",
    )


def _assert_finite(estimator, texts, what):
    """Check that ``fit`` accepts `texts` and that the outputs for them are finite."""
    X, y = corpus(estimator)
    fitted = fresh(estimator).fit([*texts, *X[len(texts) :]], y)
    for method, values in outputs(fitted, texts).items():
        assert len(values) == len(texts), (
            f"{method} returned {len(values)} rows for {len(texts)} {what}, expected "
            "one row per text. Are texts dropped?"
        )
        if values.dtype.kind != "f":
            continue
        # scikit-learn's classifiers return minus infinity for a probability of zero.
        if method == "predict_log_proba" and not declares_text(estimator):
            values = np.maximum(values, np.finfo(float).min)
        finite = np.isfinite(values).reshape(len(texts), -1).all(axis=1)
        wrong = [text for text, good in zip(texts, finite, strict=True) if not good]
        assert not wrong, (
            f"{method} returned NaN or infinity for {what}, expected finite values. "
            f"The texts are {wrong!r}. Is something divided by the number of tokens?"
        )


def check_empty_texts(estimator):
    """Outputs are finite for texts that are empty or contain only white space."""
    _assert_finite(estimator, ["", " ", "\n\t "], "texts without words")


def check_unicode_texts(estimator):
    """Outputs are finite for emoji, NUL, lone surrogates and other Unicode texts."""
    texts = [
        "\U0001f600\U0001f44d\U0001f3fd",
        "\u05e9\u05dc\u05d5\u05dd \u0645\u0631\u062d\u0628\u0627",
        "e\u0301\u0302\u0303",
        "a\x00b",
        "half \ud83d of a pair",
        "\u200b\ufeff",
        "\u4f60\u597d",
    ]
    _assert_finite(estimator, texts, "texts with unusual characters")


def check_special_token_texts(estimator):
    """Outputs are finite for texts that look like special tokens."""
    texts = ["[SEP]", "[CLS] [PAD] [MASK] [UNK]", "<s></s>", "<|endoftext|>"]
    _assert_finite(estimator, texts, "texts that look like special tokens")


def applicable(traits):
    """Yield the checks that apply.

    The checks of arrays and data frames with one column apply only if the tags of the
    estimator, or of the first step of a Pipeline, declare text input.
    """
    yield check_tuple
    yield check_object_array
    yield check_fixed_width_array
    if hasattr(np.dtypes, "StringDType"):  # numpy 2
        yield check_string_dtype_array
    if traits.text_input:
        yield check_column_array
    yield check_read_only_array
    yield check_strided_array
    if installed("pandas"):
        yield check_pandas_object_series
        yield check_pandas_string_series
        if traits.text_input:
            yield check_pandas_frame
    if installed("polars"):
        yield check_polars_series
        if traits.text_input:
            yield check_polars_frame
    yield check_empty_texts
    yield check_unicode_texts
    yield check_special_token_texts
