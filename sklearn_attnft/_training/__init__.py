# SPDX-License-Identifier: BSD-3-Clause
"""The one door to skorch: the training loop, and the texts that it runs over."""

from ._callbacks import random_state, set_random_state
from ._loop import Recipe, scoring_budget, train
from ._rates import parameter_groups, warmup_then_decay
from ._rehearsal import rehearse_fit
from ._texts import LabelledTexts, Step, micro_batches

__all__ = [
    "LabelledTexts",
    "Recipe",
    "Step",
    "micro_batches",
    "parameter_groups",
    "random_state",
    "rehearse_fit",
    "scoring_budget",
    "set_random_state",
    "train",
    "warmup_then_decay",
]
