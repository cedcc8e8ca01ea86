# SPDX-License-Identifier: BSD-3-Clause
"""The progress bar: where it is shown, and how."""

import importlib.util
import multiprocessing
import sys


def is_shown(verbose):
    """Tell whether a bar is to be shown in this process, on this terminal, now.

    Bars of several processes overwrite one another, so it takes ``verbose=2`` in a
    worker. Where a display of rich has taken over the terminal (scikit-learn's
    ``ProgressBar`` is one), a bar would be torn to pieces.
    """
    is_worker = multiprocessing.parent_process() is not None
    if not verbose or (is_worker and verbose < 2):
        return False
    rich = sys.modules.get("rich.file_proxy")
    return rich is None or not isinstance(sys.stderr, rich.FileProxy)


def open_bar(shown, **options):
    """Open a bar of tqdm; one that is not `shown` does nothing."""
    # Without ipywidgets, tqdm.auto would warn in a notebook.
    if shown and importlib.util.find_spec("ipywidgets") is not None:
        from tqdm.auto import tqdm
    else:
        from tqdm import tqdm
    return tqdm(disable=not shown, unit="text", smoothing=0.1, **options)
