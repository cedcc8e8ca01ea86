# SPDX-License-Identifier: BSD-3-Clause
"""A loss for each kind of target, and the combined loss of several tasks.

To add a kind of target, write a class like :class:`CrossEntropy` and add a line to
`LOSSES`. The class must be a torch module with these members:

- ``forward(logits, labels)`` returns the loss of each text, float32, (n_texts,).
- ``batch_metrics(logits, labels, weights)`` returns a dict from names of metrics to
  pairs (sum, count) of a batch.
- ``epoch_metrics(means)`` returns the validation scores, given the mean of each metric.
- ``score`` is the name of the validation score that decides on early stopping.
- ``counts_classes`` is True if the predictions of each class are counted, to detect a
  collapsed model, which predicts one class for all texts.
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

    score = "accuracy"
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

    def batch_metrics(self, logits, labels, weights):
        """Return a dict with the pair (sum, count) of "accuracy".

        The sum is the weight of the correctly classified texts, and the count is the
        weight of all texts.
        """
        right = weights[logits.argmax(dim=1) == labels]
        return {"accuracy": (float(right.sum()), float(weights.sum()))}

    def epoch_metrics(self, means):
        """Return the accuracy."""
        return means


class BinaryCrossEntropy(nn.Module):
    """Mean binary cross entropy of the labels of a text.

    Labels that are NaN are left out. Label smoothing and `label_weights` are used in
    training only.

    Parameters
    ----------
    n_outputs : int
    label_smoothing : float
    label_weights : ndarray of float, shape (2, n_outputs), or None
        Weights of the values 0 and 1 of each label. If None, all weights are 1.
    """

    score = "f1"
    counts_classes = False

    def __init__(self, *, n_outputs, label_smoothing=0.0, label_weights=None):
        super().__init__()
        self.n_outputs = n_outputs
        self.label_smoothing = label_smoothing
        if label_weights is not None:
            label_weights = torch.from_numpy(label_weights).float()
        self.register_buffer("label_weights", label_weights, persistent=False)

    def forward(self, logits, labels):
        """Compute the loss of each text.

        Logits and labels have the shape (n_texts, n_outputs).
        """
        smoothing = self.label_smoothing if self.training else 0.0
        known, is_one = ~labels.isnan(), labels == 1
        labels = labels.nan_to_num() * (1 - smoothing) + smoothing / 2
        losses = F.binary_cross_entropy_with_logits(logits, labels, reduction="none")
        if self.training and self.label_weights is not None:
            absent, present = self.label_weights
            losses = losses * torch.where(is_one, present, absent)
        return (losses * known).sum(dim=1) / known.sum(dim=1).clamp(min=1)

    def batch_metrics(self, logits, labels, weights):
        """Return a dict with the pairs (sum, count) of "accuracy" and "f1".

        For "accuracy", the sum is the weight of the texts for which all known labels
        are predicted correctly, and the count is the weight of all texts. For "f1",
        only labels with the value 1 count. The sum is twice the weight of the labels
        that are both predicted and true. The count is the weight of all predicted
        labels plus the weight of all true labels. So sum / count is the micro-averaged
        F1 score.
        """
        known = ~labels.isnan()
        predicted, true = (logits > 0) & known, labels == 1
        right = weights[((predicted == true) | ~known).all(dim=1)]
        both = (predicted & true).sum(dim=1) * weights
        either = (predicted.sum(dim=1) + true.sum(dim=1)) * weights
        return {
            "accuracy": (float(right.sum()), float(weights.sum())),
            "f1": (2 * float(both.sum()), float(either.sum())),
        }

    def epoch_metrics(self, means):
        """Return accuracy and F1. F1 is 1 if no label is true or predicted."""
        is_empty = math.isnan(means["f1"]) and not math.isnan(means["accuracy"])
        return {**means, "f1": 1.0 if is_empty else means["f1"]}


def _in_float64(*tensors):
    """Copy tensors to the CPU in float64: sums of squares lose digits in float32."""
    return [each.detach().cpu().double() for each in tensors]


class SquaredError(nn.Module):
    """Mean squared error of the numbers of a text."""

    score = "r2"
    counts_classes = False

    def __init__(self, *, n_outputs):
        super().__init__()
        self.n_outputs = n_outputs

    def forward(self, logits, labels):
        """Compute the loss of each text.

        Logits and labels have the shape (n_texts, n_outputs).
        """
        return (logits - labels).square().mean(dim=1)

    def batch_metrics(self, logits, labels, weights):
        """Return weighted sums of squared errors, of labels and of squared labels."""
        logits, labels, weights = _in_float64(logits, labels, weights)
        sums = {
            "error": (logits - labels).square(),
            "number": labels,
            "square": labels.square(),
        }
        count = float(weights.sum())
        return {n: ((weights @ each).numpy(), count) for n, each in sums.items()}

    def epoch_metrics(self, means):
        """Return R², averaged over the outputs as in ``sklearn.metrics.r2_score``."""
        variance = means["square"] - means["number"] ** 2
        # A smaller variance is the rounding error of sums of equal labels.
        smallest = 1e-14 * means["square"]
        scores = [
            float(error == 0) if total <= least else 1 - error / total
            for error, total, least in zip(
                means["error"], variance, smallest, strict=True
            )
        ]
        return {"r2": sum(scores) / len(scores)}


class Huber(SquaredError):
    """Huber loss divided by `DELTA`, averaged over the numbers of a text.

    The loss is quadratic for errors up to `DELTA`. For larger errors, the loss is the
    absolute error minus a constant. So outliers change the model little.
    """

    score = "d2"
    DELTA = 0.3  # in standard deviations

    def forward(self, logits, labels):
        """Compute the loss of each text.

        Logits and labels have the shape (n_texts, n_outputs).
        """
        losses = F.huber_loss(logits, labels, reduction="none", delta=self.DELTA)
        return losses.mean(dim=1) / self.DELTA

    def batch_metrics(self, logits, labels, weights):
        """Return weighted sums of absolute errors and of absolute labels."""
        logits, labels, weights = _in_float64(logits, labels, weights)
        sums = {"error": (logits - labels).abs(), "number": labels.abs()}
        count = float(weights.sum())
        return {n: ((weights @ each).numpy(), count) for n, each in sums.items()}

    def epoch_metrics(self, means):
        """Return D², as ``sklearn.metrics.d2_absolute_error_score``.

        D² compares the model with the median of the training numbers, which is 0 after
        standardization. The function of scikit-learn compares the model with the median
        of the scored numbers instead.
        """
        scores = [
            float(error == 0) if total <= 0 else 1 - error / total
            for error, total in zip(means["error"], means["number"], strict=True)
        ]
        return {"d2": sum(scores) / len(scores)}


LOSSES = {
    "cross_entropy": CrossEntropy,
    "binary_cross_entropy": BinaryCrossEntropy,
    "squared_error": SquaredError,
    "huber": Huber,
}


class TasksLoss(nn.Module):
    """Mean of ``weight * loss`` over the texts of a batch and over the tasks.

    The weights are not divided by their sum in the batch, because a batch with low
    weights or few labels should change the model less than other batches.

    Parameters
    ----------
    tasks : dict
        Maps the name of each task to its loss.
    task_weights : list of float or None
        Weights of the tasks. Only their ratios matter. If None, an uncertainty s is
        learned for each task and determines the weight of the task. s starts at 0. In
        training, ``exp(-s) * loss + s / 2`` replaces the loss of the task (Kendall et
        al. 2018, section 3.2).
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
        """Count how often each class is predicted for the labeled texts of a batch."""
        for i, parts in enumerate(self._parts(logits, targets)):
            task, part, _, weights = parts
            if task.counts_classes:
                chosen = part.argmax(dim=1)
                known = (weights > 0).float()
                getattr(self, f"predicted_{i}").index_add_(0, chosen, known)

    def reset_metrics(self):
        """Clear the counts of the previous epoch."""
        for buffer in self.buffers(recurse=False):
            buffer.zero_()

    def collapsed(self):
        """Return the tasks for which one class was predicted for all texts.

        Returns
        -------
        dict
            Maps the name of each such task to the index of the predicted class.
        """
        found = {}
        buffers = self.buffers(recurse=False)
        for name, counts in zip(self.names, buffers, strict=True):
            if counts.sum() >= ENOUGH and (counts > 0).sum() == 1:
                found[name] = int(counts.argmax())
        return found

    def batch_metrics(self, logits, targets):
        """Return a dict from (task, metric) to the pair (sum, count) of a batch."""
        return {
            (name, metric): pair
            for name, (task, *parts) in zip(
                self.names, self._parts(logits, targets), strict=True
            )
            for metric, pair in task.batch_metrics(*parts).items()
        }

    def epoch_metrics(self, means):
        """Return a dict with the validation scores of all tasks.

        If there is one task, the dict has all scores of this task. With several tasks,
        the dict has the accuracy of each task, and the mean of the accuracies under the
        key "accuracy".
        """
        by_task = {name: {} for name in self.names}
        for (name, metric), mean in means.items():
            by_task[name][metric] = mean
        tasks = zip(self.tasks, by_task.values(), strict=True)
        scores = [task.epoch_metrics(own) for task, own in tasks]
        if len(scores) == 1:
            return scores[0]
        accuracies = [each["accuracy"] for each in scores]
        known = [each for each in accuracies if not math.isnan(each)]
        accuracy = sum(known) / len(known) if known else math.nan
        named = zip(self.names, accuracies, strict=True)
        return {"accuracy": accuracy, **{f"accuracy_{n}": each for n, each in named}}
