# SPDX-License-Identifier: BSD-3-Clause
"""Base of the stages of a fit."""

from dataclasses import dataclass
from typing import ClassVar

from .._training import TrainingConfig
from .._training._protocols import TrainingData


@dataclass(frozen=True)
class Stage:
    """One run of the training loop.

    A subclass defines ``run(state, context)``, which trains and returns the state for
    the next stage, and two static methods: ``epochs(plan)`` returns the largest number
    of epochs for a FitPlan, 0 if the plan does not have the stage, and
    ``largest_step(plan)`` the largest number of texts or windows in a step.

    Attributes
    ----------
    name : str
        As the history and the progress bar show it.
    config : TrainingConfig
    training : TrainingData
    """

    name: ClassVar[str]
    config: TrainingConfig
    training: TrainingData

    @property
    def n_epochs(self):
        """Largest number of epochs."""
        return self.config.max_epochs

    @property
    def n_texts(self):
        """Number of texts or windows of an epoch."""
        return len(self.training)

    def after(self, state, rows):
        """Return the state with the rows of this stage in its history."""
        return state.with_rows(self.name, rows)
