"""The loop that computes predictions in batches."""

from collections import defaultdict

import numpy as np
import pytest

from sklearn_attnft import AttentionFineTuneClassifier
from sklearn_attnft._data import _batching
from sklearn_attnft._runtime import _predict

WORDS = "good", "bad", "fine", "day", "cat", "dog"
BUDGET = 200


def texts_of(n):
    rng = np.random.default_rng(0)
    return [" ".join(rng.choice(WORDS, rng.integers(1, 9))) for _ in range(n)]


@pytest.fixture
def shapes(monkeypatch):
    """Sizes of the batches that the model runs on, by the length of the texts."""
    found, forward = defaultdict(set), _predict.forward_in_parts

    def spy(model, input_ids, *rest, **options):
        found[input_ids.shape[1]].add(len(input_ids))
        return forward(model, input_ids, *rest, **options)

    monkeypatch.setattr(_predict, "forward_in_parts", spy)
    monkeypatch.setitem(_batching.TOKENS_PER_BATCH, "cpu", BUDGET)
    return found


@pytest.mark.parametrize("long_texts", ["truncate", "window"])
def test_a_long_call_runs_batches_of_few_shapes(long_texts, small, shapes, monkeypatch):
    clf = AttentionFineTuneClassifier(**small, long_texts=long_texts)
    clf.fit(["good day", "bad day"] * 4, ["a", "b"] * 4)
    texts = list(dict.fromkeys(texts_of(3000)))
    shapes.clear()
    rounded = [clf.predict_proba(texts[start:]) for start in range(0, 300, 25)]
    assert all(len(sizes) <= _predict.SIZES_PER_LENGTH for sizes in shapes.values())
    assert all(max(sizes) * length <= BUDGET for length, sizes in shapes.items())
    monkeypatch.setattr(_predict, "MANY_BATCHES", np.inf)
    shapes.clear()
    exact = [clf.predict_proba(texts[start:]) for start in range(0, 300, 25)]
    assert max(map(len, shapes.values())) > _predict.SIZES_PER_LENGTH
    for one, other in zip(rounded, exact, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


def test_a_short_call_runs_its_texts_only(small, shapes):
    clf = AttentionFineTuneClassifier(**small).fit(["good", "bad"] * 4, ["a", "b"] * 4)
    for n in (1, 5, 13):
        shapes.clear()
        clf.predict([f"good day {WORDS[i % 6]} {WORDS[i // 6]}" for i in range(n)])
        assert [*shapes.values()] == [{n}]
