# SPDX-License-Identifier: BSD-3-Clause
"""The seeds of unfinished fits whose `random_state` is None.

A killed fit resumes with its own seed, and each other fit has a new one. So
`checkpoint_dir` has a folder with the seeds of the unfinished fits of the same
parameters and data: for each seed an empty file, and a lock that the running fit holds.
"""

import contextlib
import shutil

from .._cache import claim
from ._resume import description, make_folder


class SeedClaim:
    """A seed that no other fit of the same parameters and data can get.

    Use it as a context manager, which releases the seed. If the fit has not finished,
    the next one takes the seed and resumes.

    Attributes
    ----------
    seed : int
    """

    def __init__(self, seed, record, data, release):
        self.seed = seed
        self._record = record
        self._data = data
        self._release = release

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self._release()

    def finish(self):
        """Forget the seed and delete the resume states of the fit."""
        with contextlib.suppress(OSError):
            self._record.unlink()
        for folder in self._record.parents[1].iterdir():
            known = description(folder)
            is_own = known is not None and known["data"] == self._data
            if is_own and known.get("seed") == self.seed:
                shutil.rmtree(folder, ignore_errors=True)
        self._release()
        with contextlib.suppress(OSError):
            self._record.with_suffix(".lock").unlink(missing_ok=True)
            self._record.parent.rmdir()  # if no other fit is unfinished


def claim_seed(directory, fingerprint, seed):
    """Claim the seed of a killed fit, or a new one.

    Parameters
    ----------
    directory : str or path-like
        The parameter `checkpoint_dir`.
    fingerprint : Fingerprint
        Its seed is None.
    seed : int
        The seed to claim if no fit was killed.

    Returns
    -------
    SeedClaim
    """
    folder = make_folder(directory, fingerprint.name)
    for record in sorted(folder.iterdir()):
        if not record.name.isdecimal():
            continue
        release = _lock(record)
        if release is not None and record.exists():
            return SeedClaim(int(record.name), record, fingerprint.data, release)
        if release is not None:  # the fit has just finished
            release()
    record = folder / str(seed)
    release = _lock(record) or _do_nothing
    with contextlib.suppress(OSError):  # the resume state will warn of a full disk
        record.touch()
    return SeedClaim(seed, record, fingerprint.data, release)


def _lock(record):
    """Lock a seed; return a function that releases it, or None if a fit runs with it.

    On a file system without locks, each seed can be locked: a killed fit resumes there
    too, but a fit that starts while another runs takes the same seed.
    """
    try:
        return claim(record.parent, f"{record.name}.lock", wait=False)
    except (OSError, NotImplementedError):
        return _do_nothing


def _do_nothing():
    pass
