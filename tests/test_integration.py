"""The estimators in the pipelines, searches and ensembles of scikit-learn."""

import numpy as np
import pytest
import sklearn
import tiny
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import StackingClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer

from sklearn_attnft import AttentionFineTuneClassifier, TransformerFeatureExtractor

X = ["good day", "bad dog", "lovely night", "awful rain", "fine man", "sad cat"] * 4
Y = ["good", "bad"] * 12


def upper(texts):
    return [text.upper() for text in texts]


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_grid_search_works_over_a_pipeline(n_jobs, small):
    grid = {"clf__learning_rate": [1e-3, 2e-3], "clf__pooling": ["attention", "max"]}
    clf = AttentionFineTuneClassifier(**{**small, "max_epochs": 8})
    search = GridSearchCV(
        Pipeline([("clf", clf)]),
        grid,
        n_jobs=n_jobs,
        cv=2,
        error_score="raise",
    )
    search.fit(X, Y)
    assert search.score(X, Y) == 1.0
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


def test_metadata_routing_passes_validation_data_through_a_pipeline(small):
    seen = []

    class Spy(AttentionFineTuneClassifier):
        def fit(self, X, y, sample_weight=None, X_val=None, y_val=None):
            seen.append(X_val)
            return super().fit(X, y, sample_weight, X_val=X_val, y_val=y_val)

    with sklearn.config_context(enable_metadata_routing=True):
        clf = Spy(**small, early_stopping=True)
        clf.set_fit_request(X_val=True, y_val=True, sample_weight=True)
        clf.set_score_request(sample_weight=True)
        pipeline = Pipeline(
            [("upper", FunctionTransformer(upper)), ("clf", clf)],
            transform_input=["X_val"],
        )
        search = GridSearchCV(pipeline, {"clf__dropout": [0.0, 0.2]}, cv=2)
        weights = np.ones(len(X))
        search.fit(X, Y, sample_weight=weights, X_val=X[:6], y_val=Y[:6])
    # The first step transformed the validation texts.
    assert all(list(texts) == list(upper(X[:6])) for texts in seen)
    assert len(seen) == 5
    history = search.best_estimator_["clf"].history_
    best = max(row["valid_accuracy"] for row in history)
    assert best == search.score(X[:6], Y[:6])


def test_a_search_slices_arguments_that_are_as_long_as_the_texts(small):
    # The docstring of fit warns about this behavior of scikit-learn.
    lengths = []

    class Spy(AttentionFineTuneClassifier):
        def fit(self, X, y, X_val=None, y_val=None, X_unlabeled=None):
            lengths.append((len(X_val), len(X_unlabeled)))
            return super().fit(X, y, X_val=X_val, y_val=y_val, X_unlabeled=X_unlabeled)

    clf = Spy(**small | {"max_epochs": 1}, lm_weight=0.1)
    search = GridSearchCV(clf, {"dropout": [0.0]}, cv=2, refit=False)
    search.fit(X, Y, X_val=X, y_val=Y, X_unlabeled=X)
    assert lengths == [(12, 12)] * 2


def test_a_fitted_classifier_can_be_calibrated(small):
    clf = AttentionFineTuneClassifier(**small).fit(X, Y)
    calibrated = CalibratedClassifierCV(FrozenEstimator(clf)).fit(X, Y)
    assert calibrated.score(X, Y) == 1.0


def test_the_classifier_can_be_stacked_with_tfidf(small):
    stack = StackingClassifier(
        [
            ("attention", AttentionFineTuneClassifier(**small)),
            ("tfidf", make_pipeline(TfidfVectorizer(), LogisticRegression())),
        ],
        cv=2,
    )
    assert stack.fit(X, Y).score(X, Y) == 1.0


def test_a_pipeline_can_classify_the_context_vectors(small):
    clf = AttentionFineTuneClassifier(**small)
    model = make_pipeline(clf, LogisticRegression()).fit(X, Y)
    assert model.score(X, Y) == 1.0


def test_grid_search_works_over_the_extractor():
    pipeline = Pipeline(
        [
            ("features", TransformerFeatureExtractor(tiny.ENCODER, max_length=32)),
            ("clf", LogisticRegression()),
        ]
    )
    grid = {"features__pooling": ["mean", "cls"], "clf__C": [1.0, 10.0]}
    scores = cross_validate(GridSearchCV(pipeline, grid, cv=2), X, Y, cv=2)
    assert scores["test_score"].mean() > 0.6
