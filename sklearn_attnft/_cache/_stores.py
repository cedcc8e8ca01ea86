# SPDX-License-Identifier: BSD-3-Clause
"""The cache stores that this process has opened."""

import os

from .._utils._files import expand
from ._directory import DirectoryStore
from ._memory import MemoryStore

# All estimators of a process with the same `cache` share a store. A forked process
# creates new stores, because a thread of the parent process may hold a lock of the old
# stores.
_STORES = {}


def open_store(cache):
    """Return the store that the parameter `cache` selects.

    Parameters
    ----------
    cache : "memory", str or path-like

    Returns
    -------
    MemoryStore or DirectoryStore
    """
    process = os.getpid()
    # setdefault is atomic, so all threads get the same store.
    if cache == "memory":
        return _STORES.setdefault((process, None), MemoryStore())
    path = os.path.abspath(expand(cache))
    return _STORES.setdefault((process, path), DirectoryStore(path))
