# SPDX-License-Identifier: BSD-3-Clause
# ruff: noqa: D401 (the docstring of a check states its rule)
"""Checks of the validation data that ``fit`` takes as `X_val` and `y_val`."""

import numpy as np

from ._data import corpus
from ._tools import assert_refused, assert_same, fresh, outputs


def _validation(estimator):
    """Return training data, and validation data with other texts and wrong labels."""
    X, y = corpus(estimator)
    return (X[:10], y[:10]), {"X_val": X[10:], "y_val": y[10:][::-1]}


def check_validation_data_is_only_scored(estimator):
    """Without early stopping, validation data does not change what is learned."""
    data, validation = _validation(estimator)
    X = corpus(estimator)[0]
    assert_same(
        outputs(fresh(estimator, early_stopping=False).fit(*data, **validation), X),
        outputs(fresh(estimator, early_stopping=False).fit(*data), X),
        "Validation data must not change what is learned (does scoring draw random "
        "numbers, or leave the model in evaluation mode?)",
    )


def check_validation_data_comes_in_pairs(estimator):
    """`X_val` without `y_val` is refused, and so is `y_val` without `X_val`."""
    data, validation = _validation(estimator)
    for name, value in validation.items():
        assert_refused(
            lambda name=name, value=value: fresh(estimator).fit(*data, **{name: value}),
            f"fit with {name} alone",
            naming=("X_val", "y_val"),
        )


def check_validation_texts_are_checked(estimator):
    """``fit`` refuses an invalid `X_val`, and the error names `X_val`."""
    data, validation = _validation(estimator)
    texts = validation["X_val"]
    for wrong in ("x" * len(texts), [None, *texts[1:]], [3, *texts[1:]], []):
        arguments = {**validation, "X_val": wrong}
        assert_refused(
            lambda arguments=arguments: fresh(estimator).fit(*data, **arguments),
            f"fit with X_val={wrong!r:.40}",
            naming=("X_val",),
        )


def check_validation_lengths_refused(estimator):
    """``fit`` refuses `X_val` and `y_val` of different lengths."""
    data, validation = _validation(estimator)
    validation["y_val"] = validation["y_val"][:-1]
    assert_refused(
        lambda: fresh(estimator).fit(*data, **validation),
        "fit with a y_val that is shorter than X_val",
        naming=("y_val",),
    )


def check_validation_unseen_label_refused(estimator):
    """A label in `y_val` that is not in y is refused."""
    data, validation = _validation(estimator)
    for label in ("a label before all", "zz after all", "between"):
        y_val = validation["y_val"].astype(object)
        y_val.flat[0] = label
        arguments = {**validation, "y_val": y_val}
        assert_refused(
            lambda arguments=arguments: fresh(estimator).fit(*data, **arguments),
            "fit with a label in y_val that is not in y",
            errors=(ValueError,),
            naming=("y_val",),
        )


def check_validation_data_is_not_changed(estimator):
    """``fit`` does not change `X_val` and `y_val`."""
    data, validation = _validation(estimator)
    texts, labels = list(validation["X_val"]), validation["y_val"].copy()
    fresh(estimator).fit(*data, **validation)
    assert validation["X_val"] == texts, (
        "fit changed X_val, expected no change. Is X_val cleaned in place?"
    )
    np.testing.assert_array_equal(
        validation["y_val"],
        labels,
        err_msg="fit changed y_val, expected no change. Is y_val sorted in place?",
    )


def applicable(traits):
    """Yield the checks that apply.

    If ``fit`` does not take `X_val` and `y_val`, no check applies.
    """
    if not {"X_val", "y_val"} <= traits.fit_takes:
        return
    if not traits.tags.non_deterministic:
        yield check_validation_data_is_only_scored
    yield check_validation_data_comes_in_pairs
    yield check_validation_texts_are_checked
    yield check_validation_lengths_refused
    yield check_validation_data_is_not_changed
    if traits.classifier:
        yield check_validation_unseen_label_refused
