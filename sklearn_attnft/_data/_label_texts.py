# SPDX-License-Identifier: BSD-3-Clause
"""Add texts that describe classes to the labeled texts."""

import dataclasses
from collections.abc import Mapping

import numpy as np

from .._utils._messages import describe_type, shorten
from .._utils._warnings import warn
from ._labeled import joined
from ._labels import plain_label
from ._validation import check_texts


def add_label_texts(data, targets, label_texts):
    """Return `data` with the label texts of all tasks added at the end.

    A label text is labeled with its class, and has no label of other tasks. Its weight
    is the mean weight of the texts with a label of the task. A class is skipped if it
    has no label text, or if no text of `data` with a positive weight has the class.

    Parameters
    ----------
    data : LabeledTexts
    targets : tuple of Target
    label_texts : sequence
        The parameter `label_texts` of each task.

    Returns
    -------
    LabeledTexts
    """
    parts = [data]
    for task, (target, given) in enumerate(zip(targets, label_texts, strict=True)):
        if given is None:
            continue
        if isinstance(data.texts[0], tuple):
            raise ValueError(
                "`label_texts` must be None if each sample is a pair of texts, got "
                f"{shorten(given, 80)}. A text that describes a class is not a pair. "
                "Set label_texts=None."
            )
        for index, texts in enumerate(texts_of_classes(given, target)):
            part = _of_class(data, task, index, texts)
            parts += [] if part is None else [part]
    return joined(parts)


def _of_class(data, task, index, texts):
    """Return the label texts of one class as LabeledTexts, or None to skip the class.

    `index` is the index of the class, and `texts` are its label texts.
    """
    labels, weights = data.labels[task], data.weights[:, task]
    is_member = labels == index if labels.ndim == 1 else labels[:, index] == 1
    members = np.flatnonzero(is_member & (weights > 0))
    if not texts or not len(members):
        return None
    # Copy a text of the class, and remove its other labels.
    like = data.take(np.repeat(members[:1], len(texts)))
    labels = list(like.labels)
    if labels[task].ndim == 2:
        labels[task] = np.full_like(labels[task], np.nan)
        labels[task][:, index] = 1
    like.weights[:] = 0
    like.weights[:, task] = weights[weights > 0].mean()
    return dataclasses.replace(like, texts=texts, labels=tuple(labels))


def texts_of_classes(label_texts, target):
    """Check `label_texts` and return a list of texts for each class of `target`."""
    classes = target.classes.tolist()
    task = "" if target.name is None else f" of task {target.name!r}"
    if isinstance(label_texts, Mapping):
        given = {plain_label(label): each for label, each in label_texts.items()}
    else:
        if not all(isinstance(label, str) for label in classes):
            raise ValueError(
                f"`label_texts` must be a dict if the labels{task} are not str, got "
                f"{label_texts!r}. Pass a dict from each class to a text, such as "
                f"{{{classes[0]!r}: 'a text that describes this class'}}."
            )
        given = dict(zip(classes, classes, strict=True))
    if given and not set(given) & set(classes):
        keys = (
            f"{task or ' of y'} as keys, got {shorten(list(given), 200)}. Use the "
            f"classes {shorten(classes, 200)} as keys."
        )
        if not {type(key) for key in given} & {type(label) for label in classes}:
            raise ValueError(f"`label_texts` must have classes{keys}")
        # The keys may be classes that the texts of a fold lack.
        warn(f"`label_texts` is not used, because it does not have classes{keys}")
    return [_as_list(given.get(label), label) for label in classes]


def _as_list(texts, label):
    """Return the texts of one class as a list of str."""
    if texts is None:
        return []
    if isinstance(texts, str):
        return [texts]
    if isinstance(texts, Mapping):
        raise ValueError(
            "`label_texts` must have a text or a list of texts for each class, got "
            f"{describe_type(texts)} for the class {label!r}. Pass a str or a list of "
            "str."
        )
    return check_texts(texts, f"label_texts[{label!r}]")
