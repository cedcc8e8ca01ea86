# SPDX-License-Identifier: BSD-3-Clause
"""Checks that fits and predictions print nothing and do not change global state."""

import contextlib
import copy
import io
import logging
import os
import pickle
import random
import sys
import warnings

import numpy as np
from sklearn import get_config

from ._data import corpus
from ._tools import fresh, outputs


def _random_states():
    states = {
        "numpy.random": pickle.dumps(np.random.get_state()),  # noqa: NPY002
        "random": random.getstate(),
    }
    if "torch" in sys.modules:
        torch = sys.modules["torch"]
        states["torch's generator"] = torch.get_rng_state().numpy().tobytes()
    return states


def _process_settings():
    root = logging.getLogger()
    settings = {
        "warnings.filters": list(warnings.filters),
        "os.environ": dict(os.environ),
        "the root logger's level": root.level,
        "the root logger's handlers": list(root.handlers),
        "numpy.geterr()": np.geterr(),
        "scikit-learn's configuration": get_config(),
        "the working directory": os.getcwd(),
    }
    if "torch" in sys.modules:
        torch = sys.modules["torch"]
        settings |= {
            "torch's number of threads": torch.get_num_threads(),
            "torch's default dtype": torch.get_default_dtype(),
            "whether torch records gradients": torch.is_grad_enabled(),
            "torch's deterministic mode": torch.are_deterministic_algorithms_enabled(),
        }
    return settings


def _assert_untouched(estimator, look, cure):
    """Check that fits, predictions and copies do not change what `look` returns."""
    X, y = corpus(estimator)
    unfitted = fresh(estimator)
    before = look()
    fitted = unfitted.fit(X, y)
    between = look()
    outputs(fitted, X)
    after = look()
    # If fit imports torch, the settings of torch are missing in `before`.
    changed = [n for n in before if before[n] != between[n]]
    assert not changed, f"fit changed {', '.join(changed)}, expected no change. {cure}"
    changed = [n for n in between if between[n] != after[n]]
    assert not changed, (
        f"A prediction changed {', '.join(changed)}, expected no change. {cure}"
    )
    try:
        pickled = pickle.dumps(fitted)
    except (pickle.PicklingError, AttributeError, TypeError):
        return  # check_pickle reports this error
    copy.deepcopy(pickle.loads(pickled))
    copied = look()
    changed = [n for n in after if after[n] != copied[n]]
    assert not changed, (
        f"Pickling or copying changed {', '.join(changed)}, expected no change. {cure}"
    )


def check_global_random_state_untouched(estimator):
    """If random_state is an int, global random generators do not change."""
    _assert_untouched(
        estimator,
        _random_states,
        "Use a separate random generator that random_state seeds, or restore the state "
        "of the global generator.",
    )


def check_global_settings_untouched(estimator):
    """Warning filters, environment, logging and thread counts do not change."""
    _assert_untouched(
        estimator,
        _process_settings,
        "If a setting of the process must be changed, use a context manager that "
        "restores it.",
    )


def check_silent(estimator):
    """If verbose=0, nothing is written to stdout or stderr."""
    X, y = corpus(estimator)
    written = io.StringIO()
    with contextlib.redirect_stdout(written), contextlib.redirect_stderr(written):
        outputs(fresh(estimator).fit(X, y), X)
    text = written.getvalue()
    assert not text, (
        f"With verbose=0, fit or a prediction wrote {text[:200]!r}, expected no "
        "output. Does the code call print, or does a library show a progress bar?"
    )


def applicable(traits):
    """Yield the checks that apply."""
    yield check_global_random_state_untouched
    yield check_global_settings_untouched
    yield check_silent
