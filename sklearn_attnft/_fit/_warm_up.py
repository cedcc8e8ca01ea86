# SPDX-License-Identifier: BSD-3-Clause
"""Training of a new language-model head."""

import dataclasses

from .._model._masked_lm import (
    MaskedCrossEntropy,
)
from .._training import train


def warm_up(model, training, recipe):
    """Train a new head for one epoch, in place, before the encoder moves.

    Parameters
    ----------
    model : MaskedLanguageModel
    training : MaskedDataset
    recipe : Recipe
    """
    encoder = model.encoder
    trainable = [p for p in encoder.parameters() if p.requires_grad]
    encoder.requires_grad_(False)
    recipe = dataclasses.replace(recipe, max_epochs=1)
    train(model, MaskedCrossEntropy(), training, None, recipe)
    for parameter in trainable:
        parameter.requires_grad_(True)
