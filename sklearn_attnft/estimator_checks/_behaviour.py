# SPDX-License-Identifier: BSD-3-Clause
# ruff: noqa: D401 (the docstring of a check is the rule that it holds)
"""What a fit and a prediction depend on, and what they must not depend on."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline

from ._data import RAGGED, corpus
from ._tools import assert_same, fresh, outputs, stack, take

# Rounding in float32: a product of another shape sums in another order.
ROUNDING = 1e-5


def check_fit_idempotent(estimator):
    """Fitting twice on the same data is fitting once, bit for bit."""
    X, y = corpus(estimator)
    once = fresh(estimator).fit(X, y)
    expected = outputs(once, X)
    assert_same(
        outputs(once.fit(X, y), X),
        expected,
        "A second fit on the same data has to give the same (does it go on from the "
        "first, or from a generator that the first has used?)",
    )


def check_refit_forgets(estimator):
    """A fit forgets the one before it, also its number of classes."""
    first, second = corpus(estimator, n_classes=3), corpus(estimator)
    expected = fresh(estimator).fit(*second)
    refitted = fresh(estimator).fit(*first).fit(*second)
    kept = set(vars(refitted)) ^ set(vars(expected))
    assert not kept, f"A second fit leaves attributes of the first: {sorted(kept)}."
    assert_same(
        outputs(refitted, first[0]),
        outputs(expected, first[0]),
        "A fit has to forget the fit before it (are attributes only set if absent?)",
    )


def check_fits_of_clones_are_equal(estimator):
    """With an int as random_state, two clones learn the same, bit for bit."""
    X, y = corpus(estimator)
    assert_same(
        outputs(fresh(estimator).fit(X, y), X),
        outputs(fresh(estimator).fit(X, y), X),
        "Two fits with random_state=0 have to be equal (is there a generator that "
        "random_state does not seed?)",
    )


def check_random_state_instance(estimator):
    """A RandomState instance seeds a fit as well as an int does."""
    X, y = corpus(estimator)
    fits = [
        fresh(estimator, random_state=np.random.RandomState(7)).fit(X, y)
        for _ in range(2)
    ]
    assert_same(
        outputs(fits[0], X),
        outputs(fits[1], X),
        "Two fits with equal RandomState instances have to be equal",
    )


def check_predictions_repeat(estimator):
    """Predicting changes nothing: the second time gives what the first gave."""
    X, y = corpus(estimator)
    fitted = fresh(estimator).fit(X, y)
    first = outputs(fitted, X)
    outputs(fitted, list(RAGGED))
    assert_same(
        outputs(fitted, X),
        first,
        "A prediction has to repeat (is dropout on, or is a state updated?)",
    )


def check_sample_order_invariance(estimator):
    """The outputs of a text do not depend on its position."""
    fitted = fresh(estimator).fit(*corpus(estimator))
    texts = [*RAGGED, *corpus(estimator)[0]]
    order = np.random.RandomState(0).permutation(len(texts))
    assert_same(
        outputs(fitted, [texts[i] for i in order]),
        take(outputs(fitted, texts), order),
        "Texts in another order have to give the same rows in that order (are they "
        "sorted by length and not put back?)",
        tolerance=ROUNDING,
    )


def check_subset_invariance(estimator):
    """The outputs of a text do not depend on the texts beside it, nor on padding."""
    fitted = fresh(estimator).fit(*corpus(estimator))
    texts = list(RAGGED)
    together = outputs(fitted, texts)
    for size in (1, 2, 3):
        parts = [texts[i : i + size] for i in range(0, len(texts), size)]
        assert_same(
            stack([outputs(fitted, part) for part in parts]),
            together,
            f"Texts given {size} at a time have to give what they give together (does "
            "padding leak, or is something normalised over the batch?)",
            tolerance=ROUNDING,
        )


def check_duplicates_are_equal(estimator):
    """Equal texts get equal outputs, each in its place."""
    fitted = fresh(estimator).fit(*corpus(estimator))
    texts = list(RAGGED)
    positions = [0, 3, 3, 1, 0, 5, 2, 2, 3, 7, 6, 4]
    assert_same(
        outputs(fitted, [texts[i] for i in positions]),
        take(outputs(fitted, texts), positions),
        "A text that occurs several times has to get its own outputs each time (are "
        "duplicates joined and put back in the wrong places?)",
        tolerance=ROUNDING,
    )


def check_one_text(estimator):
    """One text is a collection of one: outputs have one row."""
    X, y = corpus(estimator)
    fitted = fresh(estimator).fit(X, y)
    for method, values in outputs(fitted, X[:1]).items():
        assert values.shape[:1] == (1,), (
            f"{method} of one text has the shape {values.shape}; its first dimension "
            "has to be 1 (is it squeezed?)."
        )


def check_pipeline_consistency(estimator):
    """Alone in a Pipeline, an estimator does what it does without it."""
    X, y = corpus(estimator)
    alone = fresh(estimator).fit(X, y)
    inside = make_pipeline(fresh(estimator)).fit(X, y)
    rule = "In a Pipeline the estimator has to give what it gives alone"
    assert_same(outputs(inside, X), outputs(alone, X), rule)
    if hasattr(alone, "score"):
        assert inside.score(X, y) == alone.score(X, y), f"{rule}: its score differs."


def check_cross_val_score(estimator):
    """It can be cross-validated; something without a score is scored in a pipeline."""
    X, y = corpus(estimator)
    scores = cross_val_score(
        _with_score(fresh(estimator)), X, y, cv=2, error_score="raise"
    )
    assert scores.shape == (2,), f"cross_val_score gave the shape {scores.shape}."
    assert np.isfinite(scores).all(), f"cross_val_score gave {scores}."


def check_grid_search(estimator):
    """It can be grid-searched, over one of its own parameters."""
    X, y = corpus(estimator)
    model = _with_score(fresh(estimator))
    search = GridSearchCV(model, _grid(model), cv=2, error_score="raise")
    search.fit(X, y)
    assert np.isfinite(search.best_score_), f"The best score is {search.best_score_}."
    assert_same(
        outputs(search, X),
        outputs(fresh(model, **_last_names(search.best_params_)).fit(X, y), X),
        "The search's best estimator has to be what its parameters give by hand (are "
        "parameters read in the constructor only?)",
    )


def _with_score(estimator):
    """Return what can be scored: a transformer gets a classifier behind it."""
    if hasattr(estimator, "score"):
        return estimator
    return make_pipeline(estimator, KNeighborsClassifier(n_neighbors=1))


def _grid(model):
    """Choose a parameter that changes what is learned, else any with its own value."""
    values = {"max_epochs": [1, 2], "batch_size": [4, 8], "C": [0.1, 1.0]}
    parameters = model.get_params()
    for name in parameters:
        last = name.rpartition("__")[2]
        if last in values:
            return {name: values[last]}
    name = next(n for n, v in parameters.items() if not hasattr(v, "get_params"))
    return {name: [parameters[name]]}


def _last_names(parameters):
    return {name.rpartition("__")[2]: value for name, value in parameters.items()}


def check_threads(estimator):
    """Two threads that predict at once get what one gets alone."""
    fitted = fresh(estimator).fit(*corpus(estimator))
    parts = [list(RAGGED), corpus(estimator)[0]] * 4
    expected = [outputs(fitted, part) for part in parts]
    with ThreadPoolExecutor(max_workers=2) as pool:
        threaded = list(pool.map(lambda part: outputs(fitted, part), parts))
    for one, other in zip(threaded, expected, strict=True):
        assert_same(
            one,
            other,
            "Predictions in two threads have to be the serial ones (is a buffer "
            "shared?)",
            tolerance=ROUNDING,
        )


def applicable(traits):
    """Yield the checks that apply."""
    if not traits.tags.non_deterministic:
        yield check_fit_idempotent
        yield check_refit_forgets
        yield check_fits_of_clones_are_equal
        yield check_pipeline_consistency
        yield check_grid_search
        if "random_state" in traits.parameters:
            yield check_random_state_instance
    yield check_predictions_repeat
    yield check_sample_order_invariance
    yield check_subset_invariance
    yield check_duplicates_are_equal
    yield check_one_text
    yield check_cross_val_score
    yield check_threads
