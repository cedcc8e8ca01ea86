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
    """

    head_learning_rate: float
    min_epochs: int
    min_steps: int

    def max_epochs(self, n_texts, batch_size):
        """Return the number of epochs on `n_texts` texts."""
        steps_per_epoch = max(1, math.ceil(n_texts / batch_size))
        return max(self.min_epochs, math.ceil(self.min_steps / steps_per_epoch))


FINE_TUNED = Rule(head_learning_rate=2e-3, min_epochs=3, min_steps=40)
# Steps are fast, because the hidden states are computed once.
FROZEN = Rule(head_learning_rate=1e-3, min_epochs=10, min_steps=200)


def rule_for(trainable_layers):
    """Return the Rule for a value of the parameter `trainable_layers`."""
    return FROZEN if trainable_layers == 0 else FINE_TUNED
