# SPDX-License-Identifier: BSD-3-Clause
"""The stores of this process."""

import os

from .._utils._files import expand
from ._directory import DirectoryStore
from ._memory import MemoryStore

# All estimators of a process share a store. A forked child makes new stores, since a
# thread of its parent may hold a lock of the old ones.
_STORES = {}


def open_store(cache):
    """Return the store for a value of the parameter `cache`.

    Parameters
    ----------
    cache : "memory", str or path-like

    Returns
    -------
    MemoryStore or DirectoryStore
    """
    process = os.getpid()
    # setdefault is atomic, so that all threads get the same store.
    if cache == "memory":
        return _STORES.setdefault((process, None), MemoryStore())
    path = os.path.abspath(expand(cache))
    return _STORES.setdefault((process, path), DirectoryStore(path))
