# SPDX-License-Identifier: BSD-3-Clause
"""A store with one file per key, in a directory that several processes can share.

Other stores are not suitable. Stores that use SQLite (diskcache) or memory maps (lmdb)
are not safe on network file systems. joblib.Memory is 5 to 10 times as slow, because it
creates a directory for each key. With 10,000 values of 1.5 kB, joblib.Memory takes 414
microseconds to write a value, 211 to read a value and 49 to list a value, and uses 80
MB. This store takes 89, 21 and 5 microseconds, and uses 41 MB. joblib.Memory also has
other problems. It deletes files by access time, but file systems update this time only
once a day. It unpickles files that other users can replace. It does not detect damaged
files.

Each file is written under a temporary name and then renamed, so readers only see
complete files. Files are not synced to the disk, so a power failure can leave an
incomplete file. The checksum of such a file is wrong, so the value is computed again.
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
# A read updates the modification time of a file only if the last update was more than
# this number of seconds ago. An update at every read would be slower.
TOUCH_AFTER = 60
# Age in seconds at which a temporary file is deleted. If a process did not rename its
# file by then, the process was probably killed.
ABANDONED = 3600
# Fraction of the size limit that may be written before the directory is listed again.
SLACK = 0.1


class DirectoryStore:
    """A store of bytes in files. The least recently used files are deleted first.

    Listing the directory is slow. So a process lists the directory only at its first
    write, and again whenever it has written a tenth of the size limit. If n processes
    write at once, the directory can exceed the limit by ``(n - 1) / 10`` of the limit.

    Parameters
    ----------
    path : str
        Absolute path of a directory. Files are stored in its subdirectory
        ``sklearn_attnft``.
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
        """Return the value of `key`, or None if the value is missing or damaged."""
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
            with contextlib.suppress(OSError):  # another process has deleted the file
                os.utime(path)
        return value

    def put(self, key, value, limit):
        """Store a value, and delete old values if the store exceeds `limit` bytes.

        A value that is larger than the limit is not stored.
        """
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
        """List the directory and return the size of all files in bytes."""
        return sum(size for _, size, _ in self._entries())

    def claim(self, name, wait):
        """Lock a name, as :func:`sklearn_attnft._cache.claim` does."""
        with self._translate_errors():
            return claim(os.path.join(self._root, "locks"), name, wait)

    def _file(self, key):
        # One level has 256 subdirectories. With two levels, 65,536 would be listed.
        return os.path.join(self._root, key[:2], key)

    def _make_room(self, size, limit):
        """Delete old files until a new file of `size` bytes fits into the limit."""
        with self._lock:
            most = max(size, SLACK * limit)
            self._room = min(self._room, most)  # `limit` may have decreased
            if size > self._room:
                self._drop_oldest(limit - most)
                self._room = most
            self._room -= size

    def _drop_oldest(self, kept):
        """Delete the least recently used files until at most `kept` bytes are left."""
        entries = sorted(self._entries())
        left = sum(size for _, size, _ in entries)
        for _, size, path in entries:
            if left <= kept:
                break
            try:
                os.unlink(path)
            except FileNotFoundError:
                pass  # another process has deleted the file
            except OSError:
                continue  # on Windows, a process may be reading the file
            left -= size

    def _entries(self):
        """Yield a tuple (time of last use, size in bytes, path) for each file.

        This method also deletes the temporary files of killed processes. It skips files
        that another process deletes at the same time.
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
        """Replace an OSError by one that says how to change the parameter `cache`."""
        try:
            yield
        except OSError as error:
            raise OSError(
                error.errno,
                f"cache={self._path!r} cannot be written to "
                f"({error.strerror or error}). Pass a directory with write permission "
                "and free space, cache='memory' or None. Stored values and fitted "
                "estimators are not affected.",
            ) from error


def _checksum(key, value):
    # The checksum includes the key, to detect a file that was stored under another key.
    digest = hashlib.blake2b(key.encode(), digest_size=CHECKSUM_SIZE)
    digest.update(value)
    return digest.digest()


def _write(path, stored):
    with replaced(path, sync=False) as file:
        file.write(stored)
