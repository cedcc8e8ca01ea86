# SPDX-License-Identifier: BSD-3-Clause
"""Methods that never mix the attributes of two fits, even if another thread fits."""

import copy
import functools

READERS = (
    "decision_function",
    "explain",
    "faithfulness",
    "predict",
    "predict_log_proba",
    "predict_proba",
    "save",
    "task",
    "transform",
)


def reads_one_fit(cls):
    """Let the methods of a class that read fitted attributes read those of one fit.

    A method runs on a shallow copy of the estimator. The copy takes all attributes in
    one step, and ``fit`` replaces them in one step. Use it as a decorator: the methods
    of a subclass that a user writes run on the estimator itself.
    """
    for name in READERS:
        if name in vars(cls):
            setattr(cls, name, _on_copy(vars(cls)[name]))
    return cls


def _on_copy(method):
    @functools.wraps(method)
    def run(self, *args, **kwargs):
        return method(copy.copy(self), *args, **kwargs)

    return run
