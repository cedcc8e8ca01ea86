# SPDX-License-Identifier: BSD-3-Clause
"""Create a directory completely or not at all."""

import functools
import hashlib
import os
import secrets
import shutil
from pathlib import Path

from .._utils._files import (
    OLD,
    exchange,
    is_locked,
    locked,
    sync_directory,
    write_through,
)


def create(path, files, method, check_own, *, overwrite):
    """Create a directory that appears only after all files are written.

    Parameters
    ----------
    path : str or path-like
    files : dict
        Maps the name of each file to its content, in bytes.
    method : str
        Name of the public method that writes such directories. Error messages contain
        this name.
    check_own : callable
        Function that takes the path of a directory. The function raises ValueError if
        `method` did not write the directory, or if files were added to the directory.
    overwrite : bool
        Whether to replace a directory that passes `check_own`.

    Returns
    -------
    pathlib.Path
    """
    path = check_destination(path, method, check_own, overwrite=overwrite)
    check = functools.partial(
        _check_replaceable, path, method, check_own, overwrite=overwrite
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_abandoned(path)
    token = secrets.token_hex(6)
    new, young = path.with_name(f"{_prefix(path)}{token}"), path.with_name(f".{token}")
    # If an interrupt stops the inner removal, the outer removal completes it.
    try:
        try:
            young.mkdir()
            # Other processes look for the name of `new`, and find it locked.
            with locked(young):
                os.rename(young, new)
                for name, data in files.items():
                    write_through(new / name, data)
                sync_directory(new)
                _move(new, path, check)
            sync_directory(path.parent)
        finally:
            _remove(new, young)
    finally:
        _remove(new, young)
    return path


def _remove(*directories):
    for each in directories:
        shutil.rmtree(each, ignore_errors=True)


def check_destination(path, method, check_own, *, overwrite):
    """Return the absolute path of a directory that :func:`create` may create.

    The parameters are those of :func:`create`. Symbolic links are resolved.

    Raises
    ------
    FileExistsError
        If `path` exists and must not be replaced.
    """
    path = Path(os.path.realpath(os.path.expanduser(path)))  # resolves links
    _restore_replaced(path)
    _check_replaceable(path, method, check_own, overwrite=overwrite)
    return path


def list_files(files):
    """Return a dict that maps each file name to the size and sha256 of the file."""
    return {
        name: {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        for name, data in files.items()
    }


def check_no_others(path, names):
    """Raise ValueError if a directory contains a file that is not in `names`."""
    others = {each.name for each in path.iterdir()} - names
    if others:
        raise ValueError(
            f"The directory also contains {', '.join(sorted(others)[:3])}."
        )


def _check_replaceable(path, method, check_own, *, overwrite):
    """Raise FileExistsError if `path` exists and must not be replaced."""
    if not os.path.lexists(path):
        return
    if not overwrite:
        raise FileExistsError(
            f"{path} exists already. Pass another path, or overwrite=True to replace "
            f"a directory that {method} has written."
        )
    try:
        check_own(path)
    except ValueError as error:
        raise FileExistsError(
            f"{path} exists, and overwrite=True replaces only a directory that "
            f"{method} has written and that has no added files. Pass another path, or "
            f"remove the existing directory. {error}"
        ) from error


def _prefix(path):
    """Return the name prefix of the temporary directories for `path`."""
    # The prefix contains a digest instead of the name, because the name can have the
    # maximum length of 255 bytes.
    return f".sklearn_attnft-{hashlib.sha256(os.fsencode(path.name)).hexdigest()[:12]}-"


def _restore_replaced(path):
    """Restore the directory at `path` if a killed process had moved it away."""
    for old in _abandoned(path):
        if old.suffix == OLD and not os.path.lexists(path):
            old.rename(path)


def _remove_abandoned(path):
    """Remove temporary directories for `path` that killed processes left behind."""
    for each in _abandoned(path):
        shutil.rmtree(each, ignore_errors=True)


def _abandoned(path):
    """Return the temporary directories for `path` that no running process uses."""
    found = list(path.parent.glob(f"{_prefix(path)}*"))
    used = {each for each in found if is_locked(each)}
    # A process that replaces a directory locks only the new directory. The old
    # directory has the name of the new directory and the suffix `OLD`.
    return [each for each in found if not used & {each, each.with_suffix("")}]


def _move(new, path, check):
    """Move the directory `new` to `path`. If `path` exists, swap the two."""
    if os.path.lexists(path):
        check()
        exchange(new, path)
        return
    try:
        new.rename(path)
    except OSError as error:
        if os.path.lexists(path):  # another process has created `path`
            raise FileExistsError(
                f"{path} did not exist at first, but another process has created it "
                "in the meantime. Pass another path."
            ) from error
        raise
