"""Every check of classifiers with several outputs catches a planted bug."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin, clone
from sklearn.utils.validation import check_is_fitted
from test_estimator_checks import Bayes

from sklearn_attnft._data._targets import fit_target
from sklearn_attnft._data._validation import check_texts, check_weights
from sklearn_attnft._data._validation_tasks import check_tasks
from sklearn_attnft.estimator_checks import parametrize_with_text_checks, text_checks


class Columns(ClassifierMixin, MetaEstimatorMixin, BaseEstimator):
    """A classifier for each column of y, without bugs."""

    _required_parameters = ["estimator"]

    def __init__(self, estimator):
        self.estimator = estimator

    def fit(self, X, y, sample_weight=None):
        texts = check_texts(X)
        columns = self._columns(y, len(texts))
        weights = check_weights(sample_weight, len(texts))
        fitted = [self._fit(texts, columns, name, weights) for name in columns]
        self.estimators_ = fitted
        self.classes_ = [each.classes_ for each in fitted]
        self.names_ = list(columns)
        self.is_frame_ = hasattr(y, "columns")
        return self

    def _columns(self, y, n_texts):
        return check_tasks(y, n_texts)

    def _fit(self, texts, columns, name, weights):
        column = columns[name]
        target = fit_target(column, name)
        labels, present = target.encode(column, name)
        rows = np.flatnonzero(present)
        return self._fit_one(
            [texts[i] for i in rows], target.classes[labels[rows]], weights[rows]
        )

    def _fit_one(self, texts, labels, weights):
        return clone(self.estimator).fit(texts, labels, sample_weight=weights)

    def _each(self, X, method):
        check_is_fitted(self)
        return [getattr(each, method)(X) for each in self.estimators_]

    def predict(self, X):
        cells = self._each(X, "predict")
        if self.is_frame_:
            return pd.DataFrame(dict(zip(self.names_, cells, strict=True)))
        return np.array([column.astype(object) for column in cells]).T

    def predict_proba(self, X):
        return self._each(X, "predict_proba")

    def decision_function(self, X):
        return self._each(X, "decision_function")

    def score(self, X, y, sample_weight=None):
        predicted = np.asarray(self.predict(X))
        columns = check_tasks(y, len(predicted))
        weights = check_weights(sample_weight, len(predicted))
        return np.mean(
            [
                self._accuracy(np.array(column, dtype=object), predicted[:, i], weights)
                for i, column in enumerate(columns.values())
            ]
        )

    def _accuracy(self, column, predicted, weights):
        there = np.array([label is not None for label in column])
        right = column[there] == predicted[there]
        return np.average(right, weights=weights[there])

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.one_d_array = True
        tags.input_tags.two_d_array = False
        tags.input_tags.string = True
        tags.target_tags.multi_output = True
        tags.target_tags.single_output = False
        return tags


@parametrize_with_text_checks([Columns(Bayes())])
def test_a_correct_estimator_passes(estimator, check):
    check(estimator)


BUGS = []


def caught_by(check, raising=AssertionError):
    def note(broken):
        BUGS.append((broken, f"check_columns_{check}", raising))
        return broken

    return note


@caught_by("shapes")
class StacksProbabilities(Columns):
    def predict_proba(self, X):
        return [proba.T for proba in super().predict_proba(X)]


@caught_by("shapes")
class ScoresOfTwoClassesAreTwo(Columns):
    def decision_function(self, X):
        return [np.c_[s, s] if s.ndim == 1 else s for s in super().decision_function(X)]


@caught_by("predict_is_argmax")
class PredictsTheLeast(Columns):
    def predict(self, X):
        cells = zip(self.classes_, self.predict_proba(X), strict=True)
        return np.array([c[p.argmin(axis=1)].astype(object) for c, p in cells]).T


@caught_by("labels_keep_their_type")
class MakesStrings(Columns):
    def _columns(self, y, n_texts):
        columns = super()._columns(y, n_texts)
        return {
            name: [None if cell is None else str(cell) for cell in column]
            for name, column in columns.items()
        }


@caught_by("order")
class FavorsTheFirstColumn(Columns):
    def _fit(self, texts, columns, name, weights):
        fitted = super()._fit(texts, columns, name, weights)
        if name == next(iter(columns)):
            fitted.prior_ = fitted.prior_ + np.arange(len(fitted.prior_))
        return fitted


@caught_by("frame")
class ForgetsTheFrame(Columns):
    def predict(self, X):
        return np.asarray(super().predict(X))


@caught_by("learns")
class ExchangesTexts(Columns):
    def _fit_one(self, texts, labels, weights):
        return super()._fit_one(texts[1:] + texts[:1], labels, weights)


@caught_by("missing_labels")
class NoneIsAClass(Columns):
    def _columns(self, y, n_texts):
        columns = super()._columns(y, n_texts)
        return {
            name: ["none" if cell is None else cell for cell in column]
            for name, column in columns.items()
        }


class WholeRowsOnly(Columns):
    def _columns(self, y, n_texts):
        columns = super()._columns(y, n_texts)
        rows = zip(*columns.values(), strict=True)
        rows = [row if None not in row else (None,) * len(row) for row in rows]
        return dict(zip(columns, map(list, zip(*rows, strict=True)), strict=True))


caught_by("partly_labeled_rows_teach", (AssertionError, ValueError))(WholeRowsOnly)


@caught_by("row_without_labels")
class GuessesMissingLabels(Columns):
    def _columns(self, y, n_texts):
        columns = super()._columns(y, n_texts)
        return {
            name: [column[0] if cell is None else cell for cell in column]
            for name, column in columns.items()
        }


@caught_by("weight_two_is_row_twice")
class WeighsByRoots(Columns):
    def _fit_one(self, texts, labels, weights):
        return super()._fit_one(texts, labels, np.sqrt(weights))


@caught_by("score")
class MissingIsWrong(Columns):
    def _accuracy(self, column, predicted, weights):
        return np.average(column == predicted, weights=weights)


@caught_by("refused")
class DoesNotNameTheColumn(Columns):
    def fit(self, X, y, sample_weight=None):
        try:
            return super().fit(X, y, sample_weight)
        except ValueError:
            raise ValueError("y is invalid.") from None


@caught_by("y_refused")
class TakesAnyY(Columns):
    def _columns(self, y, n_texts):
        y = y if y is None or np.ndim(y) else list(y)
        if isinstance(y, np.ndarray) and y.ndim == 1:
            y = y[:, None]
        return super()._columns(y, n_texts)


@caught_by("one_is_the_template")
class SmoothsMore(Columns):
    def _fit_one(self, texts, labels, weights):
        smoother = clone(self.estimator).set_params(smoothing=0.2)
        return smoother.fit(texts, labels, sample_weight=weights)


@pytest.mark.parametrize(
    ("broken", "name", "raising"), BUGS, ids=[broken.__name__ for broken, *_ in BUGS]
)
def test_planted_bug_is_caught(broken, name, raising):
    estimator = broken(Bayes())
    check = {check.__name__: check for _, check in text_checks(estimator)}[name]
    with pytest.raises(raising):
        check(estimator)


def test_every_check_of_columns_catches_a_planted_bug():
    names = {check.__name__ for _, check in text_checks(Columns(Bayes()))}
    names = {name for name in names if name.startswith("check_columns")}
    assert names == {name for _, name, _ in BUGS}
