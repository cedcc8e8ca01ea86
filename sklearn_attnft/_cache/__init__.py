# SPDX-License-Identifier: BSD-3-Clause
"""Values that were computed once, looked up by content, in memory or on disk.

Knows nothing of texts and encoders: contents and values are bytes. Of several processes
one computes a value, by a claim on its name; a GPU's slots are such claims too.
"""

from ._claims import claim
from ._fetch import Cache, Counts, namespace
from ._stores import open_store

__all__ = ["Cache", "Counts", "claim", "namespace", "open_store"]
