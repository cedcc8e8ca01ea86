# SPDX-License-Identifier: BSD-3-Clause
"""A directory of files that is written whole or not at all, and checked when read.

It is written beside its place and then renamed. ``estimator.json`` lists size and
sha256 of the files that make the estimator; README.md is for people, who may edit it.
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
LONGEST_JSON = 2**28  # bytes
# Names of files that some reader of models would execute.
# fmt: off
SUFFIXES = (
    ".pkl", ".pickle", ".joblib", ".dill", ".skops", ".npy", ".npz", ".bin", ".pt",
    ".pth", ".ckpt", ".h5", ".keras", ".msgpack", ".onnx", ".py", ".pyc", ".pyd", ".so",
    ".dll", ".dylib", ".sh", ".bat", ".exe", ".jar", ".zip", ".whl",
)
# fmt: on


def write(path, manifest, files, card, *, overwrite):
    """Write a directory.

    Parameters
    ----------
    path : str or path-like
    manifest : dict
        Of what JSON holds; "format" and "files" are added.
    files : dict
        From each of `FILES` to bytes.
    card : str
        For README.md.
    overwrite : bool
        Replace a directory that was written by this function.

    Returns
    -------
    pathlib.Path

    Raises
    ------
    FileExistsError
        If there is something that is not to be replaced.
    """
    path = Path(os.path.realpath(os.path.expanduser(path)))  # follows a link
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
        if os.path.lexists(path):  # again: it may have come meanwhile
            _check_replaceable(path, overwrite)
            path.rename(old)  # for a moment there is neither: no rename swaps the two
        try:
            new.rename(path)
        except BaseException as error:
            if os.path.lexists(path):  # it came in that moment
                raise FileExistsError(
                    f"{path} was written by another; pass another path."
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
    """Refuse to replace what exists, if it was not asked for or is not ours."""
    if not overwrite:
        raise FileExistsError(
            f"{path} exists already; pass another path, or overwrite=True to replace "
            "what save wrote there before."
        )
    try:
        _manifest(path)
        others = {each.name for each in path.iterdir()} - {*FILES, CARD, MANIFEST}
        if others:
            raise ValueError(f"It holds {', '.join(sorted(others)[:3])} as well.")
    except ValueError as error:
        raise FileExistsError(
            f"{path} exists, and overwrite=True replaces only a directory that save "
            f"wrote, with nothing else in it; pass another path, or remove it. {error}"
        ) from error


def _write_through(path, data):
    with open(path, "xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _sync(directory):
    """Make names in a directory last, where a file system does that to directories."""
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
    """Open a directory that :func:`write` wrote.

    Parameters
    ----------
    path : str or path-like
    check : callable
        Called with the manifest before any other file is opened.

    Yields
    ------
    manifest : dict
    files : dict
        From each of `FILES` to the open file, whose content is the one listed.

    Raises
    ------
    ValueError
        If it is no such directory, or was changed since.
    """
    path = Path(os.path.expanduser(path))
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
            f"{path} is no directory that save wrote: it has no {MANIFEST}. Pass the "
            "directory itself; a pickle is loaded with joblib or pickle."
        )
    with _regular(path / MANIFEST) as file:
        data = file.read(LONGEST_JSON + 1)
    try:
        if len(data) > LONGEST_JSON:
            raise ValueError(f"it has more than {LONGEST_JSON} bytes")
        manifest = json.loads(data)
        if manifest["format"] != FORMAT or type(manifest["schema"]) is not int:
            raise ValueError("it is of another format")
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise ValueError(
            f"{path / MANIFEST} was not written by save, or is damaged "
            f"({type(error).__name__}: {error!s:.200})."
        ) from error
    return manifest


def _listed(manifest, path):
    """Return what the manifest says of each file; refuse any but the fixed names."""
    listed = manifest.get("files")
    names = set(listed) if isinstance(listed, dict) else set()
    if names != set(FILES):
        wrong = sorted(names ^ set(FILES))
        raise ValueError(
            f"{path / MANIFEST} lists other files than save writes ({wrong!r:.200}); "
            f"expected {', '.join(FILES)}, and reads no others."
        )
    for name, what in listed.items():
        if not isinstance(what, dict) or set(what) != {"size", "sha256"}:
            raise ValueError(
                f"{path / MANIFEST} does not say size and sha256 of {name}."
            )
    return listed


def _refuse_strays(path):
    """Refuse a directory with a file that could be a pickle or code."""
    for each in path.rglob("*"):
        if each.suffix.lower() in SUFFIXES:
            raise ValueError(
                f"{each} could be a pickle or code, which save never writes and load "
                "never reads; remove it, or distrust the directory."
            )


def _regular(path):
    """Open a file, but no pipe or device: they could make the reader wait."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise ValueError(f"{path} is no regular file; save writes such only.")
        return open(path, "rb")
    except OSError as error:
        raise ValueError(
            f"{path} cannot be opened ({error.strerror}), though {MANIFEST} lists it: "
            "copy the directory again, whole."
        ) from error


def _check_content(file, path, size, sha256):
    """Compare a file with what is listed, its size before anything of it is read."""
    found = os.fstat(file.fileno()).st_size
    if found != size:
        raise ValueError(
            f"{path} has {found} bytes where {MANIFEST} says {size}: it was cut off or "
            "exchanged. Copy the directory again."
        )
    if path.suffix == ".json" and size > LONGEST_JSON:
        raise ValueError(
            f"{path} has {size} bytes; {LONGEST_JSON} are the most that are read of a "
            "configuration or a vocabulary."
        )
    if hashlib.file_digest(file, "sha256").hexdigest() != sha256:
        raise ValueError(
            f"{path} has another sha256 than {MANIFEST} says: it was changed or "
            "exchanged. Copy the directory again."
        )
    file.seek(0)
