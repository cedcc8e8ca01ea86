# SPDX-License-Identifier: BSD-3-Clause
"""The loss of each kind of target, and of several tasks together.

A new kind of target needs a class like :class:`CrossEntropy` and a line in `LOSSES`.
Written as a protocol, it is a module with

- ``forward(logits, labels)``: the loss of each text, float32, (n_texts,);
- ``right(logits, labels)``: which texts count as right in the validation score;
- ``counts_classes``: whether one class predicted for all texts is a collapse.
"""

import math
import operator

import torch
import torch.nn.functional as F
from torch import nn

# A fit counts as collapsed if one class is predicted for at least this many texts.
ENOUGH = 32


class CrossEntropy(nn.Module):
    """Cross entropy of one class per text. Labels are smoothed in training only."""

    counts_classes = True

    def __init__(self, *, n_outputs, label_smoothing=0.0):
        super().__init__()
        self.n_outputs = n_outputs
        self.label_smoothing = label_smoothing

    def forward(self, logits, labels):
        """Compute losses from logits (n_texts, n_outputs) and indices (n_texts,)."""
        smoothing = self.label_smoothing if self.training else 0.0
        return F.cross_entropy(
            logits, labels, reduction="none", label_smoothing=smoothing
        )

    def right(self, logits, labels):
        """Return for which texts the most probable class is the label."""
        return logits.argmax(dim=1) == labels


class BinaryCrossEntropy(nn.Module):
    """Mean of the binary cross entropies of the tags; tags that are NaN are left out.

    Labels are smoothed in training only.
    """

    counts_classes = False

    def __init__(self, *, n_outputs, label_smoothing=0.0):
        super().__init__()
        self.n_outputs = n_outputs
        self.label_smoothing = label_smoothing

    def forward(self, logits, labels):
        """Compute losses from logits and labels, both (n_texts, n_outputs)."""
        smoothing = self.label_smoothing if self.training else 0.0
        known = ~labels.isnan()
        labels = labels.nan_to_num() * (1 - smoothing) + smoothing / 2
        losses = F.binary_cross_entropy_with_logits(logits, labels, reduction="none")
        return (losses * known).sum(dim=1) / known.sum(dim=1).clamp(min=1)

    def right(self, logits, labels):
        """Return for which texts all known tags are predicted correctly."""
        return (((logits > 0) == labels) | labels.isnan()).all(dim=1)


LOSSES = {"cross_entropy": CrossEntropy, "binary_cross_entropy": BinaryCrossEntropy}


class TasksLoss(nn.Module):
    """Mean over the batch, and over the tasks, of ``weight * loss``.

    The weights are not divided by their sum in the batch: a batch of low weight, or
    with few labels, should change the model less.

    Parameters
    ----------
    tasks : dict
        From the name of each task to its loss.
    task_weights : list of float or None
        Weights of the tasks; their scale does not matter. If None, they are learned
        as the uncertainty of each task (Kendall et al. 2018, section 3.2): ``exp(-s) *
        loss + s / 2``, where s starts at 0.
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
        """Compute the loss of a batch, or of a part of a batch of `n_texts`.

        Parameters
        ----------
        logits : tensor, shape (n_texts_of_the_part, sum of the tasks' outputs)
        targets : tuple
            Labels and weights, as ``LabeledDataset`` yields them.
        n_texts : int or None
            Number of texts of the whole batch. If None, the part is the batch.

        Returns
        -------
        tensor, scalar
            The losses of the parts of a batch add up to that of the batch.
        """
        n_texts = n_texts or len(logits)
        losses = [
            (task(part, labels) * weights).sum() / n_texts
            for task, part, labels, weights in self._parts(logits, targets)
        ]
        if self.log_variances is not None and self.training:
            # The fewer labels of a task a batch has, the less its s should move.
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
        """Forget the predictions of the epoch before."""
        for buffer in self.buffers():
            buffer.zero_()

    def collapsed(self):
        """Return the tasks for which one class was predicted for all texts.

        Returns
        -------
        dict
            From the name of the task to the index of the class.
        """
        found = {}
        for name, counts in zip(self.names, self.buffers(), strict=True):
            if counts.sum() >= ENOUGH and (counts > 0).sum() == 1:
                found[name] = int(counts.argmax())
        return found

    def batch_metrics(self, logits, targets):
        """Return for each task the weight of the right texts, and of all texts."""
        sums = []
        for task, part, labels, weights in self._parts(logits, targets):
            right = weights[task.right(part, labels)]
            sums.append((float(right.sum()), float(weights.sum())))
        return dict(zip(self.names, sums, strict=True))

    def epoch_metrics(self, means):
        """Name the metrics: "accuracy" is the mean of "accuracy_..." of the tasks."""
        known = [mean for mean in means.values() if not math.isnan(mean)]
        accuracy = sum(known) / len(known) if known else math.nan
        named = {f"accuracy_{name}": mean for name, mean in means.items()}
        return {"accuracy": accuracy, **(named if len(named) > 1 else {})}
