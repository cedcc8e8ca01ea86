# SPDX-License-Identifier: BSD-3-Clause
"""An encoder as data: its configuration in JSON, and back without any file."""

import inspect
import json
import re

import torch

from ._model import refuse_decoder, without_pooler
from ._process import quiet

# What a config.json may hold beside the architecture: where it came from, labels of a
# head that is not here, and what would make transformers fetch or run something else.
NOT_KEPT = (
    "_name_or_path",
    "name_or_path",
    "id2label",
    "label2id",
    "num_labels",
    "auto_map",
    "quantization_config",
    "transformers_weights",
    "attn_implementation",
    "_attn_implementation",
    "_attn_implementation_internal",
    "experts_implementation",
    "_experts_implementation",
    "_experts_implementation_internal",
    "fusion_config",
)
# No encoder has more; a file that says so is out to exhaust the machine.
MOST_PARTS = 1_000  # layers, heads, experts
MOST = 2**24


def encoder_config(encoder):
    """Return an encoder's configuration as JSON, without a trace of this machine."""
    config = json.loads(encoder.config.to_json_string(use_diff=False))
    config = {name: value for name, value in config.items() if name not in NOT_KEPT}
    config["architectures"] = [type(encoder).__name__]
    return json.dumps(config, indent=2, sort_keys=True)


def encoder_skeleton(config_json):
    """Build an encoder on torch's meta device: shapes without memory.

    Raises
    ------
    ValueError
        If it is no configuration of an encoder, or of one beyond all measure.
    """
    try:
        return without_pooler(_skeleton(_read(config_json)))
    except Exception as error:  # whatever transformers makes of a broken one
        raise ValueError(
            f"config.json describes no encoder ({type(error).__name__}: {error!s:.200})"
        ) from error


def rebuild_encoder(config_json, state_dict):
    """Make an encoder from its configuration and all of its weights.

    Raises
    ------
    ValueError
        If it calls for more memory beside the weights than they take.
    """
    config = _read(config_json)
    skeleton = _skeleton(config)
    beside = {
        name: tensor
        for name, tensor in [*skeleton.named_parameters(), *skeleton.named_buffers()]
        if name not in state_dict
    }
    if _n_bytes(beside) > _n_bytes(state_dict):
        raise ValueError(
            f"config.json describes an encoder that takes {_n_bytes(beside)} bytes "
            f"beside its weights, which are {_n_bytes(state_dict)}: no encoder does."
        )
    # A weight that is not given would be drawn, from a generator that a fit in another
    # thread may be using. So is the pooling layer, where it cannot be left out.
    drawn = {
        name: torch.zeros(weight.shape)
        for name, weight in skeleton.state_dict().items()
        if name not in state_dict
    }
    with quiet():
        model = type(skeleton).from_pretrained(
            None,
            config=config,
            state_dict={**drawn, **state_dict},
            **_no_pooler(type(skeleton)),
        )
    return without_pooler(model)


def _n_bytes(tensors):
    return sum(tensor.nbytes for tensor in tensors.values())


def _read(config_json):
    """Return the configuration, as one of a family that transformers itself has."""
    from transformers import AutoConfig

    config = json.loads(config_json)
    config = {name: value for name, value in config.items() if name not in NOT_KEPT}
    _refuse_giant("", config)
    config = AutoConfig.for_model(**config)
    refuse_decoder(config, "config.json")
    return config


def _refuse_giant(name, value):
    """Refuse numbers, and lists of things, that are more than any encoder has."""
    if isinstance(value, dict):
        for key, each in value.items():
            _refuse_giant(key, each)
        return
    if isinstance(value, list):
        for each in value:
            _refuse_giant(name, each)
        value = len(value)
    most = MOST_PARTS if re.search("layer|head|group|expert|block", name) else MOST
    if type(value) is int and value > most and "theta" not in name:
        raise ValueError(f"{name}={value} is more than any encoder has")


def _skeleton(config):
    from transformers import MODEL_MAPPING

    model = MODEL_MAPPING[type(config)]
    with torch.device("meta"):
        return model(config, **_no_pooler(model))


def _no_pooler(model):
    """Return the argument that leaves the pooling layer out, if a class has it."""
    has_it = "add_pooling_layer" in inspect.signature(model).parameters
    return {"add_pooling_layer": False} if has_it else {}
