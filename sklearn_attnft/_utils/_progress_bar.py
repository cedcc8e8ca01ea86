# SPDX-License-Identifier: BSD-3-Clause
"""The progress bar."""

import functools
import importlib.util
import multiprocessing
import sys

from ._process import ForkableLock


def is_shown(verbose):
    """Return whether to show a progress bar in this process.

    Bars of several processes overwrite each other, so worker processes show one only
    with ``verbose=2``. No bar is shown while a display of rich, such as scikit-learn's
    ``ProgressBar``, controls the terminal, because both would be garbled.
    """
    is_worker = multiprocessing.parent_process() is not None
    if not verbose or (is_worker and verbose < 2):
        return False
    rich = sys.modules.get("rich.file_proxy")
    return rich is None or not isinstance(sys.stderr, rich.FileProxy)


def open_bar(shown, **options):
    """Return a tqdm progress bar, or an object that does nothing if not `shown`."""
    if not shown:
        return _NoBar()
    return _bar_class()(unit="text", smoothing=0.1, **options)


class _NoBar:
    """A bar that is not shown.

    tqdm takes a lock that all forked processes share, also with ``disable=True``. If
    one of them is killed while it holds the lock, the others would wait forever.
    """

    disable, total = True, 0

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass

    def _do_nothing(self, *args, **kwargs):
        pass

    update = set_description = set_postfix = refresh = close = _do_nothing


@functools.cache
def _bar_class():
    """Return the class of our bars, which have a lock of their own."""
    # Without ipywidgets, tqdm.auto would warn in a notebook.
    if importlib.util.find_spec("ipywidgets") is not None:
        from tqdm.auto import tqdm
    else:
        from tqdm import tqdm

    class Bar(tqdm):
        pass

    Bar.set_lock(ForkableLock())
    return Bar
