# SPDX-License-Identifier: BSD-3-Clause
"""Device, precision and memory of a computation."""

import contextlib
import ctypes
import os
import sys
from dataclasses import dataclass

import torch

from .._utils._process import ForkableLock, in_float32

# Phrases in error messages of torch that mean that memory has run out.
NO_MEMORY = ("DefaultCPUAllocator:", "out of memory", "ALLOC_FAILED")
_MOVING = ForkableLock()
# Id of the process that imported this module. A forked process has another id.
_process = os.getpid()


@dataclass(frozen=True)
class Machine:
    """Device and precision of a computation.

    Attributes
    ----------
    device : torch.device
    dtype : torch.dtype
        Data type of the encoder's matrix products.
    """

    device: torch.device
    dtype: torch.dtype

    @classmethod
    def of(cls, settings):
        """Create a Machine from the parameters `device` and `precision`."""
        device = resolve_device(settings.device)
        return cls(device, resolve_dtype(settings.precision, device))


def use_one_thread_after_fork():
    """Limit torch to one thread if this process was forked.

    A forked process does not have the threads of OpenMP's pool and would wait forever
    for these threads. This is a limitation of GNU's OpenMP, which torch uses.
    """
    global _process
    if os.getpid() != _process:
        torch.set_num_threads(1)
        _process = os.getpid()


def resolve_device(device):
    """Return the parameter `device` as a ``torch.device`` of this machine.

    Raises
    ------
    ValueError
        If `device` is not the name of a device, or not a device of this machine.
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        chosen = torch.device(device)
    except RuntimeError as error:
        raise ValueError(
            "`device` must be a device such as 'auto', 'cpu', 'cuda' or 'cuda:1', got "
            f"{device!r}."
        ) from error
    n_devices = {
        "cpu": 1,
        "cuda": torch.cuda.device_count(),
        "mps": int(torch.backends.mps.is_available()),
    }.get(chosen.type, 0)
    if (chosen.index or 0) >= n_devices:
        raise ValueError(
            f"`device` must be a device of this machine, got {device!r}. Torch "
            f"{torch.__version__} can use {n_devices} devices of type {chosen.type!r}. "
            "Set device='auto' or 'cpu', or install a torch build for this device."
        )
    return chosen


def on_device(model, device):
    """Move a TextModel to `device`, unless all weights are already on `device`.

    During ``model.to``, the weights of a recurrent layer are incomplete, and another
    thread may compute with these weights. So only one thread moves the model, and other
    threads wait. If `model` is a view of one task of a larger model, the layers of the
    other tasks are not moved.
    """
    with _MOVING:
        # Checking all parameters takes half a millisecond, so one parameter of the
        # encoder and of each task is checked.
        firsts = [next(p.parameters(), None) for p in (model.encoder, *model.tasks)]
        places = [each.device for each in firsts if each is not None]
        if not all(
            here.type == device.type and device.index in (None, here.index)
            for here in places
        ):
            with torch.inference_mode(False):
                model.to(device)


def resolve_dtype(precision, device):
    """Return the dtype of the matrix products for the parameter `precision`.

    "auto" is bfloat16 if the hardware supports bfloat16, and otherwise float32. CUDA
    devices since Ampere and x86 with AVX512-BF16 or AMX support bfloat16. On other
    hardware, bfloat16 is emulated and much slower than float32.
    """
    if precision not in ("auto", "float32", "bfloat16"):
        raise ValueError(
            f"`precision` must be 'auto', 'float32' or 'bfloat16', got {precision!r}. "
            "Use one of these."
        )
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
    """Run matrix products in `dtype`, even inside an autocast of the user."""
    is_lower = dtype != torch.float32
    own = torch.autocast(device.type, dtype=dtype) if is_lower else in_float32(device)
    try:
        with own:
            yield
    finally:
        # Inside an autocast of the user, torch caches converted copies of the weights.
        # Training changes the weights, so the copies are outdated.
        torch.clear_autocast_cache()


class _WithoutCudnnAttention:
    """A context that turns cuDNN attention off in all threads.

    In bfloat16, torch chooses cuDNN attention on some GPUs. cuDNN attention is slow for
    texts, because each new batch shape needs a new plan (pytorch/pytorch#155958). The
    setting is global to the process, so the last thread that leaves the context turns
    cuDNN attention on again. If the user has enabled only cuDNN attention, the context
    does nothing.
    """

    def __init__(self):
        self._lock = ForkableLock()
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
    """Return a context that turns cuDNN attention off if `device` is a GPU."""
    return (
        _WITHOUT_CUDNN_ATTENTION if device.type == "cuda" else contextlib.nullcontext()
    )


def trim_memory():
    """Release free memory of the process to the operating system.

    On Linux, glibc keeps most of the memory that a fit has used. Without this function,
    joblib would take this memory for a leak and stop its workers.
    """
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # not in musl
        if trim is not None:
            trim(0)


def is_out_of_memory(error):
    """Return whether an error reports that the memory of a device has run out."""
    known = isinstance(error, (MemoryError, torch.OutOfMemoryError))
    # The CPU allocator, mps and some CUDA libraries raise a RuntimeError.
    return known or any(said in str(error) for said in NO_MEMORY)
