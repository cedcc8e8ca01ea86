# SPDX-License-Identifier: BSD-3-Clause
"""Find the transformer blocks of an encoder of any family."""

from torch import nn


def encoder_blocks(encoder):
    """Return the encoder's transformer blocks, lowest first.

    The blocks are the modules in the ``ModuleList`` whose length is the number of
    layers. XLM has several such lists, one for each part of a block. ALBERT does not
    have such a list, because its layers share one block.
    """
    lists = list(block_lists(encoder).values())
    if not lists:
        raise ValueError(
            f"The encoder (model type {encoder.config.model_type!r}) does not have "
            f"a separate block for each of its {encoder.config.num_hidden_layers} "
            "layers. So its layers cannot be frozen one by one, and cannot have "
            "different learning rates. Set trainable_layers='blocks', 'all' or 0, "
            "layer_decay=1 and gradual_unfreezing=False."
        )
    if len(lists) == 1:
        return list(lists[0])
    return [nn.ModuleList(parts) for parts in zip(*lists, strict=True)]


def shares_blocks(encoder):
    """Return whether the layers of an encoder share one block, as in ALBERT."""
    return not block_lists(encoder)


def block_lists(encoder):
    """Return a dict with the ModuleLists of blocks, or of parts of blocks.

    The keys are the names of the lists in the encoder.
    """
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
