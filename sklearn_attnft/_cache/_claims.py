# SPDX-License-Identifier: BSD-3-Clause
"""Locks between the processes that share a directory."""

import os


def claim(directory, name, wait):
    """Lock a name, so that no other process or thread can lock it.

    The operating system frees the lock of a process that dies.

    Parameters
    ----------
    directory : str or path-like
        It is created if needed.
    name : str
    wait : bool
        Whether to wait for the lock if it is held elsewhere.

    Returns
    -------
    callable or None
        Releases the lock. None if the lock is held elsewhere and `wait` is False.

    Raises
    ------
    OSError
        If the directory cannot be written to, or its file system has no locks.
    """
    from filelock import FileLock, Timeout

    os.makedirs(directory, exist_ok=True)
    lock = FileLock(os.path.join(directory, name))
    try:
        lock.acquire(timeout=-1 if wait else 0)
    except Timeout:
        return None
    return lock.release
