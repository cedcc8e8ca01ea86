# SPDX-License-Identifier: BSD-3-Clause
# ruff: noqa: D401 (the docstring of a check states its rule)
"""Checks that fits and predictions depend on the intended inputs only."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline

from ._data import RAGGED, corpus
from ._tags import refits
from ._tools import assert_same, features, fresh, outputs, stack, take

# Matrix products of different shapes add numbers in different orders. So their rounding
# errors in float32 differ.
ROUNDING = 1e-5


def check_fit_idempotent(estimator):
    """A second fit on the same data gives exactly the same outputs."""
    X, y = corpus(estimator)
    once = fresh(estimator).fit(X, y)
    expected = outputs(once, X)
    assert_same(
        outputs(once.fit(X, y), X),
        expected,
        "A second fit on the same data must give the same outputs (does the second fit "
        "start from the weights or the random generator of the first fit?)",
    )


def check_refit_forgets(estimator):
    """A second fit does not depend on the first fit, even if the classes differ."""
    first, second = corpus(estimator, n_classes=3), corpus(estimator)
    expected = fresh(estimator).fit(*second)
    refitted = fresh(estimator).fit(*first).fit(*second)
    kept = set(vars(refitted)) ^ set(vars(expected))
    assert not kept, (
        f"The attributes {sorted(kept)} exist only after a second fit or only after a "
        "single fit, expected the same attributes. Does fit keep attributes that an "
        "earlier fit set?"
    )
    assert_same(
        outputs(refitted, first[0]),
        outputs(expected, first[0]),
        "A second fit must give the same outputs as a single fit on the same data (are "
        "attributes set only if they are missing?)",
    )


def check_fits_of_clones_are_equal(estimator):
    """If random_state is an int, two clones give exactly the same outputs after fit."""
    X, y = corpus(estimator)
    assert_same(
        outputs(fresh(estimator).fit(X, y), X),
        outputs(fresh(estimator).fit(X, y), X),
        "Two fits with random_state=0 must give the same outputs (is there a random "
        "generator that random_state does not seed?)",
    )


def check_random_state_instance(estimator):
    """Two fits with equal RandomState instances give the same outputs."""
    X, y = corpus(estimator)
    fits = [
        fresh(estimator, random_state=np.random.RandomState(7)).fit(X, y)
        for _ in range(2)
    ]
    assert_same(
        outputs(fits[0], X),
        outputs(fits[1], X),
        "Two fits with equal RandomState instances must give the same outputs (is "
        "random_state used only if it is an int?)",
    )


def check_predictions_repeat(estimator):
    """Predictions do not change the estimator, so repeated predictions are equal."""
    X, y = corpus(estimator)
    fitted = fresh(estimator).fit(X, y)
    first = outputs(fitted, X)
    outputs(fitted, list(RAGGED))
    assert_same(
        outputs(fitted, X),
        first,
        "Repeated predictions must be equal (is dropout active, or does a prediction "
        "change an attribute?)",
    )


def check_sample_order_invariance(estimator):
    """The outputs of a text do not depend on its position."""
    fitted = fresh(estimator).fit(*corpus(estimator))
    texts = [*RAGGED, *corpus(estimator)[0]]
    order = np.random.RandomState(0).permutation(len(texts))
    assert_same(
        outputs(fitted, [texts[i] for i in order]),
        take(outputs(fitted, texts), order),
        "Reordering the texts must only reorder the rows of the outputs (are texts "
        "sorted by length, and the outputs not put back in the order of X?)",
        tolerance=ROUNDING,
    )


def check_subset_invariance(estimator):
    """The outputs of a text do not depend on the other texts or on padding."""
    fitted = fresh(estimator).fit(*corpus(estimator))
    texts = list(RAGGED)
    together = outputs(fitted, texts)
    for size in (1, 2, 3):
        parts = [texts[i : i + size] for i in range(0, len(texts), size)]
        assert_same(
            stack([outputs(fitted, part) for part in parts]),
            together,
            f"Texts passed {size} at a time must give the same outputs as all texts "
            "together (does padding change the outputs of a text, or is something "
            "normalized over the batch?)",
            tolerance=ROUNDING,
        )


def check_duplicates_are_equal(estimator):
    """Equal texts get equal outputs at all positions."""
    fitted = fresh(estimator).fit(*corpus(estimator))
    texts = list(RAGGED)
    positions = [0, 3, 3, 1, 0, 5, 2, 2, 3, 7, 6, 4]
    assert_same(
        outputs(fitted, [texts[i] for i in positions]),
        take(outputs(fitted, texts), positions),
        "A text that occurs several times must get the same outputs at each position "
        "(are the outputs of duplicates copied to wrong positions?)",
        tolerance=ROUNDING,
    )


def check_one_text(estimator):
    """The outputs of one text have one row."""
    X, y = corpus(estimator)
    fitted = fresh(estimator).fit(X, y)
    for method, values in outputs(fitted, X[:1]).items():
        assert values.shape[:1] == (1,), (
            f"{method} of one text returned the shape {values.shape}, expected 1 as "
            "the first dimension. Does a call of squeeze remove this dimension?"
        )


def check_pipeline_consistency(estimator):
    """An estimator has the same outputs inside and outside a Pipeline."""
    X, y = corpus(estimator)
    alone = fresh(estimator).fit(X, y)
    inside = make_pipeline(fresh(estimator)).fit(X, y)
    rule = "The estimator must have the same outputs inside and outside a Pipeline"
    assert_same(outputs(inside, X), outputs(alone, X), rule)
    if hasattr(alone, "score") and refits(alone):
        assert inside.score(X, y) == alone.score(X, y), f"{rule}. The scores differ."


def check_cross_val_score(estimator):
    """``cross_val_score`` works.

    The check applies to estimators that score their predictions, and to transformers. A
    transformer without ``score`` is scored in a Pipeline with a classifier.
    """
    X, y = corpus(estimator)
    scores = cross_val_score(
        _with_score(estimator, X, y), X, y, cv=2, error_score="raise"
    )
    assert scores.shape == (2,), (
        f"cross_val_score returned the shape {scores.shape}, expected (2,)."
    )
    assert np.isfinite(scores).all(), (
        f"cross_val_score returned {scores}, expected finite scores. Does score return "
        "NaN?"
    )


def check_grid_search(estimator):
    """GridSearchCV can search over a parameter of the estimator.

    The check applies to the same estimators as `check_cross_val_score`, unless their
    tags declare `non_deterministic`.
    """
    X, y = corpus(estimator)
    model = _with_score(estimator, X, y)
    search = GridSearchCV(model, _grid(model), cv=2, error_score="raise")
    search.fit(X, y)
    assert np.isfinite(search.best_score_), (
        f"The best score is {search.best_score_}, expected a finite score. Does score "
        "return NaN?"
    )
    assert_same(
        outputs(search, X),
        outputs(fresh(model).set_params(**search.best_params_).fit(X, y), X),
        "A search must give the same outputs as an estimator that is fitted with the "
        "best parameters (are parameters read in the constructor only?)",
    )


def _with_score(estimator, X, y):
    """Return an estimator with a ``score`` method.

    For a transformer without ``score``, the result is a Pipeline of the transformer and
    a classifier.
    """
    estimator = fresh(estimator)
    if hasattr(estimator, "score"):
        return estimator
    # If transform returns texts, features() raises a clear error.
    features(fresh(estimator).fit(X, y), X)
    return make_pipeline(estimator, KNeighborsClassifier(n_neighbors=1))


def _grid(model):
    """Return a grid for a search over one parameter.

    The grid has two values of a parameter that changes the fit. If `model` does not
    have such a parameter, the grid has the current value of another parameter. If
    `model` does not have parameters, the grid is empty.
    """
    values = {"max_epochs": [1, 2], "batch_size": [4, 8], "C": [0.1, 1.0]}
    parameters = model.get_params()
    for name in parameters:
        last = name.rpartition("__")[2]
        if last in values:
            return {name: values[last]}
    plain = {n: [v] for n, v in parameters.items() if not hasattr(v, "get_params")}
    return dict(list(plain.items())[:1])


def check_threads(estimator):
    """Predictions in two threads equal predictions in one thread."""
    fitted = fresh(estimator).fit(*corpus(estimator))
    parts = [list(RAGGED), corpus(estimator)[0]] * 4
    expected = [outputs(fitted, part) for part in parts]
    with ThreadPoolExecutor(max_workers=2) as pool:
        threaded = list(pool.map(lambda part: outputs(fitted, part), parts))
    for one, other in zip(threaded, expected, strict=True):
        assert_same(
            one,
            other,
            "Predictions in two threads must equal serial predictions (do the threads "
            "share a buffer?)",
            tolerance=ROUNDING,
        )


def applicable(traits):
    """Yield the checks that apply."""
    scores = "score" in traits.methods and traits.refits
    scored = scores or "transform" in traits.methods
    if not traits.tags.non_deterministic:
        yield check_fit_idempotent
        yield check_refit_forgets
        yield check_fits_of_clones_are_equal
        yield check_pipeline_consistency
        if scored:
            yield check_grid_search
        if "random_state" in traits.parameters:
            yield check_random_state_instance
    yield check_predictions_repeat
    yield check_sample_order_invariance
    yield check_subset_invariance
    yield check_duplicates_are_equal
    yield check_one_text
    if scored:
        yield check_cross_val_score
    yield check_threads
