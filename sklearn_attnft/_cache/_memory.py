# SPDX-License-Identifier: BSD-3-Clause
"""A store in memory that the threads of a process share."""

import threading
from collections import OrderedDict


class MemoryStore:
    """A store of bytes in memory.

    The least recently used values are deleted first.
    """

    def __init__(self):
        self._values = OrderedDict()  # starts with the least recently used value
        self._size = 0
        self._lock = threading.Lock()
        self._claims = {}

    def prepare(self):
        """Do nothing, because a store in memory can always be written to."""

    def get(self, key):
        """Return the value of `key`, or None if the value is missing."""
        with self._lock:
            value = self._values.get(key)
            if value is not None:
                self._values.move_to_end(key)
        return value

    def put(self, key, value, limit):
        """Store a value, and delete old values if the size exceeds `limit` bytes.

        A value that is larger than the limit is not stored.
        """
        if len(value) > limit:
            return
        with self._lock:
            self._size += len(value) - len(self._values.pop(key, b""))
            self._values[key] = value
            while self._size > limit:
                _, dropped = self._values.popitem(last=False)
                self._size -= len(dropped)

    def size(self):
        """Return the size of all values in bytes."""
        return self._size

    def claim(self, name, wait):
        """Lock a name for a thread, as :func:`sklearn_attnft._cache.claim` does."""
        lock = self._claims.setdefault(name, threading.Lock())
        return lock.release if lock.acquire(blocking=wait) else None
