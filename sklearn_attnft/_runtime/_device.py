# SPDX-License-Identifier: BSD-3-Clause
"""Device, precision and memory of a computation."""

import contextlib
import ctypes
import os
import sys
import threading

import torch

from .._utils._process import ForkableLock, in_float32

NO_MEMORY = ("DefaultCPUAllocator:", "out of memory", "ALLOC_FAILED")
_MOVING = ForkableLock()
# The process that imported this: a forked child has another number.
_process = os.getpid()


def use_one_thread_after_fork():
    """Compute in one thread from now on, if this process was forked.

    The threads of OpenMP's pool are not there in a child, which would wait for them
    for ever (a limit of GNU's OpenMP, which torch is built with).
    """
    global _process
    if os.getpid() != _process:
        torch.set_num_threads(1)
        _process = os.getpid()


def resolve_device(device):
    """Turn the parameter `device` into a ``torch.device`` that exists here.

    Raises
    ------
    ValueError
        If `device` is no name of a device, or none such is on this machine.
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        chosen = torch.device(device)
    except RuntimeError as error:
        raise ValueError(
            f"device={device!r} is not a device: use 'auto', 'cpu', 'cuda' or 'cuda:1'."
        ) from error
    there = {
        "cpu": 1,
        "cuda": torch.cuda.device_count(),
        "mps": int(torch.backends.mps.is_available()),
    }.get(chosen.type, 0)
    if (chosen.index or 0) >= there:
        raise ValueError(
            f"device={device!r} was asked for, but this machine has {there} devices "
            f"of type {chosen.type!r} that torch {torch.__version__} can use: set "
            "device='auto' or 'cpu', or install a torch built for the device."
        )
    return chosen


def on_device(model, device):
    """Put a TextModel on `device`; it is not touched if all of it is there.

    ``model.to`` would take the weights of a recurrent layer apart for a moment, while
    another thread may be computing with them. One thread moves, the others wait. A view
    of one label set moves the encoder and its own layers, not those of the others.
    """
    with _MOVING:
        # One parameter of each part: to look at all takes half a millisecond.
        firsts = [next(p.parameters(), None) for p in (model.encoder, *model.tasks)]
        places = [each.device for each in firsts if each is not None]
        if not all(
            here.type == device.type and device.index in (None, here.index)
            for here in places
        ):
            with torch.inference_mode(False):
                model.to(device)


def resolve_dtype(precision, device):
    """Turn the parameter `precision` into the dtype of the matrix products.

    "auto" is bfloat16 only where the hardware multiplies in it: CUDA from Ampere on,
    x86 with AVX512-BF16 or AMX. Elsewhere it would be emulated, far slower than
    float32.
    """
    if precision != "auto":
        return getattr(torch, precision)
    if device.type == "cuda":
        with torch.cuda.device(device):
            native = torch.cuda.is_bf16_supported(including_emulation=False)
    elif device.type == "cpu":
        abilities = torch.cpu.get_capabilities()
        native = abilities.get("avx512_bf16") or abilities.get("amx_bf16")
    else:
        native = False
    return torch.bfloat16 if native else torch.float32


@contextlib.contextmanager
def autocast(device, dtype):
    """Run matrix products in `dtype` for a while, whatever the user's context says."""
    is_lower = dtype != torch.float32
    own = torch.autocast(device.type, dtype=dtype) if is_lower else in_float32(device)
    try:
        with own:
            yield
    finally:
        # Within another one torch would keep the weights that it has cast, and that
        # have learned since.
        torch.clear_autocast_cache()


class _WithoutCudnnAttention:
    """A context in which torch's attention does without cuDNN, in all threads.

    In bfloat16 on some GPUs torch takes cuDNN's, which makes a plan for each new shape
    of a batch (pytorch/pytorch#155958), and batches of texts have many. The switch is
    the process's: the last thread that leaves puts it back. Where a user has left
    nothing but cuDNN on, it stays on.
    """

    def __init__(self):
        self._lock = threading.Lock()
        self._n_inside = 0

    def __enter__(self):
        flags = torch.backends.cuda
        with self._lock:
            if self._n_inside == 0:
                others = (
                    flags.flash_sdp_enabled(),
                    flags.mem_efficient_sdp_enabled(),
                    flags.math_sdp_enabled(),
                )
                self._was_on = flags.cudnn_sdp_enabled() and any(others)
                if self._was_on:
                    flags.enable_cudnn_sdp(False)
            self._n_inside += 1

    def __exit__(self, *error):
        with self._lock:
            self._n_inside -= 1
            if self._n_inside == 0 and self._was_on:
                torch.backends.cuda.enable_cudnn_sdp(True)


_WITHOUT_CUDNN_ATTENTION = _WithoutCudnnAttention()


def without_cudnn_attention(device):
    """Return a context for all that runs an encoder on `device`, backward too."""
    return (
        _WITHOUT_CUDNN_ATTENTION if device.type == "cuda" else contextlib.nullcontext()
    )


def trim_memory():
    """Give the system what is free of the process's memory (Linux with glibc).

    glibc keeps most of what a fit has needed, and joblib takes that for a leak of its
    worker, which it then stops.
    """
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # not in musl
        if trim is not None:
            trim(0)


def is_out_of_memory(error):
    """Tell whether an error says that a device has no memory left."""
    known = isinstance(error, (MemoryError, torch.OutOfMemoryError))
    # The CPU's allocator, mps and some of CUDA's libraries raise a plain RuntimeError.
    return known or any(said in str(error) for said in NO_MEMORY)
