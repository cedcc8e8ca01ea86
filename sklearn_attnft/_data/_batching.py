# SPDX-License-Identifier: BSD-3-Clause
"""Batches of texts of similar length, to avoid padding."""

import numpy as np
import torch

# The texts of an epoch are divided into random pools of this many batches. The texts of
# each pool are sorted by length, so batches have little padding but remain random.
BATCHES_PER_POOL = 50
# Fixed cost of a batch, as a fraction of the cost of a full batch. Padding up to this
# cost is accepted if it reduces the number of batches by one. (On the CPU, a token
# takes 14 % longer in batches of 256 tokens than in batches of 2048.)
BATCH_OVERHEAD = 1 / 32
# Padded tokens per prediction batch. Larger batches are not faster on the CPU, because
# their activations do not fit into the CPU caches and are allocated and freed for each
# batch. A GPU needs larger batches to be used fully.
TOKENS_PER_BATCH = {"cpu": 2048, "cuda": 65536}


def tokens_per_batch(device):
    """Return the maximum number of tokens in a prediction batch, with padding."""
    return TOKENS_PER_BATCH.get(device.type, TOKENS_PER_BATCH["cpu"])


def sorted_batches(tokens, budget):
    """Return batches of at most `budget` tokens, longest texts first.

    The longest texts come first, so that if memory is too small, the first batch fails.
    A text with more than `budget` tokens forms a batch by itself.

    Parameters
    ----------
    tokens : TokenizedTexts
    budget : int
        Maximum number of tokens per batch, with padding.

    Returns
    -------
    list of ndarray of int64
        Indices of the texts of each batch. Each text is in exactly one batch.
    """
    n_windows = np.diff(tokens.text_starts)
    longest = tokens.longest_windows
    order = np.lexsort((-n_windows, -longest))
    lengths, starts = np.unique(-longest[order], return_index=True)
    rows = np.add.reduceat(n_windows[order], starts)
    batches = []
    for first, last in _group_lengths(-lengths, rows, budget):
        stop = starts[last] if last < len(starts) else len(order)
        group = order[starts[first] : stop]
        batches += _split(group, n_windows, budget // longest[group[0]])
    return batches


def _group_lengths(lengths, rows, budget):
    """Divide window lengths into groups, to get few batches with little padding.

    The windows of a group are padded to the longest length of the group. Each group has
    consecutive lengths. Dynamic programming finds the division with the lowest cost.
    The cost is the number of tokens, with padding, plus a constant for each batch.

    Parameters
    ----------
    lengths : ndarray of int, shape (n_lengths,)
        Distinct lengths, in decreasing order.
    rows : ndarray of int, shape (n_lengths,)
        Number of windows of each length.
    budget : int

    Returns
    -------
    list of (int, int)
        Start and stop index of each group in `lengths`.
    """
    n, overhead = len(lengths), budget * BATCH_OVERHEAD
    least, stops = np.zeros(n + 1), np.zeros(n, dtype=int)
    for first in range(n - 1, -1, -1):  # least[first + 1 :] is final
        n_tokens = lengths[first] * np.cumsum(rows[first:])
        costs = n_tokens + overhead * np.ceil(n_tokens / budget) + least[first + 1 :]
        stops[first] = first + 1 + costs.argmin()
        least[first] = costs.min()
    groups, first = [], 0
    while first < n:
        groups.append((first, stops[first]))
        first = stops[first]
    return groups


def _split(texts, n_windows, n_rows):
    """Split texts into batches of at most `n_rows` windows.

    A text with more than `n_rows` windows forms a batch by itself.
    """
    batches, start, rows = [], 0, 0
    for stop, index in enumerate(texts):
        rows += n_windows[index]
        if stop > start and rows > n_rows:
            batches.append(texts[start:stop])
            start, rows = stop, n_windows[index]
    return [*batches, texts[start:]]


def shuffled_batches(lengths, batch_size, generator):
    """Return random batches of texts of similar length.

    Parameters
    ----------
    lengths : ndarray of int, shape (n_texts,)
        Number of tokens of each text.
    batch_size : int
    generator : torch.Generator

    Returns
    -------
    list of ndarray of int64
        Indices of the texts of each batch. There are ``ceil(n_texts / batch_size)``
        batches, and each text is in exactly one of them.
    """
    order = torch.randperm(len(lengths), generator=generator).numpy()
    batches = []
    pool_size = BATCHES_PER_POOL * batch_size
    for start in range(0, len(order), pool_size):
        pool = order[start : start + pool_size]
        pool = pool[np.argsort(lengths[pool], kind="stable")]
        batches += [pool[i : i + batch_size] for i in range(0, len(pool), batch_size)]
    return [batches[i] for i in torch.randperm(len(batches), generator=generator)]
