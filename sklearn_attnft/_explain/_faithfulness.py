# SPDX-License-Identifier: BSD-3-Clause
"""Comprehensiveness and sufficiency of token rankings (DeYoung et al. 2020)."""

import numpy as np

from .._data._template import parts_of
from .._data._tokens import split_into_windows
from .._runtime._predict import run

# Percentages of the tokens to remove or keep (DeYoung et al. 2020, section 4.3). The
# number of tokens is rounded up.
PERCENTAGES = (1, 5, 10, 20, 50)


def rank_tokens(table, scores, *, n_random, rng):
    """Rank the tokens of each text by each score, and in random orders.

    Parameters
    ----------
    table : TokenTable
    scores : dict of str to ndarray of float, shape (n_rows,)
        Maps the name of each ranking to the scores of the tokens. Tokens with equal
        scores get a random order.
    n_random : int
    rng : numpy.random.RandomState

    Yields
    ------
    sample : int
        Index of the text.
    ranking : str
    orders : list of ndarray of int
        Positions of the tokens, starting with the most important token. The ranking
        "random" has `n_random` orders. Other rankings have one order.
    """
    for sample in np.unique(table.sample):
        rows = table.rows_of(sample)
        n = rows.stop - rows.start
        for name, token_scores in scores.items():
            # lexsort sorts by the last key first.
            keys = rng.permutation(n), -token_scores[rows]
            yield sample, name, [np.lexsort(keys)]
        if n_random:
            yield sample, "random", [rng.permutation(n) for _ in range(n_random)]


def faithfulness(model, table, rankings, probabilities, tokenizer, machine):
    """Compute the comprehensiveness and sufficiency of token rankings.

    Parameters
    ----------
    model : TextModel
    table : TokenTable
    rankings : iterable
        The values that :func:`rank_tokens` yields.
    probabilities : callable
        Converts logits of shape (n_texts, n_classes) to probabilities.
    tokenizer : TextTokenizer
    machine : Machine

    Returns
    -------
    dict of ndarray, each (n_rows,)
    """
    versions, rows = ErasedTexts(), []
    for sample, name, orders in rankings:
        places = table.place[table.rows_of(sample)]
        erased = [
            versions.erase(table, sample, places[order], percent)
            for order in orders
            for percent in PERCENTAGES
        ]
        whole = versions.add(table.body(sample, places))
        rows.append((sample, name, whole, erased))
    falls = np.zeros((len(rows), 2))
    if rows:
        logits = run(model, split_into_windows(versions.bodies, tokenizer), machine)
        proba = probabilities(logits.astype(np.float64))
        for i, (_, _, whole, erased) in enumerate(rows):
            predicted = proba[:, proba[whole].argmax()]
            falls[i] = (predicted[whole] - predicted[np.array(erased)]).mean(axis=0)
    return {
        "sample": np.array([row[0] for row in rows], dtype=np.int64),
        "ranking": np.array([row[1] for row in rows], dtype=object),
        "comprehensiveness": falls[:, 0],
        "sufficiency": falls[:, 1],
    }


class ErasedTexts:
    """Token ids of texts without some of their tokens. Equal texts are stored once."""

    def __init__(self):
        self.bodies = []
        self._where = {}

    def add(self, body):
        """Add the token ids of a text; return the index of the text in ``bodies``."""
        key = tuple(part.tobytes() for part in parts_of(body))
        where = self._where.setdefault(key, len(self._where))
        if where == len(self.bodies):
            self.bodies.append(body)
        return where

    def erase(self, table, sample, ranked, percent):
        """Add two texts: one without the highest-ranked tokens, one with only these.

        Parameters
        ----------
        table : TokenTable
        sample : int
            Index of the text.
        ranked : ndarray of int
            Positions of the tokens, starting with the most important token.
        percent : int
            Percentage of the tokens that count as highest-ranked.

        Returns
        -------
        tuple of int
            Indices of both texts in `bodies`.
        """
        count = -(-percent * len(ranked) // 100)
        first, rest = np.sort(ranked[:count]), np.sort(ranked[count:])
        return (
            self.add(table.body(sample, rest)),
            self.add(table.body(sample, first)),
        )
