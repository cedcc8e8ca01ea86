# SPDX-License-Identifier: BSD-3-Clause
# ruff: noqa: D401 (the docstring of a check is the rule that it holds)
"""A fitted estimator is stored and copied whole; so is an unfitted one."""

import copy
import pickle
import tempfile
from pathlib import Path

import joblib

from ._data import RAGGED, corpus
from ._tools import assert_same, fresh, outputs


def _assert_survives(estimator, copying, what):
    X, y = corpus(estimator, n_classes=3)
    texts = [*X, *RAGGED]
    fitted = fresh(estimator).fit(X, y)
    expected = outputs(fitted, texts)
    copied = copying(fitted)
    lost = set(vars(fitted)) ^ set(vars(copied))
    assert not lost, f"{what} loses or adds the attributes {sorted(lost)}."
    assert_same(
        outputs(copied, texts),
        expected,
        f"{what} has to predict what the original does (does __getstate__ drop "
        "something?)",
    )
    assert_same(outputs(fitted, texts), expected, f"{what} has to spare the original")
    X, y = corpus(estimator)
    assert_same(
        outputs(copied.fit(X, y), X),
        outputs(fresh(estimator).fit(X, y), X),
        f"{what} has to be fittable again, as if new",
    )


def check_pickle(estimator):
    """A pickle of a fitted estimator predicts the same and can be fitted again."""
    for protocol in (2, pickle.HIGHEST_PROTOCOL):
        _assert_survives(
            estimator,
            lambda fitted, protocol=protocol: pickle.loads(
                pickle.dumps(fitted, protocol=protocol)
            ),
            "A pickle",
        )


def check_joblib(estimator):
    """A file written by joblib holds a fitted estimator whole."""

    def copying(fitted):
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory) / "estimator.joblib"
            joblib.dump(fitted, path)
            return joblib.load(path)

    _assert_survives(estimator, copying, "A file of joblib")


def check_save_load(estimator):
    """What ``save`` writes is what ``load`` of the class reads, and holds all."""

    def copying(fitted):
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory) / "estimator"
            fitted.save(path)
            return type(fitted).load(path)

    _assert_survives(estimator, copying, "What save writes")


def check_deepcopy(estimator):
    """A deep copy of a fitted estimator predicts the same and is independent."""
    _assert_survives(estimator, copy.deepcopy, "A deep copy")


def check_pickle_unfitted(estimator):
    """A pickle of an unfitted estimator has its parameters, and fits the same."""
    original = fresh(estimator)
    copied = pickle.loads(pickle.dumps(original))
    before, after = original.get_params(), copied.get_params()
    changed = [n for n in before if joblib.hash(before[n]) != joblib.hash(after[n])]
    assert not changed, f"A pickle of an unfitted estimator changed {changed}."
    X, y = corpus(estimator)
    assert_same(
        outputs(copied.fit(X, y), X),
        outputs(original.fit(X, y), X),
        "A pickle of an unfitted estimator has to fit as the original does",
    )


def applicable(traits):
    """Yield the checks that apply."""
    if not traits.tags.non_deterministic:
        yield check_pickle
        yield check_joblib
        yield check_deepcopy
        yield check_pickle_unfitted
        if {"save", "load"} <= traits.methods:
            yield check_save_load
