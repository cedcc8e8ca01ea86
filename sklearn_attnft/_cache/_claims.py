# SPDX-License-Identifier: BSD-3-Clause
"""Locks for processes that share a directory."""

import os


def claim(directory, name, wait):
    """Lock a name, so that no other process or thread can lock the same name.

    If a process dies, the operating system releases its lock.

    Parameters
    ----------
    directory : str or path-like
        Directory of the lock file. If the directory is missing, it is created.
    name : str
    wait : bool
        Whether to wait if another process or thread holds the lock.

    Returns
    -------
    callable or None
        A function that releases the lock. None if another process or thread holds
        the lock and `wait` is False.

    Raises
    ------
    OSError
        If the directory cannot be written to, or its file system does not
        support locks.
    """
    from filelock import FileLock, Timeout

    os.makedirs(directory, exist_ok=True)
    lock = FileLock(os.path.join(directory, name))
    try:
        lock.acquire(timeout=-1 if wait else 0)
    except Timeout:
        return None
    return lock.release
