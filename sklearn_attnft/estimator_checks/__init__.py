# SPDX-License-Identifier: BSD-3-Clause
"""Checks for scikit-learn estimators that take raw text.

scikit-learn's own checks generate numeric data. If the tags of an estimator declare
text input, scikit-learn runs only one of these checks, which clones the estimator. This
package has similar checks for text, and additional ones. The tags, methods, parameters
and ``fit`` signature of an estimator decide which checks apply.

Some demands of the checks go beyond what scikit-learn's own estimators fulfill. For
example, the error for an invalid text must name X, and a failed fit must not change the
result of an earlier fit. These demands apply only if the tags declare text input, that
is, if both `input_tags.string` and `input_tags.one_d_array` are True. The vectorizers,
pipelines and searches of scikit-learn set at most one of these two tags.
"""

import functools
import unittest
import warnings

from sklearn.exceptions import EstimatorCheckFailedWarning, SkipTestWarning

from . import (
    _api,
    _behavior,
    _classifier,
    _containers,
    _failures,
    _globals,
    _inputs,
    _multilabel,
    _multioutput,
    _official,
    _persistence,
    _regressor,
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
    _multilabel,
    _multioutput,
    _regressor,
    _weights,
    _validation_data,
    _transformer,
    _routing,
)


def text_checks(
    estimator, *, expected_failed_checks=None, mark=None, xfail_strict=None
):
    """Yield the checks that apply to an estimator.

    Parameters
    ----------
    estimator : estimator instance
        An unfitted estimator. It is cloned before every use.
    expected_failed_checks : dict, default=None
        The checks that are expected to fail. The keys are the names of these checks,
        and the values are the reasons for the failures. Names of checks that do not
        apply are ignored. If None, no check is expected to fail.
    mark : {"xfail", "skip"} or None, default=None
        How checks that are expected to fail are marked. If "xfail", the estimator and
        the check are yielded as a ``pytest.param`` with the mark ``pytest.mark.xfail``.
        If "skip", the yielded check only raises ``unittest.SkipTest``. If None, the
        checks are not marked.
    xfail_strict : bool, default=None
        If True, a check that is expected to fail counts as failed when it passes. Used
        only if `mark` is "xfail". If None, the configuration of pytest decides.

    Yields
    ------
    estimator : estimator instance
        The estimator that was passed.
    check : callable
        The docstring of a check states a rule. ``check(estimator)`` raises an error if
        the estimator breaks this rule, and ``unittest.SkipTest`` if the check cannot
        run.

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
    _check_is_estimator(estimator)
    expected = _check_reasons(expected_failed_checks)
    if mark not in ("xfail", "skip", None):
        raise ValueError(f'`mark` must be "xfail", "skip" or None, got {mark!r}.')
    for module in _MODULES:
        for check in module.applicable(_tools.Traits.of(estimator)):
            if mark is None or check.__name__ not in expected:
                yield estimator, check
            elif mark == "skip":
                yield estimator, _skipped(check, expected[check.__name__])
            else:
                reason = expected[check.__name__]
                yield _xfailed(estimator, check, reason, xfail_strict)


def check_text_estimator(
    estimator,
    *,
    expected_failed_checks=None,
    on_skip="warn",
    on_fail="raise",
    callback=None,
):
    """Run all checks that apply to an estimator.

    The parameters and the result have the same meaning as those of
    :func:`sklearn.utils.estimator_checks.check_estimator`.

    Parameters
    ----------
    estimator : estimator instance
        An unfitted estimator. The checks fit it several hundred times, so choose
        parameters that make fits fast.
    expected_failed_checks : dict, default=None
        The checks that are expected to fail. The keys are the names of these checks,
        and the values are the reasons. The failures of these checks are not raised. If
        None, no check is expected to fail.
    on_skip : {"warn"} or None, default="warn"
        How checks that cannot run are reported. If "warn", a SkipTestWarning is
        issued. If None, these checks are only listed in the result.
    on_fail : {"raise", "warn"} or None, default="raise"
        How checks that fail are reported. If "raise", the first unexpected failure is
        raised. If "warn", an EstimatorCheckFailedWarning is issued for each failure. If
        None, failures are only listed in the result.
    callback : callable or None, default=None
        A function that is called after each check. The keyword arguments are the
        entries of the check's dict in the result. Must be None if ``on_fail="raise"``.

    Returns
    -------
    test_results : list of dict
        One dict for each check. Its keys are "estimator", "check_name", "exception",
        "status" ("passed", "failed", "xfail" or "skipped"), "expected_to_fail" and
        "expected_to_fail_reason".

    Raises
    ------
    AssertionError
        If a check fails unexpectedly and `on_fail` is "raise". The message names the
        first check that fails.

    See Also
    --------
    parametrize_with_text_checks : Run each check as a pytest test.

    Examples
    --------
    >>> from sklearn.feature_extraction.text import TfidfVectorizer
    >>> from sklearn_attnft.estimator_checks import check_text_estimator
    >>> results = check_text_estimator(TfidfVectorizer())
    >>> {result["status"] for result in results}
    {'passed'}
    """
    if on_skip not in ("warn", None):
        raise ValueError(f'`on_skip` must be "warn" or None, got {on_skip!r}.')
    if on_fail not in ("raise", "warn", None):
        raise ValueError(f'`on_fail` must be "raise", "warn" or None, got {on_fail!r}.')
    if on_fail == "raise" and callback is not None:
        raise ValueError(
            '`callback` must be None if on_fail="raise". Pass on_fail="warn" or '
            "on_fail=None."
        )
    expected = _check_reasons(expected_failed_checks)
    results = []
    for _, check in text_checks(estimator):
        result = _run(estimator, check, expected)
        results.append(result)
        _report(result, on_skip, on_fail)
        if callback is not None:
            callback(**result)
    return results


def parametrize_with_text_checks(
    estimators, *, expected_failed_checks=None, xfail_strict=None
):
    """Parametrize a pytest test over estimators and their checks.

    Parameters
    ----------
    estimators : list of estimator instances
        Unfitted estimators, with parameters that make fits fast.
    expected_failed_checks : callable, default=None
        A function that takes an estimator and returns a dict. The keys are the names of
        the checks that are expected to fail, and the values are the reasons. The tests
        of these checks are marked as xfail. If None, no check is expected to fail.
    xfail_strict : bool, default=None
        If True, a check that is expected to fail counts as failed when it passes. If
        None, the configuration of pytest decides.

    Returns
    -------
    decorator : pytest.MarkDecorator
        A decorator for a test function with the arguments `estimator` and `check`.

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

    if expected_failed_checks is not None and not callable(expected_failed_checks):
        raise TypeError(
            "`expected_failed_checks` must be a function that takes an estimator and "
            f"returns a dict, got {expected_failed_checks!r}. Write for example "
            "`lambda estimator: {...}`."
        )
    pairs = []
    for estimator in estimators:
        reasons = expected_failed_checks and expected_failed_checks(estimator)
        pairs += text_checks(
            estimator,
            expected_failed_checks=reasons,
            mark="xfail",
            xfail_strict=xfail_strict,
        )
    return pytest.mark.parametrize(("estimator", "check"), pairs, ids=_name)


def _name(value):
    """Return the pytest id of a check (its name) or an estimator (its class name)."""
    return getattr(value, "__name__", type(value).__name__)


def _check_is_estimator(estimator):
    """Raise a TypeError if `estimator` is not an instance of an estimator."""
    if isinstance(estimator, type):
        raise TypeError(
            f"`estimator` must be an instance, got the class {estimator.__name__}. "
            f"Pass {estimator.__name__}(...) with parameters that make fits fast."
        )
    needed = ("fit", "get_params", "__sklearn_tags__")
    if not all(hasattr(estimator, name) for name in needed):
        raise TypeError(
            "`estimator` must be a scikit-learn estimator, got an instance of "
            f"{type(estimator).__name__}. Derive its class from "
            "sklearn.base.BaseEstimator and define fit."
        )


def _check_reasons(expected_failed_checks):
    """Return the expected failures as a dict."""
    if expected_failed_checks is None:
        return {}
    if not isinstance(expected_failed_checks, dict):
        raise TypeError(
            "`expected_failed_checks` must be a dict that maps names of checks to "
            f"reasons, got {expected_failed_checks!r}. Pass for example "
            '{"check_pickle": "a lambda cannot be pickled"}.'
        )
    return expected_failed_checks


def _skipped(check, reason):
    """Return a function with the name of `check` that only raises SkipTest."""

    @functools.wraps(check)
    def skip(estimator):
        raise unittest.SkipTest(
            f"Skipping {check.__name__} for {type(estimator).__name__}: {reason}"
        )

    return skip


def _xfailed(estimator, check, reason, strict):
    """Return an estimator and a check as a pytest.param with the mark xfail."""
    import pytest

    options = {} if strict is None else {"strict": strict}
    mark = pytest.mark.xfail(reason=reason, **options)
    return pytest.param(estimator, check, marks=mark)


def _run(estimator, check, expected):
    """Run a check and return its dict for the result of check_text_estimator."""
    name, exception, status = check.__name__, None, "passed"
    try:
        check(estimator)
    except unittest.SkipTest as error:
        exception, status = error, "skipped"
    except Exception as error:
        exception, status = error, "xfail" if name in expected else "failed"
    return {
        "estimator": estimator,
        "check_name": name,
        "exception": exception,
        "status": status,
        "expected_to_fail": name in expected,
        "expected_to_fail_reason": expected.get(name, "Check is not expected to fail"),
    }


def _report(result, on_skip, on_fail):
    """Report a failed or skipped check as `on_fail` and `on_skip` require."""
    name, error = result["check_name"], result["exception"]
    estimator = type(result["estimator"]).__name__
    if result["status"] == "failed" and on_fail == "raise":
        raise AssertionError(
            f"{estimator} fails {name}: {type(error).__name__}: {error}"
        ) from error
    if result["status"] in ("failed", "xfail") and on_fail == "warn":
        warnings.warn(EstimatorCheckFailedWarning(**result), stacklevel=3)
    if result["status"] == "skipped" and on_skip == "warn":
        warnings.warn(
            f"Skipping {name} for {estimator} because the check raised "
            f"{type(error).__name__}: {error}",
            SkipTestWarning,
            stacklevel=3,
        )
