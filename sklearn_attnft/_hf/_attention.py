# SPDX-License-Identifier: BSD-3-Clause
"""Compute the attention of short texts on a CPU by matrix products.

In bfloat16 on a CPU, the backward pass of torch's fused attention takes up to 15 times
as long as the backward pass of batched matrix products. In float32, the fused kernel is
faster.
"""

import sys

import torch
import torch.nn.functional as F

# Maximum number of tokens for matrix products. For longer texts, matrix products are
# hardly faster than the fused kernel. Their memory grows with the square of the length.
LONGEST = 256


class _Name(str):
    """Name of this attention in a configuration of transformers.

    Copies and pickles of the configuration get the name of torch's attention instead,
    because other processes may not have registered this attention.
    """

    def __reduce__(self):
        return str, ("sdpa",)


NAME = _Name("sklearn_attnft_products")


def use_products(encoder):
    """Make an encoder use matrix products for attention where they are faster.

    If the model family of the encoder does not use transformers' attention interface,
    the encoder is not changed.
    """
    from transformers import masking_utils, modeling_utils

    family = sys.modules[type(encoder).__module__]
    # A family with its own interface may use the name "sdpa" for other code.
    interface = modeling_utils.ALL_ATTENTION_FUNCTIONS
    uses_interface = getattr(family, "ALL_ATTENTION_FUNCTIONS", None) is interface
    if uses_interface and encoder.config._attn_implementation == "sdpa":
        interface.register(NAME, attention)
        masks = masking_utils.ALL_MASK_ATTENTION_FUNCTIONS
        masks.register(NAME, masks["sdpa"])
        encoder.config._attn_implementation = NAME


def attention(module, query, key, value, attention_mask, **options):
    """Compute attention, with the signature of transformers' attention interface.

    Parameters
    ----------
    module : torch.nn.Module
        Module that calls this function.
    query, key, value : tensor, shape (n_texts, n_heads, n_tokens, n_features)
    attention_mask : tensor of bool or None, shape (n_texts, 1, n_tokens, n_tokens)
        Whether a token (third axis) attends to another token (fourth axis).
    **options : dict
        Further arguments of transformers.

    Returns
    -------
    output : tensor, shape (n_texts, n_tokens, n_heads, n_features)
    weights : None
    """
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    if not _suits(module, query, key, attention_mask, options):
        return sdpa_attention_forward(
            module, query, key, value, attention_mask, **options
        )
    scale = options.get("scaling")
    scale = query.shape[-1] ** -0.5 if scale is None else scale
    return products(query, key, value, attention_mask, scale), None


def _suits(module, query, key, attention_mask, options):
    """Return whether matrix products are faster and correct for these arguments."""
    is_causal = options.get("is_causal")
    if is_causal is None:
        is_causal = getattr(module, "is_causal", True)
    return (
        query.dtype == torch.bfloat16
        and query.device.type == "cpu"
        and query.shape == key.shape
        and query.shape[2] <= LONGEST
        and not (is_causal and attention_mask is None)
        and not options.get("dropout")
        and all(
            options.get(name) is None for name in ("position_bias", "cache", "softcap")
        )
    )


def self_attention(query, key, value, mask):
    """Compute attention, by matrix products where they are faster.

    Parameters
    ----------
    query, key, value : tensor, shape (n_texts, n_heads, n_tokens, n_features)
    mask : tensor of bool or None, shape (n_texts, 1, n_tokens, n_tokens)

    Returns
    -------
    tensor, shape (n_texts, n_tokens, n_heads, n_features)
    """
    # For one text, the fused kernel is faster in bfloat16 too, but its results differ
    # slightly. The prediction for a text would depend on the other texts of the batch.
    is_lower = query.dtype == torch.bfloat16 and query.device.type == "cpu"
    if is_lower and query.shape[2] <= LONGEST:
        return products(query, key, value, mask, query.shape[-1] ** -0.5)
    output = F.scaled_dot_product_attention(query, key, value, mask)
    return output.transpose(1, 2)


def products(query, key, value, attention_mask, scale):
    """Return softmax(scale * query @ key.T + mask) @ value."""
    n_texts, n_heads = query.shape[:2]
    bias = query.new_zeros((1, 1, 1))
    if attention_mask is not None:
        if attention_mask.stride(2) == 0:  # one mask for all tokens of a text
            attention_mask = attention_mask[:, :, :1]
        if attention_mask.dtype == torch.bool:
            lowest = torch.finfo(query.dtype).min
            attention_mask = bias.masked_fill(~attention_mask, lowest)
        bias = (
            attention_mask.to(query.dtype)
            .expand(n_texts, n_heads, -1, -1)
            .flatten(0, 1)
        )
    query, key, value = (each.flatten(0, 1) for each in (query, key, value))
    weights = torch.baddbmm(bias, query, key.transpose(1, 2), alpha=scale).softmax(-1)
    output = torch.bmm(weights, value).unflatten(0, (n_texts, n_heads))
    return output.transpose(1, 2).contiguous()
