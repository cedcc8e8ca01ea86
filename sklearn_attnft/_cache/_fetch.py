# SPDX-License-Identifier: BSD-3-Clause
"""Look values up by content, and compute each missing one exactly once."""

import contextlib
import hashlib
import importlib.metadata
import json
from dataclasses import dataclass, field

import numpy as np

from .._utils._process import ForkableLock
from .._version import __version__

# Version of the stored values. Raise it when their format or computation changes.
FORMAT = 2
# Number of values that are locked and computed at once. Larger pieces fill batches
# better; smaller ones leave more to other processes and lose less when killed.
PIECE = 1024
# Packages other than this one whose versions the values depend on.
ENGINES = ("tokenizers", "torch", "transformers")


def namespace(**what):
    """Return the sha256 of what values depend on in addition to their content.

    Parameters
    ----------
    **what : str, int, None, or lists and dicts of them
        The versions of this package and of `ENGINES` are added, so that values of
        other versions are not found.
    """
    versions = {name: importlib.metadata.version(name) for name in ENGINES}
    versions["sklearn_attnft"] = __version__
    everything = json.dumps([FORMAT, versions, what], sort_keys=True)
    return hashlib.sha256(everything.encode()).digest()


@dataclass
class Counts:
    """How many values were found, and how many were computed."""

    hits: int = 0
    misses: int = 0
    _lock: ForkableLock = field(default_factory=ForkableLock, repr=False)

    def add(self, hits, misses):
        """Add to the counts; several threads may do so at once."""
        with self._lock:
            self.hits += hits
            self.misses += misses


@dataclass(frozen=True)
class Cache:
    """Values of one kind in a store.

    Attributes
    ----------
    store : MemoryStore or DirectoryStore
    limit : int
        Maximum size of the store in bytes.
    namespace : bytes
    counts : Counts
    """

    store: object
    limit: int
    namespace: bytes
    counts: Counts

    def fetch_floats(self, contents, compute):
        """Return the values of contents as flat arrays of float32; see `fetch`."""

        def compute_bytes(positions):
            return [np.asarray(value, "<f4").tobytes() for value in compute(positions)]

        values = self.fetch(contents, compute_bytes)
        return [np.frombuffer(value, "<f4") for value in values]

    def fetch(self, contents, compute):
        """Return the values of contents, in the same order.

        Parameters
        ----------
        contents : list of bytes
        compute : callable
            Takes positions in `contents` and returns the list of their values, bytes.

        Returns
        -------
        list of bytes
        """
        keys = [hashlib.sha256(self.namespace + each).hexdigest() for each in contents]
        position = {key: i for i, key in enumerate(keys)}
        values = {key: self.store.get(key) for key in position}
        missing = [key for key, value in values.items() if value is None]
        n_computed = 0
        while missing:
            with self._claimed(missing) as claimed:
                # Another process may have computed them before we got the lock.
                values |= {key: self.store.get(key) for key in claimed}
                own = [key for key in claimed if values[key] is None]
                computed = compute([position[key] for key in own]) if own else []
                for key, value in zip(own, computed, strict=True):
                    values[key] = value
                    self.store.put(key, value, self.limit)
            n_computed += len(own)
            missing = [key for key in missing if values[key] is None]
        self.counts.add(len(keys) - n_computed, n_computed)
        return [values[key] for key in keys]

    @contextlib.contextmanager
    def _claimed(self, keys):
        """Lock some of the keys and yield them.

        Without locks, the workers of a grid search would encode the same texts several
        times while the cache is empty. Keys are locked in groups: with a lock per key,
        the directory would get a file per key. Groups that are locked elsewhere are
        left for later. Only a process that holds no lock waits for one, so there are
        no deadlocks.
        """
        groups = {}
        for key in keys:
            # 4096 names. Two groups may share a name; then one waits for the other.
            name = self.namespace.hex()[:2] + key[0]
            groups.setdefault(name, []).append(key)
        with contextlib.ExitStack() as releases:
            claimed = []
            for name, members in groups.items():
                release = self.store.claim(name, wait=False)
                if release is not None:
                    releases.callback(release)
                    claimed += members
                if len(claimed) >= PIECE:
                    break
            if not claimed:
                name, claimed = next(iter(groups.items()))
                releases.callback(self.store.claim(name, wait=True))
            yield claimed
