# SPDX-License-Identifier: BSD-3-Clause
"""Checked texts with labels and weights, before they are tokenized."""

import dataclasses
import math
from dataclasses import dataclass

import numpy as np

from .._utils._compat import compute_class_weight
from .._utils._messages import describe_type, shorten
from ._datasets import LabeledDataset
from ._labels import check_class_weight, check_two_classes
from ._tokens import tokenize


@dataclass(frozen=True)
class LabeledTexts:
    """Checked texts, with labels that are encoded as numbers.

    Attributes
    ----------
    texts : list of str or of tuple of str
        Texts, or pairs of texts.
    labels : tuple of ndarray
        The labels of each task, as ``Target.encode`` returns them.
    weights : ndarray of float, shape (n_texts, n_tasks)
        Weight of each label when scores are computed. If the label is missing, the
        weight is 0.
    class_weights : ndarray of float, shape (n_texts, n_tasks), or None
        Class weight of each label. In training, the weight of a label is the product of
        `weights` and `class_weights`. If None, all class weights are 1.
    """

    texts: list
    labels: tuple
    weights: np.ndarray
    class_weights: np.ndarray | None = None

    def take(self, indices):
        """Return the texts at `indices`, with their labels and weights."""
        return LabeledTexts(
            [self.texts[i] for i in indices],
            tuple(labels[indices] for labels in self.labels),
            self.weights[indices],
            None if self.class_weights is None else self.class_weights[indices],
        )

    def tokenized(self, tokenizer, *, sampling=0.0):
        """Tokenize the texts and create a data set for training and scoring.

        The weights of each task are scaled, so that only their ratios matter. If all
        weights are multiplied by a constant, the result does not change. For each task,
        the mean of the scaled weights is the weighted fraction of texts that have a
        label of this task. If `sampling` is 0, a text of weight 2 counts like two texts
        of weight 1.

        If `sampling` is above 0, texts with labels of rare tasks are sampled more
        often. The probability of sampling a text is proportional to ``n ** -sampling``,
        where n is the weighted number of labels of its task. If the text has labels of
        several tasks, n is the smallest of these numbers.

        Returns
        -------
        dataset : LabeledDataset
        is_truncated : ndarray of bool, shape (n_texts,)
            Whether each text is truncated.
        """
        tokens, is_truncated = tokenize(self.texts, tokenizer)
        weights = self.weights
        if self.class_weights is not None:
            weights = weights * self.class_weights
        n_labels = self.weights.sum(axis=0)
        rarest = np.where(weights > 0, n_labels, np.inf).min(axis=1)
        draws = (rarest / rarest.min()) ** -sampling
        fractions = n_labels / self.weights.max(axis=1).sum()
        means = weights.mean(axis=0)
        means[means == 0] = 1.0  # validation texts may have no label of a task
        weights = (weights * (fractions / means)).astype(np.float32)
        dataset = LabeledDataset(tokens, self.labels, weights, draws / draws.mean())
        return dataset, is_truncated


def joined(parts):
    """Concatenate a list of LabeledTexts."""
    if len(parts) == 1:
        return parts[0]
    columns = zip(*(part.labels for part in parts), strict=True)
    class_weights = None
    if parts[0].class_weights is not None:
        class_weights = np.concatenate([part.class_weights for part in parts])
    return LabeledTexts(
        [text for part in parts for text in part.texts],
        tuple(np.concatenate(labels) for labels in columns),
        np.concatenate([part.weights for part in parts]),
        class_weights,
    )


def weigh(data, targets, class_weights):
    """Add class weights, and drop texts whose weight is 0 in all tasks.

    Parameters
    ----------
    data : LabeledTexts
    targets : tuple of Target
    class_weights : sequence
        The parameter `class_weight` of each task.

    Returns
    -------
    LabeledTexts
    """
    weights = np.ones(data.weights.shape)
    for task, (target, class_weight) in enumerate(
        zip(targets, class_weights, strict=True)
    ):
        rows = np.flatnonzero(data.weights[:, task])
        labels = data.labels[task][rows]
        given = data.weights[rows, task]
        weights[rows, task] = _class_weights(target, class_weight, labels, given)
    data = dataclasses.replace(data, class_weights=weights)
    return data.take(np.flatnonzero((data.weights * weights).any(axis=1)))


def _class_weights(target, class_weight, labels, weights):
    """Return the class weight of each labeled text."""
    classes = target.classes
    if target.multilabel:  # label_weights returns these class weights
        if not len(labels):
            check_two_classes(labels, target.name, weighed=True)
        return np.ones(len(labels))
    if isinstance(class_weight, (list, tuple)):
        raise ValueError(
            "If each text has one class, `class_weight` must be 'balanced', a dict or "
            f"None, got {describe_type(class_weight)}. Pass one dict that maps classes "
            "to weights."
        )
    by_class, present = np.zeros(len(classes)), np.unique(labels)
    check_two_classes(classes[present], target.name, weighed=True)
    if isinstance(class_weight, dict):
        # compute_class_weight would convert labels such as "1" to numbers.
        weight_of = check_class_weight(class_weight, classes, target.name)
        by_class[present] = weight_of[present]
    else:
        by_class[present] = compute_class_weight(
            class_weight, classes=present, y=labels, sample_weight=weights
        )
    used = classes[np.flatnonzero(by_class)]
    check_two_classes(used, target.name, weighed=True)
    return by_class[labels]


def label_weights(data, targets, class_weights):
    """Return the class weights of tasks in which a text can have several labels.

    Parameters
    ----------
    data : LabeledTexts
        Training texts without texts of weight 0.
    targets : tuple of Target
    class_weights : sequence
        The parameter `class_weight` of each task.

    Returns
    -------
    tuple of (ndarray of float, shape (2, n_classes), or None)
        For each task, the weights of the values 0 and 1 of each class. The entry is
        None if a text has only one class in the task, or if the `class_weight` of the
        task is None. The weights of a task are scaled so that their mean over all known
        values of the training texts is 1. If all entries would be None, the tuple is
        empty.
    """
    found = []
    for task, (target, given) in enumerate(zip(targets, class_weights, strict=True)):
        weights = None
        if target.multilabel and given is not None:
            labels = data.labels[task]
            totals = np.stack(
                [data.weights[:, task] @ (labels == value) for value in (0, 1)]
            )
            weights = _of_each_label(given, totals, target.name)
            mean = (totals * weights).sum() / totals.sum()
            if not mean:
                raise ValueError(
                    "`class_weight` must have a weight above 0 for at least one value "
                    f"(0 or 1) in `y`, got {shorten(given, 200)}. Increase one of the "
                    "weights."
                )
            weights = weights / mean
        found.append(weights)
    return tuple(found) if any(each is not None for each in found) else ()


def _of_each_label(class_weight, totals, task):
    """Return the weights of the values 0 and 1 of each label.

    Parameters
    ----------
    class_weight : "balanced" or list of dict
    totals : ndarray of float, shape (2, n_labels)
        For each label, the total weight of the texts with 0 and of the texts with 1.
    task : object
        Name of the task, or None.
    """
    if isinstance(class_weight, str):
        n_values = (totals > 0).sum(axis=0)
        return totals.sum(axis=0) / (n_values * np.where(totals > 0, totals, 1.0))
    n_labels = totals.shape[1]
    is_list = isinstance(class_weight, (list, tuple))
    if not is_list or [isinstance(e, dict) for e in class_weight] != [True] * n_labels:
        cure = "Pass [{0: 1.0, 1: 2.0}, ...]."
        if task is not None:
            cure = f"Set task_params={{{task!r}: {{'class_weight': ...}}}}."
        raise ValueError(
            "If a text can have several labels, `class_weight` must be 'balanced', "
            f"None or a list of {n_labels} dicts, one for each label, got "
            f"{shorten(class_weight, 200)}. A dict maps the values 0 and 1 to weights. "
            f"{cure}"
        )
    values = np.arange(2)
    return np.stack([check_class_weight(e, values, task) for e in class_weight]).T


def split(data, targets, fraction, seed):
    """Split the texts into training and validation texts.

    For a single task with one class per text, the split is stratified. Otherwise, the
    split is random. In classification, the training texts contain every class. The
    validation texts have sample weights but no class weights.

    Returns
    -------
    training, validation : LabeledTexts
    """
    rows = np.arange(len(data.texts))
    try:
        kind = targets[0].kind
        if len(targets) == 1 and kind in ("labels", "numbers"):
            from sklearn.model_selection import train_test_split  # slow to import

            strata = data.labels[0] if kind == "labels" else None
            rows = train_test_split(
                rows, test_size=fraction, stratify=strata, random_state=seed
            )
        else:
            rows = _split_several(data, targets, fraction, seed)
    except ValueError as error:
        raise ValueError(
            f"validation_fraction={fraction} of {len(data.texts)} texts "
            f"{_advise_on_split(data, targets, fraction)}, pass X_val and y_val, or "
            f"set early_stopping=False. The split failed with this message: {error}"
        ) from error
    held_out = dataclasses.replace(data.take(rows[1]), class_weights=None)
    return data.take(rows[0]), held_out


def _advise_on_split(data, targets, fraction):
    """Return what is wrong with a fraction, and the beginning of the advice."""
    n_texts, cure = len(data.texts), "Set validation_fraction higher"
    if targets[0].kind == "numbers":
        cure = "Set validation_fraction lower" if n_texts > 1 else "Pass more texts"
        return f"does not leave texts for both training and validation. {cure}"
    if len(targets) > 1 or targets[0].multilabel:
        cure = "Pass more texts of each class"
    elif 1 in (counts := np.bincount(data.labels[0])):
        label = targets[0].classes.tolist()[counts.tolist().index(1)]
        cure = f"Pass at least two texts of the class {label!r}"
    elif n_texts - math.ceil(fraction * n_texts) < np.count_nonzero(counts):
        cure = "Set validation_fraction lower"
    return (
        "does not leave texts of every class for both training and validation. " + cure
    )


def _split_several(data, targets, fraction, seed):
    """Sample validation texts at random, but keep each class in the training texts."""
    members = []
    for task, (target, labels) in enumerate(zip(targets, data.labels, strict=True)):
        if not target.multilabel:
            labels = labels[:, None] == np.arange(len(target.classes))
        members.append((labels == 1) & (data.weights[:, [task]] > 0))
    members = np.hstack(members)  # (n_texts, classes of all tasks)
    left = members.sum(axis=0)
    n_wanted = math.ceil(fraction * len(members))
    valid_part = []
    for row in np.random.RandomState(seed % 2**32).permutation(len(members)):
        if len(valid_part) < n_wanted and (left[members[row]] > 1).all():
            valid_part.append(row)
            left = left - members[row]
    if not valid_part:
        raise ValueError("each text is the only text of one of its classes")
    return np.setdiff1d(np.arange(len(members)), valid_part), np.array(valid_part)
