# SPDX-License-Identifier: BSD-3-Clause
"""What belongs to the process and is put back as it was."""

import contextlib
import threading

import torch

# Whoever changes for a while what belongs to the process does it in turn: torch's
# generator, for as long as a fit takes, and transformers' settings, for a moment. Who
# takes both takes the generator's first.
GENERATOR_LOCK = threading.RLock()
_SETTINGS_LOCK = threading.RLock()


@contextlib.contextmanager
def quiet():
    """Silence transformers' bars and load reports, then restore the user's settings."""
    from huggingface_hub import utils as hub
    from transformers.utils import logging

    with _SETTINGS_LOCK:
        verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
        hub_bars = not hub.are_progress_bars_disabled()
        logging.set_verbosity_error()
        logging.disable_progress_bar()  # and the hub's
        try:
            yield
        finally:
            logging.set_verbosity(verbosity)
            if bars:
                logging.enable_progress_bar()
            (hub.enable_progress_bars if hub_bars else hub.disable_progress_bars)()


@contextlib.contextmanager
def generator_as_it_was():
    """Let torch's generator be used, then put it back."""
    with GENERATOR_LOCK, torch.random.fork_rng(devices=[]):
        yield
