# SPDX-License-Identifier: BSD-3-Clause
"""Convert an encoder's configuration to JSON, and rebuild encoders from JSON."""

import copy
import inspect
import json

import torch
from torch.overrides import TorchFunctionMode

from .._utils._imports import paused_garbage_collection
from .._utils._messages import shorten
from .._utils._process import on_cpu
from . import _bert
from ._attention import use_products
from ._limits import kept, refuse_giant
from ._model import refuse_decoder, refuse_family, without_pooler


def encoder_config(encoder):
    """Return an encoder's configuration as JSON, without paths of this machine."""
    config = kept(json.loads(encoder.config.to_json_string(use_diff=False)))
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
    config = kept(json.loads(config_json))
    refuse_giant(config)
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


def _build(config):
    """Return an encoder of transformers without a pooling layer."""
    from transformers import MODEL_MAPPING

    model_class = MODEL_MAPPING[type(config)]
    has_it = "add_pooling_layer" in inspect.signature(model_class).parameters
    model = model_class(config, **({"add_pooling_layer": False} if has_it else {}))
    use_products(model)
    return without_pooler(model)
