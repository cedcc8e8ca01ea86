# SPDX-License-Identifier: BSD-3-Clause
"""The fits of a search's workers take turns on a GPU, whose memory they share."""

import contextlib
import os
import stat
import tempfile
import threading
import time

import torch

from .._cache import claim

N_SLOTS = "SKLEARN_ATTNFT_GPU_SLOTS"
SECONDS = 0.1  # between two looks
_own = threading.local()


@contextlib.contextmanager
def gpu_slot(device):
    """Hold one of a GPU's slots, waiting for it if need be; no other device has any.

    Processes with the same parent share them: the workers of a search do, and two
    users do not. What is cached of the GPU's memory is given back with the slot.

    Parameters
    ----------
    device : torch.device

    Raises
    ------
    ValueError
        If the environment's SKLEARN_ATTNFT_GPU_SLOTS, 1 by default, is no number
        above 0.
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
    """Return how many fits may be on one GPU at once."""
    given = os.environ.get(N_SLOTS, "1")
    if not given.isdecimal() or int(given) == 0:
        raise ValueError(
            f"The environment variable {N_SLOTS} says how many fits share a GPU at "
            f"once: it must be a number above 0, got {given!r}."
        )
    return int(given)


@contextlib.contextmanager
def slot(name, n):
    """Hold one of the `n` slots of a name; a fit within a fit needs no other."""
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
    """Make a directory of the user's, where nobody else can put links."""
    if not hasattr(os, "getuid"):  # Windows, where that for temporary files is
        return os.path.join(tempfile.gettempdir(), "sklearn_attnft")
    directory = os.path.join(tempfile.gettempdir(), f"sklearn_attnft-{os.getuid()}")
    with contextlib.suppress(FileExistsError):
        os.mkdir(directory, mode=0o700)
    found = os.lstat(directory)
    is_own = stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid()
    if not is_own or found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise ValueError(
            f"{directory}, where the fits on a GPU agree on turns, is open to other "
            "users: have it removed, or set the environment variable TMPDIR."
        )
    return directory
