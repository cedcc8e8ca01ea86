"""The estimators pass our checks for text estimators and those of scikit-learn."""

import re
from pathlib import Path

import numpy as np
import pytest
import tiny
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.exceptions import SkipTestWarning
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils import get_tags
from sklearn.utils.estimator_checks import estimator_checks_generator
from sklearn.utils.validation import check_is_fitted

from sklearn_attnft import (
    AttentionFineTuneClassifier,
    AttentionFineTuneRegressor,
    MultiTaskClassifier,
    TransformerFeatureExtractor,
    estimator_checks,
)
from sklearn_attnft._data import _validation as package_validation
from sklearn_attnft._data._labels import check_labels
from sklearn_attnft._data._validation import check_texts
from sklearn_attnft.estimator_checks import (
    check_text_estimator,
    parametrize_with_text_checks,
    text_checks,
)
from sklearn_attnft.estimator_checks._data import RAGGED, corpus

SMALL = {
    "encoder": tiny.ENCODER,
    "max_length": 32,
    "max_epochs": 2,
    "batch_size": 8,
    "learning_rate": 1e-3,
    "head_learning_rate": 1e-2,
}
CLASSIFIERS = [
    # The random blocks are not informative, so both are trained.
    AttentionFineTuneClassifier(**SMALL, trainable_layers="blocks"),
    AttentionFineTuneClassifier(
        **SMALL,
        long_texts="window",
        layers=[0, -1],
        pooling="concat",
        head="lstm",
        trainable_layers=1,
        encoder_dropout=0.1,
        class_weight="balanced",
    ),
    AttentionFineTuneClassifier(  # random hidden states need other rates
        **{**SMALL, "head_learning_rate": 1e-1},
        dropout=0.1,
        trainable_layers=0,
        cache="memory",
    ),
]
EXTRACTORS = [
    TransformerFeatureExtractor(tiny.ENCODER, max_length=32),
    TransformerFeatureExtractor(
        tiny.ENCODER, max_length=32, long_texts="window", layers="all", pooling="concat"
    ),
    TransformerFeatureExtractor(tiny.ENCODER, max_length=32, cache="memory"),
]
REGRESSORS = [
    AttentionFineTuneRegressor(**SMALL, trainable_layers="blocks"),
    AttentionFineTuneRegressor(
        **{**SMALL, "head_learning_rate": 1e-3},
        loss="huber",
        dropout=0.1,
        trainable_layers=0,
        long_texts="window",
        cache="memory",
    ),
]
MULTITASK = MultiTaskClassifier(CLASSIFIERS[0])


@parametrize_with_text_checks([*CLASSIFIERS, *EXTRACTORS, *REGRESSORS, MULTITASK])
def test_estimators_pass_the_text_checks(estimator, check):
    if check.__name__ == "check_save_load" and getattr(estimator, "cache", None):
        # A loaded estimator has no cache. Its batches and rounding errors differ.
        estimator = clone(estimator).set_params(cache=None)
    check(estimator)


# For text estimators, scikit-learn's generator yields only the check of cloning and
# warns that it skips the others.
@pytest.mark.parametrize(
    "estimator",
    [CLASSIFIERS[0], EXTRACTORS[0], REGRESSORS[0], MULTITASK],
    ids=lambda e: type(e).__name__,
)
def test_estimators_pass_the_one_official_check(estimator):
    with pytest.warns(SkipTestWarning, match="requires input"):
        pairs = list(estimator_checks_generator(estimator))
    assert [check.func.__name__ for _, check in pairs] == ["check_estimator_cloneable"]
    for each, check in pairs:
        check(each)


@pytest.mark.parametrize(
    ("estimator", "at_least"),
    [
        (CLASSIFIERS[0], 120),
        (EXTRACTORS[0], 65),
        (REGRESSORS[0], 110),
        (MULTITASK, 110),
    ],
    ids=lambda value: type(value).__name__,
)
def test_many_checks_apply_to_each_estimator(estimator, at_least):
    names = [check.__name__ for _, check in text_checks(estimator)]
    assert len(names) == len(set(names))
    assert len(names) >= at_least
    assert all(name.startswith("check_") for name in names)


def test_classifier_checks_do_not_apply_to_the_extractor():
    names = {check.__name__ for _, check in text_checks(EXTRACTORS[0])}
    assert "check_set_output_pandas" in names
    assert not names & {"check_predict_proba", "check_weights_list", "check_learns"}


class LinearWordsClassifier(ClassifierMixin, BaseEstimator):
    """TF-IDF and logistic regression with the validation of a text estimator.

    Inverse document frequencies are off and the sum of the weights is fixed. Therefore
    a row of weight 2 acts like two rows, and the scale of the weights has no effect.
    """

    def __init__(self, C=1.0, class_weight=None):
        self.C = C
        self.class_weight = class_weight

    def fit(self, X, y, sample_weight=None):
        texts, y = check_texts(X), check_labels(y, len(check_texts(X)))
        weights = check_weights(sample_weight, len(texts))
        if len(np.unique(y[weights > 0])) < 2:
            raise ValueError("y must have at least two classes, got one class.")
        texts = [text for text, weight in zip(texts, weights, strict=True) if weight]
        y, weights = y[weights > 0], weights[weights > 0]
        words = TfidfVectorizer(use_idf=False, token_pattern=r"\w+")
        model = LogisticRegression(
            C=self.C, class_weight=self.class_weight, tol=1e-8
        ).fit(words.fit_transform(texts), y, weights * 100)
        self.words_, self.model_, self.classes_ = words, model, model.classes_
        return self

    def _words(self, X):
        check_is_fitted(self)
        return self.words_.transform(check_texts(X))

    def predict(self, X):
        words = self._words(X)
        return self.model_.predict(words)

    def predict_proba(self, X):
        words = self._words(X)
        return self.model_.predict_proba(words)

    def predict_log_proba(self, X):
        words = self._words(X)
        return self.model_.predict_log_proba(words)

    def decision_function(self, X):
        words = self._words(X)
        return self.model_.decision_function(words)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.one_d_array = True
        tags.input_tags.two_d_array = False
        tags.input_tags.string = True
        return tags


def check_weights(sample_weight, n_texts):
    """Return weights that sum to 1."""
    weights = package_validation.check_weights(sample_weight, n_texts)
    return weights / weights.sum()


def test_checks_accept_an_estimator_outside_the_package():
    check_text_estimator(LinearWordsClassifier())
    names = {check.__name__ for _, check in text_checks(LinearWordsClassifier())}
    assert {"check_weights_matter", "check_grid_search", "check_learns"} <= names
    assert not names & {"check_n_iter", "check_transform_shape"}


def to_str(X):
    return [str(text) for text in X]


def test_a_faulty_pipeline_fails_and_the_message_names_the_check():
    plain = make_pipeline(TfidfVectorizer(), LogisticRegression())
    assert len(list(text_checks(plain))) > 60
    check_text_estimator(plain)
    # It takes a str as a collection of texts, and None as the text "None".
    faulty = make_pipeline(FunctionTransformer(to_str), *clone(plain))
    with pytest.raises(AssertionError, match="Pipeline fails check_bare_str_refused"):
        check_text_estimator(faulty)
    results = check_text_estimator(faulty, on_fail=None)
    failed = {each["check_name"] for each in results if each["status"] == "failed"}
    assert {"check_bare_str_refused", "check_none_refused"} <= failed
    assert all(name.endswith("_refused") for name in failed)


def test_the_tags_declare_one_dimensional_text():
    for estimator in (CLASSIFIERS[0], EXTRACTORS[0], REGRESSORS[0], MULTITASK):
        tags = get_tags(estimator).input_tags
        assert tags.string
        assert tags.one_d_array


def test_checks_refuse_a_class():
    with pytest.raises(TypeError, match="got the class LinearWordsClassifier"):
        check_text_estimator(LinearWordsClassifier)


def test_checks_import_no_other_module_of_the_package():
    other = re.compile(r"^\s*(from \.\.|(from|import) sklearn_attnft)", re.MULTILINE)
    files = list(Path(estimator_checks.__file__).parent.glob("*.py"))
    assert len(files) > 10
    assert not [file.name for file in files if other.search(file.read_text())]


def test_every_check_states_its_rule_in_its_first_line():
    for estimator in (CLASSIFIERS[0], EXTRACTORS[0], REGRESSORS[0], MULTITASK):
        for _, check in text_checks(estimator):
            if check.__module__.startswith("sklearn_attnft"):
                assert check.__doc__.partition("\n")[0].endswith("."), check.__name__


def test_the_corpus_uses_words_of_the_tiny_vocabulary_only():
    texts = [*corpus(CLASSIFIERS[0], n_classes=3)[0], *RAGGED]
    assert {word for text in texts for word in text.split()} <= set(tiny.WORDS)
