# SPDX-License-Identifier: BSD-3-Clause
"""A label set: from labels to numbers to train on, and from logits back to labels."""

from dataclasses import dataclass

import numpy as np
from scipy.special import expit, log_expit, log_softmax, softmax

from ._validation import (
    check_labels,
    check_two_classes,
    encode_labels,
    find_labels,
    is_missing,
)
from ._validation_tasks import check_no_matrix, kind_of_column


@dataclass(frozen=True)
class LabelSet:
    """What texts are told apart by.

    Attributes
    ----------
    name : object
        None in a classifier of one label set.
    classes : ndarray of shape (n_classes,)
        Sorted.
    kind : {"labels", "sets", "matrix"}
        What y has: a label for each text, a set of labels, or a row of 0 and 1. In the
        latter two a text may be of several classes, or of none.
    """

    name: object
    classes: np.ndarray
    kind: str = "labels"

    @classmethod
    def of(cls, column, name):
        """Find out of a column of y, as ``check_tasks`` gives it, what it is."""
        kind = kind_of_column(column, name)
        if kind == "matrix":
            return cls(name, np.arange(column.shape[1]), kind)
        known = [cell for cell in column if not is_missing(cell)]
        if kind == "sets":
            check_no_matrix(known, name)
        members = _members(known, kind)
        if members:
            members = check_labels(members, len(members), f"y[{name!r}]")
        classes = np.unique(members)
        if kind == "labels" or not len(classes):
            check_two_classes(classes, name)
        return cls(name, classes, kind)

    @property
    def multilabel(self):
        """Whether a text may be of several classes."""
        return self.kind != "labels"

    def present(self, column):
        """Tell which rows of a column have a label, or a part of a matrix's row."""
        if self.kind == "matrix":
            return ~np.isnan(column).all(axis=1)
        return ~np.array([is_missing(cell) for cell in column])

    def encode(self, column, name, *, unknown_is_wrong=False):
        """Turn a column of y into numbers; what is missing into zeros.

        Parameters
        ----------
        column : as ``check_tasks`` gives it
        name : str
            Of the argument.
        unknown_is_wrong : bool
            Make -1 of a label that is not among the classes, instead of refusing it.

        Returns
        -------
        labels : ndarray
            Of int64, shape (n_texts,): index of the class. Multilabel: of float32,
            shape (n_texts, n_classes): 1 where the text is of the class, NaN in the
            missing cells of a matrix.
        present : ndarray of bool, shape (n_texts,)
        """
        name = f"{name}[{self.name!r}]"
        column = self._check_kind(column, name)
        present = self.present(column)
        shape = (len(column), len(self.classes)) if self.multilabel else len(column)
        labels = np.zeros(shape, dtype=np.float32 if self.multilabel else np.int64)
        if self.kind == "matrix":
            labels[present] = column[present]
            return labels, present
        known = [cell for cell in column if not is_missing(cell)]
        indices = self._indices(_members(known, self.kind), name, unknown_is_wrong)
        if self.kind == "labels":
            labels[present] = indices
            return labels, present
        rows = np.flatnonzero(present).repeat([len(cell) for cell in known])
        labels[rows, indices.clip(min=0)] = 1
        labels[rows[indices < 0]] = -1
        return labels, present

    def _indices(self, members, name, unknown_is_wrong):
        if not members:
            return np.zeros(0, dtype=np.int64)
        members = check_labels(members, len(members), name)
        if unknown_is_wrong:
            return find_labels(members, self.classes)
        return encode_labels(members, self.classes, name)

    def _check_kind(self, column, name):
        """Refuse another kind of labels than was fitted; return the column."""
        kind = kind_of_column(column, name, "missing")
        if kind == "missing":
            missing = np.full((len(column), len(self.classes)), np.nan)
            return missing if self.kind == "matrix" else column
        is_wide = kind == "matrix" and column.shape[1] != len(self.classes)
        if kind != self.kind or is_wide:
            raise ValueError(
                f"{name} is another kind of label set ({kind}); expected {self.kind} "
                f"of {len(self.classes)} classes, as the y of fit has."
            )
        return column

    def accuracy(self, column, logits, weights):
        """Return the weighted share of the labelled texts that is right.

        None if there are none. A text of several labels is right if all are.
        """
        labels, present = self.encode(column, "y", unknown_is_wrong=True)
        rows = np.flatnonzero(present & (weights > 0))
        if not len(rows):
            return None
        if self.multilabel:
            right = ((logits > 0) == labels) | np.isnan(labels)
            right = right.all(axis=1)
        else:
            right = logits.argmax(axis=1) == labels
        return np.average(right[rows], weights=weights[rows])

    def predict(self, logits):
        """Return labels (n_texts,); multilabel: 0 and 1, (n_texts, n_classes)."""
        if self.multilabel:
            return (logits > 0).astype(np.int64)
        return self.classes[logits.argmax(axis=1)]

    def cells(self, logits):
        """Return labels as a column of y has them."""
        labels = self.predict(logits)
        if self.kind != "sets":
            return labels
        cells = np.empty(len(labels), dtype=object)
        for i, row in enumerate(labels):
            cells[i] = set(self.classes[row == 1].tolist())
        return cells

    def decision(self, logits):
        """Return logits (n_texts, n_classes); of two classes their difference."""
        if len(self.classes) == 2 and not self.multilabel:
            return logits[:, 1] - logits[:, 0]
        return logits

    def probabilities(self, logits):
        """Return probabilities (n_texts, n_classes); multilabel: each of its own."""
        return expit(logits) if self.multilabel else softmax(logits, axis=1)

    def log_probabilities(self, logits):
        """Return the logarithms of the probabilities."""
        return log_expit(logits) if self.multilabel else log_softmax(logits, axis=1)


def _members(cells, kind):
    """Return the labels in cells, one after another."""
    return [label for cell in cells for label in cell] if kind == "sets" else cells
