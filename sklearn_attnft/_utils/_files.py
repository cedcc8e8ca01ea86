# SPDX-License-Identifier: BSD-3-Clause
"""Atomic replacement of files."""

import contextlib
import os
import uuid


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
