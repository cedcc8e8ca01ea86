# SPDX-License-Identifier: BSD-3-Clause
"""Base class of the stages of a fit."""

from dataclasses import dataclass
from typing import ClassVar

from .._training import TrainingConfig
from .._training._protocols import TrainingData


@dataclass(frozen=True)
class Stage:
    """One run of the training loop.

    A subclass defines three methods. ``run(state, context)`` trains and returns the
    FitState for the next stage. The static method ``epochs(plan)`` returns the largest
    number of epochs for a FitPlan, or 0 if the plan does not include the stage. The
    static method ``largest_step(plan)`` returns the largest number of texts or windows
    in a step.

    Attributes
    ----------
    name : str
        Name of the stage in the history and the progress bar.
    config : TrainingConfig
    training : TrainingData
    """

    name: ClassVar[str]
    config: TrainingConfig
    training: TrainingData

    @property
    def n_epochs(self):
        """Largest number of epochs of this stage."""
        return self.config.max_epochs

    @property
    def n_texts(self):
        """Number of texts or windows in an epoch."""
        return len(self.training)

    def after(self, state, rows):
        """Return a copy of `state` whose history also has the rows of this stage."""
        return state.with_rows(self.name, rows)
