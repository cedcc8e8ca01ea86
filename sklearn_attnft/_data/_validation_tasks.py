# SPDX-License-Identifier: BSD-3-Clause
"""Checks of `y` with several tasks."""

from collections.abc import Mapping, Sequence
from numbers import Real

import numpy as np

from .._utils._messages import describe_type, shorten
from ._label_matrix import LabelMatrix, label_names
from ._labels import is_collection
from ._validation import (
    check_lengths,
    column_names,
    fill_masked,
    is_missing,
    is_unnamed,
)

TASKS_FORMAT = (
    "an array of shape (n_samples, n_tasks), a data frame with one column per task, or "
    "a mapping from task names to columns"
)


def check_tasks(y, n_texts, name="y"):
    """Return the columns of a `y` that has several tasks.

    Parameters
    ----------
    y : array-like of shape (n_texts, n_tasks), data frame or mapping
        Each value of a mapping is a column of labels or a matrix of 0 and 1.
    n_texts : int
    name : str
        Name of the argument, for messages.

    Returns
    -------
    columns : dict
        Maps task names (0, 1, ... if `y` does not have names) to columns. A column is a
        list with one entry for each text, or a LabelMatrix of 0, 1 and NaN. An entry of
        a list is a label, a collection of labels, or a missing value.

    Raises
    ------
    ValueError
        If `y` cannot be split into columns or has no columns, if two tasks have the
        same name, or if a column does not have `n_texts` rows.
    """
    if y is None:
        raise ValueError(
            f"`{name}` must be {TASKS_FORMAT}, got None; fit requires {name} to be "
            "passed."
        )
    y = y.toarray() if hasattr(y, "toarray") else fill_masked(y)
    if isinstance(y, Mapping):
        columns = {task: _cells(y[task], f"{name}[{task!r}]") for task in y}
    elif hasattr(y, "columns") and hasattr(y, "shape"):
        names = column_names(y)
        columns = dict.fromkeys(names)
        if len(columns) == len(names):
            columns = {task: _as_list(y[task]) for task in names}
    else:
        rows = list(y) if _is_sequence(y) and np.ndim(y[:0]) <= 2 else []
        widths = {len(row) if _is_sequence(row) else 0 for row in rows}
        if len(widths) != 1 or widths == {0}:
            raise ValueError(
                f"`{name}` must be {TASKS_FORMAT}, got {_describe(y)}. {_cure(y)}"
            )
        columns = dict(enumerate(map(list, zip(*rows, strict=True))))
    if not columns:
        raise ValueError(
            f"`{name}` must be {TASKS_FORMAT}, got 0 tasks. Pass at least one column."
        )
    if any(map(is_unnamed, columns)):
        raise ValueError(
            f"`{name}` must have a name for each task, got "
            f"{shorten(list(columns), 200)}. Rename the column whose name is missing."
        )
    if len({str(task) for task in columns}) < len(getattr(y, "columns", columns)):
        raise ValueError(
            f"`{name}` must have a different name for each task, got tasks of the same "
            f"name ({shorten(list(y), 200)}). Rename one of them."
        )
    for task, column in columns.items():
        check_lengths(n_texts, column, f"{name}[{task!r}]")
    return columns


def _describe(y):
    """Return a description of a `y` that cannot be split into columns."""
    if hasattr(y, "shape"):
        return f"{describe_type(y)} of shape {y.shape}"
    rows = " without rows of equal length" if _is_sequence(y) else ""
    return f"{describe_type(y)}{rows}"


def _cure(y):
    """Return advice for a `y` that cannot be split into columns."""
    if getattr(y, "ndim", 1) > 2:
        return "Pass one column for each task."
    if getattr(getattr(y, "dtype", None), "names", None):  # a structured array
        return "Pass pandas.DataFrame(y)."
    is_series = hasattr(y, "to_list") or hasattr(y, "to_pylist")
    cells = _as_list(y) if is_series or _is_sequence(y) else []
    if any(isinstance(cell, Mapping) for cell in cells):
        return "To use the keys of the rows as tasks, pass pandas.DataFrame(y)."
    if any(is_collection(cell) for cell in cells):
        return "If a text has several labels, pass {'tags': y}."
    if any(is_missing(cell) for cell in cells):
        return "For a single task with missing labels, pass {'labels': y}."
    return "For a single task, use AttentionFineTuneClassifier."


def _cells(values, name):
    """Return a value of a mapping as a list, or as a LabelMatrix."""
    values = fill_masked(values)
    if hasattr(values, "toarray"):  # sparse
        values = values.toarray()
    if len(getattr(values, "shape", ())) == 2:
        matrix = _matrix(np.asarray(values), name)
        return LabelMatrix(matrix, label_names(values, matrix.shape[1], name), None)
    not_columns = (str, bytes, Mapping, set, frozenset)
    if isinstance(values, not_columns) or not hasattr(values, "__iter__"):
        raise ValueError(
            f"`{name}` must be a column of labels or a matrix of 0 and 1, got "
            f"{describe_type(values)}. Pass one entry for each text."
        )
    return _as_list(values)


def _as_list(values):
    # list(...) would keep types such as polars.Series or pyarrow.Scalar.
    for method in ("to_list", "to_pylist"):
        if hasattr(values, method):
            return getattr(values, method)()
    return list(values)


def _matrix(values, name):
    """Return a matrix of 0 and 1 as float32, with NaN for missing values."""
    if values.dtype.kind not in "biuf":
        cells = [[np.nan if is_missing(c) else c for c in row] for row in values]
        values = np.array(cells)
    is_number = values.dtype.kind in "biuf"
    values = values.astype(np.float32) if is_number else values
    if not is_number or not (np.isin(values, (0, 1)) | np.isnan(values)).all():
        raise ValueError(
            f"`{name}` must be a matrix of 0, 1 and missing values, got values other "
            "than these. Pass one column of 0 and 1 for each class."
        )
    return values


def kind_of_column(column, name, default="labels"):
    """Return the kind of a column of `y`: "labels", "sets" or "matrix".

    In a column of kind "labels", each entry is a label. In a column of kind "sets",
    each entry is a collection of labels.

    If all labels are missing, return `default`.

    Raises
    ------
    ValueError
        If the column has both single labels and collections of labels.
    """
    if isinstance(column, LabelMatrix):
        return "matrix"
    known = [cell for cell in column if not is_missing(cell)]
    kinds = {"sets" if is_collection(cell) else "labels" for cell in known}
    if len(kinds) > 1:
        raise ValueError(
            f"Task {name!r} must have either single labels or collections of labels, "
            "got both. Put each single label into a set."
        )
    return kinds.pop() if kinds else default


def check_no_matrix(cells, name):
    """Raise ValueError if collections of labels look like rows of a matrix."""
    if any(isinstance(cell, (set, frozenset)) for cell in cells):
        return
    widths, members = {len(cell) for cell in cells}, {m for c in cells for m in c}
    if len(widths) == 1 and members and members <= {0, 1}:
        raise ValueError(
            f"Task {name!r} must have sets of labels or be a matrix of 0 and 1, got "
            "lists of 0 and 1. Pass a mapping in which the matrix is an array, or pass "
            "sets of labels."
        )


def check_task(task, names, argument):
    """Check that a task name is one of `names`."""
    if task not in names:
        raise ValueError(
            f"`{argument}` must name a task of y, got {task!r}. Use one of "
            f"{shorten(names, 200)}."
        )


def _is_sequence(values):
    is_array = isinstance(values, np.ndarray) and values.ndim > 0
    return is_array or (isinstance(values, Sequence) and not isinstance(values, str))


def check_task_weights(weights, names):
    """Return the weight of each task, or 1 for tasks without a weight."""
    for task, weight in weights.items():
        check_task(task, names, "task_weights")
        if not (isinstance(weight, Real) and 0 < weight < np.inf):
            raise ValueError(
                "`task_weights` must have finite numbers above 0, got "
                f"{weight!r} for {task!r}. To ignore a task, drop it from y."
            )
    return [float(weights.get(name, 1.0)) for name in names]


def check_no_callbacks(estimator):
    """Raise TypeError if `estimator` has callbacks.

    `estimator` is only a template that is never fitted, so the callbacks would never be
    called.
    """
    if getattr(estimator, "_skl_callbacks", []):
        raise TypeError(
            "`estimator` must not have callbacks (set with set_callbacks), got "
            f"{len(estimator._skl_callbacks)} callbacks. `estimator` is only a "
            "template and is not fitted. Call set_callbacks of MultiTaskClassifier "
            "instead."
        )
