# SPDX-License-Identifier: BSD-3-Clause
"""A cache of computed values in memory or on disk, with keys that are hashes.

The cache stores bytes and does not depend on texts or encoders. Locks prevent two
processes from computing the same value.
"""

from ._claims import claim
from ._fetch import Cache, Counts, namespace
from ._stores import open_store

__all__ = ["Cache", "Counts", "claim", "namespace", "open_store"]
