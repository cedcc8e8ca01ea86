# SPDX-License-Identifier: BSD-3-Clause
"""Silence transformers and the hub while something is loaded."""

import contextlib

from .._utils._process import ForkableLock

_SETTINGS_LOCK = ForkableLock()


@contextlib.contextmanager
def quiet():
    """Silence transformers' bars and load reports, then restore the user's settings."""
    from huggingface_hub import constants
    from huggingface_hub import utils as hub
    from transformers.utils import logging

    # Who sets HF_HUB_DISABLE_PROGRESS_BARS is warned of any change.
    may_change = constants.HF_HUB_DISABLE_PROGRESS_BARS is None
    with _SETTINGS_LOCK:
        verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
        hub_bars = not hub.are_progress_bars_disabled()
        logging.set_verbosity_error()
        if may_change:
            logging.disable_progress_bar()  # and the hub's
        try:
            yield
        finally:
            logging.set_verbosity(verbosity)
            if bars and may_change:
                logging.enable_progress_bar()
            if may_change:
                (hub.enable_progress_bars if hub_bars else hub.disable_progress_bars)()
