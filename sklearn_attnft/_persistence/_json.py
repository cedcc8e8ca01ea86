# SPDX-License-Identifier: BSD-3-Clause
"""Python and numpy values in JSON, exactly: what is decoded has the types of before.

What JSON has is itself. Anything else is an object with the key "!", which says what it
is; a dict that has this key, or keys that are not str, is written as pairs. An array of
str comes back as wide as its longest: more width would be memory that is not written.
"""

import json
import math
import os
import re
from pathlib import Path

import numpy as np

TAG = "!"
MOST_BYTES = 2**30  # of all arrays that are decoded with one Room
_DTYPE = re.compile(r"[<>|=]?(b1|[iu][1248]|f[248]|U\d{1,9}|O)")


def encode(value):
    """Turn a value into what ``json.dumps`` takes.

    Raises
    ------
    TypeError
        If it could not be had back as it is.
    """
    kind = type(value)
    if value is None or kind in (bool, int, str):
        return value
    if kind is float:
        return value if math.isfinite(value) else _tagged("float", repr(value))
    if kind is list:
        return [encode(each) for each in value]
    if kind is tuple:
        return _tagged("tuple", [encode(each) for each in value])
    if kind in (set, frozenset):
        return _tagged(kind.__name__, sorted(map(encode, value), key=json.dumps))
    if kind is dict:
        if all(type(key) is str for key in value) and TAG not in value:
            return {key: encode(each) for key, each in value.items()}
        pairs = [[encode(key), encode(each)] for key, each in value.items()]
        return _tagged("dict", pairs)
    if kind is np.ndarray or isinstance(value, np.generic):
        return _encode_numpy(value)
    if isinstance(value, os.PathLike) and isinstance(os.fspath(value), str):
        return _tagged("path", os.fspath(value))
    raise TypeError(f"{value!r:.80} (a {kind.__name__}) cannot be written as JSON")


def _tagged(kind, of, **more):
    return {TAG: kind, **more, "of": of}


def _encode_numpy(value):
    """Encode an array or a scalar, which is an array without dimensions."""
    array = np.asarray(value)
    if array.dtype.kind == "U":
        array = array.astype(f"{array.dtype.str[0]}U{_width(array.reshape(-1))}")
    if not _DTYPE.fullmatch(array.dtype.str):
        raise TypeError(f"numbers of type {array.dtype} cannot be written as JSON")
    cells = [encode(cell) for cell in array.reshape(-1).tolist()]
    if isinstance(value, np.generic):
        return _tagged("scalar", cells[0], dtype=array.dtype.str)
    return _tagged("array", cells, dtype=array.dtype.str, shape=list(array.shape))


class Room:
    """Memory that arrays may still take: a few bytes can ask for much of it."""

    def __init__(self):
        self.left = MOST_BYTES

    def take(self, n_bytes):
        """Take memory; refuse what is too much."""
        self.left -= n_bytes
        if self.left < 0:
            raise ValueError(f"arrays of more than {MOST_BYTES} bytes are too large")


def decode(value, room=None):
    """Turn back what :func:`encode` made.

    Parameters
    ----------
    value : object
        As ``json.loads`` gives it.
    room : Room or None
        For all values of one file; None: the value is alone.

    Raises
    ------
    ValueError, TypeError, KeyError
        If it made no such thing.
    """
    room = Room() if room is None else room
    if isinstance(value, list):
        return [decode(each, room) for each in value]
    if not isinstance(value, dict):
        return value
    if TAG not in value:
        return {key: decode(each, room) for key, each in value.items()}
    kind = value[TAG]
    if kind not in _DECODERS:
        raise ValueError(f"{kind!r:.80} is no kind of value")
    return _DECODERS[kind](value, room)


def _cells(value, room):
    return [decode(each, room) for each in value["of"]]


def _pairs(value, room):
    return {decode(key, room): decode(each, room) for key, each in value["of"]}


def _decode_array(value, room):
    of = value["of"] if value[TAG] == "array" else [value["of"]]
    if not _DTYPE.fullmatch(value["dtype"]):
        raise ValueError(f"{value['dtype']!r:.80} is no type of labels or numbers")
    dtype = np.dtype(value["dtype"])
    cells = [decode(cell, room) for cell in of]
    if dtype.kind == "U" and dtype.itemsize > 4 * _width(cells):
        raise ValueError(f"cells of type {dtype} are wider than the longest of them")
    room.take(dtype.itemsize * len(cells))
    array = np.empty(len(cells), dtype=dtype)
    for i, cell in enumerate(cells):
        array[i] = cell
    return array.reshape(value["shape"]) if value[TAG] == "array" else array[0]


def _width(cells):
    """Return the characters of the longest str; numpy has none of less than one."""
    return max(map(len, cells), default=1) or 1


_DECODERS = {
    "float": lambda value, room: float(value["of"]),
    "tuple": lambda value, room: tuple(_cells(value, room)),
    "set": lambda value, room: set(_cells(value, room)),
    "frozenset": lambda value, room: frozenset(_cells(value, room)),
    "dict": _pairs,
    "path": lambda value, room: Path(value["of"]),
    "array": _decode_array,
    "scalar": _decode_array,
}
