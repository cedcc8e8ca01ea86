# SPDX-License-Identifier: BSD-3-Clause
"""Check class labels without changing their values."""

from collections.abc import Mapping, Sequence
from numbers import Real

import numpy as np
from sklearn.utils import column_or_1d
from sklearn.utils.multiclass import check_classification_targets

from .._utils._messages import describe_type, shorten
from .._utils._warnings import warn
from ._validation import check_lengths, fill_masked, is_missing

LABELS_FORMAT = "one class label for each text"
LABEL_KINDS = {
    "str": str,
    "bool": (bool, np.bool_),  # before int, because bool is a subclass of int
    "int": (int, np.integer),
    "float": (float, np.floating),
}


# Labels that often mark a text without a label, such as NaN that was converted to str.
# "None" is not in the list, because it can be the name of a class.
MARKS = (-1, "-1", "", "nan", "NaN", "<NA>", "NaT")
PASS_UNLABELED = (
    "Fit only on the texts with labels. To use the other texts too, set lm_epochs=3 "
    "and call fit(X[known], y[known], X_unlabeled=X[~known])."
)


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
        If `y` is None, two-dimensional or continuous, if its labels have several types,
        if labels are missing, or if the number of labels is not `n_texts`.
    """
    if y is None:
        raise ValueError(
            f"`{name}` must have {LABELS_FORMAT}, got None; fit requires {name} to be "
            "passed."
        )
    if hasattr(y, "to_list") and np.asarray(y).dtype.kind == "U":  # polars
        y = y.to_list()
    is_list = isinstance(y, Sequence) and not isinstance(y, (str, bytes))
    array = _one_dimensional(y, name, is_list)
    check_lengths(n_texts, array, name)
    cells = list(array)
    for i, cell in enumerate(cells):
        if is_missing(cell):
            n_missing = sum(map(is_missing, cells))
            raise ValueError(
                f"`{name}` must have {LABELS_FORMAT}, got missing labels (None or "
                f"NaN) for {n_missing} of {n_texts} texts, the first at position {i}. "
                f"{PASS_UNLABELED}"
            )
        if is_collection(cell):
            raise ValueError(
                f"`{name}` must have {LABELS_FORMAT}, got collections of labels "
                f"({describe_type(cell)} at position {i}). For several labels per "
                f"text, pass MultiLabelBinarizer().fit_transform({name}), or use "
                f"MultiTaskClassifier(...).fit(X, {{'tags': {name}}})."
            )
    labels = label_array(cells, name)
    if array.dtype != object:
        return array
    return labels if is_list or labels.dtype.kind != "U" else labels.astype(object)


def _one_dimensional(y, name, is_list):
    """Return `y` as a one-dimensional array, without a check of each label."""
    array = y.toarray() if hasattr(y, "toarray") else fill_masked(y)
    # The dtype object keeps numpy from converting the labels of a list to one type.
    array = np.asarray(array, dtype=object if is_list else None)
    if array.ndim == 0 or isinstance(y, Mapping):
        cure = "Pass a list or an array of the labels, in the order of the texts."
        if isinstance(y, Mapping):
            cure = "Pass one column. For several tasks, use MultiTaskClassifier."
        raise ValueError(
            f"`{name}` must have {LABELS_FORMAT}, got {describe_type(y)}. {cure}"
        )
    if array.dtype.kind in "Tc":  # scikit-learn cannot sort StringDType or complex
        array = array.astype(object)
    if array.ndim > 1 and array.shape[1:] != (1,):
        _refuse_columns(y, array, name)
    return column_or_1d(array, warn=True)


def _refuse_columns(y, array, name):
    """Raise an error for a `y` with several columns."""
    got = f"`{name}` must have {LABELS_FORMAT}, got an array of shape {array.shape}"
    cells = array.ravel().tolist()
    if array.ndim > 2:
        raise ValueError(f"{got}. Pass an array of shape (n_samples,).")
    is_binary = all(isinstance(c, (bool, int, float)) and c in (0, 1) for c in cells)
    dense = f"{name}.toarray()" if hasattr(y, "toarray") else f"np.asarray({name})"
    if is_binary and (array.sum(axis=1) == 1).all():
        is_frame = hasattr(y, "idxmax")
        cure = f"{name}.idxmax(axis=1)" if is_frame else f"np.argmax({dense}, axis=1)"
        raise ValueError(f"{got} with one-hot rows. Pass {cure}.")
    cure = f"If each column is a task, use MultiTaskClassifier(...).fit(X, {name})."
    if is_binary or isinstance(y, Sequence):
        tags = dense if is_binary and isinstance(y, Sequence) else name
        cure += (
            f" If a text has several labels, pass {{'tags': {tags}}} to "
            "MultiTaskClassifier."
        )
    raise ValueError(f"{got}. {cure}")


def is_collection(cell):
    """Return whether an entry of `y` is a collection of labels."""
    if isinstance(cell, np.ndarray):
        return cell.ndim > 0
    return isinstance(cell, (set, frozenset, list, tuple))


def label_array(labels, name, rows=None):
    """Return labels as a sortable array, without changing their values.

    Parameters
    ----------
    labels : list
        Labels of str, bool or int. Members of an Enum of str or int become plain str or
        int.
    name : str
        Name of the argument, for messages.
    rows : sequence of int or None
        Positions of the labels in the argument, for messages. If None, the positions
        are 0, 1, and so on.

    Raises
    ------
    ValueError
        If a label is not a str, bool or int, or if the labels have several types.
    """
    if not labels:
        return np.array([])
    plain, first = [plain_label(label) for label in labels], {}
    for row, label in zip(rows or range(len(labels)), plain, strict=True):
        first.setdefault(_kind(label, name, row), row)
    # An object array keeps what numpy would change, such as "\0" at the end of a str.
    array = _objects(plain)
    if len(first) == 1 or set(first) == {"int", "float"}:
        converted = np.array(plain)
        # numpy converts some int to float, such as np.uint64(2**63) together with -1.
        is_float = "float" not in first and converted.dtype.kind == "f"
        array = array if is_float or converted.tolist() != plain else converted
    if array.dtype == object and set(first) != {"str"}:
        found = ", ".join(f"{kind} at position {row}" for kind, row in first.items())
        raise ValueError(
            f"`{name}` must have labels of one type, got labels of different types ("
            f"{found}). Convert them with str(...)."
        )
    check_classification_targets(array)
    return array


def _kind(label, name, row):
    """Return the key of LABEL_KINDS for a label.

    Raise ValueError if the label is invalid. `row` is its position, for the message.
    """
    got = f"got {describe_type(label)} ({shorten(label, 40)}) at position {row}"
    for kind, types in LABEL_KINDS.items():
        # timedelta64 of numpy is a subclass of its integers.
        if not isinstance(label, types) or isinstance(label, np.timedelta64):
            continue
        if kind == "float" and not label.is_integer():
            raise ValueError(
                f"`{name}` must have labels of str, bool or int, {got} (Unknown label "
                "type: continuous). Convert numbers to classes, for example with "
                "pandas.cut."
            )
        if type(label) is int and not -(2**63) <= label < 2**63:
            break
        return kind
    raise ValueError(
        f"`{name}` must have labels of str, bool or int, {got}. Pass each label as a "
        "str."
    )


def plain_label(label):
    """Convert a label of a subclass of str or int to plain str or int.

    Other labels are returned unchanged.
    """
    # str(...) and hash(...) of an Enum would use its name instead of its value.
    if getattr(label, "ndim", None) == 0 and hasattr(label, "item"):
        label = label if isinstance(label, np.generic) else label.item()
    if isinstance(label, str):
        return str.__str__(label)
    is_int = isinstance(label, int) and not isinstance(label, bool)
    return int.__int__(label) if is_int else label


def _objects(values):
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


def encode_labels(y, classes, name):
    """Return the index in `classes` of each label of `y`.

    Raise ValueError if a label is not in `classes`.
    """
    check_label_kind(y, classes, name)
    indices = find_labels(y, classes)
    unknown = y[indices < 0].tolist()
    if unknown:
        raise ValueError(
            f"`{name}` must have only labels that are in y, got {unknown[0]!r}. Drop "
            "the texts with this label, because the model cannot learn this label."
        )
    return indices


def find_labels(y, classes):
    """Return the index in `classes` of each label of `y`, or -1 if not found."""
    order = {label: i for i, label in enumerate(classes.tolist())}
    return np.array([order.get(label, -1) for label in y.tolist()], dtype=np.int64)


def check_label_kind(y, classes, name):
    """Check that labels are str if the classes are str, and numbers otherwise."""
    is_str = [each.dtype.kind in "UO" for each in (y, classes)]
    if len(y) and is_str[0] != is_str[1]:
        expected, got = (each.tolist()[0] for each in (classes, y))
        raise ValueError(
            f"`{name}` must have labels of the same type as in fit, such as "
            f"{expected!r}, got {describe_type(got)} ({got!r}). Convert the labels to "
            f"{type(expected).__name__}."
        )


def warn_if_marked(classes, labels, task=None):
    """Warn if a class looks like a placeholder for a missing label, such as -1.

    Parameters
    ----------
    classes : ndarray of shape (n_classes,)
    labels : ndarray of int, shape (n_texts,)
        Indices of classes.
    task : object, default=None
        Name of the task. None for a classifier without tasks.
    """
    kinds = classes.tolist()
    if len(kinds) < 3:  # without the placeholder, only one class would be left
        return
    name = "`y`" if task is None else f"Task {task!r}"
    cure = f"leave these texts out. {PASS_UNLABELED}"
    if task is not None:
        cure = "replace it by None, which marks a text without a label of this task."
    mark = next((each for each in MARKS if each in kinds), None)
    if mark is not None:
        n_marked = int((labels == kinds.index(mark)).sum())
        warn(
            f"{name} has the label {mark!r} for {n_marked} of {len(labels)} texts, and "
            f"fit treats it as a class. If it marks a missing label, {cure}"
        )


def check_two_classes(classes, task=None, *, weighed=False):
    """Check that there are at least two classes to distinguish.

    Parameters
    ----------
    classes : ndarray
    task : object, default=None
        Name of the task. None for a classifier without tasks.
    weighed : bool, default=False
        Whether `classes` contains only classes of texts with a positive weight.
    """
    if len(classes) >= 2:
        return
    found = [f", got 1 class ({label!r})" for label in classes.tolist()]
    name = "`y`" if task is None else f"Task {task!r}"
    rule = f"{name} must have at least 2 classes"
    if weighed:  # without the weights, there are at least two classes
        raise ValueError(
            f"{rule} among the texts with a positive weight"
            f"{found[0] if found else ', got no class'}. Raise the weights of texts of "
            "other classes (sample_weight or class_weight)."
        )
    cure = "Add texts of another class"
    if not found:
        cure = "Label more texts" if task is None else "Label texts or drop the task"
    splitter = "StratifiedKFold" if task is None else "KFold"
    raise ValueError(
        f"{rule}{found[0] if found else ', got no label'}. {cure}. A cross-validation "
        "or a search calls fit with a part of the texts. In this case, pass a splitter "
        f"that mixes the classes, for example cv={splitter}(5, shuffle=True)."
    )


def check_class_weight(class_weight, classes, task=None):
    """Check a dict of class weights and return the weight of each class.

    A class that is not in the dict has the weight 1.
    """
    for label, weight in class_weight.items():
        if not (isinstance(weight, Real) and 0 <= weight < np.inf):
            raise ValueError(
                "`class_weight` must have finite numbers of at least 0, got "
                f"{weight!r} for the class {label!r}. To ignore a class, set its "
                "weight to 0."
            )
    given = {plain_label(label): weight for label, weight in class_weight.items()}
    names = classes.tolist()
    # A cross-validation fold may lack a class, so unknown classes are allowed if
    # all classes of y have a weight.
    unknown = [label for label in given if label not in names]
    if unknown and not set(names) <= set(given):
        where, cure = "y", "Correct the label."
        if task is not None:
            where = f"task {task!r}"
            cure = (
                "Correct the label. To set class weights for this task only, set "
                f"task_params={{{task!r}: {{'class_weight': ...}}}}."
            )
        raise ValueError(
            f"`class_weight` must have only classes of {where}, got "
            f"{unknown[0]!r}. The classes of {where} are {shorten(names, 200)}. {cure}"
        )
    return np.array([given.get(label, 1.0) for label in names], dtype=float)
