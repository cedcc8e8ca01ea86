# SPDX-License-Identifier: BSD-3-Clause
"""Read weights in the safetensors format, after a check of their layout.

A layout consists of the names, types and shapes of tensors. A damaged file may declare
any tensor under any name. So before a tensor is read, the layout of the file is
compared with the layout of a module without weights (on the meta device).
"""

import math
import os

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load

from .._utils._messages import shorten

# Maps each dtype of torch to its name in safetensors.
TYPES = {
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.float32: "F32",
    torch.float64: "F64",
    torch.uint8: "U8",
    torch.int8: "I8",
    torch.int16: "I16",
    torch.int32: "I32",
    torch.int64: "I64",
    torch.bool: "BOOL",
}


_N_BYTES = {name: torch.empty(0, dtype=d).element_size() for d, name in TYPES.items()}
HEADER, HEADER_PER_TENSOR = 2**16, 2**10  # largest sizes of a header, in bytes


def layout_of(state_dict):
    """Return the type (as named in safetensors) and the shape of each tensor."""
    return {
        name: (TYPES.get(tensor.dtype), list(tensor.shape))
        for name, tensor in state_dict.items()
    }


def read_weights(stored, layout, base=None):
    """Return the weights in a file or in bytes, after a check of their layout.

    Parameters
    ----------
    stored : bytes or StoredFile
        Weights in the safetensors format.
    layout : dict
        Expected type and shape of each tensor, as returned by :func:`layout_of`.
    base : dict or None
        Maps names to weights of the pretrained encoder. Weights that are missing in
        `stored` are taken from `base`.

    Returns
    -------
    dict
        A tensor for each name in `layout`.

    Raises
    ------
    ValueError
        If `stored` is not a complete safetensors file, or if `stored` and `base`
        together do not have this layout.
    """
    base = base or {}
    is_bytes = isinstance(stored, bytes)
    name = "the pickle" if is_bytes else os.path.basename(stored.name)
    wanted = layout, layout_of(base)
    try:
        if is_bytes:
            # If the input is bytes, safetensors cannot read only the header. But a
            # false header cannot exhaust the memory, because `load` compares the header
            # with the number of bytes, and does not copy more than these bytes.
            weights = load(stored)
            _check_layout(name, layout_of(weights), *wanted)
        else:
            with (
                stored.verified(_max_size(layout)),
                safe_open(stored.name, framework="pt") as file,
            ):
                declared = _declared(file)
                _check_layout(name, declared, *wanted)
                # Copy the tensors. They are views of the file, which may change later.
                weights = {key: file.get_tensor(key).clone() for key in declared}
    except SafetensorError as error:
        raise ValueError(
            f"{name} must be a complete safetensors file, but reading it failed ("
            f"{shorten(error, 200, str)}). Save or copy the estimator again."
        ) from error
    return {key: weights[key] if key in weights else base[key] for key in layout}


def _max_size(layout):
    """Return the largest size in bytes of a file with this layout."""
    n_bytes = sum(_N_BYTES[kind] * math.prod(shape) for kind, shape in layout.values())
    return n_bytes + HEADER + HEADER_PER_TENSOR * len(layout)


def _declared(file):
    """Return the type and the shape of each tensor in an open safetensors file."""
    names = file.keys()
    slices = {name: file.get_slice(name) for name in names}
    return {name: (s.get_dtype(), s.get_shape()) for name, s in slices.items()}


def _check_layout(name, declared, layout, layout_of_base):
    """Raise ValueError if stored and base tensors together do not have the layout."""
    found = layout_of_base | declared
    names = layout | declared  # a tensor that is not in the layout is wrong as well
    wrong = [key for key in names if found.get(key) != layout.get(key)]
    if wrong:
        raise ValueError(
            f"{name} must have the weights that its configuration requires, but "
            f"{len(wrong)} weights are missing, are not required, or have a wrong "
            f"shape or type ({shorten(', '.join(wrong[:3]), 200)}). The weights and "
            "the configuration do not belong together. Save the estimator again."
        )
