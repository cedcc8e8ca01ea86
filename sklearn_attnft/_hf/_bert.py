# SPDX-License-Identifier: BSD-3-Clause
"""The encoder of BERT, created without importing transformers.

Importing the BERT of transformers takes as long as importing torch and scikit-learn. So
an estimator that is loaded gets the encoder of this module instead, if its encoder is a
BERT. The weights have the same names as in transformers (`BertModel` in
transformers/models/bert/modeling_bert.py), and the outputs are equal bit for bit. Fits
train the BERT of transformers.
"""

import json
from numbers import Real
from types import SimpleNamespace
from typing import NamedTuple

import torch
from torch import nn

from ._attention import self_attention

# The entries of a configuration that :class:`BertModel` can run, and their values.
SETTINGS = {
    "model_type": "bert",
    "hidden_act": "gelu",
    "hidden_dropout_prob": 0.0,
    "attention_probs_dropout_prob": 0.0,
    "chunk_size_feed_forward": 0,
    "is_decoder": False,
    "is_encoder_decoder": False,
    "add_cross_attention": False,
}
SIZES = (
    "hidden_size",
    "intermediate_size",
    "max_position_embeddings",
    "num_attention_heads",
    "num_hidden_layers",
    "type_vocab_size",
    "vocab_size",
)


class BertConfig(SimpleNamespace):
    """Entries of a config.json as attributes."""

    def to_json_string(self, use_diff=False):
        """Return all entries as JSON. `use_diff` is ignored."""
        return json.dumps(vars(self))


class BertOutput(NamedTuple):
    """Output of the encoder. `hidden_states` has the embeddings and all layers."""

    last_hidden_state: torch.Tensor
    hidden_states: tuple


def can_run(config):
    """Return whether :class:`BertModel` computes what transformers would compute.

    Parameters
    ----------
    config : dict
        The entries of a config.json.
    """
    sizes = [config.get(name) for name in SIZES]
    epsilon = config.get("layer_norm_eps")
    return (
        all(config.get(name) == value for name, value in SETTINGS.items())
        and config.get("position_embedding_type", "absolute") == "absolute"
        and all(type(size) is int and size > 0 for size in sizes)
        and config["hidden_size"] % config["num_attention_heads"] == 0
        and isinstance(epsilon, Real)
        and epsilon > 0
    )


class BertModel(nn.Module):
    """The encoder of BERT, without a pooling layer.

    Parameters
    ----------
    config : dict
        A configuration for which :func:`can_run` is True.
    embeddings : dict of torch.nn.Module
        The embeddings and their normalization.
    blocks : iterable of torch.nn.Module
    """

    def __init__(self, config, embeddings, blocks):
        super().__init__()
        self.config = BertConfig(**config)
        self.embeddings = nn.ModuleDict(embeddings)
        self.encoder = nn.ModuleDict({"layer": nn.ModuleList(blocks)})

    @classmethod
    def build(cls, config):
        """Return an encoder with new weights."""
        c = BertConfig(**config)
        embeddings = {
            "word_embeddings": nn.Embedding(c.vocab_size, c.hidden_size),
            "position_embeddings": nn.Embedding(
                c.max_position_embeddings, c.hidden_size
            ),
            "token_type_embeddings": nn.Embedding(c.type_vocab_size, c.hidden_size),
            "LayerNorm": nn.LayerNorm(c.hidden_size, c.layer_norm_eps),
        }
        blocks = [BertLayer(c) for _ in range(c.num_hidden_layers)]
        return cls(config, embeddings, blocks)

    @classmethod
    def sharing(cls, encoder):
        """Return an encoder that shares the layers of a BERT of transformers.

        None is returned if this class would not compute what `encoder` computes.
        """
        config = json.loads(encoder.config.to_json_string(use_diff=False))
        if type(encoder).__name__ != "BertModel" or not can_run(config):
            return None
        parts = dict(encoder.embeddings.named_children())
        parts.pop("dropout", None)  # its probability is 0
        return cls(config, parts, encoder.encoder.layer)

    @property
    def device(self):
        """The device of the weights."""
        return self.get_input_embeddings().weight.device

    def get_input_embeddings(self):
        """Return the layer that embeds token ids."""
        return self.embeddings.word_embeddings

    def forward(
        self,
        input_ids=None,
        attention_mask=None,
        token_type_ids=None,
        inputs_embeds=None,
        output_hidden_states=False,
    ):
        """Return the hidden states.

        Parameters
        ----------
        input_ids, token_type_ids : tensor of int64 or None, shape (n_texts, n_tokens)
        attention_mask : tensor of int64, shape (n_texts, n_tokens)
            0 for padding, else 1.
        inputs_embeds : tensor or None, shape (n_texts, n_tokens, n_features)
            Embeddings of the tokens, instead of `input_ids`.
        output_hidden_states : bool
            If False, `hidden_states` of the result is empty.

        Returns
        -------
        BertOutput
        """
        states = self._embed(input_ids, token_type_ids, inputs_embeds)
        mask, kept = _square(attention_mask), []
        for block in self.encoder.layer:
            if output_hidden_states:
                kept.append(states)
            states = block(states, mask)
        return BertOutput(states, (*kept, states) if output_hidden_states else ())

    def _embed(self, input_ids, token_type_ids, inputs_embeds):
        """Return layer 0, shape (n_texts, n_tokens, n_features)."""
        parts = self.embeddings
        if inputs_embeds is None:
            inputs_embeds = parts.word_embeddings(input_ids)
        shape, device = inputs_embeds.shape[:2], inputs_embeds.device
        if token_type_ids is None:
            token_type_ids = torch.zeros(shape, dtype=torch.long, device=device)
        states = inputs_embeds + parts.token_type_embeddings(token_type_ids)
        positions = torch.arange(shape[1], device=device)[None]
        return parts.LayerNorm(states + parts.position_embeddings(positions))


class BertLayer(nn.Module):
    """A transformer block. Normalization comes after each of the two parts."""

    is_decoder, chunk_size_feed_forward = False, 0  # read by _packed

    def __init__(self, config):
        super().__init__()
        size, wide = config.hidden_size, config.intermediate_size
        self.n_heads = config.num_attention_heads
        inner = {name: nn.Linear(size, size) for name in ("query", "key", "value")}
        self.attention = nn.ModuleDict(
            {"self": nn.ModuleDict(inner), "output": _output(size, size, config)}
        )
        self.intermediate = nn.ModuleDict(
            {"dense": nn.Linear(size, wide), "intermediate_act_fn": nn.GELU()}
        )
        self.output = _output(wide, size, config)

    def forward(self, states, mask):
        """Return the hidden states after this block.

        Parameters
        ----------
        states : tensor, shape (n_texts, n_tokens, n_features)
        mask : tensor of bool or None, shape (n_texts, 1, n_tokens, n_tokens)
        """
        heads = [
            self.attention.self[name](states).unflatten(-1, (self.n_heads, -1))
            for name in ("query", "key", "value")
        ]
        mixed = self_attention(*(each.transpose(1, 2) for each in heads), mask)
        output = self.attention.output
        states = output.LayerNorm(output.dense(mixed.flatten(2)) + states)
        wide = self.intermediate.intermediate_act_fn(self.intermediate.dense(states))
        return self.output.LayerNorm(self.output.dense(wide) + states)


def _output(n_inputs, n_outputs, config):
    """Return the layers at the end of attention and of the feed-forward part."""
    norm = nn.LayerNorm(n_outputs, config.layer_norm_eps)
    return nn.ModuleDict({"dense": nn.Linear(n_inputs, n_outputs), "LayerNorm": norm})


def _square(attention_mask):
    """Return the mask of attention, shape (n_texts, 1, n_tokens, n_tokens).

    The mask is None if there is no padding, because torch's attention is faster without
    a mask. An exported graph always has a mask.
    """
    if not torch.compiler.is_compiling() and attention_mask.all():
        return None
    n_tokens = attention_mask.shape[1]
    return attention_mask.bool()[:, None, None].expand(-1, -1, n_tokens, -1)
