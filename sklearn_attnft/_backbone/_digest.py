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
        flat = weight.detach().cpu().contiguous().reshape(-1)
        digest.update(flat.view(torch.uint8).numpy())
    return digest.hexdigest()
