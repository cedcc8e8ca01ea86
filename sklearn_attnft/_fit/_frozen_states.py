# SPDX-License-Identifier: BSD-3-Clause
"""Hidden states of frozen blocks, which are computed once per fit and stored.

A training step starts from the stored hidden states and runs only the upper blocks.
"""

from dataclasses import dataclass

import torch

from .. import _hf
from .._data._batching import sorted_batches
from .._model._encoding import window_keys
from .._runtime._device import autocast, is_out_of_memory
from .._training import scoring_budget

# Maximum bytes of hidden states that a fit stores. The hidden states of the longest
# texts are stored first. The hidden states that do not fit are computed in each
# step. On a GPU, no hidden states are stored, because the speed of copying hidden
# states to a GPU was not measured.
LIMIT = 2 * 2**30


@dataclass(frozen=True)
class FrozenStates:
    """Stored hidden states, which are found by the token ids and types of a window.

    Attributes
    ----------
    layers : dict of tensor, each (n_tokens + 1, n_features)
        Hidden states of each layer. Each row is a token, and the windows follow one
        after the other. The last row is 0 and is used for padding.
    starts : dict of int
        Row of the first token of each window. The keys are those that ``window_keys``
        returns for the windows.
    """

    layers: dict
    starts: dict

    def find(self, input_ids, attention_mask):
        """Return the stored hidden states of a batch, or None if a window is missing.

        Parameters
        ----------
        input_ids, attention_mask : tensor of int64, shape (n_windows, n_tokens)

        Returns
        -------
        dict of tensor, each (n_windows, n_tokens, n_features), or None
            Hidden states of each layer. The keys are the numbers of the layers.
        """
        keys = window_keys(input_ids, attention_mask)
        starts = [self.starts.get(key) for key in keys]
        if None in starts:
            return None
        where = torch.tensor(starts)[:, None] + torch.arange(input_ids.shape[1])
        where = torch.where(attention_mask.bool(), where, -1).flatten()
        shape = *input_ids.shape, -1
        return {
            layer: states[where].view(shape) for layer, states in self.layers.items()
        }

    @property
    def n_bytes(self):
        """Memory of the hidden states in bytes."""
        return sum(states.nbytes for states in self.layers.values())


class UpperEncoding:
    """An encoding that starts from stored hidden states of the frozen blocks.

    Parameters
    ----------
    kept : FrozenStates
    cut : CutEncoder or None
        Encoder that is split above the frozen blocks. If None, all blocks are frozen.
    plain : callable
        Encoding for windows whose hidden states are not stored.
    """

    def __init__(self, kept, cut, plain):
        self.kept, self.limit = kept, LIMIT
        self._cut, self._plain = cut, plain

    def __call__(self, encoder, input_ids, attention_mask, layers):
        """Return the hidden states of `layers`."""
        states = self.kept.find(input_ids, attention_mask)
        if states is None:
            return self._plain(encoder, input_ids, attention_mask, layers)
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
        Training texts, then validation texts. If the hidden states of all texts exceed
        `LIMIT` bytes, those of the training texts are stored first.
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
    # If a fit resumes, it skips complete stages, which may have trained the blocks that
    # are now frozen. The resume state has the trained weights.
    context.resume.load_weights(model)
    model.eval()
    budget = scoring_budget(corpora[0], config, context.device)
    batches = _batches(corpora, len(wanted), model, budget)
    try:
        with torch.no_grad(), autocast(context.device, context.dtype):
            kept = _keep(model, cut, wanted, batches)
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        return model  # then each step computes the hidden states
    return model.with_encoding(UpperEncoding(kept, cut, model.encoding))


def _batches(corpora, n_layers, model, budget):
    """Return the first batches whose hidden states together fit into `LIMIT` bytes."""
    room = LIMIT // (4 * n_layers * model.encoder.config.hidden_size)  # tokens
    batches = []
    for corpus in corpora:
        for indices in sorted_batches(corpus, budget):
            room -= corpus.n_tokens[indices].sum()
            if room < 0:
                return batches
            batches.append(corpus.batch(indices))
    return batches


def _keep(model, cut, wanted, batches):
    """Compute FrozenStates of the `wanted` layers for all windows of `batches`."""
    n_tokens = sum(int(batch.attention_mask.count_nonzero()) for batch in batches)
    layers, starts, stop = {}, {}, 0
    for batch in batches:
        is_token = batch.attention_mask.bool()
        states = _states(model, cut, batch)
        start = stop
        lengths = is_token.sum(dim=1).tolist()
        keys = window_keys(batch.input_ids, batch.attention_mask)
        for key, n in zip(keys, lengths, strict=True):
            starts[key] = stop
            stop += n
        for layer in wanted:
            if layer not in layers:
                shape = n_tokens + 1, states[layer].shape[-1]
                layers[layer] = torch.empty(shape, dtype=states[layer].dtype)
                layers[layer][-1] = 0
            layers[layer][start:stop] = states[layer][is_token]
    return FrozenStates(layers, starts)


def _states(model, cut, batch):
    """Return the hidden states of a batch for each layer up to the cut, as a dict."""
    ids, mask = batch.input_ids, batch.attention_mask
    if cut is None:
        return dict(zip(model.layers, model.encode(ids, mask), strict=True))
    return dict(enumerate(cut.lower(ids, mask)))
