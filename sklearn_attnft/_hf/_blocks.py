# SPDX-License-Identifier: BSD-3-Clause
"""The blocks of an encoder, whatever its family calls them."""

from torch import nn


def encoder_blocks(encoder):
    """Return the encoder's transformer blocks, lowest first.

    They are the ``ModuleList`` with as many members as the configuration has layers.
    Families that keep the parts of a block in lists of their own (XLM) have several;
    those that share one block between the layers (ALBERT) have none.
    """
    lists = list(block_lists(encoder).values())
    if not lists:
        raise ValueError(
            f"The encoder (model type {encoder.config.model_type!r}) has no list of "
            f"{encoder.config.num_hidden_layers} blocks, so its layers cannot be "
            "frozen or given rates of their own: use trainable_layers='blocks', 'all' "
            "or 0, layer_decay=1 and gradual_unfreezing=False."
        )
    if len(lists) == 1:
        return list(lists[0])
    return [nn.ModuleList(parts) for parts in zip(*lists, strict=True)]


def shares_blocks(encoder):
    """Tell whether the layers of an encoder share their weights, as ALBERT's do."""
    return not block_lists(encoder)


def block_lists(encoder):
    """Return the lists that the encoder's blocks, or their parts, are in, by name."""
    n_layers = encoder.config.num_hidden_layers
    lists = {
        name: module
        for name, module in encoder.named_modules()
        if isinstance(module, nn.ModuleList) and len(module) == n_layers
    }
    return {
        name: blocks
        for name, blocks in lists.items()
        if not any(name.startswith(f"{other}.") for other in lists)
    }
