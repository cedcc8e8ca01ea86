# SPDX-License-Identifier: BSD-3-Clause
"""Slots, which limit the number of fits that use a GPU at the same time."""

import contextlib
import os
import stat
import tempfile
import threading
import time

import torch

from .._cache import claim

N_SLOTS = "SKLEARN_ATTNFT_GPU_SLOTS"
SECONDS = 0.1  # time between two attempts to get a slot
_own = threading.local()


@contextlib.contextmanager
def gpu_slot(device):
    """Wait for a slot of a GPU and hold the slot until the context ends.

    Processes with the same parent process share the slots of a GPU. So the workers of a
    search wait for each other, but the programs of two users do not. At the end,
    the GPU memory that torch has cached is freed.

    Parameters
    ----------
    device : torch.device
        If the type of the device is not "cuda", the context does nothing.

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
    """Return the number of fits that may use a GPU at the same time."""
    given = os.environ.get(N_SLOTS, "1")
    if not given.isdecimal() or int(given) == 0:
        raise ValueError(
            f"The environment variable {N_SLOTS} must be a positive integer, got "
            f"{given!r}. Set the variable to the number of fits that may use a GPU at "
            "the same time, or unset the variable."
        )
    return int(given)


@contextlib.contextmanager
def slot(name, n):
    """Hold one of the `n` slots that share a name.

    If this thread already holds a slot with this name, the context does nothing.
    """
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
    """Create a directory for locks and return its path.

    Other users cannot write to the directory.
    """
    if not hasattr(os, "getuid"):  # on Windows, the temporary directory is private
        return os.path.join(tempfile.gettempdir(), "sklearn_attnft")
    directory = os.path.join(tempfile.gettempdir(), f"sklearn_attnft-{os.getuid()}")
    with contextlib.suppress(FileExistsError):
        os.mkdir(directory, mode=0o700)
    found = os.lstat(directory)
    is_own = stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid()
    if not is_own or found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise ValueError(
            f"{directory}, the directory for the locks of GPU slots, must belong to "
            "you and must not be writable by others, got a directory that other users "
            "own or can write to. Remove the directory, or set the environment "
            "variable TMPDIR."
        )
    return directory
