# SPDX-License-Identifier: BSD-3-Clause
"""The loss of a classifier, over one label set or several."""

import math
import operator

import torch
import torch.nn.functional as F
from torch import nn

# Labelled texts, below which it says little that all are predicted to be of one class.
ENOUGH = 32


class TaskLoss(nn.Module):
    """The loss of one label set: cross entropy; multilabel: binary, mean over classes.

    Labels are smoothed in training only; of several, those that are NaN are left out.
    """

    def __init__(self, *, n_outputs, multilabel=False, label_smoothing=0.0):
        super().__init__()
        self.n_outputs = n_outputs
        self.multilabel = multilabel
        self.label_smoothing = label_smoothing

    def forward(self, logits, labels):
        """Logits (n_texts, n_outputs) and labels to losses, float32, (n_texts,)."""
        smoothing = self.label_smoothing if self.training else 0.0
        if not self.multilabel:
            return F.cross_entropy(
                logits, labels, reduction="none", label_smoothing=smoothing
            )
        known = ~labels.isnan()
        labels = labels.nan_to_num() * (1 - smoothing) + smoothing / 2
        losses = F.binary_cross_entropy_with_logits(logits, labels, reduction="none")
        return (losses * known).sum(dim=1) / known.sum(dim=1).clamp(min=1)

    def right(self, logits, labels):
        """Tell which texts have the most probable label, or all of several right."""
        if self.multilabel:
            return (((logits > 0) == labels) | labels.isnan()).all(dim=1)
        return logits.argmax(dim=1) == labels


class ClassificationLoss(nn.Module):
    """Mean over the batch, and over the label sets, of ``weight * loss``.

    The weights are not divided by their sum in the batch: a batch of light texts, or of
    few labels, is to move the model less.

    Parameters
    ----------
    tasks : dict
        From the name of each label set to its TaskLoss.
    task_weights : list of float or None
        Of the label sets; their scale does not matter. None: learned, as the
        uncertainty of each (Kendall et al. 2018, section 3.2): ``exp(-s) * loss +
        s / 2``, where s starts at 0.
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
        """Yield the loss, logits, labels and weights of each label set."""
        labels, weights = targets
        parts = logits.split([task.n_outputs for task in self.tasks], dim=1)
        return zip(self.tasks, parts, labels, weights.unbind(1), strict=True)

    def forward(self, logits, targets, n_texts=None):
        """Logits (n_texts, sum of n_outputs) and (labels, weights) to a scalar.

        Of a part of a batch of `n_texts`, its part in the batch's loss.
        """
        n_texts = n_texts or len(logits)
        losses = [
            (task(part, labels) * weights).sum() / n_texts
            for task, part, labels, weights in self._parts(logits, targets)
        ]
        if self.log_variances is not None and self.training:
            # Of a label set that the batch says little of, s is moved little.
            shares = targets[1].sum(dim=0) / n_texts
            losses = torch.stack(losses) * torch.exp(-self.log_variances)
            losses = losses + shares * self.log_variances / 2
        if self.training:
            self._count(logits.detach(), targets)
        return sum(map(operator.mul, self.shares, losses))

    def _count(self, logits, targets):
        """Count what is predicted of the labelled texts."""
        for i, parts in enumerate(self._parts(logits, targets)):
            task, part, _, weights = parts
            if not task.multilabel:
                chosen = part.argmax(dim=1)
                known = (weights > 0).float()
                getattr(self, f"predicted_{i}").index_add_(0, chosen, known)

    def reset_metrics(self):
        """Forget what was predicted in the epoch before."""
        for buffer in self.buffers():
            buffer.zero_()

    def collapsed(self):
        """Return from names of label sets to the one class that is predicted of all."""
        found = {}
        for name, counts in zip(self.names, self.buffers(), strict=True):
            if counts.sum() >= ENOUGH and (counts > 0).sum() == 1:
                found[name] = int(counts.argmax())
        return found

    def batch_metrics(self, logits, targets):
        """Weigh the texts that are right, and all, in each label set."""
        sums = []
        for task, part, labels, weights in self._parts(logits, targets):
            right = weights[task.right(part, labels)]
            sums.append((float(right.sum()), float(weights.sum())))
        return dict(zip(self.names, sums, strict=True))

    def epoch_metrics(self, means):
        """Name the measures: "accuracy" is the mean of "accuracy_..." if several."""
        known = [mean for mean in means.values() if not math.isnan(mean)]
        accuracy = sum(known) / len(known) if known else math.nan
        named = {f"accuracy_{name}": mean for name, mean in means.items()}
        return {"accuracy": accuracy, **(named if len(named) > 1 else {})}
