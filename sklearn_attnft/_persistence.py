# SPDX-License-Identifier: BSD-3-Clause
"""What is kept of a fitted estimator: JSON and safetensors bytes, no live object."""

import dataclasses

import torch
from safetensors.torch import load, save

from ._backbone import TextTokenizer, rebuild_encoder
from ._modules import ModuleSpec, TaskSpec, TextModel

SCHEMA = 1


def pack(module, spec, tokenizer):
    """Turn a fitted module and its tokenizer into plain data.

    Returns
    -------
    dict
        Of str, int, dict and bytes; the weights are float32 safetensors, whatever
        device they were on.
    """
    weights = {
        name: tensor.detach().cpu().contiguous()
        for name, tensor in module.state_dict().items()
    }
    return {
        "schema": SCHEMA,
        "spec": dataclasses.asdict(spec),
        "config": module.encoder.config.to_json_string(use_diff=False),
        "tokenizer": {
            "json": tokenizer.json,
            "pad_id": tokenizer.pad_id,
            "mask_id": tokenizer.mask_id,
            "max_length": tokenizer.max_length,
            "long_texts": tokenizer.long_texts,
        },
        "weights": save(weights),
    }


def unpack(packed):
    """Rebuild what :func:`pack` was given, on the CPU, in evaluation mode.

    Returns
    -------
    module : torch.nn.Module
    spec : ModuleSpec
    tokenizer : TextTokenizer

    Raises
    ------
    ValueError
        If a newer version of this package wrote it.
    """
    if packed["schema"] > SCHEMA:
        raise ValueError(
            f"This estimator was stored in schema {packed['schema']} by a newer "
            f"sklearn_attnft; this one reads up to {SCHEMA}: upgrade the package."
        )
    spec = ModuleSpec(**packed["spec"])
    tasks = tuple(TaskSpec(**task) for task in spec.tasks)
    spec = dataclasses.replace(spec, layers=tuple(spec.layers), tasks=tasks)
    weights = load(packed["weights"])
    of_encoder = {
        name.removeprefix("encoder."): weight
        for name, weight in weights.items()
        if name.startswith("encoder.")
    }
    encoder = rebuild_encoder(packed["config"], of_encoder)
    # Without memory and without a draw from torch's generator, which is the user's.
    with torch.device("meta"):
        module = TextModel.build(encoder, spec)
    module.load_state_dict(weights, assign=True)
    return module.eval(), spec, TextTokenizer(**packed["tokenizer"])
