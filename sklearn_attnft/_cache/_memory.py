# SPDX-License-Identifier: BSD-3-Clause
"""A store in memory."""

import threading
from collections import OrderedDict


class MemoryStore:
    """Bytes by key; the least recently used go first. Safe in threads."""

    def __init__(self):
        self._values = OrderedDict()  # the least recently used first
        self._size = 0
        self._lock = threading.Lock()
        self._claims = {}

    def prepare(self):
        """Do nothing: memory is there."""

    def get(self, key):
        """Return the value of `key`, or None."""
        with self._lock:
            value = self._values.get(key)
            if value is not None:
                self._values.move_to_end(key)
        return value

    def put(self, key, value, limit):
        """Keep a value; all of them together take at most `limit` bytes."""
        if len(value) > limit:
            return
        with self._lock:
            self._size += len(value) - len(self._values.pop(key, b""))
            self._values[key] = value
            while self._size > limit:
                _, dropped = self._values.popitem(last=False)
                self._size -= len(dropped)

    def size(self):
        """Return the bytes of all values."""
        return self._size

    def claim(self, name, wait):
        """Claim a name; return what gives it back, or None: another thread has it."""
        lock = self._claims.setdefault(name, threading.Lock())
        return lock.release if lock.acquire(blocking=wait) else None
