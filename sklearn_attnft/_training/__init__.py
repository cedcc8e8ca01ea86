# SPDX-License-Identifier: BSD-3-Clause
"""The training loop. No other part of the package imports skorch."""

from ._callbacks import random_state, set_random_state
from ._loop import RunContext, TrainingConfig, scoring_budget, train
from ._optimizer import parameter_groups, warmup_then_decay

__all__ = [
    "RunContext",
    "TrainingConfig",
    "parameter_groups",
    "random_state",
    "scoring_budget",
    "set_random_state",
    "train",
    "warmup_then_decay",
]
