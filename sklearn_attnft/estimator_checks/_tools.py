# SPDX-License-Identifier: BSD-3-Clause
"""What the checks share: clones with settings, outputs, comparisons, refusals."""

import importlib.util
import inspect
import re
from dataclasses import dataclass

import numpy as np
from scipy.sparse import issparse
from sklearn.base import clone, is_classifier
from sklearn.exceptions import NotFittedError
from sklearn.utils import get_tags

from ._data import wants_columns

METHODS = (
    "predict",
    "predict_proba",
    "predict_log_proba",
    "decision_function",
    "transform",
)
# Set in every check, where there is such a parameter.
STEADY = {"random_state": 0, "verbose": False, "precision": "float32"}
# One batch and nothing random, so that a fit is a function of the weighted rows.
FULL_BATCH = {
    "batch_size": 64,
    "dropout": 0.0,
    "encoder_dropout": 0.0,
    "early_stopping": False,
}
# Enough to learn an easy corpus of sixteen texts.
LONGER = {"max_epochs": 20, "early_stopping": False}


@dataclass(frozen=True)
class Traits:
    """What of an estimator decides which checks apply.

    Attributes
    ----------
    tags : sklearn.utils.Tags
    classifier : bool
    columns : bool
        Whether the targets have several columns, always.
    fit_takes : frozenset of str
        The arguments of ``fit``.
    parameters : frozenset of str
        Of the constructor.
    methods : frozenset of str
        Public names of the instance.
    constrained : bool
        Whether the constraints of the parameters are declared, as scikit-learn does.
    """

    tags: object
    classifier: bool
    columns: bool
    fit_takes: frozenset
    parameters: frozenset
    methods: frozenset
    constrained: bool

    @classmethod
    def of(cls, estimator):
        """Look at an estimator; nothing is called but what reads tags and names."""
        names = {name for name in dir(type(estimator)) if not name.startswith("_")}
        return cls(
            tags=get_tags(estimator),
            classifier=is_classifier(estimator),
            columns=wants_columns(estimator),
            fit_takes=frozenset(inspect.signature(estimator.fit).parameters),
            parameters=frozenset(estimator.get_params(deep=False)),
            # Some methods exist only under some parameters (available_if).
            methods=frozenset(name for name in names if hasattr(estimator, name)),
            constrained=hasattr(estimator, "_parameter_constraints"),
        )


def installed(module):
    """Tell whether a module could be imported, without importing it."""
    return importlib.util.find_spec(module) is not None


def fresh(estimator, **settings):
    """Clone, then set those settings (and ``STEADY``) that are parameters.

    Parameters of nested estimators count: ``step__random_state`` is a `random_state`.
    """
    new = clone(estimator)
    settings = {**STEADY, **settings}
    chosen = {}
    for name in new.get_params(deep=True):
        last = name.rpartition("__")[2]
        if last in settings:
            chosen[name] = settings[last]
    return new.set_params(**chosen)


def dense(output):
    """Return an output as an array, be it sparse, a frame, an array or several."""
    if isinstance(output, list):
        return np.column_stack(output)
    return output.toarray() if issparse(output) else np.asarray(output)


def outputs(estimator, X):
    """Call every prediction method there is: a dict of arrays by method."""
    return {
        method: dense(getattr(estimator, method)(X))
        for method in METHODS
        if hasattr(estimator, method)
    }


def take(arrays, indices):
    """Take the same rows of every array of a dict."""
    return {method: array[indices] for method, array in arrays.items()}


def stack(parts):
    """Put dicts of arrays of :func:`outputs` under one another."""
    return {m: np.concatenate([part[m] for part in parts]) for m in parts[0]}


def assert_same(actual, expected, rule, *, tolerance=0.0):
    """Compare two dicts of arrays.

    With a tolerance (relative and absolute) labels are compared only where there are
    no scores to compare: two scores that are nearly equal may change places.
    """
    assert actual.keys() == expected.keys(), (
        f"{rule}: the methods differ ({sorted(actual)} and {sorted(expected)})."
    )
    for method, value in expected.items():
        message = f"{rule}. It does not hold for {method}."
        shapes = np.shape(actual[method]), np.shape(value)
        assert shapes[0] == shapes[1], f"{message} The shapes are {shapes}."
        if not tolerance:
            np.testing.assert_array_equal(actual[method], value, err_msg=message)
        elif value.dtype.kind == "f":
            np.testing.assert_allclose(
                actual[method], value, rtol=tolerance, atol=tolerance, err_msg=message
            )
        elif len(expected) == 1:
            np.testing.assert_array_equal(actual[method], value, err_msg=message)


def differ(left, right):
    """Tell whether two dicts of arrays differ by more than rounding, anywhere."""
    return any(
        left[m].shape != right[m].shape
        or (
            not np.allclose(left[m], right[m], rtol=1e-4, atol=1e-6)
            if left[m].dtype.kind == "f"
            else (left[m] != right[m]).any()
        )
        for m in left
    )


def assert_refused(action, when, *, errors=(ValueError, TypeError), naming=()):
    """Call `action`, which has to raise one of `errors` with all words of `naming`."""
    expected = " or ".join(error.__name__ for error in errors)
    try:
        action()
    except Exception as error:
        raised = error
    else:
        raise AssertionError(
            f"{when} is accepted; it has to raise {expected}. Is it validated at all?"
        )
    if not isinstance(raised, errors):
        raise AssertionError(
            f"{when} has to raise {expected}, and raised {type(raised).__name__}: "
            f"{raised}. Is it used before it is validated?"
        ) from raised
    for word in naming:
        if not re.search(rf"(?<!\w){re.escape(word)}(?!\w)", str(raised)):
            raise AssertionError(
                f"{when} is refused, but the message does not say {word!r}, so a user "
                f"cannot tell what is meant: {raised}"
            ) from raised


def assert_unfitted(estimator, X, when):
    """See that no prediction method works."""
    for method in METHODS:
        if not hasattr(estimator, method):
            continue
        try:
            getattr(estimator, method)(X)
        except NotFittedError:
            continue
        except Exception as error:
            raise AssertionError(
                f"{when}, {method} has to raise NotFittedError, and raised "
                f"{type(error).__name__}: {error}. Call check_is_fitted first."
            ) from error
        raise AssertionError(f"{when}, {method} works; it has to raise NotFittedError.")
