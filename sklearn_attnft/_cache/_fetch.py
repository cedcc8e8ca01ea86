# SPDX-License-Identifier: BSD-3-Clause
"""Look values up by content, and compute each missing one exactly once."""

import contextlib
import hashlib
import importlib.metadata
import json
import threading
from dataclasses import dataclass, field

import numpy as np

from .._version import __version__

# Of what is stored, and of how it comes about: to be raised when either changes.
FORMAT = 2
# Values that are claimed and computed at once, if so many are missing: enough for full
# batches, and few enough to leave something to others and to lose little when killed.
PIECE = 1024
# Versions of what the values depend on, beside this package's own.
ENGINES = ("tokenizers", "torch", "transformers")


def namespace(**what):
    """Return the sha256 of all that values depend on beside their content.

    Parameters
    ----------
    **what : str, int, None, or lists and dicts of them
        The versions of this package and its engines are added, so that an upgrade
        never finds what another version computed.
    """
    versions = {name: importlib.metadata.version(name) for name in ENGINES}
    versions["sklearn_attnft"] = __version__
    everything = json.dumps([FORMAT, versions, what], sort_keys=True)
    return hashlib.sha256(everything.encode()).digest()


@dataclass
class Counts:
    """How often a value was found, and how often computed."""

    hits: int = 0
    misses: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def add(self, hits, misses):
        """Count; threads may share an estimator."""
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
        Bytes.
    namespace : bytes
    counts : Counts
    """

    store: object
    limit: int
    namespace: bytes
    counts: Counts

    def fetch_floats(self, contents, compute):
        """Return values that are arrays of float32, as :meth:`fetch` does; flat."""

        def compute_bytes(positions):
            return [np.asarray(value, "<f4").tobytes() for value in compute(positions)]

        values = self.fetch(contents, compute_bytes)
        return [np.frombuffer(value, "<f4") for value in values]

    def fetch(self, contents, compute):
        """Return the values of contents, in their order.

        Parameters
        ----------
        contents : list of bytes
        compute : callable
            From positions in `contents` to a list of their values, bytes.

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
                # Who had claimed them before may have computed them.
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
        """Claim some of the keys, for as long as they are computed.

        By shards, of which those that others have are left for later; only who holds
        none waits for one, so nobody waits for each other.
        """
        shards = {}
        for key in keys:
            shards.setdefault(key[0], []).append(key)
        with contextlib.ExitStack() as claims:
            claimed = []
            for shard, members in shards.items():
                if len(claimed) >= PIECE:
                    break
                if self._claim(shard, claims, wait=False):
                    claimed += members
            if not claimed:
                shard, claimed = next(iter(shards.items()))
                self._claim(shard, claims, wait=True)
            yield claimed

    def _claim(self, shard, claims, *, wait):
        # One of 4096 names, so that there are not ever more of them. Two shards that
        # share a name wait for each other, which does no harm.
        name = hashlib.sha256(self.namespace + shard.encode()).hexdigest()[:3]
        release = self.store.claim(name, wait)
        if release is not None:
            claims.callback(release)
        return release is not None
