# SPDX-License-Identifier: BSD-3-Clause
"""Tokenize texts, and split long texts into windows."""

import dataclasses
from dataclasses import dataclass

import numpy as np
import torch

from ._template import (
    cut_parts,
    cut_with_overlap,
    loses_tokens,
    parts_of,
    truncate_middle,
)

# Number of texts that are tokenized at a time if their tokens are not stored. The
# limit keeps the memory for the tokens small.
CHUNK_SIZE = 16384


@dataclass(frozen=True)
class TokenBatch:
    """A padded batch of tokenized texts, with one row per window.

    Attributes
    ----------
    input_ids : tensor of int64, shape (n_windows, n_tokens)
    attention_mask : tensor of int64, shape (n_windows, n_tokens)
        0 for padding, else 1 plus the token type of the token. Token types tell the
        texts of a pair apart. For example, BERT gives the tokens of the second text
        the type 1, so their value in this mask is 2.
    windows_per_text : tensor of int64, shape (n_texts,), or None
        Number of consecutive rows of each text. If None, each text has one row. This
        tensor stays on the CPU.
    words : tensor of int64, shape (n_windows, n_tokens), or None
        Word numbers (see :class:`TokenizedTexts`), and 0 for padding. This tensor stays
        on the CPU.
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
        """Return a copy of the batch on `device`."""
        return TokenBatch(
            self.input_ids.to(device, non_blocking=True),
            self.attention_mask.to(device, non_blocking=True),
            self.windows_per_text,
            self.words,
        )

    def inputs(self):
        """Return the arguments for ``forward`` of the modules."""
        return self.input_ids, self.attention_mask, self.windows_per_text


@dataclass(frozen=True)
class TokenizedTexts:
    """Token ids of texts without padding, in one flat array.

    Attributes
    ----------
    ids : ndarray of int32, shape (n_tokens,)
    window_starts : ndarray of int64, shape (n_windows + 1,)
        Position in `ids` of the first token of each window. The last entry is
        ``n_tokens``.
    text_starts : ndarray of int64, shape (n_texts + 1,)
        Index of the first window of each text. The last entry is ``n_windows``.
    pad_id : int
        Id of the padding token.
    words : ndarray of int32, shape (n_tokens,), or None
        Word number of each token: 1 for the tokens of the first word of a text, 2 for
        those of the second word, and so on. Special tokens have the number 0.
    types : ndarray of int32, shape (n_tokens,), or None
        Token type of each token. If None, all types are 0.
    """

    ids: np.ndarray
    window_starts: np.ndarray
    text_starts: np.ndarray
    pad_id: int
    words: np.ndarray | None = None
    types: np.ndarray | None = None

    def __len__(self):
        return len(self.text_starts) - 1

    @property
    def longest_windows(self):
        """Number of tokens in the longest window of each text, shape (n_texts,)."""
        lengths = np.diff(self.window_starts)
        return np.maximum.reduceat(lengths, self.text_starts[:-1])

    @property
    def n_tokens(self):
        """Number of tokens in all windows of each text, shape (n_texts,)."""
        return np.diff(self.window_starts[self.text_starts])

    def token_positions(self, indices):
        """Return the positions in `ids` of all tokens of the texts at `indices`."""
        starts = self.window_starts[self.text_starts]
        return np.concatenate([np.arange(starts[i], starts[i + 1]) for i in indices])

    def take(self, indices):
        """Return the texts at `indices`."""
        first = self.text_starts
        windows = np.concatenate([np.arange(first[i], first[i + 1]) for i in indices])
        starts = self.window_starts[windows]
        lengths = self.window_starts[windows + 1] - starts
        before = np.cumsum(lengths) - lengths
        positions = np.arange(lengths.sum()) + np.repeat(starts - before, lengths)
        return TokenizedTexts(
            ids=self.ids[positions],
            window_starts=np.cumsum([0, *lengths]),
            text_starts=np.cumsum([0, *np.diff(first)[indices]]),
            pad_id=self.pad_id,
            words=None if self.words is None else self.words[positions],
            types=None if self.types is None else self.types[positions],
        )

    def windows_of(self, indices):
        """Return the windows of the texts at `indices`, each as a separate text."""
        texts = self.take(indices)
        return dataclasses.replace(
            texts, text_starts=np.arange(len(texts.window_starts))
        )

    def batch(self, indices):
        """Return the texts at `indices` as a padded :class:`TokenBatch`."""
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
        mask = torch.from_numpy(mask)
        if self.types is not None:
            mask += _pad(self.types, spans, mask.shape, 0)
        ids = _pad(self.ids, spans, mask.shape, self.pad_id)
        return TokenBatch(ids, mask, counts, words)


def _pad(values, spans, shape, filler):
    """Return spans of an array as rows of an int64 tensor, padded with `filler`."""
    padded = np.full(shape, filler, dtype=np.int64)
    for row, span in zip(padded, spans, strict=True):
        row[: span.stop - span.start] = values[span]
    return torch.from_numpy(padded)


def tokenize(texts, tokenizer, *, cut=None, with_words=False):
    """Tokenize texts, and find out which of them are truncated.

    Parameters
    ----------
    texts : list of str or of tuple of str
        Texts, or pairs of texts.
    tokenizer : TextTokenizer
    cut : callable or None, default=None
        Function that splits the tokens of a text into windows. It takes the tokens and
        the number of tokens per window, and returns a list of windows. If None,
        ``tokenizer.long_texts`` determines the function.
    with_words : bool, default=False
        Whether to store word numbers.

    Returns
    -------
    tokens : TokenizedTexts
    is_truncated : ndarray of bool, shape (n_texts,)
        For each text, whether ``tokenizer.long_texts`` leaves out some of its tokens.
    """
    bodies = tokenizer.encode(texts)
    words = tokenizer.words(texts) if with_words else None
    tokens = split_into_windows(bodies, tokenizer, cut=cut, words=words)
    return tokens, np.array([_is_truncated(body, tokenizer) for body in bodies])


def split_into_windows(bodies, tokenizer, *, cut=None, words=None):
    """Split tokens into windows, and add special tokens to each window.

    Parameters
    ----------
    bodies : list of ndarray of int, each (n_tokens,)
        Token ids of each text, without special tokens. A pair is a tuple of two arrays.
    tokenizer : TextTokenizer
    cut : callable or None, default=None
        See :func:`tokenize`.
    words : list of ndarray of int, or None, default=None
        Arrays of the same form as `bodies`, with a number above 0 for each token, such
        as the word number. The numbers are split into windows like the tokens.

    Returns
    -------
    TokenizedTexts
    """
    if cut is None:
        is_windowed = tokenizer.long_texts == "window"
        cut = cut_with_overlap if is_windowed else truncate_middle
    windows = [_cut(body, tokenizer, cut) for body in bodies]
    flat = [(tokenizer.templates[len(w)], w) for each in windows for w in each]
    # The encoder needs at least one token, so an empty window gets the filler token.
    ids = _filled([t.ids(window) for t, window in flat], tokenizer.filler_id)
    types = None
    if any(len(window) == 2 for _, window in flat):
        types = np.concatenate(_filled([t.types(window) for t, window in flat], 0))
        types = types if types.any() else None
    if words is not None:
        numbers = [w for body in words for w in _cut(body, tokenizer, cut)]
        numbers = [t.numbers(w) for (t, _), w in zip(flat, numbers, strict=True)]
        words = np.concatenate(_filled(numbers, 0))
    return TokenizedTexts(
        ids=np.concatenate(ids),
        window_starts=np.cumsum([0, *map(len, ids)]),
        text_starts=np.cumsum([0, *map(len, windows)]),
        pad_id=tokenizer.pad_id,
        words=words,
        types=types,
    )


def _cut(body, tokenizer, cut):
    """Return the windows of a text or a pair, as tuples of arrays."""
    parts = parts_of(body)
    room = tokenizer.templates[len(parts)].room(tokenizer.max_length)
    if room < len(parts):
        raise ValueError(
            f"`max_length` must be at least {tokenizer.max_length - room + len(parts)} "
            f"to read {'pairs of texts' if len(parts) == 2 else 'texts'} with the "
            f"special tokens of this encoder, got {tokenizer.max_length}. Raise "
            "max_length."
        )
    return cut_parts(parts, room, cut)


def _filled(arrays, filler):
    """Replace each empty array in a list by an array that has only `filler`."""
    filler = np.array([filler], dtype=np.int32)
    return [each if len(each) else filler for each in arrays]


def _is_truncated(body, tokenizer):
    parts, is_windowed = parts_of(body), tokenizer.long_texts == "window"
    room = tokenizer.templates[len(parts)].room(tokenizer.max_length)
    return loses_tokens(parts, room, is_windowed=is_windowed)


def chunks(texts):
    """Split a list into consecutive parts of at most ``CHUNK_SIZE`` texts."""
    for start in range(0, len(texts), CHUNK_SIZE):
        yield texts[start : start + CHUNK_SIZE]


def truncated_fraction(texts, tokenizer):
    """Return the fraction of texts that are truncated."""
    n_truncated = 0
    for part in chunks(texts):
        n_truncated += sum(_is_truncated(b, tokenizer) for b in tokenizer.encode(part))
    return n_truncated / len(texts)
