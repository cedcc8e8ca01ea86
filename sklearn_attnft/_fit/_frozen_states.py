# SPDX-License-Identifier: BSD-3-Clause
"""Hidden states of the frozen blocks for the training texts, computed once per fit.

A training step then runs only the blocks above, starting from these states.
"""

from dataclasses import dataclass

import torch

from .. import _hf
from .._data._batching import sorted_batches
from .._runtime._device import autocast, is_out_of_memory
from .._training import scoring_budget

# Bytes of hidden states that a fit keeps. Those of further texts, the shortest ones,
# are computed in each step. On other devices than the CPU all are: nobody has measured
# whether a copy to a GPU is faster than computing there.
LIMIT = 2 * 2**30


@dataclass(frozen=True)
class FrozenStates:
    """Hidden states of windows of tokens, found by the tokens.

    Attributes
    ----------
    layers : dict of tensor, each (n_tokens + 1, n_features)
        Hidden states by layer, of all windows one after another; the last row is 0.
    starts : dict of int
        From the token ids of a window, as bytes, to the start of its states.
    """

    layers: dict
    starts: dict

    def find(self, input_ids, attention_mask):
        """Return the hidden states of a batch by layer, or None if any are missing.

        Parameters
        ----------
        input_ids, attention_mask : tensor of int64, shape (n_windows, n_tokens)

        Returns
        -------
        dict of tensor, each (n_windows, n_tokens, n_features), or None
        """
        n_tokens = attention_mask.sum(dim=1).tolist()
        rows = zip(input_ids.numpy(), n_tokens, strict=True)
        starts = [self.starts.get(_key(row[:n])) for row, n in rows]
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
        """Memory of the states."""
        return sum(states.nbytes for states in self.layers.values())


def _key(ids):
    return ids.astype("<i8", copy=False).tobytes()


class UpperEncoding:
    """Start from known hidden states of the frozen blocks.

    Parameters
    ----------
    kept : FrozenStates
    cut : CutEncoder or None
        The encoder, cut above the frozen blocks. If None, all of it is frozen.
    plain : callable
        The encoding for texts whose states are not kept.
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
    """Compute the hidden states of the model's frozen blocks, if there are any.

    Parameters
    ----------
    model : TextModel
    corpora : list of TokenizedTexts
        The texts of training and validation, the most important first.
    config : TrainingConfig
    context : RunContext

    Returns
    -------
    TextModel
        It shares all modules with `model`; it is `model` itself if no states are kept.
    """
    blocks = model.trainable_blocks
    if blocks is None or context.device.type != "cpu" or config.max_epochs == 1:
        return model
    if context.resume.has_next_stage:  # it is trained already
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
    # A skipped stage may have adapted the frozen blocks: their weights are saved.
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
        return model  # the states are computed in each step
    return model.with_encoding(UpperEncoding(kept, cut, model.encoding))


def _batches(corpora, n_layers, model, budget):
    """Return the batches whose states fit into the limit, longest texts first."""
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
    """Compute the wanted layers' hidden states for all windows of the batches."""
    n_tokens = sum(int(batch.attention_mask.sum()) for batch in batches)
    layers, starts, stop = {}, {}, 0
    for batch in batches:
        is_token = batch.attention_mask.bool()
        states = _states(model, cut, batch)
        start = stop
        lengths = is_token.sum(dim=1).tolist()
        for row, n in zip(batch.input_ids.numpy(), lengths, strict=True):
            starts[_key(row[:n])] = stop
            stop += n
        for layer in wanted:
            if layer not in layers:
                shape = n_tokens + 1, states[layer].shape[-1]
                layers[layer] = torch.empty(shape, dtype=states[layer].dtype)
                layers[layer][-1] = 0
            layers[layer][start:stop] = states[layer][is_token]
    return FrozenStates(layers, starts)


def _states(model, cut, batch):
    """Return the hidden states of a batch by layer, up to the cut."""
    ids, mask = batch.input_ids, batch.attention_mask
    if cut is None:
        return dict(zip(model.layers, model.encode(ids, mask), strict=True))
    return dict(enumerate(cut.lower(ids, mask)))
