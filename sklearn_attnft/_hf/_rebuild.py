# SPDX-License-Identifier: BSD-3-Clause
"""Convert an encoder's configuration to JSON, and rebuild encoders from JSON."""

import copy
import inspect
import json
import math
import re

import torch
from torch.overrides import TorchFunctionMode

from .._utils._imports import paused_garbage_collection
from .._utils._messages import shorten
from .._utils._process import on_cpu
from . import _bert
from ._attention import use_products
from ._model import refuse_decoder, refuse_family, without_pooler

# Entries of a config.json that are removed: the origin of the encoder, labels of a
# head, entries that make transformers download or run something, and entries that make
# transformers compute weights, which are stored anyway.
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
# Limits that no encoder reaches. Larger numbers in a file could exhaust the memory.
MAX_PARTS = 1_000  # layers, heads, experts
MAX_ALL_PARTS = 2**14  # product of the counts of layers, groups and experts
MAX_NUMBER = 2**24
MAX_COMPUTED = 2**21  # size of a matrix whose numbers a family computes one by one


def encoder_config(encoder):
    """Return an encoder's configuration as JSON, without paths of this machine."""
    config = json.loads(encoder.config.to_json_string(use_diff=False))
    config = {name: value for name, value in config.items() if name not in NOT_KEPT}
    config["architectures"] = [type(encoder).__name__]
    return json.dumps(config, indent=2, sort_keys=True)


@paused_garbage_collection()
def encoder_skeleton(config_json):
    """Return an encoder without values for its weights.

    The weights are on the meta device, and the caller must replace them. Only buffers
    that the encoder computes (positions, frequencies) have values. The state of torch's
    random generator does not change.

    Raises
    ------
    ValueError
        If `config_json` does not describe an encoder, or describes an encoder that is
        too large.
    """
    try:
        with on_cpu(), _WithoutWeights():
            config = _read(config_json)
            if _bert.can_run(config):
                return _bert.BertModel.build(config).float()
            return _build(_as_object(config)).float()
    except Exception as error:  # a damaged file can raise any exception
        raise ValueError(
            "config.json does not describe an encoder ("
            f"{type(error).__name__}: {shorten(error, 200, str)})"
        ) from error


def copy_for_export(encoder):
    """Return a copy of an encoder on the CPU that torch.onnx can convert.

    The copy belongs to transformers, and computes attention by matrix products. So the
    graphs of a fitted and of a loaded estimator are the same.
    """
    if isinstance(encoder, _bert.BertModel):
        weights = copy.deepcopy(encoder.state_dict())
        with on_cpu(), _WithoutWeights():
            encoder = _build(_as_object(vars(encoder.config)))
        encoder.load_state_dict(weights, assign=True)
    encoder = copy.deepcopy(encoder).cpu().float().eval()
    encoder.set_attn_implementation("eager")
    return encoder


RANDOM = {
    torch.Tensor.uniform_,
    torch.Tensor.normal_,
    torch.nn.init.uniform_,
    torch.nn.init.normal_,
}


class _WithoutWeights(TorchFunctionMode):
    """Create empty and random tensors on the meta device, other tensors on the CPU.

    Under ``torch.device("meta")``, computed buffers would lose their values.
    """

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if func in RANDOM and (tensor := (args or tuple(kwargs.values()))[0]).is_meta:
            return tensor
        if func in (torch.empty, torch.rand, torch.randn, torch.normal):
            kwargs = {**kwargs, "device": "meta"}
        return func(*args, **kwargs)


def _read(config_json):
    """Return a configuration as a dict. Raise ValueError for an encoder too large."""
    config = json.loads(config_json)
    config = {name: value for name, value in config.items() if name not in NOT_KEPT}
    _refuse_giant("", config)
    _refuse_many_parts(config)
    _refuse_computed(config)
    return config


def _as_object(config):
    """Check a configuration, and return it as an object of transformers.

    An error is raised if the model family is not part of transformers, or is not a
    family of text encoders.
    """
    from transformers import AutoConfig

    refuse_family(config["model_type"], "config.json")
    config = AutoConfig.for_model(**config)
    refuse_decoder(config, "config.json")
    return config


def _refuse_giant(name, value):
    """Raise ValueError if a number or list in the configuration is too large."""
    if isinstance(value, dict):
        for key, each in value.items():
            _refuse_giant(key, each)
        return
    if isinstance(value, list):
        for each in value:
            _refuse_giant(name, each)
        value = len(value)
    is_count = re.search("layer|head|group|expert|block", name)
    largest = MAX_PARTS if is_count else MAX_NUMBER
    if type(value) is int and value > largest and "theta" not in name:
        raise ValueError(f"{name} must be at most {largest}, got {value}")


def _refuse_many_parts(config):
    """Raise ValueError if layers times groups times experts is too large."""
    counts = [
        value
        for name, value in config.items()
        if type(value) is int and value > 1 and re.search("^(num|n)_.*|_num$", name)
        if re.search("layer|group|expert|block", name)
    ]
    if math.prod(counts) > MAX_ALL_PARTS:
        raise ValueError(
            "the product of the numbers of layers, groups, experts and blocks must be "
            f"at most {MAX_ALL_PARTS}, got {math.prod(counts)}"
        )


def _refuse_computed(config):
    """Raise ValueError if a matrix that the encoder computes would be too large."""
    names = ("hidden_size", "max_position_embeddings", "tpu_short_seq_length")
    width, positions, short = (config.get(name) or 0 for name in names)
    n = {"roformer": width * positions, "fnet": short**2}.get(config["model_type"], 0)
    if n > MAX_COMPUTED:
        raise ValueError(
            "the matrix that the encoder computes from its configuration must have at "
            f"most {MAX_COMPUTED} numbers, got {n}"
        )


def _build(config):
    """Return an encoder of transformers without a pooling layer."""
    from transformers import MODEL_MAPPING

    model_class = MODEL_MAPPING[type(config)]
    has_it = "add_pooling_layer" in inspect.signature(model_class).parameters
    model = model_class(config, **({"add_pooling_layer": False} if has_it else {}))
    use_products(model)
    return without_pooler(model)
