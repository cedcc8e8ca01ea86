# SPDX-License-Identifier: BSD-3-Clause
"""Lookup of values in the cache, and computation of missing values."""

import contextlib
import hashlib
import importlib.metadata
import json
from dataclasses import dataclass, field

import numpy as np

from .._utils._process import ForkableLock
from .._utils._warnings import warn
from .._version import __version__

# Version of the stored values. Increase this number when the format or the computation
# of the values changes.
FORMAT = 3
# Number of values that a process locks and computes at once. With a larger number,
# batches are fuller. With a smaller number, other processes can compute more of the
# values, and fewer values are lost when a process is killed.
PIECE = 1024
# Other packages whose versions change the values.
ENGINES = ("tokenizers", "torch", "transformers")


def namespace(**what):
    """Return a sha256 hash of all settings that affect the values of a cache.

    The returned hash also depends on the versions of this package and of `ENGINES`, so
    that a cache does not return values that other versions have stored. Together with
    the content that a value is computed from, the hash determines the key of the value.

    Parameters
    ----------
    **what : str, int, None, list or dict
        Settings that affect the values.
    """
    versions = {name: importlib.metadata.version(name) for name in ENGINES}
    versions["sklearn_attnft"] = __version__
    everything = json.dumps([FORMAT, versions, what], sort_keys=True)
    return hashlib.sha256(everything.encode()).digest()


@dataclass
class Counts:
    """Number of values found in a cache (hits) and of values computed (misses)."""

    hits: int = 0
    misses: int = 0
    _lock: ForkableLock = field(default_factory=ForkableLock, repr=False)

    def add(self, hits, misses):
        """Increase the counts. Several threads can call this method at once."""
        with self._lock:
            self.hits += hits
            self.misses += misses


@dataclass
class Cache:
    """A cache for values that are computed with the same settings.

    Attributes
    ----------
    store : MemoryStore or DirectoryStore
    limit : int
        Maximum size of the store in bytes.
    namespace : bytes
        The return value of :func:`namespace`.
    counts : Counts
    """

    store: object
    limit: int
    namespace: bytes
    counts: Counts
    _is_readonly: bool = False

    def fetch_floats(self, contents, compute):
        """Return a one-dimensional float32 array for each content.

        The parameters are those of :meth:`fetch`, except that `compute` returns arrays
        instead of bytes.
        """

        def compute_bytes(positions):
            return [np.asarray(value, "<f4").tobytes() for value in compute(positions)]

        values = self.fetch(contents, compute_bytes)
        return [np.frombuffer(value, "<f4") for value in values]

    def fetch(self, contents, compute, *, is_long=False):
        """Return the value of each content, and compute values that are not stored.

        Parameters
        ----------
        contents : list of bytes
            For each value, the bytes that the value is computed from.
        compute : callable
            Function that takes a list of indices of `contents` and returns a list with
            the values of these contents, in bytes.
        is_long : bool
            Whether a computation takes long. Then computations of different contents do
            not wait for each other.

        Returns
        -------
        list of bytes
            The values, in the order of `contents`.
        """
        keys = [hashlib.sha256(self.namespace + each).hexdigest() for each in contents]
        position = {key: i for i, key in enumerate(keys)}
        values = {key: self.store.get(key) for key in position}
        missing = [key for key, value in values.items() if value is None]
        n_computed = 0
        while missing:
            with self._claimed(missing, is_long) as claimed:
                # Before the lock was acquired, another process may have stored values.
                values |= {key: self.store.get(key) for key in claimed}
                own = [key for key in claimed if values[key] is None]
                computed = compute([position[key] for key in own]) if own else []
                for key, value in zip(own, computed, strict=True):
                    values[key] = value
                    self._put(key, value)
            n_computed += len(own)
            missing = [key for key in missing if values[key] is None]
        self.counts.add(len(keys) - n_computed, n_computed)
        return [values[key] for key in keys]

    def _put(self, key, value):
        """Store a value, or warn that it cannot be stored."""
        if not self._is_readonly:
            try:
                self.store.put(key, value, self.limit)
            except OSError as error:
                self._stop_writing(error)

    def _claim(self, name, *, wait):
        """Lock a name, or warn that it cannot be locked.

        Return the function that ends the lock. If ``wait=False`` and another process
        has the lock, return None.
        """
        if not self._is_readonly:
            try:
                return self.store.claim(name, wait=wait)
            except OSError as error:
                self._stop_writing(error)
        return lambda: None

    def _stop_writing(self, error):
        """Warn once. A full disk must not end a fit or a prediction."""
        self._is_readonly = True
        warn(f"The computation continues. Its results are not cached: {error.strerror}")

    @contextlib.contextmanager
    def _claimed(self, keys, is_long):
        """Lock some of the keys and yield the locked keys.

        Without locks, the workers of a grid search would encode the same texts several
        times while the cache is empty. A lock per key would create a file per key, so
        keys are locked in groups. Groups that another process has locked are left out.
        If all groups are locked, this method waits for one of them. A process never
        waits for a lock while it holds another lock, so deadlocks cannot occur.
        """
        groups = {}
        for key in keys:
            # There are 4096 names. If two caches share a name, one waits for the other.
            name = key[:3] if is_long else self.namespace.hex()[:2] + key[0]
            groups.setdefault(name, []).append(key)
        with contextlib.ExitStack() as releases:
            claimed = []
            for name, members in groups.items():
                release = self._claim(name, wait=False)
                if release is not None:
                    releases.callback(release)
                    claimed += members
                if len(claimed) >= PIECE:
                    break
            if not claimed:
                name, claimed = next(iter(groups.items()))
                releases.callback(self._claim(name, wait=True))
            yield claimed
