"""The estimators in the pipelines, searches and ensembles of scikit-learn."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
import sklearn
import tiny
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import (
    AdaBoostClassifier,
    BaggingClassifier,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.feature_selection import RFE, SelectFromModel, SequentialFeatureSelector
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    FixedThresholdClassifier,
    GridSearchCV,
    KFold,
    StratifiedKFold,
    TunedThresholdClassifierCV,
    cross_val_score,
    cross_validate,
)
from sklearn.multiclass import (
    OneVsOneClassifier,
    OneVsRestClassifier,
    OutputCodeClassifier,
)
from sklearn.multioutput import ClassifierChain, MultiOutputClassifier
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.semi_supervised import SelfTrainingClassifier
from versions import needs_score_routing

from sklearn_attnft import (
    AttentionFineTuneClassifier,
    MultiTaskClassifier,
    TransformerFeatureExtractor,
)

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


@needs_score_routing
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


PAGE = Path(__file__).parents[1] / "docs" / "guide" / "with_other_tools.md"
PAGE = PAGE.read_text(encoding="utf-8")
SHAPES = {"list": list, "Series": pd.Series, "one-column frame": None}
BINARY = np.array([1, 0] * 12)
SEVERAL = np.arange(24) % 3


def meta_estimators(clf):
    """Return a meta-estimator and labels for each row of the table in the guide."""
    two = [("a", clf), ("b", clone(clf).set_params(random_state=1))]
    extractor = TransformerFeatureExtractor(tiny.ENCODER, max_length=32)
    features = [("text", extractor)]
    columns = [("text", extractor, "text")]
    y = BINARY
    return {
        "Pipeline": (Pipeline([("clf", clf)]), y),
        "FeatureUnion": (FeatureUnion(features), y),
        "ColumnTransformer": (ColumnTransformer(columns), y),
        "GridSearchCV": (GridSearchCV(clf, {"dropout": [0.0]}, cv=2), y),
        "CalibratedClassifierCV": (CalibratedClassifierCV(clf, cv=2), y),
        "FrozenEstimator": (FrozenEstimator(clone(clf).fit(X, y)), y),
        "VotingClassifier": (VotingClassifier(two, voting="soft"), y),
        "StackingClassifier": (StackingClassifier(two, cv=2), y),
        "BaggingClassifier": (BaggingClassifier(clf, 2, random_state=0), y),
        "AdaBoostClassifier": (AdaBoostClassifier(clf, n_estimators=2), y),
        "OneVsRestClassifier": (OneVsRestClassifier(clf), SEVERAL),
        "OneVsOneClassifier": (OneVsOneClassifier(clf), SEVERAL),
        "OutputCodeClassifier": (OutputCodeClassifier(clf, random_state=1), SEVERAL),
        "MultiOutputClassifier": (MultiOutputClassifier(clf), np.c_[y, y[::-1]]),
        "ClassifierChain": (ClassifierChain(clf), np.c_[y, y[::-1]]),
        "SelfTrainingClassifier": (
            SelfTrainingClassifier(clf),
            np.where(np.arange(24) < 16, y, -1),
        ),
        "TunedThresholdClassifierCV": (TunedThresholdClassifierCV(clf, cv=2), y),
        "FixedThresholdClassifier": (FixedThresholdClassifier(clf), y),
        "RFE": (RFE(clf), y),
        "SelectFromModel": (SelectFromModel(clf), y),
        "SequentialFeatureSelector": (SequentialFeatureSelector(clf, cv=2), y),
    }


def in_shape(shape, texts=X):
    return SHAPES[shape](texts) if SHAPES[shape] else pd.DataFrame({"text": texts})


def takes(model, y, texts):
    """Return "yes" if a meta-estimator fits and predicts, otherwise "no"."""
    try:
        model.fit(texts, y)
        output = (model.predict if hasattr(model, "predict") else model.transform)(
            texts
        )
    except (IndexError, TypeError, ValueError):
        return "no"
    return "yes" if len(output) == len(X) else "no"


ROWS = {
    row[0]: row[1:]
    for row in re.findall(
        r"^\| `(\w+)` \| (\w+) \| (\w+) \| (\w+) \|", PAGE, flags=re.MULTILINE
    )
}


@pytest.mark.parametrize("name", ROWS)
def test_the_table_of_meta_estimators_is_measured(name, small):
    table = meta_estimators(AttentionFineTuneClassifier(**small))
    assert list(table) == list(ROWS)
    measured = tuple(takes(*table[name], in_shape(shape)) for shape in SHAPES)
    assert measured == ROWS[name]


def test_stacking_cannot_pass_texts_through(small):
    two = [("attention", AttentionFineTuneClassifier(**small))]
    model = StackingClassifier(two, cv=2, passthrough=True)
    assert {takes(model, BINARY, in_shape(shape)) for shape in SHAPES} == {"no"}


def test_examples_of_tools_that_are_not_installed_are_valid_code():
    blocks = re.findall(r"```py\n(.*?)```", PAGE, flags=re.DOTALL)
    assert len(blocks) == 6
    for block in blocks:
        compile(block, "with_other_tools.md", "exec")


EMPTY = [
    [],
    (),
    np.array([]),
    np.empty((0, 1), dtype=object),
    pd.Series([], dtype="str"),
    pd.DataFrame({"text": pd.Series([], dtype="str")}),
    pl.Series([], dtype=pl.String),
]


@pytest.mark.parametrize("empty", EMPTY, ids=lambda empty: type(empty).__name__)
def test_no_texts_are_a_value_error(empty, small):
    classifier = AttentionFineTuneClassifier(**small)
    fitted = [
        (classifier.fit(X, Y), []),
        (MultiTaskClassifier(classifier).fit(X, {"a": Y, "b": Y}), {"a": [], "b": []}),
        (TransformerFeatureExtractor(tiny.ENCODER, max_length=32).fit(X), None),
    ]
    methods = "predict predict_proba predict_log_proba decision_function transform"
    for estimator, y in fitted:
        calls = dict.fromkeys([*methods.split(), "explain", "faithfulness"], ())
        calls |= {"fit": ()} if y is None else {"score": (y,), "fit": (y,)}
        for name, arguments in calls.items():
            if hasattr(estimator, name):
                with pytest.raises(ValueError, match=r"`X` must .* \(0 samples\)"):
                    getattr(estimator, name)(empty, *arguments)


def test_a_fold_with_one_class_is_named(small):
    clf = AttentionFineTuneClassifier(**small | {"max_epochs": 1})
    y = np.sort(Y)
    advice = r"a part of the texts.* cv=StratifiedKFold\(5, shuffle=True\)"
    with pytest.raises(ValueError, match=advice):
        cross_val_score(clf, X, y, cv=KFold(2), error_score="raise")
    splitter = StratifiedKFold(5, shuffle=True, random_state=0)
    assert np.isfinite(cross_val_score(clf, X, y, cv=splitter)).all()
    several = MultiTaskClassifier(clf)
    with pytest.raises(ValueError, match=r"part of the texts.* cv=KFold\(5, shuffle"):
        cross_val_score(several, X, np.c_[y, Y], cv=KFold(2), error_score="raise")
    cv = KFold(5, shuffle=True, random_state=0)
    assert np.isfinite(cross_val_score(several, X, np.c_[y, Y], cv=cv)).all()
