# SPDX-License-Identifier: BSD-3-Clause
"""Losses for each kind of target, and the loss of several tasks.

To add a kind of target, write a class like :class:`CrossEntropy` and add a line to
`LOSSES`. The class must be a torch module with these members:

- ``forward(logits, labels)`` returns the loss of each text, float32, (n_texts,).
- ``right(logits, labels)`` returns which texts are correct in the validation score.
- ``counts_classes`` is True if a model that predicts one class for all texts has
  collapsed.
"""

import math
import operator

import torch
import torch.nn.functional as F
from torch import nn

# Minimum number of predicted texts for a task to count as collapsed.
ENOUGH = 32


class CrossEntropy(nn.Module):
    """Cross entropy of one class per text. Labels are smoothed in training only."""

    counts_classes = True

    def __init__(self, *, n_outputs, label_smoothing=0.0):
        super().__init__()
        self.n_outputs = n_outputs
        self.label_smoothing = label_smoothing

    def forward(self, logits, labels):
        """Compute the loss of each text.

        The logits have the shape (n_texts, n_outputs). The labels are class indices of
        shape (n_texts,).
        """
        smoothing = self.label_smoothing if self.training else 0.0
        return F.cross_entropy(
            logits, labels, reduction="none", label_smoothing=smoothing
        )

    def right(self, logits, labels):
        """Return a mask of the texts whose most probable class is the label."""
        return logits.argmax(dim=1) == labels


class BinaryCrossEntropy(nn.Module):
    """Mean binary cross entropy of the labels of a text.

    Labels that are NaN are left out. Labels are smoothed in training only.
    """

    counts_classes = False

    def __init__(self, *, n_outputs, label_smoothing=0.0):
        super().__init__()
        self.n_outputs = n_outputs
        self.label_smoothing = label_smoothing

    def forward(self, logits, labels):
        """Compute the loss of each text.

        Logits and labels have the shape (n_texts, n_outputs).
        """
        smoothing = self.label_smoothing if self.training else 0.0
        known = ~labels.isnan()
        labels = labels.nan_to_num() * (1 - smoothing) + smoothing / 2
        losses = F.binary_cross_entropy_with_logits(logits, labels, reduction="none")
        return (losses * known).sum(dim=1) / known.sum(dim=1).clamp(min=1)

    def right(self, logits, labels):
        """Return a mask of the texts whose known labels are all predicted correctly."""
        return (((logits > 0) == labels) | labels.isnan()).all(dim=1)


LOSSES = {"cross_entropy": CrossEntropy, "binary_cross_entropy": BinaryCrossEntropy}


class TasksLoss(nn.Module):
    """Mean over the batch, and over the tasks, of ``weight * loss``.

    The weights are not divided by their sum in the batch. A batch with low weights or
    few labels should change the model less than other batches.

    Parameters
    ----------
    tasks : dict
        The loss of each task by the name of the task.
    task_weights : list of float or None
        Weights of the tasks. Only their ratios matter. If None, the weights are learned
        from the uncertainty s of each task, which starts at 0. The loss of a task is
        then ``exp(-s) * loss + s / 2`` (Kendall et al. 2018, section 3.2).
    """

    def __init__(self, tasks, task_weights):
        super().__init__()
        self.names = list(tasks)
        self.tasks = nn.ModuleList(tasks.values())
        self.log_variances = None
        if task_weights is None:
            self.log_variances = nn.Parameter(torch.zeros(len(self.tasks)).float())
            task_weights = [1.0] * len(self.tasks)
        self.shares = [weight / sum(task_weights) for weight in task_weights]
        for i, task in enumerate(self.tasks):
            self.register_buffer(f"predicted_{i}", torch.zeros(task.n_outputs).float())

    def _parts(self, logits, targets):
        """Yield the loss, logits, labels and weights of each task."""
        labels, weights = targets
        parts = logits.split([task.n_outputs for task in self.tasks], dim=1)
        return zip(self.tasks, parts, labels, weights.unbind(1), strict=True)

    def forward(self, logits, targets, n_texts=None):
        """Compute the loss of a batch, or of a part of a batch.

        Parameters
        ----------
        logits : tensor, shape (n_texts_of_the_part, sum of the tasks' outputs)
        targets : tuple
            Labels and weights, as ``LabeledDataset`` yields them.
        n_texts : int or None
            Number of texts of the whole batch. If None, `logits` contain the whole
            batch.

        Returns
        -------
        tensor, scalar
            The losses of all parts of a batch sum to the loss of the batch.
        """
        n_texts = n_texts or len(logits)
        losses = [
            (task(part, labels) * weights).sum() / n_texts
            for task, part, labels, weights in self._parts(logits, targets)
        ]
        if self.log_variances is not None and self.training:
            # If a batch has few labels of a task, the task's s changes less.
            shares = targets[1].sum(dim=0) / n_texts
            losses = torch.stack(losses) * torch.exp(-self.log_variances)
            losses = losses + shares * self.log_variances / 2
        if self.training:
            self._count(logits.detach(), targets)
        return sum(map(operator.mul, self.shares, losses))

    def _count(self, logits, targets):
        """Count which classes are predicted for the labeled texts."""
        for i, parts in enumerate(self._parts(logits, targets)):
            task, part, _, weights = parts
            if task.counts_classes:
                chosen = part.argmax(dim=1)
                known = (weights > 0).float()
                getattr(self, f"predicted_{i}").index_add_(0, chosen, known)

    def reset_metrics(self):
        """Clear the counts of the previous epoch."""
        for buffer in self.buffers():
            buffer.zero_()

    def collapsed(self):
        """Return the tasks for which one class was predicted for all texts.

        Returns
        -------
        dict
            The index of the predicted class by the name of the task.
        """
        found = {}
        for name, counts in zip(self.names, self.buffers(), strict=True):
            if counts.sum() >= ENOUGH and (counts > 0).sum() == 1:
                found[name] = int(counts.argmax())
        return found

    def batch_metrics(self, logits, targets):
        """Return a tuple (weight of the correct texts, weight of all) per task."""
        sums = []
        for task, part, labels, weights in self._parts(logits, targets):
            right = weights[task.right(part, labels)]
            sums.append((float(right.sum()), float(weights.sum())))
        return dict(zip(self.names, sums, strict=True))

    def epoch_metrics(self, means):
        """Return the accuracy of each task and their mean, "accuracy"."""
        known = [mean for mean in means.values() if not math.isnan(mean)]
        accuracy = sum(known) / len(known) if known else math.nan
        named = {f"accuracy_{name}": mean for name, mean in means.items()}
        return {"accuracy": accuracy, **(named if len(named) > 1 else {})}
