# SPDX-License-Identifier: BSD-3-Clause
"""Weights in safetensors: nothing is read before its header is known to fit.

A header may declare any tensor under any name. So names, types and shapes are compared
with those of a module without memory, and their sum with the size of the file.
"""

import io
import json
import math
import os

import torch
from safetensors import SafetensorError
from safetensors.torch import load

# What safetensors calls the types that modules have, and their bytes.
TYPES = {
    torch.float16: ("F16", 2),
    torch.bfloat16: ("BF16", 2),
    torch.float32: ("F32", 4),
    torch.float64: ("F64", 8),
    torch.uint8: ("U8", 1),
    torch.int8: ("I8", 1),
    torch.int16: ("I16", 2),
    torch.int32: ("I32", 4),
    torch.int64: ("I64", 8),
    torch.bool: ("BOOL", 1),
}
LONGEST_HEADER = 2**24  # bytes


def layout_of(state_dict):
    """Return type and shape of each tensor, as a header declares them."""
    return {
        name: (TYPES[tensor.dtype][0], list(tensor.shape))
        for name, tensor in state_dict.items()
    }


def read_weights(stored, layout, there=None):
    """Read weights that have this layout.

    Parameters
    ----------
    stored : bytes or binary file
    layout : dict
        See :func:`layout_of`.
    there : dict or None
        From name to tensor: what need not be stored.

    Returns
    -------
    dict
        A tensor for each name in `layout`.

    Raises
    ------
    ValueError
        If the file is none of safetensors, or has another layout.
    """
    file = io.BytesIO(stored) if isinstance(stored, bytes) else stored
    name = os.path.basename(getattr(file, "name", "the pickle"))
    declared = _header(file, name)
    have = {**layout_of(there or {}), **declared}
    wanted = {**dict.fromkeys(declared), **layout}
    wrong = [each for each, what in wanted.items() if have.get(each) != what]
    if wrong:
        raise ValueError(
            f"{name} does not hold the weights that its configuration calls for ("
            f"{len(wrong)} are absent, of another shape or not called for: "
            f"{', '.join(wrong[:3])!r:.200}): the files do not belong together. Save "
            "the estimator again."
        )
    try:
        weights = load(file.read())
    except SafetensorError as error:
        raise ValueError(f"{name} is damaged: {error}. Save it again.") from error
    return {each: weights[each] if each in weights else there[each] for each in layout}


def _header(file, name):
    """Return what a file declares of each tensor: type and shape."""
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    length = int.from_bytes(file.read(8), "little")
    try:
        if not 2 <= length <= min(size - 8, LONGEST_HEADER):
            raise ValueError(f"a header of {length} bytes in a file of {size}")
        header = json.loads(file.read(length))
        header.pop("__metadata__", None)
        declared = {each: (e["dtype"], e["shape"]) for each, e in header.items()}
        n_bytes = dict(TYPES.values())
        total = sum(n_bytes[d] * math.prod(shape) for d, shape in declared.values())
        if total != size - 8 - length:
            raise ValueError(f"{total} bytes declared, {size - 8 - length} there")
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ValueError(
            f"{name} is no whole file of safetensors ({type(error).__name__}: "
            f"{error!s:.200}). Save or copy the estimator again."
        ) from error
    file.seek(0)
    return declared
