# SPDX-License-Identifier: BSD-3-Clause
"""Claims of one process among those that see a directory."""

import os


def claim(directory, name, wait):
    """Claim a name; return what gives it back, or None: it is another's.

    The lock is the operating system's, which takes it from a process that dies.
    """
    from filelock import FileLock, Timeout

    os.makedirs(directory, exist_ok=True)
    lock = FileLock(os.path.join(directory, name))
    try:
        lock.acquire(timeout=-1 if wait else 0)
    except Timeout:
        return None
    return lock.release
