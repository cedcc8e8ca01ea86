# SPDX-License-Identifier: BSD-3-Clause
"""Transformer blocks with packed weights, for predictions on a CPU.

Autocast would convert the weights to bfloat16 in each call. This module converts the
weights once and stores them in the layout that oneDNN needs. As under autocast, hidden
states between the parts of a block stay in float32.
"""

import functools
import os
import platform
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

from ._attention import self_attention
from ._bert import BertModel
from ._blocks import block_lists
from ._partial import CutEncoder

# Name of the environment variable that turns packed weights off.
SWITCH = "SKLEARN_ATTNFT_PACKED_WEIGHTS"
# Classes of blocks that have the same parts and operations as a block of BERT.
FAMILIES = (
    "BertLayer",
    "CamembertLayer",
    "Data2VecTextLayer",
    "ElectraLayer",
    "ErnieLayer",
    "RobertaLayer",
    "XLMRobertaLayer",
)


def pack_encoder(encoder, dtype):
    """Return an encoder with packed weights, or None if its blocks cannot be packed.

    Parameters
    ----------
    encoder : torch.nn.Module
        Encoder on the CPU. The result shares the embeddings and normalizations of this
        encoder.
    dtype : torch.dtype
        Data type of the matrix products.

    Returns
    -------
    CutEncoder or None
    """
    lists = block_lists(encoder)
    if len(lists) != 1:
        return None
    ((name, blocks),) = lists.items()
    is_patched = any("forward" in vars(module) for module in encoder.modules())
    if is_patched or not all(map(_is_known, blocks)):
        return None
    with torch.no_grad():
        n_heads = encoder.config.num_attention_heads
        packed = [_PackedBlock(block, n_heads, dtype) for block in blocks]
    if not any(map(_has_hooks, encoder.modules())):
        # The code of transformers around the blocks takes longer than ours.
        encoder = BertModel.sharing(encoder) or encoder
    return CutEncoder(encoder, name, len(packed), packed)


def packing_pays(dtype):
    """Return whether products with packed weights are faster on this processor.

    The answer depends on the processor and on settings of torch, but not on measured
    times. So predictions are reproducible. The environment variable
    ``SKLEARN_ATTNFT_PACKED_WEIGHTS=0`` turns packed weights off.
    """
    is_off = os.environ.get(SWITCH) == "0" or not torch.backends.mkldnn.enabled
    if is_off or dtype not in _packed_types():
        return False
    if dtype != torch.float32:
        return True
    # The user may have enabled products in a lower precision.
    return torch.backends.mkldnn.matmul.fp32_precision in ("none", "ieee")


@functools.cache
def _packed_types():
    """Return the data types whose packed products are faster on this processor.

    If the processor supports bfloat16, packed products of bfloat16 are faster. In
    float32, packed products are faster on AMD's processors. The reason is that oneDNN
    computes packed products, and MKL computes all other products. On AMD's processors,
    oneDNN uses AVX512, but MKL does not.
    """
    operators = ("_linear_pointwise", "_reorder_linear_weight")  # private in torch
    if not torch.backends.mkldnn.is_available() or not all(
        hasattr(torch.ops.mkldnn, each) for each in operators
    ):
        return set()
    abilities, types = torch.cpu.get_capabilities(), set()
    if abilities.get("avx512_bf16") or abilities.get("amx_bf16"):
        types.add(torch.bfloat16)
    if torch.backends.mkl.is_available() and abilities.get("avx512_f") and _is_amd():
        types.add(torch.float32)
    return types


def _is_amd():
    """Return whether AMD made the processor."""
    try:
        return "AuthenticAMD" in Path("/proc/cpuinfo").read_text()
    except OSError:  # not on Linux
        return "AuthenticAMD" in platform.processor()


def _is_known(block):
    """Return whether :class:`_PackedBlock` can replace a block."""
    if type(block).__name__ not in FAMILIES or block.is_decoder or block.training:
        return False
    parts = [part for part in block.modules() if not list(part.children())]
    own = {nn.Linear, nn.LayerNorm, nn.Dropout}
    act = block.intermediate.intermediate_act_fn
    return (
        type(block).__module__.startswith(("transformers.", __package__))
        and block.chunk_size_feed_forward == 0
        and all(type(part) in own or part is act for part in parts)
        and all(weight.dtype == torch.float32 for weight in block.parameters())
        and not any(weight.is_inference() for weight in block.parameters())
        and not any(map(_has_hooks, block.modules()))
    )


def _has_hooks(module):
    """Return whether a user has registered hooks for the forward pass of a module."""
    hooks = (*module._forward_hooks.values(), *module._forward_pre_hooks.values())
    # Hooks of transformers record hidden states. They are not needed, because a
    # CutEncoder records hidden states itself.
    return any(not hook.__module__.startswith("transformers.") for hook in hooks)


def _is_exact_gelu(act):
    """Return whether an activation is GELU, computed without tanh."""
    if type(act) is nn.GELU:
        return act.approximate == "none"
    return type(act).__name__ == "GELUActivation" and act.act is F.gelu


class _PackedLinear:
    """Linear layers of the same input, as one product with packed weights."""

    def __init__(self, linears, dtype, fused="none"):
        weight = torch.cat([linear.weight for linear in linears]).to(dtype)
        self._weight = torch.ops.mkldnn._reorder_linear_weight(weight)
        self._bias = torch.cat([linear.bias for linear in linears]).to(dtype)
        self._fused = fused
        self._algorithm = "none" if fused == "gelu" else ""  # exact GELU, without tanh
        self._compute = torch.ops.mkldnn._linear_pointwise.default

    def __call__(self, states):
        return self._compute(
            states, self._weight, self._bias, self._fused, [], self._algorithm
        )


class _PackedBlock(nn.Module):
    """A block of a BERT-like family, with packed weights.

    Parameters
    ----------
    block : torch.nn.Module
    n_heads : int
    dtype : torch.dtype
    """

    def __init__(self, block, n_heads, dtype):
        super().__init__()
        attention = block.attention.self
        act = block.intermediate.intermediate_act_fn
        is_gelu = _is_exact_gelu(act)
        self.dtype = dtype
        self.n_heads = n_heads
        self.act = None if is_gelu else act
        self.norms = nn.ModuleList(
            [block.attention.output.LayerNorm, block.output.LayerNorm]
        )
        inner = [attention.query, attention.key, attention.value]
        self.query_key_value = _PackedLinear(inner, dtype)
        self.mix = _PackedLinear([block.attention.output.dense], dtype)
        self.widen = _PackedLinear(
            [block.intermediate.dense], dtype, "gelu" if is_gelu else "none"
        )
        self.narrow = _PackedLinear([block.output.dense], dtype)

    def forward(self, states, attention_mask=None, *args, **kwargs):
        """Return the hidden states after this block, in float32.

        Hidden states have the shape (n_texts, n_tokens, n_features).
        """
        first, second = self.norms
        mixed = self.mix(self._attend(states.to(self.dtype), attention_mask))
        states = first(mixed + states)
        wide = self.widen(states.to(self.dtype))
        if self.act is not None:
            wide = self.act(wide)
        return second(self.narrow(wide) + states)

    def _attend(self, states, mask):
        """Return the output of all heads, shape (n_texts, n_tokens, n_features)."""
        parts = self.query_key_value(states).unflatten(-1, (3, self.n_heads, -1))
        query, key, value = (part.transpose(1, 2) for part in parts.unbind(2))
        return self_attention(query, key, value, mask).flatten(2)
