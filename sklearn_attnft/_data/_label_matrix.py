# SPDX-License-Identifier: BSD-3-Clause
"""Checks of a `y` that is a matrix of 0 and 1, with one column for each label."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array, csr_matrix, issparse, spmatrix

from .._utils._messages import describe_type, shorten
from .._utils._warnings import warn
from ._validation import (
    check_distinct,
    check_lengths,
    column_names,
    fill_masked,
    is_missing,
    is_unnamed,
)

CONTAINERS = {None: np.asarray, "csr_matrix": csr_matrix, "csr_array": csr_array}
NUMBERS = (bool, int, float, np.bool_, np.number)


@dataclass(frozen=True)
class LabelMatrix:
    """A checked matrix of 0 and 1.

    Attributes
    ----------
    values : ndarray of float32, shape (n_texts, n_labels)
        Only a task of several may have missing values, which are NaN.
    names : ndarray of shape (n_labels,)
        Column names if `y` is a data frame, else the numbers of the columns from 0.
    container : str or None
        Key of `CONTAINERS`: the sparse type of `y`, or None if `y` is dense. The
        matrices that ``predict`` returns have the same type.
    """

    values: np.ndarray
    names: np.ndarray
    container: str | None

    def __len__(self):
        return len(self.values)

    def warn_one_hot(self):
        """Warn if each text has exactly one label."""
        if (self.values.sum(axis=1) == 1).all():
            warn(
                "Each row of `y` has exactly one 1, so each text has one class. The "
                "classifier learns each column separately, and can predict several "
                "labels or none. To predict one class per text, pass a one-dimensional "
                "y, for example y.idxmax(axis=1) if y is a data frame, or "
                "y.argmax(axis=1) if y is an array."
            )


class LabelClasses(list):
    """The classes of each label or task, as a list of arrays.

    The scorers of scikit-learn require a list. ``cross_val_predict`` also requires the
    attribute `shape`, which tells it the number of columns of an array of predictions.
    """

    @property
    def shape(self):
        """The number of labels or tasks, in a tuple."""
        return (len(self),)


class HasClasses:
    """Mixin whose `classes_` are :class:`LabelClasses` if they were set to a list."""

    @property
    def classes_(self):
        """Class labels, as described in the docstring of the class."""
        try:
            classes = vars(self)["classes_"]
        except KeyError:
            raise AttributeError(
                "`classes_` is not defined before fit. Call fit first."
            ) from None
        return LabelClasses(classes) if isinstance(classes, list) else classes

    @classes_.setter
    def classes_(self, classes):
        vars(self)["classes_"] = classes


def find_matrix(y, n_texts, name="y", at_least=2):
    """Return `y` as a LabelMatrix, or None if `y` is not a matrix of 0 and 1.

    Parameters
    ----------
    y : object
        All values of a matrix of 0 and 1 are 0 or 1 as bool, int or float.
    n_texts : int
    name : str
        Name of the argument, for messages.
    at_least : int
        Smallest number of columns.

    Raises
    ------
    ValueError
        If the matrix has missing values, or if it does not have `n_texts` rows.
    """
    if isinstance(y, (str, bytes, Mapping)):
        return None
    is_list = isinstance(y, Sequence)
    array = y.toarray() if issparse(y) else fill_masked(y)
    array = np.asarray(array, dtype=object if is_list else None)
    if array.ndim != 2 or array.shape[1] < at_least:
        return None
    values = _values(array, name)
    if values is None:
        return None
    check_lengths(n_texts, values, name)
    container = None
    if issparse(y):
        container = "csr_matrix" if isinstance(y, spmatrix) else "csr_array"
    return LabelMatrix(values, label_names(y, values.shape[1], name), container)


def label_names(y, n_labels, name):
    """Return the column names of a data frame, or the numbers of the columns."""
    if not hasattr(y, "columns"):
        return np.arange(n_labels)
    names = np.empty(n_labels, dtype=object)
    names[:] = column_names(y)
    if any(map(is_unnamed, names)):
        raise ValueError(
            f"`{name}` must have a name for each column, got "
            f"{shorten(names.tolist(), 200)}. Rename the column whose name is missing."
        )
    check_distinct(names.tolist(), name)
    return names


def check_matrix(y, n_texts, names, name="y"):
    """Check that `y` has the same columns as in ``fit``.

    Parameters
    ----------
    y : object
    n_texts : int
    names : ndarray of shape (n_labels,)
        The column names in ``fit``.
    name : str
        Name of the argument, for messages.

    Returns
    -------
    ndarray of float32, shape (n_texts, n_labels)
    """
    matrix = find_matrix(y, n_texts, name, at_least=min(len(names), 2))
    if matrix is None:
        shape = f" of shape {y.shape}" if hasattr(y, "shape") else ""
        raise ValueError(
            f"`{name}` must be a matrix of 0 and 1 with the same {len(names)} columns "
            f"as in fit, got {describe_type(y)}{shape}. Pass the same kind of labels "
            "as in fit."
        )
    check_columns(matrix, names, name)
    return matrix.values


def check_columns(matrix, names, name):
    """Check that a LabelMatrix has the columns `names`.

    If the columns of one of the two have no names, only their number is checked.
    """
    found, expected = matrix.names.tolist(), names.tolist()
    are_named = matrix.names.dtype == names.dtype == object
    if len(found) != len(expected) or (are_named and found != expected):
        raise ValueError(
            f"`{name}` must be a matrix of 0 and 1 with the same {len(names)} columns "
            f"as in fit ({shorten(expected, 200)}), got {shorten(found, 200)}. Select "
            "the same columns as in fit, in the same order."
        )


def check_label_names(classes, names, container, n_labels):
    """Check the fitted attributes of a classifier that predicts label matrices."""
    found = [each.tolist() for each in classes] if isinstance(classes, list) else None
    if found != [[0, 1]] * n_labels or len(names) != n_labels:
        raise ValueError(
            f"classes_ must be a list of {n_labels} arrays [0, 1], and label_names_ "
            f"must have {n_labels} names, got {shorten(classes, 200)} and "
            f"{shorten(names, 200)}."
        )
    if container not in CONTAINERS:
        raise ValueError(
            f"_container must be None or a sparse type, got {shorten(container, 80)}."
        )


def _values(array, name):
    """Return a matrix as float32, or None if it has values other than 0 and 1.

    If it has missing values, and all other values are 0 or 1, raise ValueError.
    """
    if array.dtype.kind not in "biuf":
        cells = array.ravel().tolist()
        if not all(isinstance(each, NUMBERS) or is_missing(each) for each in cells):
            return None
        cells = [np.nan if is_missing(cell) else float(cell) for cell in cells]
        array = np.array(cells).reshape(array.shape)
    missing = np.isnan(array)
    if not (missing | np.isin(array, (0, 1))).all():
        return None
    if missing.any():
        row, column = np.argwhere(missing)[0].tolist()
        raise ValueError(
            f"`{name}` must be a matrix of 0 and 1, got missing values (None or NaN), "
            f"the first in row {row} and column {column}. Drop the rows with missing "
            f"values, or pass {{'tags': {name}}} to MultiTaskClassifier, which ignores "
            "missing values."
        )
    return array.astype(np.float32)
