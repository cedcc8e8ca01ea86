# SPDX-License-Identifier: BSD-3-Clause
"""What of an encoder is trained, and what stays as it is."""

from numbers import Integral, Real

from .. import _hf


def freeze(module, trainable_layers):
    """Leave trainable what the parameter `trainable_layers` says.

    Its blocks are counted from the highest layer that is attended: nothing is learned
    above it.
    """
    encoder, highest = module.encoder, max(module.layers)
    is_share = isinstance(trainable_layers, Real) and not _is_count(trainable_layers)
    if is_share and _hf.shares_blocks(encoder):
        trainable_layers = "blocks"  # the one there is
    if trainable_layers in ("all", "blocks"):
        if trainable_layers == "all":
            encoder.requires_grad_(True)  # the table, which earlier stages froze
        else:
            freeze_embeddings(encoder)
        if not _hf.shares_blocks(encoder):
            for block in _hf.encoder_blocks(encoder)[highest:]:
                block.requires_grad_(False)
        return
    blocks = _hf.encoder_blocks(encoder)[:highest] if trainable_layers else []
    if is_share:
        trainable_layers = max(1, round(trainable_layers * len(blocks)))
    module.freeze(blocks[max(0, len(blocks) - trainable_layers) :])


def check_trainable(encoder, params):
    """Refuse, before anything is trained, what cannot be had of an encoder's blocks."""
    layers = params.get("trainable_layers", 0)
    is_count = _is_count(layers) and layers > 0
    is_apart = params.get("layer_decay", 1.0) != 1.0 or params.get("gradual_unfreezing")
    if not (is_count or is_apart):
        return
    n_blocks = len(_hf.encoder_blocks(encoder))
    if is_count and layers > n_blocks:
        raise ValueError(
            f"trainable_layers={layers} is more than the {n_blocks} layers of the "
            "encoder: use 'blocks' for all of them."
        )


def _is_count(trainable_layers):
    return isinstance(trainable_layers, Integral)


def freeze_embeddings(encoder):
    """Freeze the table of token embeddings.

    It is half of a small encoder, and its gradient is dense: on short texts it would
    take a good part of a training step.
    """
    encoder.get_input_embeddings().requires_grad_(False)
