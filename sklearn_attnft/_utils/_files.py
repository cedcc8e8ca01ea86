# SPDX-License-Identifier: BSD-3-Clause
"""Paths of users, and atomic replacement of files."""

import contextlib
import os
import uuid


def expand(path):
    """Return a path as str, with ``~`` replaced by the home directory."""
    return os.path.expanduser(os.fspath(path))


@contextlib.contextmanager
def replaced(path, *, sync=True):
    """Open a file for writing that replaces `path` when it is complete.

    Parameters
    ----------
    path : str or path-like
    sync : bool, default=True
        Whether to wait until the content is on the disk before the file is renamed. If
        True, a power failure leaves the old or the new file. If False, writing is
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
