# SPDX-License-Identifier: BSD-3-Clause
"""What of an encoder is trained, and what stays as it is."""

from numbers import Integral

from . import _backbone


def freeze(module, trainable_layers):
    """Leave trainable what the parameter `trainable_layers` says.

    Its blocks are counted from the highest layer that is attended: nothing is learned
    above it.
    """
    if trainable_layers == "all":
        module.encoder.requires_grad_(True)
        return
    if trainable_layers == "blocks":
        freeze_table(module.encoder)
        return
    is_share = not isinstance(trainable_layers, Integral)
    if is_share and _backbone.shares_blocks(module.encoder):
        freeze_table(module.encoder)  # and train the one block there is
        return
    blocks = _backbone.encoder_blocks(module.encoder) if trainable_layers else []
    if not is_share and trainable_layers > len(blocks):
        raise ValueError(
            f"trainable_layers={trainable_layers} is more than the {len(blocks)} "
            "layers of the encoder: use 'blocks' for all of them."
        )
    below = blocks[: max(module.layers)]
    if is_share:
        trainable_layers = max(1, round(trainable_layers * len(below)))
    module.freeze(below[max(0, len(below) - trainable_layers) :])


def freeze_table(encoder):
    """Freeze the table of token embeddings.

    It is half of a small encoder, and its gradient is dense: on short texts it would
    take a good part of a training step.
    """
    encoder.get_input_embeddings().requires_grad_(False)
