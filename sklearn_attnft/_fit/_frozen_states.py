# SPDX-License-Identifier: BSD-3-Clause
"""Hidden states of frozen blocks, which are computed once per fit and stored.

A training step starts from the stored hidden states and runs only the upper blocks. The
hidden states of the longest texts are stored first. Hidden states for which there is
not enough memory are computed in each step.

On a GPU, no hidden states are stored, because the speed of copying hidden states to a
GPU was not measured.
"""

from dataclasses import dataclass, field
from functools import reduce

import torch

from .. import _hf
from .._data._batching import sorted_batches
from .._model._encoding import window_keys
from .._runtime._device import autocast, is_out_of_memory
from .._runtime._memory import DEFAULT_LIMIT, storage_limit
from .._training import scoring_budget


@dataclass
class FrozenStates:
    """Stored hidden states, which are found by the token ids and types of a window.

    Parameters
    ----------
    n_tokens : int
        Number of tokens of all windows that are stored.

    Attributes
    ----------
    states : tensor of shape (n_states, n_tokens + 1, n_features), or None
        Each token has `n_states` vectors, such as its hidden states in `n_states`
        layers. The windows follow one after the other. The last token is 0 and is used
        for padding. None if nothing is stored yet.
    dtypes : list of torch.dtype
        For each of the `n_states` tensors, its type before it was stored.
    starts : dict of int
        Index of the first token of each window. The keys are those that ``window_keys``
        returns for the windows.
    """

    n_tokens: int
    states: torch.Tensor | None = None
    dtypes: list = field(default_factory=list)
    starts: dict = field(default_factory=dict)
    _stop: int = 0

    def add(self, input_ids, attention_mask, states):
        """Store the hidden states of a batch.

        Parameters
        ----------
        input_ids, attention_mask : tensor of int64, shape (n_windows, n_tokens)
        states : sequence of tensor, each (n_windows, n_tokens, n_features)
        """
        is_token, start = attention_mask.bool(), self._stop
        lengths = is_token.sum(dim=1).tolist()
        keys = window_keys(input_ids, attention_mask)
        for key, n in zip(keys, lengths, strict=True):
            self.starts[key] = self._stop
            self._stop += n
        if self.states is None:
            shape = len(states), self.n_tokens + 1, states[0].shape[-1]
            # With autocast, some layers can be bfloat16 and others float32.
            self.dtypes = [values.dtype for values in states]
            dtype = reduce(torch.promote_types, self.dtypes)
            self.states = states[0].new_empty(shape, dtype=dtype)
            self.states[:, -1] = 0
        for kept, values in zip(self.states, states, strict=True):
            kept[start : self._stop] = values[is_token]

    def find(self, input_ids, attention_mask):
        """Return the stored hidden states of a batch, and the missing windows.

        Parameters
        ----------
        input_ids, attention_mask : tensor of int64, shape (n_windows, n_tokens)

        Returns
        -------
        states : tensor of shape (n_states, n_windows, n_tokens, n_features)
            Hidden states of missing windows are 0.
        missing : tensor of bool, shape (n_windows,)
            True for each window whose hidden states are not stored.
        """
        keys = window_keys(input_ids, attention_mask)
        starts = torch.tensor([self.starts.get(key, -1) for key in keys])
        missing = starts < 0
        where = starts[:, None] + torch.arange(input_ids.shape[1])
        is_stored = attention_mask.bool() & ~missing[:, None]
        where = torch.where(is_stored, where, self.n_tokens).flatten()
        shape = len(self.states), *input_ids.shape, -1
        return self.states.index_select(1, where).view(shape), missing

    @property
    def n_bytes(self):
        """Memory of the hidden states in bytes."""
        return self.states.nbytes


class StoredEncoding:
    """An encoding that stores what a frozen encoder computes.

    Normalized hidden states are stored, because normalization does not change in
    training either.

    Parameters
    ----------
    model : TextModel
    limit : int
        Maximum bytes of the stored hidden states.

    Attributes
    ----------
    layers : tuple of int
        Layers whose hidden states are stored.
    kept : FrozenStates
    """

    def __init__(self, model, limit):
        self.limit, self.layers, self._model = limit, model.layers, model
        self.kept = None

    def compute(self, input_ids, attention_mask):
        """Compute what is stored for the windows.

        Returns
        -------
        sequence of tensor, each (n_windows, n_tokens, n_features)
        """
        return self._model.prepare(self._model.encode(input_ids, attention_mask))

    def __call__(self, encoder, input_ids, attention_mask, layers):
        """Return what is stored, of shape (n_states, n_windows, n_tokens, n_features).

        Windows that are not stored are computed. `layers` is not used.
        """
        states, missing = self.kept.find(input_ids, attention_mask)
        if missing.any():
            computed = self.compute(input_ids[missing], attention_mask[missing])
            for found, values in zip(states, computed, strict=True):
                found[missing] = values.to(found.dtype)
        return states


class UpperEncoding(StoredEncoding):
    """An encoding that starts from stored hidden states of the frozen blocks.

    Parameters
    ----------
    model, limit
        As for StoredEncoding.
    cut : CutEncoder
        Encoder that is split above the frozen blocks.
    """

    def __init__(self, model, limit, cut):
        super().__init__(model, limit)
        below = (layer for layer in model.layers if layer < cut.n_lower)
        self.layers = *below, cut.n_lower
        self._cut = cut

    def compute(self, input_ids, attention_mask):
        """Compute the hidden states of the frozen blocks that are stored."""
        states = self._cut.lower(input_ids, attention_mask)
        return [states[layer] for layer in self.layers]

    def __call__(self, encoder, input_ids, attention_mask, layers):
        """Return a list with the hidden states of `layers`."""
        states = super().__call__(encoder, input_ids, attention_mask, layers)
        boundary = states[-1].to(self.kept.dtypes[-1])
        above = self._cut.upper(input_ids, attention_mask, boundary, max(layers))
        found = dict(zip(self.layers, states, strict=True))
        found |= dict(enumerate(above, self._cut.n_lower + 1))
        return [found[layer] for layer in layers]


def with_frozen_states(model, corpora, config, context, share=1.0):
    """Return a model that looks up stored hidden states of its frozen blocks.

    Parameters
    ----------
    model : TextModel
    corpora : list of TokenizedTexts
        Training texts, then validation texts. If there is not enough memory for the
        hidden states of all texts, those of the training texts are stored first.
    config : TrainingConfig
    context : RunContext
    share : float
        Fraction of the usual memory that may be used.

    Returns
    -------
    TextModel
        Model that shares all modules with `model`. If no hidden states are stored,
        `model` itself is returned.
    """
    if context.device.type != "cpu" or config.max_epochs == 1:
        return model
    if context.resume.has_next_stage:  # the stage does not have to be trained
        return model
    encoding = _make_encoding(model, share)
    if encoding is None:
        return model
    # If a fit resumes, it skips complete stages, which may have trained the blocks that
    # are now frozen. The resume state has the trained weights.
    context.resume.load_weights(model)
    model.eval()
    per_token = 4 * len(encoding.layers) * model.encoder.config.hidden_size  # bytes
    room = encoding.limit // per_token  # tokens
    budget = scoring_budget(corpora[0], config, context.device)
    while batches := _batches(corpora, room, budget):
        try:
            with torch.no_grad(), autocast(context.device, context.dtype):
                encoding.kept = _keep(encoding.compute, batches)
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            room //= 2
        else:
            return model.with_encoding(encoding)
    return model  # each step computes the hidden states


def _make_encoding(model, share):
    """Return a StoredEncoding, or None if no hidden states can be stored."""
    if model.trainable_blocks is None:
        return None
    n_trained = len(model.trainable_blocks)
    if n_trained == 0:
        return StoredEncoding(model, int(share * storage_limit()))
    # Most of the time is for the other blocks, so more memory would save little.
    limit = min(storage_limit(), DEFAULT_LIMIT)
    n_lower = max(model.layers) - n_trained
    cut = _hf.cut_encoder(model.encoder, n_lower) if n_lower > 0 else None
    return None if cut is None else UpperEncoding(model, limit, cut)


def _batches(corpora, room, budget):
    """Return the first batches that together have at most `room` tokens."""
    batches = []
    for corpus in corpora:
        for indices in sorted_batches(corpus, budget):
            room -= corpus.n_tokens[indices].sum()
            if room < 0:
                return batches
            batches.append(corpus.batch(indices))
    return batches


def _keep(compute, batches):
    """Compute FrozenStates for all windows of `batches`."""
    masks = [batch.attention_mask for batch in batches]
    kept = FrozenStates(sum(int(mask.count_nonzero()) for mask in masks))
    for batch, mask in zip(batches, masks, strict=True):
        kept.add(batch.input_ids, mask, compute(batch.input_ids, mask))
    return kept
