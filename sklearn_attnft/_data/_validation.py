# SPDX-License-Identifier: BSD-3-Clause
"""Checks of the arguments of fit and predict.

Each message says what the argument must be, what was passed, and what to do. The same
mistake gives the same message for every argument.
"""

from collections.abc import Sequence
from numbers import Real

import numpy as np
from sklearn.utils import check_array, column_or_1d
from sklearn.utils.multiclass import check_classification_targets

from .._utils._messages import describe_type
from .._utils._warnings import warn
from ._text_advice import (
    BYTES,
    advise_on_container,
    advise_on_value,
    column_names,
    one_of,
)

TEXTS_FORMAT = (
    "a one-dimensional collection of str (a list, tuple, array, Series or data frame "
    "with one column)"
)
LABELS_FORMAT = "one class label for each text"
LABEL_COLLECTIONS = (set, frozenset, list, tuple, np.ndarray)


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
            f"({text!r:.40}) at position {i}. {advise_on_value(text, X, name)}"
        )
    # Subclasses, such as numpy.str_, become str. str(...) would call an Enum's __str__.
    return [str.__str__(text) for text in texts]


def check_unlabeled(X_unlabeled, params):
    """Return the texts without labels as a list; warn if they are not used."""
    if X_unlabeled is None:
        return []
    if not params["lm_epochs"] and not params["lm_weight"]:
        warn(
            "`X_unlabeled` is ignored: only language-model training uses texts without "
            "labels. To use them, set lm_epochs=1 or lm_weight above 0.",
        )
    return check_texts(X_unlabeled, "X_unlabeled")


def _column(X, name):
    """Return the only column of `X` as a list."""
    if isinstance(X, Sequence) and not isinstance(X, BYTES):
        return list(X)
    if hasattr(X, "shape") and hasattr(X, "columns"):  # pandas or polars frame
        if X.shape[1] != 1:
            columns = one_of(f"{name}[{{!r}}]", column_names(X) or ["text"])
            raise ValueError(
                f"`{name}` must be {TEXTS_FORMAT}, got a data frame with {X.shape[1]} "
                f"columns. Select the column of texts, for example {columns}, or use "
                "a ColumnTransformer."
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
        raise ValueError(
            f"`{name}` must be {TEXTS_FORMAT}, got an array of shape {array.shape}. "
            "Pass an array of shape (n_samples,)."
        )
    return array.tolist()


def fill_masked(values):
    """Replace the masked entries of a masked array by None."""
    if isinstance(values, np.ma.MaskedArray) and np.ma.is_masked(values):
        return np.where(np.ma.getmaskarray(values), None, values.data.astype(object))
    return values


def is_missing(value):
    """Return whether a cell is None, NaN, NaT or pandas.NA."""
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(value, Real) and value != value


def check_labels(y, n_texts, name="y"):
    """Return class labels as a one-dimensional, sortable array.

    Parameters
    ----------
    y : array-like of shape (n_texts,)
        Labels of str, bool or int.
    n_texts : int
    name : str
        Name of the argument, for messages.

    Returns
    -------
    ndarray of shape (n_texts,)

    Raises
    ------
    ValueError
        If `y` is None, two-dimensional, continuous, of mixed types or of another length
        than the texts, or if labels are missing.
    """
    if y is None:
        raise ValueError(
            f"`{name}` must have {LABELS_FORMAT}, got None; fit requires {name} to be "
            "passed."
        )
    y = fill_masked(y)
    is_list = isinstance(y, (list, tuple)) and not any(np.ndim(label) for label in y)
    # In a list with str, np.asarray would turn NaN into "nan".
    y = _to_object_array(y) if is_list else np.asarray(y)
    if y.dtype.kind == "T":  # np.unique cannot sort numpy's StringDType
        y = y.astype(object)
    if y.ndim == 2 and y.shape[1] > 1:
        raise ValueError(
            f"`{name}` must have {LABELS_FORMAT}, got an array of shape {y.shape}. For "
            "several tasks, or several classes per text, use MultiTaskClassifier."
        )
    y = column_or_1d(y, warn=True)
    check_lengths(n_texts, y, name)
    if any(is_missing(label) for label in y.tolist()):
        raise ValueError(
            f"`{name}` must have {LABELS_FORMAT}, got missing labels (None or NaN). "
            "Drop the texts without a label."
        )
    if y.dtype == object:
        y = _to_common_type(y, name)
    if is_list:
        y = np.asarray(y.tolist())
    check_classification_targets(y)
    return y


def _to_object_array(values):
    """Return values as an array of objects, without converting them."""
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


def _to_common_type(y, name):
    """Convert labels in an object array to their common type."""
    if any(isinstance(label, LABEL_COLLECTIONS) for label in y):
        raise ValueError(
            f"`{name}` must have {LABELS_FORMAT}, got collections of labels. For "
            "several classes per text, use MultiTaskClassifier."
        )
    kinds = {str if isinstance(label, str) else type(label) for label in y}
    if len(kinds) > 1 and str in kinds:
        raise ValueError(
            f"`{name}` must have labels of one type, got labels of different types ("
            f"{', '.join(sorted(kind.__name__ for kind in kinds))}). Convert them with "
            "str(...)."
        )
    return y if kinds == {str} else np.array(y.tolist())


def check_lengths(n_texts, other, name):
    """Check that an argument has one entry for each text."""
    if len(other) != n_texts:
        raise ValueError(
            f"`{name}` must have one entry for each text, got {len(other)} entries for "
            f"{n_texts} texts (inconsistent numbers of samples). Select the same rows "
            "of both."
        )


def encode_labels(y, classes, name):
    """Return labels as indices of `classes`; raise if a label is not among them."""
    indices = find_labels(y, classes)
    unknown = y[indices < 0].tolist()
    if unknown:
        raise ValueError(
            f"`{name}` must have only labels that are in y, got {unknown[0]!r}. A "
            "label that is not trained cannot be validated; drop the texts with it."
        )
    return indices


def find_labels(y, classes):
    """Return labels as indices of `classes`, or -1 for other labels."""
    order = {label: i for i, label in enumerate(classes.tolist())}
    return np.array([order.get(label, -1) for label in y.tolist()], dtype=np.int64)


def check_two_classes(classes, task=None):
    """Check that there are at least two classes to distinguish."""
    name = "`y`" if task is None else f"Task {task!r}"
    rule = f"{name} must have at least 2 classes among the texts with a positive weight"
    if not len(classes):
        cure = "Label more texts" if task is None else "Label some, or drop the task"
        raise ValueError(f"{rule}, got no label. {cure}.")
    if len(classes) < 2:
        raise ValueError(
            f"{rule}, got 1 class ({classes.tolist()[0]!r}). Add texts of another "
            "class."
        )


def check_validation_pair(X_val, y_val):
    """Return whether validation data was passed; raise if one part is missing."""
    if (X_val is None) != (y_val is None):
        given, absent = ("X_val", "y_val") if y_val is None else ("y_val", "X_val")
        raise ValueError(
            f"`X_val` and `y_val` must be passed together, got {given} without "
            f"{absent}. Pass both, or neither."
        )
    return X_val is not None


def check_weights(sample_weight, n_texts):
    """Return sample weights as float64, shape (n_texts,), scaled to a maximum of 1.

    If None, all weights are 1.

    Raises
    ------
    ValueError
        If the weights are negative, not finite, all zero, two-dimensional, or of
        another length than the texts.
    """
    if sample_weight is None:
        return np.ones(n_texts)
    weights = check_array(
        fill_masked(sample_weight),
        dtype=np.float64,
        ensure_2d=False,
        ensure_min_samples=0,
        input_name="sample_weight",
    )
    if weights.ndim == 0:
        weights = np.full(n_texts, float(weights))
    if weights.ndim != 1:
        raise ValueError(
            "`sample_weight` must have one number for each text, got an array of shape "
            f"{weights.shape}. Pass an array of shape (n_samples,)."
        )
    check_lengths(n_texts, weights, "sample_weight")
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
    return weights / weights.max()  # only ratios matter, and large sums may overflow


def check_class_weight(class_weight, classes, task=None):
    """Check that a dict of class weights has valid weights and known classes."""
    if isinstance(class_weight, dict):
        for label, weight in class_weight.items():
            if not (isinstance(weight, Real) and 0 <= weight < np.inf):
                raise ValueError(
                    "`class_weight` must have finite numbers of at least 0, got "
                    f"{weight!r} for the class {label!r}. To ignore a class, set its "
                    "weight to 0."
                )
        # A cross-validation fold may lack a class, so unknown classes are allowed if
        # all classes of y have a weight.
        unknown = [label for label in class_weight if label not in classes.tolist()]
        if unknown and not set(classes.tolist()) <= set(class_weight):
            where, cure = "y", "Correct the label."
            if task is not None:
                where = f"task {task!r}"
                cure = f"Set task_params={{{task!r}: {{'class_weight': ...}}}}."
            raise ValueError(
                f"`class_weight` must have only classes of {where}, got "
                f"{unknown[0]!r}; {where} has {classes.tolist()!r:.200}. {cure}"
            )
