# SPDX-License-Identifier: BSD-3-Clause
"""Write the directory of an estimator, and verify the directory when reading it.

The manifest ``estimator.json`` stores the size and the sha256 of each file that belongs
to the estimator. The manifest also stores the sha256 of its own content. README.md is
not verified, so users can edit it.
"""

import contextlib
import hashlib
import json
import os
import stat
from dataclasses import dataclass
from pathlib import Path

from .._utils._messages import shorten
from ._create import check_no_others, create, list_files

FORMAT = "sklearn_attnft"
MANIFEST = "estimator.json"
CARD = "README.md"
# Files that belong to the estimator. JSON_FILES maps each name to the maximum size in
# bytes.
JSON_FILES = {
    "config.json": 2**22,
    "tokenizer.json": 2**28,
    "tokenizer_config.json": 2**22,
}
FILES = ("model.safetensors", "heads.safetensors", *JSON_FILES)
MAX_MANIFEST = 2**25  # bytes
# Suffixes of files that other programs may execute or unpickle.
# fmt: off
SUFFIXES = (
    ".pkl", ".pickle", ".joblib", ".dill", ".skops", ".npy", ".npz", ".bin", ".pt",
    ".pth", ".ckpt", ".h5", ".keras", ".msgpack", ".onnx", ".py", ".pyc", ".pyd", ".so",
    ".dll", ".dylib", ".sh", ".bat", ".exe", ".jar", ".zip", ".whl",
)
# fmt: on


def write(path, manifest, files, card, *, overwrite):
    """Write the directory of an estimator.

    Parameters
    ----------
    path : str or path-like
    manifest : dict
        Content of estimator.json, as values of JSON types. This function adds the keys
        "format", "files" and "sha256".
    files : dict
        Maps each name in `FILES` to the content of the file, in bytes.
    card : str
        Content of README.md.
    overwrite : bool
        Whether to replace a directory that this function has written.

    Returns
    -------
    pathlib.Path
        The absolute path. Symbolic links are resolved.

    Raises
    ------
    FileExistsError
        If `path` exists and `overwrite` is False, or if `path` exists and was not
        written by this function.
    """
    manifest = {"format": FORMAT, **manifest, "files": list_files(files)}
    manifest["sha256"] = digest(manifest)
    files = {**files, CARD: card.encode(), MANIFEST: to_json(manifest)}
    return create(path, files, "save", _check_own, overwrite=overwrite)


def to_json(data):
    """Return `data` as indented JSON, in bytes."""
    return f"{json.dumps(data, indent=2, allow_nan=False)}\n".encode()


def digest(manifest):
    """Return the sha256 of a manifest without the keys "files" and "sha256".

    The key "files" is left out, because each file is compared with its entry under
    "files" anyway.
    """
    content = {k: v for k, v in manifest.items() if k not in ("files", "sha256")}
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def _check_own(path):
    """Raise ValueError if save did not write the directory or one of its files."""
    _manifest(path)
    check_no_others(path, {*FILES, CARD, MANIFEST})


@dataclass(frozen=True)
class StoredFile:
    """A file that is verified before its content is used.

    Attributes
    ----------
    path : Path
    size : int
        Size in bytes, according to the manifest.
    sha256 : str
        The sha256, according to the manifest.
    """

    path: Path
    size: int
    sha256: str

    @property
    def name(self):
        """Path of the file, as a str."""
        return str(self.path)

    def read(self):
        """Return the verified content as bytes."""
        with self.verified(JSON_FILES[self.path.name]) as file:
            return file.read()

    @contextlib.contextmanager
    def verified(self, max_size):
        """Open the file, after a comparison with the manifest.

        Parameters
        ----------
        max_size : int
            Maximum size of the file in bytes. A larger file is not read.

        Raises
        ------
        ValueError
            If the file is missing, too large, or differs from the manifest.
        """
        with _regular(self.path) as file:
            found = os.fstat(file.fileno()).st_size
            if found != self.size:
                raise ValueError(
                    f"{self.path} must have {self.size} bytes according to {MANIFEST}, "
                    f"got {found}. Copy the directory again."
                )
            if found > max_size:
                raise ValueError(
                    f"{self.path} must have at most {max_size} bytes, got {found}. "
                    "Save the estimator again."
                )
            if hashlib.file_digest(file, "sha256").hexdigest() != self.sha256:
                raise ValueError(
                    f"{self.path} must have the sha256 in {MANIFEST}, got another "
                    "sha256. The file was changed or replaced. Copy the directory "
                    "again."
                )
            file.seek(0)
            yield file


def read(path, check):
    """Read the manifest of a directory that :func:`write` has written.

    Parameters
    ----------
    path : str or path-like
    check : callable
        Function that checks the manifest. It is called before any other file is opened.

    Returns
    -------
    manifest : dict
    files : dict
        Maps each name in `FILES` to a StoredFile.

    Raises
    ------
    ValueError
        If the directory was not written by :func:`write`, or was changed afterwards.
    """
    path = Path(os.path.expanduser(path))
    manifest = _manifest(path)
    check(manifest)
    listed = _listed(manifest, path)
    _refuse_strays(path)
    return manifest, {n: StoredFile(path / n, **listed[n]) for n in FILES}


def _manifest(path):
    """Read and verify estimator.json."""
    if not (path / MANIFEST).is_file():
        raise ValueError(
            f"{path} is not a directory that save has written, because it does not "
            f"contain {MANIFEST}. Pass the path that save returned. To load a pickle, "
            "use joblib or pickle."
        )
    with _regular(path / MANIFEST) as file:
        data = file.read(MAX_MANIFEST + 1)
    try:
        if len(data) > MAX_MANIFEST:
            raise ValueError(f"it has more than {MAX_MANIFEST} bytes")
        manifest = json.loads(data)
        if manifest["format"] != FORMAT or type(manifest["schema"]) is not int:
            raise ValueError("its format is unknown")
        if manifest["sha256"] != digest(manifest):
            raise ValueError("its content does not match its sha256")
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise ValueError(
            f"{path / MANIFEST} was not written by save, or was changed or damaged "
            f"({type(error).__name__}: {shorten(error, 200, str)}). Copy the directory "
            "again."
        ) from error
    return manifest


def _listed(manifest, path):
    """Return the entry "files" of a manifest. Raise ValueError if it is invalid."""
    listed = manifest.get("files")
    names = set(listed) if isinstance(listed, dict) else set()
    if names != set(FILES):
        wrong = sorted(names ^ set(FILES))
        raise ValueError(
            f"{path / MANIFEST} must list the files {', '.join(FILES)}, but "
            f"{shorten(wrong, 200)} are missing or unknown. Copy the directory again."
        )
    for name, entry in listed.items():
        keys = set(entry) if isinstance(entry, dict) else set()
        if keys != {"size", "sha256"} or type(entry["size"]) is not int:
            raise ValueError(
                f"{path / MANIFEST} must list the size and the sha256 of {name}, got "
                f"{shorten(entry, 80)}. Copy the directory again."
            )
    return listed


def _refuse_strays(path):
    """Raise ValueError if a file in the directory could be a pickle or code."""
    for each in path.rglob("*"):
        if each.suffix.lower() in SUFFIXES:
            raise ValueError(
                f"{each} was not written by save, and could be a pickle or code. "
                "Somebody has added the file. If you trust the directory, remove the "
                "file and load the directory again."
            )


def _regular(path):
    """Open a regular file. Refuse pipes and devices, because reading may block."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise ValueError(
                f"{path} must be a regular file, got another kind of file. Copy the "
                "directory again."
            )
        return open(path, "rb")
    except OSError as error:
        raise ValueError(
            f"{path} cannot be opened ({error.strerror}). Copy the directory again."
        ) from error
