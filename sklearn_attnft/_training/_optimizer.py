# SPDX-License-Identifier: BSD-3-Clause
"""Parameter groups with their learning rates, and the schedule."""

from .._hf import encoder_blocks
from .._model._pooling import LayerAttention

# Peak rate of the scores of layer attention: at the head's rate they hardly move.
LAYER_ATTENTION_RATE = 5e-2


def parameter_groups(module, config):
    """Group the trainable parameters by learning rate and weight decay.

    A block at depth d below the highest trained one has the rate ``learning_rate *
    layer_decay ** d``; the embeddings are one step below the lowest block (Howard and
    Ruder 2018, section 3.2). Vectors (biases, norms) have no weight decay.

    The scores of layer attention have a rate of their own.

    Returns
    -------
    list of dict
        For a torch optimizer.
    """
    encoder = module.encoder
    in_encoder = {id(p) for p in encoder.parameters()}
    depths = {} if config.layer_decay == 1.0 else _depths(encoder)
    layer_scores = {
        id(part.scores) for part in module.modules() if isinstance(part, LayerAttention)
    }
    groups = {}
    for parameter in module.parameters():
        if not parameter.requires_grad:
            continue
        rate = config.head_learning_rate
        if id(parameter) in in_encoder:
            depth = depths.get(id(parameter), 0)
            rate = config.learning_rate * config.layer_decay**depth
        elif id(parameter) in layer_scores:
            rate = LAYER_ATTENTION_RATE
        decay = config.weight_decay if parameter.ndim > 1 else 0.0
        groups.setdefault((rate, decay), []).append(parameter)
    return [
        {"params": parameters, "lr": rate, "weight_decay": decay}
        for (rate, decay), parameters in groups.items()
    ]


def trained_blocks(encoder):
    """Return the blocks of an encoder that have trainable parameters, lowest first."""
    return [
        block
        for block in encoder_blocks(encoder)
        if any(p.requires_grad for p in block.parameters())
    ]


def _depths(encoder):
    """Return the depth below the highest trained block, by the id of a parameter."""
    blocks = trained_blocks(encoder)
    in_blocks = {
        id(p): depth
        for depth, block in enumerate(reversed(blocks))
        for p in block.parameters()
    }
    depths, depth = {}, len(blocks)
    for p in encoder.parameters():
        # Outside of the blocks, matrices are embeddings; vectors belong to a norm,
        # which has the depth of what is before it.
        depth = in_blocks.get(id(p), len(blocks) if p.ndim > 1 else depth)
        depths[id(p)] = depth
    return depths


def warmup_then_decay(step, *, n_warmup, n_steps):
    """Return the factor of the learning rate: it rises to 1, then falls to 0."""
    if step < n_warmup:
        return (step + 1) / n_warmup
    return max(0.0, (n_steps - step) / max(1, n_steps - n_warmup))
