# SPDX-License-Identifier: BSD-3-Clause
# ruff: noqa: D401 (the docstring of a check states its rule)
"""Checks that ``fit`` and all prediction methods refuse invalid `X`.

scikit-learn's vectorizers also refuse most invalid `X`, but their errors can have any
type and do not name X. So the type and the message of an error are checked only if the
tags of the estimator, or of the first step of a Pipeline, declare text input.
"""

import warnings
from functools import partial

import numpy as np

from ._data import corpus
from ._tags import first_declares_text, tags_of
from ._tools import METHODS, assert_refused, assert_same, fresh, installed, outputs

_ANY_ERROR = {"errors": (Exception,)}


def _assert_refused_everywhere(estimator, wrong, what, errors=(ValueError, TypeError)):
    """Check that ``fit`` and every prediction method refuse an invalid X.

    Parameters
    ----------
    estimator : estimator
    wrong : callable
        Function that takes a list of texts and returns the invalid X. If possible, this
        X has as many entries as y. Otherwise, ``fit`` could refuse X only because of
        the length.
    what : str
        Description of the invalid X, for the message.
    errors : tuple of exception types
        Accepted exception types. If the tags do not declare text input, every exception
        type is accepted.
    """
    X, y = corpus(estimator)
    bad = wrong(X)
    strict = first_declares_text(estimator)
    expected = {"errors": errors, "naming": ("X",)} if strict else _ANY_ERROR
    unfitted, fitted = fresh(estimator), fresh(estimator).fit(X, y)
    actions = {"fit": lambda: unfitted.fit(bad, y)}
    if not (strict or tags_of(estimator).requires_fit):
        del actions["fit"]  # a vectorizer without state does not read X in fit
    for method in METHODS:
        if hasattr(fitted, method):
            actions[method] = partial(getattr(fitted, method), bad)
    for method, action in actions.items():
        with warnings.catch_warnings():
            if not strict:
                warnings.simplefilter("ignore")  # a search warns of folds that fail
            assert_refused(action, f"{method} with {what}", **expected)


def _replacing(value):
    """Return a function that replaces the fourth text with `value`."""
    return lambda X: [*X[:3], value, *X[4:]]


def check_bare_str_refused(estimator):
    """A bare str is refused as X, because it is not a collection of texts."""
    _assert_refused_everywhere(
        estimator, lambda X: "x" * len(X), "a bare str as X", (ValueError,)
    )


def check_numbers_refused(estimator):
    """A list or an array of numbers is refused as X."""
    for make in (
        lambda X: list(range(len(X))),
        lambda X: np.arange(len(X)),
        lambda X: np.linspace(0, 1, len(X)),
    ):
        _assert_refused_everywhere(estimator, make, "numbers in X", (TypeError,))


def check_one_number_refused(estimator):
    """A number among texts is refused and not converted to a text."""
    _assert_refused_everywhere(estimator, _replacing(3), "a number in X", (TypeError,))


def check_none_refused(estimator):
    """None among texts is refused, because it is a missing value."""
    _assert_refused_everywhere(
        estimator, _replacing(None), "None inside X", (ValueError,)
    )


def check_nan_refused(estimator):
    """NaN among texts is refused, because it is a missing value."""
    _assert_refused_everywhere(
        estimator, _replacing(float("nan")), "NaN inside X", (ValueError,)
    )


def check_pandas_na_refused(estimator):
    """pandas.NA is refused in a list and in a Series, because it is a missing value."""
    import pandas as pd

    _assert_refused_everywhere(
        estimator, _replacing(pd.NA), "pandas.NA inside X", (ValueError,)
    )
    _assert_refused_everywhere(
        estimator,
        lambda X: pd.Series([*X[:3], None, *X[4:]], dtype="string"),
        "a Series with a missing text as X",
        (ValueError,),
    )


def check_several_columns_refused(estimator):
    """An array of three columns of texts is refused."""
    _assert_refused_everywhere(
        estimator,
        lambda X: np.array([X, X, X], dtype=object).T,
        "an array of three columns as X",
        (ValueError,),
    )


def check_two_columns_read_or_refused(estimator):
    """Two columns of texts are refused, or are read together as pairs."""
    X, y = corpus(estimator)
    pairs = np.array([X, X[1:] + X[:1]], dtype=object).T
    try:
        fitted = fresh(estimator).fit(pairs, y)
        expected = outputs(fitted, pairs)
    except AssertionError:  # the outputs are not numbers
        raise
    except Exception:  # without state, prediction methods fail, but fit does not
        _assert_refused_everywhere(
            estimator,
            lambda X: np.array([X, X], dtype=object).T,
            "an array of two columns as X",
            (ValueError,),
        )
        return
    if not expected:  # a search without refit
        return
    other = outputs(fitted, np.array([X, X], dtype=object).T)
    assert any(not np.array_equal(other[m], expected[m]) for m in expected), (
        "All outputs are the same with a different second column, expected different "
        "outputs. Is the second column ignored?"
    )
    for method in expected:
        assert_refused(
            partial(getattr(fitted, method), X),
            f"{method} of single texts after fit on pairs",
        )
    tuples = [tuple(pair) for pair in pairs.tolist()]
    assert_same(
        outputs(fitted, tuples),
        expected,
        "Pairs in a list of tuples must give the same outputs as pairs in an array",
    )


def check_frame_of_several_columns_refused(estimator):
    """A data frame of three columns is refused, because the text column is unclear."""
    import pandas as pd

    _assert_refused_everywhere(
        estimator,
        lambda X: pd.DataFrame({"a": X, "b": X, "c": X}),
        "a data frame of three columns as X",
        (ValueError,),
    )


def check_three_dimensions_refused(estimator):
    """An array of three dimensions is refused."""
    _assert_refused_everywhere(
        estimator,
        lambda X: np.array(X, dtype=object)[:, None, None],
        "an array of three dimensions as X",
        (ValueError,),
    )


def check_empty_refused(estimator):
    """An empty collection is refused by ``fit`` and by every prediction method."""
    for make in (lambda X: [], lambda X: np.array([], dtype=object)):
        _assert_refused_everywhere(
            estimator, make, "an empty collection as X", (ValueError,)
        )


def check_dict_and_set_refused(estimator):
    """A dict and a set are refused as X."""
    for make in (lambda X: dict.fromkeys(X, 1), set):
        _assert_refused_everywhere(estimator, make, f"a {type(make([])).__name__} as X")


def check_bytes_refused(estimator):
    """Bytes among texts are refused, because their encoding is unknown."""
    _assert_refused_everywhere(
        estimator, _replacing(b"text"), "bytes inside X", (TypeError,)
    )


def check_scalars_refused(estimator):
    """A single number, None and bytes are refused as X."""
    for value in (3.0, None, b"text", np.array("text", dtype=object)):
        _assert_refused_everywhere(estimator, lambda X, v=value: v, f"X={value!r}")


def check_nested_lists_refused(estimator):
    """A list of lists of str is refused."""
    _assert_refused_everywhere(
        estimator, lambda X: [text.split() for text in X], "a list of lists as X"
    )


def applicable(traits):
    """Yield the checks that apply.

    All checks apply if the tags of the estimator, or of the first step of a Pipeline,
    declare text input. Otherwise, some checks are left out, because scikit-learn's
    vectorizers decode bytes and accept any iterable, even an empty one. For a search
    with ``refit=False``, all checks are left out, because such a search ignores folds
    that fail.
    """
    if traits.tags.no_validation or not (traits.text_input or traits.refits):
        return
    yield check_bare_str_refused
    yield check_numbers_refused
    yield check_one_number_refused
    yield check_none_refused
    yield check_nan_refused
    yield check_several_columns_refused
    yield check_two_columns_read_or_refused
    yield check_three_dimensions_refused
    yield check_scalars_refused
    yield check_nested_lists_refused
    if installed("pandas"):
        yield check_pandas_na_refused
    if not traits.text_input:
        return
    yield check_empty_refused
    yield check_dict_and_set_refused
    yield check_bytes_refused
    if installed("pandas"):
        yield check_frame_of_several_columns_refused
