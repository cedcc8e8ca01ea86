# SPDX-License-Identifier: BSD-3-Clause
"""Checks for scikit-learn estimators that take raw text.

scikit-learn's own checks make numbers up, so an estimator whose tags say text gets one
check of them: that it clones. These are their text twins, and some of their own. Which
of them apply is read from an estimator's tags, methods, parameters and the signature
of its ``fit``.
"""

from . import (
    _api,
    _behaviour,
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
    _behaviour,
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
        Unfitted; it is cloned before every use.

    Yields
    ------
    estimator : estimator instance
        The same.
    check : callable
        ``check(estimator)`` raises if the estimator breaks the check's rule, which is
        its docstring.

    See Also
    --------
    check_text_estimator : Run them all.
    parametrize_with_text_checks : Run each as a test of pytest.

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
            f"text_checks takes an instance and got the class {estimator.__name__}: "
            f"pass {estimator.__name__}(...), with parameters that make it fast."
        )
    # A look into signatures and tags must not be what makes an estimator fail.
    for module in _MODULES:
        for check in module.applicable(_tools.Traits.of(estimator)):
            yield estimator, check


def check_text_estimator(estimator):
    """Run all checks that apply to an estimator.

    Parameters
    ----------
    estimator : estimator instance
        Unfitted, with parameters that make its fits fast: there are some hundreds.

    Raises
    ------
    AssertionError
        At the first check that fails, with the check's name.

    See Also
    --------
    parametrize_with_text_checks : Run each as a test of pytest.

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
    """Parametrise a test of pytest over estimators and their checks.

    Parameters
    ----------
    estimators : list of estimator instances

    Returns
    -------
    decorator
        For a test with the arguments `estimator` and `check`.

    See Also
    --------
    check_text_estimator : Run all checks of one estimator, without pytest.

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
