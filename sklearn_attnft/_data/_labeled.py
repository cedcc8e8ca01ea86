# SPDX-License-Identifier: BSD-3-Clause
"""Checked texts with labels and weights, before they are tokenised."""

import dataclasses
import math
from dataclasses import dataclass

import numpy as np
from sklearn.model_selection import train_test_split
from sklearn.utils.class_weight import compute_class_weight

from ._datasets import LabeledDataset
from ._tokens import tokenize
from ._validation import check_class_weight, check_two_classes


@dataclass(frozen=True)
class LabeledTexts:
    """Checked texts with their labels as numbers, in one label set or several.

    Attributes
    ----------
    texts : list of str
    labels : tuple of ndarray
        For each label set, as ``LabelSet.encode`` gives them.
    weights : ndarray of float, shape (n_texts, n_tasks)
        When they are scored; 0 where the label is missing.
    class_weights : ndarray of float, shape (n_texts, n_tasks), or None
        What the weights are multiplied by when they are trained on.
    """

    texts: list
    labels: tuple
    weights: np.ndarray
    class_weights: np.ndarray | None = None

    def take(self, indices):
        """Return a part, in the order of `indices`."""
        return LabeledTexts(
            [self.texts[i] for i in indices],
            tuple(labels[indices] for labels in self.labels),
            self.weights[indices],
            None if self.class_weights is None else self.class_weights[indices],
        )

    def tokenized(self, tokenizer, *, sampling=0.0):
        """Return the same, tokenised, and what is long.

        The weights of a label set have the mean that its labels are of all texts, by
        weight: so their scale does not matter, and without sampling a weight of 2 is
        the text twice. A text is drawn in proportion to ``n ** -sampling``, where n
        are the labels, by weight, of its rarest label set.
        """
        tokens, is_truncated = tokenize(self.texts, tokenizer)
        weights = self.weights
        if self.class_weights is not None:
            weights = weights * self.class_weights
        n_labels = self.weights.sum(axis=0)
        rarest = np.where(weights > 0, n_labels, np.inf).min(axis=1)
        draws = (rarest / rarest.min()) ** -sampling
        shares = n_labels / self.weights.max(axis=1).sum()
        means = weights.mean(axis=0)
        means[means == 0] = 1.0  # of a label set that is not validated
        weights = (weights * (shares / means)).astype(np.float32)
        return LabeledDataset(
            tokens, self.labels, weights, draws / draws.mean()
        ), is_truncated


def weigh(data, label_sets, class_weights):
    """Add class weights and drop the texts that weigh nothing.

    Parameters
    ----------
    data : LabeledTexts
    label_sets : tuple of LabelSet
    class_weights : sequence
        The parameter `class_weight` of each.
    """
    weights = np.ones(data.weights.shape)
    for task, (label_set, class_weight) in enumerate(
        zip(label_sets, class_weights, strict=True)
    ):
        rows = np.flatnonzero(data.weights[:, task])
        labels = data.labels[task][rows]
        given = data.weights[rows, task]
        weights[rows, task] = _class_weights(label_set, class_weight, labels, given)
    data = dataclasses.replace(data, class_weights=weights)
    return data.take(np.flatnonzero((data.weights * weights).any(axis=1)))


def _class_weights(label_set, class_weight, labels, weights):
    """Return the weights that the classes of labelled texts have."""
    classes = label_set.classes
    if label_set.multilabel:
        if class_weight is not None:
            raise ValueError(
                f"class_weight={class_weight!r} is for label sets with one class a "
                f"text; in {label_set.name!r} a text may have several: set task_params="
                f"{{{label_set.name!r}: {{'class_weight': None}}}}."
            )
        if not len(labels):
            check_two_classes(labels, label_set.name)
        return np.ones(len(labels))
    check_class_weight(class_weight, classes, label_set.name)
    present = np.unique(labels)
    check_two_classes(classes[present], label_set.name)
    if isinstance(class_weight, dict):
        class_weight = {c: class_weight.get(c, 1.0) for c in classes[present].tolist()}
    of_class = np.zeros(len(classes))
    of_class[present] = compute_class_weight(
        class_weight, classes=classes[present], y=classes[labels], sample_weight=weights
    )
    check_two_classes(classes[np.flatnonzero(of_class)], label_set.name)
    return of_class[labels]


def split(data, label_sets, fraction, seed):
    """Set a part of the data aside for validation.

    It is stratified if there is one label set, and random if there are several, but
    leaves a text of every class for training. It is scored with the weights of its
    texts, but not of their classes.
    """
    rows = np.arange(len(data.texts))
    try:
        if len(label_sets) == 1 and not label_sets[0].multilabel:
            rows = train_test_split(
                rows, test_size=fraction, stratify=data.labels[0], random_state=seed
            )
        else:
            rows = _split_several(data, label_sets, fraction, seed)
    except ValueError as error:
        raise ValueError(
            f"validation_fraction={fraction} of {len(data.texts)} texts cannot hold "
            "every class in both parts: raise it, pass X_val and y_val, or set "
            f"early_stopping=False ({error})"
        ) from error
    held_out = dataclasses.replace(data.take(rows[1]), class_weights=None)
    return data.take(rows[0]), held_out


def _split_several(data, label_sets, fraction, seed):
    """Draw rows for validation that are not the last of any class in training."""
    members = []
    for task, (label_set, labels) in enumerate(
        zip(label_sets, data.labels, strict=True)
    ):
        if not label_set.multilabel:
            labels = labels[:, None] == np.arange(len(label_set.classes))
        members.append((labels == 1) & (data.weights[:, [task]] > 0))
    members = np.hstack(members)  # (n_texts, classes of all label sets)
    left = members.sum(axis=0)
    n_wanted = math.ceil(fraction * len(members))
    valid_part = []
    for row in np.random.RandomState(seed % 2**32).permutation(len(members)):
        if len(valid_part) < n_wanted and (left[members[row]] > 1).all():
            valid_part.append(row)
            left = left - members[row]
    if not valid_part:
        raise ValueError("every text is the only one of a class")
    return np.setdiff1d(np.arange(len(members)), valid_part), np.array(valid_part)
