# SPDX-License-Identifier: BSD-3-Clause
"""Checks of pairs of texts.

A pair is a tuple of two str. The encoder reads both texts together.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Number
from types import NoneType

import numpy as np

from .._utils._messages import describe_type
from .._utils._warnings import warn
from ._text_advice import (
    BYTES,
    REMOVE_STEP,
    USE_OTHER_COLUMNS,
    column_names,
    one_of,
)
from ._validation import (
    TEXTS_FORMAT,
    check_distinct,
    check_texts,
    fill_masked,
    first_value,
)

# With fewer texts per class, a column may match the classes by chance.
TEXTS_PER_CLASS = 10
PAIRS_FORMAT = f"{TEXTS_FORMAT}, or pairs of texts (two columns, or a list of tuples)"


def check_texts_or_pairs(X, name="X"):
    """Return texts as a list of str, or pairs of texts as a list of tuples.

    Parameters
    ----------
    X : list, tuple, array, Series or data frame
        Texts, or pairs of texts. Pass pairs as a list of tuples, an array of shape
        (n_samples, 2), or a data frame with two columns.
    name : str
        Name of the argument, for messages.

    Returns
    -------
    list of str or list of (str, str)

    Raises
    ------
    ValueError, TypeError
        As in :func:`check_texts`, and if `X` has more than two columns.
    """
    columns = _two_columns(X, name)
    if columns is None:
        return check_texts(X, name)
    columns = [check_texts(column, code) for code, column in columns.items()]
    return list(zip(*columns, strict=True))


def _two_columns(X, name):
    """Return a dict of the two columns of pairs, or None if `X` has no pairs.

    The key of a column is the code that selects this column, such as "X[:, 0]".
    """
    if isinstance(X, Sequence):
        is_pairs = not isinstance(X, (str, *BYTES)) and len(X) and _is_pair(X[0])
        return _of_tuples(X, name) if is_pairs else None
    shape = getattr(X, "shape", ())
    if len(shape) != 2 or shape[1] < 2:
        return None
    if hasattr(X, "columns"):
        check_distinct(column_names(X), name)
        columns = {each: X[each] for each in column_names(X)}
        code, got = f"{name}[{{!r}}]", f"a data frame with {shape[1]} columns"
    elif hasattr(X, "__array__"):
        columns = dict(enumerate(np.asarray(fill_masked(X)).T))
        code, got = f"{name}[:, {{!r}}]", f"an array of shape {tuple(shape)}"
    else:
        return None
    firsts = {key: first_value(column) for key, column in columns.items()}
    texts = [key for key, value in firsts.items() if isinstance(value, str)]
    others = [value for value in firsts.values() if not isinstance(value, str)]
    # Missing values and bytes in one of two columns have their own messages.
    if len(texts) == 1 and (
        len(columns) > 2 or not isinstance(others[0], (NoneType, *BYTES))
    ):
        column = code.format(texts[0])
        raise ValueError(
            f"`{name}` must be {PAIRS_FORMAT}, got {got}, of which only {column} has "
            f"texts. Pass {column}. {USE_OTHER_COLUMNS}"
        )
    if all(isinstance(value, Number) for value in firsts.values()):
        got = f"`{name}` must be {PAIRS_FORMAT}, got {got} with numbers"
        raise TypeError(f"{got}. {REMOVE_STEP}")
    if len(columns) > 2:
        texts = texts or list(columns)
        raise ValueError(
            f"`{name}` must be {PAIRS_FORMAT}, got {got}. Select the column of texts, "
            f"for example {one_of(code, texts)}, or the two columns of the pairs, for "
            f"example {code.format(texts[:2])}. {USE_OTHER_COLUMNS}"
        )
    return {code.format(key): column for key, column in columns.items()}


def _is_pair(row):
    return isinstance(row, tuple) and len(row) == 2


def _of_tuples(X, name):
    for i, row in enumerate(X):
        if not _is_pair(row):
            size = f" of {len(row)}" if isinstance(row, tuple) else ""
            raise TypeError(
                f"`{name}` must have two texts in each tuple, got {describe_type(row)}"
                f"{size} at position {i}. Pass a tuple (first, second) for each sample."
            )
    return {f"[row[{i}] for row in {name}]": [row[i] for row in X] for i in range(2)}


def check_unlabeled(X_unlabeled, params):
    """Check texts or pairs without labels, and return them as a list.

    The list may be empty. Warn if language-model training is off, because only this
    training uses the texts.
    """
    if X_unlabeled is None or _has_no_rows(X_unlabeled):
        return []
    if not params["lm_epochs"] and not params["lm_weight"]:
        warn(
            "`X_unlabeled` is ignored, because only language-model training uses texts "
            "without labels. To train a language model, set lm_epochs=3, or lm_weight "
            "above 0.",
        )
    return check_texts_or_pairs(X_unlabeled, "X_unlabeled")


def _has_no_rows(X):
    if hasattr(X, "shape"):  # an array or data frame, perhaps without a dimension
        return X.shape[:1] == (0,) and not hasattr(X, "toarray")
    return isinstance(X, Sequence) and not isinstance(X, (str, bytes)) and not X


@dataclass(frozen=True)
class InputKind:
    """Number of texts per sample, and the column names of pairs.

    Attributes
    ----------
    n_texts : int
        1 for single texts and 2 for pairs.
    names : tuple of str or None
        The two column names if pairs were passed as a data frame. None for single
        texts, other containers and names that are not str.
    """

    n_texts: int = 1
    names: tuple | None = None

    @classmethod
    def of(cls, X, texts):
        """Return the InputKind of `X`. `texts` are the checked texts of `X`."""
        if not isinstance(texts[0], tuple):
            return cls()
        return cls(2, _str_names(X))

    @classmethod
    def of_fitted(cls, attributes):
        """Return the InputKind that is described by fitted attributes."""
        names = attributes.get("feature_names_in_")
        n_texts = attributes.get("n_texts_in_", 1)
        return cls(n_texts, None if names is None else tuple(names))

    def attributes(self):
        """Return the fitted attributes that describe the input."""
        attributes = {"n_texts_in_": self.n_texts}
        if self.names is not None:
            attributes["feature_names_in_"] = np.array(self.names, dtype=object)
        return attributes

    def check(self, X, name="X"):
        """Check `X` and return its texts or pairs.

        Raise ValueError if `X` and the `X` passed to ``fit`` differ in the number of
        texts per sample or in the column names.
        """
        texts = check_texts_or_pairs(X, name)
        found = InputKind.of(X, texts)
        if found.n_texts < self.n_texts:
            raise ValueError(
                f"`{name}` must have two texts for each sample, like the `X` passed to "
                "fit, got single texts. Pass both columns, or a list of tuples (first, "
                "second)."
            )
        if found.n_texts > self.n_texts:
            raise ValueError(
                f"`{name}` must have one text for each sample, like the `X` passed to "
                "fit, got pairs of texts. Pass the same column as in fit: "
                f"{_one_column(X, name)}."
            )
        if None not in (found.names, self.names) and found.names != self.names:
            raise ValueError(
                f"`{name}` must have the same columns as in fit, in the same order, "
                f"{list(self.names)!r}, got {list(found.names)!r}. Pass "
                f"{name}[{list(self.names)!r}]."
            )
        return texts


def _str_names(X):
    """Return the names of the two columns if both are str, else None."""
    names = tuple(column_names(X)) if hasattr(X, "columns") else ()
    return names if len(names) == 2 and all(type(n) is str for n in names) else None


def _one_column(X, name):
    """Return the code that selects each column of pairs, joined by " or "."""
    return " or ".join(_two_columns(X, name))


def check_no_labels(X, data, targets):
    """Check that no column of pairs contains labels.

    Raise ValueError if a column contains the labels. Warn if a column may contain them.

    Parameters
    ----------
    X : object
        The `X` passed to ``fit``.
    data : LabeledTexts
        The checked texts and labels of `X`.
    targets : tuple of Target
    """
    if not isinstance(data.texts[0], tuple):
        return
    codes = list(_two_columns(X, "X"))
    n_classes = max(
        (len(each.classes) for each in targets if each.kind != "numbers"), default=0
    )
    for code, other, column in zip(
        codes, codes[::-1], zip(*data.texts, strict=True), strict=True
    ):
        for task, target in enumerate(targets):
            known = np.flatnonzero(data.weights[:, task])
            if len(known) and _equals([column[i] for i in known], data, task, target):
                named = "`y`" if target.name is None else f"y[{target.name!r}]"
                raise ValueError(
                    f"`X` must have texts in both columns, got labels in {code}: the "
                    f"values equal {named}, or they are other names for the classes of "
                    f"{named}. Pass only the texts: {other}."
                )
        n_values = len(set(column))
        if n_values <= n_classes:
            warn(
                f"{code} has {n_values} different values, and `y` has {n_classes} "
                "classes, so the column may have labels instead of texts. If this "
                f"column does not contain texts, pass only the other column: {other}."
            )


def _equals(column, data, task, target):
    """Return whether a column has the labels of a task, or other names for them."""
    labels = data.labels[task][np.flatnonzero(data.weights[:, task])]
    if target.kind == "labels":
        if column == [str(label) for label in target.classes[labels].tolist()]:
            return True
        # If values and classes match one to one, the values are names of the classes.
        names = {*zip(column, labels, strict=True)}
        is_one_to_one = len(set(column)) == len(set(labels)) == len(names)
        return is_one_to_one and TEXTS_PER_CLASS * len(names) <= len(column)
    if target.kind != "numbers":
        return False
    try:
        numbers = np.array(column, dtype=np.float64)
    except ValueError:  # texts
        return False
    outputs = target.predict(labels.astype(np.float64)).reshape(len(numbers), -1).T
    margin = 1e-5 * np.abs(numbers).max()  # labels are standardized in float32
    return any(np.allclose(output, numbers, atol=margin) for output in outputs)
