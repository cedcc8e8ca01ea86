# SPDX-License-Identifier: BSD-3-Clause
"""Convert the labels of a task to numbers, and logits to labels.

To add a kind of target, write a subclass of :class:`Target` and add the subclass to
`TARGETS`. The attribute `loss` of the subclass must be a key of
``_model._losses.LOSSES``.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy.special import expit, log_expit, log_softmax, softmax

from .._utils._messages import shorten
from ._label_matrix import LabelMatrix, check_columns
from ._labels import (
    check_label_kind,
    check_two_classes,
    encode_labels,
    find_labels,
    label_array,
)
from ._numbers import Numbers
from ._validation import is_missing
from ._validation_tasks import check_no_matrix, kind_of_column


@dataclass(frozen=True)
class Target:
    """Base class of targets. A target describes what one task predicts.

    Attributes
    ----------
    name : object
        Name of the task, or None in a classifier with a single task.
    classes : ndarray of shape (n_classes,)
        The class labels in ascending order.
    kind : str
        Key of the subclass in `TARGETS`.
    loss : str
        Key of the loss in ``LOSSES``.
    multilabel : bool
        Whether a text may have several classes.
    """

    name: object
    classes: np.ndarray
    kind: ClassVar[str]
    loss: ClassVar[str]
    multilabel: ClassVar[bool]

    @classmethod
    def fit(cls, column, name):
        """Create the target for a column that ``check_tasks`` returned."""
        return cls(name, cls._classes(column, name))

    def as_dict(self):
        """Return a dict from which :func:`restore_target` rebuilds the target."""
        return {"kind": self.kind, "name": self.name, "classes": self.classes}

    def as_head(self):
        """Return the number of outputs and the loss of the head of this task.

        Raises
        ------
        ValueError
            If the classes are not sorted, or if two of them are equal.
        """
        if self.classes.ndim != 1 or not np.array_equal(
            np.unique(self.classes), self.classes
        ):
            raise ValueError(
                "The classes of a task must be sorted and without duplicates, got "
                f"{shorten(self.classes, 200)}."
            )
        return len(self.classes), self.loss

    @property
    def n_outputs(self):
        """Number of logits."""
        return len(self.classes)

    def present(self, column):
        """Return whether each text has a label, as a bool array."""
        return ~np.array([is_missing(cell) for cell in column])

    def encode(self, column, name, *, unknown_is_wrong=False):
        """Convert a column of `y` to numbers.

        Parameters
        ----------
        column : list or LabelMatrix
            A column that ``check_tasks`` returned.
        name : str
            Name of the argument, for messages.
        unknown_is_wrong : bool
            If True, a text with a label that is not in `classes` gets -1 instead of
            its labels. If False, such a label raises ValueError.

        Returns
        -------
        labels : ndarray of int64, shape (n_texts,), or float32, (n_texts, n_classes)
            If each text has one class, this is an array of class indices. If a text can
            have several classes, this is a matrix with 1 for each class that the text
            has and 0 for each other class. If `column` is a matrix, its missing values
            become NaN. The labels of a text without any label are 0, not NaN.
        present : ndarray of bool, shape (n_texts,)
            Whether each text has a label.
        """
        name = f"{name}[{self.name!r}]"
        column = self._check_kind(column, name)
        present = self.present(column)
        return self._encode(column, present, name, unknown_is_wrong), present

    @classmethod
    def _known(cls, column, name):
        """Return all labels in a column as an array, and the row of each label."""
        rows = [i for i, cell in enumerate(column) if not is_missing(cell)]
        cells = [column[row] for row in rows]
        if cls.multilabel:
            rows = [row for row, cell in zip(rows, cells, strict=True) for _ in cell]
            cells = [label for cell in cells for label in cell]
        return label_array(cells, name, rows), rows

    def _indices(self, members, name, unknown_is_wrong):
        if unknown_is_wrong:
            check_label_kind(members, self.classes, name)
            return find_labels(members, self.classes)
        return encode_labels(members, self.classes, name)

    def _check_kind(self, column, name):
        """Check the kind of a column, and return the column.

        Raise ValueError if the column is not of the same kind as the column in ``fit``.
        """
        kind = kind_of_column(column, name, "missing")
        if kind == "missing":
            return self._missing(column)
        if kind != self.kind:
            raise ValueError(
                f"{name} must have the same kind of labels as in fit ({self.kind}, "
                f"{len(self.classes)} classes), got {kind}. Pass labels in the same "
                "format as in fit."
            )
        return column

    def _missing(self, column):
        return column

    def score(self, column, logits, weights):
        """Return the weighted fraction of labeled texts with a correct prediction.

        If no text has a label, return None. If a text can have several classes, the
        prediction is correct only if it is correct for every class.
        """
        labels, present = self.encode(column, "y", unknown_is_wrong=True)
        rows = np.flatnonzero(present & (weights > 0))
        if not len(rows):
            return None
        return np.average(self._right(logits, labels)[rows], weights=weights[rows])

    def cells(self, logits):
        """Return predicted labels in the format of a column of `y`."""
        return self.predict(logits)


class OneOfN(Target):
    """One class per text."""

    kind = "labels"
    loss = "cross_entropy"
    multilabel = False

    @classmethod
    def _classes(cls, column, name):
        classes = np.unique(cls._known(column, f"y[{name!r}]")[0])
        check_two_classes(classes, name)
        return classes

    def _encode(self, column, present, name, unknown_is_wrong):
        labels = np.zeros(len(column), dtype=np.int64)
        known, rows = self._known(column, name)
        labels[rows] = self._indices(known, name, unknown_is_wrong)
        return labels

    def _right(self, logits, labels):
        return logits.argmax(axis=1) == labels

    def predict(self, logits):
        """Return the most probable class of each text, shape (n_texts,)."""
        return self.classes[logits.argmax(axis=1)]

    def decision(self, logits):
        """Return the logits of each class, or their difference for two classes."""
        if len(self.classes) == 2:
            return logits[:, 1] - logits[:, 0]
        return logits

    def probabilities(self, logits):
        """Return probabilities (n_texts, n_classes). Each row sums to 1."""
        return softmax(logits, axis=1)

    def log_probabilities(self, logits):
        """Return the logarithms of the probabilities."""
        return log_softmax(logits, axis=1)


class Tags(Target):
    """Any number of classes per text. `y` has a set of labels for each text."""

    kind = "sets"
    loss = "binary_cross_entropy"
    multilabel = True

    @classmethod
    def _classes(cls, column, name):
        classes = np.unique(cls._known(column, f"y[{name!r}]")[0])
        check_no_matrix([cell for cell in column if not is_missing(cell)], name)
        if not len(classes):
            check_two_classes(classes, name)
        return classes

    def _encode(self, column, present, name, unknown_is_wrong):
        labels = np.zeros((len(column), len(self.classes)), dtype=np.float32)
        members, rows = self._known(column, name)
        indices = self._indices(members, name, unknown_is_wrong)
        labels[rows, indices.clip(min=0)] = 1
        labels[np.array(rows, dtype=int)[indices < 0]] = -1
        return labels

    def _right(self, logits, labels):
        return (((logits > 0) == labels) | np.isnan(labels)).all(axis=1)

    def predict(self, logits):
        """Return an int64 matrix that is 1 for predicted classes and 0 otherwise."""
        return (logits > 0).astype(np.int64)

    def cells(self, logits):
        """Return an object array with the set of predicted labels of each text."""
        cells = np.empty(len(logits), dtype=object)
        for i, row in enumerate(self.predict(logits)):
            cells[i] = set(self.classes[row == 1].tolist())
        return cells

    def decision(self, logits):
        """Return logits (n_texts, n_classes)."""
        return logits

    def probabilities(self, logits):
        """Return probabilities (n_texts, n_classes). Rows need not sum to 1."""
        return expit(logits)

    def log_probabilities(self, logits):
        """Return the logarithms of the probabilities."""
        return log_expit(logits)


class TagMatrix(Tags):
    """Any number of classes per text, as a matrix of 0 and 1.

    The classes are the names of the columns, in the order of the columns.
    """

    kind = "matrix"

    @staticmethod
    def _classes(column, name):
        return column.names

    def as_head(self):
        """Return the number of outputs and the loss of the head of this task.

        Raises
        ------
        ValueError
            If two columns have the same name.
        """
        names = self.classes.tolist()
        if self.classes.ndim != 1 or len(set(names)) < len(names):
            raise ValueError(
                "The columns of a matrix must have different names, got "
                f"{shorten(names, 200)}."
            )
        return len(names), self.loss

    def present(self, column):
        """Return whether each row of a matrix has at least one known value."""
        return ~np.isnan(column.values).all(axis=1)

    def _encode(self, column, present, name, unknown_is_wrong):
        labels = np.zeros((len(column), len(self.classes)), dtype=np.float32)
        labels[present] = column.values[present]
        return labels

    def _check_kind(self, column, name):
        column = super()._check_kind(column, name)
        check_columns(column, self.classes, name)
        return column

    def _missing(self, column):
        values = np.full((len(column), len(self.classes)), np.nan)
        return LabelMatrix(values, self.classes, None)

    def cells(self, logits):
        """Return predicted labels as a matrix of 0 and 1."""
        return self.predict(logits)


TARGETS = {target.kind: target for target in (OneOfN, Tags, TagMatrix, Numbers)}


def fit_target(column, name):
    """Create the target for a column that ``check_tasks`` returned."""
    return TARGETS[kind_of_column(column, name)].fit(column, name)


def restore_target(stored):
    """Rebuild a target from the dict that ``Target.as_dict`` returned."""
    stored = dict(stored)
    return TARGETS[stored.pop("kind")](**stored)
