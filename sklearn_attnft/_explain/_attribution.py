# SPDX-License-Identifier: BSD-3-Clause
"""What a model attends to and what moves its scores, token by token."""

from dataclasses import dataclass

import numpy as np
import torch

from .._data._tokens import TokenizedTexts, split_into_windows
from .._runtime._device import autocast, without_cudnn_attention
from .._runtime._predict import each_batch
from .._utils._process import in_float32

ATTRIBUTIONS = ("gradient", "integrated_gradients")
# Points of the Gauss-Legendre rule along the way from the baseline: a test holds how
# far the sums may be off.
N_POINTS = 64


@dataclass(frozen=True)
class TokenTable:
    """The tokens of texts that a model reads: once each, in however many windows.

    Attributes
    ----------
    texts : list of str
    bodies : list of ndarray of int32
        Ids of all tokens of each text, none special.
    tokens : TokenizedTexts
        Cut as the model reads them; its "words" are places in the text, from 1.
    sample : ndarray of int64, shape (n_read,)
        Of which text each token is.
    place : ndarray of int64, shape (n_read,)
        Which of the text's tokens it is.
    """

    texts: list
    bodies: list
    tokens: TokenizedTexts
    sample: np.ndarray
    place: np.ndarray

    @classmethod
    def of(cls, texts, tokenizer):
        """Tokenise texts, and find which tokens are left where some are cut out."""
        bodies = tokenizer.encode(texts)
        places = [np.arange(1, len(body) + 1) for body in bodies]
        tokens = split_into_windows(bodies, tokenizer, words=places)
        pairs = np.stack([_text_of(tokens), tokens.words - 1])  # (2, n_tokens)
        sample, place = np.unique(pairs[:, tokens.words > 0], axis=1)
        return cls(texts, bodies, tokens, sample, place)

    def rows_of(self, sample):
        """Return which of the rows are of a text."""
        return slice(*np.searchsorted(self.sample, [sample, sample + 1]))

    def per_token(self, values):
        """Add up over windows: one value of each of the `tokens` to (n_read,)."""
        is_special = self.tokens.words == 0
        starts = np.cumsum([0, *map(len, self.bodies)])
        where = starts[_text_of(self.tokens)] + self.tokens.words - 1
        sums = np.bincount(where[~is_special], values[~is_special], starts[-1])
        return sums[starts[self.sample] + self.place]

    def of_special(self, values):
        """Add up what special tokens have: one of each of `tokens` to (n_texts,)."""
        is_special = self.tokens.words == 0
        text_of = _text_of(self.tokens)[is_special]
        return np.bincount(text_of, values[is_special], len(self.texts))


def _text_of(tokens):
    """Return the text that each token is of, shape (n_tokens,)."""
    return np.repeat(np.arange(len(tokens)), tokens.n_tokens)


def explain(read, attention, attributions, tokenizer, *, words):
    """Lay the tokens of texts out in a table.

    Parameters
    ----------
    read : TokenTable
    attention : ndarray of float, shape (n_tokens,)
        As :func:`token_attention` returns it.
    attributions : ndarray of float, shape (n_tokens,), or None
        As :func:`token_attributions` returns them.
    tokenizer : TextTokenizer
    words : bool
        Whether pieces of words become one row.

    Returns
    -------
    dict of ndarray, each (n_rows,)
    """
    starts = np.cumsum([0, *map(len, read.bodies)])
    rows = starts[read.sample] + read.place
    spans = np.concatenate(tokenizer.spans(read.texts))[rows]
    values = {"token_attention": read.per_token(attention)}
    if attributions is not None:
        values["attribution"] = read.per_token(attributions)
    sample = read.sample
    if words and len(rows):
        word = np.concatenate(tokenizer.words(read.texts))[rows]
        # A word whose middle was cut out is two.
        steps = np.stack([np.diff(sample), np.diff(word), np.diff(rows) - 1])
        first = np.flatnonzero([True, *steps.any(axis=0)])
        last = np.append(first[1:], len(rows)) - 1
        spans = np.column_stack([spans[first, 0], spans[last, 1]])
        values = {name: np.add.reduceat(v, first) for name, v in values.items()}
        sample = sample[first]
    token = np.empty(len(sample), dtype=object)
    for row, (i, (start, end)) in enumerate(zip(sample, spans, strict=True)):
        token[row] = read.texts[i][start:end]
    return {
        "sample": sample,
        "token": token,
        "start": spans[:, 0].astype(np.int64),
        "end": spans[:, 1].astype(np.int64),
        "token_attention": values.pop("token_attention"),
        "special_attention": read.of_special(attention)[sample],
        **values,
    }


def token_attention(model, tokens, *, device, dtype):
    """Return the token attention of each token, special ones included.

    Parameters
    ----------
    model : TextModel
    tokens : TokenizedTexts
    device : torch.device
    dtype : torch.dtype

    Returns
    -------
    ndarray of float64, shape (n_tokens,)
        Those of a text sum to 1.
    """

    def compute(indices, batch):
        return model.token_shares(*batch.inputs())

    with (
        torch.inference_mode(),
        without_cudnn_attention(device),
        autocast(device, dtype),
    ):
        return _gather(compute, tokens, device)


def token_attributions(model, tokens, targets, *, method, baseline_id, device):
    """Attribute scores to the tokens' embeddings, in float32.

    Parameters
    ----------
    model : TextModel
    tokens : TokenizedTexts
        With "words", which are 0 for special tokens.
    targets : ndarray of int64, shape (n_texts,)
        Whose logit is explained.
    method : {"gradient", "integrated_gradients"}
        The gradient times the embedding (Simonyan et al. 2014; Shrikumar et al. 2017),
        or integrated gradients (Sundararajan et al. 2017) from a text of as many
        baseline tokens between the same special ones.
    baseline_id : int
    device : torch.device

    Returns
    -------
    ndarray of float64, shape (n_tokens,)
    """

    def compute(indices, batch):
        target = torch.from_numpy(targets[indices]).to(device)
        point = model.embed(batch.input_ids).detach()
        if method == "gradient":
            slope, way = _gradient(model, point, batch, target), point
        else:
            is_text = (batch.words > 0).to(device)
            ids = batch.input_ids.masked_fill(is_text, baseline_id)
            baseline = model.embed(ids).detach()
            way, slope = point - baseline, 0.0
            for share, weight in zip(*_POINTS, strict=True):
                between = baseline + share * way
                slope = slope + weight * _gradient(model, between, batch, target)
        return (slope * way).sum(dim=2)[batch.attention_mask.bool()]

    with torch.inference_mode(False), in_float32(device):
        return _gather(compute, tokens, device)


def _gauss_legendre(n_points):
    """Return places and weights of the quadrature from 0 to 1."""
    places, weights = np.polynomial.legendre.leggauss(n_points)
    return ((places + 1) / 2).tolist(), (weights / 2).tolist()


_POINTS = _gauss_legendre(N_POINTS)


def _gradient(model, embeddings, batch, target):
    """Differentiate logits by embeddings, both (n_windows, n_tokens, n_embedding)."""
    embeddings = embeddings.detach().requires_grad_()
    ids, mask, windows_per_text = batch.inputs()
    states, _ = model.encode(ids, mask, embeddings=embeddings)
    logits = model.attend(states, mask, windows_per_text)  # (n_texts, n_outputs)
    score = logits.gather(1, target.unsqueeze(1)).sum()
    return torch.autograd.grad(score, embeddings)[0]


def _gather(compute, tokens, device):
    """Compute a value of each token of the batches; return them in the given order."""
    values = np.empty(len(tokens.ids))
    for indices, output in each_batch(compute, tokens, device):
        values[tokens.token_positions(indices)] = output.float().cpu().numpy()
    return values
