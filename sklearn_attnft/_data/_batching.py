# SPDX-License-Identifier: BSD-3-Clause
"""Which texts share a batch: texts of similar length, to avoid padding."""

import numpy as np
import torch

# Training batches are cut from shuffled pools of this many batches, sorted by length
# inside a pool: nearly no padding, and still random company for every text.
POOL = 50
# What a batch costs beside its tokens, as a share of the budget: so much padding is
# worth a batch less. (On the CPU 256 tokens take a seventh longer than in one of 2048.)
OVERHEAD = 1 / 32
# Padded tokens of a prediction batch. On the CPU more is not faster (the products are
# large enough, the activations leave the caches, and their memory is taken from the
# system and given back each time); a GPU wants larger pieces.
TOKENS_PER_BATCH = {"cpu": 2048, "cuda": 65536}


def tokens_per_batch(device):
    """Return the budget of padded tokens of a prediction batch on `device`."""
    return TOKENS_PER_BATCH.get(device.type, TOKENS_PER_BATCH["cpu"])


def sorted_batches(tokens, budget):
    """Cut the texts, longest first, into batches of at most `budget` padded tokens.

    Longest first: a batch that does not fit the device's memory fails at once. A text
    of more tokens than the budget is a batch of its own.

    Parameters
    ----------
    tokens : TokenizedTexts
    budget : int

    Returns
    -------
    list of ndarray of int64
        Indices of the texts of each batch; together every text once.
    """
    n_windows = np.diff(tokens.text_starts)
    longest = tokens.longest_windows
    order = np.lexsort((-n_windows, -longest))
    lengths, starts = np.unique(-longest[order], return_index=True)
    rows = np.add.reduceat(n_windows[order], starts)
    batches = []
    for first, last in _runs(-lengths, rows, budget):
        stop = starts[last] if last < len(starts) else len(order)
        run = order[starts[first] : stop]
        batches += _within(budget // longest[run[0]], run, n_windows)
    return batches


def _runs(lengths, rows, budget):
    """Choose which lengths are padded to the longest of them, at the least cost.

    Parameters
    ----------
    lengths : ndarray of int, shape (n_lengths,)
        Falling.
    rows : ndarray of int, shape (n_lengths,)
        How many windows have each.
    budget : int

    Returns
    -------
    list of (int, int)
        From which length on, up to which.
    """
    n, overhead = len(lengths), budget * OVERHEAD
    least, after = np.zeros(n + 1), np.zeros(n, dtype=int)
    for first in range(n - 1, -1, -1):  # what the rest costs is known
        n_tokens = lengths[first] * np.cumsum(rows[first:])
        costs = n_tokens + overhead * np.ceil(n_tokens / budget) + least[first + 1 :]
        after[first] = first + 1 + costs.argmin()
        least[first] = costs.min()
    runs, first = [], 0
    while first < n:
        runs.append((first, after[first]))
        first = after[first]
    return runs


def _within(n_rows, texts, n_windows):
    """Cut texts into batches of at most `n_rows` windows, or of one text."""
    batches, start, rows = [], 0, 0
    for stop, index in enumerate(texts):
        rows += n_windows[index]
        if stop > start and rows > n_rows:
            batches.append(texts[start:stop])
            start, rows = stop, n_windows[index]
    return [*batches, texts[start:]]


def shuffled_batches(lengths, batch_size, generator):
    """Cut the texts into random batches of texts of like length.

    Parameters
    ----------
    lengths : ndarray of int, shape (n_texts,)
    batch_size : int
    generator : torch.Generator

    Returns
    -------
    list of ndarray of int64
        ``ceil(n_texts / batch_size)`` batches; together every text once.
    """
    order = torch.randperm(len(lengths), generator=generator).numpy()
    batches = []
    for start in range(0, len(order), POOL * batch_size):
        pool = order[start : start + POOL * batch_size]
        pool = pool[np.argsort(lengths[pool], kind="stable")]
        batches += [pool[i : i + batch_size] for i in range(0, len(pool), batch_size)]
    return [batches[i] for i in torch.randperm(len(batches), generator=generator)]
