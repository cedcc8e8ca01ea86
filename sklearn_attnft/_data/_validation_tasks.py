# SPDX-License-Identifier: BSD-3-Clause
"""Checks of what has several label sets; the others are in ``_validation``."""

from collections.abc import Mapping, Sequence
from numbers import Real

import numpy as np

from ._validation import COLLECTIONS, check_lengths, column_names, is_missing, unmasked

SETS = (
    "an array of shape (n_samples, n_tasks), a data frame with a column for each label "
    "set, or a mapping from names to columns"
)


def check_label_sets(y, n_texts, name="y"):
    """Return the columns of a y that has several label sets.

    Parameters
    ----------
    y : array-like of shape (n_texts, n_tasks), data frame or mapping
        The values of a mapping are columns, or matrices of 0 and 1.
    n_texts : int
    name : str
        How the argument is called.

    Returns
    -------
    dict
        From the name of each label set, 0, 1, ... where there are none, to its column:
        a list of cells, or a matrix of 0, 1 and NaN, float32. A cell is a label, a
        collection of labels, or what stands for a missing one.

    Raises
    ------
    ValueError
        If there is no column or not one entry for each text.
    """
    if y is None:
        raise ValueError(f"{name} is None; fit requires {name} to be passed: {SETS}.")
    y = unmasked(y)
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
                f"{name} is no table of labels; expected {SETS}. For one label set, "
                "use AttentionFineTuneClassifier."
            )
        columns = dict(enumerate(map(list, zip(*rows, strict=True))))
    if not columns:
        raise ValueError(f"{name} has no label set; expected {SETS}.")
    if len({str(task) for task in columns}) < len(getattr(y, "columns", columns)):
        raise ValueError(
            f"{name} has label sets of the same name ({list(y)!r:.200}); expected a "
            "name of its own for each."
        )
    for task, column in columns.items():
        check_lengths(n_texts, column, f"{name}[{task!r}]")
    return columns


def _cells(values, name):
    """Return a column of a mapping as a list of cells, or a matrix as float32."""
    values = unmasked(values)
    if hasattr(values, "toarray"):  # sparse
        values = values.toarray()
    if len(getattr(values, "shape", ())) == 2:
        return _matrix(np.asarray(values), name)
    if isinstance(values, (str, bytes)) or not hasattr(values, "__iter__"):
        raise ValueError(f"{name} is a {type(values).__name__}; expected {SETS}.")
    return _as_list(values)


def _as_list(values):
    # Of a polars column of lists, list(...) makes Series; of pyarrow's, its scalars.
    for method in ("to_list", "to_pylist"):
        if hasattr(values, method):
            return getattr(values, method)()
    return list(values)


def _matrix(values, name):
    """Return a matrix of 0 and 1 as float32, with NaN for what is missing."""
    if values.dtype.kind not in "biuf":
        cells = [[np.nan if is_missing(c) else c for c in row] for row in values]
        values = np.array(cells)
    is_number = values.dtype.kind in "biuf"
    values = values.astype(np.float32) if is_number else values
    if not is_number or not (np.isin(values, (0, 1)) | np.isnan(values)).all():
        raise ValueError(
            f"{name} is a matrix with other values than 0, 1 and missing ones; "
            "expected a column of 0 and 1 for each class."
        )
    return values


def kind_of_column(column, name, default="labels"):
    """Tell whether a column of y has "labels", "sets" of them, or is a "matrix".

    It is the `default` if all is missing.

    Raises
    ------
    ValueError
        If it has labels and sets.
    """
    if isinstance(column, np.ndarray):
        return "matrix"
    known = [cell for cell in column if not is_missing(cell)]
    kinds = {"sets" if isinstance(cell, COLLECTIONS) else "labels" for cell in known}
    if len(kinds) > 1:
        raise ValueError(
            f"The label set {name!r} has single labels and collections of labels; "
            "expected one kind."
        )
    return kinds.pop() if kinds else default


def check_no_matrix(cells, name):
    """Refuse a matrix of 0 and 1 in lists, where sets of labels are expected."""
    if any(isinstance(cell, (set, frozenset)) for cell in cells):
        return
    widths, members = {len(cell) for cell in cells}, {m for c in cells for m in c}
    if len(widths) == 1 and members and members <= {0, 1}:
        raise ValueError(
            f"The label set {name!r} has lists of 0 and 1: pass a matrix as an array, "
            "in a mapping, or sets of labels."
        )


def check_task(task, names, argument):
    """Refuse the name of a label set that is not there."""
    if task not in names:
        raise ValueError(
            f"{argument} names the label set {task!r}, which is not in y; y has "
            f"{names!r:.200}."
        )


def _is_sequence(values):
    is_array = isinstance(values, np.ndarray) and values.ndim > 0
    return is_array or (isinstance(values, Sequence) and not isinstance(values, str))


def check_task_weights(weights, names):
    """Return the weight of each label set, 1 where there is none."""
    for task, weight in weights.items():
        check_task(task, names, "task_weights")
        if not (isinstance(weight, Real) and 0 < weight < np.inf):
            raise ValueError(
                f"task_weights has {weight!r} for {task!r}; expected a finite number "
                "above 0."
            )
    return [float(weights.get(name, 1.0)) for name in names]


def check_no_callbacks(estimator):
    """Refuse a template with scikit-learn's callbacks, which nobody would call."""
    if getattr(estimator, "_skl_callbacks", []):
        raise TypeError(
            "estimator has callbacks of set_callbacks, but it is not fitted itself: "
            "set them on the MultiTaskClassifier."
        )
