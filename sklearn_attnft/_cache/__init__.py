# SPDX-License-Identifier: BSD-3-Clause
"""A cache of computed values by content, in memory or on disk.

Contents and values are bytes: the package knows nothing about texts or encoders. A lock
on the name of a value lets exactly one process compute it.
"""

from ._claims import claim
from ._fetch import Cache, Counts, namespace
from ._stores import open_store

__all__ = ["Cache", "Counts", "claim", "namespace", "open_store"]
