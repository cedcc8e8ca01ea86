# SPDX-License-Identifier: BSD-3-Clause
"""What a checkpoint's files determine is worked out once in a process."""

import functools
import os

from ._find import find_encoder


def encoder_identity(encoder):
    """Tell a checkpoint's files from others without reading them.

    Parameters
    ----------
    encoder : str or path-like

    Returns
    -------
    tuple or None
        The directory, and name, size, times and number of each file in it: whoever
        writes one of them changes it. None if the hub's cache has nothing yet, or the
        files cannot be looked at, as when one goes in this moment.
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
    except OSError:
        return None
    return os.path.abspath(directory), tuple(
        (name, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino)
        for name, stat in sorted(files)
    )


def once_per_process(identity, what, compute):
    """Return what `compute` does, or did for the same files and the same `what`.

    Parameters
    ----------
    identity : tuple or None
        Of :func:`encoder_identity`, taken before the files were read.
    what : hashable
    compute : callable
        Without arguments. Its result must not be changed.
    """
    if identity is None:
        return compute()
    results = _results(identity, what)
    if not results:
        results.append(compute())
    return results[0]


@functools.lru_cache(maxsize=16)
def _results(identity, what):
    return []
