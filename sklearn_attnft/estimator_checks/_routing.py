# SPDX-License-Identifier: BSD-3-Clause
# ruff: noqa: D401 (the docstring of a check states its rule)
"""Checks that metadata routing passes `sample_weight` to ``fit`` on request."""

import numpy as np
from sklearn import config_context
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.exceptions import UnsetMetadataPassedError
from sklearn.model_selection import cross_validate
from sklearn.pipeline import make_pipeline

from ._data import corpus, uneven_weights
from ._tools import assert_refused, assert_same, differ, fresh, outputs


def _weighted_data(estimator):
    X, y = corpus(estimator)
    return np.array(X, dtype=object), y, uneven_weights(len(X))


class _Wanting(TransformerMixin, BaseEstimator):
    """A step that requests weights but ignores them.

    A Pipeline with this step accepts weights, even if no other step requests weights.
    """

    __metadata_request__fit = {"sample_weight": True}

    def fit(self, X, y=None, sample_weight=None):
        return self

    def transform(self, X):
        return X


def _score(estimator, X, y):
    """Return the score of `estimator`, computed without weights."""
    return estimator.score(X, y)


def check_routing_brings_weights(estimator):
    """Weights passed to ``cross_validate`` reach ``fit`` inside a Pipeline."""
    X, y, weights = _weighted_data(estimator)
    with config_context(enable_metadata_routing=True):
        asking = fresh(estimator).set_fit_request(sample_weight=True)
        result = cross_validate(
            make_pipeline(asking),
            X,
            y,
            params={"sample_weight": weights},
            scoring=_score,
            cv=2,
            return_estimator=True,
            return_indices=True,
            error_score="raise",
        )
    for fitted, rows in zip(
        result["estimator"], result["indices"]["train"], strict=True
    ):
        expected = fresh(estimator).fit(X[rows], y[rows], sample_weight=weights[rows])
        assert_same(
            outputs(fitted, X),
            outputs(expected, X),
            "The fit on the training rows of a fold must use the weights of these rows",
        )
    unweighted = fresh(estimator).fit(X[rows], y[rows])
    assert differ(outputs(fitted, X), outputs(unweighted, X)), (
        "cross_validate with weights gives the same outputs as a fit without weights, "
        "expected different outputs. Does fit ignore sample_weight?"
    )


def check_routing_unrequested_raises(estimator):
    """Passing weights that were neither requested nor declined raises an error."""
    X, y, weights = _weighted_data(estimator)
    with config_context(enable_metadata_routing=True):
        assert_refused(
            lambda: cross_validate(
                make_pipeline(fresh(estimator)),
                X,
                y,
                params={"sample_weight": weights},
                scoring=_score,
                cv=2,
                error_score="raise",
            ),
            "cross_validate with a sample_weight neither requested nor declined",
            errors=(UnsetMetadataPassedError,),
            naming=("sample_weight",),
        )


def check_routing_declined_is_dropped(estimator):
    """After ``set_fit_request(sample_weight=False)``, weights do not reach ``fit``."""
    X, y, weights = _weighted_data(estimator)
    with config_context(enable_metadata_routing=True):
        declining = fresh(estimator).set_fit_request(sample_weight=False)
        fitted = make_pipeline(_Wanting(), declining).fit(X, y, sample_weight=weights)
    assert_same(
        outputs(fitted, X),
        outputs(fresh(estimator).fit(X, y), X),
        "After set_fit_request(sample_weight=False), weights must not reach fit",
    )


def check_routing_requests_survive_clone(estimator):
    """A clone keeps the metadata requests of the original."""
    with config_context(enable_metadata_routing=True):
        for asked in (True, False, "weights_of_texts"):
            asking = fresh(estimator).set_fit_request(sample_weight=asked)
            requests = clone(asking).get_metadata_routing().fit.requests
            assert requests["sample_weight"] == asked, (
                "The request of a clone for sample_weight is "
                f"{requests['sample_weight']!r}, expected {asked!r} as in the "
                "original. Does __sklearn_clone__ drop the request?"
            )


def applicable(traits):
    """Yield the checks that apply.

    If ``fit`` does not take `sample_weight`, no check applies.
    """
    if not (traits.weights and "set_fit_request" in traits.methods):
        return
    yield check_routing_requests_survive_clone
    if "score" in traits.methods:
        yield check_routing_unrequested_raises
    if not traits.tags.non_deterministic:
        yield check_routing_declined_is_dropped
        if traits.classifier:
            yield check_routing_brings_weights
