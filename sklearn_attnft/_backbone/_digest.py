# SPDX-License-Identifier: BSD-3-Clause
"""Which encoder it is, by content: whatever its name, its files and their format."""

import hashlib

import torch


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


def same_bits(weight, other):
    """Tell whether two tensors are the same to the bit: -0.0 is not 0.0, NaN is NaN."""
    alike = weight.dtype == other.dtype and weight.shape == other.shape
    return alike and torch.equal(_as_bytes(weight), _as_bytes(other))


def _as_bytes(weight):
    """Look at a tensor as bytes (n_bytes,), on the CPU."""
    return weight.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
