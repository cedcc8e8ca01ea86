# SPDX-License-Identifier: BSD-3-Clause
"""Ragged tokens and the batches made of them: by length, so that little is padding."""

import dataclasses
from dataclasses import dataclass

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
# Texts tokenised at a time where the tokens are not kept: bounds the memory.
CHUNK = 16384


@dataclass(frozen=True)
class TokenBatch:
    """Tokens of some texts, padded; a text has one row per window.

    Attributes
    ----------
    input_ids : tensor of int64, shape (n_windows, n_tokens)
    attention_mask : tensor of int64, shape (n_windows, n_tokens)
        1 where there is a token, 0 where there is padding.
    windows_per_text : tuple of int or None
        How many consecutive rows belong to each text; None: one row each.
    words : tensor of int64, shape (n_windows, n_tokens), or None
        As in :class:`TokenizedTexts`; 0 where there is padding. Stays on the CPU.
    """

    input_ids: torch.Tensor
    attention_mask: torch.Tensor
    windows_per_text: tuple | None = None
    words: torch.Tensor | None = None

    def __len__(self):
        if self.windows_per_text is None:
            return len(self.input_ids)
        return len(self.windows_per_text)

    def to(self, device):
        """Return the batch on `device`."""
        return TokenBatch(
            self.input_ids.to(device, non_blocking=True),
            self.attention_mask.to(device, non_blocking=True),
            self.windows_per_text,
            self.words,
        )

    def inputs(self):
        """Return the arguments of the modules' ``forward``."""
        return self.input_ids, self.attention_mask, self.windows_per_text


@dataclass(frozen=True)
class TokenizedTexts:
    """Token ids of many texts, unpadded, in one flat array.

    Attributes
    ----------
    ids : ndarray of int32, shape (n_tokens,)
    window_starts : ndarray of int64, shape (n_windows + 1,)
        Where in `ids` each window starts.
    text_starts : ndarray of int64, shape (n_texts + 1,)
        Which is the first window of each text.
    pad_id : int
    words : ndarray of int32, shape (n_tokens,), or None
        The number, from 1, of each token's word in its text; 0 for special tokens.
    """

    ids: np.ndarray
    window_starts: np.ndarray
    text_starts: np.ndarray
    pad_id: int
    words: np.ndarray | None = None

    def __len__(self):
        return len(self.text_starts) - 1

    @property
    def longest_windows(self):
        """Tokens in the longest window of each text, shape (n_texts,)."""
        lengths = np.diff(self.window_starts)
        return np.maximum.reduceat(lengths, self.text_starts[:-1])

    @property
    def n_tokens(self):
        """Tokens of each text, in all its windows, shape (n_texts,)."""
        return np.diff(self.window_starts[self.text_starts])

    def where(self, indices):
        """Return where in `ids` the tokens of some texts are, one after another."""
        starts = self.window_starts[self.text_starts]
        return np.concatenate([np.arange(starts[i], starts[i + 1]) for i in indices])

    def take(self, indices):
        """Return some of the texts, each of which must be one window."""
        starts = self.window_starts[indices]
        lengths = self.window_starts[np.add(indices, 1)] - starts
        before = np.cumsum(lengths) - lengths
        where = np.arange(lengths.sum()) + np.repeat(starts - before, lengths)
        return TokenizedTexts(
            ids=self.ids[where],
            window_starts=np.cumsum([0, *lengths]),
            text_starts=np.arange(len(indices) + 1),
            pad_id=self.pad_id,
            words=None if self.words is None else self.words[where],
        )

    def windows_of(self, indices):
        """Return the windows of some texts, each as a text of its own."""
        starts = self.text_starts
        windows = [np.arange(starts[i], starts[i + 1]) for i in indices]
        each = np.arange(len(self.window_starts))
        apart = dataclasses.replace(self, text_starts=each)
        return apart.take(np.concatenate(windows))

    def batch(self, indices):
        """Pad some texts into a :class:`TokenBatch`, in the order of `indices`."""
        spans = [
            slice(self.window_starts[w], self.window_starts[w + 1])
            for i in indices
            for w in range(self.text_starts[i], self.text_starts[i + 1])
        ]
        n_tokens = np.array([span.stop - span.start for span in spans])
        mask = (np.arange(n_tokens.max()) < n_tokens[:, None]).astype(np.int64)
        counts, words = None, None
        if len(spans) > len(indices):
            counts = tuple(np.diff(self.text_starts)[indices].tolist())
        if self.words is not None:
            words = _pad(self.words, spans, mask.shape, 0)
        ids = _pad(self.ids, spans, mask.shape, self.pad_id)
        return TokenBatch(ids, torch.from_numpy(mask), counts, words)


def _pad(values, spans, shape, filler):
    """Lay spans of a flat array under one another, as a tensor of int64."""
    padded = np.full(shape, filler, dtype=np.int64)
    for row, span in zip(padded, spans, strict=True):
        row[: span.stop - span.start] = values[span]
    return torch.from_numpy(padded)


def tokenize(texts, tokenizer, *, cut=None, with_words=False):
    """Tokenise texts and say which of them are longer than one window.

    Parameters
    ----------
    texts : list of str
    tokenizer : TextTokenizer
    cut : callable or None
        From the tokens of a text and the room in a window to windows; None: as
        ``tokenizer.long_texts`` says.
    with_words : bool
        Also keep which word each token is of.

    Returns
    -------
    tokens : TokenizedTexts
    is_long : ndarray of bool, shape (n_texts,)
    """
    bodies = tokenizer.encode(texts)
    words = tokenizer.words(texts) if with_words else None
    tokens = pack(bodies, tokenizer, cut=cut, words=words)
    return tokens, np.array([len(body) > tokenizer.room for body in bodies])


def pack(bodies, tokenizer, *, cut=None, words=None):
    """Cut the tokens of texts into windows, with special tokens around each.

    Parameters
    ----------
    bodies : list of ndarray of int, each (n_tokens,)
        Of each text, none special.
    tokenizer : TextTokenizer
    cut : callable or None
        As :func:`tokenize` takes it.
    words : list of ndarray of int, each (n_tokens,), or None
        A number, from 1, for each token, to be cut as they are.

    Returns
    -------
    TokenizedTexts
    """
    if cut is None:
        cut = cut_into_windows if tokenizer.long_texts == "window" else cut_the_middle
    windows = [cut(body, tokenizer.room) for body in bodies]
    ends, filler = (tokenizer.prefix, tokenizer.suffix), tokenizer.filler_id
    ids, lengths = _flatten(windows, *ends, filler)
    if words is not None:
        numbers = [cut(body, tokenizer.room) for body in words]
        words, _ = _flatten(numbers, *([0] * len(end) for end in ends), 0)
    return TokenizedTexts(
        ids=ids,
        window_starts=np.cumsum([0, *lengths]),
        text_starts=np.cumsum([0, *map(len, windows)]),
        pad_id=tokenizer.pad_id,
        words=words,
    )


def _flatten(windows, prefix, suffix, filler):
    """Put all windows of all texts into one array; return it and their lengths.

    What would be empty, a text without tokens if none are special, is the filler.
    """
    ends = np.array(prefix, dtype=np.int32), np.array(suffix, dtype=np.int32)
    flat = [
        np.concatenate([ends[0], part, ends[1]]) for parts in windows for part in parts
    ]
    flat = [part if len(part) else np.array([filler], dtype=np.int32) for part in flat]
    return np.concatenate(flat), [len(part) for part in flat]


def chunks(texts):
    """Yield consecutive parts of a list, each small enough to be tokenised at once."""
    for start in range(0, len(texts), CHUNK):
        yield texts[start : start + CHUNK]


def fraction_longer(texts, tokenizer):
    """Return the share of the texts that do not fit one window."""
    longer = 0
    for part in chunks(texts):
        longer += sum(len(body) > tokenizer.room for body in tokenizer.encode(part))
    return longer / len(texts)


def cut_the_middle(body, room):
    """Keep the first and the last half of `room` tokens; return one window.

    Beginning and end tell more of a document than its first tokens alone (Sun et al.
    2019, "How to Fine-Tune BERT for Text Classification", section 5.3.1).
    """
    if len(body) <= room:
        return [body]
    tail = room // 2
    return [np.concatenate([body[: room - tail], body[len(body) - tail :]])]


def cut_into_windows(body, room):
    """Cut into windows of `room` tokens, each a quarter over the one before it."""
    overlap = room // 4
    last = max(len(body) - overlap, 1)
    return [body[i : i + room] for i in range(0, last, room - overlap)]


def cut_apart(body, room):
    """Cut into windows of `room` tokens that do not overlap."""
    return [body[i : i + room] for i in range(0, max(len(body), 1), room)]


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
