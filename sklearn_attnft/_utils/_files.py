# SPDX-License-Identifier: BSD-3-Clause
"""Expand paths that users pass, and replace files atomically."""

import contextlib
import ctypes
import errno
import hashlib
import os
import pathlib
import shutil
import uuid

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

_CURRENT_DIRECTORY = -100  # AT_FDCWD
_EXCHANGE = 2  # RENAME_EXCHANGE
OLD = ".old"  # suffix of a directory that is being replaced
_NO_SYNC = {errno.EACCES, errno.EINVAL, errno.ENOTSUP, errno.EPERM}


def expand(path):
    """Return a path as str, with ``~`` replaced by the home directory."""
    return os.path.expanduser(os.fspath(path))


@contextlib.contextmanager
def replaced(path, *, sync=True):
    """Open a temporary file that replaces `path` when the context ends.

    If an error occurs, `path` is not changed and the temporary file is deleted.

    Parameters
    ----------
    path : str or path-like
    sync : bool, default=True
        Whether to wait until the content is on the disk before the file is renamed. If
        True, `path` is complete even after a power failure. If False, writing is
        faster, but a power failure can leave an incomplete file.

    Yields
    ------
    file : binary file
    """
    path = os.fspath(path)
    temporary = f"{path}.{uuid.uuid4().hex}.tmp"
    try:
        with open(temporary, "xb") as file:
            yield file
            if sync:
                file.flush()
                os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


@contextlib.contextmanager
def replaced_with_digest(path):
    """Open a file like :func:`replaced`, and append the sha256 of its content.

    Yields
    ------
    file : object with ``write``
    """
    with replaced(path) as file:
        writer = _HashingWriter(file)
        yield writer
        file.write(writer.digest.digest())


class _HashingWriter:
    """A file for writing that also computes the sha256 of the written bytes."""

    def __init__(self, file):
        self._file, self.digest = file, hashlib.sha256()

    def write(self, data):
        """Write bytes."""
        self.digest.update(data)
        return self._file.write(data)

    def flush(self):
        """Flush the file."""
        self._file.flush()


def read_with_digest(path):
    """Return the content of a file that :func:`replaced_with_digest` wrote.

    Raises
    ------
    ValueError
        If the content does not match the sha256 at the end of the file.
    """
    data = memoryview(pathlib.Path(path).read_bytes())
    size = hashlib.sha256().digest_size
    if hashlib.sha256(data[:-size]).digest() != data[-size:]:
        raise ValueError("its content does not match its sha256")
    return data[:-size]


def write_through(path, data):
    """Write a new file, and wait until it is on the disk."""
    with open(path, "xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def sync_directory(directory):
    """Sync a directory, so that new files survive a power failure.

    If the file system does not support syncing a directory, do nothing.
    """
    try:
        descriptor = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        if error.errno not in _NO_SYNC:
            raise


def exchange(new, path):
    """Exchange the directories at `new` and `path`.

    Linux exchanges the two directories in one step. On other systems, the exchange
    takes two steps. If the process is killed between these steps, `path` does not
    exist. The directory that was at `path` then has the path of `new` plus the suffix
    `OLD`.
    """
    if not _exchange_in_one_step(new, path):
        old = new.with_name(f"{new.name}{OLD}")
        # If an interrupt ends the first call of _restore, the second call still runs.
        try:
            try:
                path.rename(old)
                new.rename(path)
            finally:
                _restore(old, path)
        finally:
            _restore(old, path)


def _restore(old, path):
    """Rename `old` to `path` if `path` is missing. Otherwise, delete `old`."""
    if os.path.lexists(path):
        shutil.rmtree(old, ignore_errors=True)
    elif os.path.lexists(old):
        old.rename(path)


def _exchange_in_one_step(one, other):
    """Try to exchange two directories. Return whether they were exchanged."""
    rename = getattr(ctypes.CDLL(None), "renameat2", None) if fcntl else None
    if rename is None:
        return False
    paths = os.fsencode(one), os.fsencode(other)
    here = _CURRENT_DIRECTORY
    return rename(here, paths[0], here, paths[1], _EXCHANGE) == 0


@contextlib.contextmanager
def locked(directory):
    """Hold the lock of a directory.

    If the process is killed, the operating system releases the lock.
    """
    with _descriptor(directory) as descriptor:
        if descriptor is not None:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield


def is_locked(directory):
    """Return whether a running process may hold the lock of a directory."""
    with _descriptor(directory) as descriptor:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (AttributeError, TypeError, OSError):
            return True
    return False


@contextlib.contextmanager
def _descriptor(directory):
    """Yield a descriptor of a directory, or None if locking is not possible."""
    if fcntl is None:
        yield None
        return
    try:
        descriptor = os.open(directory, os.O_RDONLY)
    except OSError:
        yield None
        return
    try:
        yield descriptor
    finally:
        os.close(descriptor)
