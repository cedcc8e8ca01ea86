# SPDX-License-Identifier: BSD-3-Clause
"""Device, precision and memory of a computation."""

import contextlib
import ctypes
import os
import sys
from dataclasses import dataclass

import torch

from .._utils._process import ForkableLock, in_float32

# Parts of the messages of errors that say that memory has run out.
NO_MEMORY = ("DefaultCPUAllocator:", "out of memory", "ALLOC_FAILED")
_MOVING = ForkableLock()
# The process that imported this module: a forked child has another number.
_process = os.getpid()


@dataclass(frozen=True)
class Machine:
    """Device and precision of a computation.

    Attributes
    ----------
    device : torch.device
    dtype : torch.dtype
        Type of the encoder's matrix products.
    """

    device: torch.device
    dtype: torch.dtype

    @classmethod
    def of(cls, settings):
        """Resolve the parameters `device` and `precision` of `settings`."""
        device = resolve_device(settings.device)
        return cls(device, resolve_dtype(settings.precision, device))


def use_one_thread_after_fork():
    """Compute in one thread from now on, if this process was forked.

    A forked child lacks the threads of OpenMP's pool and would wait for them forever
    (a limit of GNU's OpenMP, which torch is built with).
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
        If `device` is not the name of a device, or this machine does not have it.
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
            f"`device` must be a device of this machine, got {device!r}: there are "
            f"{n_devices} devices of type {chosen.type!r} that torch "
            f"{torch.__version__} can use. Set device='auto' or 'cpu', or install a "
            "torch built for the device."
        )
    return chosen


def on_device(model, device):
    """Move a TextModel to `device`, unless all of it is there.

    ``model.to`` splits the weights of a recurrent layer for a moment, while another
    thread may compute with them. So one thread moves, and the others wait. A view of
    one task moves the encoder and its own layers, not those of other tasks.
    """
    with _MOVING:
        # One parameter of each part: checking all takes half a millisecond.
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

    "auto" is bfloat16 where the hardware multiplies in it: CUDA from Ampere on, x86
    with AVX512-BF16 or AMX. Elsewhere bfloat16 is emulated, far slower than float32.
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
    """Run matrix products in `dtype`, also within a user's own autocast."""
    is_lower = dtype != torch.float32
    own = torch.autocast(device.type, dtype=dtype) if is_lower else in_float32(device)
    try:
        with own:
            yield
    finally:
        # Within a user's autocast, torch would keep cast copies of weights that
        # training has changed since.
        torch.clear_autocast_cache()


class _WithoutCudnnAttention:
    """A context that turns cuDNN attention off in all threads.

    In bfloat16 on some GPUs torch chooses cuDNN attention, which plans again for each
    new shape of a batch (pytorch/pytorch#155958); batches of texts have many shapes.
    The switch belongs to the process: the last thread that leaves restores it. If the
    user has left only cuDNN attention on, it stays on.
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
    """Return a context for running an encoder on `device`, forward and backward."""
    return (
        _WITHOUT_CUDNN_ATTENTION if device.type == "cuda" else contextlib.nullcontext()
    )


def trim_memory():
    """Return free memory of the process to the system (Linux with glibc).

    glibc keeps most of the memory that a fit has used, and joblib stops workers whose
    memory seems to leak.
    """
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # not in musl
        if trim is not None:
            trim(0)


def is_out_of_memory(error):
    """Return whether an error says that the memory of a device has run out."""
    known = isinstance(error, (MemoryError, torch.OutOfMemoryError))
    # The CPU's allocator, mps and some CUDA libraries raise a plain RuntimeError.
    return known or any(said in str(error) for said in NO_MEMORY)
