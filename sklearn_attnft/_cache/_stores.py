# SPDX-License-Identifier: BSD-3-Clause
"""Which store it is that the parameter `cache` names."""

import os

from ._directory import DirectoryStore
from ._memory import MemoryStore

# One for each place: what is in memory is shared by all estimators of a process. A
# forked child starts with none, for its parent's may have been claimed by a thread.
_STORES = {}


def open_store(cache):
    """Return the store that the parameter `cache` names.

    Parameters
    ----------
    cache : "memory", str or path-like

    Returns
    -------
    MemoryStore or DirectoryStore
    """
    process = os.getpid()
    # dict.setdefault: threads that come at the same moment get the same store.
    if cache == "memory":
        return _STORES.setdefault((process, None), MemoryStore())
    path = os.path.abspath(os.fspath(cache))
    return _STORES.setdefault((process, path), DirectoryStore(path))
