"""Test contrastive training: its batches, its loss and its stage of a fit."""

import numpy as np
import pytest
import tiny
import torch
from hypothesis import given
from hypothesis import strategies as st
from recipes import config
from sklearn.base import clone
from transformers import AutoModel

from sklearn_attnft import AttentionFineTuneClassifier, MultiTaskClassifier
from sklearn_attnft._data._tokens import TokenizedTexts
from sklearn_attnft._fit._contrastive_stage import (
    TEXTS_PER_CLASS,
    ContrastiveDataset,
    PairLoss,
    SentenceModel,
)

X = ["good day", "bad dog", "lovely night", "awful rain", "fine man", "sad cat"] * 4
Y = ["good", "bad"] * 12
LAST = {"layers": "last", "pooling": "mean", "trainable_layers": 0}


def loss(contexts, *labels, weights=None):
    """Return the loss of tasks. Each has a column of labels or rows of 0 and 1."""
    labels = tuple(torch.tensor(column) for column in labels)
    if weights is None:
        weights = torch.ones(len(contexts), len(labels))
    contexts = torch.as_tensor(contexts, dtype=torch.float32)
    return float(PairLoss()(contexts, (labels, torch.as_tensor(weights))))


def test_loss_is_zero_for_equal_texts_of_a_class_and_orthogonal_classes():
    contexts = [[1.0, 0.0], [3.0, 0.0], [0.0, 2.0]]
    assert loss(contexts, [0, 0, 1]) == 0
    # The pair of the same class has cosine 0, the other pairs have cosines 1 and 0.
    assert loss(contexts, [0, 1, 0]) == pytest.approx(1 + 1 / 2)


def test_multilabel_targets_are_the_overlap_of_classes():
    contexts = [[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]]
    members = [[1.0, 1.0, 0.0], [1.0, 0.0, float("nan")], [0.0, 0.0, 1.0]]
    assert loss(contexts, members) == pytest.approx(0.5**2)
    none = [[0.0, 0.0], [0.0, 0.0], [1.0, 0.0]]
    assert loss(contexts, none) == 0  # texts without a class count as one class


def test_labels_that_are_missing_in_one_of_two_texts_do_not_count():
    nan = float("nan")
    contexts = [[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]]
    # The targets are 1 (texts 0 and 1), 0 (0 and 2) and 1/2 (1 and 2, with cosine 0).
    found = loss(contexts, [[1, nan, nan], [1, 1.0, 0], [0, 1.0, 0]])
    assert found == pytest.approx((0 + 0.5**2) / 2)
    # Texts 0 and 1 have no label that is known for both. Texts 0 and 2 have cosine 0.
    assert loss(contexts, [[1, nan], [nan, 1.0], [1.0, 0]]) == 1


@given(st.integers(0, 999), st.integers(2, 9))
def test_texts_of_weight_zero_do_not_change_the_loss(seed, n):
    rng = np.random.default_rng(seed)
    contexts, labels = rng.normal(size=(n + 1, 4)), rng.integers(0, 3, (2, n + 1))
    weights = rng.uniform(0.1, 2, (n + 1, 2)).astype(np.float32)
    weights[-1] = 0
    expected = loss(contexts[:-1], *labels[:, :-1], weights=weights[:-1])
    assert loss(contexts, *labels, weights=weights) == pytest.approx(expected, abs=1e-5)


def test_contexts_are_means_over_the_tokens_of_all_windows():
    encoder = AutoModel.from_pretrained(tiny.ENCODER).eval()
    lengths = [3, 9, 5, 12, 4, 2, 7, 6, 8, 11, 1, 10]
    ids = torch.randint(5, 60, (12, 12), generator=torch.Generator().manual_seed(0))
    mask = (torch.arange(12) < torch.tensor(lengths)[:, None]).long()
    windows = torch.tensor([1, 3, 2, 1, 1, 4])
    with torch.no_grad():
        alone = [
            encoder(row[None, :n]).last_hidden_state[0]
            for row, n in zip(ids, lengths, strict=True)
        ]
        model = SentenceModel(encoder)
        single, joined = model(ids, mask), model(ids, mask, windows)
    expected = torch.stack([states.mean(dim=0) for states in alone])
    torch.testing.assert_close(single, expected, rtol=1e-4, atol=1e-5)
    stops = windows.cumsum(0)
    texts = [
        torch.cat(alone[stop - n : stop])
        for n, stop in zip(windows, stops, strict=True)
    ]
    expected = torch.stack([states.mean(dim=0) for states in texts])
    torch.testing.assert_close(joined, expected, rtol=1e-4, atol=1e-5)


CONFIG = config(batch_size=2 * TEXTS_PER_CLASS)
GENERATOR = torch.Generator().manual_seed(0)


@given(st.lists(st.integers(0, 4), min_size=1, max_size=60))
def test_an_epoch_has_each_text_exactly_once(labels):
    batches = gathered(np.array(labels)).epoch_batches(CONFIG, GENERATOR)
    assert sorted(np.concatenate(batches)) == list(range(len(labels)))
    assert len(batches) == -(-len(labels) // CONFIG.batch_size)


def gathered(*labels, weights=None):
    n_texts = len(labels[0])
    tokens = TokenizedTexts(
        np.zeros(n_texts), np.arange(n_texts + 1), np.arange(n_texts + 1), 0
    )
    if weights is None:
        weights = np.ones((n_texts, len(labels)), dtype=np.float32)
    return ContrastiveDataset(tokens, labels, weights, np.ones(n_texts))


def test_batches_have_several_texts_of_each_of_their_classes():
    labels = np.repeat(np.arange(50), TEXTS_PER_CLASS)
    orders = []
    for _ in range(3):
        batches = gathered(labels).epoch_batches(CONFIG, GENERATOR)
        for batch in batches:
            assert (
                np.unique(labels[batch], return_counts=True)[1].min() == TEXTS_PER_CLASS
            )
        orders.append(np.concatenate(batches).tolist())
    assert orders[0] != orders[1] != orders[2]


def test_unlabeled_texts_are_grouped_together():
    labels, known = (
        np.zeros(8 * TEXTS_PER_CLASS, dtype=int),
        np.arange(8 * TEXTS_PER_CLASS) % 2,
    )
    batches = gathered(labels, weights=known[:, None]).epoch_batches(CONFIG, GENERATOR)
    shares = [known[batch].mean() for batch in batches]
    assert set(shares) <= {0.0, 0.5, 1.0}
    groups = [known[i] for batch in batches for i in np.split(batch, 2)]
    assert all(len(set(group)) == 1 for group in groups)


def test_batches_alternate_between_tasks():
    rows = np.arange(4 * TEXTS_PER_CLASS)
    members = np.eye(4, dtype=np.float32)[rows % 4]
    texts = gathered(rows // TEXTS_PER_CLASS, members)
    seen = set()
    for _ in range(20):
        batch = texts.epoch_batches(CONFIG, GENERATOR)[0]
        kinds = (rows // TEXTS_PER_CLASS)[batch], (rows % 4)[batch]
        seen.add(min((0, 1), key=lambda task: len(np.unique(kinds[task]))))
    assert seen == {0, 1}


def cosines(clf):
    """Return the mean cosine of texts of the same class, and of different classes."""
    contexts = clf.transform(sorted(set(X)))
    contexts /= np.linalg.norm(contexts, axis=1, keepdims=True)
    labels = np.array([Y[X.index(text)] for text in sorted(set(X))])
    same = labels[:, None] == labels
    both = contexts @ contexts.T
    return both[same & ~np.eye(len(same), dtype=bool)].mean(), both[~same].mean()


def test_contrastive_stage_runs_before_the_classifier_stage(small):
    small |= LAST | {"max_epochs": 2}
    plain = AttentionFineTuneClassifier(**small).fit(X, Y)
    clf = AttentionFineTuneClassifier(**small, contrastive_epochs=60).fit(X, Y)
    stages = [(row["stage"], row["epoch"]) for row in clf.history_]
    expected = [("contrastive", i) for i in range(1, 61)]
    assert stages == [*expected, ("classifier", 1), ("classifier", 2)]
    assert clf.n_iter_ == 2
    alike, apart = cosines(clf)
    assert alike - apart > 0.8 > 0.5 > np.subtract(*cosines(plain))
    before, after = plain.module_.encoder, clf.module_.encoder
    table = after.get_input_embeddings().weight
    assert torch.equal(table, before.get_input_embeddings().weight)


@pytest.mark.parametrize(
    "params",
    [
        {"trainable_layers": 1, "lm_epochs": 1, "dropout": 0.2},
        {"encoder_dropout": 0.2, "micro_batch_size": 3, "gradual_unfreezing": True},
        {"lm_weight": 0.5, "head": "lstm"},
        {
            "early_stopping": True,
            "validation_fraction": 0.25,
            "class_weight": "balanced",
        },
        {**LAST, "cache": "memory"},
    ],
    ids=str,
)
def test_contrastive_stage_is_repeatable(small, params, no_stores):
    clf = AttentionFineTuneClassifier(**small | params, contrastive_epochs=2)
    one, other = (clone(clf).fit(X, Y) for _ in range(2))
    np.testing.assert_array_equal(one.decision_function(X), other.decision_function(X))
    kinds = [row["stage"] for row in one.history_]
    assert kinds.count("contrastive") == 2
    assert kinds.count("language model") == params.get("lm_epochs", 0)


@pytest.mark.parametrize("size", [1, 3])
@pytest.mark.parametrize("params", [{}, {"long_texts": "window", "max_length": 6}])
def test_micro_batches_use_the_pairs_of_the_full_batch(size, params, small):
    small |= {"dropout": 0.0, "max_epochs": 1, "contrastive_epochs": 3, **params}
    texts = [f"{text} {text}" for text in X]
    whole = AttentionFineTuneClassifier(**small).fit(texts, Y)
    parts = AttentionFineTuneClassifier(**small, micro_batch_size=size).fit(texts, Y)
    for ours, theirs in zip(parts.history_, whole.history_, strict=True):
        assert ours["train_loss"] == pytest.approx(theirs["train_loss"], rel=1e-3)
    assert whole.history_[0]["train_loss"] > 0.1


def test_too_little_memory_halves_the_micro_batch_size(small, monkeypatch):
    small |= {"max_epochs": 1, "contrastive_epochs": 2}
    expected = AttentionFineTuneClassifier(**small, micro_batch_size=4).fit(X, Y)
    original = SentenceModel.sum_tokens

    def narrow(self, ids, mask):
        if len(ids) > 4:
            raise RuntimeError("CUDA error: out of memory")
        return original(self, ids, mask)

    monkeypatch.setattr(SentenceModel, "sum_tokens", narrow)
    with pytest.warns(UserWarning, match="micro_batch_size=") as caught:
        clf = AttentionFineTuneClassifier(**small).fit(X, Y)
    assert "micro_batch_size=4" in str(caught[-1].message)
    np.testing.assert_array_equal(clf.predict_proba(X), expected.predict_proba(X))


def test_smaller_micro_batches_take_less_memory(small):
    small |= {"contrastive_epochs": 1, "layers": "last"}
    peaks = [
        AttentionFineTuneClassifier(**small, micro_batch_size=size)
        .estimate_fit(X, Y)
        .stages[0]
        .peak_bytes
        for size in (1, 4, 12, None)
    ]
    assert peaks == sorted(set(peaks))


@pytest.mark.parametrize(("size", "n_calls"), [(None, 3), (24, 3), (12, 4), (5, 10)])
def test_encoder_is_run_again_only_if_needed(size, n_calls):
    encoder = AutoModel.from_pretrained(tiny.ENCODER)
    calls = []
    encoder.register_forward_hook(lambda *args: calls.append(1))
    ids = torch.randint(5, 60, (24, 6), generator=torch.Generator().manual_seed(0))
    SentenceModel(encoder, size)(ids, torch.ones_like(ids)).sum().backward()
    assert len(calls) == n_calls


def test_several_tasks_with_missing_labels(small):
    y = {
        "mood": [label if i % 5 else None for i, label in enumerate(Y)],
        "words": [{word[0] for word in text.split()} for text in X],
    }
    template = AttentionFineTuneClassifier(
        **small | LAST | {"max_epochs": 20}, contrastive_epochs=10
    )
    clf = MultiTaskClassifier(template).fit(X, y)
    assert clf.task("mood").score(X, Y) > 0.9
    losses = [r["train_loss"] for r in clf.history_ if r["stage"] == "contrastive"]
    assert losses[-1] < losses[0] / 2
