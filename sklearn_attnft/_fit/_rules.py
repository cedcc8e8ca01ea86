# SPDX-License-Identifier: BSD-3-Clause
"""Values of the parameters whose default is "auto".

``benchmarks/defaults.py`` chose the values on splits of training data.
"""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Rule:
    """Parameters of the classifier's training.

    Attributes
    ----------
    head_learning_rate : float
    min_epochs, min_steps : int
        A fit has at least this number of epochs and of steps. Mosbach et al. (2021),
        "On the Stability of Fine-tuning BERT", recommend a minimum number of steps on
        few texts.
    starts_at_regression : bool
        Whether linear heads start at a logistic regression of the context vectors.
    """

    head_learning_rate: float
    min_epochs: int
    min_steps: int
    starts_at_regression: bool

    def max_epochs(self, n_texts, batch_size):
        """Return the number of epochs on `n_texts` texts."""
        steps_per_epoch = max(1, math.ceil(n_texts / batch_size))
        return max(self.min_epochs, math.ceil(self.min_steps / steps_per_epoch))


FINE_TUNED = Rule(
    head_learning_rate=5e-3, min_epochs=3, min_steps=40, starts_at_regression=False
)
# Steps are fast, because the hidden states are computed once. The head starts at a
# logistic regression, and attention leaves this start slowly (LP-FT, Kumar et al. 2022).
FROZEN = Rule(
    head_learning_rate=1e-3, min_epochs=10, min_steps=200, starts_at_regression=True
)


def rule_for(trainable_layers):
    """Return the Rule for a value of the parameter `trainable_layers`."""
    return FROZEN if trainable_layers == 0 else FINE_TUNED
