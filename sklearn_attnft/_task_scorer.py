# SPDX-License-Identifier: BSD-3-Clause
"""Scorer of one task of a MultiTaskClassifier."""

import copy
import dataclasses
from collections.abc import Collection

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.metrics import get_scorer
from sklearn.utils.validation import _num_samples, check_is_fitted

from ._data._label_matrix import LabelMatrix
from ._data._labels import find_labels, label_array
from ._data._validation import check_weights
from ._data._validation_tasks import check_task, check_tasks
from ._utils._messages import describe_type


class TaskScorer:
    """Scorer of one task. ``MultiTaskClassifier.task_scorer`` describes the scorer."""

    def __init__(self, name, metric):
        self.name = name
        self.metric = metric
        # A copy, so that metadata requests do not change scikit-learn's own scorer.
        self.scorer = copy.deepcopy(get_scorer(metric))

    def __repr__(self):
        return f"task_scorer({self.name!r}, {self.metric!r})"

    def set_score_request(self, **requests):
        """Request metadata for the metric, as scikit-learn's own scorers do."""
        self.scorer.set_score_request(**requests)
        return self

    def get_metadata_routing(self):
        """Return the metadata routing of the metric."""
        return self.scorer.get_metadata_routing()

    def _accept_sample_weight(self):  # scikit-learn needs this for a dict of scorers
        return self.scorer._accept_sample_weight()

    def __call__(self, estimator, X, y, sample_weight=None):
        columns = check_tasks(y, _num_samples(X))
        model = _multitask(estimator)
        if model is estimator:  # another thread may call its fit
            model = estimator = copy.copy(model)
        for names in (list(columns), model.task_names_):
            check_task(self.name, names, "task_scorer")
        i, column = model.task_names_.index(self.name), columns[self.name]
        target = model._fitted_targets()[i]
        wider = _with_unseen(target, column)
        labels, present = wider.encode(column, "y", unknown_is_wrong=True)
        if not present.any():
            raise ValueError(
                f"`y` must have labels of the task {self.name!r}, got no labels. "
                "Pass texts with labels of the task, or use larger folds."
            )
        if target.kind == "matrix":
            present &= ~np.isnan(labels).any(axis=1)
        rows = np.flatnonzero(present)
        if not len(rows):
            raise ValueError(
                f"`y` must have a row without missing values for {self.name!r}, got "
                "missing values in each row. Metrics cannot use these rows; `score` "
                "counts their known values."
            )
        if target.multilabel:
            truth = labels[rows].astype(np.int64)
            if _is_binary(wider):
                truth = truth[:, 0]
        else:
            truth = label_array([column[row] for row in rows], "y", rows.tolist())
        probabilities = np.zeros((len(present), len(wider.classes)))
        where = find_labels(target.classes, wider.classes)
        probabilities[:, where] = estimator.predict_proba(X)[i]
        weights = {}
        if sample_weight is not None:
            check_weights(sample_weight, len(present))
            weights["sample_weight"] = np.asarray(sample_weight)[rows]
        return self.scorer(_Predictions(wider, probabilities), rows, truth, **weights)


def _with_unseen(target, column):
    """Return a target that also has the classes that occur only in `column`.

    The scorer gives these additional classes the probability 0.
    """
    if target.kind != "sets" or isinstance(column, LabelMatrix):
        return target
    cells = [cell for cell in column if isinstance(cell, Collection)]
    members = [member for cell in cells for member in cell]
    classes = np.unique(label_array([*target.classes.tolist(), *members], "y"))
    return dataclasses.replace(target, classes=classes)


def _multitask(estimator):
    """Return the fitted MultiTaskClassifier inside a search or a pipeline."""
    check_is_fitted(estimator)
    model = estimator
    while not hasattr(model, "task_names_"):
        inner = getattr(model, "best_estimator_", None)
        if inner is None and hasattr(model, "steps"):
            inner = model.steps[-1][1]
        if inner is None:
            raise TypeError(
                "The estimator of task_scorer must be a fitted MultiTaskClassifier, or "
                f"a pipeline or search with one, got {describe_type(estimator)}."
            )
        model = inner
    return model


def _is_binary(target):
    """Return whether a task is a multilabel task with only one class."""
    return target.multilabel and len(target.classes) == 1


class _Predictions(ClassifierMixin, BaseEstimator):
    """Classifier that takes row numbers as `X` and returns stored probabilities."""

    def __init__(self, target, probabilities):
        self.target = target
        self.probabilities = probabilities
        self.classes_ = target.classes
        if target.multilabel:  # else two labels would look like a binary task
            self.classes_ = [np.arange(2) for _ in target.classes]
        if _is_binary(target):
            self.classes_ = np.arange(2)

    def __sklearn_is_fitted__(self):
        return True

    def predict_proba(self, rows):
        chosen = self.probabilities[rows]
        if _is_binary(self.target):
            return np.hstack([1 - chosen, chosen])
        return chosen

    def predict(self, rows):
        middle = 0.5 if self.target.multilabel else 0.0
        predicted = self.target.predict(self.probabilities[rows] - middle)
        return predicted[:, 0] if _is_binary(self.target) else predicted
