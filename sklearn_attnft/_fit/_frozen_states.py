# SPDX-License-Identifier: BSD-3-Clause
"""What the frozen part of an encoder makes of the training texts, computed once a fit.

In a training step only what is above the frozen blocks is run, from their states.
"""

from dataclasses import dataclass

import torch

from .. import _hf
from .._data._batching import sorted_batches
from .._model._text_model import TextModel
from .._runtime._device import autocast, is_out_of_memory
from .._training import scoring_budget

# Bytes of states that a fit keeps; those of the texts beyond it, the shortest ones, are
# computed in each step. So are all where the encoder is not on the CPU: whether it pays
# to hand a GPU what it could compute was not measured.
LIMIT = 2 * 2**30


@dataclass(frozen=True)
class FrozenStates:
    """States of windows of tokens, looked up by the tokens.

    Attributes
    ----------
    layers : dict of tensor, each (n_tokens + 1, n_features)
        Hidden states by number, of all windows in a row; 0 in the last row.
    starts : dict of int
        From the token ids of a window, as bytes, to where its states start.
    """

    layers: dict
    starts: dict

    def find(self, input_ids, attention_mask):
        """Return the states of a batch by layer; None if one of its windows has none.

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


def _key(ids):
    return ids.astype("<i8", copy=False).tobytes()


class UpperTextModel(TextModel):
    """A model that shares its weights with another and knows its frozen states.

    Parameters
    ----------
    model : TextModel
    kept : FrozenStates
    cut : CutEncoder or None
        None: all of the encoder is frozen.
    """

    def __init__(self, model, kept, cut):
        super().__init__(model.encoder, model.layers, model.tasks)
        self.freeze(model.trainable_blocks)
        self._model = (model,)  # in a tuple: its modules are registered already
        self.kept, self.limit = kept, LIMIT
        self._halves = cut

    def encode(self, input_ids, attention_mask):
        """Return the states of the attended layers, and those of the last layer."""
        states = self.kept.find(input_ids, attention_mask)
        if states is None:
            return self._model[0].encode(input_ids, attention_mask)
        if self._halves is not None:
            boundary, top = self._halves.n_lower, max(self.layers)
            above = self._halves.upper(input_ids, attention_mask, states[boundary], top)
            states |= dict(enumerate(above, boundary + 1))
        attended = [states[layer] for layer in self.layers]
        return attended, states.get(self.encoder.config.num_hidden_layers)


def with_frozen_states(model, corpora, recipe):
    """Compute the states of the model's frozen blocks, if there are any.

    Parameters
    ----------
    model : TextModel
    corpora : list of TokenizedTexts
        What it is going to run over, the most important first.
    recipe : Recipe

    Returns
    -------
    TextModel
        Shares its weights with `model`; `model` itself if nothing can be kept, or if
        it is trained already.
    """
    blocks = model.trainable_blocks
    if blocks is None or recipe.device.type != "cpu" or recipe.max_epochs == 1:
        return model
    if recipe.checkpoint.has_next_stage:
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

    def compute(input_ids, attention_mask):
        if cut is None:
            states, _ = model.encode(input_ids, attention_mask)
            return dict(zip(model.layers, states, strict=True))
        return dict(enumerate(cut.lower(input_ids, attention_mask)))

    model.eval()
    batches = _batches(corpora, len(wanted), model, recipe)
    try:
        with torch.no_grad(), autocast(recipe.device, recipe.dtype):
            return UpperTextModel(model, _keep(compute, wanted, batches), cut)
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
    return model  # which computes them in each step


def _batches(corpora, n_layers, model, recipe):
    """Return the batches whose states there is room for, longest texts first."""
    budget = scoring_budget(corpora[0], recipe)
    room = LIMIT // (4 * n_layers * model.encoder.config.hidden_size)  # tokens
    batches = []
    for corpus in corpora:
        for indices in sorted_batches(corpus, budget):
            room -= corpus.n_tokens[indices].sum()
            if room < 0:
                return batches
            batches.append(corpus.batch(indices))
    return batches


def _keep(compute, wanted, batches):
    """Compute the wanted layers' states of all windows of the batches."""
    n_tokens = sum(int(batch.attention_mask.sum()) for batch in batches)
    layers, starts, stop = {}, {}, 0
    for batch in batches:
        is_token = batch.attention_mask.bool()
        states = compute(batch.input_ids, batch.attention_mask)
        start = stop
        n_tokens_of = is_token.sum(dim=1).tolist()
        for row, n in zip(batch.input_ids.numpy(), n_tokens_of, strict=True):
            starts[_key(row[:n])] = stop
            stop += n
        for layer in wanted:
            if layer not in layers:
                shape = n_tokens + 1, states[layer].shape[-1]
                layers[layer] = torch.empty(shape, dtype=states[layer].dtype)
                layers[layer][-1] = 0
            layers[layer][start:stop] = states[layer][is_token]
    return FrozenStates(layers, starts)
