"""Test the explanations of a classifier and their faithfulness."""

import functools
import pickle
import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import tiny
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from test_families import FAMILIES, save

from sklearn_attnft import (
    AttentionFineTuneClassifier,
    AttentionFineTuneRegressor,
    MultiTaskClassifier,
)
from sklearn_attnft._explain._faithfulness import PERCENTAGES
from sklearn_attnft._hf import TextTokenizer
from sklearn_attnft._model._encoding import run_encoder
from sklearn_attnft._model._pooling import POOLINGS

X = ["good day", "bad dog", "lovely night", "awful rain", "fine man", "sad cat"] * 4
Y = ["good", "bad"] * 12
TEXTS = ["A good, lovely bird's day!", "", "bad rain " * 20, "xyz \ud800 İstanbul"]
METHODS = ["gradient", "integrated_gradients"]
# Characters that tokenizers change, drop, split or merge.
CHARACTERS = "ab İßéﬁ½한😀\u0301\u0323\u200d\u2581\ud800\x00\n\t\u00a0.,"
ANY_TEXT = st.text(st.one_of(st.characters(), st.sampled_from(CHARACTERS)))


@functools.cache
def fitted(**parameters):
    small = {
        "max_length": 32,
        "trainable_layers": "blocks",
        "batch_size": 8,
        "learning_rate": 1e-3,
        "head_learning_rate": 5e-2,
        "random_state": 0,
        "precision": "float32",
    }
    clf = AttentionFineTuneClassifier(tiny.ENCODER, **{**small, **parameters})
    return clf.fit(X, Y)


@functools.cache
def tokenizers():
    """Return tokenizers of several kinds, trained on a few words."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

    words = ["a good day bad dog", "İstanbul, ﬁne été 한국 😀 don't"] * 5
    letters = pre_tokenizers.ByteLevel.alphabet()
    made = {}
    for prefix, trim, normal in [
        (False, True, normalizers.NFC()),
        (True, False, normalizers.NFKC()),
    ]:
        made[f"bytes, {prefix}"] = each = Tokenizer(models.BPE())
        each.normalizer = normal
        each.pre_tokenizer = pre_tokenizers.ByteLevel(prefix, trim_offsets=trim)
        trainer = trainers.BpeTrainer(
            vocab_size=300, initial_alphabet=letters, show_progress=False
        )
        each.train_from_iterator(words, trainer)
    lower = [normalizers.NFKD(), normalizers.StripAccents(), normalizers.Lowercase()]
    for normal in [normalizers.NFKC(), normalizers.Sequence(lower)]:
        made[f"sentencepiece, {normal}"] = each = Tokenizer(models.Unigram())
        each.normalizer = normal
        each.pre_tokenizer = pre_tokenizers.Metaspace()
        trainer = trainers.UnigramTrainer(
            vocab_size=60, unk_token="?", special_tokens=["?"], show_progress=False
        )
        each.train_from_iterator(words, trainer)
    made["no words"] = each = Tokenizer(models.BPE(byte_fallback=True, unk_token="?"))
    each.normalizer = normalizers.Sequence(
        [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
    )
    every_byte = [f"<0x{i:02X}>" for i in range(256)]
    trainer = trainers.BpeTrainer(
        vocab_size=330, special_tokens=["?", *every_byte], show_progress=False
    )
    each.train_from_iterator(words, trainer)
    settings = {"max_length": 32, "long_texts": "truncate", "config": {}}
    wrapped = {
        name: TextTokenizer(each.to_str(), pad_id=0, mask_id=None, **settings)
        for name, each in made.items()
    }
    return {**wrapped, "words": fitted()._tokenizer}


@given(st.lists(ANY_TEXT, max_size=3))
@example(["", " ", "İ\ud800\ud83d\ude00"])
def test_spans_of_tokens_are_in_the_order_of_the_text(texts):
    for name, tokenizer in tokenizers().items():
        all_spans, bodies = tokenizer.spans(texts), tokenizer.encode(texts)
        for text, spans, body in zip(texts, all_spans, bodies, strict=True):
            assert spans.shape == (len(body), 2), name
            start, end = spans.T
            assert (start < end).all(), name
            assert (start >= 0).all(), name
            assert (end <= len(text)).all(), name
            assert (np.diff(start) >= 0).all(), name
            assert (np.diff(end) >= 0).all(), name
            for token in (text[a:b] for a, b in spans.tolist()):
                assert token in (token.strip(), text) or not token.strip(), name


@given(st.text(" \tabdgoyn,", max_size=30))
@example("a good  day")
def test_words_end_at_spaces(text):
    for name, tokenizer in tokenizers().items():
        (words,), (spans,) = tokenizer.words([text]), tokenizer.spans([text])
        assert set(np.diff(words)) <= {0, 1}, name
        for (a, b), step in zip(pairwise(spans.tolist()), np.diff(words), strict=True):
            there = text[slice(*a)].strip() and text[slice(*b)].strip()
            if there and " " in text[a[1] : b[0]]:
                assert step == 1, name
            if text[slice(*a)].isalpha() and text[slice(*b)].isalpha():
                assert step == (a[1] < b[0]), name


@given(st.text("今天กันあア", max_size=9))
@example("今天天气")
def test_without_spaces_each_token_is_a_word(text):
    for name, tokenizer in tokenizers().items():
        for whole in (text, f"good {text}", f"{text}good"):
            (words,), (spans,) = tokenizer.words([whole]), tokenizer.spans([whole])
            for (a, b), step in zip(
                pairwise(spans.tolist()), np.diff(words), strict=True
            ):
                pair = whole[slice(*a)], whole[slice(*b)]
                # Bytes of a character are pieces of a word, as are letters of "good".
                is_latin = pair[0].isascii() and pair[1].isascii()
                if a[1] <= b[0] and not is_latin:
                    assert step == 1, name
                if a == b:
                    assert step == 0, name


@given(
    st.lists(ANY_TEXT, min_size=1, max_size=4),
    st.sampled_from(["truncate", "window"]),
    st.booleans(),
)
def test_rows_quote_the_text_and_attention_sums_to_one(texts, long_texts, words):
    clf = fitted(long_texts=long_texts, max_length=8)
    rows = clf.explain(texts, attribution="gradient", words=words)
    assert (rows["sample"].diff().dropna() >= 0).all()
    for i, of_text in rows.groupby("sample"):
        spans = of_text[["token", "start", "end"]].itertuples(index=False)
        assert all(token == texts[i][start:end] for token, start, end in spans)
        assert (of_text["start"].diff().dropna() >= 0).all()
        assert of_text["special_attention"].nunique() == 1
        total = of_text["token_attention"].sum() + of_text["special_attention"].iloc[0]
        np.testing.assert_allclose(total, 1, rtol=1e-5)
    assert np.isfinite(rows["attribution"]).all()


@pytest.mark.parametrize("head", ["linear", "lstm"])
@pytest.mark.parametrize("pooling", POOLINGS)
def test_token_attention_equals_the_weights_of_the_pooling(pooling, head):
    clf = fitted(pooling=pooling, head=head)
    text = "a good , lovely day"
    ids = torch.tensor([[2, *clf._tokenizer.encode([text])[0], 3]])
    mask = torch.ones_like(ids)
    module = clf.module_
    task = module.tasks[0]
    with torch.no_grad():
        tokens = task.mix(module.encode(ids, mask))
        if head == "lstm":
            tokens, _ = task.recur(tokens, mask.bool())
        tokens = tokens[0]
        parts = {
            "mean": torch.full((7,), 1 / 7),
            "cls": torch.eye(7)[0],
            "max": (tokens == tokens.amax(0)).float().mean(1),
        }
        if pooling == "attention":
            scores = torch.tanh(task.pool.project(tokens)) @ task.pool.query
            expected = torch.softmax(scores, dim=0)
        else:
            parts["concat"] = sum(parts.values()) / 3
            expected = parts[pooling]
    rows = clf.explain([text, "bad " * 20])[lambda rows: rows["sample"] == 0]
    assert rows["token"].tolist() == text.split()
    np.testing.assert_allclose(rows["token_attention"], expected[1:-1], atol=1e-6)
    special = float(expected[0] + expected[-1])
    np.testing.assert_allclose(rows["special_attention"], special, atol=1e-6)


def test_layer_attention_equals_the_weights_of_the_layers():
    clf = fitted(layers=(2, 0))
    weights = clf.module_.tasks[0].mix.scores.detach().numpy()
    expected = np.exp(weights) / np.exp(weights).sum()
    np.testing.assert_allclose(clf.layer_attention_, expected, rtol=1e-6)
    assert clf.layer_attention_.sum() == pytest.approx(1)
    assert len(set(clf.layer_attention_)) == 2  # they were learned
    assert fitted().layer_attention_.shape == (3,)
    assert not hasattr(clone(clf), "layer_attention_")


def test_truncated_tokens_have_no_rows_and_windows_are_summed():
    text = "a all am and are at awful bad be best big bird"
    numbers = fitted().explain([text])["start"].tolist()
    cut = fitted(max_length=8).explain([text])
    assert cut["start"].tolist() == numbers[:3] + numbers[-3:]
    mean = fitted(max_length=8, long_texts="window", pooling="mean")
    rows = mean.explain([text])  # windows start at 0, 5, 10; each has 2 special tokens
    assert rows["start"].tolist() == numbers

    windows = [range(0, 6), range(5, 11), range(10, 12)]
    seen = np.bincount(np.concatenate(windows)) / sum(len(w) + 2 for w in windows)
    np.testing.assert_allclose(rows["token_attention"], seen, rtol=1e-6)


def test_pieces_are_joined_to_words():
    clf, text = fitted(), "goodly birds,dogs"
    pieces = clf.explain([text], attribution="gradient")
    words = clf.explain([text], attribution="gradient", words=True)
    assert words["token"].tolist() == ["goodly", "birds", ",", "dogs"]
    assert len(pieces) > len(words)
    for column in ("token_attention", "attribution"):
        assert words[column].sum() == pytest.approx(pieces[column].sum())
    of_word = pieces["start"] < len("goodly")
    expected = pieces["token_attention"][of_word].sum()
    assert words["token_attention"][0] == pytest.approx(expected)
    # A word whose middle is truncated has two rows, one for each end.
    ends = fitted(max_length=8).explain(["x" * 40], words=True)
    assert ends["token"].tolist() == ["xxx", "xxx"]


def logits_of(clf, bodies):
    """Return the logits of texts of token ids, each read alone."""
    rows = [torch.tensor([[2, *body, 3]]) for body in bodies]
    with torch.no_grad():
        return np.concatenate([clf.module_(i, torch.ones_like(i)) for i in rows])


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"head": "lstm", "head_learning_rate": 1e-2},
        {"head": "mlp", "pooling": "mean"},
        {"layers": "last"},
    ],
    ids=str,
)
def test_integrated_gradients_are_complete(parameters):
    clf = fitted(**parameters)
    texts = ["a good, lovely bird", "bad dog", "the night was awful."]
    rows = clf.explain(texts, attribution="integrated_gradients", target="good")
    bodies = clf._tokenizer.encode(texts)
    baselines = [np.full_like(body, clf._tokenizer.mask_id) for body in bodies]
    rise = logits_of(clf, bodies)[:, 1] - logits_of(clf, baselines)[:, 1]
    sums = rows.groupby("sample")["attribution"].sum()
    np.testing.assert_allclose(sums, rise, atol=1e-4)
    assert np.abs(rise).max() > 0.02


@pytest.mark.parametrize("family", FAMILIES)
def test_each_family_reads_embeddings(family, tmp_path):
    from transformers import AutoModel

    encoder = save(family, tmp_path, AutoModel)
    clf = AttentionFineTuneClassifier(
        encoder, max_length=8, max_epochs=1, trainable_layers=0, long_texts="window"
    ).fit(X, Y)
    texts = [text for text in TEXTS if text]
    rows = clf.explain(texts, attribution="integrated_gradients", target="bad")
    batch = torch.tensor([[2, 9, 10, 3], [2, 8, 3, 0]])
    mask = (batch != 0).long()
    with torch.no_grad():
        model = clf.module_
        by_ids = model.encode(batch, mask)
        embedded = {"inputs_embeds": model.embed(batch)}
        by_embeddings = run_encoder(model.encoder, mask, model.layers, **embedded)
    for a, b in zip(by_ids, by_embeddings, strict=True):
        torch.testing.assert_close(a[mask.bool()], b[mask.bool()])
    assert np.isfinite(rows["attribution"]).all()


@pytest.mark.parametrize("method", METHODS)
def test_attributions_equal_those_of_captum(method):
    import captum.attr

    clf, text = fitted(), "a good, lovely bird"
    ids = torch.tensor([[2, *clf._tokenizer.encode([text])[0], 3]])
    mask = torch.ones_like(ids)
    blank = torch.full_like(ids, clf._tokenizer.mask_id)
    blank[0, [0, -1]] = ids[0, [0, -1]]

    def forward(embeddings):
        model, embedded = clf.module_, {"inputs_embeds": embeddings}
        states = run_encoder(model.encoder, mask, model.layers, **embedded)
        return model.logits(model.mix_states(states), mask)

    point = clf.module_.embed(ids).detach().requires_grad_()
    if method == "gradient":
        expected = captum.attr.InputXGradient(forward).attribute(point, target=0)
    else:
        expected = captum.attr.IntegratedGradients(forward).attribute(
            point,
            clf.module_.embed(blank).detach(),
            target=0,
            n_steps=64,
            internal_batch_size=1,
        )
    rows = clf.explain([text], attribution=method, target="bad")
    expected = expected.sum(dim=2)[0, 1:-1].detach().numpy()
    np.testing.assert_allclose(rows["attribution"], expected, atol=1e-5)


@pytest.mark.parametrize("method", METHODS)
def test_the_predicted_class_is_explained(method):
    clf, texts = fitted(), X[:4]
    rows = clf.explain(texts, attribution=method)
    for i, label in enumerate(clf.predict(texts)):
        alone = clf.explain(texts[i : i + 1], attribution=method, target=label)
        found = rows["attribution"][rows["sample"] == i]
        np.testing.assert_allclose(found, alone["attribution"], atol=1e-5)
    rng = np.random.default_rng(0)
    numbers = clone(clf).fit(X, rng.permutation([3, 7, -2] * 8))
    assert len(numbers.explain(["good day"], attribution=method, target=7)) == 2


def alone(estimator, targets, **kwargs):
    """Return the explanations of TEXTS, each computed alone with its own target."""
    rows = [
        estimator.explain([text], target=target, **kwargs).assign(sample=i)
        for i, (text, target) in enumerate(zip(TEXTS, targets, strict=True))
    ]
    return pd.concat(rows, ignore_index=True)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "container", [list, tuple, np.array, pd.Series, pd.Categorical, pl.Series, pa.array]
)
def test_each_text_has_its_own_target(container, method):
    clf, targets = fitted(long_texts="window", max_length=12), ["good", "bad"] * 2
    kwargs = {"attribution": method, "words": True}
    rows = clf.explain(TEXTS, target=container(targets), **kwargs)
    expected = alone(clf, targets, **kwargs)
    pd.testing.assert_frame_equal(rows, expected, rtol=0, atol=1e-5)
    other = clf.explain(TEXTS, target="bad", **kwargs)["attribution"]
    is_bad = rows["sample"] % 2 == 1
    differs = ~np.isclose(rows["attribution"], other, atol=1e-5)
    np.testing.assert_array_equal(differs, ~is_bad)


def test_targets_may_be_numbers_tags_and_labels_of_a_task():
    kwargs = {"attribution": "gradient"}
    numbers = clone(fitted()).fit(X, [3, 7, -2] * 8)
    tags = clone(fitted()).fit(X, pd.DataFrame({"a": [1, 0] * 12, "b": [1, 1, 0] * 8}))
    y = {"tone": Y, "kind": [{"animal"}, set(), {"time", "day"}, {"day"}] * 6}
    tasks = MultiTaskClassifier(fitted()).fit(X, y)
    cases = [
        (numbers, np.array([7, -2, 3, 7])),
        (tags, ["a", "b", "b", "a"]),
        (tasks.task("tone"), pd.Series(["bad", "bad", "good", "bad"])),
        (tasks.task("kind"), ["day", "time", "animal", "day"]),
    ]
    for estimator, targets in cases:
        rows = estimator.explain(TEXTS, target=targets, **kwargs)
        expected = alone(estimator, targets, **kwargs)
        pd.testing.assert_frame_equal(rows, expected, rtol=1e-4, atol=1e-5)


def test_targets_of_a_regressor_have_their_own_units():
    y = np.column_stack([np.arange(24), 100.0 * np.arange(24)[::-1]])
    parameters = {**fitted(max_epochs=1).get_params(), "class_weight": None}
    names = AttentionFineTuneRegressor().get_params()
    small = {name: parameters[name] for name in names if name in parameters}
    model = AttentionFineTuneRegressor(**small).fit(X, y)
    kwargs = {"attribution": "integrated_gradients"}
    rows = model.explain(TEXTS, target=[1, 0, 0, 1], **kwargs)
    expected = alone(model, [1, 0, 0, 1], **kwargs)
    pd.testing.assert_frame_equal(rows, expected, rtol=1e-4, atol=1e-4)
    scale = rows.groupby("sample")["attribution"].apply(lambda v: v.abs().max())
    assert scale[3] > 10 * scale[2]
    with pytest.raises(ValueError, match=r"got 2 at position 1. Use one of .0, 1."):
        model.explain(TEXTS, target=[1, 2, 0, 1], **kwargs)
    with pytest.raises(ValueError, match="several columns, got None"):
        model.explain(TEXTS, **kwargs)


@pytest.mark.parametrize("words", [False, True])
@pytest.mark.parametrize("long_texts", ["truncate", "window"])
@pytest.mark.parametrize("head", ["linear", "lstm"])
def test_a_text_alone_has_the_same_explanation(head, long_texts, words):
    clf = fitted(head=head, long_texts=long_texts, max_length=12)
    kwargs = {"attribution": "gradient", "words": words}
    together = clf.explain(TEXTS, **kwargs)
    alone = [
        clf.explain([text], **kwargs).assign(sample=i) for i, text in enumerate(TEXTS)
    ]
    pd.testing.assert_frame_equal(
        together, pd.concat(alone, ignore_index=True), rtol=0, atol=1e-5
    )


def test_explanations_do_not_change_the_module():
    clf = fitted(head="lstm")
    before = {
        n: (p.requires_grad, p.clone()) for n, p in clf.module_.named_parameters()
    }
    assert any(is_trainable for is_trainable, _ in before.values())
    state = np.random.get_state()[1].copy(), torch.get_rng_state()
    for method in METHODS:
        clf.explain(TEXTS, attribution=method)
    clf.faithfulness(TEXTS, attribution=METHODS)
    for name, parameter in clf.module_.named_parameters():
        assert parameter.grad is None
        assert parameter.requires_grad == before[name][0]
        assert torch.equal(parameter, before[name][1])
    assert not any(module.training for module in clf.module_.modules())
    np.testing.assert_array_equal(np.random.get_state()[1], state[0])
    assert torch.equal(torch.get_rng_state(), state[1])


def test_explanations_do_not_depend_on_threads_or_grad_mode():
    clf = fitted()

    def explain(_=None):
        return clf.explain(TEXTS, attribution="gradient")

    expected = explain()
    with torch.no_grad():
        pd.testing.assert_frame_equal(explain(), expected)
    with ThreadPoolExecutor(4) as pool:
        for rows in pool.map(explain, range(8)):
            pd.testing.assert_frame_equal(rows, expected)


def test_loaded_classifiers_have_the_same_explanations(tmp_path):
    clf = fitted()
    expected = clf.explain(TEXTS, attribution="gradient")
    stored = pickle.loads(pickle.dumps(clf))
    loaded = AttentionFineTuneClassifier.load(clf.save(tmp_path / "model"))
    for again in (stored, loaded):
        rows = again.explain(TEXTS, attribution="gradient")
        pd.testing.assert_frame_equal(rows, expected)
        np.testing.assert_array_equal(again.layer_attention_, clf.layer_attention_)


def test_cached_hidden_states_have_the_same_explanations():
    plain, cached = (
        fitted(trainable_layers=0, cache=cache).explain(TEXTS, attribution="gradient")
        for cache in (None, "memory")
    )
    pd.testing.assert_frame_equal(plain, cached, rtol=0, atol=1e-5)


def test_without_pandas_arrays_are_returned(monkeypatch):
    clf = fitted()
    frames = clf.explain(TEXTS), clf.faithfulness(TEXTS, random_state=0)
    monkeypatch.setitem(sys.modules, "pandas", None)
    arrays = clf.explain(TEXTS), clf.faithfulness(TEXTS, random_state=0)
    for frame, columns in zip(frames, arrays, strict=True):
        assert type(columns) is dict
        assert list(columns) == list(frame)
        for name, column in columns.items():
            assert column.dtype == frame[name].dtype
            np.testing.assert_array_equal(column, frame[name])


def test_one_of_several_tasks_is_explained():
    y = {"tone": Y, "kind": [{"animal"}, set(), {"time", "day"}, {"day"}] * 6}
    clf = MultiTaskClassifier(fitted()).fit(X, y)
    for name in clf.task_names_:
        task = clf.task(name)
        rows = task.explain(X[:3], attribution="integrated_gradients")
        assert rows["token"].tolist() == " ".join(X[:3]).split()
        assert len(task.faithfulness(X[:3])) == 3 * 2
    shares = [clf.task(name).layer_attention_ for name in clf.task_names_]
    assert not np.allclose(*shares, rtol=1e-6)
    explained = clf.task("kind").explain(X[:3], attribution="gradient", target="day")
    assert np.isfinite(explained["attribution"]).all()


def test_faithfulness_equals_the_effect_of_erasing_words():
    clf = fitted()
    texts = ["a good lovely day and the very best night of all time", "bad", ""]
    scores = clf.faithfulness(texts, attribution="gradient", random_state=0)
    assert scores["sample"].tolist() == [0] * 3 + [1] * 3
    assert scores["ranking"].tolist() == ["attention", "gradient", "random"] * 2
    rows = clf.explain(texts, attribution="gradient")
    names = {"attention": "token_attention", "gradient": "attribution"}
    for i, text in enumerate(texts[:2]):
        proba = clf.predict_proba([text])[0]
        words, falls = np.array(text.split()), {name: [] for name in names}
        for name, column in names.items():
            values = rows[column][rows["sample"] == i].to_numpy()
            for percent in PERCENTAGES:
                is_top = np.zeros(len(words), dtype=bool)
                is_top[
                    np.argsort(-values)[: int(np.ceil(percent * len(words) / 100))]
                ] = 1
                erased = [" ".join(words[~is_top]), " ".join(words[is_top])]
                left = clf.predict_proba(erased)[:, proba.argmax()]
                falls[name].append(proba.max() - left)
            found = scores[(scores["sample"] == i) & (scores["ranking"] == name)]
            found = found[["comprehensiveness", "sufficiency"]].to_numpy()[0]
            np.testing.assert_allclose(found, np.mean(falls[name], axis=0), atol=1e-5)


@pytest.mark.parametrize("long_texts", ["truncate", "window"])
def test_faithfulness_of_long_texts(long_texts):
    clf = fitted(max_length=12, long_texts=long_texts)
    text = "a all am and are at awful bad be best big bird black bright"
    scores = clf.faithfulness([text], n_random=0)
    words = text.split()
    if long_texts == "truncate":
        words = words[:5] + words[-5:]
    values = clf.explain([text])["token_attention"].to_numpy()
    order = np.argsort(-values)
    assert PERCENTAGES == (1, 5, 10, 20, 50)  # as the guide says
    tops = [order[: int(np.ceil(p * len(words) / 100))] for p in PERCENTAGES]
    kept = [" ".join(words[i] for i in sorted(top)) for top in tops]
    proba = clf.predict_proba([" ".join(words), *kept])
    falls = proba[0].max() - proba[1:, proba[0].argmax()]
    assert scores["sufficiency"][0] == pytest.approx(falls.mean(), abs=1e-5)


def test_ties_and_random_orders_depend_on_random_state():
    clf = fitted(pooling="mean")
    text = ["a good lovely day and the very best night of all time"]
    first, again = (clf.faithfulness(text, random_state=0) for _ in range(2))
    pd.testing.assert_frame_equal(first, again)
    other = clf.faithfulness(text, random_state=1)
    assert (first["sufficiency"] != other["sufficiency"]).all()
    more = clf.faithfulness(text, n_random=50, random_state=0)["sufficiency"]
    most = clf.faithfulness(text, n_random=50, random_state=1)["sufficiency"]
    assert abs(more[1] - most[1]) < abs(more[0] - most[0])
    assert clf.faithfulness(text, n_random=0)["ranking"].tolist() == ["attention"]
    both = clf.faithfulness(text, attribution=METHODS)["ranking"]
    assert both.tolist() == ["attention", *METHODS, "random"]


def test_texts_without_tokens():
    clf = fitted()
    for words in (False, True):
        rows = clf.explain(["", " "], attribution="gradient", words=words)
        assert rows.shape == (0, 7)
    assert clf.faithfulness([""]).shape == (0, 4)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"attribution": "shap"},
            "`attribution` must be None or .* got 'shap'",
        ),
        (
            {"attribution": ["gradient"]},
            "got .'gradient'.. Use None",
        ),
        (
            {"target": "good"},
            "`target` must be None if `attribution` is None, got 'good'",
        ),
        (
            {"target": "ugly", "attribution": "gradient"},
            "must be a label of y, or one label of y for each text, got 'ugly'. Use",
        ),
        (
            {"target": ["bad"], "attribution": "gradient"},
            "`target` must have one entry for each text, got 1 entries for 24 texts",
        ),
        (
            {"target": ["bad"] * 23 + ["ugly"], "attribution": "gradient"},
            "one label of y for each text, got 'ugly' at position 23. Use ",
        ),
        (
            {"target": [None] * 24, "attribution": "gradient"},
            "one label of y for each text, got None at position 0",
        ),
        (
            {"target": np.eye(24), "attribution": "gradient"},
            "one label of y for each text, got array",
        ),
        ({"target": Y}, "`target` must be None if `attribution` is None, got .'good'"),
        ({"target": {"bad"}, "attribution": "gradient"}, "a label of y, .* got {'bad'"),
    ],
)
def test_wrong_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        fitted().explain(X, **arguments)


def test_wrong_calls():
    clf = fitted()
    for call in (clf.explain, clf.faithfulness):
        with pytest.raises(ValueError, match=r"`X` must be .* got a single str"):
            call("good")
    for call in (clone(clf).explain, clone(clf).faithfulness):
        with pytest.raises(NotFittedError):
            call(X)
    with pytest.raises(ValueError, match="n_random == -1, must be >= 0"):
        clf.faithfulness(X, n_random=-1)
    with pytest.raises(ValueError, match="or a list"):
        clf.faithfulness(X, attribution=["attention"])
