# SPDX-License-Identifier: BSD-3-Clause
# ruff: noqa: D401 (the docstring of a check is the rule that it holds)
"""The contract of an estimator: tags, parameters, ``fit`` and what it sets."""

import copy
import inspect

import joblib
import numpy as np
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.utils import get_tags
from sklearn.utils._param_validation import generate_invalid_param_val, make_constraint
from sklearn.utils.validation import check_is_fitted

from ._data import corpus, uneven_weights
from ._tools import assert_refused, assert_same, assert_unfitted, fresh, outputs


def check_tags_say_text(estimator):
    """The tags say that X is one-dimensional and of str, and not a matrix."""
    tags = get_tags(clone(estimator)).input_tags
    assert tags.string, "input_tags.string is False, but the estimator takes str."
    assert tags.one_d_array, "input_tags.one_d_array is False; X is one-dimensional."
    assert not tags.two_d_array, (
        "input_tags.two_d_array is True, so scikit-learn would pass matrices of "
        "numbers. It is the default: set it to False in __sklearn_tags__."
    )


def check_fit_returns_self(estimator):
    """``fit`` returns the estimator itself."""
    estimator = fresh(estimator)
    result = estimator.fit(*corpus(estimator))
    assert result is estimator, (
        f"fit returned {type(result).__name__} and not self, so that fit(...)."
        "predict(...) does not work. Is the return forgotten?"
    )


def check_fit_score_takes_y(estimator):
    """Methods that a pipeline calls with targets take `y` as second argument."""
    for method in ("fit", "fit_transform", "fit_predict", "score"):
        if not hasattr(estimator, method):
            continue
        names = list(inspect.signature(getattr(estimator, method)).parameters)
        assert names[1:2] in (["y"], ["Y"]), (
            f"{method} has the arguments {names}; the second has to be y (y=None if "
            "it is not used), for a Pipeline passes it."
        )


def check_not_fitted_before_fit(estimator):
    """Before ``fit`` every method that predicts raises NotFittedError."""
    estimator = fresh(estimator)
    X, y = corpus(estimator)
    assert_unfitted(estimator, X, "before fit")
    if hasattr(estimator, "score"):
        assert_refused(
            lambda: estimator.score(X, y),
            "score before fit",
            errors=(NotFittedError,),
        )


def check_is_fitted_after_fit(estimator):
    """``check_is_fitted`` raises before ``fit`` and passes after it."""
    estimator = fresh(estimator)
    assert_refused(
        lambda: check_is_fitted(estimator),
        "check_is_fitted before fit",
        errors=(NotFittedError,),
    )
    estimator.fit(*corpus(estimator))
    try:
        check_is_fitted(estimator)
    except NotFittedError as error:
        raise AssertionError(
            "check_is_fitted does not see that fit was called: fit sets no attribute "
            "whose name ends in an underscore."
        ) from error


def check_fit_sets_fitted_attributes_only(estimator):
    """``fit`` adds attributes that end in "_" or start with "_", and no others."""
    estimator = fresh(estimator)
    before = set(vars(estimator))
    estimator.fit(*corpus(estimator))
    wrong = [
        name
        for name in set(vars(estimator)) - before
        if not name.startswith("_") and not name.endswith("_")
    ]
    assert not wrong, (
        f"fit added the attributes {sorted(wrong)}. What is learned ends in an "
        "underscore, what is private starts with one."
    )


def check_fit_keeps_parameters(estimator):
    """``fit`` changes no parameter, neither the attribute nor the object in it."""
    estimator = fresh(estimator)
    before = copy.deepcopy(estimator.get_params())
    estimator.fit(*corpus(estimator))
    after = estimator.get_params()
    changed = [n for n in before if joblib.hash(before[n]) != joblib.hash(after[n])]
    assert not changed, (
        f"fit changed the parameters {changed}, so a clone of the fitted estimator is "
        "another estimator. Keep what is derived from them under another name."
    )


def check_arguments_are_not_changed(estimator):
    """``fit`` and the predictions leave X, y and sample_weight as they were."""
    estimator = fresh(estimator)
    texts, labels = corpus(estimator)
    for container in (list, lambda values: np.array(values, dtype=object)):
        X, y = container(texts), container(labels)
        arguments = {"X": X, "y": y}
        extra = {}
        if "sample_weight" in inspect.signature(estimator.fit).parameters:
            extra["sample_weight"] = uneven_weights(len(texts))
        arguments.update(extra)
        before = copy.deepcopy(arguments)
        estimator.fit(X, y, **extra)
        _assert_unchanged(arguments, before, "fit")
        outputs(estimator, X)
        _assert_unchanged(arguments, before, "a prediction")


def _assert_unchanged(arguments, before, culprit):
    for name, value in arguments.items():
        same = np.array_equal(*(np.array(v, object) for v in (value, before[name])))
        assert same, (
            f"{culprit} changed the {name} it was given ({type(value).__name__}), "
            "which belongs to the user. Is it cleaned or sorted in place?"
        )


def check_parameters_are_validated(estimator):
    """``fit`` refuses, by name, a parameter that breaks its constraints."""
    constraints = estimator._parameter_constraints
    names = clone(estimator).get_params(deep=False).keys()
    assert set(constraints) == set(names), (
        "_parameter_constraints and the parameters differ in "
        f"{sorted(set(constraints) ^ set(names))}."
    )
    X, y = corpus(estimator)
    for name in names:
        if constraints[name] == "no_validation":
            continue
        wrong = [type("NoSuchType", (), {})()]
        for constraint in map(make_constraint, constraints[name]):
            try:
                wrong.append(generate_invalid_param_val(constraint))
            except NotImplementedError:  # a constraint of type only has no wrong value
                continue
        for value in wrong:
            broken = fresh(estimator).set_params(**{name: value})
            assert_refused(
                lambda broken=broken: broken.fit(X, y),
                f"the parameter {name}={value!r}",
                naming=(name,),
            )


def check_clone_of_fitted_is_unfitted(estimator):
    """A clone of a fitted estimator has its parameters and nothing learned."""
    estimator = fresh(estimator)
    X, y = corpus(estimator, n_classes=3)
    before = set(vars(clone(estimator)))
    fitted = fresh(estimator).fit(X, y)
    copied = clone(fitted)
    kept = set(vars(copied)) - before
    assert not kept, f"A clone of a fitted estimator keeps {sorted(kept)}."
    assert_unfitted(copied, X, "cloned after fit")
    X, y = corpus(estimator)
    assert_same(
        outputs(copied.fit(X, y), X),
        outputs(estimator.fit(X, y), X),
        "A clone of a fitted estimator has to fit as one that was never fitted (are "
        "trained weights kept in a parameter?)",
    )


def check_init_does_no_work(estimator):
    """The constructor stores nonsense as it comes; only ``fit`` refuses it."""
    kind = type(estimator)
    nonsense = {name: object() for name in clone(estimator).get_params(deep=False)}
    try:
        built = kind(**nonsense)
    except Exception as error:
        raise AssertionError(
            f"The constructor of {kind.__name__} refused a parameter, which is the "
            f"work of fit: {type(error).__name__}: {error}"
        ) from error
    for name, value in nonsense.items():
        assert getattr(built, name) is value, (
            f"The constructor stored another {name} than it was given: it has to "
            "assign, and not to convert, load or copy."
        )
    X, y = corpus(estimator)
    assert_refused(lambda: built.fit(X, y), f"parameters of nonsense in {kind}")


def check_n_iter(estimator):
    """``n_iter_`` is the number of epochs run: an int from 1 to `max_epochs`."""
    estimator = fresh(estimator, max_epochs=2, early_stopping=False)
    n_iter = estimator.fit(*corpus(estimator)).n_iter_
    assert isinstance(n_iter, (int, np.integer)), (
        f"n_iter_ is a {type(n_iter).__name__}; it counts epochs, so it is an int."
    )
    assert n_iter == 2, f"n_iter_ is {n_iter} after max_epochs=2 without stopping."


def applicable(traits):
    """Yield the checks that apply."""
    yield check_tags_say_text
    yield check_fit_returns_self
    yield check_fit_score_takes_y
    if traits.tags.requires_fit:
        yield check_not_fitted_before_fit
        yield check_is_fitted_after_fit
        yield check_clone_of_fitted_is_unfitted
    yield check_fit_sets_fitted_attributes_only
    yield check_fit_keeps_parameters
    yield check_arguments_are_not_changed
    if traits.constrained:
        yield check_parameters_are_validated
    if traits.parameters:
        yield check_init_does_no_work
    if "max_epochs" in traits.parameters:
        yield check_n_iter
