# SPDX-License-Identifier: BSD-3-Clause
"""Checks from scikit-learn that do not need data, so they suit text estimators too."""

import functools

from sklearn.base import clone
from sklearn.utils import estimator_checks


def _of_one_argument(official):
    @functools.wraps(official)
    def check(estimator):
        official(type(estimator).__name__, clone(estimator))

    del check.__wrapped__  # otherwise inspect.signature describes official
    return check


CHECKS = tuple(
    _of_one_argument(check)
    for check in (
        estimator_checks.check_estimator_cloneable,
        estimator_checks.check_estimator_tags_renamed,
        estimator_checks.check_valid_tag_types,
        estimator_checks.check_estimator_repr,
        estimator_checks.check_mixin_order,
        estimator_checks.check_no_attributes_set_in_init,
        estimator_checks.check_do_not_raise_errors_in_init_or_set_params,
        estimator_checks.check_parameters_default_constructible,
        estimator_checks.check_get_params_invariance,
        estimator_checks.check_set_params,
    )
)


def applicable(traits):
    """Yield all checks, because they apply to every estimator."""
    yield from CHECKS
