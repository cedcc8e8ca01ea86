# SPDX-License-Identifier: BSD-3-Clause
"""Where and how modules run: devices, precision, memory, and the prediction loop."""

import contextlib
import ctypes
import functools
import os
import sys
import threading

import numpy as np
import torch

from . import _backbone
from ._batching import chunks, sorted_batches, tokenize, tokens_per_batch
from ._layers import in_float32
from ._progress import is_shown, open_bar

NO_MEMORY = ("DefaultCPUAllocator:", "out of memory", "ALLOC_FAILED")
_MOVING = _backbone.ForkableLock()
# The process that imported this: a forked child has another number.
_process = os.getpid()


def survive_fork():
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


class _OwnAttention:
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


_OWN_ATTENTION = _OwnAttention()


def own_attention(device):
    """Return a context for all that runs an encoder on `device`, backward too."""
    return _OWN_ATTENTION if device.type == "cuda" else contextlib.nullcontext()


def give_back_memory():
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


def run(forward, tokens, *, device, dtype, progress=None):
    """Run a module over tokens, longest texts first, and restore the order.

    Parameters
    ----------
    forward : callable
        From the fields of a ``TokenBatch`` to a tensor (n_texts, n_outputs).
    tokens : TokenizedTexts
    device : torch.device
    dtype : torch.dtype
    progress : tqdm or None
        Advanced by the texts done.

    Returns
    -------
    ndarray of float32, shape (n_texts, n_outputs)
    """

    def compute(indices, batch):
        return forward(*batch.inputs())

    result = None
    with torch.inference_mode(), own_attention(device), autocast(device, dtype):
        for indices, output in each_batch(compute, tokens, device):
            if result is None:
                result = np.empty((len(tokens), output.shape[1]), dtype=np.float32)
            result[indices] = output.float().cpu().numpy()
            if progress is not None:
                progress.update(len(indices))
    return result


def each_batch(compute, tokens, device):
    """Yield the texts of each batch and what is computed of it, longest texts first.

    A batch that does not fit the memory is run in halves.

    Parameters
    ----------
    compute : callable
        From indices of texts and their ``TokenBatch``.
    tokens : TokenizedTexts
    device : torch.device

    Yields
    ------
    indices : ndarray of int64
        Of the texts.
    output : object
        What `compute` returns.

    Raises
    ------
    MemoryError
        If the memory does not hold one text.
    """
    todo = sorted_batches(tokens, tokens_per_batch(device))[::-1]
    while todo:
        indices = todo.pop()
        try:
            output = compute(indices, tokens.batch(indices).to(device))
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            if len(indices) == 1:
                raise MemoryError(
                    f"The memory of {device} does not hold one text of "
                    f"{tokens.n_tokens[indices[0]]} tokens: split the text, or fit "
                    "with a lower max_length and long_texts='truncate'."
                ) from error
            todo += np.array_split(indices, 2)[::-1]
            continue
        yield indices, output


def predict(forward, texts, *, tokenizer, device, dtype, verbose=0, cache=None):
    """Run a module over texts; identical texts are run once.

    Parameters are those of :func:`run` and :func:`tokenize`; `verbose` says if a
    progress bar is shown. With a `cache`, only texts are run whose outputs are not in
    it.

    Returns
    -------
    ndarray of float32, shape (n_texts, n_outputs)
    """
    position = {}
    inverse = [position.setdefault(text, len(position)) for text in texts]
    distinct = list(position)
    with open_bar(is_shown(verbose), total=len(distinct), desc="encode") as progress:

        def compute(texts):
            tokens, _ = tokenize(texts, tokenizer)
            return run(forward, tokens, device=device, dtype=dtype, progress=progress)

        if cache is not None:
            compute = functools.partial(_look_up, cache, compute, progress)
        parts = [compute(chunk) for chunk in chunks(distinct)]
    outputs = parts[0] if len(parts) == 1 else np.concatenate(parts)
    return outputs if len(distinct) == len(texts) else outputs[inverse]


def _look_up(cache, compute, progress, texts):
    """Return outputs of texts, (n_texts, n_outputs); those not in the cache computed.

    Parameters
    ----------
    cache : _cache.Cache
    compute : callable
        From a list of str to outputs; advances `progress`.
    progress : tqdm
    texts : list of str
        Distinct.
    """
    n_computed = 0

    def compute_some(indices):
        nonlocal n_computed
        n_computed += len(indices)
        return compute([texts[i] for i in indices])

    # Half a surrogate pair is a str, but no UTF-8.
    contents = [text.encode("utf-8", "surrogatepass") for text in texts]
    rows = cache.fetch_floats(contents, compute_some)
    progress.update(len(texts) - n_computed)
    return np.stack(rows).astype(np.float32, copy=False)
