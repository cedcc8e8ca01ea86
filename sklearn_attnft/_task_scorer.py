# SPDX-License-Identifier: BSD-3-Clause
"""A scorer of one label set among several."""

import copy
import dataclasses
from collections.abc import Collection

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.metrics import get_scorer
from sklearn.utils.validation import _num_samples, check_is_fitted

from ._data._targets import LabelSet
from ._data._validation import check_labels
from ._data._validation_tasks import check_task, check_tasks


class TaskScorer:
    """A scorer of one label set; see ``MultiTaskClassifier.task_scorer``."""

    def __init__(self, name, metric):
        self.name = name
        self.metric = metric
        # A copy, whose requests are its own. It says at once if there is none.
        self.scorer = copy.deepcopy(get_scorer(metric))

    def __repr__(self):
        return f"task_scorer({self.name!r}, {self.metric!r})"

    def set_score_request(self, **requests):
        """Request metadata for the metric, as scikit-learn's own scorers do."""
        self.scorer.set_score_request(**requests)
        return self

    def get_metadata_routing(self):
        """Return what the metric requests."""
        return self.scorer.get_metadata_routing()

    def _accept_sample_weight(self):  # what a dict of scorers is asked for
        return self.scorer._accept_sample_weight()

    def __call__(self, estimator, X, y, sample_weight=None):
        columns = check_tasks(y, _num_samples(X))
        model = _multitask(estimator)
        for names in (list(columns), model.task_names_):
            check_task(self.name, names, "task_scorer")
        i = model.task_names_.index(self.name)
        label_set, column = LabelSet(**model._label_sets[i]), columns[self.name]
        wider = _with_unseen(label_set, column)
        labels, present = wider.encode(column, "y", unknown_is_wrong=True)
        if label_set.kind == "matrix":
            present &= ~np.isnan(labels).any(axis=1)
        rows = np.flatnonzero(present)
        if not len(rows):
            raise ValueError(f"y has no label of {self.name!r} to score with.")
        if label_set.multilabel:
            truth = labels[rows].astype(np.int64)
            if _is_binary(wider):
                truth = truth[:, 0]
        else:
            truth = check_labels([column[row] for row in rows], len(rows))
        probabilities = np.zeros((len(present), len(wider.classes)))
        where = np.searchsorted(wider.classes, label_set.classes)
        probabilities[:, where] = estimator.predict_proba(X)[i]
        weights = {}
        if sample_weight is not None:
            weights["sample_weight"] = np.asarray(sample_weight)[rows]
        return self.scorer(_Predictions(wider, probabilities), rows, truth, **weights)


def _with_unseen(label_set, column):
    """Add the classes of sets that were never trained: they are never predicted."""
    if label_set.kind != "sets" or isinstance(column, np.ndarray):
        return label_set
    cells = [cell for cell in column if isinstance(cell, Collection)]
    members = {member for cell in cells for member in cell}
    classes = np.unique([*label_set.classes.tolist(), *members])
    return dataclasses.replace(label_set, classes=classes)


def _multitask(estimator):
    """Return the MultiTaskClassifier in a search or at the end of a pipeline."""
    check_is_fitted(estimator)
    model = estimator
    while not hasattr(model, "task_names_"):
        inner = getattr(model, "best_estimator_", None)
        if inner is None and hasattr(model, "steps"):
            inner = model.steps[-1][1]
        if inner is None:
            raise TypeError(
                f"task_scorer got a {type(estimator).__name__}; expected a fitted "
                "MultiTaskClassifier, or a pipeline or search with one."
            )
        model = inner
    return model


def _is_binary(label_set):
    """Tell whether texts are of its only class, or not."""
    return label_set.multilabel and len(label_set.classes) == 1


class _Predictions(ClassifierMixin, BaseEstimator):
    """A classifier of row numbers whose probabilities are known."""

    def __init__(self, label_set, probabilities):
        self.label_set = label_set
        self.probabilities = probabilities
        self.classes_ = label_set.classes
        if _is_binary(label_set):
            self.classes_ = np.arange(2)

    def __sklearn_is_fitted__(self):
        return True

    def predict_proba(self, rows):
        of_rows = self.probabilities[rows]
        if _is_binary(self.label_set):
            return np.hstack([1 - of_rows, of_rows])
        return of_rows

    def predict(self, rows):
        middle = 0.5 if self.label_set.multilabel else 0.0
        predicted = self.label_set.predict(self.probabilities[rows] - middle)
        return predicted[:, 0] if _is_binary(self.label_set) else predicted
