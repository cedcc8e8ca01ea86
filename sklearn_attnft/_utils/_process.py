# SPDX-License-Identifier: BSD-3-Clause
"""Context managers and locks for state that is global to the process or thread."""

import contextlib
import os
import threading
import weakref

import torch


class ForkableLock:
    """A re-entrant lock that a forked process can always acquire.

    A fork copies locks but not threads. If another thread holds an ordinary lock at
    the time of the fork, it stays locked in the child, which then waits forever.
    """

    def __init__(self):
        self._lock = threading.RLock()
        _LOCKS.add(self)

    def _renew(self):
        # Acquiring succeeds if the lock is free, or held by the thread that forked.
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


# A fit holds this lock while it uses torch's global generator. To avoid a deadlock, a
# thread that also needs the lock of transformers' settings (`_hf._quiet`) must acquire
# this one first.
GENERATOR_LOCK = ForkableLock()


@contextlib.contextmanager
def preserve_generator():
    """Restore torch's global CPU generator on exit.

    Loading a model may sample random weights. Without this context, it would change
    the random numbers of the user's program.
    """
    with GENERATOR_LOCK, torch.random.fork_rng(devices=[]), on_cpu():
        yield


@contextlib.contextmanager
def translate_errors(explain):
    """Replace errors of a library by ``explain(error)``, which tells what to do.

    Panics of the tokenizers library derive from BaseException, so that is caught too.
    KeyboardInterrupt and SystemExit are not replaced.
    """
    try:
        yield
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:
        raise explain(error) from error


def on_cpu():
    """Return a context that creates new tensors on the CPU.

    It is needed where a user has changed torch's default device, for example by
    ``torch.set_default_device``. If the default is the CPU, the context does nothing,
    because ``torch.device`` as a context slows down each call of torch.
    """
    is_default = torch.get_default_device().type == "cpu"
    return contextlib.nullcontext() if is_default else torch.device("cpu")


def in_float32(device):
    """Return a context that disables autocast on `device`.

    Attention, heads and losses need the accuracy of float32; only the encoder may
    compute in bfloat16.
    """
    return torch.autocast(device.type, enabled=False)
