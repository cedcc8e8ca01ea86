# SPDX-License-Identifier: BSD-3-Clause
"""Checks of the arguments of explanations."""

from collections.abc import Mapping, Set

import numpy as np

from .._data._labels import plain_label
from .._data._validation import check_lengths, fill_masked
from .._utils._messages import shorten


def check_attributions(attribution, allowed, *, several=False):
    """Return the names of attribution methods as a tuple.

    Parameters
    ----------
    attribution : str, list of str or None
        If None, the tuple is empty.
    allowed : collection of str
    several : bool, default=False
        Whether a list of names is accepted.

    Raises
    ------
    ValueError
        If a name is not in `allowed`, or if `attribution` is a list and `several` is
        False.
    """
    if attribution is None:
        return ()
    is_list = several and isinstance(attribution, (list, tuple))
    names = attribution if is_list else [attribution]
    if not all(isinstance(name, str) and name in allowed for name in names):
        choices = f"{' or '.join(map(repr, allowed))}{' or a list' if several else ''}"
        raise ValueError(
            f"`attribution` must be None or {choices}, got {shorten(attribution, 80)}. "
            "Use None to get only attention."
        )
    return tuple(dict.fromkeys(names))


def check_targets(target, classes, attribution, n_texts, *, noun="label"):
    """Return the index of the class to explain for each text.

    Parameters
    ----------
    target : label, array-like of labels or None
        As in ``explain``.
    classes : ndarray of shape (n_classes,)
    attribution : str or None
    n_texts : int
    noun : str
        Name of a class in messages.

    Returns
    -------
    ndarray of int64, shape (n_texts,), or None
        None if `target` is None. The predicted classes are then explained.

    Raises
    ------
    ValueError
        If `target` has a label that is not in `classes`, does not have one label for
        each text, or is passed without `attribution`.
    """
    if target is None:
        return None
    if attribution is None:
        raise ValueError(
            "`target` must be None if `attribution` is None, got "
            f"{shorten(target, 80)}. Attention is the same for all classes. To explain "
            "one class, pass attribution='gradient' or 'integrated_gradients'."
        )
    labels, indices = classes.tolist(), []
    for i, label in enumerate(labels_of_texts(target, n_texts)):
        if not np.isscalar(label) or label not in labels:
            where = f" at position {i}" if is_list_of_labels(target) else ""
            raise ValueError(
                f"`target` must be a {noun} of y, or one {noun} of y for each text, "
                f"got {shorten(label, 80)}{where}. Use one of {shorten(labels, 200)}."
            )
        indices.append(labels.index(label))
    return np.array(indices, dtype=np.int64)


def labels_of_texts(target, n_texts):
    """Return `target` as a list with one label for each text.

    Raises
    ------
    ValueError
        If `target` is a list of labels, but does not have `n_texts` entries.
    """
    if not is_list_of_labels(target):
        return [plain_label(target)] * n_texts
    if not isinstance(target, (list, tuple)):
        target = np.asarray(fill_masked(target), dtype=object)
    check_lengths(n_texts, target, "target")
    return [plain_label(label) for label in target]


def is_list_of_labels(target):
    """Return whether `target` is an array-like, and not a single label."""
    is_one = isinstance(target, (str, bytes, Mapping, Set))
    return hasattr(target, "__len__") and not is_one and getattr(target, "ndim", 1) == 1


def check_outputs(target, n_outputs, attribution, n_texts):
    """Return the index of the column of `y` to explain for each text.

    Raises
    ------
    ValueError
        If `target` is not a column of `y`, if `target` is passed without `attribution`,
        or if `attribution` is passed without `target` and `y` has several columns.
    """
    if target is None and attribution is not None and n_outputs > 1:
        raise ValueError(
            f"`target` must be a column of y (0 to {n_outputs - 1}) if y has several "
            "columns, got None. Pass the number of one column."
        )
    columns = np.arange(n_outputs)
    outputs = check_targets(target, columns, attribution, n_texts, noun="column")
    return np.zeros(n_texts, np.int64) if outputs is None else outputs
