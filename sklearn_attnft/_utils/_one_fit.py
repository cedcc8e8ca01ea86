# SPDX-License-Identifier: BSD-3-Clause
"""Ensure that a method does not read attributes of two different fits.

Another thread may call ``fit`` of the same estimator while the method runs.
"""

import copy
import functools

READERS = (
    "decision_function",
    "explain",
    "export_onnx",
    "faithfulness",
    "predict",
    "predict_log_proba",
    "predict_proba",
    "save",
    "score_samples",
    "task",
    "transform",
)


def reads_one_fit(cls):
    """Run the methods in `READERS` on a shallow copy of the estimator.

    This function is a decorator of classes. The copy takes all attributes in one step,
    and ``fit`` replaces all attributes in one step. So a method cannot read attributes
    of two fits. If a user's subclass overrides a method, the method of the subclass
    runs on the estimator itself.
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
