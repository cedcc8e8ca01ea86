# SPDX-License-Identifier: BSD-3-Clause
"""Warnings that show a line of the user's code."""

import contextlib
import os
import sys
import warnings

import sklearn.base
import sklearn.utils._set_output

_PACKAGE = os.path.dirname(os.path.dirname(__file__)) + os.sep
# Files and folders of code that calls our methods on behalf of the user. scikit-learn
# wraps fit and transform, and skorch calls callbacks.
_WRAPPERS = (
    sklearn.base.__file__,
    sklearn.utils._set_output.__file__,
    contextlib.__file__,
)
_ENGINES = (f"{os.sep}skorch{os.sep}", f"{os.sep}torch{os.sep}")


def warn(message, category=UserWarning):
    """Issue a warning that shows the line of the user's code.

    Parameters
    ----------
    message : str
    category : type, default=UserWarning
    """
    level, frame = 1, sys._getframe()
    while frame.f_back is not None and _is_internal(frame.f_code.co_filename):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level)


def _is_internal(path):
    """Return whether a file is internal.

    Internal files are part of this package, or of a library that calls this package for
    the user.
    """
    is_own = path.startswith(_PACKAGE) or path in _WRAPPERS
    return is_own or any(engine in path for engine in _ENGINES)
