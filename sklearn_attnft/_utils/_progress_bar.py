# SPDX-License-Identifier: BSD-3-Clause
"""The progress bar."""

import importlib.util
import multiprocessing
import sys


def is_shown(verbose):
    """Return whether to show a progress bar in this process.

    Bars of several processes overwrite each other, so worker processes show a bar only
    with ``verbose=2``. While a display of rich controls the terminal, bars are hidden,
    because both would be unreadable. An example is scikit-learn's ``ProgressBar``.
    """
    is_worker = multiprocessing.parent_process() is not None
    if not verbose or (is_worker and verbose < 2):
        return False
    rich = sys.modules.get("rich.file_proxy")
    return rich is None or not isinstance(sys.stderr, rich.FileProxy)


def open_bar(shown, **options):
    """Return a tqdm progress bar. If `shown` is False, the bar is hidden."""
    # Without ipywidgets, tqdm.auto would warn in a notebook.
    if shown and importlib.util.find_spec("ipywidgets") is not None:
        from tqdm.auto import tqdm
    else:
        from tqdm import tqdm
    return tqdm(disable=not shown, unit="text", smoothing=0.1, **options)
