# SPDX-License-Identifier: BSD-3-Clause
"""Which files hold an encoder's weights: they are found here, not by transformers.

Given a name on the hub where there is only a pickle, transformers has a third party
convert it, and reads what was made of it. Given a directory, it asks nobody.
"""

import json
import os
import re
from pathlib import Path

SAFE = ("model.safetensors", "model.safetensors.index.json")
PICKLED = ("pytorch_model.bin", "pytorch_model.bin.index.json")
IN_PICKLE = "has its weights in pytorch_model.bin only, a pickle"


class PickleError(Exception):
    """The weights are not in safetensors; the message says where they are."""


def weights_directory(source, config, *, allow_pickle):
    """Return the directory from which transformers is to load the weights.

    What the hub has and its cache has not is downloaded.

    Parameters
    ----------
    source : str
        A directory or a name on the hub.
    config : transformers.PretrainedConfig
    allow_pickle : bool

    Raises
    ------
    PickleError
        If it would read a pickle, and `allow_pickle` is False.
    OSError, huggingface_hub.errors.EntryNotFoundError
        If neither hub nor cache has the weights.
    """
    named = vars(config).get("transformers_weights")
    names = [named] if named else [*SAFE, *(PICKLED if allow_pickle else ())]
    is_local = os.path.isdir(source)
    find = _find_in_directory if is_local else _find_on_hub
    path, name = find(source, names, allow_pickle)
    if path is None:  # transformers says that there is none
        return source
    directory = source if is_local else str(Path(path).parents[name.count("/")])
    if name.endswith(".index.json"):
        index = json.loads(Path(path).read_text(encoding="utf-8"))
        for shard in sorted(set(index["weight_map"].values())):
            if not allow_pickle and not re.fullmatch(r"[\w.-]+\.safetensors", shard):
                raise PickleError(
                    f"has an index of weights that names {shard!r:.200}, which is no "
                    "file of safetensors beside it but maybe a pickle"
                )
            if not is_local:  # of the same commit
                _download(source, shard, revision=os.path.basename(directory))
    return directory


def _find_in_directory(source, names, allow_pickle):
    """Return path and name of the first file that is there; None if none is."""
    for name in names:
        if os.path.isfile(os.path.join(source, name)):
            return os.path.join(source, name), name
    if not allow_pickle and any(Path(source).glob("pytorch_model*.bin*")):
        raise PickleError(IN_PICKLE)
    return None, None


def _find_on_hub(source, names, allow_pickle):
    """Return path in the hub's cache and name of the first file that is there."""
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

    errors = []
    for name in names:
        try:
            return _download(source, name), name
        except EntryNotFoundError as error:
            errors.append(error)
    # The hub said that there are no safetensors, or it cannot be asked and the cache
    # has the pickle.
    is_there = not any(isinstance(each, LocalEntryNotFoundError) for each in errors)
    is_there |= any(isinstance(try_to_load_from_cache(source, n), str) for n in PICKLED)
    if is_there and not allow_pickle:
        raise PickleError(IN_PICKLE) from errors[0]
    raise errors[0]


def _download(source, name, revision=None):
    """Return the path of a file in the hub's cache."""
    from huggingface_hub import hf_hub_download

    return hf_hub_download(source, name, revision=revision)
