# SPDX-License-Identifier: BSD-3-Clause
"""Slots on a GPU: the workers of a search take turns, since they share its memory."""

import contextlib
import os
import stat
import tempfile
import threading
import time

import torch

from .._cache import claim

N_SLOTS = "SKLEARN_ATTNFT_GPU_SLOTS"
SECONDS = 0.1  # between two attempts to get a slot
_own = threading.local()


@contextlib.contextmanager
def gpu_slot(device):
    """Wait for a slot of a GPU and hold it. Other devices do not have slots.

    Processes with the same parent share the slots of a GPU. So the workers of a search
    wait for each other, but two users do not. At the end, the memory that torch has
    cached on the GPU is freed.

    Parameters
    ----------
    device : torch.device
        Only devices of the type "cuda" have slots.

    Raises
    ------
    ValueError
        If the environment variable SKLEARN_ATTNFT_GPU_SLOTS (1 by default) is not a
        positive integer.
    """
    if device.type != "cuda":
        yield
        return
    gpu = torch.cuda.get_device_properties(device).uuid
    with slot(f"{os.getppid()}-{gpu}", n_slots()):
        try:
            yield
        finally:
            torch.cuda.empty_cache()


def n_slots():
    """Return how many fits may use a GPU at the same time."""
    given = os.environ.get(N_SLOTS, "1")
    if not given.isdecimal() or int(given) == 0:
        raise ValueError(
            f"The environment variable {N_SLOTS} must be a positive integer, the "
            f"number of fits that may use a GPU at the same time, got {given!r}. Set "
            "it to 1, or unset it."
        )
    return int(given)


@contextlib.contextmanager
def slot(name, n):
    """Hold one of the `n` slots of a name, or the one that this thread holds."""
    held = getattr(_own, "names", ())
    if name in held:
        yield
        return
    release = _acquire(name, n)
    _own.names = (*held, name)
    try:
        yield
    finally:
        _own.names = held
        release()


def _acquire(name, n):
    directory = _own_directory()
    while True:
        for i in range(n):
            release = claim(directory, f"{name}-{i}.lock", wait=False)
            if release is not None:
                return release
        time.sleep(SECONDS)


def _own_directory():
    """Create a directory for the locks that other users cannot write to."""
    if not hasattr(os, "getuid"):  # on Windows the temporary directory is private
        return os.path.join(tempfile.gettempdir(), "sklearn_attnft")
    directory = os.path.join(tempfile.gettempdir(), f"sklearn_attnft-{os.getuid()}")
    with contextlib.suppress(FileExistsError):
        os.mkdir(directory, mode=0o700)
    found = os.lstat(directory)
    is_own = stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid()
    if not is_own or found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise ValueError(
            f"{directory}, the directory for the locks of GPU slots, must belong to "
            "you and must not be writable by others, but it is owned or writable by "
            "other users. Remove it, or set the environment variable TMPDIR."
        )
    return directory
