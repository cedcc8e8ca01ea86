# SPDX-License-Identifier: BSD-3-Clause
"""What belongs to the process and is put back as it was."""

import contextlib
import os
import threading

import torch


class ForkableLock:
    """A re-entrant lock that a forked child never finds held by a thread it lacks."""

    def __init__(self):
        self._lock = threading.RLock()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._renew)

    def _renew(self):
        if self._lock.acquire(blocking=False):  # free, or held by who forked
            self._lock.release()
        else:
            self._lock = threading.RLock()

    def __enter__(self):
        self._lock.acquire()

    def __exit__(self, *error):
        self._lock.release()


# Whoever changes for a while what belongs to the process does it in turn: torch's
# generator, for as long as a fit takes, and transformers' settings, for a moment. Who
# takes both takes the generator's first.
GENERATOR_LOCK = ForkableLock()
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


@contextlib.contextmanager
def generator_as_it_was():
    """Let torch's generator be used, then put it back."""
    with GENERATOR_LOCK, torch.random.fork_rng(devices=[]), on_cpu():
        yield


@contextlib.contextmanager
def explained(explain):
    """Raise what `explain` makes of an error, or of a library's panic, but Ctrl-C."""
    try:
        yield
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # as panics of the tokenizers' library are
        raise explain(error) from error


def on_cpu():
    """Return a context whose new tensors are on the CPU, whatever torch's default is.

    It costs each of torch's functions a microsecond, so it is for those who need it.
    """
    is_default = torch.get_default_device().type == "cpu"
    return contextlib.nullcontext() if is_default else torch.device("cpu")
