# SPDX-License-Identifier: BSD-3-Clause
"""Convert Python values and numpy arrays to JSON, and back.

Values of JSON types are not changed. Any other value becomes a JSON object that stores
the name of the type under the key "!". A dict also becomes such an object if it
contains the key "!" or a key that is not a str. The object then stores the dict as a
list of (key, value) pairs.
"""

import math
import os
import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from .._utils._messages import shorten

TAG = "!"
MAX_BYTES = 2**30  # for all arrays of an ArrayBudget together
_DTYPE = re.compile(r"[<>|=]?(b1|[iu][1248]|f[248]|U(\d{1,9})|O)")


def encode(value):
    """Convert a value to types that ``json.dumps`` accepts.

    A numpy scalar becomes a plain number or str.

    Raises
    ------
    TypeError
        If :func:`decode` cannot restore a value of this type.
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
    if isinstance(value, range):
        return list(value)
    if isinstance(value, Mapping):  # no parameter uses the default of a defaultdict
        if all(type(key) is str for key in value) and TAG not in value:
            return {key: encode(each) for key, each in value.items()}
        pairs = [[encode(key), encode(each)] for key, each in value.items()]
        return _tagged("dict", pairs)
    if kind is np.ndarray:
        return _encode_array(value)
    if isinstance(value, np.generic) and _DTYPE.fullmatch(value.dtype.str):
        return encode(value.item())
    if isinstance(value, os.PathLike) and isinstance(os.fspath(value), str):
        return _tagged("path", os.fspath(value))
    raise TypeError(
        f"{shorten(value, 80)} (a {kind.__name__}) cannot be written as JSON"
    )


def _tagged(kind, content, **more):
    return {TAG: kind, **more, "of": content}


def _encode_array(array):
    if array.dtype.kind == "U":  # exactly as wide as the longest str
        array = array.astype(f"{array.dtype.str[0]}U{_width(array.reshape(-1))}")
    if not _DTYPE.fullmatch(array.dtype.str):
        raise TypeError(f"an array of type {array.dtype} cannot be written as JSON")
    cells = [encode(cell) for cell in array.reshape(-1).tolist()]
    return _tagged("array", cells, dtype=array.dtype.str, shape=list(array.shape))


class ArrayBudget:
    """A limit on the total memory of the arrays that are decoded from a file.

    Without a limit, a small file could declare arrays that exhaust the memory.
    """

    def __init__(self):
        self.left = MAX_BYTES

    def spend(self, n_bytes):
        """Subtract `n_bytes`. Raise ValueError if the limit is exceeded."""
        self.left -= n_bytes
        if self.left < 0:
            raise ValueError(
                f"the arrays of the file must have at most {MAX_BYTES} bytes in total"
            )


def decode(value, budget=None):
    """Restore a value from the result of :func:`encode`.

    Parameters
    ----------
    value : object
        Value that ``json.loads`` returned.
    budget : ArrayBudget or None
        Memory limit that all values of a file share. If None, a new limit applies only
        to `value`.

    Raises
    ------
    ValueError, TypeError, KeyError
        If `value` is not a possible result of :func:`encode`.
    """
    budget = ArrayBudget() if budget is None else budget
    if isinstance(value, list):
        return [decode(each, budget) for each in value]
    if not isinstance(value, dict):
        return value
    if TAG not in value:
        return {key: decode(each, budget) for key, each in value.items()}
    kind, content = value[TAG], value["of"]
    if kind == "float":
        return float(content)
    if kind == "tuple":
        return tuple(decode(each, budget) for each in content)
    if kind == "dict":
        return {decode(key, budget): decode(each, budget) for key, each in content}
    if kind == "path":
        return Path(content)
    if kind == "array":
        cells = [decode(cell, budget) for cell in content]
        return _decode_array(cells, value["dtype"], value["shape"], budget)
    raise ValueError(f"{shorten(kind, 80)} is not a known type")


def _decode_array(cells, dtype, shape, budget):
    match = _DTYPE.fullmatch(dtype)
    if not match:
        raise ValueError(f"{shorten(dtype, 80)} is not a type of labels or numbers")
    # Check the width before the call of np.dtype, because numpy 1.26 computes a
    # negative size for a huge width.
    if match[2] and int(match[2]) > _width(cells):
        raise ValueError(
            f"the type {dtype} of an array must not be wider than the longest str in "
            "the array"
        )
    dtype = np.dtype(dtype)
    budget.spend(dtype.itemsize * len(cells))
    array = np.empty(len(cells), dtype=dtype)
    for i, cell in enumerate(cells):
        array[i] = cell
    return array.reshape(shape)


def _width(cells):
    """Return the length of the longest str, but at least 1, as in numpy."""
    return max(map(len, cells), default=1) or 1
