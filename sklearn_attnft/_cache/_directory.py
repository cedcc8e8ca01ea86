# SPDX-License-Identifier: BSD-3-Clause
"""A store in a directory, shared by processes and machines: one file a key.

Why our own: stores on SQLite (diskcache) or on mapped memory (lmdb) are not safe on
network file systems. joblib.Memory is, but takes a directory and a file for each key,
and 5 to 10 times as long (10,000 values of 1.5 KB, microseconds each: 414 to write, 211
to read and 49 to list, here 89, 21 and 5; 80 MB of disk, here 41). It drops by access
time, which file systems update once a day; it unpickles what it finds in a directory
that others can write to, and does not notice a damaged file.

A file is written under a name of its own and renamed, so a reader sees all of it or
nothing, and what a killed writer leaves is swept. Files are not synced: what a power
failure tears fails its checksum, and is computed again.
"""

import contextlib
import hashlib
import os
import threading
import time
import uuid

from .._utils._files import replaced
from ._claims import claim

CHECKSUM_SIZE = 16
# Seconds after which a read marks a file as used; sooner would cost more than it tells.
TOUCH_AFTER = 60
# Seconds after which a temporary file has no writer any more.
ABANDONED = 3600
# Part of the limit that is written between two listings of the directory.
SLACK = 0.1


class DirectoryStore:
    """Bytes by key, in files; the least recently used go first.

    A directory is listed at the first write of a process and after every tenth of the
    limit that the process writes: with several writers at once it can be larger than
    the limit, by a tenth for each but one.

    Parameters
    ----------
    path : str
        Absolute. All is in a subdirectory of it: what else is there is not touched.
    """

    def __init__(self, path):
        self._path = path
        self._root = os.path.join(path, "sklearn_attnft")
        self._room = 0.0  # bytes that may be written before the next listing
        self._lock = threading.Lock()

    def prepare(self):
        """Make the directory, and see that it can be written to."""
        probe = os.path.join(self._root, f"{uuid.uuid4().hex}.tmp")
        with self._explained():
            os.makedirs(self._root, exist_ok=True)
            with open(probe, "xb"):
                pass
            os.unlink(probe)

    def get(self, key):
        """Return the value of `key`, or None if there is none, or a damaged one."""
        path = self._file(key)
        try:
            with open(path, "rb", buffering=0) as file:
                stored = file.read()
                age = time.time() - os.fstat(file.fileno()).st_mtime
        except OSError:
            return None
        value = stored[CHECKSUM_SIZE:]
        if stored[:CHECKSUM_SIZE] != _checksum(key, value):
            return None
        if age > TOUCH_AFTER:
            with contextlib.suppress(OSError):  # it was dropped meanwhile
                os.utime(path)
        return value

    def put(self, key, value, limit):
        """Keep a value; all of them together take at most `limit` bytes."""
        stored = _checksum(key, value) + value
        if len(stored) > limit:
            return
        with self._explained():
            self._make_room(len(stored), limit)
            path = self._file(key)
            try:
                _write(path, stored)
            except FileNotFoundError:  # the first of its subdirectory
                os.makedirs(os.path.dirname(path), exist_ok=True)
                _write(path, stored)

    def size(self):
        """Return the bytes of all files. Lists the directory."""
        return sum(size for _, size, _ in self._entries())

    def claim(self, name, wait):
        """Claim a name: see :func:`claim`."""
        with self._explained():
            return claim(os.path.join(self._root, "locks"), name, wait)

    def _file(self, key):
        # One level of 256: a second would be 65,536 directories to list.
        return os.path.join(self._root, key[:2], key)

    def _make_room(self, size, limit):
        """See to it that `size` bytes more are not too many."""
        with self._lock:
            most = max(size, SLACK * limit)
            self._room = min(self._room, most)  # another estimator's limit was larger
            if size > self._room:
                self._drop_oldest(limit - most)
                self._room = most
            self._room -= size

    def _drop_oldest(self, kept):
        """Delete files until at most `kept` bytes are left."""
        entries = sorted(self._entries())
        left = sum(size for _, size, _ in entries)
        for _, size, path in entries:
            if left <= kept:
                break
            try:
                os.unlink(path)
            except FileNotFoundError:
                pass  # another was first
            except OSError:
                continue  # it is being read, on Windows
            left -= size

    def _entries(self):
        """Yield (time of last use, bytes, path) of every file; sweep what is abandoned.

        What others delete at the same time is left out.
        """
        for path, is_temporary in self._files():
            try:
                stat = os.stat(path)
                if not is_temporary:
                    yield stat.st_mtime_ns, stat.st_size, path
                elif time.time() - stat.st_mtime > ABANDONED:
                    os.unlink(path)
            except OSError:
                continue

    def _files(self):
        """Yield the path of every file, and whether it is a temporary one."""
        for i in range(256):
            directory = os.path.join(self._root, f"{i:02x}")
            with contextlib.suppress(FileNotFoundError):
                for name in os.listdir(directory):
                    yield os.path.join(directory, name), name.endswith(".tmp")

    @contextlib.contextmanager
    def _explained(self):
        """Say which parameter it is that cannot be used."""
        try:
            yield
        except OSError as error:
            raise OSError(
                error.errno,
                f"cache={self._path!r} cannot be written to ({error}). Nothing that "
                "was stored or fitted is lost: pass a directory with write permission "
                "and room, or cache='memory' or None",
            ) from error


def _checksum(key, value):
    # Of the key too: a file under another's name is not its value.
    digest = hashlib.blake2b(key.encode(), digest_size=CHECKSUM_SIZE)
    digest.update(value)
    return digest.digest()


def _write(path, stored):
    with replaced(path, sync=False) as file:
        file.write(stored)
