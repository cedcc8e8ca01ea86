# SPDX-License-Identifier: BSD-3-Clause
"""Does what an explanation ranks first decide? Erase it, and look at the prediction."""

import numpy as np

from .._data._tokens import split_into_windows
from .._runtime._predict import run

# Percent of a text's tokens, rounded up (DeYoung et al. 2020, section 4.3).
PERCENTAGES = (1, 5, 10, 20, 50)


def rank_tokens(read, scores, *, n_random, rng):
    """Order the tokens of each text by scores, and at random.

    Parameters
    ----------
    read : TokenTable
    scores : dict of str to ndarray of float, shape (n_read,)
        For each ranking, what tokens are ranked by; ties in random order.
    n_random : int
    rng : numpy.random.RandomState

    Yields
    ------
    sample : int
        The text.
    ranking : str
    orders : list of ndarray of int
        Of a text's read tokens, most important first; several of "random".
    """
    for sample in np.unique(read.sample):
        rows = read.rows_of(sample)
        n = rows.stop - rows.start
        for name, of_token in scores.items():
            keys = rng.permutation(n), -of_token[rows]  # by the last
            yield sample, name, [np.lexsort(keys)]
        if n_random:
            yield sample, "random", [rng.permutation(n) for _ in range(n_random)]


def faithfulness(model, read, rankings, probabilities, tokenizer, machine):
    """Measure comprehensiveness and sufficiency of rankings of tokens.

    Parameters
    ----------
    model : TextModel
    read : TokenTable
    rankings : iterable
        As :func:`rank_tokens` yields them.
    probabilities : callable
        From logits to probabilities, both (n_texts, n_classes).
    tokenizer : TextTokenizer
    machine : dict
        "device" and "dtype".

    Returns
    -------
    dict of ndarray, each (n_rows,)
    """
    versions, rows = ErasedTexts(), []
    for sample, name, orders in rankings:
        body = read.bodies[sample][read.place[read.rows_of(sample)]]
        erased = [
            versions.erase(body, order, -(-percent * len(body) // 100))
            for order in orders
            for percent in PERCENTAGES
        ]
        rows.append((sample, name, versions.add(body), erased))
    falls = np.zeros((len(rows), 2))
    if rows:
        logits = run(model, split_into_windows(versions.bodies, tokenizer), **machine)
        proba = probabilities(logits.astype(np.float64))
        for i, (_, _, whole, erased) in enumerate(rows):
            of_class = proba[:, proba[whole].argmax()]
            falls[i] = (of_class[whole] - of_class[np.array(erased)]).mean(axis=0)
    return {
        "sample": np.array([row[0] for row in rows], dtype=np.int64),
        "ranking": np.array([row[1] for row in rows], dtype=object),
        "comprehensiveness": falls[:, 0],
        "sufficiency": falls[:, 1],
    }


class ErasedTexts:
    """Texts with tokens erased, as arrays of ids; equal ones are kept once."""

    def __init__(self):
        self.bodies = []
        self._where = {}

    def add(self, body):
        """Return which of the bodies it is."""
        where = self._where.setdefault(body.tobytes(), len(self._where))
        if where == len(self.bodies):
            self.bodies.append(body)
        return where

    def erase(self, body, order, count):
        """Add it without the first `count` of an order, and with these alone."""
        first, rest = np.sort(order[:count]), np.sort(order[count:])
        return self.add(body[rest]), self.add(body[first])
