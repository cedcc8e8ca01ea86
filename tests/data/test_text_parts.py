"""Test containers that are read in parts."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import tiny
from sklearn.base import clone

from sklearn_attnft import AttentionFineTuneClassifier, TransformerFeatureExtractor
from sklearn_attnft._data import _text_parts
from sklearn_attnft._data._text_parts import TextParts, check_in_parts
from sklearn_attnft._data._validation import check_texts

TEXTS = ["good day", "bad dog", "lovely night", "awful", "good day", "", "bad", "x y z"]
LABELS = [1, 0, 1, 0, 1, 0, 0, 1]


class Read(Sequence):
    """Texts that are read when they are indexed."""

    def __init__(self, texts):
        self.texts, self.longest = texts, 0

    def __len__(self):
        return len(self.texts)

    def __getitem__(self, i):
        if isinstance(i, slice):
            self.longest = max(self.longest, len(range(*i.indices(len(self)))))
        return self.texts[i]

    def __iter__(self):
        raise AssertionError("all texts are read at once")


class WithoutSlices(Sequence):
    def __init__(self, texts):
        self.texts = texts

    def __len__(self):
        return len(self.texts)

    def __getitem__(self, i):
        if isinstance(i, slice):
            raise TypeError("an index must be an int")
        return self.texts[i]


def memory_map(texts, path):
    array = np.array(texts)
    mapped = np.memmap(path, dtype=array.dtype, mode="w+", shape=array.shape)
    mapped[:] = array
    return mapped


CONTAINERS = {
    "sequence": Read,
    "str array": np.array,
    "StringDType": lambda texts: np.array(texts, dtype=np.dtypes.StringDType()),
    "pyarrow array": pa.array,
    "pyarrow chunks": lambda texts: pa.chunked_array([texts[:3], texts[3:]]),
    "pandas of pyarrow": lambda texts: pd.Series(
        texts, dtype="string[pyarrow]", index=[f"row {i}" for i in range(len(texts))]
    ),
    "frame": lambda texts: pd.DataFrame({"text": texts}),
    "polars": pl.Series,
    "polars frame": lambda texts: pl.DataFrame({"text": texts}),
}
CONTAINERS = {
    name: make
    for name, make in CONTAINERS.items()
    if name != "StringDType" or hasattr(np.dtypes, "StringDType")  # since numpy 2.0
}


@pytest.fixture(autouse=True)
def short_parts(monkeypatch):
    monkeypatch.setattr(_text_parts, "CHUNK_SIZE", 3)


@pytest.fixture(scope="module")
def extractor():
    return TransformerFeatureExtractor(tiny.ENCODER, max_length=16).fit(TEXTS)


@pytest.fixture(scope="module")
def clf():
    parameters = {"max_length": 16, "max_epochs": 1, "random_state": 0}
    return AttentionFineTuneClassifier(tiny.ENCODER, **parameters).fit(TEXTS, LABELS)


@pytest.fixture(params=CONTAINERS)
def container(request):
    return CONTAINERS[request.param]


def test_a_container_is_read_in_parts(container):
    parts = check_in_parts(container(TEXTS), check_texts)
    assert isinstance(parts, TextParts)
    assert len(parts) == len(TEXTS)
    assert list(parts) == [TEXTS[:3], TEXTS[3:6], TEXTS[6:]]


def test_a_memory_map_is_read_in_parts(tmp_path):
    mapped = memory_map(TEXTS, tmp_path / "texts")
    parts = check_in_parts(mapped, check_texts)
    assert [text for part in parts for text in part] == TEXTS


def test_the_features_are_those_of_a_list(container, extractor):
    expected = extractor.transform(TEXTS)
    features = extractor.transform(container(TEXTS))
    np.testing.assert_allclose(features, expected, atol=1e-6)


def test_the_labels_are_those_of_a_list(container, clf):
    assert clf.predict(container(TEXTS)).tolist() == clf.predict(TEXTS).tolist()


def test_pairs_are_read_in_parts(clf):
    pairs = list(zip(TEXTS, TEXTS[::-1], strict=True))
    of_pairs = clone(clf).fit(pairs, LABELS)
    expected = of_pairs.predict_proba(pairs)
    for columns in (pd.DataFrame(pairs), np.array(pairs), Read(pairs)):
        found = of_pairs.predict_proba(columns)
        np.testing.assert_allclose(found, expected, atol=1e-6)


def test_never_more_texts_than_a_part_are_read(extractor):
    texts = Read(TEXTS)
    extractor.transform(texts)
    assert texts.longest == 3


@pytest.mark.parametrize(
    "make", [list, tuple, lambda texts: np.array(texts, dtype=object)]
)
def test_containers_that_hold_str_are_read_at_once(make):
    texts = check_in_parts(make(TEXTS), check_texts)
    assert isinstance(texts, list)


def test_a_sequence_without_slices_is_read_at_once():
    assert check_in_parts(WithoutSlices(TEXTS), check_texts) == TEXTS


def test_a_message_has_the_position_in_the_container(extractor):
    texts = pa.array([*TEXTS, None])
    with pytest.raises(ValueError, match=r"missing value .* at position 8"):
        extractor.transform(texts)


@pytest.mark.parametrize(
    "X", ["one text", b"bytes", {"a": 1}, {"a"}, 3, None, iter("ab")]
)
def test_other_arguments_have_their_usual_messages(X, extractor):
    with pytest.raises((TypeError, ValueError)) as expected:
        check_texts(X)
    with pytest.raises(expected.type) as raised:
        extractor.transform(X)
    assert str(raised.value) == str(expected.value)
