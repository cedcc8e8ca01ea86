# SPDX-License-Identifier: BSD-3-Clause
"""How fast what is trained learns: groups of parameters, and the schedule."""

from .._hf import encoder_blocks
from .._model._pooling import LayerAttention

# Peak rate of the logits of layer attention: at the head's they hardly move in a fit.
LAYER_ATTENTION_RATE = 5e-2


def parameter_groups(module, recipe):
    """Group the trainable parameters by learning rate and weight decay.

    A block at depth d below the highest trained one learns at ``learning_rate *
    layer_decay ** d``, the embeddings one step below the lowest block (Howard and Ruder
    2018, section 3.2); vectors (biases, norms) are not decayed.

    Layer attention has a rate of its own.

    Returns
    -------
    list of dict
        For a torch optimizer.
    """
    encoder = module.encoder
    in_encoder = {id(p) for p in encoder.parameters()}
    depths = {}
    if recipe.layer_decay != 1.0:
        blocks = [
            block
            for block in encoder_blocks(encoder)
            if any(p.requires_grad for p in block.parameters())
        ]
        of_blocks = {
            id(p): depth
            for depth, block in enumerate(reversed(blocks))
            for p in block.parameters()
        }
        depth = len(blocks)
        for p in encoder.parameters():
            # A vector behind the blocks is of their output's norm; a matrix embeds.
            depth = of_blocks.get(id(p), len(blocks) if p.ndim > 1 else depth)
            depths[id(p)] = depth
    layer_logits = {
        id(part.weights)
        for part in module.modules()
        if isinstance(part, LayerAttention)
    }
    groups = {}
    for parameter in module.parameters():
        if not parameter.requires_grad:
            continue
        rate = recipe.head_learning_rate
        if id(parameter) in in_encoder:
            depth = depths.get(id(parameter), 0)
            rate = recipe.learning_rate * recipe.layer_decay**depth
        elif id(parameter) in layer_logits:
            rate = LAYER_ATTENTION_RATE
        decay = recipe.weight_decay if parameter.ndim > 1 else 0.0
        groups.setdefault((rate, decay), []).append(parameter)
    return [
        {"params": parameters, "lr": rate, "weight_decay": decay}
        for (rate, decay), parameters in groups.items()
    ]


def warmup_then_decay(step, *, n_warmup, n_steps):
    """Return the factor on the learning rate: up to 1, then linearly down to 0."""
    if step < n_warmup:
        return (step + 1) / n_warmup
    return max(0.0, (n_steps - step) / max(1, n_steps - n_warmup))
