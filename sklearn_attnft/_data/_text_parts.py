# SPDX-License-Identifier: BSD-3-Clause
"""Read texts in parts from containers that do not store texts as str.

Such containers read texts from a file when they are indexed, or store all texts in one
block of memory. Examples are columns of the packages datasets and pyarrow,
memory-mapped arrays, and arrays of ``StringDType``. A list of all texts would need
several times as much memory as the container.
"""

from collections.abc import Sequence

import numpy as np
from sklearn.utils import _safe_indexing

from ._text_advice import BYTES
from ._tokens import CHUNK_SIZE


class TextParts:
    """The texts of a container, as lists of at most ``CHUNK_SIZE`` checked texts.

    Each iteration over the parts reads the container again.

    Parameters
    ----------
    X : array-like of str, shape (n_samples,)
    check : callable
        Function that checks a part of `X` and returns its texts as a list.
    """

    def __init__(self, X, check):
        self._X = X
        self._check = check

    def __len__(self):
        return len(self._X)

    def __iter__(self):
        for start in range(0, len(self), CHUNK_SIZE):
            stop = min(start + CHUNK_SIZE, len(self))
            yield self._check(_safe_indexing(self._X, slice(start, stop)))


def check_in_parts(X, check):
    """Check the texts of an argument of ``predict`` or ``transform``.

    Parameters
    ----------
    X : object
    check : callable
        Function that checks `X`, or a part of it, and returns its texts as a list.

    Returns
    -------
    list or TextParts
        ``TextParts`` if `X` is long and does not store its texts as str, else a list.
    """
    if _holds_str(X) or len(X) <= CHUNK_SIZE:
        return check(X)
    parts = TextParts(X, check)
    try:
        for _ in parts:
            pass
    except Exception:
        # Either a text is invalid, and check(X) raises an error with its position in X,
        # or X does not support slices.
        return check(X)
    return parts


def _holds_str(X):
    """Return whether the texts of `X` are stored as str."""
    if isinstance(X, (list, tuple, str, *BYTES)):
        return True
    is_array = hasattr(X, "__array__") and np.ndim(X) > 0
    return not isinstance(X, Sequence) and (not is_array or _is_of_objects(X))


def _is_of_objects(X):
    dtype = getattr(X, "dtype", None)
    return isinstance(dtype, np.dtype) and dtype.kind == "O"
