# SPDX-License-Identifier: BSD-3-Clause
"""Checked texts with labels and weights, before they are tokenised."""

import dataclasses
from dataclasses import dataclass

import numpy as np
from sklearn.model_selection import train_test_split
from sklearn.utils.class_weight import compute_class_weight

from ._batching import tokenize
from ._training import LabelledTexts
from ._validation import check_class_weight, check_two_classes


@dataclass(frozen=True)
class LabelledData:
    """Checked texts with their classes as indices.

    Attributes
    ----------
    texts : list of str
    labels : ndarray of int, shape (n_texts,)
    weights : ndarray of float, shape (n_texts,)
        Of the texts, when they are scored.
    class_weights : ndarray of float, shape (n_texts,), or None
        What the weights are multiplied by when they are trained on.
    """

    texts: list
    labels: np.ndarray
    weights: np.ndarray
    class_weights: np.ndarray | None = None

    def take(self, indices):
        """Return a part, in the order of `indices`."""
        arrays = self.labels, self.weights, self.class_weights
        texts = [self.texts[i] for i in indices]
        return LabelledData(texts, *(a if a is None else a[indices] for a in arrays))

    def tokenized(self, tokenizer):
        """Return the same, tokenised, with weights of mean 1; and what is long."""
        tokens, is_long = tokenize(self.texts, tokenizer)
        weights = self.weights
        if self.class_weights is not None:
            weights = weights * self.class_weights
        weights = (weights / weights.mean()).astype(np.float32)
        return LabelledTexts(tokens, self.labels.astype(np.int64), weights), is_long


def weigh(data, classes, class_weight):
    """Add class weights and drop what weighs nothing."""
    check_class_weight(class_weight, classes)
    data = data.take(np.flatnonzero(data.weights))
    present = np.unique(data.labels)
    check_two_classes(classes[present])
    if isinstance(class_weight, dict):
        class_weight = {c: class_weight.get(c, 1.0) for c in classes[present].tolist()}
    weights = compute_class_weight(
        class_weight,
        classes=classes[present],
        y=classes[data.labels],
        sample_weight=data.weights,
    )
    of_class = np.zeros(len(classes))
    of_class[present] = weights
    check_two_classes(classes[np.flatnonzero(of_class)])
    weighed = dataclasses.replace(data, class_weights=of_class[data.labels])
    return weighed.take(np.flatnonzero(weighed.class_weights))


def split(data, fraction, seed):
    """Set a stratified part of the data aside for validation.

    It is scored with the weights of its texts, but not of their classes.
    """
    try:
        train_part, valid_part = train_test_split(
            np.arange(len(data.texts)),
            test_size=fraction,
            stratify=data.labels,
            random_state=seed,
        )
    except ValueError as error:
        raise ValueError(
            f"validation_fraction={fraction} of {len(data.texts)} texts cannot hold "
            "every class in both parts: raise it, pass X_val and y_val, or set "
            f"early_stopping=False ({error})"
        ) from error
    held_out = dataclasses.replace(data.take(valid_part), class_weights=None)
    return data.take(train_part), held_out
