# SPDX-License-Identifier: BSD-3-Clause
"""Select which parameters of an encoder a stage trains."""

from numbers import Integral, Real

from .. import _hf


def freeze(module, trainable_layers):
    """Freeze all blocks except those that the parameter `trainable_layers` selects.

    A number or a fraction selects blocks from the highest layer in ``module.layers``
    down. Blocks above this layer are frozen, because they do not influence the loss.
    """
    encoder, highest = module.encoder, max(module.layers)
    is_fraction = isinstance(trainable_layers, Real) and not _is_count(trainable_layers)
    if is_fraction and _hf.shares_blocks(encoder):
        trainable_layers = "blocks"  # all layers share the weights of one block
    if trainable_layers in ("all", "blocks"):
        if trainable_layers == "all":
            encoder.requires_grad_(True)  # earlier stages may have frozen embeddings
        else:
            freeze_embeddings(encoder)
        if not _hf.shares_blocks(encoder):
            for block in _hf.encoder_blocks(encoder)[highest:]:
                block.requires_grad_(False)
        return
    blocks = _hf.encoder_blocks(encoder)[:highest] if trainable_layers else []
    if is_fraction:
        trainable_layers = max(1, round(trainable_layers * len(blocks)))
    module.freeze(blocks[max(0, len(blocks) - trainable_layers) :])


def check_trainable(encoder, plan):
    """Check that the parameters of the plan match the blocks of the encoder."""
    is_count = _is_count(plan.trainable_layers) and plan.trainable_layers > 0
    needs_blocks = plan.layer_decay != 1.0 or plan.gradual_unfreezing
    if not (is_count or needs_blocks):
        return
    n_blocks = len(_hf.encoder_blocks(encoder))
    if is_count and plan.trainable_layers > n_blocks:
        raise ValueError(
            f"`trainable_layers` must be at most {n_blocks}, the number of layers of "
            f"the encoder, got {plan.trainable_layers}. Use 'blocks' for all layers."
        )


def _is_count(trainable_layers):
    return isinstance(trainable_layers, Integral)


def freeze_embeddings(encoder):
    """Freeze the token embeddings.

    The token embeddings are half of the weights of a small encoder, and their gradient
    is dense. If the texts are short, updating the embeddings would take a large part of
    a training step.
    """
    encoder.get_input_embeddings().requires_grad_(False)
