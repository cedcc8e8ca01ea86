# SPDX-License-Identifier: BSD-3-Clause
"""The seeds of unfinished fits whose `random_state` is None.

A killed fit must resume with its own seed, and other fits must have new seeds. So
`checkpoint_dir` has a folder for each set of parameters and data. All unfinished fits
with these parameters and data share the folder. Each fit has two files there. The first
file is empty, and its name is the seed. The second file is locked while the fit runs.
"""

import contextlib
import shutil

from .._cache import claim
from ._resume import description, make_folder


class SeedClaim:
    """A seed that no other running fit with the same parameters and data can have.

    As a context manager, a SeedClaim releases the seed at the end. If the fit was
    interrupted, the next fit gets the seed and resumes.

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
        """Delete the record of the seed and the resume states of the fit."""
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
            self._record.parent.rmdir()  # fails if another fit is unfinished


def claim_seed(directory, fingerprint, seed):
    """Claim the seed of a killed fit, or `seed` if no fit was killed.

    Parameters
    ----------
    directory : str or path-like
        The parameter `checkpoint_dir`.
    fingerprint : Fingerprint
        Fingerprint without a seed.
    seed : int
        Seed of a new fit.

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
    """Lock a seed and return a function that releases the lock.

    If a running fit has locked the seed, return None. If the file system does not
    support locks, return a function that does nothing. A killed fit can then still
    resume, but a fit that starts while another fit runs gets the seed of that fit.
    """
    try:
        return claim(record.parent, f"{record.name}.lock", wait=False)
    except (OSError, NotImplementedError):
        return _do_nothing


def _do_nothing():
    pass
