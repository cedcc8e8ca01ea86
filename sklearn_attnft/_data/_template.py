# SPDX-License-Identifier: BSD-3-Clause
"""Special tokens and windows of a text, or of a pair of texts.

A text is a str, and a pair is a tuple of two str. After tokenization, a text is an
array, and a pair is a tuple of two arrays.
"""

from dataclasses import dataclass

import numpy as np


def each_text(compute, texts):
    """Apply a function to all texts, including the texts of pairs.

    Parameters
    ----------
    compute : callable
        Takes a list of str and returns a list with one value for each str.
    texts : list of str or of tuple of str

    Returns
    -------
    list
        A value for each text, and a tuple of two values for each pair.
    """
    if not any(isinstance(text, tuple) for text in texts):
        return compute(texts)
    values = iter(compute(flatten(texts)))
    return [
        tuple(next(values) for _ in text) if isinstance(text, tuple) else next(values)
        for text in texts
    ]


def flatten(texts):
    """Return a list of str, in which each pair is replaced by its two texts."""
    return [part for text in texts for part in parts_of(text)]


def parts_of(text):
    """Return a tuple of the one or two texts of a sample."""
    return text if isinstance(text, tuple) else (text,)


@dataclass(frozen=True)
class Template:
    """The special tokens around one text, or around the two texts of a pair.

    Attributes
    ----------
    specials : tuple of ndarray of int32
        Ids of the special tokens. The first array has those before the first text, and
        each other array has those after one of the texts.
    special_types : tuple of ndarray of int32
        Token types of the special tokens, in arrays of the same shapes.
    text_types : tuple of int
        Token type of each text.
    """

    specials: tuple
    special_types: tuple
    text_types: tuple

    @classmethod
    def of(cls, encoding, n_texts):
        """Create the template from an example.

        Parameters
        ----------
        encoding : tokenizers.Encoding
            Encoding of a text or a pair, with special tokens. Each text must have at
            least one token.
        n_texts : int
        """
        ids, types = (np.array(v, np.int32) for v in (encoding.ids, encoding.type_ids))
        owners = [
            -1 if special else owner
            for owner, special in zip(
                encoding.sequence_ids, encoding.special_tokens_mask, strict=True
            )
        ]
        edges, text_types = [0], []
        for i in range(n_texts):
            last = len(owners) - owners[::-1].index(i)
            edges += [owners.index(i), last]
            text_types.append(int(types[last - 1]))
        spans = list(zip(edges[::2], [*edges[1::2], len(ids)], strict=True))
        return cls(
            tuple(ids[start:stop] for start, stop in spans),
            tuple(types[start:stop] for start, stop in spans),
            tuple(text_types),
        )

    def room(self, max_length):
        """Return how many tokens a window can have in addition to special tokens."""
        return max_length - sum(map(len, self.specials))

    def ids(self, parts):
        """Return the token ids of one or two texts, with special tokens."""
        return self._join(parts, self.specials)

    def numbers(self, parts):
        """Join arrays of one number per token, with 0 for each special token."""
        return self._join(parts, [np.zeros_like(each) for each in self.specials])

    def types(self, parts):
        """Return the token types of one or two texts, with special tokens."""
        pairs = zip(parts, self.text_types, strict=True)
        parts = [np.full(len(part), kind, dtype=np.int32) for part, kind in pairs]
        return self._join(parts, self.special_types)

    def _join(self, parts, specials):
        pieces = [specials[0]]
        for part, special in zip(parts, specials[1:], strict=True):
            pieces += [part, special]
        return np.concatenate(pieces)


def cut_parts(parts, room, cut):
    """Split a text or a pair into windows of at most `room` tokens.

    If a pair has more than `room` tokens, its longer text is split, and each window
    contains the shorter text. If the shorter text has more than ``room // 2`` tokens,
    its middle is removed.

    Parameters
    ----------
    parts : tuple of ndarray
        One or two texts.
    room : int
    cut : callable
        Splits the tokens of one text into windows of a given number of tokens.

    Returns
    -------
    list of tuple of ndarray
    """
    if len(parts) == 1:
        return [(window,) for window in cut(parts[0], room)]
    if sum(map(len, parts)) <= room:
        return [parts]
    first, second = parts
    if len(first) > len(second):
        (second,) = truncate_middle(second, room // 2)
        return [(window, second) for window in cut(first, room - len(second))]
    (first,) = truncate_middle(first, room // 2)
    return [(first, window) for window in cut(second, room - len(first))]


def loses_tokens(parts, room, *, is_windowed):
    """Return whether a text or a pair is truncated.

    If texts are split into windows, only the shorter text of a pair can be truncated.
    """
    lengths = [len(part) for part in parts]
    if not is_windowed or len(parts) == 1:
        return not is_windowed and sum(lengths) > room
    return sum(lengths) > room and min(lengths) > room // 2


def truncate_middle(body, room):
    """Return a list of one window, without the middle of a long text.

    If a text has more than `room` tokens, its first and last ``room / 2`` are kept.

    Classifiers of long documents are more accurate if they read the first and last
    tokens instead of only the first tokens (Sun et al. 2019, "How to Fine-Tune BERT for
    Text Classification", section 5.3.1).
    """
    if len(body) <= room:
        return [body]
    tail = room // 2
    return [np.concatenate([body[: room - tail], body[len(body) - tail :]])]


def cut_with_overlap(body, room):
    """Return windows of `room` tokens that overlap by ``room // 4`` tokens."""
    overlap = room // 4
    last = max(len(body) - overlap, 1)
    return [body[i : i + room] for i in range(0, last, room - overlap)]


def cut_without_overlap(body, room):
    """Return windows of `room` tokens that do not overlap."""
    return [body[i : i + room] for i in range(0, max(len(body), 1), room)]
