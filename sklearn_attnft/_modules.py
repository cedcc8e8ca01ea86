# SPDX-License-Identifier: BSD-3-Clause
"""The method's module: an encoder, and for each label set what is on top of it."""

from dataclasses import dataclass, replace
from numbers import Integral

import torch
from torch import nn

from . import _backbone
from ._batching import tokens_per_batch
from ._layers import (
    LayerAttention,
    LayerMean,
    TokenAttention,
    TokenLSTM,
    TokenPooling,
    in_float32,
)

POOLINGS = ("attention", "mean", "cls", "max", "concat")
HEADS = ("linear", "mlp", "lstm")
MIXINGS = ("attention", "mean")


@dataclass(frozen=True)
class TaskSpec:
    """What one label set has on top of the shared layers.

    Attributes
    ----------
    pooling : {"attention", "mean", "cls", "max", "concat"}
    head : {"linear", "mlp", "lstm"} or None
        "lstm" is a recurrent layer before the pooling and a linear one after it. None:
        no classification, context vectors only.
    n_outputs : int
        Logits.
    dropout : float
        Probability, on the context vector.
    multilabel : bool
        The logits are independent of each other.
    """

    pooling: str
    head: str | None = None
    n_outputs: int = 0
    dropout: float = 0.0
    multilabel: bool = False


@dataclass(frozen=True)
class ModuleSpec:
    """What to build on top of an encoder; plain values, so that it can be stored.

    Attributes
    ----------
    hidden_size : int
        Features of a token in the encoder.
    layers : tuple of int
        Hidden states to mix: 0 for the embeddings, i for the i-th block.
    mixing : {"attention", "mean"}
        Learned layer attention over normalised states, or the plain average.
    tasks : tuple of TaskSpec
        One for each label set.
    """

    hidden_size: int
    layers: tuple
    mixing: str
    tasks: tuple

    @property
    def n_features(self):
        """Length of the context vectors of all label sets side by side."""
        return sum(self.context_size(task) for task in self.tasks)

    def only(self, task):
        """Describe a model of one of the tasks."""
        return replace(self, tasks=(self.tasks[task],))

    def context_size(self, task):
        """Length of the context vector of one label set."""
        return self.hidden_size * (3 if task.pooling == "concat" else 1)


class TaskHead(nn.Module):
    """What one label set has of its own: layer mixing, token pooling, classification.

    Attributes
    ----------
    classify : torch.nn.Module or None
        Context vectors (n_texts, n_features) to logits (n_texts, n_outputs).
    """

    def __init__(self, spec, task):
        super().__init__()
        if spec.mixing == "attention":
            self.mix = LayerAttention(layers=spec.layers)
        else:
            self.mix = LayerMean()
        is_hybrid = task.head == "lstm"
        self.recur = TokenLSTM(n_features=spec.hidden_size) if is_hybrid else None
        if task.pooling == "attention":
            self.pool = TokenAttention(n_features=spec.hidden_size)
        else:
            self.pool = TokenPooling(kind=task.pooling)
        self.classify = _classification(spec, task) if task.head else None

    def context(self, tokens, mask, windows_per_text=None):
        """Pool mixed tokens, (n_windows, n_tokens, n_features), to contexts."""
        return self.pool(*self._tokens(tokens, mask, windows_per_text))

    def token_shares(self, tokens, mask, windows_per_text=None):
        """Return the attention of each token that is no padding, of all texts in turn.

        Mixed tokens, (n_windows, n_tokens, n_features), to (n_tokens of all windows,).
        """
        tokens, mask = self._tokens(tokens, mask, windows_per_text)
        return self.pool.weights(tokens, mask)[mask]

    def _tokens(self, tokens, mask, windows_per_text):
        """Return what is pooled, (n_texts, n_tokens, n_features), and its mask."""
        if windows_per_text is not None:
            tokens, mask = _join_windows(tokens, mask, windows_per_text)
        if self.recur is not None:
            tokens, mask = self.recur(tokens, mask)
        return tokens, mask


def _classification(spec, task):
    """Build the layers from context vectors to logits."""
    layers, size = [nn.Dropout(task.dropout)], spec.context_size(task)
    if task.head == "mlp":
        layers += [
            nn.Linear(size, spec.hidden_size),
            nn.GELU(),
            nn.Dropout(task.dropout),
        ]
        size = spec.hidden_size
    layers += [nn.Linear(size, task.n_outputs)]
    return nn.Sequential(*layers)


def _join_windows(tokens, mask, windows_per_text):
    """Lay the windows of each text end to end.

    (n_windows, n_tokens, n_features) becomes (n_texts, most windows * n_tokens,
    n_features), so that token attention runs over all windows of a text at once.
    """
    counts = list(windows_per_text)
    tokens = nn.utils.rnn.pad_sequence(tokens.split(counts), batch_first=True)
    mask = nn.utils.rnn.pad_sequence(mask.split(counts), batch_first=True)
    return tokens.flatten(1, 2), mask.flatten(1, 2)


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
            self._cut = (_backbone.cut_encoder(self.encoder, max(self.layers)),)
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


def resolve_layers(layers, n_layers):
    """Turn the parameter `layers` into indices of hidden states.

    Parameters
    ----------
    layers : {"all", "last"} or list of int
    n_layers : int
        Blocks of the encoder; it has ``n_layers + 1`` hidden states.

    Returns
    -------
    tuple of int
    """
    if isinstance(layers, str):
        return tuple(range(n_layers + 1)) if layers == "all" else (n_layers,)
    there = range(n_layers + 1)
    named = [i for i in layers if isinstance(i, Integral)]
    chosen = tuple(int(i) + (len(there) if i < 0 else 0) for i in named)
    distinct = len(set(chosen)) == len(layers) > 0
    if not distinct or not all(i in there for i in chosen):
        raise ValueError(
            f"layers={layers!r} must name different hidden states of this encoder: "
            f"0 (embeddings) to {n_layers} (last block), or -1 to {-n_layers - 1} "
            "counted from the last."
        )
    return chosen
