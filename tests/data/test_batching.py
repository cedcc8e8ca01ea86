import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sklearn_attnft._data._batching import shuffled_batches, sorted_batches
from sklearn_attnft._data._template import Template
from sklearn_attnft._data._tokens import TokenizedTexts, tokenize

# Each text is a list of token ids.
TEXTS = st.lists(st.lists(st.integers(3, 99), max_size=40), min_size=1, max_size=20)
CUTS = st.sampled_from(["truncate", "window"])


class Tokenizer:
    """A tokenizer of texts that are already token ids."""

    pad_id, filler_id, max_length = 0, 0, 10
    templates = {1: Template((np.array([1]), np.array([2])), (), (0,))}

    def __init__(self, long_texts):
        self.long_texts = long_texts

    def encode(self, texts):
        return [np.array(text, dtype=np.int32) for text in texts]


@given(TEXTS, CUTS, st.integers(1, 60))
def test_sorted_batches_have_each_text_once_within_the_budget(texts, cut, budget):
    tokens, _ = tokenize(texts, Tokenizer(cut))
    batches = sorted_batches(tokens, budget)
    assert sorted(np.concatenate(batches)) == list(range(len(texts)))
    for indices in batches:
        batch = tokens.batch(indices)
        assert batch.input_ids.numel() <= budget or len(indices) == 1


def test_sorted_batches_have_little_padding():
    lengths = np.random.RandomState(0).poisson(10, size=1000)
    tokenizer = Tokenizer("truncate")
    tokenizer.max_length = 102
    tokens, _ = tokenize([[3] * n for n in lengths], tokenizer)
    sizes = [
        len(batch) * tokens.longest_windows[batch].max()
        for batch in sorted_batches(tokens, budget=2048)
    ]
    assert sum(sizes) < 1.03 * tokens.n_tokens.sum()  # 1.13 if all batches were full
    assert len(sizes) < 20


def test_short_texts_are_not_padded_to_long_ones():
    texts = [[3] * n for n in (8, 7, 1, 1, 1, 1, 1, 1)]
    tokens, _ = tokenize(texts, Tokenizer("truncate"))
    batches = sorted_batches(tokens, budget=100)
    assert [sorted(tokens.longest_windows[b]) for b in batches] == [[9, 10], [3] * 6]


@given(TEXTS, CUTS, st.data())
def test_a_batch_has_the_tokens_of_its_texts_only(texts, cut, data):
    tokens, is_truncated = tokenize(texts, Tokenizer(cut))
    is_cut = [cut == "truncate" and len(text) > 8 for text in texts]
    assert is_truncated.tolist() == is_cut
    n = len(texts)
    indices = np.array(data.draw(st.lists(st.integers(0, n - 1), min_size=1)))
    batch = tokens.batch(indices)
    assert len(batch) == len(indices)
    rows = iter(
        ids[mask.bool()].tolist()
        for ids, mask in zip(batch.input_ids, batch.attention_mask, strict=True)
    )
    counts = [1] * len(indices)
    if batch.windows_per_text is not None:
        counts = batch.windows_per_text.tolist()
    for i, count in zip(indices, counts, strict=True):
        windows = [next(rows) for _ in range(count)]
        assert all(w[0] == 1 and w[-1] == 2 and len(w) <= 10 for w in windows)
        parts, text = [w[1:-1] for w in windows], texts[i]
        if len(text) <= 8:
            assert parts == [text]
        elif cut == "truncate":
            assert parts == [text[:4] + text[-4:]]
        else:
            assert parts[0] + [t for part in parts[1:] for t in part[2:]] == text
    assert not batch.input_ids[batch.attention_mask == 0].any()


@given(st.lists(st.integers(1, 50), min_size=1, max_size=300), st.integers(1, 7))
def test_shuffled_batches_have_each_text_once(lengths, batch_size):
    generator = torch.Generator().manual_seed(0)
    batches = shuffled_batches(np.array(lengths), batch_size, generator)
    assert len(batches) == -(-len(lengths) // batch_size)
    assert sorted(np.concatenate(batches)) == list(range(len(lengths)))
    assert max(map(len, batches)) <= batch_size


def test_training_batches_have_little_padding_and_differ_between_epochs():
    lengths = np.random.RandomState(0).randint(1, 200, size=2000)
    generator = torch.Generator().manual_seed(0)
    first = shuffled_batches(lengths, 32, generator)
    second = shuffled_batches(lengths, 32, generator)
    padded = sum(len(batch) * lengths[batch].max() for batch in first)
    assert padded < 1.1 * lengths.sum()
    assert {tuple(sorted(b)) for b in first} != {tuple(sorted(b)) for b in second}


def test_the_longest_text_comes_first():
    tokens = TokenizedTexts(
        ids=np.arange(1, 11, dtype=np.int32),
        window_starts=np.array([0, 2, 8, 10]),
        text_starts=np.array([0, 1, 2, 3]),
        pad_id=0,
    )
    assert sorted_batches(tokens, budget=1)[0].tolist() == [1]
    assert tokens.longest_windows.tolist() == [2, 6, 2]


@pytest.mark.parametrize("long_texts", ["truncate", "window"])
def test_the_real_tokenizer_respects_max_length(long_texts, tiny_encoder):
    from sklearn_attnft import _hf

    config = _hf.load_config(tiny_encoder)
    tokenizer = _hf.load_tokenizer(
        tiny_encoder, config, max_length=10, long_texts=long_texts
    )
    tokens, is_truncated = tokenize(["good " * 30, "good", ""], tokenizer)
    assert is_truncated.tolist() == [long_texts == "truncate", False, False]
    assert tokens.longest_windows.tolist() == [10, 3, 2]
    batch = tokens.batch([0])
    cls, sep = 2, 3
    assert (batch.input_ids[:, 0] == cls).all()
    assert (batch.input_ids == sep).sum(dim=1).tolist() == [1] * len(batch.input_ids)
    # Windows of 8 tokens that overlap by 2 end at tokens 8, 14, 20, 26 and 30.
    if long_texts == "truncate":
        assert batch.windows_per_text is None
    else:
        assert batch.windows_per_text.tolist() == [5]


def test_special_tokens_and_surrogates_in_a_text_are_plain_text(tiny_encoder):
    from sklearn_attnft import _hf

    config = _hf.load_config(tiny_encoder)
    tokenizer = _hf.load_tokenizer(
        tiny_encoder, config, max_length=32, long_texts="truncate"
    )
    special = {0, 2, 3, 4}  # [PAD], [CLS], [SEP], [MASK]
    for text in ("[SEP]", "good [MASK] day", "[CLS][PAD]", "\ud800 good"):
        [ids] = tokenizer.encode([text])
        assert len(ids)
        assert not special & set(ids)
