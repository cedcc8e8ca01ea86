# SPDX-License-Identifier: BSD-3-Clause
"""Faster imports of large packages."""

import contextlib
import gc


@contextlib.contextmanager
def paused_garbage_collection():
    """Pause the search for reference cycles.

    Imports create many objects but hardly any reference cycles. Because the number of
    objects grows, Python often searches all objects for cycles. The searches take a
    quarter of the time of importing torch, scikit-learn and transformers.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
