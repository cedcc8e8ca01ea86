# SPDX-License-Identifier: BSD-3-Clause
# ruff: noqa: D401 (the docstring of a check states its rule)
"""Checks of the estimator API: tags, parameters, ``fit`` and fitted attributes."""

import copy
import inspect

import numpy as np
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import FeatureUnion, Pipeline
from sklearn.utils import get_tags
from sklearn.utils._param_validation import generate_invalid_param_val, make_constraint
from sklearn.utils.validation import check_is_fitted

from ._data import corpus, uneven_weights
from ._tags import declares_text, wrapped
from ._tools import (
    Traits,
    assert_refused,
    assert_same,
    assert_unfitted,
    changed_parameters,
    fresh,
    outputs,
)


def check_tags_say_text(estimator):
    """The tags declare that X holds str and is not a matrix.

    The check does not apply to a Pipeline or a search, because they do not forward
    these tags, or to a FunctionTransformer, because it takes any X.
    """
    tags = get_tags(clone(estimator)).input_tags
    assert tags.string, (
        "input_tags.string is False, expected True for an estimator that takes str. "
        "Set the tag in __sklearn_tags__."
    )
    assert not tags.two_d_array, (
        "input_tags.two_d_array is True, expected False. True is the default and means "
        "that the estimator takes matrices of numbers. Set the tag to False in "
        "__sklearn_tags__."
    )


def check_fit_returns_self(estimator):
    """``fit`` returns the estimator itself."""
    estimator = fresh(estimator)
    result = estimator.fit(*corpus(estimator))
    assert result is estimator, (
        f"fit returned an instance of {type(result).__name__}, expected the estimator "
        "itself, so that fit(...).predict(...) works. Is `return self` missing?"
    )


def check_fit_score_takes_y(estimator):
    """Methods that a Pipeline calls with targets have `y` as the second argument."""
    for method in ("fit", "fit_transform", "fit_predict", "score"):
        if not hasattr(estimator, method):
            continue
        names = list(inspect.signature(getattr(estimator, method)).parameters)
        assert names[1:2] in (["y"], ["Y"]), (
            f"{method} has the arguments {names}, expected y as the second argument, "
            "because a Pipeline passes y. If y is not used, write y=None."
        )


def check_not_fitted_before_fit(estimator):
    """Before ``fit``, every prediction method raises NotFittedError."""
    estimator = fresh(estimator)
    X, y = corpus(estimator)
    assert_unfitted(estimator, X, "Before fit")
    if hasattr(estimator, "score"):
        # An unfitted StackingClassifier does not have predict, so score raises
        # AttributeError.
        strict = declares_text(estimator) or hasattr(estimator, "predict")
        assert_refused(
            lambda: estimator.score(X, y),
            "score before fit",
            errors=(NotFittedError,) if strict else (AttributeError,),
        )


def check_is_fitted_after_fit(estimator):
    """``check_is_fitted`` raises an error before ``fit``, but not after ``fit``."""
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
            "check_is_fitted raised NotFittedError after fit, expected no error. Does "
            "fit set an attribute whose name ends with an underscore?"
        ) from error


def check_fit_sets_fitted_attributes_only(estimator):
    """``fit`` adds only attributes whose names start or end with an underscore."""
    estimator = fresh(estimator)
    before = set(vars(estimator))
    estimator.fit(*corpus(estimator))
    wrong = [
        name
        for name in set(vars(estimator)) - before
        if not name.startswith("_") and not name.endswith("_")
    ]
    assert not wrong, (
        f"fit added the attributes {sorted(wrong)}, expected names that end with an "
        "underscore (learned attributes) or start with one (private attributes)."
    )


def check_fit_keeps_parameters(estimator):
    """``fit`` neither replaces the parameters nor changes their values in place.

    A Pipeline and a FeatureUnion fit their steps in place. For these two, the check
    compares a clone made before ``fit`` with a clone made after ``fit``.
    """
    estimator = fresh(estimator)
    fits_its_parameters = isinstance(estimator, (Pipeline, FeatureUnion))
    copying = clone if fits_its_parameters else lambda original: original
    before = copy.deepcopy(copying(estimator).get_params())
    estimator.fit(*corpus(estimator))
    changed = changed_parameters(before, copying(estimator).get_params())
    assert not changed, (
        f"fit changed the parameters {changed}, expected no change. A clone of the "
        "fitted estimator would get the changed parameters. Is a derived value stored "
        "in a parameter? Store it in another attribute."
    )


def check_arguments_are_not_changed(estimator):
    """``fit`` and the prediction methods do not change X, y and sample_weight.

    An estimator that wraps others gets `sample_weight` only if its own tags declare
    text input, because wrapped estimators do not always accept weights.
    """
    estimator = fresh(estimator)
    texts, labels = corpus(estimator)
    for container in (list, lambda values: np.array(values, dtype=object)):
        X, y = container(texts), labels.copy()
        if y.ndim == 1:
            y = container(labels)
        arguments = {"X": X, "y": y}
        extra = {}
        if Traits.of(estimator).weights:
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
            f"{culprit} changed {name} ({type(value).__name__}), expected no change of "
            f"the user's data. Is {name} cleaned or sorted in place?"
        )


def check_parameters_are_validated(estimator):
    """If a parameter is invalid, ``fit`` raises an error that names the parameter.

    If the tags declare text input, each parameter must have a constraint. This is
    stricter than scikit-learn, which lets subclasses of its estimators have parameters
    without constraints.
    """
    constraints = estimator._parameter_constraints
    names = clone(estimator).get_params(deep=False).keys()
    assert not declares_text(estimator) or set(constraints) == set(names), (
        "_parameter_constraints and the parameters of the constructor must have the "
        f"same names, but differ in {sorted(set(constraints) ^ set(names))}."
    )
    X, y = corpus(estimator)
    for name in names:
        if constraints.get(name, "no_validation") == "no_validation":
            continue
        wrong = [type("NoSuchType", (), {})()]
        for constraint in map(make_constraint, constraints[name]):
            try:
                wrong.append(generate_invalid_param_val(constraint))
            except NotImplementedError:  # raised if only the type is constrained
                continue
        for value in wrong:
            broken = fresh(estimator).set_params(**{name: value})
            assert_refused(
                lambda broken=broken: broken.fit(X, y),
                f"fit with the parameter {name}={value!r}",
                naming=(name,),
            )


def check_clone_of_fitted_is_unfitted(estimator):
    """A clone of a fitted estimator is unfitted and can be fitted like a new estimator.

    The estimators that the clone wraps are unfitted too.
    """
    estimator = fresh(estimator)
    X, y = corpus(estimator, n_classes=3)
    before = _attributes(clone(estimator))
    fitted = fresh(estimator).fit(X, y)
    copied = clone(fitted)
    kept = _attributes(copied) - before
    assert not kept, (
        f"A clone of a fitted estimator has the attributes {sorted(kept)}, expected "
        "no learned attributes. Does __sklearn_clone__ copy learned attributes?"
    )
    assert_unfitted(copied, X, "After cloning a fitted estimator")
    X, y = corpus(estimator)
    assert_same(
        outputs(copied.fit(X, y), X),
        outputs(estimator.fit(X, y), X),
        "After fit, a clone of a fitted estimator must give the same outputs as a new "
        "estimator (is learned state stored in a parameter?)",
    )


def _attributes(estimator):
    return {
        f"{type(each).__name__}.{name}"
        for each in [estimator, *wrapped(estimator)]
        for name in vars(each)
    }


def check_init_does_no_work(estimator):
    """The constructor stores invalid parameters unchanged, and ``fit`` refuses them."""
    kind = type(estimator)
    nonsense = {name: object() for name in clone(estimator).get_params(deep=False)}
    try:
        built = kind(**nonsense)
    except Exception as error:
        raise AssertionError(
            f"The constructor of {kind.__name__} raised {type(error).__name__} "
            f"({error}), expected no error. Validate parameters in fit."
        ) from error
    for name, value in nonsense.items():
        assert getattr(built, name) is value, (
            f"The constructor must store the object that was passed as {name}, but "
            "stored another object. Does it convert, load or copy the parameter?"
        )
    X, y = corpus(estimator)
    assert_refused(lambda: built.fit(X, y), "fit with invalid parameters")


def check_n_iter(estimator):
    """``n_iter_`` is the number of epochs that were run, as an int."""
    estimator = fresh(estimator, max_epochs=2, early_stopping=False)
    n_iter = getattr(estimator.fit(*corpus(estimator)), "n_iter_", None)
    assert isinstance(n_iter, (int, np.integer)), (
        f"n_iter_ is {n_iter!r}, expected an int. Does fit set n_iter_?"
    )
    assert n_iter == 2, (
        f"n_iter_ is {n_iter}, expected 2 after max_epochs=2 without early stopping. "
        "Does fit count the epochs from 0?"
    )


def applicable(traits):
    """Yield the checks that apply."""
    if traits.text or not (traits.wraps or traits.tags.no_validation):
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
