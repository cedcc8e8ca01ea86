"""Every check of regressors catches a planted bug."""

import numpy as np
import pytest
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.utils.validation import _num_samples, check_is_fitted

from sklearn_attnft._data._numbers import check_numbers
from sklearn_attnft._data._validation import (
    check_texts,
    check_validation_pair,
    check_weights,
)
from sklearn_attnft.estimator_checks import (
    check_text_estimator,
    parametrize_with_text_checks,
    text_checks,
)


class Counts(RegressorMixin, BaseEstimator):
    """Ridge regression on counts of words, without bugs."""

    penalty = 0.01

    def fit(self, X, y, sample_weight=None, X_val=None, y_val=None):
        texts = check_texts(X)
        numbers = self._check(y, len(texts))
        weights = self._weights(sample_weight, len(texts))
        if check_validation_pair(X_val, y_val):
            self._check(y_val, len(check_texts(X_val, "X_val")), "y_val")
        texts = [text for text, weight in zip(texts, weights, strict=True) if weight]
        self._learn(texts, numbers[weights > 0], weights[weights > 0])
        return self

    def _check(self, y, n_texts, name="y"):
        return check_numbers(y, n_texts, name)

    def _weights(self, sample_weight, n_texts):
        return check_weights(sample_weight, n_texts)

    def _learn(self, texts, numbers, weights):
        vectorizer = CountVectorizer(token_pattern=r"\w+|!")
        counts = vectorizer.fit_transform(texts).toarray().astype(float)
        weights = weights / weights.sum()
        model = Ridge(self.penalty, solver="cholesky")
        model.fit(counts, numbers, sample_weight=weights)
        self.vectorizer_, self.model_ = vectorizer, model
        self.n_columns_ = numbers.shape[1]

    def predict(self, X):
        check_is_fitted(self)
        counts = self.vectorizer_.transform(check_texts(X)).toarray()
        predicted = self.model_.predict(counts).reshape(len(counts), -1)
        return predicted[:, 0] if self.n_columns_ == 1 else predicted

    def score(self, X, y, sample_weight=None):
        check_is_fitted(self)
        y = check_numbers(y, _num_samples(X))
        return super().score(X, y, sample_weight)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        tags.input_tags.one_d_array = True
        tags.input_tags.two_d_array = False
        tags.input_tags.string = True
        return tags


@parametrize_with_text_checks([Counts()])
def test_a_correct_regressor_passes(estimator, check):
    check(estimator)


def test_regressors_of_scikit_learn_pass():
    model = make_pipeline(TfidfVectorizer(), Ridge(0.1))
    results = check_text_estimator(model)
    names = {result["check_name"] for result in results}
    assert {"check_numbers_learn", "check_numbers_score_is_r2"} <= names


BUGS = []


def caught_by(*checks, raising=AssertionError):
    """Return a decorator that records which checks must catch a broken class."""

    def note(broken):
        BUGS.extend((broken, check, raising) for check in checks)
        return broken

    return note


@caught_by(
    "check_numbers_none_refused",
    "check_numbers_nan_refused",
    "check_numbers_infinite_refused",
    "check_numbers_str_refused",
    "check_numbers_lengths_refused",
    "check_validation_numbers_refused",
    "check_failed_numbers_keep_the_earlier_fit",
)
class TakesAnyNumbers(Counts):
    def _check(self, y, n_texts, name="y"):
        numbers = np.zeros((n_texts, 1))
        if y is None:
            return numbers
        for i, cell in enumerate(list(y)[:n_texts]):
            try:
                numbers[i] = np.nan_to_num(float(cell))
            except (TypeError, ValueError):
                numbers[i] = 0
        return numbers


@caught_by("check_numbers_column_warns")
class FlattensSilently(Counts):
    def _check(self, y, n_texts, name="y"):
        y = y[:, 0] if getattr(y, "shape", ())[1:] == (1,) else y
        return super()._check(y, n_texts, name)


@caught_by("check_numbers_predictions")
class PredictsClasses(Counts):
    def predict(self, X):
        return super().predict(X).round().astype(int)


@caught_by("check_numbers_of_several_columns")
class ExchangesColumns(Counts):
    def predict(self, X):
        predicted = super().predict(X)
        return predicted[:, ::-1] if predicted.ndim == 2 else predicted


@caught_by("check_numbers_learn")
class DoesNotLearn(Counts):
    penalty = 1e6


@caught_by("check_numbers_score_is_r2")
class IgnoresWeightsInScore(Counts):
    def score(self, X, y, sample_weight=None):
        return super().score(X, y)


@caught_by("check_numbers_dtypes_are_equal")
class RoundsObjects(Counts):
    def _check(self, y, n_texts, name="y"):
        is_object = getattr(y, "dtype", None) == np.dtype(object)
        return super()._check(y, n_texts, name) * (2.0 if is_object else 1.0)


@caught_by("check_numbers_unit")
class CutsLargeNumbers(Counts):
    def _learn(self, texts, numbers, weights):
        super()._learn(texts, numbers.clip(-100, 100), weights)


@caught_by("check_numbers_constant")
class DividesByZero(Counts):
    def _learn(self, texts, numbers, weights):
        scale = numbers.std(axis=0)
        super()._learn(texts, np.where(scale > 1e-12, numbers, 0.0), weights)


@caught_by("check_weights_move_numbers")
class IgnoresWeights(Counts):
    def _weights(self, sample_weight, n_texts):
        return np.ones(n_texts) * (super()._weights(sample_weight, n_texts) > 0)


@caught_by("check_weight_zero_hides_numbers")
class CountsNumbersOfWeightZero(Counts):
    def _check(self, y, n_texts, name="y"):
        numbers = super()._check(y, n_texts, name)
        return numbers + (numbers.mean(axis=0) > 100)


@pytest.mark.parametrize(
    ("broken", "name", "raising"),
    BUGS,
    ids=[f"{broken.__name__}-{name}" for broken, name, _ in BUGS],
)
def test_planted_bug_is_caught(broken, name, raising):
    estimator = broken()
    check = {check.__name__: check for _, check in text_checks(estimator)}[name]
    with pytest.raises(raising):
        check(estimator)


def test_every_check_of_numbers_catches_a_planted_bug():
    checks = [check for _, check in text_checks(Counts())]
    names = {c.__name__ for c in checks if c.__module__.endswith("._regressor")}
    assert names == {name for _, name, _ in BUGS}
