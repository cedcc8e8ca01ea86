# SPDX-License-Identifier: BSD-3-Clause
"""What is trained or scored on: texts, labels and weights, and the steps over them."""

from dataclasses import dataclass

import numpy as np
import torch
from torch.utils.data import Dataset

from ._batching import shuffled_batches, sorted_batches
from ._tokens import TokenizedTexts


@dataclass(frozen=True)
class Step:
    """What one optimizer step learns from.

    Attributes
    ----------
    parts : list of (TokenBatch, targets)
        Run one after the other: the memory is that of the largest.
    counts : object
        What the criterion divides by: of all parts together.
    """

    parts: list
    counts: object

    def __len__(self):
        return sum(len(batch) for batch, _ in self.parts)


def micro_batches(indices, size):
    """Cut the indices of a batch into parts of at most `size`; None: one part."""
    size = size or len(indices)
    return [indices[i : i + size] for i in range(0, len(indices), size)]


@dataclass(frozen=True)
class LabeledDataset(Dataset):
    """Texts with their labels, in one label set or several.

    Attributes
    ----------
    tokens : TokenizedTexts
    labels : tuple of ndarray
        For each label set: of int64, shape (n_texts,), indices of classes; or of
        float32, shape (n_texts, n_classes), 1 for each class that a text is of.
    weights : ndarray of float32, shape (n_texts, n_tasks)
        0 where the label is missing. Their mean is at most 1, so that a weighted loss
        keeps its scale.
    draws : ndarray of float, shape (n_texts,)
        How often a text is in an epoch, on average; their mean is 1.
    """

    tokens: TokenizedTexts
    labels: tuple
    weights: np.ndarray
    draws: np.ndarray

    def __len__(self):
        return len(self.draws)

    def training_steps(self, recipe):
        """Yield the Steps of one epoch, in random order."""
        for indices in self.epoch_batches(recipe):
            parts = micro_batches(indices, recipe.micro_batch_size)
            yield Step([self._batch(part) for part in parts], len(indices))

    def epoch_batches(self, recipe):
        """Draw the batches of an epoch, of ``len(self)`` texts, as indices."""
        lengths = self.tokens.longest_windows[: len(self)]
        drawn = np.arange(len(self))
        generator = recipe.generator
        if (self.draws != 1).any():
            # Systematic sampling: every text the integer part of its draws at least.
            order = torch.randperm(len(self), generator=generator).numpy()
            points = drawn + torch.rand((), generator=generator).item()
            where = np.searchsorted(self.draws[order].cumsum(), points, "right")
            drawn = order[where.clip(max=len(self) - 1)]  # rounding, at the last
        batches = shuffled_batches(lengths[drawn], recipe.batch_size, generator)
        return [drawn[batch] for batch in batches]

    def scoring_batches(self, budget):
        """Yield all texts as (TokenBatch, targets) of at most `budget` tokens."""
        for indices in sorted_batches(self.tokens, budget):
            yield self._batch(indices)

    def _batch(self, indices):
        labels = tuple(torch.from_numpy(labels[indices]) for labels in self.labels)
        weights = torch.from_numpy(self.weights[indices])
        return self.tokens.batch(indices), (labels, weights)
