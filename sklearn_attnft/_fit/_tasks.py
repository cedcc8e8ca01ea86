# SPDX-License-Identifier: BSD-3-Clause
"""The label sets of a classifier, and how they share its training."""

from dataclasses import dataclass

from .._model._losses import ClassificationLoss, TaskLoss
from .._model._spec import TaskSpec


@dataclass(frozen=True)
class Tasks:
    """The label sets of a classifier, and how they share its training.

    Attributes
    ----------
    label_sets : tuple of LabelSet
    params : tuple of dict
        What of the estimator's parameters is another for each of them.
    weights : list of float or None
        As :class:`ClassificationLoss` takes them.
    sampling : float
        See ``LabeledTexts.tokenized``.
    validation_task : object
        Name of the label set that decides on early stopping; None: their mean.
    """

    label_sets: tuple
    params: tuple = ({},)
    weights: list | None = (1.0,)
    sampling: float = 0.0
    validation_task: object = None

    @property
    def monitor(self):
        """What of the history decides on early stopping."""
        if self.validation_task is None or len(self.label_sets) == 1:
            return "valid_accuracy"
        return f"valid_accuracy_{self.validation_task}"

    def check_validation(self, validation):
        """Refuse validation texts that say nothing of what decides."""
        for task, label_set in enumerate(self.label_sets):
            is_wanted = self.validation_task in (None, label_set.name)
            if is_wanted and validation.weights[:, task].any():
                return
        named = "" if self.validation_task is None else f" ({self.validation_task!r})"
        raise ValueError(
            "No validation text has a label of what decides on early stopping"
            f"{named}: pass X_val and y_val with some, or raise validation_fraction."
        )

    def merged(self, params):
        """Return the parameters that hold for each label set."""
        return [{**params, **own} for own in self.params]

    def specs(self, params):
        """Describe what each label set has of the module."""
        return tuple(
            TaskSpec(
                own["pooling"],
                own["head"],
                len(label_set.classes),
                own["dropout"],
                label_set.multilabel,
            )
            for label_set, own in zip(self.label_sets, self.merged(params), strict=True)
        )

    def loss(self, params):
        """Build the loss."""
        losses = {
            label_set.name: TaskLoss(
                n_outputs=len(label_set.classes),
                multilabel=label_set.multilabel,
                label_smoothing=own["label_smoothing"],
            )
            for label_set, own in zip(self.label_sets, self.merged(params), strict=True)
        }
        return ClassificationLoss(losses, self.weights)
