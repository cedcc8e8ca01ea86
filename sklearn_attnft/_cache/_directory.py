# SPDX-License-Identifier: BSD-3-Clause
"""A store with one file per key in a directory that processes and machines can share.

Other stores do not fit. Those on SQLite (diskcache) or memory maps (lmdb) are not safe
on network file systems. joblib.Memory makes a directory per key and is 5 to 10 times
slower: for 10,000 values of 1.5 kB it takes 414 microseconds to write, 211 to read and
49 to list a value, this store 89, 21 and 5; it needs 80 MB of disk, this store 41. It
also deletes by access time, which file systems update once a day, unpickles files that
other users can replace, and does not detect damaged files.

Each file is written under a temporary name and renamed, so readers see complete files
only. Files are not synced: after a power failure the checksum of an incomplete file is
wrong, and its value is computed again.
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
# Seconds after which a read marks a file as used again. Marking at every read would be
# slower and would hardly change the order of deletion.
TOUCH_AFTER = 60
# Seconds after which the writer of a temporary file must have been killed.
ABANDONED = 3600
# Fraction of the limit that is written between two listings of the directory.
SLACK = 0.1


class DirectoryStore:
    """Bytes by key, in files. The least recently used files are deleted first.

    A process lists the directory at its first write, and again each time it has written
    a tenth of the limit. With n processes that write at once, the directory can exceed
    the limit by n - 1 tenths.

    Parameters
    ----------
    path : str
        Absolute path. Only its subdirectory ``sklearn_attnft`` is used.
    """

    def __init__(self, path):
        self._path = path
        self._root = os.path.join(path, "sklearn_attnft")
        self._room = 0.0  # bytes that may be written before the next listing
        self._lock = threading.Lock()

    def prepare(self):
        """Create the directory and check that it can be written to."""
        probe = os.path.join(self._root, f"{uuid.uuid4().hex}.tmp")
        with self._translate_errors():
            os.makedirs(self._root, exist_ok=True)
            with open(probe, "xb"):
                pass
            os.unlink(probe)

    def get(self, key):
        """Return the value of `key`, or None if it is missing or damaged."""
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
            with contextlib.suppress(OSError):  # another process has deleted it
                os.utime(path)
        return value

    def put(self, key, value, limit):
        """Store a value and delete others, so that all take at most `limit` bytes."""
        stored = _checksum(key, value) + value
        if len(stored) > limit:
            return
        with self._translate_errors():
            self._make_room(len(stored), limit)
            path = self._file(key)
            try:
                _write(path, stored)
            except FileNotFoundError:  # the first file of the subdirectory
                os.makedirs(os.path.dirname(path), exist_ok=True)
                _write(path, stored)

    def size(self):
        """Return the size of all files in bytes. It lists the directory."""
        return sum(size for _, size, _ in self._entries())

    def claim(self, name, wait):
        """Lock a name: see :func:`claim`."""
        with self._translate_errors():
            return claim(os.path.join(self._root, "locks"), name, wait)

    def _file(self, key):
        # One level of 256 subdirectories. A second level would make 65,536 to list.
        return os.path.join(self._root, key[:2], key)

    def _make_room(self, size, limit):
        """Delete files until `size` more bytes fit into the limit."""
        with self._lock:
            most = max(size, SLACK * limit)
            self._room = min(self._room, most)  # the last limit may have been larger
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
                pass  # another process has deleted it
            except OSError:
                continue  # on Windows, a file that is being read
            left -= size

    def _entries(self):
        """Yield (time of last use, bytes, path) of each file.

        Old temporary files are deleted. Files that another process deletes meanwhile
        are left out.
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
        """Yield the path of each file and whether it is temporary."""
        for i in range(256):
            directory = os.path.join(self._root, f"{i:02x}")
            with contextlib.suppress(FileNotFoundError):
                for name in os.listdir(directory):
                    yield os.path.join(directory, name), name.endswith(".tmp")

    @contextlib.contextmanager
    def _translate_errors(self):
        """Add the parameter and the remedy to an error."""
        try:
            yield
        except OSError as error:
            raise OSError(
                error.errno,
                f"cache={self._path!r} cannot be written to ({error}). Pass a "
                "directory with write permission and free space, cache='memory' or "
                "None. Stored values and fitted estimators are not affected.",
            ) from error


def _checksum(key, value):
    # The key is included, so that a file under the name of another key is detected.
    digest = hashlib.blake2b(key.encode(), digest_size=CHECKSUM_SIZE)
    digest.update(value)
    return digest.digest()


def _write(path, stored):
    with replaced(path, sync=False) as file:
        file.write(stored)
