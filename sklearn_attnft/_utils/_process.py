# SPDX-License-Identifier: BSD-3-Clause
"""Locks and context managers for global settings of a process or thread."""

import contextlib
import os
import threading
import weakref

import torch


class ForkableLock:
    """A re-entrant lock that a forked process can always acquire.

    A fork copies locks but not threads. If another thread holds an ordinary lock during
    the fork, the lock is never released in the forked process. That process would then
    wait forever.
    """

    def __init__(self):
        self._lock = threading.RLock()
        _LOCKS.add(self)

    def _renew(self):
        # This succeeds if the lock is free or the thread that forked holds the lock.
        if self._lock.acquire(blocking=False):
            self._lock.release()
        else:
            self._lock = threading.RLock()

    def acquire(self):
        """Wait for the lock."""
        return self._lock.acquire()

    def release(self):
        """Release the lock."""
        self._lock.release()

    def __enter__(self):
        self.acquire()

    def __exit__(self, *error):
        self.release()


_LOCKS = weakref.WeakSet()


def _renew_locks():
    for lock in list(_LOCKS):
        lock._renew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_locks)


# A fit holds this lock while it uses the global generator of torch. A thread that also
# needs the lock of the settings of transformers (`_hf._quiet`) must acquire
# GENERATOR_LOCK first. Otherwise, a deadlock can occur.
GENERATOR_LOCK = ForkableLock()


@contextlib.contextmanager
def preserve_generator():
    """Restore torch's global CPU generator on exit.

    Loading a model may sample random weights. Without this context, loading a model
    would change the random numbers of the user's program.
    """
    with GENERATOR_LOCK, torch.random.fork_rng(devices=[]), on_cpu():
        yield


@contextlib.contextmanager
def translate_errors(explain):
    """Replace errors of a library by the exception that ``explain(error)`` returns.

    Every BaseException except KeyboardInterrupt and SystemExit is replaced, because
    panics of the tokenizers library derive from BaseException.
    """
    try:
        yield
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:
        raise explain(error) from error


def on_cpu():
    """Return a context in which torch creates tensors on the CPU.

    The context is needed if the user has changed torch's default device, for example by
    ``torch.set_default_device``. If the default device is already the CPU, the returned
    context does nothing, because a ``torch.device`` context would slow down each call
    of torch.
    """
    is_default = torch.get_default_device().type == "cpu"
    return contextlib.nullcontext() if is_default else torch.device("cpu")


def in_float32(device):
    """Return a context that disables autocast on `device`.

    Attention, heads and losses need the accuracy of float32. Only the encoder may use
    bfloat16.
    """
    return torch.autocast(device.type, enabled=False)
