"""The checks work for estimators of scikit-learn and find defects in them."""

import unittest
import warnings

import numpy as np
import pytest
import tiny
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin, clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA, LatentDirichletAllocation, TruncatedSVD
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import RandomForestClassifier, VotingClassifier
from sklearn.exceptions import EstimatorCheckFailedWarning, SkipTestWarning
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.feature_extraction.text import (
    CountVectorizer,
    HashingVectorizer,
    TfidfTransformer,
    TfidfVectorizer,
)
from sklearn.linear_model import LogisticRegression, Ridge, SGDClassifier
from sklearn.model_selection import (
    FixedThresholdClassifier,
    GridSearchCV,
    HalvingGridSearchCV,
)
from sklearn.multiclass import OneVsRestClassifier
from sklearn.multioutput import MultiOutputClassifier, MultiOutputRegressor
from sklearn.naive_bayes import ComplementNB
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import FunctionTransformer, KBinsDiscretizer
from sklearn.utils.validation import check_is_fitted
from test_estimator_checks import Bayes, DoesNotNameX, NormalizesOverTheBatch, Words

from sklearn_attnft import TransformerFeatureExtractor
from sklearn_attnft.estimator_checks import (
    check_text_estimator,
    parametrize_with_text_checks,
    text_checks,
)


class Lengths(TransformerMixin, BaseEstimator):
    """A transformer without parameters and feature names, which returns int."""

    def fit(self, X, y=None):
        self.n_texts_ = len(X)
        return self

    def transform(self, X):
        check_is_fitted(self)
        return np.array([[len(text), text.count(" ")] for text in X])

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.two_d_array = False
        return tags


class Wrapper(ClassifierMixin, BaseEstimator):
    """A vectorizer and a classifier in one estimator, without tags and scores."""

    def __init__(self, vectorizer, classifier):
        self.vectorizer = vectorizer
        self.classifier = classifier

    def fit(self, X, y):
        self.vectorizer_ = clone(self.vectorizer)
        self.classifier_ = clone(self.classifier)
        self.classifier_.fit(self.vectorizer_.fit_transform(X), y)
        self.classes_ = self.classifier_.classes_
        return self

    def predict(self, X):
        check_is_fitted(self)
        return self.classifier_.predict(self.vectorizer_.transform(X))


def to_dense(X):
    return X.toarray()


WORDS = make_pipeline(TfidfVectorizer(), LogisticRegression())
GRID = {"logisticregression__C": [0.1, 1.0]}
EXTRACTOR = TransformerFeatureExtractor(tiny.ENCODER, max_length=32)
SEVERAL = make_pipeline(TfidfVectorizer(), MultiOutputClassifier(LogisticRegression()))
FOREIGN = {
    "tfidf": TfidfVectorizer(),
    "counts": CountVectorizer(),
    "hashing": HashingVectorizer(n_features=64),
    "lengths": Lengths(),
    "union": make_union(TfidfVectorizer(), HashingVectorizer(n_features=8)),
    "stateless union": make_union(HashingVectorizer(n_features=8)),
    "stateless last step": make_pipeline(
        TfidfVectorizer(), FunctionTransformer(to_dense)
    ),
    "svd": make_pipeline(TfidfVectorizer(), TruncatedSVD(2)),
    "extractor and pca": make_pipeline(EXTRACTOR, PCA(2)),
    "extractor and words": make_union(EXTRACTOR, TfidfVectorizer()),
    "extractor and classifier": make_pipeline(
        EXTRACTOR, LogisticRegression(C=100, max_iter=2000)
    ),
    "words": WORDS,
    "passthrough": make_pipeline("passthrough", *clone(WORDS)),
    "nested": make_pipeline(
        make_pipeline(CountVectorizer(), TfidfTransformer()), SGDClassifier()
    ),
    "bayes": make_pipeline(CountVectorizer(), ComplementNB()),
    "dummy": make_pipeline(TfidfVectorizer(), DummyClassifier()),
    "trees": make_pipeline(
        CountVectorizer(), RandomForestClassifier(5, bootstrap=False)
    ),
    "one versus rest": OneVsRestClassifier(WORDS),
    "wrapper": Wrapper(TfidfVectorizer(), LogisticRegression()),
    "search": GridSearchCV(WORDS, GRID, cv=2),
    "search with scoring": GridSearchCV(WORDS, GRID, scoring="neg_log_loss", cv=2),
    "search without refit": GridSearchCV(WORDS, GRID, cv=2, refit=False),
    "search as last step": make_pipeline(
        TfidfVectorizer(), GridSearchCV(LogisticRegression(), {"C": [0.1, 1]}, cv=2)
    ),
    "search of a transformer": GridSearchCV(
        make_pipeline(CountVectorizer(), LatentDirichletAllocation(2)),
        {"latentdirichletallocation__max_iter": [1, 2]},
        cv=2,
    ),
    "halving": HalvingGridSearchCV(WORDS, GRID, cv=2, min_resources=8),
    "calibrated": CalibratedClassifierCV(WORDS, cv=2),
    "several outputs": SEVERAL,
    "search of several outputs": GridSearchCV(
        SEVERAL, {"multioutputclassifier__estimator__C": [1, 10]}, cv=2
    ),
    "regressor": make_pipeline(TfidfVectorizer(), Ridge()),
    "regressors": make_pipeline(TfidfVectorizer(), MultiOutputRegressor(Ridge())),
    "clusters": make_pipeline(TfidfVectorizer(), KMeans(2)),
    "voting": VotingClassifier([("a", WORDS), ("b", clone(WORDS))]),
    "threshold": FixedThresholdClassifier(WORDS, threshold=0.4),
    "lambda": make_pipeline(
        TfidfVectorizer(preprocessor=lambda text: text), LogisticRegression()
    ),
}
NO_NAMES = "VotingClassifier needs n_features_in_, which fits on texts do not set."
THRESHOLD = "The threshold is not 0.5, so fewer predictions are correct."
LAMBDA = "A lambda cannot be pickled."
EXPECTED = {
    "voting": {
        "check_feature_names_out": NO_NAMES,
        "check_feature_union": NO_NAMES,
        "check_column_transformer": NO_NAMES,
    },
    "threshold": {
        "check_predict_is_argmax": THRESHOLD,
        "check_decision_function": THRESHOLD,
        "check_learns": THRESHOLD,
    },
    "lambda": {
        "check_pickle": LAMBDA,
        "check_joblib": LAMBDA,
        "check_pickle_unfitted": LAMBDA,
    },
}


@pytest.mark.parametrize("name", FOREIGN)
def test_foreign_estimators_have_the_expected_failures_only(name):
    expected = EXPECTED.get(name, {})
    results = check_text_estimator(FOREIGN[name], expected_failed_checks=expected)
    failed = {each["check_name"] for each in results if each["status"] == "xfail"}
    assert failed == set(expected)
    assert len(results) > 45


@parametrize_with_text_checks(
    [FOREIGN["voting"]], expected_failed_checks=lambda estimator: EXPECTED["voting"]
)
def test_expected_failures_are_marked(estimator, check):
    check(estimator)


@pytest.mark.parametrize(
    ("broken", "name"),
    [
        (
            make_pipeline(NormalizesOverTheBatch(), LogisticRegression()),
            "check_subset_invariance",
        ),
        (make_pipeline(DoesNotNameX(), LogisticRegression()), "check_none_refused"),
        (
            make_pipeline(make_pipeline(DoesNotNameX(), PCA(2)), Ridge()),
            "check_none_refused",
        ),
        (
            GridSearchCV(
                make_pipeline(NormalizesOverTheBatch(), LogisticRegression()),
                GRID,
                cv=2,
            ),
            "check_subset_invariance",
        ),
    ],
)
def test_defects_of_steps_are_found(broken, name):
    check = {check.__name__: check for _, check in text_checks(broken)}[name]
    with pytest.raises(AssertionError):
        check(broken)


class FitsItsParameter(Wrapper):
    def fit(self, X, y):
        super().fit(X, y)
        self.vectorizer.fit(X)
        return self


def test_an_estimator_that_fits_its_parameter_is_found():
    with pytest.raises(AssertionError, match="check_fit_keeps_parameters"):
        check_text_estimator(FitsItsParameter(TfidfVectorizer(), LogisticRegression()))


class DeclaresNoText(Words):
    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.string = False
        return tags


def test_missing_tags_are_found():
    with pytest.raises(AssertionError, match="check_tags_say_text"):
        check_text_estimator(DeclaresNoText())


class TwoClassesOnly(Bayes):
    def _classes(self, y):
        if len(np.unique(y)) > 2:
            raise ValueError("y must have two classes.")
        return super()._classes(y)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_class = False
        return tags


def test_a_classifier_of_two_classes_passes():
    check_text_estimator(TwoClassesOnly())


def test_results_are_those_of_scikit_learn():
    seen = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", EstimatorCheckFailedWarning)
        results = check_text_estimator(
            FOREIGN["lambda"],
            expected_failed_checks={"check_pickle": LAMBDA, "check_of_others": "..."},
            on_fail="warn",
            callback=lambda **result: seen.append(result),
        )
    assert seen == results
    warned = [w.message.check_name for w in caught]
    assert warned == ["check_pickle", "check_joblib", "check_pickle_unfitted"]
    status = {each["check_name"]: each["status"] for each in results}
    assert status["check_pickle"] == "xfail"
    assert status["check_joblib"] == "failed"
    assert status["check_deepcopy"] == "passed"
    reasons = {r["check_name"]: r["expected_to_fail_reason"] for r in results}
    assert reasons["check_pickle"] == LAMBDA
    assert check_text_estimator(FOREIGN["lambda"], on_fail=None)


def test_a_check_that_cannot_run_is_skipped():
    discretizer = KBinsDiscretizer(2, strategy="uniform")
    sparse = make_pipeline(Words(), discretizer)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", SkipTestWarning)
        results = check_text_estimator(sparse)
    assert {each["status"] for each in results} == {"passed", "skipped"}
    said = "\n".join(str(w.message) for w in caught)
    assert "Skipping check_set_output_pandas for Pipeline" in said
    check_text_estimator(sparse, on_skip=None)


def test_marks_of_text_checks():
    expected = {"check_pickle": LAMBDA}
    pipeline = FOREIGN["lambda"]
    plain = list(text_checks(pipeline, expected_failed_checks=expected))
    assert plain == list(text_checks(pipeline))
    skipping = text_checks(pipeline, expected_failed_checks=expected, mark="skip")
    check = {check.__name__: check for _, check in skipping}["check_pickle"]
    with pytest.raises(unittest.SkipTest, match=LAMBDA):
        check(pipeline)
    marked = text_checks(
        pipeline, expected_failed_checks=expected, mark="xfail", xfail_strict=True
    )
    (mark,) = [mark for pair in marked for mark in getattr(pair, "marks", ())]
    assert mark.name == "xfail"
    assert mark.kwargs == {"reason": LAMBDA, "strict": True}


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"expected_failed_checks": ["check_pickle"]}, TypeError, "must be a dict"),
        ({"on_fail": "log"}, ValueError, "`on_fail` must be"),
        ({"on_skip": "raise"}, ValueError, "`on_skip` must be"),
        ({"callback": print}, ValueError, "`callback` must be None"),
    ],
)
def test_wrong_options_are_refused(options, error, match):
    with pytest.raises(error, match=match):
        check_text_estimator(WORDS, **options)


def test_wrong_arguments_are_refused():
    with pytest.raises(TypeError, match="must be a function of an estimator"):
        parametrize_with_text_checks([WORDS], expected_failed_checks={})
    with pytest.raises(ValueError, match="`mark` must be"):
        next(text_checks(WORDS, mark="fail"))
    with pytest.raises(TypeError, match="got an instance of str"):
        check_text_estimator("passthrough")
