"""Every check of several labels per text catches a planted bug."""

import numpy as np
import pytest
from scipy.sparse import issparse
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.tree import DecisionTreeClassifier
from test_estimator_checks import Bayes

from sklearn_attnft._data._label_matrix import (
    CONTAINERS,
    LabelClasses,
    check_matrix,
    find_matrix,
)
from sklearn_attnft._data._validation import check_texts, check_weights
from sklearn_attnft.estimator_checks import text_checks


class Tags(Bayes):
    """A naive Bayes classifier for each label, without bugs."""

    def fit(self, X, y, sample_weight=None, **validation):
        texts = check_texts(X)
        matrix = self._find(y, len(texts))
        if matrix is None:
            vars(self).pop("parts_", None)
            vars(self).pop("container_", None)
            return super().fit(X, y, sample_weight, **validation)
        weights = check_weights(sample_weight, len(texts))
        parts = [
            Bayes(max_epochs=self.max_epochs, random_state=0).fit(
                texts, column.astype(int), self._given(weights)
            )
            for column in matrix.values.T
        ]
        for name in [name for name in vars(self) if name.endswith("_")]:
            delattr(self, name)
        self.parts_, self.container_ = parts, matrix.container
        self.classes_ = self._label_classes(len(parts))
        return self

    def _find(self, y, n_texts):
        return find_matrix(y, n_texts)

    def _given(self, weights):
        return weights

    def _label_classes(self, n_labels):
        return LabelClasses([np.arange(2)] * n_labels)

    @property
    def _is_multilabel(self):
        return "parts_" in vars(self)

    def _columns(self, X):
        return np.column_stack([part.predict_proba(X)[:, 1] for part in self.parts_])

    def predict_proba(self, X):
        return self._columns(X) if self._is_multilabel else super().predict_proba(X)

    def transform(self, X):
        return self._columns(X) if self._is_multilabel else super().transform(X)

    def predict_log_proba(self, X):
        if self._is_multilabel:
            return np.log(self._columns(X))
        return super().predict_log_proba(X)

    def decision_function(self, X):
        if self._is_multilabel:
            return self._columns(X) - 0.5
        return super().decision_function(X)

    def predict(self, X):
        if not self._is_multilabel:
            return super().predict(X)
        labels = (self._columns(X) > 0.5).astype(int)
        return CONTAINERS[self.container_](labels)

    def score(self, X, y, sample_weight=None):
        if self._is_multilabel:
            y = check_matrix(y, len(X), np.arange(len(self.parts_)))
        return super().score(X, y, sample_weight)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags


def multilabel_checks(estimator):
    return {
        check.__name__: check
        for _, check in text_checks(estimator)
        if check.__module__.endswith("._multilabel")
    }


@pytest.mark.parametrize("name", multilabel_checks(Tags()))
def test_a_correct_classifier_passes(name):
    multilabel_checks(Tags())[name](Tags())


def test_classifiers_of_scikit_learn_predict_a_matrix():
    for model in (KNeighborsClassifier(2), DecisionTreeClassifier()):
        pipeline = make_pipeline(TfidfVectorizer(), model)
        assert not multilabel_checks(pipeline)
    assert not multilabel_checks(Bayes())


BUGS = []


def caught_by(*checks):
    """Return a decorator that records which checks must catch a broken class."""

    def note(broken):
        BUGS.extend((broken, f"check_multilabel_{check}") for check in checks)
        return broken

    return note


@caught_by("predictions", "learns")
class PredictsProbabilities(Tags):
    def predict(self, X):
        return self._columns(X) / 2 if self._is_multilabel else super().predict(X)


@caught_by("probabilities", "cross_validation")
class ReturnsAList(Tags):
    def predict_proba(self, X):
        proba = super().predict_proba(X)
        return list(proba.T) if self._is_multilabel else proba


@caught_by("classes", "scorers")
class ClassesAreAnArray(Tags):
    def _label_classes(self, n_labels):
        return np.arange(n_labels)

    def predict_proba(self, X):
        return super().predict_proba(X)[:, ::-1]

    decision_function = None


@caught_by("score")
class ScoresEachLabel(Tags):
    def score(self, X, y, sample_weight=None):
        return float((self.predict(X) == y).mean())


@caught_by("containers")
class ForgetsTheContainer(Tags):
    def predict(self, X):
        labels = super().predict(X)
        return labels.toarray() if issparse(labels) else labels


@caught_by("weight_two_is_row_twice")
class IgnoresWeights(Tags):
    def _given(self, weights):
        return np.ones_like(weights)


@caught_by("missing_refused")
class FillsMissing(Tags):
    def _find(self, y, n_texts):
        y = np.where(np.asarray(y != y) | (y == None), 0, y)  # noqa: E711
        return super()._find(y, n_texts)


@caught_by("refit_forgets")
class KeepsTheContainer(Tags):
    def fit(self, X, y, sample_weight=None, **validation):
        if find_matrix(y, len(X)) is not None:
            self.was_matrix_ = True
        was = vars(self).get("was_matrix_")
        super().fit(X, y, sample_weight, **validation)
        if was:
            self.was_matrix_ = True
        return self


@pytest.mark.parametrize(
    ("broken", "name"), BUGS, ids=[f"{broken.__name__}-{name}" for broken, name in BUGS]
)
def test_planted_bug_is_caught(broken, name):
    with pytest.raises((AssertionError, ValueError, TypeError, AttributeError)):
        multilabel_checks(broken())[name](broken())


def test_every_check_of_several_labels_catches_a_planted_bug():
    assert set(multilabel_checks(Tags())) == {name for _, name in BUGS}
