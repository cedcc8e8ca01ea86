# SPDX-License-Identifier: BSD-3-Clause
"""Identify an encoder by its content, not by its name or file format."""

import hashlib
import json

import torch

from ._model import ATTENTION_DROPOUTS, HIDDEN_DROPOUTS


def encoder_digest(encoder, tokenizer):
    """Return the sha256 of an encoder's weights and of its tokenizer.

    Parameters
    ----------
    encoder : torch.nn.Module
    tokenizer : TextTokenizer

    Returns
    -------
    str
        64 hexadecimal digits, which do not depend on the device of the weights.
    """
    digest = hashlib.sha256(tokenizer.json.encode())
    for name, weight in sorted(encoder.state_dict().items()):
        digest.update(f"{name} {weight.dtype} {tuple(weight.shape)}".encode())
        digest.update(_as_bytes(weight).numpy())
    return digest.hexdigest()


def encoder_architecture(encoder):
    """Return the part of an encoder's configuration that affects the output.

    Returns
    -------
    dict
        Configuration in JSON types. The name of the encoder, names of classes, dropout
        and the version of transformers are left out, because they do not affect the
        output in evaluation mode.
    """
    config = json.loads(encoder.config.to_json_string(use_diff=False))
    irrelevant = {"_name_or_path", "transformers_version", "id2label", "label2id"}
    irrelevant.update(ATTENTION_DROPOUTS, HIDDEN_DROPOUTS)
    return {name: value for name, value in config.items() if name not in irrelevant}


def same_bits(weight, other):
    """Return whether two tensors have the same type, shape and bits.

    -0.0 differs from 0.0, and a NaN equals a NaN of the same bits.
    """
    same_type = weight.dtype == other.dtype and weight.shape == other.shape
    return same_type and torch.equal(_as_bytes(weight), _as_bytes(other))


def _as_bytes(weight):
    """Return the bytes of a tensor, shape (n_bytes,), on the CPU."""
    return weight.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
