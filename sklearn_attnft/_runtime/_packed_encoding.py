# SPDX-License-Identifier: BSD-3-Clause
"""An encoding that computes predictions with packed weights, where these are faster.

The packed weights are a copy of the weights of an encoder's blocks. When the encoder is
deleted, the copy is deleted too. If the weights of the encoder change, the next
prediction replaces the copy.
"""

import copy
import weakref

import torch
from torch import nn

from .. import _hf
from .._model._encoding import PlainEncoding
from .._utils._process import ForkableLock

_KEPT = weakref.WeakKeyDictionary()  # from an encoder to its _Packed
_LOCK = ForkableLock()


def with_packed_weights(model):
    """Return a model that computes predictions with packed weights.

    The returned model shares all modules and hooks with `model`. If `model` has another
    encoding than PlainEncoding, `model` itself is returned.
    """
    if type(model.encoding) is not PlainEncoding:
        return model
    packed = copy.copy(model)
    packed.encoding = PackedEncoding(model.encoding)
    return packed


class PackedEncoding:
    """An encoding that uses packed weights on a CPU if gradients are not computed.

    Parameters
    ----------
    plain : PlainEncoding
        The encoding for all other calls, and for encoders that cannot be packed.
    """

    def __init__(self, plain):
        self._plain = plain

    def __call__(self, encoder, input_ids, attention_mask, layers):
        """Return the hidden states of `layers`."""
        packed = None
        if input_ids.device.type == "cpu" and not torch.is_grad_enabled():
            is_lower = torch.is_autocast_enabled("cpu")
            dtype = torch.get_autocast_dtype("cpu") if is_lower else torch.float32
            packed = packed_encoder(encoder, dtype)
        if packed is None:
            return self._plain(encoder, input_ids, attention_mask, layers)
        return packed.states(input_ids, attention_mask, layers)


def packed_encoder(encoder, dtype):
    """Return a packed copy of an encoder, or None if packing is slower or impossible.

    The copy is stored and returned again until the encoder changes.
    """
    if not _hf.packing_pays(dtype):
        return None
    kept = _KEPT.get(encoder)
    if kept is None or not kept.is_current(dtype):
        with _LOCK:
            kept = _KEPT.get(encoder)
            if kept is None or not kept.is_current(dtype):
                _KEPT.pop(encoder, None)  # deletes the old copy first
                kept = _KEPT[encoder] = _Packed(encoder, dtype)
    return kept.encoder


class _Packed:
    """A packed copy of an encoder, and the state of the encoder when it was packed.

    This object must not contain a reference to the encoder. Otherwise, the encoder
    would never be deleted.
    """

    def __init__(self, encoder, dtype):
        self._dtype = dtype
        modules = list(encoder.modules())
        self._modules = [_state_of_module(each) for each in modules]
        self._parts = [
            (each._modules, *part) for each in modules for part in each._modules.items()
        ]
        # Embeddings and normalizations are shared with the encoder.
        self._weights = [
            (each._parameters, name, weight, *_state_of_weight(weight))
            for each in modules
            if isinstance(each, nn.Linear)
            for name, weight in each._parameters.items()
            if weight is not None and weight.dtype == torch.float32
            if weight.device.type == "cpu" and not weight.is_inference()
        ]
        with torch.inference_mode(False), torch.no_grad():
            self.encoder = _hf.pack_encoder(encoder, dtype)

    def is_current(self, dtype):
        """Return whether the copy has the type `dtype` and matches the encoder.

        The loops over modules and weights run in each prediction, so they must be fast.
        """
        if dtype != self._dtype:
            return False
        for attributes, is_training, hooks, n_hooks, early, n_early in self._modules:
            if (
                attributes["training"] is not is_training
                or len(hooks) != n_hooks
                or len(early) != n_early
                or ("forward" in attributes and self.encoder is not None)
            ):
                return False
        for parent, name, part in self._parts:
            if parent.get(name) is not part:
                return False
        for parent, name, weight, version, address, sample, then in self._weights:
            if (
                parent.get(name) is not weight
                or weight._version != version
                or weight.data_ptr() != address
                or sample.tolist() != then
            ):
                return False
        return True


def _state_of_module(module):
    """Return a tuple that changes if the forward pass of a module changes."""
    hooks, early = module._forward_hooks, module._forward_pre_hooks
    return vars(module), module.training, hooks, len(hooks), early, len(early)


def _state_of_weight(weight):
    """Return a tuple that changes with a weight, except after some edits of `.data`."""
    sample = sampled(weight).numpy()  # changes with the weight
    return weight._version, weight.data_ptr(), sample, sample.tolist()


def sampled(weight):
    """Return a few numbers of a weight.

    Torch counts the changes of a weight, but not the changes that fused optimizers
    make. Fused optimizers change all numbers of a weight, so also these.
    """
    values = weight.detach().flatten()
    return values[:: max(1, len(values) // 4)]
