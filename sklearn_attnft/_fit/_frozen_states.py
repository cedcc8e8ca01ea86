# SPDX-License-Identifier: BSD-3-Clause
"""Hidden states of frozen blocks, which are computed once per fit and stored.

A training step starts from the stored hidden states and runs only the upper blocks. The
hidden states of the longest texts are stored first. Hidden states for which there is
not enough memory are computed in each step.

On a GPU, no hidden states are stored, because the speed of copying hidden states to a
GPU was not measured.
"""

from dataclasses import dataclass, field

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
    layers : dict of tensor, each (n_tokens + 1, n_features)
        Hidden states of each layer. Each row is a token, and the windows follow one
        after the other. The last row is 0 and is used for padding.
    starts : dict of int
        Row of the first token of each window. The keys are those that ``window_keys``
        returns for the windows.
    """

    n_tokens: int
    layers: dict = field(default_factory=dict)
    starts: dict = field(default_factory=dict)
    _stop: int = 0

    def add(self, input_ids, attention_mask, states):
        """Store the hidden states of a batch.

        Parameters
        ----------
        input_ids, attention_mask : tensor of int64, shape (n_windows, n_tokens)
        states : dict of tensor, each (n_windows, n_tokens, n_features)
            Hidden states of each layer. The keys are the numbers of the layers.
        """
        is_token, start = attention_mask.bool(), self._stop
        lengths = is_token.sum(dim=1).tolist()
        keys = window_keys(input_ids, attention_mask)
        for key, n in zip(keys, lengths, strict=True):
            self.starts[key] = self._stop
            self._stop += n
        for layer, values in states.items():
            if layer not in self.layers:
                self.layers[layer] = values.new_empty(
                    self.n_tokens + 1, values.shape[-1]
                )
                self.layers[layer][-1] = 0
            self.layers[layer][start : self._stop] = values[is_token]

    def find(self, input_ids, attention_mask):
        """Return the stored hidden states of a batch, and the missing windows.

        Parameters
        ----------
        input_ids, attention_mask : tensor of int64, shape (n_windows, n_tokens)

        Returns
        -------
        states : dict of tensor, each (n_windows, n_tokens, n_features)
            Hidden states of each layer. Those of missing windows are 0.
        missing : tensor of bool, shape (n_windows,)
            True for each window whose hidden states are not stored.
        """
        keys = window_keys(input_ids, attention_mask)
        starts = torch.tensor([self.starts.get(key, -1) for key in keys])
        missing = starts < 0
        where = starts[:, None] + torch.arange(input_ids.shape[1])
        is_stored = attention_mask.bool() & ~missing[:, None]
        where = torch.where(is_stored, where, self.n_tokens).flatten()
        shape = *input_ids.shape, -1
        states = {
            layer: kept.index_select(0, where).view(shape)
            for layer, kept in self.layers.items()
        }
        return states, missing

    @property
    def n_bytes(self):
        """Memory of the hidden states in bytes."""
        return sum(states.nbytes for states in self.layers.values())


class UpperEncoding:
    """An encoding that starts from stored hidden states of the frozen blocks.

    Parameters
    ----------
    kept : FrozenStates
    limit : int
        Maximum bytes of the stored hidden states.
    lower : callable
        Function of input_ids and attention_mask that computes the hidden states of
        windows, as a dict. The layers are those of `kept`.
    cut : CutEncoder or None
        Encoder that is split above the frozen blocks. If None, all blocks are frozen.
    """

    def __init__(self, kept, limit, lower, cut):
        self.kept, self.limit = kept, limit
        self._lower, self._cut = lower, cut

    def __call__(self, encoder, input_ids, attention_mask, layers):
        """Return the hidden states of `layers`."""
        states, missing = self.kept.find(input_ids, attention_mask)
        if missing.any():
            computed = self._lower(input_ids[missing], attention_mask[missing])
            for layer, values in computed.items():
                states[layer][missing] = values
        if self._cut is not None:
            boundary, top = self._cut.n_lower, max(layers)
            above = self._cut.upper(input_ids, attention_mask, states[boundary], top)
            states |= dict(enumerate(above, boundary + 1))
        return [states[layer] for layer in layers]


def with_frozen_states(model, corpora, config, context):
    """Return a model that looks up stored hidden states of its frozen blocks.

    Parameters
    ----------
    model : TextModel
    corpora : list of TokenizedTexts
        Training texts, then validation texts. If there is not enough memory for the
        hidden states of all texts, those of the training texts are stored first.
    config : TrainingConfig
    context : RunContext

    Returns
    -------
    TextModel
        Model that shares all modules with `model`. If no hidden states are stored,
        `model` itself is returned.
    """
    blocks = model.trainable_blocks
    if blocks is None or context.device.type != "cpu" or config.max_epochs == 1:
        return model
    if context.resume.has_next_stage:  # the stage does not have to be trained
        return model
    n_lower = max(model.layers) - len(blocks)
    if n_lower == 0:
        return model
    wanted, cut = set(model.layers), None
    if blocks:
        cut = _hf.cut_encoder(model.encoder, n_lower)
        if cut is None:
            return model
        wanted = {layer for layer in wanted if layer < n_lower} | {n_lower}

    def lower(input_ids, attention_mask):
        """Return the hidden states of the `wanted` layers as a dict."""
        if cut is None:
            return dict(
                zip(model.layers, model.encode(input_ids, attention_mask), strict=True)
            )
        states = cut.lower(input_ids, attention_mask)
        return {layer: states[layer] for layer in wanted}

    # If a fit resumes, it skips complete stages, which may have trained the blocks that
    # are now frozen. The resume state has the trained weights.
    context.resume.load_weights(model)
    model.eval()
    limit = storage_limit()
    if blocks:
        # Most of the time is for the other blocks, so more memory would save little.
        limit = min(limit, DEFAULT_LIMIT)
    room = limit // (4 * len(wanted) * model.encoder.config.hidden_size)  # tokens
    budget = scoring_budget(corpora[0], config, context.device)
    while batches := _batches(corpora, room, budget):
        try:
            with torch.no_grad(), autocast(context.device, context.dtype):
                kept = _keep(lower, batches)
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            room //= 2
        else:
            return model.with_encoding(UpperEncoding(kept, limit, lower, cut))
    return model  # each step computes the hidden states


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


def _keep(lower, batches):
    """Compute FrozenStates for all windows of `batches`."""
    masks = [batch.attention_mask for batch in batches]
    kept = FrozenStates(sum(int(mask.count_nonzero()) for mask in masks))
    for batch, mask in zip(batches, masks, strict=True):
        kept.add(batch.input_ids, mask, lower(batch.input_ids, mask))
    return kept
