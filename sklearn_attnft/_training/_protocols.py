# SPDX-License-Identifier: BSD-3-Clause
"""Protocols of the data sets and criteria of the training loop."""

from collections.abc import Iterator
from typing import Any, Protocol

import torch

from .._data._datasets import Step
from .._data._tokens import TokenBatch, TokenizedTexts


class TrainingData(Protocol):
    """Texts to train on or to score.

    Attributes
    ----------
    tokens : TokenizedTexts
    """

    tokens: TokenizedTexts

    def __len__(self) -> int:
        """Return the number of texts of an epoch."""

    def training_steps(self, config: Any, generator: torch.Generator) -> Iterator[Step]:
        """Yield the steps of one epoch.

        ``config.batch_size`` and ``config.micro_batch_size`` say how large they are.
        All randomness comes from `generator`.
        """

    def scoring_batches(self, budget: int) -> Iterator[tuple[TokenBatch, Any]]:
        """Yield all texts once, with their targets, in batches of `budget` tokens."""


class Criterion(Protocol):
    """A ``torch.nn.Module`` from a module's outputs and targets to the loss."""

    def forward(self, outputs: Any, targets: Any, counts: Any = None) -> torch.Tensor:
        """Return the loss of a part of a batch.

        `counts` are ``Step.counts`` of the whole batch, so that the losses of the parts
        add up to the loss of the batch.
        """

    def reset_metrics(self) -> None:
        """Forget what was counted in the epoch before."""

    def batch_metrics(self, outputs: Any, targets: Any) -> dict[str, tuple]:
        """Return sums and counts by name; their quotients are means over the texts."""

    def epoch_metrics(self, means: dict[str, float]) -> dict[str, float]:
        """Return what is recorded of the means; the history has "valid_" before it."""
