"""The special tokens of pairs, and how long pairs are cut."""

import numpy as np
import pytest
import tiny
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from sklearn_attnft import _hf
from sklearn_attnft._data._template import (
    Template,
    cut_parts,
    cut_with_overlap,
    cut_without_overlap,
    truncate_middle,
)
from sklearn_attnft._data._tokens import tokenize

LENGTHS = st.integers(0, 40)


def pair(n_first, n_second):
    return np.arange(n_first), 1000 + np.arange(n_second)


def word_tokenizer(processor=None):
    words = {word: i for i, word in enumerate(["<s>", "</s>", "a", "b", "c", "[UNK]"])}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    if processor is not None:
        tokenizer.post_processor = processor
    return tokenizer


SPECIAL = [("<s>", 0), ("</s>", 1)]
PROCESSORS = {
    "BERT": processors.BertProcessing(("</s>", 1), ("<s>", 0)),
    "RoBERTa": processors.RobertaProcessing(("</s>", 1), ("<s>", 0)),
    "template": processors.TemplateProcessing(
        single="<s> $A </s>",
        pair="<s> $A </s> </s> $B:1 </s>:1",
        special_tokens=SPECIAL,
    ),
    "second first": processors.TemplateProcessing(
        single="$A </s>:2",
        pair="$A:1 <s>:3 $B:2",
        special_tokens=SPECIAL,
    ),
    "none": None,
}


@pytest.mark.parametrize("name", PROCESSORS)
@pytest.mark.parametrize("texts", [("a b", "c"), ("c", "a a b"), ("", "b"), ("", "")])
def test_pairs_are_joined_as_by_the_tokenizer(name, texts):
    tokenizer = word_tokenizer(PROCESSORS[name])
    template = Template.of(tokenizer.encode("a", "a"), 2)
    plain = [tokenizer.encode(text, add_special_tokens=False).ids for text in texts]
    parts = tuple(np.array(ids, dtype=np.int32) for ids in plain)
    expected = tokenizer.encode(*texts)
    assert template.ids(parts).tolist() == expected.ids
    assert template.types(parts).tolist() == expected.type_ids
    numbers = template.numbers(tuple(np.full(len(part), 7) for part in parts))
    special = np.array(expected.special_tokens_mask, dtype=bool)
    assert (numbers == np.where(special, 0, 7)).all()


@given(LENGTHS, LENGTHS, st.integers(2, 30))
def test_the_longest_text_is_truncated_first(n_first, n_second, room):
    tokenizer = word_tokenizer()
    tokenizer.enable_truncation(room, strategy="longest_first")
    encoded = tokenizer.encode("a " * n_first, "b " * n_second)
    expected = [encoded.sequence_ids.count(0), encoded.sequence_ids.count(1)]
    (window,) = cut_parts(pair(n_first, n_second), room, truncate_middle)
    assert [len(part) for part in window] == expected
    for part, whole in zip(window, pair(n_first, n_second), strict=True):
        tail = len(part) // 2
        kept = [*whole[: len(part) - tail], *whole[len(whole) - tail :]]
        assert part.tolist() == kept


@given(LENGTHS, LENGTHS, st.integers(2, 30), st.booleans())
def test_windows_have_the_whole_longer_text(n_first, n_second, room, overlap):
    cut = cut_with_overlap if overlap else cut_without_overlap
    whole = pair(n_first, n_second)
    windows = cut_parts(whole, room, cut)
    longer = int(n_second >= n_first)
    shorter = {tuple(window[1 - longer].tolist()) for window in windows}
    assert len(shorter) == 1
    n_shorter = len(shorter.pop())
    assert n_shorter == min(n_first, n_second) or n_shorter == room // 2
    assert all(sum(map(len, window)) <= room for window in windows)
    read = np.concatenate([window[longer] for window in windows])
    assert np.unique(read).tolist() == whole[longer].tolist()


@pytest.mark.parametrize("long_texts", ["truncate", "window"])
def test_token_types_and_words_of_a_batch(long_texts, tiny_encoder):
    tokenizer = _hf.load_tokenizer(
        tiny_encoder,
        _hf.load_config(tiny_encoder),
        max_length=12,
        long_texts=long_texts,
    )
    texts = [("good", "bad dog"), "good day", ("so " * 20, "bad"), ("", "")]
    tokens, is_truncated = tokenize(texts, tokenizer, with_words=True)
    assert is_truncated.tolist() == [False, False, long_texts == "truncate", False]
    batch = tokens.batch([0, 1])
    assert batch.attention_mask.tolist() == [[1, 1, 1, 2, 2, 2], [1, 1, 1, 1, 0, 0]]
    assert batch.words.tolist() == [[0, 1, 0, 2, 3, 0], [0, 1, 2, 0, 0, 0]]
    taken = tokens.take([2, 0]).batch([0, 1])
    assert taken.attention_mask.tolist() == tokens.batch([2, 0]).attention_mask.tolist()
    assert tokenize(["a", "b"], tokenizer)[0].types is None
    empty = tokens.batch([3])
    assert empty.input_ids.tolist() == [[2, 3, 3]]
    assert empty.attention_mask.tolist() == [[1, 1, 2]]


def test_a_pair_of_long_texts_is_truncated_in_windows_too():
    tokenizer = _hf.load_tokenizer(
        tiny.ENCODER, _hf.load_config(tiny.ENCODER), max_length=11, long_texts="window"
    )
    texts = [("so " * 5, "so " * 9), ("so " * 4, "so " * 9), ("so " * 4, "so " * 4)]
    assert tokenize(texts, tokenizer)[1].tolist() == [True, False, False]
