# SPDX-License-Identifier: BSD-3-Clause
"""Checks for scikit-learn estimators that take raw text.

scikit-learn's own checks generate numeric data, so they skip estimators whose tags
declare text input, except for one check of cloning. This package has the corresponding
checks for text, and further ones. The tags, methods, parameters and ``fit`` signature
of an estimator decide which checks apply to it.
"""

from . import (
    _api,
    _behavior,
    _classifier,
    _containers,
    _failures,
    _globals,
    _inputs,
    _multioutput,
    _official,
    _persistence,
    _routing,
    _targets,
    _tools,
    _transformer,
    _validation_data,
    _weights,
)

__all__ = ["check_text_estimator", "parametrize_with_text_checks", "text_checks"]

_MODULES = (
    _official,
    _api,
    _inputs,
    _containers,
    _behavior,
    _globals,
    _failures,
    _persistence,
    _targets,
    _classifier,
    _multioutput,
    _weights,
    _validation_data,
    _transformer,
    _routing,
)


def text_checks(estimator):
    """Yield the checks that apply to an estimator.

    Parameters
    ----------
    estimator : estimator instance
        An unfitted estimator. It is cloned before every use.

    Yields
    ------
    estimator : estimator instance
        The estimator that was passed.
    check : callable
        ``check(estimator)`` raises an error if the estimator breaks the rule that the
        docstring of the check states.

    See Also
    --------
    check_text_estimator : Run all checks.
    parametrize_with_text_checks : Run each check as a pytest test.

    Examples
    --------
    >>> from sklearn.feature_extraction.text import TfidfVectorizer
    >>> from sklearn_attnft.estimator_checks import text_checks
    >>> names = [check.__name__ for _, check in text_checks(TfidfVectorizer())]
    >>> names[0]
    'check_estimator_cloneable'
    """
    if isinstance(estimator, type):
        raise TypeError(
            f"`estimator` must be an instance, got the class {estimator.__name__}. "
            f"Pass {estimator.__name__}(...) with parameters that make fits fast."
        )
    for module in _MODULES:
        for check in module.applicable(_tools.Traits.of(estimator)):
            yield estimator, check


def check_text_estimator(estimator):
    """Run all checks that apply to an estimator.

    Parameters
    ----------
    estimator : estimator instance
        An unfitted estimator. The checks fit it some hundreds of times, so choose
        parameters that make fits fast.

    Raises
    ------
    AssertionError
        If a check fails. The message names the first check that fails.

    See Also
    --------
    parametrize_with_text_checks : Run each check as a pytest test.

    Examples
    --------
    >>> from sklearn.feature_extraction.text import TfidfVectorizer
    >>> from sklearn_attnft.estimator_checks import check_text_estimator
    >>> check_text_estimator(TfidfVectorizer())
    Traceback (most recent call last):
    ...
    AssertionError: TfidfVectorizer fails check_...
    """
    for _, check in text_checks(estimator):
        try:
            check(estimator)
        except Exception as error:
            raise AssertionError(
                f"{type(estimator).__name__} fails {check.__name__}: "
                f"{type(error).__name__}: {error}"
            ) from error


def parametrize_with_text_checks(estimators):
    """Parametrize a pytest test over estimators and their checks.

    Parameters
    ----------
    estimators : list of estimator instances
        Unfitted estimators, with parameters that make fits fast.

    Returns
    -------
    decorator : pytest.MarkDecorator
        A decorator for a test with the arguments `estimator` and `check`.

    See Also
    --------
    check_text_estimator : Run all checks of one estimator without pytest.

    Examples
    --------
    >>> from sklearn.feature_extraction.text import TfidfVectorizer
    >>> from sklearn_attnft.estimator_checks import parametrize_with_text_checks
    >>> @parametrize_with_text_checks([TfidfVectorizer()])
    ... def test_text_estimators(estimator, check):
    ...     check(estimator)
    """
    import pytest

    pairs = [pair for estimator in estimators for pair in text_checks(estimator)]
    ids = [f"{type(estimator).__name__}-{check.__name__}" for estimator, check in pairs]
    return pytest.mark.parametrize(("estimator", "check"), pairs, ids=ids)
