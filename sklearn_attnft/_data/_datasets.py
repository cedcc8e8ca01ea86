# SPDX-License-Identifier: BSD-3-Clause
"""The data set of labeled texts, for training and scoring."""

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
        Micro-batches, which run one after the other. Only the largest micro-batch must
        fit into memory.
    counts : object
        Number of texts or number of masked tokens in all micro-batches, or a tuple of
        both. The criterion divides the loss by these numbers.
    """

    parts: list
    counts: object

    def __len__(self):
        return sum(len(batch) for batch, _ in self.parts)


def micro_batches(indices, size):
    """Split the indices of a batch into micro-batches of at most `size` texts.

    If `size` is None, return a single micro-batch.
    """
    size = size or len(indices)
    return [indices[i : i + size] for i in range(0, len(indices), size)]


@dataclass(frozen=True)
class LabeledDataset(Dataset):
    """Tokenized texts with their labels, for one or several tasks.

    Attributes
    ----------
    tokens : TokenizedTexts
    labels : tuple of ndarray
        The labels of each task, as ``Target.encode`` returns them.
    weights : ndarray of float32, shape (n_texts, n_tasks)
        Weight of each label in the loss, or 0 if the label is missing. The mean weight
        of a task is at most 1, so that weights do not change the scale of the loss.
    draws : ndarray of float, shape (n_texts,)
        Expected number of times that each text is sampled in an epoch. The mean over
        all texts is 1.
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
        """Sample ``len(self)`` texts for an epoch and return batches of indices."""
        lengths = self.tokens.longest_windows[: len(self)]
        sampled = np.arange(len(self))
        if (self.draws != 1).any():
            # Systematic sampling: each text occurs at least floor(draws) times.
            order = torch.randperm(len(self), generator=generator).numpy()
            start = torch.rand((), generator=generator, dtype=torch.float32).item()
            points = sampled + start
            where = np.searchsorted(self.draws[order].cumsum(), points, "right")
            # Rounding errors can make the last sum too small.
            sampled = order[where.clip(max=len(self) - 1)]
        batches = shuffled_batches(lengths[sampled], config.batch_size, generator)
        return [sampled[batch] for batch in batches]

    def scoring_batches(self, budget):
        """Yield all texts in batches of at most `budget` tokens.

        Each batch is a pair (TokenBatch, targets).
        """
        for indices in sorted_batches(self.tokens, budget):
            yield self._batch(indices)

    def _batch(self, indices):
        labels = tuple(torch.from_numpy(labels[indices]) for labels in self.labels)
        weights = torch.from_numpy(self.weights[indices])
        return self.tokens.batch(indices), (labels, weights)
