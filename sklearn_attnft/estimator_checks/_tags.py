# SPDX-License-Identifier: BSD-3-Clause
"""Tags and methods of an estimator and of the estimators that it wraps."""

from sklearn.pipeline import FeatureUnion, Pipeline
from sklearn.utils import get_tags


def wrapped(estimator):
    """Return the estimators among the parameters of an estimator, at any depth."""
    return [
        value
        for value in estimator.get_params(deep=True).values()
        if hasattr(value, "fit")
        and hasattr(value, "__sklearn_tags__")
        and not isinstance(value, type)
    ]


def tags_of(estimator):
    """Return the tags of an estimator, completed by tags of the estimators it wraps.

    scikit-learn does not forward all tags. For example, the tags of a Pipeline do not
    show that a step is not deterministic or requires several outputs.
    """
    tags = get_tags(estimator)
    inner = [get_tags(each) for each in wrapped(estimator)]
    tags.requires_fit = not _is_stateless(estimator)
    tags.non_deterministic |= any(each.non_deterministic for each in inner)
    tags.no_validation |= any(t.no_validation and t.classifier_tags for t in inner)
    tags.target_tags.multi_output |= any(t.target_tags.multi_output for t in inner)
    if any(_requires_columns(each) for each in inner):
        tags.target_tags.multi_output = True
        tags.target_tags.single_output = False
    if tags.classifier_tags is not None:
        poor = any(t.classifier_tags and t.classifier_tags.poor_score for t in inner)
        tags.classifier_tags.poor_score |= poor
    return tags


def _requires_columns(tags):
    return tags.target_tags.multi_output and not tags.target_tags.single_output


def wants_columns(estimator):
    """Return whether an estimator requires targets with several columns."""
    return _requires_columns(tags_of(estimator))


def _is_stateless(estimator):
    # scikit-learn regards a Pipeline as fitted if its last step is fitted.
    if isinstance(estimator, Pipeline):
        last = last_step(estimator)
        return last is not estimator and _is_stateless(last)
    if isinstance(estimator, FeatureUnion):
        parts = [part for _, part in estimator.transformer_list if hasattr(part, "fit")]
        return all(_is_stateless(part) for part in parts)
    return not get_tags(estimator).requires_fit


def refits(estimator):
    """Return whether an estimator can predict or transform after ``fit``.

    The result is False for a search with ``refit=False``.
    """
    return getattr(estimator, "refit", True) is not False


def declares_text(estimator):
    """Return whether the tags declare that X is one-dimensional and holds str.

    This declaration makes the checks strict. scikit-learn's vectorizers do not declare
    `one_d_array`, and its pipelines and searches do not declare `string`.
    """
    tags = get_tags(estimator).input_tags
    return tags.string and tags.one_d_array


def first_declares_text(estimator):
    """Return whether an estimator, or a Pipeline's first step, declares text input."""
    return declares_text(_step(estimator, 0))


def last_step(estimator):
    """Return the last step of a Pipeline, or the estimator if it is not a Pipeline."""
    return _step(estimator, -1)


def _step(estimator, position):
    while isinstance(estimator, Pipeline):
        steps = [step for _, step in estimator.steps if hasattr(step, "fit")]
        if not steps:
            break
        estimator = steps[position]
    return estimator


def provides(estimator, method):
    """Return whether an estimator and all transformers that it wraps have a method.

    A Pipeline and a FeatureUnion have `get_feature_names_out` and `set_output` even if
    one of their transformers does not have these methods. Calling them then fails.
    """
    inner = [each for each in wrapped(estimator) if hasattr(each, "transform")]
    return all(hasattr(each, method) for each in [estimator, *inner])
