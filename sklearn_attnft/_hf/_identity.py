# SPDX-License-Identifier: BSD-3-Clause
"""Store results that depend on an encoder, to compute them once in a process."""

import functools
import json
import os

from ._find import find_encoder
from ._weights import PICKLED, SAFE


def encoder_identity(encoder):
    """Return a value that changes when a file of an encoder changes.

    The content of the files is not read.

    Parameters
    ----------
    encoder : str or path-like

    Returns
    -------
    tuple or None
        Path of the directory, and the name, size, times and inode number of each file
        in the directory. None if the encoder is not in the hub's cache yet, if some of
        its weights are in another directory, or if the files of the encoder cannot be
        listed, for example because a file is being deleted.
    """
    from huggingface_hub import try_to_load_from_cache

    directory = find_encoder(encoder)
    if not os.path.isdir(directory):
        config = try_to_load_from_cache(directory, "config.json")
        if not isinstance(config, str):
            return None
        directory = os.path.dirname(config)
    try:
        with os.scandir(directory) as entries:
            files = [(each.name, each.stat()) for each in entries if each.is_file()]
        if any(_names_other_directories(directory, name) for name, _ in files):
            return None
    except (OSError, ValueError):
        return None
    return os.path.abspath(directory), tuple(
        (name, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino)
        for name, stat in sorted(files)
    )


def _names_other_directories(directory, name):
    """Return whether a file is an index of weights that are in other directories."""
    if name not in (SAFE[1], PICKLED[1]):
        return False
    with open(os.path.join(directory, name), encoding="utf-8") as file:
        return "/" in json.dumps(json.load(file))


def once_per_process(identity, name, compute):
    """Return a stored result, or the result of `compute` if none is stored.

    A result is stored for each pair of `identity` and `name`.

    Parameters
    ----------
    identity : tuple or None
        Value that :func:`encoder_identity` returned before the files of the encoder
        were read. If None, the result of `compute` is not stored.
    name : hashable
        Name of the result, and the parameters that the result depends on.
    compute : callable
        Function without arguments. Callers must not change the returned object.
    """
    if identity is None:
        return compute()
    results = _results(identity, name)
    if not results:
        results.append(compute())
    return results[0]


@functools.lru_cache(maxsize=16)
def _results(identity, name):
    return []
