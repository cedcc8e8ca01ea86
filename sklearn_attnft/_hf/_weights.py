# SPDX-License-Identifier: BSD-3-Clause
"""Find and read the weights of an encoder.

This module passes tensors, not files, to transformers. Otherwise, if a model on the hub
has only a pickle, transformers would ask a third party to convert the pickle. This
module reads pickles with the restricted unpickler of torch, which builds tensors and
does not call functions that a file names.
"""

import json
import os
import pickle
import re
import zipfile
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch.torch_version import TorchVersion

from .._utils._messages import shorten

SAFE = ("model.safetensors", "model.safetensors.index.json")
PICKLED = ("pytorch_model.bin", "pytorch_model.bin.index.json")
# In older versions of torch, a crafted file could corrupt memory: CVE-2026-24747.
SAFE_TORCH = "2.10"
MAX_PICKLE_BYTES = 2**24  # data.pkl needs about 300 bytes per tensor
CONVERT = (
    "Save the encoder as safetensors, with transformers: "
    "AutoModel.from_pretrained(...).save_pretrained(...)."
)


class WeightsError(Exception):
    """The weights are in a file that must not be read. The message says why."""


def read_state_dict(source, config):
    """Return a dict with the weights of an encoder.

    The keys are the names of the weights. Each tensor has the data type that is
    stored in the file. Files that are missing from the hub's cache are downloaded.

    Parameters
    ----------
    source : str
        A directory or a name on the hub.
    config : transformers.PretrainedConfig

    Returns
    -------
    dict of tensor

    Raises
    ------
    WeightsError
        If the only files with weights are not safe to read.
    OSError, huggingface_hub.errors.EntryNotFoundError
        If the weights are not in the directory. For a name on the hub, if the weights
        are neither in the cache nor on the hub.
    """
    named = vars(config).get("transformers_weights")
    if named in (None, "adapter_model.bin"):  # transformers ignores these too
        name, path = _find_first(source, (*SAFE, *PICKLED))
    else:
        _check_name(named.removesuffix(".index.json"), ".safetensors", "config.json")
        name, path = named, _find(source, named)
    if not path.endswith(".index.json"):
        return _read(path)
    index = json.loads(Path(path).read_text(encoding="utf-8"))
    suffix = ".bin" if path.endswith(".bin.index.json") else ".safetensors"
    commit = Path(path).parents[name.count("/")].name  # used for hub names only
    weights = {}
    for shard in sorted(set(index["weight_map"].values())):
        _check_name(shard, suffix, name)
        weights |= _read(_find(source, shard, revision=commit))
    return weights


def _check_name(name, suffix, where):
    """Check that `name` is inside the directory and ends in `suffix`."""
    if not re.fullmatch(rf"([\w-][\w.-]*/)*[\w-][\w.-]*{re.escape(suffix)}", name):
        raise WeightsError(
            f"has a {where} that lists the weights file {shorten(name, 200)}. A "
            f"weights file must be in the encoder's directory and end in {suffix}. "
            f"{CONVERT}"
        )


def _find_first(source, names):
    """Return the name and path of the first file in `names` that exists."""
    from huggingface_hub.errors import EntryNotFoundError

    errors = []
    for name in names:
        try:
            return name, _find(source, name)
        except (FileNotFoundError, EntryNotFoundError) as error:
            errors.append(error)
    raise errors[0]


def _find(source, name, revision=None):
    """Return the path of a file. If `source` is a hub name, download the file."""
    from huggingface_hub import hf_hub_download

    if not os.path.isdir(source):
        return hf_hub_download(source, name, revision=revision)
    path = os.path.join(source, name)
    if not os.path.isfile(path):
        raise FileNotFoundError(path)
    return path


def _read(path):
    return load_file(path) if path.endswith(".safetensors") else _read_pickle(path)


def _read_pickle(path):
    name = os.path.basename(path)
    if TorchVersion(torch.__version__) < SAFE_TORCH:
        raise WeightsError(
            f"has its weights only in {name}, a pickle. To read a pickle safely, torch "
            f"must be {SAFE_TORCH} or newer, got torch {torch.__version__}. Upgrade "
            f"torch, or replace the pickle. {CONVERT}"
        )
    with open(path, "rb") as file:
        _check_archive(file, name)
        file.seek(0)
        try:
            weights = torch.load(file, map_location="cpu", weights_only=True)
        except pickle.UnpicklingError as error:
            raise WeightsError(
                f"has a {name} that contains other objects than tensors. These objects "
                "may be code and were not loaded. Pass another encoder, or a copy of "
                "this encoder that is saved as safetensors."
            ) from error
    wrong = [key for key, weight in weights.items() if not _is_plain(weight)]
    if wrong:
        raise ValueError(
            f"{name} has {shorten(wrong[0], 80)}, which is not a plain tensor"
        )
    return weights


def _check_archive(file, name):
    """Raise an error if a pickle could need more memory than the size of its file."""
    start = file.read(4)
    if start != b"PK\x03\x04" or not zipfile.is_zipfile(file):
        if not start.startswith(b"\x80"):
            raise ValueError(f"{name} is not a file of torch.save")
        raise WeightsError(
            f"has its weights only in {name}, a pickle in the format of torch before "
            f"1.6. This format is not supported. {CONVERT}"
        )
    with zipfile.ZipFile(file) as archive:
        entries = archive.infolist()
    stored = all(entry.compress_type == zipfile.ZIP_STORED for entry in entries)
    n_bytes = sum(entry.file_size for entry in entries)
    if not stored or n_bytes > os.fstat(file.fileno()).st_size:
        raise ValueError(f"{name} is compressed, but torch.save never compresses")
    pickles = [entry for entry in entries if entry.filename.endswith("data.pkl")]
    longest = max((entry.file_size for entry in pickles), default=0)
    if longest > MAX_PICKLE_BYTES:
        raise ValueError(
            f"{name} must have a data.pkl of at most {MAX_PICKLE_BYTES} bytes, got "
            f"{longest} bytes"
        )


def _is_plain(weight):
    """Return whether a value is a CPU tensor that fits into its storage."""
    if not isinstance(weight, torch.Tensor) or weight.device.type != "cpu":
        return False
    # With a stride of 0, a tensor of any shape can have a small storage.
    return weight.nbytes <= weight.untyped_storage().nbytes()
