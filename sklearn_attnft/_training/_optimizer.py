# SPDX-License-Identifier: BSD-3-Clause
"""Parameter groups with learning rates, and the learning-rate schedule."""

from .._hf import encoder_blocks
from .._model._pooling import LayerAttention

# Peak learning rate of the scores of layer attention. The scores would hardly change if
# their rate were `head_learning_rate`.
LAYER_ATTENTION_RATE = 5e-2


def parameter_groups(module, config):
    """Group the trainable parameters by learning rate and weight decay.

    A block at depth d below the highest trained block has the learning rate
    ``learning_rate * layer_decay ** d`` (Howard and Ruder 2018, section 3.2). The depth
    of the embeddings is the number of trained blocks. The scores of layer attention
    have a separate learning rate. Vectors (biases and weights of norms) have a weight
    decay of 0.

    Returns
    -------
    list of dict
        Parameter groups for a torch optimizer.
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
    """Return a dict from the id of each parameter to the depth of its block."""
    blocks = trained_blocks(encoder)
    in_blocks = {
        id(p): depth
        for depth, block in enumerate(reversed(blocks))
        for p in block.parameters()
    }
    depths, depth = {}, len(blocks)
    for p in encoder.parameters():
        # Outside of the blocks, matrices are embeddings, and vectors belong to norms.
        # The vectors of a norm have the depth of the parameter before the norm.
        depth = in_blocks.get(id(p), len(blocks) if p.ndim > 1 else depth)
        depths[id(p)] = depth
    return depths


def warmup_then_decay(step, *, n_warmup, n_steps):
    """Return a factor for the learning rate that rises to 1 and then falls to 0."""
    if step < n_warmup:
        return (step + 1) / n_warmup
    return max(0.0, (n_steps - step) / max(1, n_steps - n_warmup))
