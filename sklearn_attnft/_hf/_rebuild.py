# SPDX-License-Identifier: BSD-3-Clause
"""An encoder as data: its configuration in JSON, and back without any file."""

import inspect
import json
import math
import re

import torch
from torch.overrides import TorchFunctionMode

from .._utils._process import on_cpu
from ._model import refuse_decoder, refuse_family, without_pooler

# What a config.json may hold beside the architecture: where it came from, labels of a
# head that is not here, what would make transformers fetch or run something else, and
# what would make it compute weights that are stored.
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
    "sinusoidal_embeddings",
    "sinusoidal_pos_embds",
)
# No encoder has more; a file that says so is out to exhaust the machine.
MOST_PARTS = 1_000  # layers, heads, experts
MOST_ALL_PARTS = 2**14  # their product, heads left out
MOST = 2**24
MOST_COMPUTED = 2**21  # numbers in a table that a family computes one by one


def encoder_config(encoder):
    """Return an encoder's configuration as JSON, without a trace of this machine."""
    config = json.loads(encoder.config.to_json_string(use_diff=False))
    config = {name: value for name, value in config.items() if name not in NOT_KEPT}
    config["architectures"] = [type(encoder).__name__]
    return json.dumps(config, indent=2, sort_keys=True)


def encoder_skeleton(config_json):
    """Build an encoder whose weights take no memory: they are to be assigned.

    Buffers that are computed (positions, frequencies) are there. Nothing is drawn from
    torch's generator, which is the user's.

    Raises
    ------
    ValueError
        If it is no configuration of an encoder, or of one beyond all measure.
    """
    try:
        with on_cpu(), _WithoutWeights():
            return without_pooler(_build(_read(config_json))).float()
    except Exception as error:  # whatever transformers makes of a broken one
        raise ValueError(
            f"config.json describes no encoder ({type(error).__name__}: {error!s:.200})"
        ) from error


class _WithoutWeights(TorchFunctionMode):
    """What modules leave empty, or draw, is made on the meta device; nothing else is.

    ``torch.device("meta")`` would take the computed buffers away as well.
    """

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if func in (torch.Tensor.uniform_, torch.Tensor.normal_) and args[0].is_meta:
            return args[0]
        if func in (torch.empty, torch.rand, torch.randn, torch.normal):
            kwargs = {**kwargs, "device": "meta"}
        return func(*args, **kwargs)


def _read(config_json):
    """Return the configuration, as one of a family that transformers itself has."""
    from transformers import AutoConfig

    config = json.loads(config_json)
    config = {name: value for name, value in config.items() if name not in NOT_KEPT}
    _refuse_giant("", config)
    _refuse_many_parts(config)
    _refuse_computed(config)
    refuse_family(config["model_type"], "config.json")
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


def _refuse_many_parts(config):
    """Refuse encoders with more parts than any has, such as layers of many groups."""
    counts = [
        value
        for name, value in config.items()
        if type(value) is int and value > 1 and re.search("^(num|n)_.*|_num$", name)
        if re.search("layer|group|expert|block", name)
    ]
    if math.prod(counts) > MOST_ALL_PARTS:
        raise ValueError(f"{math.prod(counts)} parts are more than any encoder has")


def _refuse_computed(config):
    """Refuse tables that are not stored, and larger than any encoder's."""
    names = ("hidden_size", "max_position_embeddings", "tpu_short_seq_length")
    width, positions, short = (config.get(name) or 0 for name in names)
    n = {"roformer": width * positions, "fnet": short**2}.get(config["model_type"], 0)
    if n > MOST_COMPUTED:
        raise ValueError(f"a table of {n} numbers is more than any encoder computes")


def _build(config):
    """Build the encoder, without its pooling layer if the class can leave it out."""
    from transformers import MODEL_MAPPING

    model = MODEL_MAPPING[type(config)]
    has_it = "add_pooling_layer" in inspect.signature(model).parameters
    return model(config, **({"add_pooling_layer": False} if has_it else {}))
