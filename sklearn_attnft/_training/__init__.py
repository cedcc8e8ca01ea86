# SPDX-License-Identifier: BSD-3-Clause
"""The one door to skorch: the training loop."""

from ._callbacks import random_state, set_random_state
from ._loop import Recipe, scoring_budget, train
from ._optimizer import parameter_groups, warmup_then_decay

__all__ = [
    "Recipe",
    "parameter_groups",
    "random_state",
    "scoring_budget",
    "set_random_state",
    "train",
    "warmup_then_decay",
]
