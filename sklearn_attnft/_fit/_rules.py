# SPDX-License-Identifier: BSD-3-Clause
"""Values for parameters that the user has set to "auto".

The values were chosen with ``benchmarks/defaults.py`` on splits of training data.
"""

import math

from .._model._heads import HEADS

# A linear head starts with the weights of a regression, so it needs a lower learning
# rate than a head that starts with random weights.
LINEAR_HEAD_RATE, OTHER_HEAD_RATE = 2e-3, 5e-3
# FROZEN_... are the values for a frozen encoder. A low learning rate and much dropout
# keep attention and head close to the regression. The low rate needs many steps, but
# the steps are fast, because the hidden states are computed only once.
FROZEN_HEAD_RATE = 5e-4
DROPOUT, FROZEN_DROPOUT = 0.1, 0.5
# Minimum numbers of epochs and of steps. Mosbach et al. (2021), "On the Stability of
# Fine-tuning BERT", recommend a minimum number of steps if there are few texts.
MIN_EPOCHS, MIN_STEPS = 3, 40
FROZEN_MIN_EPOCHS, FROZEN_MIN_STEPS = 10, 200
# Penalties of the ridge regression that initializes heads for numbers.
RIDGE, FROZEN_RIDGE = 0.1, 0.01
# LEARNING_RATE is for an encoder with this HIDDEN_SIZE. Larger encoders need lower
# learning rates.
LEARNING_RATE, HIDDEN_SIZE = 2e-4, 384
# The learning rate of contrastive training, relative to that of the classifier.
CONTRASTIVE_RATE = 0.5


def learning_rate(hidden_size):
    """Return the learning rate of an encoder."""
    return LEARNING_RATE * HIDDEN_SIZE / hidden_size


def head_learning_rate(heads, is_frozen):
    """Return the learning rate of token attention and heads.

    Parameters
    ----------
    heads : list of str
        The parameter `head` of each task.
    is_frozen : bool
        Whether the encoder is frozen.
    """
    if not all(HEADS[head].starts_at_regression for head in heads):
        return OTHER_HEAD_RATE
    return FROZEN_HEAD_RATE if is_frozen else LINEAR_HEAD_RATE


def dropout(is_frozen):
    """Return the dropout probability of the head."""
    return FROZEN_DROPOUT if is_frozen else DROPOUT


def start_penalty(loss, n_outputs, is_frozen):
    """Return the penalty of the regression that initializes a linear head.

    The regression minimizes the mean loss plus ``penalty * variance * norm**2 / 2``.
    Here, norm is the norm of the weights, and variance is the total variance of the
    context vectors. If the variance is 1, the penalty equals ``1 / (C * n_texts)`` for
    the parameter C of scikit-learn's LogisticRegression, and ``2 * alpha / n_texts``
    for the parameter alpha of Ridge.

    Many classes need a weak penalty. If the encoder is trained, the penalty is strong,
    because a regression that fits the training texts well would leave nothing for the
    encoder to learn.

    Parameters
    ----------
    loss : str
        A key of ``LOSSES``.
    n_outputs : int
    is_frozen : bool
    """
    if loss in ("squared_error", "huber"):  # these losses are means over the outputs
        return (FROZEN_RIDGE if is_frozen else RIDGE) / n_outputs
    n_classes = n_outputs if loss == "cross_entropy" else 2
    return 1 / ((150 if is_frozen else 1.5) * n_classes**1.5)


def max_epochs(n_texts, batch_size, is_frozen):
    """Return the number of epochs on `n_texts` texts."""
    epochs, steps = MIN_EPOCHS, MIN_STEPS
    if is_frozen:
        epochs, steps = FROZEN_MIN_EPOCHS, FROZEN_MIN_STEPS
    steps_per_epoch = max(1, math.ceil(n_texts / batch_size))
    return max(epochs, math.ceil(steps / steps_per_epoch))
