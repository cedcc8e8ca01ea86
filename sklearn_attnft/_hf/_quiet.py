# SPDX-License-Identifier: BSD-3-Clause
"""Silence transformers and huggingface_hub during loading."""

import contextlib

from .._utils._process import ForkableLock

_SETTINGS_LOCK = ForkableLock()


@contextlib.contextmanager
def quiet():
    """Turn off progress bars and load reports until the context ends."""
    from huggingface_hub import constants
    from huggingface_hub import utils as hub
    from transformers.utils import logging

    # If HF_HUB_DISABLE_PROGRESS_BARS is set, any change raises a warning.
    may_change = constants.HF_HUB_DISABLE_PROGRESS_BARS is None
    with _SETTINGS_LOCK:
        verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
        hub_bars = not hub.are_progress_bars_disabled()
        logging.set_verbosity_error()
        if may_change:
            logging.disable_progress_bar()  # also those of huggingface_hub
        try:
            yield
        finally:
            logging.set_verbosity(verbosity)
            if bars and may_change:
                logging.enable_progress_bar()
            if may_change:
                (hub.enable_progress_bars if hub_bars else hub.disable_progress_bars)()
