# SPDX-License-Identifier: BSD-3-Clause
"""Shared helpers of the checks: clones, outputs, comparisons, expected errors."""

import importlib.util
import inspect
import re
from dataclasses import dataclass

import joblib
import numpy as np
from scipy.sparse import issparse
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.exceptions import NotFittedError

from ._tags import (
    declares_text,
    first_declares_text,
    provides,
    refits,
    tags_of,
    wants_columns,
    wrapped,
)

METHODS = (
    "predict",
    "predict_proba",
    "predict_log_proba",
    "decision_function",
    "transform",
)
# Every check sets these parameters if the estimator has them.
STEADY = {"random_state": 0, "verbose": False, "precision": "float32"}
# With these parameters, all rows are in one batch. So a fit depends only on the rows
# and their weights.
FULL_BATCH = {
    "batch_size": 64,
    "dropout": 0.0,
    "encoder_dropout": 0.0,
    "early_stopping": False,
}
# With these parameters, training is long enough to learn the corpus of the checks.
LONGER = {"max_epochs": 20, "early_stopping": False}


@dataclass(frozen=True)
class Traits:
    """Properties of an estimator that decide which checks apply.

    Attributes
    ----------
    tags : sklearn.utils.Tags
        The tags of the estimator, completed by tags of the estimators that it wraps.
    text : bool
        Whether the tags declare text input (`input_tags.string` and
        `input_tags.one_d_array`). Some checks demand more than scikit-learn's own
        estimators fulfill. These checks apply only if this is True.
    text_input : bool
        Whether the tags of the estimator, or of the first step of a Pipeline, declare
        text input.
    wraps : bool
        Whether the estimator has other estimators as parameters.
    weights : bool
        Whether ``fit`` takes `sample_weight`. If the estimator wraps others, this is
        False unless its own tags declare text input, because wrapped estimators do not
        always accept weights.
    scoring : bool
        Whether the estimator, or an estimator that it wraps, has a parameter `scoring`
        that is not None.
    refits : bool
        Whether the estimator can predict or transform after ``fit``. False for a search
        with ``refit=False``.
    classifier : bool
        Whether the estimator is a classifier that can predict.
    regressor : bool
        Whether the estimator is a regressor that can predict.
    columns : bool
        Whether the estimator requires targets with several columns.
    fit_takes : frozenset of str
        Names of the arguments of ``fit``.
    parameters : frozenset of str
        Names of the constructor's parameters.
    methods : frozenset of str
        Names of the public methods and class attributes that the estimator has.
    constrained : bool
        Whether the class declares ``_parameter_constraints``.
    """

    tags: object
    text: bool
    text_input: bool
    wraps: bool
    weights: bool
    scoring: bool
    refits: bool
    classifier: bool
    regressor: bool
    columns: bool
    fit_takes: frozenset
    parameters: frozenset
    methods: frozenset
    constrained: bool

    @classmethod
    def of(cls, estimator):
        """Read the traits of an estimator without fitting it."""
        names = {name for name in dir(type(estimator)) if not name.startswith("_")}
        text, wraps = declares_text(estimator), bool(wrapped(estimator))
        fit_takes = frozenset(inspect.signature(estimator.fit).parameters)
        return cls(
            tags=tags_of(estimator),
            text=text,
            text_input=first_declares_text(estimator),
            wraps=wraps,
            weights="sample_weight" in fit_takes and (text or not wraps),
            scoring=any(
                name.rpartition("__")[2] == "scoring" and value is not None
                for name, value in estimator.get_params(deep=True).items()
            ),
            refits=refits(estimator),
            classifier=is_classifier(estimator) and refits(estimator),
            regressor=is_regressor(estimator) and refits(estimator),
            columns=wants_columns(estimator),
            fit_takes=fit_takes,
            parameters=frozenset(estimator.get_params(deep=False)),
            # The parameters decide whether some methods exist (available_if).
            methods=frozenset(n for n in names if _has_method(estimator, n)),
            constrained=hasattr(estimator, "_parameter_constraints"),
        )


def _has_method(estimator, name):
    if name in ("get_feature_names_out", "set_output"):
        return provides(estimator, name)
    if name == "load":
        method = inspect.getattr_static(type(estimator), name)
        return isinstance(method, (classmethod, staticmethod))
    return hasattr(estimator, name)


def installed(module):
    """Return whether a module can be found, without importing it."""
    return importlib.util.find_spec(module) is not None


def fresh(estimator, **settings):
    """Clone an estimator and set the parameters in `settings` and ``STEADY``.

    Only parameters that the estimator has are set. Parameters of nested estimators are
    set too. For example, ``step__random_state`` gets the value of ``random_state``.
    """
    new = clone(estimator)
    settings = {**STEADY, **settings}
    chosen = {}
    for name in new.get_params(deep=True):
        last = name.rpartition("__")[2]
        if last in settings:
            chosen[name] = settings[last]
    return new.set_params(**chosen)


def changed_parameters(before, after):
    """Return the names of the parameters whose values differ."""
    return [name for name in before if not _equal(before[name], after[name])]


def _equal(left, right):
    if left is right:
        return True
    try:
        return joblib.hash(left) == joblib.hash(right)
    except Exception:  # for example, a list that contains a lambda cannot be hashed
        return type(left) is type(right)


def dense(output):
    """Return an output (array, sparse matrix, data frame or list) as an array."""
    if isinstance(output, list) and all(hasattr(part, "shape") for part in output):
        return np.column_stack(output)
    return output.toarray() if issparse(output) else np.asarray(output)


def features(estimator, X):
    """Check that ``transform`` returns numbers, and return them as an array."""
    output = estimator.transform(X)
    try:
        array = dense(output)
    except ValueError:  # lists of different lengths
        array = np.array(None)
    assert array.dtype.kind in "biuf", (
        f"transform returned {output!r:.60}, expected numbers. The checks are for "
        "estimators that return numbers or labels. If a transformer returns texts, "
        "check a Pipeline of the transformer and a vectorizer."
    )
    return array


def outputs(estimator, X):
    """Return a dict that maps each prediction method to its output as an array."""
    # scikit-learn's classifiers compute the logarithm of 0, so numpy would warn.
    with np.errstate(divide=None if declares_text(estimator) else "ignore"):
        return {
            method: features(estimator, X)
            if method == "transform"
            else dense(getattr(estimator, method)(X))
            for method in METHODS
            if hasattr(estimator, method)
        }


def take(arrays, indices):
    """Select the same rows from every array of a dict."""
    return {method: array[indices] for method, array in arrays.items()}


def stack(parts):
    """Concatenate dicts of arrays from :func:`outputs` along the rows."""
    return {m: np.concatenate([part[m] for part in parts]) for m in parts[0]}


def assert_same(actual, expected, rule, *, tolerance=0.0):
    """Check that two dicts of arrays are equal, or close if `tolerance` is given.

    `tolerance` is both the relative and the absolute tolerance. If `tolerance` is given
    and there are several outputs, labels are not compared. A rounding error can change
    the order of two nearly equal scores, and so the label.
    """
    assert actual.keys() == expected.keys(), (
        f"{rule}. The methods differ: got {sorted(actual)}, expected "
        f"{sorted(expected)}."
    )
    for method, value in expected.items():
        message = f"{rule}. The output of {method} breaks this rule."
        shapes = np.shape(actual[method]), np.shape(value)
        assert shapes[0] == shapes[1], (
            f"{message} Got the shape {shapes[0]}, expected {shapes[1]}."
        )
        if not tolerance:
            np.testing.assert_array_equal(actual[method], value, err_msg=message)
        elif value.dtype.kind == "f":
            np.testing.assert_allclose(
                actual[method], value, rtol=tolerance, atol=tolerance, err_msg=message
            )
        elif len(expected) == 1:
            np.testing.assert_array_equal(actual[method], value, err_msg=message)


def differ(left, right):
    """Return whether two dicts of arrays differ by more than rounding errors."""
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
    """Check that `action` raises one of `errors`.

    The message of the error must contain all words in `naming`.
    """
    expected = " or ".join(error.__name__ for error in errors)
    try:
        action()
    except Exception as error:
        raised = error
    else:
        raise AssertionError(f"{when} did not raise an error, expected {expected}.")
    if not isinstance(raised, errors):
        raise AssertionError(
            f"{when} raised {type(raised).__name__} ({raised}), expected {expected}. "
            "Is the argument used before it is validated?"
        ) from raised
    for word in naming:
        if not re.search(rf"(?<!\w){re.escape(word)}(?!\w)", str(raised)):
            raise AssertionError(
                f"{when} raised an error as expected, but the message does not contain "
                f"{word!r}, so a user cannot find the cause. The message is: {raised}"
            ) from raised


def assert_unfitted(estimator, X, when):
    """Check that all prediction methods raise NotFittedError."""
    for method in METHODS:
        if not hasattr(estimator, method):
            continue
        try:
            getattr(estimator, method)(X)
        except NotFittedError:
            continue
        except Exception as error:
            raise AssertionError(
                f"{when}, {method} raised {type(error).__name__} ({error}), expected "
                "NotFittedError. Call check_is_fitted first."
            ) from error
        raise AssertionError(
            f"{when}, {method} did not raise an error, expected NotFittedError. Call "
            "check_is_fitted first."
        )
