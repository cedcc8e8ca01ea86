# SPDX-License-Identifier: BSD-3-Clause
# ruff: noqa: D401 (the docstring of a check is the rule that it holds)
"""What is no collection of texts is refused, at ``fit`` and at every prediction."""

import numpy as np

from ._data import corpus
from ._tools import METHODS, assert_refused, fresh, installed


def _assert_refused_everywhere(estimator, wrong, what, errors=(ValueError, TypeError)):
    """See that `wrong` is refused as X by ``fit`` and by every prediction method.

    Parameters
    ----------
    estimator : estimator
    wrong : callable
        From the list of texts to what is to be refused; of as many entries as there
        are targets where it can be, so that no other mistake hides this one.
    what : str
        How it is called in the message of the failure.
    errors : tuple of exception types
    """
    X, y = corpus(estimator)
    bad = wrong(X)
    unfitted = fresh(estimator)
    assert_refused(
        lambda: unfitted.fit(bad, y), f"{what} at fit", errors=errors, naming=("X",)
    )
    fitted = fresh(estimator).fit(X, y)
    for method in METHODS:
        if hasattr(fitted, method):
            assert_refused(
                lambda method=method: getattr(fitted, method)(bad),
                f"{what} at {method}",
                errors=errors,
                naming=("X",),
            )


def _replacing(value):
    """Make a function that puts `value` in the place of the fourth text."""
    return lambda X: [*X[:3], value, *X[4:]]


def check_bare_str_refused(estimator):
    """One str is not a collection of texts, though it could be iterated over."""
    _assert_refused_everywhere(
        estimator, lambda X: "x" * len(X), "one bare str as X", (ValueError,)
    )


def check_numbers_refused(estimator):
    """Numbers are not texts, whatever holds them."""
    for make in (
        lambda X: list(range(len(X))),
        lambda X: np.arange(len(X)),
        lambda X: np.linspace(0, 1, len(X)),
    ):
        _assert_refused_everywhere(estimator, make, "numbers in X", (TypeError,))


def check_one_number_refused(estimator):
    """A number among texts is not turned into a text."""
    _assert_refused_everywhere(estimator, _replacing(3), "a number in X", (TypeError,))


def check_none_refused(estimator):
    """None among the texts is a missing value, not the text "None"."""
    _assert_refused_everywhere(
        estimator, _replacing(None), "None inside X", (ValueError,)
    )


def check_nan_refused(estimator):
    """NaN among the texts is a missing value, not the text "nan"."""
    _assert_refused_everywhere(
        estimator, _replacing(float("nan")), "NaN inside X", (ValueError,)
    )


def check_pandas_na_refused(estimator):
    """pandas.NA is a missing value, in a list and in a Series of strings."""
    import pandas as pd

    _assert_refused_everywhere(
        estimator, _replacing(pd.NA), "pandas.NA inside X", (ValueError,)
    )
    _assert_refused_everywhere(
        estimator,
        lambda X: pd.Series([*X[:3], None, *X[4:]], dtype="string"),
        "a Series of strings as X with a missing one",
        (ValueError,),
    )


def check_several_columns_refused(estimator):
    """Two columns of texts are not one."""
    _assert_refused_everywhere(
        estimator,
        lambda X: np.array([X, X], dtype=object).T,
        "an array of two columns as X",
        (ValueError,),
    )


def check_frame_of_several_columns_refused(estimator):
    """A data frame of two columns does not say which of them is the text."""
    import pandas as pd

    _assert_refused_everywhere(
        estimator,
        lambda X: pd.DataFrame({"a": X, "b": X}),
        "a data frame of two columns as X",
        (ValueError,),
    )


def check_three_dimensions_refused(estimator):
    """An array of three dimensions is no collection of texts."""
    _assert_refused_everywhere(
        estimator,
        lambda X: np.array(X, dtype=object)[:, None, None],
        "an array of three dimensions as X",
        (ValueError,),
    )


def check_empty_refused(estimator):
    """No texts at all is refused, also by predictions."""
    for make in (lambda X: [], lambda X: np.array([], dtype=object)):
        _assert_refused_everywhere(
            estimator, make, "an empty collection as X", (ValueError,)
        )


def check_dict_and_set_refused(estimator):
    """A dict is not its keys, and a set has no order."""
    for make in (lambda X: dict.fromkeys(X, 1), set):
        _assert_refused_everywhere(estimator, make, f"a {type(make([])).__name__} as X")


def check_bytes_refused(estimator):
    """Bytes among the texts have no encoding that could be known."""
    _assert_refused_everywhere(
        estimator, _replacing(b"text"), "bytes inside X", (TypeError,)
    )


def check_scalars_refused(estimator):
    """A number, None or bytes alone is no collection."""
    for value in (3.0, None, b"text", np.array("text", dtype=object)):
        _assert_refused_everywhere(estimator, lambda X, v=value: v, f"X={value!r}")


def check_nested_lists_refused(estimator):
    """A list of lists of str (words, perhaps) is not a list of str."""
    _assert_refused_everywhere(
        estimator, lambda X: [text.split() for text in X], "a list of lists as X"
    )


def applicable(traits):
    """Yield the checks that apply."""
    if traits.tags.no_validation:
        return
    yield check_bare_str_refused
    yield check_numbers_refused
    yield check_one_number_refused
    yield check_none_refused
    yield check_nan_refused
    yield check_several_columns_refused
    yield check_three_dimensions_refused
    yield check_empty_refused
    yield check_dict_and_set_refused
    yield check_bytes_refused
    yield check_scalars_refused
    yield check_nested_lists_refused
    if installed("pandas"):
        yield check_pandas_na_refused
        yield check_frame_of_several_columns_refused
