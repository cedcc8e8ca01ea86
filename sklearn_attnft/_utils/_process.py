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


# A fit holds this lock while it uses torch's global generator. A thread that also
# needs the lock of transformers' settings (`_hf._quiet`) must take this one first.
GENERATOR_LOCK = ForkableLock()


@contextlib.contextmanager
def generator_as_it_was():
    """Let torch's generator be used, then put it back."""
    with GENERATOR_LOCK, torch.random.fork_rng(devices=[]), on_cpu():
        yield


@contextlib.contextmanager
def translate_errors(explain):
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


def in_float32(device):
    """Return a context without autocast: only the encoder computes in bfloat16."""
    return torch.autocast(device.type, enabled=False)
