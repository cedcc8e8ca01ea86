# SPDX-License-Identifier: BSD-3-Clause
"""Checks of the arguments of explanations."""

import numpy as np

from .._data._labels import plain_label


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
        If a name is not allowed, or `attribution` is a list and `several` is False.
    """
    if attribution is None:
        return ()
    is_list = several and isinstance(attribution, (list, tuple))
    names = attribution if is_list else [attribution]
    if not all(isinstance(name, str) and name in allowed for name in names):
        choices = f"{' or '.join(map(repr, allowed))}{' or a list' if several else ''}"
        raise ValueError(
            f"`attribution` must be None or {choices}, got {attribution!r:.80}. Use "
            "None to get only attention."
        )
    return tuple(dict.fromkeys(names))


def check_target(target, classes, attribution):
    """Return the index of the class to explain, or None for the predicted class.

    Raises
    ------
    ValueError
        If `target` is not one of `classes`, or is passed without `attribution`.
    """
    if target is None:
        return None
    if attribution is None:
        raise ValueError(
            f"`target` must be None without `attribution`, got {target!r:.80}. "
            "Attention is the same for all classes. Pass attribution='gradient' or "
            "'integrated_gradients' to explain one class."
        )
    labels, target = classes.tolist(), plain_label(target)
    if not np.isscalar(target) or target not in labels:
        raise ValueError(
            f"`target` must be a label of y, got {target!r:.80}. Use one of "
            f"{labels!r:.200}."
        )
    return labels.index(target)


def check_output(target, n_outputs, attribution):
    """Return the index of the number to explain.

    Raises
    ------
    ValueError
        If `target` is not a column of `y`, is passed without `attribution`, or is not
        passed although there are several numbers.
    """
    if attribution is None and target is None:
        return 0
    if attribution is None or (target is None and n_outputs == 1):
        return check_target(target, np.arange(n_outputs), attribution) or 0
    if target is None:
        raise ValueError(
            f"`target` must be a column of y (0 to {n_outputs - 1}) if y has several "
            "columns, got None. Pass the number of one column."
        )
    return check_target(target, np.arange(n_outputs), attribution)
