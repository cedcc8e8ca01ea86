# SPDX-License-Identifier: BSD-3-Clause
"""The module of all estimators: an encoder and the layers of each task."""

import torch
from torch import nn

from .._utils._process import in_float32
from ._encoding import PlainEncoding
from ._heads import TaskHead


class TextModel(nn.Module):
    """An encoder and what is learned on top of it, for one task or several.

    ``forward`` takes tensors and returns a tensor. It is made of two halves that the
    prediction loop calls one after another: :meth:`mix` runs the encoder, and
    :meth:`logits`, :meth:`contexts` or :meth:`token_shares` finish.

    Attributes
    ----------
    encoder : torch.nn.Module
    layers : tuple of int
    tasks : torch.nn.ModuleList of TaskHead
    encoding : callable
        How hidden states are computed: see ``_model._encoding``.
    trainable_blocks : tuple of torch.nn.Module or None
        The blocks of the encoder that are trained. If None, the encoder is trained
        as a whole, or without its token embeddings.
    """

    def __init__(self, encoder, layers, tasks, encoding=None):
        super().__init__()
        self.encoder = encoder
        self.layers = layers
        self.tasks = nn.ModuleList(tasks)
        self.encoding = PlainEncoding() if encoding is None else encoding
        self.trainable_blocks = None

    @classmethod
    def build(cls, encoder, spec):
        """Put new tasks on an encoder; in float32, whatever torch's default."""
        heads = [TaskHead(spec, task).float() for task in spec.tasks]
        return cls(encoder, spec.layers, heads)

    def only(self, task):
        """Return a model of one of the tasks that shares all weights."""
        return TextModel(self.encoder, self.layers, [self.tasks[task]])

    def with_encoding(self, encoding):
        """Return a model that shares all modules and computes states another way."""
        model = TextModel(self.encoder, self.layers, self.tasks, encoding)
        model.trainable_blocks = self.trainable_blocks
        return model

    def forward(self, input_ids, attention_mask, windows_per_text=None):
        """Return the logits of texts.

        Parameters
        ----------
        input_ids, attention_mask : tensor of int64, shape (n_windows, n_tokens)
        windows_per_text : tensor of int64 on the CPU, shape (n_texts,), or None
            Number of consecutive rows of each text. If None, each text has one.

        Returns
        -------
        tensor of float32, shape (n_texts, sum of the tasks' outputs)
        """
        mixed = self.mix(input_ids, attention_mask)
        return self.logits(mixed, attention_mask, windows_per_text)

    def encode(self, input_ids, attention_mask, layers=None):
        """Return the hidden states of `layers`, by default those that are mixed.

        Returns
        -------
        list of tensor, each (n_windows, n_tokens, n_features)
        """
        layers = self.layers if layers is None else layers
        return self.encoding(self.encoder, input_ids, attention_mask, layers)

    def mix(self, input_ids, attention_mask):
        """Run the encoder and mix its layers.

        Returns
        -------
        list of tensor of float32, each (n_windows, n_tokens, n_features)
            The mixed tokens of each task.
        """
        return self.mix_states(self.encode(input_ids, attention_mask))

    def mix_states(self, states):
        """Mix hidden states, as :meth:`encode` returns them, for each task."""
        with in_float32(states[0].device):
            return [task.mix(states) for task in self.tasks]

    def logits(self, mixed, attention_mask, windows_per_text=None):
        """Return logits of mixed tokens, float32, (n_texts, sum of outputs)."""
        with in_float32(attention_mask.device):
            contexts = self._contexts(mixed, attention_mask, windows_per_text)
            pairs = zip(self.tasks, contexts, strict=True)
            return torch.cat([task.classify(each) for task, each in pairs], dim=1)

    def contexts(self, mixed, attention_mask, windows_per_text=None):
        """Return context vectors of mixed tokens, float32, (n_texts, n_features)."""
        with in_float32(attention_mask.device):
            contexts = self._contexts(mixed, attention_mask, windows_per_text)
            return torch.cat(contexts, dim=1)

    def _contexts(self, mixed, attention_mask, windows_per_text):
        """Return the context vectors of each task, (n_texts, n_context)."""
        mask = attention_mask.bool()
        return [
            task.context(tokens, mask, windows_per_text)
            for task, tokens in zip(self.tasks, mixed, strict=True)
        ]

    def token_shares(self, mixed, attention_mask, windows_per_text=None):
        """Return the share of each token in the first task's context vector.

        Returns
        -------
        tensor of float32, shape (n_tokens of all windows,)
            Padding is left out, text follows text; the shares of a text sum to 1.
        """
        mask = attention_mask.bool()
        with in_float32(mask.device):
            return self.tasks[0].token_shares(mixed[0], mask, windows_per_text)

    def embed(self, input_ids):
        """Return token embeddings, (n_windows, n_tokens, n_embedding)."""
        return self.encoder.get_input_embeddings()(input_ids)

    def freeze(self, trainable_blocks):
        """Freeze the encoder except `trainable_blocks`, a list of its modules."""
        self.encoder.requires_grad_(False)
        for block in trainable_blocks:
            block.requires_grad_(True)
        # A tuple, so that the blocks are not registered a second time.
        self.trainable_blocks = tuple(trainable_blocks)

    def train(self, mode=True):
        """Set the mode. Frozen parts stay in evaluation mode, without dropout."""
        super().train(mode)
        if self.trainable_blocks is not None:
            self.encoder.eval()
            for block in self.trainable_blocks:
                block.train(mode)
        return self
