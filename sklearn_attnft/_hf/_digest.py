# SPDX-License-Identifier: BSD-3-Clause
"""Which encoder it is, by content: whatever its name, its files and their format."""

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
        64 hexadecimal digits; the same on any device.
    """
    digest = hashlib.sha256(tokenizer.json.encode())
    for name, weight in sorted(encoder.state_dict().items()):
        digest.update(f"{name} {weight.dtype} {tuple(weight.shape)}".encode())
        digest.update(_as_bytes(weight).numpy())
    return digest.hexdigest()


def encoder_architecture(encoder):
    """Return what an encoder's weights do not say of how it computes.

    Returns
    -------
    dict
        Its configuration as JSON has it, without its name, who wrote it, and dropout,
        which an encoder in evaluation mode has not.
    """
    config = json.loads(encoder.config.to_json_string(use_diff=False))
    beside = {"_name_or_path", "transformers_version"}
    beside.update(ATTENTION_DROPOUTS, HIDDEN_DROPOUTS)
    return {name: value for name, value in config.items() if name not in beside}


def same_bits(weight, other):
    """Tell whether two tensors are the same to the bit: -0.0 is not 0.0, NaN is NaN."""
    alike = weight.dtype == other.dtype and weight.shape == other.shape
    return alike and torch.equal(_as_bytes(weight), _as_bytes(other))


def _as_bytes(weight):
    """Look at a tensor as bytes (n_bytes,), on the CPU."""
    return weight.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
