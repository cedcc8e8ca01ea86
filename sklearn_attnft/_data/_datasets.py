# SPDX-License-Identifier: BSD-3-Clause
"""Labeled texts as training steps and scoring batches."""

from dataclasses import dataclass

import numpy as np
import torch
from torch.utils.data import Dataset

from ._batching import shuffled_batches, sorted_batches
from ._tokens import TokenizedTexts


@dataclass(frozen=True)
class Step:
    """The data of one optimizer step.

    Attributes
    ----------
    parts : list of (TokenBatch, targets)
        They are run one after the other: memory is needed for the largest.
    counts : object
        The divisor of the criterion, counted over all parts.
    """

    parts: list
    counts: object

    def __len__(self):
        return sum(len(batch) for batch, _ in self.parts)


def micro_batches(indices, size):
    """Split the indices of a batch into parts of at most `size`.

    If `size` is None, there is one part.
    """
    size = size or len(indices)
    return [indices[i : i + size] for i in range(0, len(indices), size)]


@dataclass(frozen=True)
class LabeledDataset(Dataset):
    """Tokenized texts with their labels, in one task or several.

    Attributes
    ----------
    tokens : TokenizedTexts
    labels : tuple of ndarray
        The labels of each task, as ``Target.encode`` returns them.
    weights : ndarray of float32, shape (n_texts, n_tasks)
        0 where the label is missing. Their mean is at most 1, so that the weighted
        loss keeps its scale.
    draws : ndarray of float, shape (n_texts,)
        How often a text is sampled in an epoch, on average. Their mean is 1.
    """

    tokens: TokenizedTexts
    labels: tuple
    weights: np.ndarray
    draws: np.ndarray

    def __len__(self):
        return len(self.draws)

    def training_steps(self, config, generator):
        """Yield the Steps of one epoch, in random order."""
        for indices in self.epoch_batches(config, generator):
            parts = micro_batches(indices, config.micro_batch_size)
            yield Step([self._batch(part) for part in parts], len(indices))

    def epoch_batches(self, config, generator):
        """Sample the batches of an epoch, of ``len(self)`` texts, as indices."""
        lengths = self.tokens.longest_windows[: len(self)]
        sampled = np.arange(len(self))
        if (self.draws != 1).any():
            # Systematic sampling: each text occurs at least floor(draws) times.
            order = torch.randperm(len(self), generator=generator).numpy()
            start = torch.rand((), generator=generator, dtype=torch.float32).item()
            points = sampled + start
            where = np.searchsorted(self.draws[order].cumsum(), points, "right")
            sampled = order[where.clip(max=len(self) - 1)]  # rounding, at the last
        batches = shuffled_batches(lengths[sampled], config.batch_size, generator)
        return [sampled[batch] for batch in batches]

    def scoring_batches(self, budget):
        """Yield all texts as (TokenBatch, targets) of at most `budget` tokens."""
        for indices in sorted_batches(self.tokens, budget):
            yield self._batch(indices)

    def _batch(self, indices):
        labels = tuple(torch.from_numpy(labels[indices]) for labels in self.labels)
        weights = torch.from_numpy(self.weights[indices])
        return self.tokens.batch(indices), (labels, weights)
