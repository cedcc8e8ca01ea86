# SPDX-License-Identifier: BSD-3-Clause
"""Checks of the arguments of fit and predict.

Each message says what the argument must be, what was passed, and what to do. The same
mistake gives the same message for every argument.
"""

from collections.abc import Mapping, Sequence
from numbers import Number, Real

import numpy as np
from sklearn.utils import check_array

from .._utils._messages import describe_type, shorten
from ._text_advice import (
    BYTES,
    REMOVE_STEP,
    USE_OTHER_COLUMNS,
    advise_on_container,
    advise_on_value,
    column_names,
    one_of,
)

TEXTS_FORMAT = (
    "a one-dimensional collection of str (a list, tuple, array, Series or data frame "
    "with one column)"
)


def check_texts(X, name="X"):
    """Return the texts of `X` as a list of str.

    Parameters
    ----------
    X : list, tuple, array, Series (pandas or polars) or one-column data frame
    name : str
        Name of the argument, for messages.

    Returns
    -------
    list of str
        At least one text.

    Raises
    ------
    ValueError
        If `X` is a single str, is empty, has several columns, or has missing values.
    TypeError
        If `X` is not a collection, or contains values that are not str.
    """
    if isinstance(X, str):
        raise ValueError(
            f"`{name}` must be {TEXTS_FORMAT}, got a single str. Put a single text in "
            "a list: [text]."
        )
    texts = _column(X, name)
    if not len(texts):
        raise ValueError(
            f"`{name}` must have at least one text, got an empty collection (0 "
            "samples). Check the code that selects the texts."
        )
    for i, text in enumerate(texts):
        if isinstance(text, str):
            continue
        if is_missing(text):
            raise ValueError(
                f"`{name}` must be {TEXTS_FORMAT}, got a missing value ({text!r}) at "
                f"position {i}. Drop the rows with missing values, or replace the "
                "values with ''."
            )
        raise TypeError(
            f"`{name}` must be {TEXTS_FORMAT}, got {describe_type(text)} "
            f"({shorten(text, 40)}) at position {i}. {advise_on_value(text, X, name)}"
        )
    # Convert subclasses such as numpy.str_ to str. For an Enum member, str(...) would
    # return the name instead of the value.
    return [str.__str__(text) for text in texts]


def _column(X, name):
    """Return the only column of `X` as a list."""
    if isinstance(X, Sequence) and not isinstance(X, BYTES):
        return list(X)
    if hasattr(X, "shape") and hasattr(X, "columns"):  # pandas or polars frame
        if X.shape[1] != 1:
            names = column_names(X)
            check_distinct(names, name)
            texts = [each for each in names if isinstance(first_value(X[each]), str)]
            columns = one_of(f"{name}[{{!r}}]", texts or names or ["text"])
            raise ValueError(
                f"`{name}` must be {TEXTS_FORMAT}, got a data frame with {X.shape[1]} "
                f"columns. Select the column of texts, for example {columns}. "
                f"{USE_OTHER_COLUMNS}"
            )
        X = X[column_names(X)[0]]
    if isinstance(X, BYTES) or not hasattr(X, "__array__"):
        raise TypeError(
            f"`{name}` must be {TEXTS_FORMAT}, got {describe_type(X)}. "
            f"{advise_on_container(X, name)}"
        )
    array = np.asarray(fill_masked(X), dtype=object)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1:
        got = f"`{name}` must be {TEXTS_FORMAT}, got an array of shape {array.shape}"
        row = array[0].ravel() if array.ndim and array.size else [None]
        if all(isinstance(each, Number) for each in row):
            raise TypeError(f"{got} with numbers. {REMOVE_STEP}")
        raise ValueError(
            f"{got}. Pass an array of shape (n_samples,). {USE_OTHER_COLUMNS}"
        )
    return array.tolist()


def fill_masked(values):
    """Replace the masked entries of a masked array by None."""
    if isinstance(values, np.ma.MaskedArray) and np.ma.is_masked(values):
        return np.where(np.ma.getmaskarray(values), None, values.data.astype(object))
    return values


def is_missing(value):
    """Return whether a value is None, NaN, NaT or pandas.NA."""
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(value, Real) and value != value


def check_distinct(names, name):
    """Check that the names of the columns of a data frame are different."""
    if len(set(names)) < len(names):
        raise ValueError(
            f"`{name}` must have a different name for each column, got "
            f"{shorten(names, 200)}. Rename the columns of the same name."
        )


def is_unnamed(name):
    """Return whether the name of a column, or a part of it, is missing."""
    return any(map(is_missing, name)) if isinstance(name, tuple) else is_missing(name)


def is_float(text):
    """Return whether ``float`` converts a str or bytes."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def first_value(column):
    """Return the first known value of a column, or None if all are missing."""
    if not isinstance(column, np.ndarray):
        column = np.asarray(column, dtype=object)
    return next((value for value in column if not is_missing(value)), None)


def check_lengths(n_texts, other, name):
    """Check that an argument has one entry for each text."""
    if len(other) != n_texts:
        raise ValueError(
            f"`{name}` must have one entry for each text, got {len(other)} entries for "
            f"{n_texts} texts (inconsistent numbers of samples). Select the same rows "
            f"of the texts and of `{name}`."
        )


def check_validation_pair(X_val, y_val):
    """Return whether X_val and y_val were passed.

    Raise ValueError if only one of the two was passed.
    """
    if (X_val is None) != (y_val is None):
        given, absent = ("X_val", "y_val") if y_val is None else ("y_val", "X_val")
        raise ValueError(
            f"`X_val` and `y_val` must be passed together, got {given} without "
            f"{absent}. Pass both, or neither."
        )
    return X_val is not None


def check_weights(sample_weight, n_texts):
    """Check sample weights and scale them to a maximum of 1.

    If `sample_weight` is None, all weights are 1.

    Returns
    -------
    ndarray of float64, shape (n_texts,)

    Raises
    ------
    ValueError
        If a weight is negative or not finite, if all weights are zero, or if
        `sample_weight` is two-dimensional or does not have `n_texts` weights.
    """
    if sample_weight is None:
        return np.ones(n_texts)
    try:
        weights = check_array(
            fill_masked(sample_weight),
            dtype=np.float64,
            ensure_all_finite=False,  # checked below, even if assume_finite is set
            ensure_2d=False,
            ensure_min_samples=0,
            input_name="sample_weight",
        )
    except (TypeError, ValueError) as error:
        _refuse_no_numbers(sample_weight, error)
        raise
    if weights.ndim == 0:
        weights = np.full(n_texts, float(weights))
    if weights.ndim != 1:
        raise ValueError(
            "`sample_weight` must have one number for each text, got an array of shape "
            f"{weights.shape}. Pass an array of shape (n_samples,)."
        )
    check_lengths(n_texts, weights, "sample_weight")
    if not np.isfinite(weights).all():
        row = np.flatnonzero(~np.isfinite(weights))[0]
        raise ValueError(
            "`sample_weight` must have only finite numbers, got "
            f"{float(weights[row])} at position {row}. To ignore a text, set its "
            "weight to 0."
        )
    if (weights < 0).any():
        raise ValueError(
            "`sample_weight` must have only values of at least 0, got negative values "
            f"(smallest: {weights.min():g}). To ignore a text, set its weight to 0."
        )
    if not weights.any():
        raise ValueError(
            "`sample_weight` must have at least one positive value, got zero for every "
            "text. Set a positive weight for the texts to train on."
        )
    # Only ratios matter, and the sum of large weights may overflow.
    return weights / weights.max()


def _refuse_no_numbers(sample_weight, error):
    """Raise ValueError if the weights are a dict or contain a str."""
    if isinstance(sample_weight, (str, Mapping)):
        value = sample_weight
        cure = (
            "For weights of classes, set class_weight. For weights of tasks, set "
            "task_weights of MultiTaskClassifier."
        )
    else:
        if hasattr(sample_weight, "toarray"):
            return
        cells = np.asarray(sample_weight, dtype=object).flat
        value = next((e for e in cells if isinstance(e, str) and not is_float(e)), None)
        if value is None:
            return
        cure = "Pass validation texts by name: fit(X, y, X_val=X_val, y_val=y_val)."
    raise ValueError(
        "`sample_weight` must have one number for each text, got "
        f"{describe_type(value)} ({shorten(value, 40)}). {cure}"
    ) from error
