# SPDX-License-Identifier: BSD-3-Clause
"""Running checks that may be expected to fail."""

import functools
import unittest
import warnings

from sklearn.exceptions import EstimatorCheckFailedWarning, SkipTestWarning


def check_is_estimator(estimator):
    """Raise an error if the checks cannot run on an object."""
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


def check_reasons(expected_failed_checks):
    """Return the expected failures as a dict."""
    if expected_failed_checks is None:
        return {}
    if not isinstance(expected_failed_checks, dict):
        raise TypeError(
            "The expected failures of an estimator must be a dict from the name of a "
            f"check to a reason, got {expected_failed_checks!r}. Write for example "
            '{"check_pickle": "a lambda cannot be pickled"}.'
        )
    return expected_failed_checks


def skipped(check, reason):
    """Return a check that raises SkipTest instead."""

    @functools.wraps(check)
    def skip(estimator):
        raise unittest.SkipTest(
            f"Skipping {check.__name__} for {type(estimator).__name__}: {reason}"
        )

    return skip


def xfailed(estimator, check, reason, strict):
    """Return a pair of pytest with the mark xfail."""
    import pytest

    options = {} if strict is None else {"strict": strict}
    mark = pytest.mark.xfail(reason=reason, **options)
    return pytest.param(estimator, check, marks=mark)


def run(estimator, check, expected):
    """Run a check and return its result, as scikit-learn's check_estimator has it."""
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


def report(result, on_skip, on_fail):
    """Raise an error or warn if a check failed, and warn if it was skipped."""
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
            f"Skipping {name} for {estimator} because it raised "
            f"{type(error).__name__}: {error}",
            SkipTestWarning,
            stacklevel=3,
        )
