# SPDX-License-Identifier: BSD-3-Clause
"""The tasks of a classifier."""

import dataclasses
from dataclasses import dataclass

from .._data._label_texts import add_label_texts
from .._data._labeled import label_weights, weigh
from .._model._losses import LOSSES, TasksLoss
from .._model._spec import TaskSpec
from ._rules import dropout

# Parameters that can differ between tasks.
TASK_PARAMETERS = (
    "pooling",
    "head",
    "dropout",
    "label_smoothing",
    "class_weight",
    "label_texts",
)


@dataclass(frozen=True)
class Tasks:
    """The tasks of a classifier, with their parameters and weights.

    Attributes
    ----------
    targets : tuple of Target
    params : tuple of dict
        For each task, the parameters that replace parameters of the estimator.
    weights : list of float or None
        Argument `task_weights` of :class:`TasksLoss`.
    sampling : float
        Argument `sampling` of ``LabeledTexts.tokenized``.
    validation_task : object
        Name of the task whose accuracy decides on early stopping. If None, the mean
        accuracy over all tasks decides. If there is only one task, this attribute is
        ignored, and the `score` of the task's loss decides.
    label_weights : tuple
        Argument `label_weights` of the loss of each task. Only the losses of tasks with
        several labels per text use it. Empty if none of these tasks has class weights.
    """

    targets: tuple
    params: tuple = ({},)
    weights: list | None = (1.0,)
    sampling: float = 0.0
    validation_task: object = None
    label_weights: tuple = ()

    @property
    def monitor(self):
        """Column of the history that decides on early stopping."""
        if len(self.targets) == 1:
            return f"valid_{LOSSES[self.targets[0].loss].score}"
        if self.validation_task is None:
            return "valid_accuracy"
        return f"valid_accuracy_{self.validation_task}"

    def check_validation(self, validation):
        """Check that the validation texts have labels that early stopping can use."""
        for i, target in enumerate(self.targets):
            is_wanted = self.validation_task in (None, target.name)
            if is_wanted and validation.weights[:, i].any():
                return
        named = "" if self.validation_task is None else f" ({self.validation_task!r})"
        raise ValueError(
            "At least one validation text must have a label of the task that decides "
            f"on early stopping{named}, got no labels of this task. Pass "
            "X_val and y_val with such labels, or raise validation_fraction."
        )

    def merged(self, parameters):
        """Return a dict of the `TASK_PARAMETERS` for each task.

        If a task does not replace a parameter, the value is that of the estimator.

        Parameters
        ----------
        parameters : dict or FitPlan
        """
        if not isinstance(parameters, dict):
            parameters = vars(parameters)
        shared = {name: parameters[name] for name in TASK_PARAMETERS}
        merged = [{**shared, **own} for own in self.params]
        for own in merged:
            if own["dropout"] == "auto":
                own["dropout"] = dropout(parameters["trainable_layers"] == 0)
        return merged

    def specs(self, plan):
        """Return the TaskSpec of each task."""
        return tuple(
            TaskSpec(
                own["pooling"],
                own["head"],
                target.n_outputs,
                own["dropout"],
                target.loss,
            )
            for target, own in zip(self.targets, self.merged(plan), strict=True)
        )

    def with_label_texts(self, training, plan):
        """Return the training texts together with the label texts of each task."""
        label_texts = [own["label_texts"] for own in self.merged(plan)]
        return add_label_texts(training, self.targets, label_texts)

    def weigh(self, data, parameters):
        """Apply the parameter `class_weight` and drop texts of weight 0.

        Parameters
        ----------
        data : LabeledTexts
        parameters : dict

        Returns
        -------
        tasks : Tasks
        data : LabeledTexts
        """
        class_weights = [own["class_weight"] for own in self.merged(parameters)]
        data = weigh(data, self.targets, class_weights)
        by_task = label_weights(data, self.targets, class_weights)
        return dataclasses.replace(self, label_weights=by_task), data

    def losses(self, smoothing):
        """Return a dict from the name of each task to its loss.

        Parameters
        ----------
        smoothing : list of float
            The parameter `label_smoothing` of each task.
        """
        losses = {}
        for i, target in enumerate(self.targets):
            options = {}
            if target.kind != "numbers":
                options["label_smoothing"] = smoothing[i]
            if target.multilabel and self.label_weights:
                options["label_weights"] = self.label_weights[i]
            losses[target.name] = LOSSES[target.loss](
                n_outputs=target.n_outputs, **options
            )
        return losses

    def loss(self, plan):
        """Return the TasksLoss of all tasks."""
        smoothing = [own["label_smoothing"] for own in self.merged(plan)]
        return TasksLoss(self.losses(smoothing), self.weights)
