# SPDX-License-Identifier: BSD-3-Clause
"""Tokenized texts, unpadded, and how long texts are cut into windows."""

import dataclasses
from dataclasses import dataclass

import numpy as np
import torch

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
    windows_per_text : tensor of int64, shape (n_texts,), or None
        Number of consecutive rows of each text. If None, each text has one row. It
        stays on the CPU.
    words : tensor of int64, shape (n_windows, n_tokens), or None
        As in :class:`TokenizedTexts`; 0 where there is padding. Stays on the CPU.
    """

    input_ids: torch.Tensor
    attention_mask: torch.Tensor
    windows_per_text: torch.Tensor | None = None
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
            counts = torch.from_numpy(np.diff(self.text_starts)[indices])
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
    is_truncated : ndarray of bool, shape (n_texts,)
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


def truncated_fraction(texts, tokenizer):
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
