# SPDX-License-Identifier: BSD-3-Clause
# ruff: noqa: D401 (the docstring of a check states its rule)
"""Checks that estimators survive pickling, saving and copying."""

import copy
import pickle
import tempfile
from pathlib import Path

import joblib

from ._data import RAGGED, corpus
from ._tools import assert_same, changed_parameters, fresh, outputs


def _assert_survives(estimator, copying, what):
    X, y = corpus(estimator, n_classes=3)
    texts = [*X, *RAGGED]
    fitted = fresh(estimator).fit(X, y)
    expected = outputs(fitted, texts)
    copied = copying(fitted)
    lost = set(vars(fitted)) ^ set(vars(copied))
    assert not lost, (
        f"{what} loses or adds the attributes {sorted(lost)}, expected the same "
        "attributes. Does __getstate__ drop something?"
    )
    assert_same(
        outputs(copied, texts),
        expected,
        f"{what} must give the same outputs as the original (does __getstate__ drop "
        "or change something?)",
    )
    assert_same(
        outputs(fitted, texts), expected, f"{what} must not change the original"
    )
    X, y = corpus(estimator)
    assert_same(
        outputs(copied.fit(X, y), X),
        outputs(fresh(estimator).fit(X, y), X),
        f"{what} that is fitted again must give the same outputs as a new estimator",
    )


def check_pickle(estimator):
    """A pickle of a fitted estimator gives the same outputs and can be fitted again."""
    for protocol in (2, pickle.HIGHEST_PROTOCOL):
        _assert_survives(
            estimator,
            lambda fitted, protocol=protocol: pickle.loads(
                pickle.dumps(fitted, protocol=protocol)
            ),
            "A pickle",
        )


def check_joblib(estimator):
    """An estimator from a joblib file gives the same outputs and can be refitted."""

    def copying(fitted):
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory) / "estimator.joblib"
            joblib.dump(fitted, path)
            return joblib.load(path)

    _assert_survives(estimator, copying, "An estimator from a joblib file")


def check_save_load(estimator):
    """An estimator that was saved and loaded gives the same outputs."""

    def copying(fitted):
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory) / "estimator"
            fitted.save(path)
            return type(fitted).load(path)

    _assert_survives(estimator, copying, "A saved and loaded estimator")


def check_deepcopy(estimator):
    """A deep copy of a fitted estimator gives the same outputs and can be refitted."""
    _assert_survives(estimator, copy.deepcopy, "A deep copy")


def check_pickle_unfitted(estimator):
    """A pickle of an unfitted estimator has the same parameters as the original.

    After ``fit``, the two estimators give the same outputs.
    """
    original = fresh(estimator)
    copied = pickle.loads(pickle.dumps(original))
    changed = changed_parameters(original.get_params(), copied.get_params())
    assert not changed, (
        f"A pickle of an unfitted estimator has other values of the parameters "
        f"{changed}, expected the same values. Does __getstate__ change them?"
    )
    X, y = corpus(estimator)
    assert_same(
        outputs(copied.fit(X, y), X),
        outputs(original.fit(X, y), X),
        "After fit, a pickle of an unfitted estimator must give the same outputs as "
        "the original",
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
