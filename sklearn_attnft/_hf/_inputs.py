# SPDX-License-Identifier: BSD-3-Clause
"""Arguments for the forward pass of an encoder."""

import functools
import inspect


def encoder_inputs(encoder, attention_mask):
    """Return the mask of a batch, and the token types if the encoder uses token types.

    Parameters
    ----------
    encoder : torch.nn.Module
    attention_mask : tensor of int64, shape (n_windows, n_tokens)
        0 for padding, else 1 plus the token type, as in ``TokenBatch``.

    Returns
    -------
    dict of tensor
        Keyword arguments of the encoder.
    """
    inputs = {"attention_mask": attention_mask.clamp(max=1)}
    n_types = getattr(encoder.config, "type_vocab_size", None) or 0
    if n_types > 1 and _takes_types(type(encoder)):
        inputs["token_type_ids"] = (attention_mask - 1).clamp(0, n_types - 1)
    return inputs


@functools.cache
def _takes_types(encoder_class):
    parameters = inspect.signature(encoder_class.forward).parameters
    return "token_type_ids" in parameters
