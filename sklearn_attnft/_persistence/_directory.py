# SPDX-License-Identifier: BSD-3-Clause
"""Write a directory of files completely or not at all, and check it when reading.

The directory is written under another name and then renamed. ``estimator.json`` lists
size and sha256 of the other files, except README.md, which users may edit.
"""

import contextlib
import errno
import hashlib
import json
import os
import secrets
import shutil
import stat
from pathlib import Path

FORMAT = "sklearn_attnft"
MANIFEST = "estimator.json"
CARD = "README.md"
FILES = (
    "config.json",
    "model.safetensors",
    "heads.safetensors",
    "tokenizer.json",
    "tokenizer_config.json",
)
NO_SYNC = {errno.EACCES, errno.EINVAL, errno.ENOTSUP, errno.EPERM}
MAX_JSON = 2**28  # bytes
# Suffixes of files that some reader of models would execute.
# fmt: off
SUFFIXES = (
    ".pkl", ".pickle", ".joblib", ".dill", ".skops", ".npy", ".npz", ".bin", ".pt",
    ".pth", ".ckpt", ".h5", ".keras", ".msgpack", ".onnx", ".py", ".pyc", ".pyd", ".so",
    ".dll", ".dylib", ".sh", ".bat", ".exe", ".jar", ".zip", ".whl",
)
# fmt: on


def write(path, manifest, files, card, *, overwrite):
    """Write a directory and return its path.

    Parameters
    ----------
    path : str or path-like
    manifest : dict
        Content of ``estimator.json``. "format" and "files" are added.
    files : dict
        Content in bytes of each of `FILES`.
    card : str
        Content of README.md.
    overwrite : bool
        If True, a directory that this function wrote is replaced.

    Returns
    -------
    pathlib.Path

    Raises
    ------
    FileExistsError
        If the path exists and must not be replaced.
    """
    path = Path(os.path.realpath(path))  # replace the target of a link, not the link
    if os.path.lexists(path):
        _check_replaceable(path, overwrite)
    listed = {
        name: {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        for name, data in files.items()
    }
    manifest = {"format": FORMAT, **manifest, "files": listed}
    files = {**files, CARD: card.encode(), MANIFEST: to_json(manifest)}
    path.parent.mkdir(parents=True, exist_ok=True)
    unique = f".{path.name}.{secrets.token_hex(6)}"
    new, old = path.with_name(f"{unique}.new"), path.with_name(f"{unique}.old")
    try:
        new.mkdir()
        for name, data in files.items():
            _write_through(new / name, data)
        _sync(new)
        if os.path.lexists(path):  # another process may have made it since
            _check_replaceable(path, overwrite)
            path.rename(old)  # no portable rename swaps two directories
        try:
            new.rename(path)
        except BaseException as error:
            if os.path.lexists(path):  # another process made it between the two
                raise FileExistsError(
                    f"{path} was written by another process; pass another path."
                ) from error
            if old.exists():
                old.rename(path)
            raise
        _sync(path.parent)
    finally:
        shutil.rmtree(new, ignore_errors=True)
    shutil.rmtree(old, ignore_errors=True)
    return path


def to_json(data):
    """Return readable JSON as bytes."""
    return f"{json.dumps(data, indent=2, allow_nan=False)}\n".encode()


def _check_replaceable(path, overwrite):
    """Raise FileExistsError unless `overwrite`, and :func:`write` wrote the path."""
    if not overwrite:
        raise FileExistsError(
            f"{path} exists already; pass another path, or overwrite=True to replace "
            "a directory that save wrote."
        )
    try:
        _manifest(path)
        others = {each.name for each in path.iterdir()} - {*FILES, CARD, MANIFEST}
        if others:
            raise ValueError(f"It also holds {', '.join(sorted(others)[:3])}.")
    except ValueError as error:
        raise FileExistsError(
            f"{path} exists, and overwrite=True replaces only a directory that save "
            "wrote, with no other files in it; pass another path, or remove it. "
            f"{error}"
        ) from error


def _write_through(path, data):
    with open(path, "xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _sync(directory):
    """Write the entries of a directory to disk, if its file system can do so."""
    try:
        descriptor = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        if error.errno not in NO_SYNC:
            raise


@contextlib.contextmanager
def opened(path, check):
    """Open a directory that :func:`write` wrote, and compare it with its manifest.

    Parameters
    ----------
    path : str or path-like
    check : callable
        Called with the manifest before any other file is opened.

    Yields
    ------
    manifest : dict
    files : dict
        Open file for each of `FILES`.

    Raises
    ------
    ValueError
        If it is not such a directory, or was changed since.
    """
    path = Path(path)
    manifest = _manifest(path)
    check(manifest)
    listed = _listed(manifest, path)
    _refuse_strays(path)
    with contextlib.ExitStack() as stack:
        files = {name: stack.enter_context(_regular(path / name)) for name in FILES}
        for name, file in files.items():
            _check_content(file, path / name, **listed[name])
        yield manifest, files


def _manifest(path):
    """Read estimator.json."""
    if not (path / MANIFEST).is_file():
        raise ValueError(
            f"{path} is not a directory that save wrote: it does not contain "
            f"{MANIFEST}. Pass the directory itself; load a pickle with joblib or "
            "pickle."
        )
    with _regular(path / MANIFEST) as file:
        data = file.read(MAX_JSON + 1)
    try:
        if len(data) > MAX_JSON:
            raise ValueError(f"it must have at most {MAX_JSON} bytes")
        manifest = json.loads(data)
        if manifest["format"] != FORMAT or type(manifest["schema"]) is not int:
            raise ValueError("it has another format")
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise ValueError(
            f"{path / MANIFEST} was not written by save, or is damaged "
            f"({type(error).__name__}: {error!s:.200})."
        ) from error
    return manifest


def _listed(manifest, path):
    """Return size and sha256 of each file; raise ValueError if names differ."""
    listed = manifest.get("files")
    names = set(listed) if isinstance(listed, dict) else set()
    if names != set(FILES):
        wrong = sorted(names ^ set(FILES))
        raise ValueError(
            f"{path / MANIFEST} must list the files {', '.join(FILES)}, got a list "
            f"that differs in {wrong!r:.200}. Save the estimator again."
        )
    for name, what in listed.items():
        if not isinstance(what, dict) or set(what) != {"size", "sha256"}:
            raise ValueError(
                f"{path / MANIFEST} must list size and sha256 of {name}, got "
                f"{what!r:.80}. Save the estimator again."
            )
    return listed


def _refuse_strays(path):
    """Raise ValueError if a file in the directory could be a pickle or code."""
    for each in path.rglob("*"):
        if each.suffix.lower() in SUFFIXES:
            raise ValueError(
                f"{each} could be a pickle or code, which save never writes and load "
                "never reads; remove it, or do not trust the directory."
            )


def _regular(path):
    """Open a regular file. Reading a pipe or a device could block."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise ValueError(f"{path} is not a regular file, as save writes it.")
        return open(path, "rb")
    except OSError as error:
        raise ValueError(
            f"{path} cannot be opened ({error.strerror}), but {MANIFEST} lists it: "
            "copy the complete directory again."
        ) from error


def _check_content(file, path, size, sha256):
    """Raise ValueError unless a file has the listed size and sha256."""
    found = os.fstat(file.fileno()).st_size
    if found != size:
        raise ValueError(
            f"{path} must have {size} bytes, as {MANIFEST} lists, got {found}: it was "
            "truncated or replaced. Copy the directory again."
        )
    if path.suffix == ".json" and size > MAX_JSON:
        raise ValueError(
            f"{path} must have at most {MAX_JSON} bytes, got {size}: it is too large "
            "for a configuration or a vocabulary."
        )
    if hashlib.file_digest(file, "sha256").hexdigest() != sha256:
        raise ValueError(
            f"{path} has another sha256 than {MANIFEST} lists: it was changed or "
            "replaced. Copy the directory again."
        )
    file.seek(0)
