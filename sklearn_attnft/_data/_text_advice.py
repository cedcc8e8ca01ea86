# SPDX-License-Identifier: BSD-3-Clause
"""Advice for an argument that is not a collection of str.

The advice contains code, and users run this code without changing it. So the code must
return the texts or raise an error. It must never return strings that are not the texts,
such as the keys of a dict or the repr of an object.
"""

import os
from collections.abc import (
    Collection,
    ItemsView,
    Iterator,
    KeysView,
    Mapping,
    Set,
    ValuesView,
)
from numbers import Number

import numpy as np

BYTES = (bytes, bytearray, memoryview)
REMOVE_STEP = "Remove the step that turns texts into numbers, such as TfidfVectorizer."
PASS_TEXTS = "Pass the texts themselves, as a list of str."
USE_OTHER_COLUMNS = (
    "To use the other columns too, encode each column by itself in a ColumnTransformer "
    "(see 'Text and numbers' in the documentation)."
)


def column_names(frame):
    """Return the column names of a data frame or pyarrow.Table."""
    return list(getattr(frame, "column_names", frame.columns))


def advise_on_container(X, name):
    """Return advice for an argument that is not an ordered collection.

    Parameters
    ----------
    X : object
    name : str
        Name of the argument.

    Returns
    -------
    str
        One or two sentences.
    """
    if isinstance(X, BYTES):
        return (
            "Decode the bytes with their encoding, and pass a list of texts. If the "
            f"bytes are a single text, pass [{_decoded(X, name)}]."
        )
    if isinstance(X, Mapping):
        return _advise_on_mapping(X, name)
    if hasattr(X, "toarray"):  # a sparse matrix
        return REMOVE_STEP
    if isinstance(X, os.PathLike):
        return "Read the texts from the file, and pass them as a list of str."
    if hasattr(X, "read"):  # the lines that a file yields end with a line break
        end = r"'\n'"
        return (
            "Open the file in text mode, and pass "
            f"[line.rstrip({end}) for line in {name}] if each line is one text."
        )
    names = getattr(X, "column_names", None)
    if isinstance(names, list) and names:  # datasets.Dataset, streamed or not
        streamed = f"[row[{{!r}}] for row in {name}]"
        code = f"{name}[{{!r}}]" if hasattr(X, "__len__") else streamed
        return f"Pass the texts only: {one_of(code, names)}."
    if isinstance(X, (Iterator, KeysView, ValuesView)):
        return f"Pass list({name}) if {name} yields the texts in order."
    if isinstance(X, Set) and not isinstance(X, ItemsView):
        return "A set has no order. Pass the texts as a list, in the order of y."
    return PASS_TEXTS


def _advise_on_mapping(X, name):
    """Return advice for a dict of texts, or a dict of columns."""
    if X and all(isinstance(value, str) for value in X.values()):
        return f"Pass list({name}.values()) if the values are the texts."
    columns = [key for key, value in X.items() if _are_str(value)]
    if columns:
        return f"Pass the texts only: {one_of(f'{name}[{{!r}}]', columns)}."
    return PASS_TEXTS


def advise_on_value(value, X, name):
    """Return advice for a value that is not a str.

    Parameters
    ----------
    value : object
    X : collection
        The collection that contains the value.
    name : str
        Name of the argument.

    Returns
    -------
    str
        One or two sentences.
    """
    values = _iterable(X, name)
    if isinstance(value, BYTES):
        return (
            "Decode the values with their encoding, for example "
            f"[{_decoded(value, 'x')} for x in {values}]."
        )
    if isinstance(value, Mapping):
        keys = [key for key, cell in value.items() if isinstance(cell, str)]
        if keys:
            code = one_of(f"[row[{{!r}}] for row in {values}]", keys)
            return f"Pass the texts only: {code}."
    elif isinstance(value, os.PathLike):
        return "Read the texts from the files, and pass them as a list of str."
    elif isinstance(value, Number):
        return (
            "Check that this is the column of texts. Convert the values with str(...) "
            "only if the numbers are the texts."
        )
    elif isinstance(value, (list, tuple, np.ndarray)) and _are_str(value):
        if len(value) == 1:
            return f"Pass [row[0] for row in {values}]."
        pairs = ""
        if len(value) == 2 and isinstance(value, tuple) and not isinstance(X, list):
            pairs = (
                f"If each row is a pair of texts, pass list({name}) to a classifier or "
                "a regressor. "
            )
        elif len(value) == 2 and isinstance(value, tuple):
            pairs = "If each row is a pair of texts, encode each column by itself. "
        elif len(value) == 2:
            pairs = (
                "If each row is a pair of texts, pass [tuple(row) for row in "
                f"{values}] to a classifier or a regressor. "
            )
        return (
            f"{pairs}Pass [' '.join(row) for row in {values}] if each row has the "
            f"words of a text, or [row[0] for row in {values}] if the first entry is "
            "the text."
        )
    return PASS_TEXTS


def _are_str(values):
    """Return whether a value is a non-empty, ordered collection of str."""
    if isinstance(values, (str, Mapping, Set)) or getattr(values, "ndim", 1) != 1:
        return False
    is_filled = isinstance(values, Collection) and len(values) > 0
    return is_filled and all(isinstance(value, str) for value in values)


def _decoded(value, code):
    """Return code that decodes bytes."""
    return f"{f'bytes({code})' if type(value) is memoryview else code}.decode('utf-8')"


def one_of(code, keys):
    """Return code for the first four keys, joined by " or ".

    There are several keys, because only the user knows which of them has the texts.
    """
    return " or ".join(code.format(key) for key in keys[:4])


def _iterable(X, name):
    """Return code that iterates over the values of the only column of `X`."""
    if hasattr(X, "shape") and hasattr(X, "columns"):
        column = column_names(X)[0]
        return _iterable(X[column], f"{name}[{column!r}]")
    if hasattr(X, "to_pylist"):  # iterating over a pyarrow column does not yield str
        return f"{name}.to_pylist()"
    return f"{name}[:, 0]" if getattr(X, "ndim", 1) == 2 else name
