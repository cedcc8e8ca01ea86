# SPDX-License-Identifier: BSD-3-Clause
"""The progress bar."""

import contextlib
import functools
import multiprocessing
import sys
import warnings

from ._process import ForkableLock

with warnings.catch_warnings():
    # In a notebook without ipywidgets, the first import of tqdm.auto warns. Bars work
    # without ipywidgets too, as text. Later imports by transformers do not warn again.
    warnings.simplefilter("ignore")
    import tqdm.auto


def is_shown(verbose):
    """Return whether to show a progress bar in this process.

    Bars of several processes overwrite each other, so worker processes show a bar only
    with ``verbose=2``. If a display of the rich package controls the terminal (such as
    scikit-learn's ``ProgressBar``), bars are hidden, because a bar and the display
    would overwrite each other.
    """
    is_worker = multiprocessing.parent_process() is not None
    if not verbose or (is_worker and verbose < 2):
        return False
    rich = sys.modules.get("rich.file_proxy")
    return rich is None or not isinstance(sys.stderr, rich.FileProxy)


def open_bar(shown, **options):
    """Return a tqdm progress bar, or a HiddenBar if `shown` is False."""
    if not shown:
        return HiddenBar()
    return _bar_class()(unit="text", smoothing=0.1, **options)


@functools.cache
def _bar_class():
    """Return a subclass of tqdm that has its own lock.

    All processes share the lock of ordinary tqdm bars. If a forked worker is killed
    while it holds that lock, all other processes wait forever.
    """

    class Bar(tqdm.auto.tqdm):
        pass

    Bar.set_lock(ForkableLock())
    return Bar


class HiddenBar(contextlib.nullcontext):
    """An object that has the methods of a tqdm bar but shows nothing.

    This class is used instead of a tqdm bar with ``disable=True``, because such a bar
    takes a lock and can start a thread.
    """

    disable, total = True, 0

    def __init__(self):
        super().__init__(self)

    def ignore(self, *args, **kwargs):
        """Do nothing."""

    close = refresh = set_description = set_postfix = update = ignore
