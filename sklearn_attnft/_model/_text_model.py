# SPDX-License-Identifier: BSD-3-Clause
"""The torch module of all estimators."""

import torch
from torch import nn

from .._utils._process import in_float32
from ._encoding import PlainEncoding
from ._heads import TaskHead


class TextModel(nn.Module):
    """An encoder and the layers of one or several tasks on top of the encoder.

    ``forward`` has two steps, which can also be called separately. First, :meth:`mix`
    runs the encoder and returns one vector per token, the weighted sum of the layers.
    Then :meth:`logits` computes the result from these token vectors (`mixed`).
    :meth:`contexts` and :meth:`token_shares` compute other results from the token
    vectors.

    Attributes
    ----------
    encoder : torch.nn.Module
    layers : tuple of int
    tasks : torch.nn.ModuleList of TaskHead
    encoding : callable
        Computes the hidden states, as defined in ``_model._encoding``.
    trainable_blocks : tuple of torch.nn.Module or None
        The blocks that :meth:`freeze` left trainable. If None, ``freeze`` was not
        called.
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
        """Create a model with new task layers, in float32."""
        heads = [TaskHead(spec, task).float() for task in spec.tasks]
        return cls(encoder, spec.layers, heads)

    def only(self, task):
        """Return a model with only one of the tasks. The weights are shared."""
        return TextModel(self.encoder, self.layers, [self.tasks[task]])

    def with_encoding(self, encoding):
        """Return a model with another encoding. All modules are shared."""
        model = TextModel(self.encoder, self.layers, self.tasks, encoding)
        model.trainable_blocks = self.trainable_blocks
        return model

    def forward(self, input_ids, attention_mask, windows_per_text=None):
        """Return the logits of texts.

        Parameters
        ----------
        input_ids, attention_mask : tensor of int64, shape (n_windows, n_tokens)
        windows_per_text : tensor of int64 on the CPU, shape (n_texts,), or None
            Number of consecutive windows of each text. If None, each text has one
            window.

        Returns
        -------
        tensor of float32, shape (n_texts, total number of outputs of all tasks)
        """
        mixed = self.mix(input_ids, attention_mask)
        return self.logits(mixed, attention_mask, windows_per_text)

    def encode(self, input_ids, attention_mask, layers=None):
        """Return the hidden states of `layers`.

        If `layers` is None, the hidden states of ``self.layers`` are returned.

        Returns
        -------
        list of tensor, each (n_windows, n_tokens, n_features)
            Or a tensor that `prepare` returned, if the encoding stores these.
        """
        layers = self.layers if layers is None else layers
        return self.encoding(self.encoder, input_ids, attention_mask, layers)

    def mix(self, input_ids, attention_mask):
        """Run the encoder and return one vector per token for each task.

        Returns
        -------
        list of tensor of float32, each (n_windows, n_tokens, n_features)
            For each task, the weighted sum of the hidden states of ``self.layers``, or
            the mean if the layers have equal weights.
        """
        return self.mix_states(self.encode(input_ids, attention_mask))

    def mix_states(self, states):
        """Return the weighted sum of hidden states for each task.

        `states` is what ``encode`` returns.
        """
        is_prepared = isinstance(states, torch.Tensor)
        with in_float32(states[0].device):
            return [
                task.mix.combine(states) if is_prepared else task.mix(states)
                for task in self.tasks
            ]

    def logits(self, mixed, attention_mask, windows_per_text=None):
        """Return the logits of all tasks, computed from token vectors.

        Logits have the type float32 and the shape (n_texts, total number of outputs of
        all tasks).
        """
        with in_float32(attention_mask.device):
            contexts = self._contexts(mixed, attention_mask, windows_per_text)
            pairs = zip(self.tasks, contexts, strict=True)
            return torch.cat([task.classify(each) for task, each in pairs], dim=1)

    def contexts(self, mixed, attention_mask, windows_per_text=None):
        """Return the context vectors of all tasks, computed from token vectors.

        Context vectors have the type float32 and the shape (n_texts, n_features).
        """
        with in_float32(attention_mask.device):
            contexts = self._contexts(mixed, attention_mask, windows_per_text)
            return torch.cat(contexts, dim=1)

    def _contexts(self, mixed, attention_mask, windows_per_text):
        """Return a list with the context vectors (n_texts, n_context) of each task."""
        mask = attention_mask.bool()
        return [
            task.context(tokens, mask, windows_per_text)
            for task, tokens in zip(self.tasks, mixed, strict=True)
        ]

    def token_shares(self, mixed, attention_mask, windows_per_text=None):
        """Return the weight of each token in the first task's context vector.

        Returns
        -------
        tensor of float32, shape (n_tokens of all windows,)
            The weights of all texts in order, without padding. The weights of a text
            sum to 1.
        """
        mask = attention_mask.bool()
        with in_float32(mask.device):
            return self.tasks[0].token_shares(mixed[0], mask, windows_per_text)

    def prepare(self, states):
        """Return a tensor from which all tasks can compute the weighted sum.

        ``mix_states`` accepts the tensor instead of the list `states`. The mixing must
        be LayerAttention.
        """
        # What LayerAttention prepares does not depend on the task.
        with in_float32(states[0].device):
            return self.tasks[0].mix.prepare(states)

    def embed(self, input_ids):
        """Return token embeddings of shape (n_windows, n_tokens, n_embedding)."""
        return self.encoder.get_input_embeddings()(input_ids)

    def freeze(self, trainable_blocks):
        """Freeze all parts of the encoder except the blocks in `trainable_blocks`."""
        self.encoder.requires_grad_(False)
        for block in trainable_blocks:
            block.requires_grad_(True)
        # Torch does not register modules in a tuple, so no block is registered twice.
        self.trainable_blocks = tuple(trainable_blocks)

    def train(self, mode=True):
        """Set the training mode. Frozen blocks stay in evaluation mode.

        In evaluation mode, dropout is off.
        """
        super().train(mode)
        if self.trainable_blocks is not None:
            self.encoder.eval()
            for block in self.trainable_blocks:
                block.train(mode)
        return self
