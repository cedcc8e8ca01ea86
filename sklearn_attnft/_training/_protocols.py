# SPDX-License-Identifier: BSD-3-Clause
"""Protocols of data sets and criteria for the training loop."""

from collections.abc import Iterator
from typing import Any, Protocol

import torch

from .._data._datasets import Step
from .._data._tokens import TokenBatch, TokenizedTexts


class TrainingData(Protocol):
    """Data set for training or for scoring.

    Attributes
    ----------
    tokens : TokenizedTexts
    """

    tokens: TokenizedTexts

    def __len__(self) -> int:
        """Return the number of texts in an epoch."""

    def training_steps(self, config: Any, generator: torch.Generator) -> Iterator[Step]:
        """Yield the steps of one epoch.

        ``config.batch_size`` is the number of texts in a step. A step is split into
        micro-batches of ``config.micro_batch_size`` texts. `generator` is the only
        source of randomness.
        """

    def scoring_batches(self, budget: int) -> Iterator[tuple[TokenBatch, Any]]:
        """Yield all texts as pairs (batch, targets).

        A batch has at most `budget` tokens, except if a single text has more.
        """


class Criterion(Protocol):
    """Loss function that also computes metrics, as a ``torch.nn.Module``."""

    def forward(self, outputs: Any, targets: Any, counts: Any = None) -> torch.Tensor:
        """Return the loss of a micro-batch.

        `counts` is ``Step.counts`` of the whole batch. If `counts` is passed, the
        losses of all micro-batches add up to the loss of the batch.
        """

    def reset_metrics(self) -> None:
        """Delete the metrics of the previous epoch."""

    def batch_metrics(self, outputs: Any, targets: Any) -> dict[str, tuple]:
        """Return a dict from the name of each metric to its (sum, count) in a batch."""

    def epoch_metrics(self, means: dict[str, float]) -> dict[str, float]:
        """Return the metrics to record in the history.

        `means` has the epoch's mean of each metric that :meth:`batch_metrics` returns.

        The history adds the prefix "valid_" to each name.
        """
