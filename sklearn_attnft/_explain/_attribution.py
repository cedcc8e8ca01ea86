# SPDX-License-Identifier: BSD-3-Clause
"""Token attention, and attributions of logits to tokens."""

import functools
from dataclasses import dataclass

import numpy as np
import torch

from .._data._template import flatten, parts_of
from .._data._tokens import TokenizedTexts, split_into_windows
from .._model._encoding import run_encoder
from .._runtime._device import autocast, without_cudnn_attention
from .._runtime._predict import each_batch, forward_in_parts
from .._utils._process import in_float32

ATTRIBUTIONS = ("gradient", "integrated_gradients")
# Number of points of the Gauss-Legendre quadrature between baseline and text. A test
# checks that the attributions of a text have the right sum, except for a small error.
N_POINTS = 64


@dataclass(frozen=True)
class TokenTable:
    """Table of the tokens that a model reads, with one row per token.

    A token that occurs in several windows has one row. Special tokens and truncated
    parts of texts have no rows.

    Attributes
    ----------
    texts : list of str or of tuple of str
        Texts, or pairs of texts. The two texts of a pair count as one text below.
    bodies : list of ndarray of int32
        Ids of all tokens of each text, without special tokens.
    n_first : ndarray of int64, shape (n_texts,)
        Number of tokens in the first text of each pair, or in each single text.
    tokens : TokenizedTexts
        The windows of the texts. Its attribute `words` contains the position of each
        token in the text, counted from 1. The position of special tokens is 0.
    sample : ndarray of int64, shape (n_rows,)
        For each row, the index of the text that contains the token.
    place : ndarray of int64, shape (n_rows,)
        For each row, the index of the token in this text.
    """

    texts: list
    bodies: list
    n_first: np.ndarray
    tokens: TokenizedTexts
    sample: np.ndarray
    place: np.ndarray

    @classmethod
    def of(cls, texts, tokenizer):
        """Tokenize texts and create the table."""
        bodies = tokenizer.encode(texts)
        places = [_number(body) for body in bodies]
        tokens = split_into_windows(bodies, tokenizer, words=places)
        n_first = np.array([len(parts_of(body)[0]) for body in bodies])
        bodies = [np.concatenate(parts_of(body)) for body in bodies]
        pairs = np.stack([_text_indices(tokens), tokens.words - 1])  # (2, n_tokens)
        sample, place = np.unique(pairs[:, tokens.words > 0], axis=1)
        return cls(texts, bodies, n_first, tokens, sample, place)

    def rows_of(self, sample):
        """Return the table rows of one text as a slice."""
        return slice(*np.searchsorted(self.sample, [sample, sample + 1]))

    def body(self, sample, places):
        """Return the ids of the tokens at the positions `places` of a text.

        For a pair, return a tuple of two arrays, one for each text.
        """
        body = self.bodies[sample]
        if not isinstance(self.texts[sample], tuple):
            return body[places]
        is_first = places < self.n_first[sample]
        return body[places[is_first]], body[places[~is_first]]

    def per_token(self, values):
        """Sum the values of each token over all windows that contain the token.

        A token of a long text can be in several windows. `values` has the shape
        (n_tokens,), with one value for each token of each window, in the order of
        `tokens`. The sums have the shape (n_rows,), with one sum for each row.
        """
        is_special = self.tokens.words == 0
        starts = np.cumsum([0, *map(len, self.bodies)])
        where = starts[_text_indices(self.tokens)] + self.tokens.words - 1
        sums = np.bincount(where[~is_special], values[~is_special], starts[-1])
        return sums[starts[self.sample] + self.place]

    def special_sums(self, values):
        """Sum the values of the special tokens of each text.

        The values have the shape (n_tokens,), in the order of `tokens`. The sums have
        the shape (n_texts,).
        """
        is_special = self.tokens.words == 0
        text_indices = _text_indices(self.tokens)[is_special]
        return np.bincount(text_indices, values[is_special], len(self.texts))


def _number(body):
    """Return the positions of the tokens of a text or a pair, counted from 1."""
    parts = parts_of(body)
    numbers = np.arange(1, sum(map(len, parts)) + 1)
    if len(parts) == 1:
        return numbers
    return numbers[: len(parts[0])], numbers[len(parts[0]) :]


def _text_indices(tokens):
    """Return the index of the text of each token."""
    return np.repeat(np.arange(len(tokens)), tokens.n_tokens)


def explain(table, attention, attributions, tokenizer, *, words):
    """Return the columns of the explanation of texts.

    Parameters
    ----------
    table : TokenTable
    attention : ndarray of float, shape (n_tokens,)
        Return value of :func:`token_attention`.
    attributions : ndarray of float, shape (n_tokens,), or None
        Return value of :func:`token_attributions`.
    tokenizer : TextTokenizer
    words : bool
        Whether to sum the tokens of a word into one row.

    Returns
    -------
    dict of ndarray, each (n_rows,)
    """
    starts = np.cumsum([0, *map(len, table.bodies)])
    rows = starts[table.sample] + table.place
    spans = np.concatenate(flatten(tokenizer.spans(table.texts)))[rows]
    values = {"token_attention": table.per_token(attention)}
    if attributions is not None:
        values["attribution"] = table.per_token(attributions)
    sample = table.sample
    side = (table.place >= table.n_first[sample]).astype(np.int64)
    if words and len(rows):
        word = np.concatenate(flatten(tokenizer.words(table.texts)))[rows]
        # If the middle of a word is truncated, the word has two rows.
        steps = np.stack([np.diff(sample), np.diff(word), np.diff(rows) - 1])
        first = np.flatnonzero([True, *steps.any(axis=0)])
        last = np.append(first[1:], len(rows)) - 1
        spans = np.column_stack([spans[first, 0], spans[last, 1]])
        values = {name: np.add.reduceat(v, first) for name, v in values.items()}
        sample, side = sample[first], side[first]
    token = np.empty(len(sample), dtype=object)
    for row, (i, part, (start, end)) in enumerate(
        zip(sample, side, spans, strict=True)
    ):
        token[row] = parts_of(table.texts[i])[part][start:end]
    has_pairs = isinstance(table.texts[0], tuple)
    return {
        "sample": sample,
        **({"text": side} if has_pairs else {}),
        "token": token,
        "start": spans[:, 0].astype(np.int64),
        "end": spans[:, 1].astype(np.int64),
        "token_attention": values.pop("token_attention"),
        "special_attention": table.special_sums(attention)[sample],
        **values,
    }


def token_attention(model, tokens, machine):
    """Return the attention of each token, including special tokens.

    Parameters
    ----------
    model : TextModel
    tokens : TokenizedTexts
    machine : Machine

    Returns
    -------
    ndarray of float64, shape (n_tokens,)
        The values of a text sum to 1.
    """
    shares = functools.partial(_token_shares, model)
    device = machine.device
    with (
        torch.inference_mode(),
        without_cudnn_attention(device),
        autocast(device, machine.dtype),
    ):
        return _gather(shares, tokens, device)


def _token_shares(model, indices, batch):
    return forward_in_parts(model, *batch.inputs(), output="token_shares")


def token_attributions(model, tokens, targets, *, method, baseline_id, device):
    """Attribute the logit of a class to the tokens, in float32.

    Parameters
    ----------
    model : TextModel
    tokens : TokenizedTexts
        In its attribute `words`, special tokens must have the value 0.
    targets : ndarray of int64, shape (n_texts,)
        For each text, the index of the class whose logit is attributed.
    method : {"gradient", "integrated_gradients"}
        "gradient" is the gradient times the embedding (Simonyan et al. 2014, Shrikumar
        et al. 2017). "integrated_gradients" integrates the gradient between a baseline
        and the text (Sundararajan et al. 2017). In the baseline, all tokens of the text
        except special tokens are replaced by `baseline_id`.
    baseline_id : int
    device : torch.device

    Returns
    -------
    ndarray of float64, shape (n_tokens,)
    """
    compute = functools.partial(_attribute, model, targets, method, baseline_id)
    with torch.inference_mode(False), in_float32(device):
        return _gather(compute, tokens, device)


def _attribute(model, targets, method, baseline_id, indices, batch):
    """Return the attribution of each token of a batch, without padding."""
    device = batch.input_ids.device
    target = torch.from_numpy(targets[indices]).to(device)
    point = model.embed(batch.input_ids).detach()
    if method == "gradient":
        slope, way = _gradient(model, point, batch, target), point
    else:
        is_text = (batch.words > 0).to(device)
        ids = batch.input_ids.masked_fill(is_text, baseline_id)
        baseline = model.embed(ids).detach()
        way, slope = point - baseline, 0.0
        for fraction, weight in zip(*_POINTS, strict=True):
            between = baseline + fraction * way
            slope = slope + weight * _gradient(model, between, batch, target)
    return (slope * way).sum(dim=2)[batch.attention_mask.bool()]


def _gauss_legendre(n_points):
    """Return the points and weights of Gauss-Legendre quadrature on [0, 1]."""
    points, weights = np.polynomial.legendre.leggauss(n_points)
    return ((points + 1) / 2).tolist(), (weights / 2).tolist()


_POINTS = _gauss_legendre(N_POINTS)


def _gradient(model, embeddings, batch, target):
    """Return the gradient of the target logits with respect to embeddings.

    The gradient has the shape (n_windows, n_tokens, n_embedding).
    """
    embeddings = embeddings.detach().requires_grad_()
    _, mask, windows_per_text = batch.inputs()
    states = run_encoder(model.encoder, mask, model.layers, inputs_embeds=embeddings)
    logits = model.logits(model.mix_states(states), mask, windows_per_text)
    score = logits.gather(1, target.unsqueeze(1)).sum()
    return torch.autograd.grad(score, embeddings)[0]


def _gather(compute, tokens, device):
    """Compute one value for each token and return them in the order of `tokens`."""
    values = np.empty(len(tokens.ids))
    for indices, output in each_batch(compute, tokens, device):
        values[tokens.token_positions(indices)] = output.float().cpu().numpy()
    return values
