import pickle

import numpy as np
import pytest
import tiny
import torch
from hypothesis import given
from hypothesis import strategies as st
from recipes import config, context
from sklearn.base import clone
from sklearn.model_selection import cross_validate

from sklearn_attnft import (
    AttentionFineTuneClassifier,
    MultiTaskClassifier,
    TransformerFeatureExtractor,
    _hf,
)
from sklearn_attnft._data._masking import Masking, masked_dataset
from sklearn_attnft._data._tokens import tokenize
from sklearn_attnft._fit import _prepare, _pretrained
from sklearn_attnft._fit._joint import JointDataset, JointLoss, JointModel
from sklearn_attnft._model._losses import CrossEntropy, TasksLoss
from sklearn_attnft._model._masked_lm import MaskedCrossEntropy, TiedHead
from sklearn_attnft._model._spec import ModuleSpec, TaskSpec
from sklearn_attnft._model._text_model import TextModel

X = ["good day", "bad dog", "lovely night", "awful rain", "wonderful star", ""] * 4
Y = ["good", "bad", "good", "bad", "good", "bad"] * 4
TEXTS = st.lists(
    st.lists(st.sampled_from([*tiny.WORDS, "goodbye", "#"])).map(" ".join), min_size=1
)


@pytest.fixture(scope="session")
def tokenizer(tiny_encoder):
    config = _hf.load_config(tiny_encoder)
    return _hf.load_tokenizer(
        tiny_encoder, config, max_length=12, long_texts="truncate"
    )


def masking(probability=0.15):
    return Masking(mask_id=4, vocab_size=100, probability=probability)


@given(TEXTS)
def test_texts_are_read_in_full(tokenizer, texts):
    data = masked_dataset(texts, tokenizer, masking(), seed=0)
    assert data.tokens.longest_windows.max() <= 12
    words = data.tokens.words > 0
    expected = [i for ids in tokenizer.encode(texts) for i in ids]
    assert data.tokens.ids[words].tolist() == expected
    assert set(data.tokens.ids[~words]) == {2, 3}


@given(TEXTS, st.floats(0.01, 0.99), st.integers(0, 99))
def test_whole_words_are_masked_and_nothing_else_changes(
    tokenizer, texts, probability, seed
):
    tokens, _ = tokenize(texts, tokenizer, with_words=True)
    batch = tokens.batch(np.arange(len(texts)))
    generator = torch.Generator().manual_seed(seed)
    masked, originals = masking(probability)(batch, generator)
    chosen = masked.chosen
    assert torch.equal(batch.input_ids[chosen], originals)
    assert chosen.any() == (batch.words > 0).any()
    assert torch.equal(masked.input_ids[~chosen], batch.input_ids[~chosen])
    assert not chosen[batch.words == 0].any()
    for row, words in zip(chosen, batch.words, strict=True):
        for word in words.unique():
            assert len(row[words == word].unique()) == 1


def test_fractions_of_masked_tokens(tokenizer):
    tokens, _ = tokenize(["good day and bad night"] * 4000, tokenizer, with_words=True)
    batch = tokens.batch(np.arange(4000))
    masked, originals = masking(0.3)(batch, torch.Generator().manual_seed(0))
    assert masked.chosen.sum() / (batch.words > 0).sum() == pytest.approx(0.3, abs=0.02)
    new = masked.input_ids[masked.chosen]
    assert (new == 4).float().mean() == pytest.approx(0.8, abs=0.02)
    # A random token is sometimes the original one.
    assert (new == originals).float().mean() == pytest.approx(0.1, abs=0.02)


def test_masks_differ_between_epochs_but_not_between_scorings(tokenizer):
    data = masked_dataset(X, tokenizer, masking(0.5), seed=0)
    generator = torch.Generator().manual_seed(0)
    epochs = [
        [
            ids.tolist()
            for step in data.training_steps(config(), generator)
            for _, ids in step.parts
        ]
        for _ in range(2)
    ]
    assert epochs[0] != epochs[1]
    scorings = [
        torch.cat([b.input_ids.flatten() for b, _ in data.scoring_batches(100)])
        for _ in range(2)
    ]
    assert torch.equal(*scorings)


def test_a_new_head_starts_from_the_frequencies_of_the_tokens():
    table = torch.nn.Parameter(torch.randn(5, 4))
    counts = torch.tensor([7.0, 0.0, 1.0, 3.0, 0.0])
    head = TiedHead(table, 4, counts)
    states = torch.randn(3, 4)
    with torch.no_grad():
        shares = torch.softmax(head(torch.zeros(1, 4)), dim=1)
        logits = head(states) - head.bias
    torch.testing.assert_close(shares[0], (counts + 1) / 16)
    torch.testing.assert_close(logits, states @ table.detach().T)


def test_the_perplexity_of_a_huge_loss_is_infinite():
    assert MaskedCrossEntropy().epoch_metrics({"loss": 1e4})["perplexity"] == np.inf


def test_the_last_window_of_a_long_text_is_masked_like_a_text(tokenizer):
    text = "good day and bad night " * 2
    texts = [text * 50, text]
    tokens = masked_dataset(texts, tokenizer, masking(), seed=0).tokens
    batches = [tokens.batch(np.array([window])) for window in (49, 50)]
    assert torch.equal(batches[0].input_ids, batches[1].input_ids)
    assert not torch.equal(batches[0].words, batches[1].words)
    generator = torch.Generator()
    masks = [
        masking(0.5)(batch, generator.manual_seed(0))[0].input_ids for batch in batches
    ]
    assert torch.equal(*masks)


def test_the_loss_without_tokens_is_zero():
    logits = torch.zeros(0, 7, requires_grad=True)
    loss = MaskedCrossEntropy()(logits, torch.zeros(0, dtype=torch.long))
    loss.backward()
    assert loss == 0.0


def test_the_joint_loss_is_the_weighted_sum():
    logits, token_logits = torch.randn(3, 2), torch.randn(5, 7)
    targets = (torch.tensor([0, 1, 1]),), torch.tensor([[1.0], [0.5], [1.5]])
    originals = torch.tensor([0, 3, 6, 2, 2])
    loss = CrossEntropy(n_outputs=2, label_smoothing=0.1)
    alone = TasksLoss({None: loss}, [1.0])
    joint = JointLoss(alone, lm_weight=0.3)
    expected = alone(logits, targets) + 0.3 * torch.nn.functional.cross_entropy(
        token_logits, originals
    )
    torch.testing.assert_close(
        joint((logits, token_logits), (*targets, originals)), expected
    )
    torch.testing.assert_close(
        joint.eval()(logits, targets), alone.eval()(logits, targets)
    )


def test_the_stage_learns_the_language(small):
    clf = AttentionFineTuneClassifier(
        **small | {"max_epochs": 1}, lm_epochs=12, lm_learning_rate=3e-3
    )
    history = clf.fit(X * 4, Y * 4).history_
    stages = [row["stage"] for row in history]
    assert stages == ["language model"] * 12 + ["classifier"]
    assert history[11]["valid_perplexity"] < 0.8 * history[0]["valid_perplexity"]
    assert history[11]["valid_perplexity"] == np.exp(history[11]["valid_loss"])
    assert clf.n_iter_ == 1


@pytest.mark.filterwarnings("ignore:`X_unlabeled` is ignored")
def test_only_the_language_model_reads_unlabeled_texts(small):
    def proba(**kwargs):
        clf = AttentionFineTuneClassifier(**small, **kwargs)
        more = clf.fit(X, Y, X_unlabeled=["cold night", "the bird can fly"])
        return more.predict_proba(X), clf.fit(X, Y).predict_proba(X)

    np.testing.assert_array_equal(*proba())
    for kwargs in ({"lm_epochs": 1}, {"lm_weight": 0.5}):
        more, less = proba(**kwargs)
        assert np.abs(more - less).max() > 1e-6


def test_the_extractor_adapts_without_labels(small):
    keys = ("encoder", "max_length", "random_state")
    plain = TransformerFeatureExtractor(**{key: small[key] for key in keys})
    adapted = clone(plain).set_params(lm_epochs=2)
    before, after = plain.fit_transform(X), adapted.fit(X).transform(X)
    assert np.abs(after - before).max() > 1e-3
    np.testing.assert_array_equal(clone(adapted).fit(X).transform(X), after)
    assert plain.history_ == []
    assert [row["epoch"] for row in adapted.history_] == [1, 2]
    changed = {
        name
        for name, weights in adapted.module_.state_dict().items()
        if not torch.equal(weights, plain.module_.state_dict()[name])
    }
    assert "encoder.embeddings.word_embeddings.weight" not in changed
    assert not any(p.requires_grad for p in adapted.module_.parameters())
    loaded = pickle.loads(pickle.dumps(adapted))
    np.testing.assert_array_equal(loaded.transform(X), after)


@pytest.mark.parametrize("switch", [{"lm_epochs": 1}, {"lm_weight": 0.5}])
def test_language_models_do_not_read_test_folds(switch, small, monkeypatch):
    seen, rows = [], [f"{text} {i}" for i, text in enumerate(X)]

    def spy(texts, *args):
        seen.append(set(texts))
        return masked_dataset(texts, *args)

    monkeypatch.setattr(_prepare, "masked_dataset", spy)
    clf = AttentionFineTuneClassifier(**small | {"max_epochs": 1}, **switch)
    folds = cross_validate(clf, rows, Y, cv=3, return_indices=True)["indices"]
    assert len(seen) == 3
    for texts, train, test in zip(seen, folds["train"], folds["test"], strict=True):
        assert texts == {rows[i] for i in train}
        assert not texts & {rows[i] for i in test}


@pytest.mark.parametrize("n_rest", [0, 3, 7, 200])
def test_joint_batches_have_unlabeled_texts(tokenizer, n_rest):
    texts = ["good day"] * 7 + ["bad"] * n_rest
    tokens, _ = tokenize(texts, tokenizer, with_words=True)
    labels = np.arange(7 + n_rest) % 2
    weights = np.pad(np.ones(7, dtype=np.float32), (0, n_rest))[:, None]
    data = JointDataset(tokens, (labels,), weights, np.ones(7), masking())
    steps = list(
        data.training_steps(
            config(batch_size=3, micro_batch_size=4), context().generator
        )
    )
    assert len(steps) == 3
    is_masked = False
    for step in steps:
        assert len(step) <= 6
        n_labelled, n_chosen = 0, 0
        for batch, (labels, weights, originals) in step.parts:
            assert len(batch) == len(labels[0]) <= 4
            assert len(originals) == batch.chosen.sum() > 0
            n_labelled += int((weights > 0).sum())
            n_chosen += len(originals)
            is_masked |= bool((batch.input_ids[batch.chosen] != originals).any())
        assert step.counts == (n_labelled, n_chosen)
    assert is_masked
    assert sum(map(len, steps)) == 7 + min(n_rest, 9)


def test_an_encoder_without_a_mask_token_raises_an_error(tokenizer, monkeypatch):
    monkeypatch.setattr(tokenizer, "mask_id", None)
    with pytest.raises(ValueError, match=r"must have a mask token.*lm_epochs=0"):
        _pretrained.PretrainedEncoder("some/encoder", None, tokenizer).masking()


def test_padding_does_not_change_joint_training(tiny_encoder):
    # A text has the same logits alone and in a batch with a longer text.
    encoder = _hf.load_encoder(tiny_encoder, _hf.load_config(tiny_encoder))
    task = TaskSpec("attention", "lstm", 3)
    spec = ModuleSpec(32, (0, 1, 2), "attention", (task, task))
    head = TiedHead(encoder.get_input_embeddings().weight, 32, torch.ones(156))
    model = JointModel(TextModel.build(encoder, spec), head).eval()
    ids = torch.tensor([[2, 4, 8, 3, 0, 0, 0], [2, 9, 4, 5, 6, 7, 3]])
    with torch.no_grad():
        together = model(ids, (ids > 0).long(), None, ids == 4)
        alone = model(ids[:1, :4], (ids > 0).long()[:1, :4], None, ids[:1, :4] == 4)
    torch.testing.assert_close(together[0][:1], alone[0])
    torch.testing.assert_close(together[1][:1], alone[1])


def test_unread_unlabeled_texts_raise_a_warning(small):
    clf = AttentionFineTuneClassifier(**small | {"max_epochs": 1})
    with pytest.warns(UserWarning, match="`X_unlabeled` is ignored") as caught:
        clf.fit(X, Y, X_unlabeled=["cold night"])
    assert caught[0].filename == __file__
    several = MultiTaskClassifier(clf)
    with pytest.warns(UserWarning, match="`X_unlabeled` is ignored") as caught:
        several.fit(X, [[label] for label in Y], X_unlabeled=["cold night"])
    assert caught[0].filename == __file__
