# SPDX-License-Identifier: BSD-3-Clause
"""The module of all estimators: an encoder and one head for each task."""

import torch
from torch import nn

from .. import _hf
from .._data._batching import tokens_per_batch
from .._utils._process import in_float32
from ._heads import TaskHead


class TextModel(nn.Module):
    """An encoder and what is learned on top of it, for one label set or several.

    Attributes
    ----------
    encoder : torch.nn.Module
    layers : tuple of int
    tasks : torch.nn.ModuleList of TaskHead
    trainable_blocks : tuple of torch.nn.Module or None
        What of the encoder is not frozen; None: all, or all but its table.
    """

    def __init__(self, encoder, layers, tasks):
        super().__init__()
        self.encoder = encoder
        self.layers = layers
        self.tasks = nn.ModuleList(tasks)
        self.trainable_blocks = None
        self._cut = ()

    def __getstate__(self):
        # The cut holds what is of a thread; a copy makes one of its own.
        return {**super().__getstate__(), "_cut": ()}

    @classmethod
    def build(cls, encoder, spec):
        """Put new tasks on an encoder; in float32, whatever torch's default."""
        heads = [TaskHead(spec, task).float() for task in spec.tasks]
        return cls(encoder, spec.layers, heads)

    def only(self, task):
        """Return a model of one of the tasks that shares all weights."""
        return TextModel(self.encoder, self.layers, [self.tasks[task]])

    def forward(self, input_ids, attention_mask, windows_per_text=None):
        """Classify texts, or give their contexts if there is nothing to classify with.

        Parameters
        ----------
        input_ids, attention_mask : tensor of int64, shape (n_windows, n_tokens)
        windows_per_text : tuple of int or None
            Rows of each text; None: one each.

        Returns
        -------
        tensor of float32, shape (n_texts, sum of the label sets' outputs)
        """
        mixed = self._mix(input_ids, attention_mask)
        return self._conclude(mixed, attention_mask, windows_per_text)

    def contexts(self, input_ids, attention_mask, windows_per_text=None):
        """Return context vectors, float32, shape (n_texts, n_features)."""
        mixed = self._mix(input_ids, attention_mask)
        return self._conclude(mixed, attention_mask, windows_per_text, classify=False)

    def token_shares(self, input_ids, attention_mask, windows_per_text=None):
        """Return the token attention of the first label set.

        Parameters are those of :meth:`forward`.

        Returns
        -------
        tensor of float32, shape (n_tokens of all windows,)
            Of the tokens that are no padding, of all texts in turn; those of a text
            sum to 1.
        """
        mixed, mask = self._mix(input_ids, attention_mask), attention_mask.bool()
        with in_float32(mask.device):
            return self.tasks[0].token_shares(mixed[0], mask, windows_per_text)

    def embed(self, input_ids):
        """Look tokens up in the encoder's table, (n_windows, n_tokens, n_embedding)."""
        return self.encoder.get_input_embeddings()(input_ids)

    def encode(self, input_ids, attention_mask, whole=False, embeddings=None):
        """Return the states of the attended layers, and those of the last layer.

        Blocks above the attended layers are not run, and None is returned for the last,
        unless the `whole` is asked for. With `embeddings`, as of :meth:`embed`, these
        are read in place of the ids, by the whole.
        """
        n_layers = self.encoder.config.num_hidden_layers
        whole = whole or embeddings is not None
        if max(self.layers) < n_layers and not whole:
            states = self._encode_lower(input_ids, attention_mask)
            if states is not None:
                return [states[layer] for layer in self.layers], None
        only_last = self.layers == (n_layers,)
        given = {"input_ids": input_ids}
        if embeddings is not None:
            given = {"inputs_embeds": embeddings}
        output = self.encoder(
            **given,
            attention_mask=attention_mask,
            output_hidden_states=not only_last,
        )
        last = output.last_hidden_state
        if only_last:
            return [last], last
        return [output.hidden_states[layer] for layer in self.layers], last

    def _encode_lower(self, input_ids, attention_mask):
        """Return the states up to the highest attended layer; None: no such way."""
        if not self._cut:  # in a tuple: its modules are registered already
            self._cut = (_hf.cut_encoder(self.encoder, max(self.layers)),)
        (cut,) = self._cut
        return None if cut is None else cut.lower(input_ids, attention_mask)

    def attend(self, states, attention_mask, windows_per_text=None):
        """Turn states into logits of all label sets side by side."""
        mixed = self._mix_states(states)
        return self._conclude(mixed, attention_mask, windows_per_text)

    def _mix(self, input_ids, attention_mask):
        """Return the mixed tokens of each label set, (n_windows, n_tokens, n_features).

        Where no gradient is wanted, windows are encoded few at a time: a long text has
        many, and the states of all layers take a multiple of what is mixed of them.
        """
        n = len(input_ids)
        if not torch.is_grad_enabled():
            n = max(1, tokens_per_batch(input_ids.device) // input_ids.shape[1])
        parts = []
        pairs = zip(input_ids.split(n), attention_mask.split(n), strict=True)
        for pair in pairs:
            states, _ = self.encode(*pair)
            parts.append(self._mix_states(states))
        return [
            torch.cat(of_task) if len(parts) > 1 else of_task[0]
            for of_task in zip(*parts, strict=True)
        ]

    def _mix_states(self, states):
        with in_float32(states[0].device):
            return [task.mix(states) for task in self.tasks]

    def _conclude(self, mixed, attention_mask, windows_per_text, classify=True):
        """Turn mixed tokens into logits, or contexts, of all label sets."""
        mask = attention_mask.bool()
        outputs = []
        with in_float32(mask.device):
            for task, tokens in zip(self.tasks, mixed, strict=True):
                context = task.context(tokens, mask, windows_per_text)
                is_last = not classify or task.classify is None
                outputs.append(context if is_last else task.classify(context))
        return torch.cat(outputs, dim=1)

    def freeze(self, trainable_blocks):
        """Freeze the encoder but for `trainable_blocks`, a list of its modules."""
        self.encoder.requires_grad_(False)
        for block in trainable_blocks:
            block.requires_grad_(True)
        # A tuple, so that the blocks are not registered a second time.
        self.trainable_blocks = tuple(trainable_blocks)

    def train(self, mode=True):
        """Set the mode; what is frozen stays in evaluation mode, free of dropout."""
        super().train(mode)
        if self.trainable_blocks is not None:
            self.encoder.eval()
            for block in self.trainable_blocks:
                block.train(mode)
        return self
