"""The checks work for estimators of scikit-learn and find defects in them."""

import copy
import re
import unittest
import warnings
from pathlib import Path

import numpy as np
import pytest
import tiny
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin, clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.cluster import KMeans
from sklearn.decomposition import NMF, PCA, LatentDirichletAllocation, TruncatedSVD
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import (
    RandomForestClassifier,
    StackingClassifier,
    VotingClassifier,
)
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
from test_multilabel_checks import Tags
from test_multioutput_checks import Columns
from test_regressor_checks import Counts
from versions import needs_stateless_hashing

from sklearn_attnft import TransformerFeatureExtractor
from sklearn_attnft.estimator_checks import (
    check_text_estimator,
    parametrize_with_text_checks,
    text_checks,
)


class Lengths(TransformerMixin, BaseEstimator):
    """A transformer without parameters and feature names, which returns int."""

    def fit(self, X, y=None):
        self.n_features_ = self._counts(X).shape[1]
        return self

    def _counts(self, X):
        if isinstance(X, str):
            raise ValueError("X must be a collection of str, got one str.")
        return np.array([[len(text.lower()), text.count(" ")] for text in X])

    def transform(self, X):
        check_is_fitted(self)
        return self._counts(X)

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


def lengths(X):
    return np.array([[len(text)] for text in X], dtype=float)


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
    "function": FunctionTransformer(lengths),
    "union": make_union(TfidfVectorizer(), HashingVectorizer(n_features=8)),
    "stateless union": make_union(HashingVectorizer(n_features=8)),
    "stateless last step": make_pipeline(
        TfidfVectorizer(), FunctionTransformer(to_dense)
    ),
    "nmf": make_pipeline(TfidfVectorizer(), NMF(2, tol=1e-8, max_iter=2000)),
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
    "stacking": StackingClassifier([("a", WORDS), ("b", clone(WORDS))], cv=2),
    "threshold": FixedThresholdClassifier(WORDS, threshold=0.4),
    "lambda": make_pipeline(
        TfidfVectorizer(preprocessor=lambda text: text), LogisticRegression()
    ),
}
NO_NAMES = dict.fromkeys(
    ("check_feature_names_out", "check_feature_union", "check_column_transformer"),
    "The class needs n_features_in_, which fits on texts do not set.",
)
THRESHOLD = "The threshold is not 0.5, so fewer predictions are correct."
LAMBDA = "A lambda cannot be pickled."
NOT_EXACT = "NMF computes transform up to a tolerance."
EXPECTED = {
    "nmf": {
        "check_fit_transform": NOT_EXACT,
        "check_feature_union": NOT_EXACT,
        "check_column_transformer": NOT_EXACT,
    },
    "voting": NO_NAMES,
    "stacking": NO_NAMES,
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


STATELESS = [name for name in FOREIGN if "hashing" in repr(FOREIGN[name]).lower()]


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=needs_stateless_hashing if name in STATELESS else ())
        for name in FOREIGN
    ],
)
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


class Step(TransformerMixin, BaseEstimator):
    """A step that returns its input, without tags."""

    def fit(self, X, y=None):
        self.n_samples_ = len(X)
        return self

    def transform(self, X):
        return X


class Centers(Step):
    """The output of a text depends on the other texts of the batch."""

    def transform(self, X):
        return X - X.mean(axis=0)


class Strips(Step):
    """Changes the texts of the caller."""

    def fit(self, X, y=None):
        for i, text in enumerate(X):
            X[i] = text.upper()
        return super().fit(X, y)


class CloneKeepsWords(TfidfVectorizer):
    def __sklearn_clone__(self):
        return copy.deepcopy(self)


class PickleLosesIdf(TfidfVectorizer):
    def __setstate__(self, state):
        super().__setstate__(state)
        if hasattr(self, "_tfidf") and hasattr(self._tfidf, "idf_"):
            self._tfidf.idf_ = np.ones_like(self._tfidf.idf_)


class Swallows(CountVectorizer):
    def fit_transform(self, X, y=None):
        try:
            return super().fit_transform(X, y)
        except KeyboardInterrupt:
            return super().fit_transform(["a word"] * 16, y)


class FitTransformOffByMore(TfidfVectorizer):
    def fit_transform(self, X, y=None):
        return super().fit_transform(X, y) * (1 + 1e-12)


class IgnoresWeights(Wrapper):
    def __init__(self):
        pass

    def fit(self, X, y, sample_weight=None):
        self.vectorizer, self.classifier = TfidfVectorizer(), LogisticRegression()
        return super().fit(X, y)


def to_list(X):
    return list(X)


def to_str(X):
    return [str(text) for text in X]


def fill_missing(X):
    return ["" if isinstance(text, float) or text is None else text for text in X]


def with_classifier(*steps):
    return make_pipeline(*steps, LogisticRegression())


LISTS = with_classifier(FunctionTransformer(to_list), TfidfVectorizer())
STRS = with_classifier(FunctionTransformer(to_str), TfidfVectorizer())
FILLED = with_classifier(FunctionTransformer(fill_missing), TfidfVectorizer())
DENSE = FunctionTransformer(to_dense)
CENTERED = with_classifier(TfidfVectorizer(), DENSE, Centers())
PLANTED = {
    # Outputs depend on the batch.
    "check_subset_invariance": [
        CENTERED,
        with_classifier(NormalizesOverTheBatch()),
        make_pipeline(TfidfVectorizer(), DENSE, Centers()),
        GridSearchCV(CENTERED, GRID, cv=2),
        OneVsRestClassifier(CENTERED),
    ],
    # The texts of the caller are changed.
    "check_arguments_are_not_changed": [
        with_classifier(Strips(), TfidfVectorizer()),
        OneVsRestClassifier(with_classifier(Strips(), TfidfVectorizer())),
    ],
    # Clones and pickles differ from the original.
    "check_clone_of_fitted_is_unfitted": [
        CloneKeepsWords(),
        with_classifier(CloneKeepsWords()),
        make_union(CloneKeepsWords(), TfidfVectorizer()),
    ],
    "check_pickle": [
        PickleLosesIdf(),
        with_classifier(PickleLosesIdf()),
        GridSearchCV(with_classifier(PickleLosesIdf()), GRID, cv=2),
    ],
    "check_deepcopy": [with_classifier(PickleLosesIdf())],
    # Invalid texts are accepted.
    "check_bare_str_refused": [LISTS, GridSearchCV(STRS, GRID, cv=2)],
    "check_none_refused": [
        STRS,
        FILLED,
        with_classifier(TfidfVectorizer(preprocessor=str)),
        with_classifier(DoesNotNameX()),
        make_pipeline(make_pipeline(DoesNotNameX(), PCA(2)), Ridge()),
        GridSearchCV(STRS, GRID, cv=2),
    ],
    "check_nan_refused": [FILLED],
    "check_numbers_refused": [STRS],
    "check_one_number_refused": [HashingVectorizer(preprocessor=str)],
    # Others.
    "check_interrupt_in_data": [Swallows(), with_classifier(Swallows())],
    "check_fit_transform": [FitTransformOffByMore()],
    "check_weights_matter": [IgnoresWeights()],
}


@pytest.mark.parametrize(
    ("name", "broken"),
    [(name, broken) for name, several in PLANTED.items() for broken in several],
)
def test_planted_bugs_are_found(name, broken):
    check = {check.__name__: check for _, check in text_checks(broken)}[name]
    with pytest.raises(AssertionError):
        check(broken)


def lower(X):
    return [text.lower() for text in X]


def split(X):
    return [text.split() for text in X]


@pytest.mark.parametrize("function", [lower, split, to_list])
@pytest.mark.parametrize("alone", [True, False])
def test_transformers_of_texts_fail_with_a_clear_message(function, alone):
    step = FunctionTransformer(function)
    step = step if alone else make_pipeline(step, "passthrough")
    failures = {}
    for result in check_text_estimator(step, on_fail=None):
        if result["status"] == "failed":
            failures[result["check_name"]] = result["exception"]
    assert len(failures) > 20
    for name, error in failures.items():
        if not name.endswith("_refused"):
            assert isinstance(error, AssertionError), name
            assert "expected numbers" in str(error), name


def test_transformers_of_texts_pass_before_a_vectorizer():
    names = ("check_bare_str_refused", "check_nested_lists_refused")
    expected = dict.fromkeys(names, "The step takes any iterable.")
    step = FunctionTransformer(lower)
    for pipeline in (
        make_pipeline(step, TfidfVectorizer()),
        with_classifier(step, TfidfVectorizer()),
    ):
        check_text_estimator(pipeline, expected_failed_checks=expected)


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
    with pytest.raises(TypeError, match="must be a function that takes"):
        parametrize_with_text_checks([WORDS], expected_failed_checks={})
    with pytest.raises(ValueError, match="`mark` must be"):
        next(text_checks(WORDS, mark="fail"))
    with pytest.raises(TypeError, match="got an instance of str"):
        check_text_estimator("passthrough")


class DoesNotDeclareOneDimension:
    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.one_d_array = False
        return tags


class PlainWords(DoesNotDeclareOneDimension, Words):
    pass


class PlainBayes(DoesNotDeclareOneDimension, Bayes):
    pass


class PlainColumns(DoesNotDeclareOneDimension, Columns):
    pass


class PlainTags(DoesNotDeclareOneDimension, Tags):
    pass


class PlainCounts(DoesNotDeclareOneDimension, Counts):
    pass


def names_of(estimator):
    return {check.__name__ for _, check in text_checks(estimator)}


def test_the_guide_names_the_checks_that_are_skipped():
    skipped = names_of(Words()) - names_of(PlainWords())
    skipped |= names_of(Bayes()) - names_of(PlainBayes())
    skipped |= names_of(Tags()) - names_of(PlainTags())
    skipped |= names_of(Counts()) - names_of(PlainCounts())
    skipped |= {
        name
        for name in names_of(Columns(Bayes())) - names_of(PlainColumns(PlainBayes()))
        if not name.startswith(("check_weight", "check_routing"))
    }
    text = (Path(__file__).parents[2] / "docs/guide/checks.md").read_text()
    rows = re.findall(r"^\| (`check_.*?) \| skipped(?: \(1\))? \|", text, re.MULTILINE)
    named = {name for row in rows for name in re.findall(r"check_\w+", row)}
    assert skipped - {"check_tags_say_text"} == named


def test_an_estimator_that_declares_text_skips_nothing():
    for good in (Words(), Bayes(), Counts(), Columns(Bayes())):
        results = check_text_estimator(good)
        assert {result["status"] for result in results} == {"passed"}
