"""Pairs of texts in the estimators that fine-tune: fit, predict, save, explain."""

import copy
import pickle
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
import test_families
import tiny
import torch
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.model_selection import GridSearchCV, cross_val_predict, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from test_families import FAMILIES

from sklearn_attnft import (
    AttentionFineTuneClassifier,
    AttentionFineTuneRegressor,
    MultiTaskClassifier,
    TransformerFeatureExtractor,
    _hf,
)
from sklearn_attnft._fit import _frozen_states
from sklearn_attnft._fit._lm_stage import _content
from sklearn_attnft._model._encoding import window_keys
from sklearn_attnft._runtime._device import Machine
from sklearn_attnft._runtime._predict import predict
from sklearn_attnft.displays import AttentionDisplay

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

QUESTIONS = [f"how was the {w}" for w in ("day", "night", "dog", "cat", "ride", "fish")]
ANSWERS = [f"it was {w}" for w in ("good", "awful", "lovely", "bad", "funny", "poor")]
X = [(question, answer) for question in QUESTIONS for answer in ANSWERS]
Y = ["glad", "cross"] * 18  # the answer decides
FRAME = pd.DataFrame(X, columns=["question", "answer"])
NEW = [*X[:3], ("", ""), ("", "so " * 90), ("so " * 40, "bad " * 50), ("[SEP]", "ß")]
TASKS = {"mood": Y, "long": [len(q) > 16 for q, _ in X]}


@pytest.fixture
def clf(small):
    return AttentionFineTuneClassifier(**small)


@pytest.fixture
def fitted(clf):
    return clf.fit(X, Y)


def estimators(small, **params):
    """Return fitted estimators of each kind."""
    small = {**small, "max_epochs": 1, **params}
    clf = AttentionFineTuneClassifier(**small)
    numbers = np.arange(36.0)
    return [
        clone(clf).fit(FRAME, Y),
        AttentionFineTuneRegressor(**small).fit(X, numbers),
        MultiTaskClassifier(clf).fit(X, TASKS),
    ]


def test_both_texts_decide(fitted):
    assert fitted.score(X, Y) > 0.9
    swapped = [(answer, question) for question, answer in X]
    assert (fitted.predict_proba(swapped) != fitted.predict_proba(X)).all()
    assert fitted.n_texts_in_ == 2
    assert not hasattr(fitted, "feature_names_in_")


def test_containers_give_the_same(clf, fitted):
    expected = fitted.predict_proba(X)
    for held in (np.array(X), np.array(X, dtype=object), FRAME, pl.DataFrame(FRAME)):
        other = clone(clf).fit(held, Y)
        np.testing.assert_array_equal(other.predict_proba(held), expected)
        np.testing.assert_array_equal(fitted.predict_proba(held), expected)


def test_the_columns_of_a_frame_are_those_of_fit(clf):
    clf.fit(FRAME, Y)
    assert clf.feature_names_in_.tolist() == ["question", "answer"]
    with pytest.raises(ValueError, match="must have the same columns as in fit"):
        clf.predict(FRAME[["answer", "question"]])
    with pytest.raises(ValueError, match="`X_val` must have the same columns as"):
        clf.fit(FRAME, Y, X_val=FRAME[["answer", "question"]], y_val=Y)
    clf.fit(FRAME["answer"], Y)
    assert clf.n_texts_in_ == 1
    assert not hasattr(clf, "feature_names_in_")


def test_another_number_of_texts_than_in_fit_is_refused(fitted, small):
    single = AttentionFineTuneClassifier(**small).fit(ANSWERS, Y[:6])
    for method in ("predict", "transform", "explain", "faithfulness", "score_samples"):
        with pytest.raises(ValueError, match="must have two texts for each sample"):
            getattr(fitted, method)(ANSWERS)
        with pytest.raises(ValueError, match="must have one text for each sample"):
            getattr(single, method)(FRAME)
    with pytest.raises(ValueError, match="`X_val` must have two texts"):
        fitted.fit(X, Y, X_val=ANSWERS, y_val=Y[:6])


LABELED = [
    (
        FRAME.assign(question=Y),
        [{"glad": 0, "cross": 1}.get(label, label) for label in Y],
        r"labels in X\['question'\].* names for the classes of `y`.*X\['answer'\]",
    ),
    (FRAME.assign(question=Y), Y, r"in X\['question'\].* equal `y`.*X\['answer'\]"),
    (FRAME.assign(answer=["0", "1"] * 18), [0, 1] * 18, r"labels in X\['answer'\]"),
    (list(zip(Y, ANSWERS * 6, strict=True)), np.array(Y), r"labels in \[row\[0\]"),
    (np.array([ANSWERS * 6, ["True", "False"] * 18]).T, [True, False] * 18, ":, 1"),
]


@pytest.mark.parametrize(("texts", "y", "message"), LABELED)
def test_a_column_that_equals_y_is_refused(texts, y, message, clf, small):
    with pytest.raises(ValueError, match=message):
        clf.fit(texts, y)
    multi = MultiTaskClassifier(AttentionFineTuneClassifier(**small))
    some = np.array([*y[:-4], *[None] * 4], dtype=object)
    with pytest.raises(ValueError, match=message.replace("`y`", r"y\['task'\]")):
        multi.fit(texts, {"task": some, "other": TASKS["long"]})


def test_a_column_may_match_the_classes_of_few_texts(clf):
    texts = FRAME[:4].assign(question=["food", "food", "staff", "staff"])
    with pytest.warns(UserWarning, match=r"X\['question'\] has 2 different values"):
        clf.fit(texts, ["good", "good", "bad", "bad"])


@pytest.mark.parametrize("numbers", [np.arange(36), np.linspace(0, 9, 36)])
def test_a_column_that_equals_numbers_is_refused(numbers, small):
    reg = AttentionFineTuneRegressor(**small)
    texts = FRAME.assign(question=[str(number) for number in numbers])
    for y in (numbers, np.array([numbers[::-1], numbers]).T):
        with pytest.raises(ValueError, match=r"X\['question'\].* equal `y`"):
            reg.fit(texts, y)


def test_a_column_with_few_values_warns(clf):
    kinds = FRAME.assign(question=["news", "sport", "news"] * 12)
    with pytest.warns(UserWarning, match=r"X\['question'\] has 2 different values"):
        clf.fit(kinds, Y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        clf.fit(kinds.assign(question=["news", "sport", "art"] * 12), Y)


def test_the_extractor_encodes_each_column_by_itself(small):
    extractor = TransformerFeatureExtractor(tiny.ENCODER, max_length=32)
    for texts in (X, np.array(X), FRAME, pl.DataFrame(FRAME)):
        with pytest.raises(
            (ValueError, TypeError), match="ncode each column by itself"
        ):
            extractor.fit(texts)
    both = ColumnTransformer([(c, clone(extractor), c) for c in FRAME])
    assert both.fit_transform(FRAME).shape == (36, 2 * tiny.HIDDEN_SIZE)


@pytest.mark.parametrize("family", ["bert", *FAMILIES])
def test_the_encoder_reads_pairs_as_in_transformers(family, tmp_path):
    from transformers import AutoModel, AutoTokenizer

    directory = test_families.save(family, tmp_path, AutoModel)
    extractor = TransformerFeatureExtractor(
        directory, max_length=32, layers="last", precision="float32"
    ).fit(ANSWERS)
    texts = [("good day", "a bad dog"), ("", "so sad"), ("how", "")]
    inputs = {"tokenizer": extractor._tokenizer, "machine": Machine.of(extractor)}
    found = predict(extractor.module_, texts, output="contexts", **inputs)
    tokenizer = AutoTokenizer.from_pretrained(directory)
    model = AutoModel.from_pretrained(directory).eval()
    options = {"return_tensors": "pt", "return_token_type_ids": True}
    for row, (first, second) in zip(found, texts, strict=True):
        # In lists, because the tokenizer reads an empty second text as none.
        read = dict(tokenizer([first], [second], **options))
        if not getattr(model.config, "type_vocab_size", 0) > 1:
            read.pop("token_type_ids", None)
        with torch.no_grad():
            last = model(**read).last_hidden_state
        np.testing.assert_allclose(row, last[0].mean(dim=0), atol=1e-5)


def test_identical_pairs_are_encoded_once(fitted):
    n_rows = []
    block = _hf.encoder_blocks(fitted.module_.encoder)[0]
    block.register_forward_hook(lambda _, args, output: n_rows.append(len(args[0])))
    fitted.predict([X[0], X[1], X[0], X[1], ("it", "was"), ("it was", "")])
    assert sum(n_rows) == 4


def test_a_pair_never_has_the_key_of_another_text(tiny_encoder):
    ids = torch.tensor([[2, 5, 3, 6, 3]] * 3)
    mask = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 2, 2], [1, 1, 1, 2, 0]])
    keys = window_keys(ids, mask)
    assert len(set(keys)) == 3
    assert keys[0] == ids[0].numpy().tobytes()
    texts = [["ab", "c"], [("ab", "c")], [("a", "bc")], ["abc"], [("", "abc")]]
    assert len({_content(each, 0) for each in texts}) == 5


@pytest.mark.parametrize("long_texts", ["truncate", "window"])
def test_cached_hidden_states(long_texts, small, cache, no_stores):
    params = {**small, "trainable_layers": 0, "long_texts": long_texts}
    plain = AttentionFineTuneClassifier(**params).fit(X, Y)
    cached = AttentionFineTuneClassifier(**params, cache=cache).fit(X, Y)
    expected = plain.predict_proba(NEW)
    for _ in range(2):
        np.testing.assert_allclose(cached.predict_proba(NEW), expected, atol=1e-5)
    assert cached.cache_info().hits > 0
    joined = AttentionFineTuneClassifier(**params, cache=cache)
    joined.fit([" ".join(pair) for pair in X], Y)
    assert joined.cache_info().misses == len(X)


def test_frozen_blocks_run_once(small, monkeypatch):
    params = {**small, "trainable_layers": 1}
    kept = AttentionFineTuneClassifier(**params).fit(X, Y).predict_proba(X)
    monkeypatch.setattr(_frozen_states, "storage_limit", lambda: 0)
    plain = AttentionFineTuneClassifier(**params).fit(X, Y).predict_proba(X)
    np.testing.assert_allclose(kept, plain, atol=1e-4)


@pytest.mark.parametrize(
    "params",
    [
        {"lm_epochs": 1},
        {"lm_weight": 0.5},
        {"contrastive_epochs": 1},
        {"early_stopping": True, "validation_fraction": 0.2},
        {"class_weight": "balanced", "head": "lstm", "long_texts": "window"},
        {"micro_batch_size": 3, "pooling": "concat"},
    ],
    ids=str,
)
def test_all_stages_read_pairs(params, small):
    clf = AttentionFineTuneClassifier(**{**small, **params})
    assert clf.fit(X, Y).score(X, Y) > 0.5
    assert (clone(clf).fit(X, Y).predict_proba(X) == clf.predict_proba(X)).all()
    assert clf.estimate_fit(X, Y).seconds > 0


@pytest.mark.parametrize("unlabeled", [X[:9], ANSWERS, FRAME])
@pytest.mark.parametrize("texts", [X, [answer for _, answer in X]])
def test_unlabeled_texts_are_single_or_pairs(unlabeled, texts, small, no_stores):
    clf = AttentionFineTuneClassifier(**small, lm_epochs=1, cache="memory")
    clf.fit(texts, Y, X_unlabeled=unlabeled)
    other = clone(clf).fit(texts, Y, X_unlabeled=unlabeled)  # from the cache
    np.testing.assert_array_equal(other.predict_proba(texts), clf.predict_proba(texts))
    assert clf.history_[0]["stage"] == "language model"


def test_label_texts_are_refused(small):
    clf = AttentionFineTuneClassifier(**small, label_texts="classes")
    with pytest.raises(
        ValueError, match="`label_texts` must be None if each sample is"
    ):
        clf.fit(X, Y)


def test_long_pairs(small):
    long = [("so " * 40, "good"), ("bad", "so " * 50), ("so " * 41, "no " * 40)] * 4
    y = ["a", "b", "b"] * 4
    clf = AttentionFineTuneClassifier(**small)
    with pytest.warns(UserWarning, match="Up to 100% of the texts are longer than"):
        clf.fit(long, y)
    assert clf.truncated_fraction_ == 1.0
    clf.set_params(long_texts="window")
    with pytest.warns(
        UserWarning,
        match="The middle of the shorter text is removed in up to 34% of the pairs",
    ):
        clf.fit(long, y)
    assert clf.truncated_fraction_ == pytest.approx(1 / 3)
    clf.set_params(max_length=4)
    with pytest.raises(
        ValueError, match="`max_length` must be at least 5 to read pairs"
    ):
        clf.fit(X, Y)


def test_pipelines_and_searches(clf):
    pipeline = make_pipeline(FunctionTransformer(), clf)
    clf.set_params(max_epochs=1)
    grid = {"attentionfinetuneclassifier__pooling": ["mean", "attention"]}
    for texts in (X, FRAME, np.array(X, dtype=object), pl.DataFrame(FRAME)):
        search = GridSearchCV(pipeline, grid, cv=2, error_score="raise").fit(texts, Y)
        assert search.predict(texts).shape == (36,)
    train, test, y_train, _ = train_test_split(X, Y, random_state=0)
    assert len(clf.fit(train, y_train).predict(test)) == 9
    assert cross_val_predict(clf, X, Y, cv=2).shape == (36,)


@pytest.mark.parametrize("pickle_weights", ["full", "delta"])
def test_saving_and_pickling(pickle_weights, small, tmp_path):
    for estimator in estimators(small, pickle_weights=pickle_weights):
        path = estimator.save(tmp_path / type(estimator).__name__)
        expected = estimator.transform(NEW)
        for other in (
            pickle.loads(pickle.dumps(estimator)),
            copy.deepcopy(estimator),
            type(estimator).load(path),
        ):
            np.testing.assert_array_equal(other.transform(NEW), expected)
            assert other.n_texts_in_ == 2
            with pytest.raises(ValueError, match="must have two texts"):
                other.predict(ANSWERS)
        if hasattr(estimator, "feature_names_in_"):
            assert other.feature_names_in_.tolist() == ["question", "answer"]
    view = estimator.task("mood")
    assert view.n_texts_in_ == 2
    expected = estimator.predict_proba(X)[0]
    np.testing.assert_array_equal(view.predict_proba(X), expected)


def test_an_estimator_of_an_earlier_version_takes_single_texts(small):
    old = AttentionFineTuneClassifier(**small).fit(ANSWERS, Y[:6])
    expected = old.predict_proba(ANSWERS)
    del old.n_texts_in_
    loaded = pickle.loads(pickle.dumps(old))
    np.testing.assert_array_equal(loaded.predict_proba(ANSWERS), expected)
    with pytest.raises(ValueError, match="must have one text"):
        loaded.predict(X)


@pytest.mark.parametrize("words", [False, True])
@pytest.mark.parametrize("long_texts", ["truncate", "window"])
def test_explanations_point_into_the_texts(words, long_texts, small):
    clf = AttentionFineTuneClassifier(**small, long_texts=long_texts).fit(X, Y)
    table = clf.explain(NEW, attribution="gradient", words=words)
    for row in table.itertuples():
        text = NEW[row.sample][row.text]
        assert text[row.start : row.end] == row.token
        assert row.token.strip()
    sides = table.groupby("sample")["text"].unique().map(list).to_dict()
    assert sides == {0: [0, 1], 1: [0, 1], 2: [0, 1], 4: [1], 5: [0, 1], 6: [0, 1]}
    total = table.groupby("sample")["token_attention"].sum()
    special = table.groupby("sample")["special_attention"].first()
    np.testing.assert_allclose(total + special, 1.0, atol=1e-5)


def test_attributions_of_both_texts_sum_to_the_logit(small):
    clf = AttentionFineTuneClassifier(**small).fit(X, Y)
    table = clf.explain(X[:4], attribution="integrated_gradients", target="glad")
    sums = table.groupby("sample")["attribution"].sum().to_numpy()
    mask = [tuple(" ".join(["[MASK]"] * len(t.split())) for t in p) for p in X[:4]]
    n_words = [len(" ".join(pair).split()) for pair in mask]
    n_rows = table.groupby("sample").size().tolist()
    assert [row >= n for row, n in zip(n_rows, n_words, strict=True)] == [True] * 4
    assert np.abs(sums).max() > 1e-3


def test_faithfulness_of_pairs(fitted):
    scores = fitted.faithfulness(X[:3], attribution="gradient", random_state=0)
    assert sorted(set(scores["ranking"])) == ["attention", "gradient", "random"]
    assert np.isfinite(scores["comprehensiveness"]).all()
    again = fitted.faithfulness(X[:3], attribution="gradient", random_state=0)
    pd.testing.assert_frame_equal(scores, again)


def test_the_display_shows_both_texts(fitted):
    display = AttentionDisplay.from_estimator(fitted, X[:2], attribution="gradient")
    html = display.to_html()
    for word in ("day", "good", "awful"):
        assert f">{word}</span>" in html
    display.plot()
