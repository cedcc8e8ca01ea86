# SPDX-License-Identifier: BSD-3-Clause
"""Replacements for names that old versions of other packages lack."""

import numpy as np

__all__ = [
    "CallbackSupportMixin",
    "ProgressBar",
    "ScoringMonitor",
    "compute_class_weight",
]

# Remove the except clause when setup.cfg requires scikit-learn 1.9.
try:
    from sklearn.callback import CallbackSupportMixin, ProgressBar, ScoringMonitor
except ImportError:

    class _NoContext:
        """A callback context of an estimator without callbacks."""

        def call_on_fit_task_begin(self, **data):
            pass

        def call_on_fit_task_end(self, **data):
            return False  # no callback asks to end a stage

        def subcontext(self, **names):
            return self

    class CallbackSupportMixin:
        """A mixin that creates callback contexts but does not define set_callbacks."""

        def _init_callback_context(self, **sizes):
            return _NoContext()

    class ProgressBar:
        """Placeholder for a class that this version of scikit-learn lacks."""

    class ScoringMonitor:
        """Placeholder for a class that this version of scikit-learn lacks."""


# Import scikit-learn's function instead when setup.cfg requires scikit-learn 1.7. The
# function of 1.6 does not take sample_weight.
def compute_class_weight(class_weight, *, classes, y, sample_weight):
    """Return the weight of each class, like scikit-learn's function of this name.

    Parameters
    ----------
    class_weight : {"balanced"} or None
    classes : ndarray
        Sorted classes that occur in `y`.
    y : ndarray of shape (n_samples,)
    sample_weight : ndarray of shape (n_samples,)
    """
    if class_weight is None:
        return np.ones(len(classes))
    counts = np.bincount(np.searchsorted(classes, y), weights=sample_weight)
    return counts.sum() / (len(classes) * counts)
