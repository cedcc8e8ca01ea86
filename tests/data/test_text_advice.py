"""The advice in a message gives the texts, and never other str.

Each test runs the code that the message names.
"""

import io
import re
from collections import Counter, UserDict, deque
from pathlib import Path
from types import MappingProxyType, SimpleNamespace

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import tiny
from sklearn.utils import Bunch

from sklearn_attnft import (
    AttentionFineTuneClassifier,
    MultiTaskClassifier,
    TransformerFeatureExtractor,
)
from sklearn_attnft._data._validation import check_texts

X = ["good day", "bad dog", "süßer Tag", "sad cat"]
Y = ["good", "bad", "good", "bad"]
BYTES = [text.encode() for text in X]
WORDS = [text.split() for text in X]


def raised(texts, name="X"):
    with pytest.raises((TypeError, ValueError)) as caught:
        check_texts(texts, name)
    return str(caught.value)


def results(message, texts):
    """Run each piece of code in a message."""
    advice = re.search(r"(?:at position \d+|got (?:an? .+?|None))[.] (.*)", message)[1]
    found = []
    while advice:
        ends = [i + 1 for i, letter in enumerate(advice) if letter in "])"]
        codes = [advice[:end] for end in ends if is_code(advice[:end])]
        found += codes[:1]
        advice = advice[len(codes[0]) if codes else 1 :]
    return [list(eval(code, {"X": texts})) for code in found]


def is_code(text):
    if not text.startswith(("[", "list(", "X[", "X.")):
        return False
    try:
        compile(text, "advice", "eval")
    except SyntaxError:
        return False
    return True


TYPED = {
    "bytes": BYTES,
    "bytearrays": [bytearray(each) for each in BYTES],
    "memoryviews": [memoryview(each) for each in BYTES],
    "numpy bytes": np.array(BYTES),
    "numpy bytes in a column": np.array(BYTES)[:, None],
    "pandas bytes": pd.Series(BYTES, index=[3, 2, 1, 0]),
    "pandas frame of bytes": pd.DataFrame({"text": BYTES}),
    "pandas arrow bytes": pd.Series(BYTES, dtype=pd.ArrowDtype(pa.binary())),
    "polars bytes": pl.Series(BYTES),
    "polars frame of bytes": pl.DataFrame({"text": BYTES}),
    "pyarrow bytes": pa.array(BYTES),
    "pyarrow table of bytes": pa.table({"text": pa.chunked_array([BYTES])}),
    "words": WORDS,
    "tuples of words": [tuple(words) for words in WORDS],
    "deque of words": deque(WORDS),
    "arrays of words": pd.Series([np.array(words) for words in WORDS]),
    "pandas frame of words": pd.DataFrame({"text": WORDS}),
    "polars words": pl.Series(WORDS),
    "pyarrow words": pa.array(WORDS),
    "pyarrow table of words": pa.table({"text": WORDS}),
    "rows of one entry": [[text] for text in X],
    "rows of a text and a label": list(zip(X, Y, strict=True)),
    "records": [{"text": text, "stars": 3} for text in X],
    "records with labels": [{"label": y, 7: x} for x, y in zip(X, Y, strict=True)],
    "pandas records": pd.Series([{"text": text} for text in X]),
    "pyarrow records": pa.array([{"text": text, "stars": 3} for text in X]),
    "dict": dict(enumerate(X)),
    "UserDict": UserDict(enumerate(X)),
    "read-only dict": MappingProxyType(dict(enumerate(X))),
    "columns": {"text": X, "label": Y, "stars": [3, 3, 4, 5]},
    "Bunch": Bunch(data=X, target=np.arange(4), target_names=["a", "b"]),
    "columns of arrays": {"text": np.array(X), "rows": pd.Series(X)},
    "dict_values": dict(enumerate(X)).values(),
    "dict_keys": dict.fromkeys(X).keys(),
    "generator": (text for text in X),
    "map": map(str.strip, X),
    "file": io.StringIO("\n".join(X)),
    "frame with labels": pd.DataFrame({"review": X, "stars": Y}),
    "polars frame with labels": pl.DataFrame({"review": X, "stars": Y}),
    "bytes of one text": b"good day",
    "bytearray of one text": bytearray(b"good day"),
    "memoryview of one text": memoryview(b"good day"),
}


@pytest.mark.parametrize("kind", TYPED)
def test_the_advice_gives_the_texts(kind):
    texts = TYPED[kind]
    message = raised(texts)
    assert "str(" not in message
    is_view = "dict_" in kind
    assert "list(X)" not in message or is_view or hasattr(texts, "__next__")
    got = results(message, texts)
    expected = ["good day"] if "of one text" in kind else X
    assert expected in got
    # Other code is for rows with a text and a label, and the message says when.
    assert len(got) == 1 or " if " in message or " or " in message


@pytest.mark.parametrize(
    "texts",
    [
        None,
        7,
        object(),
        set(X),
        frozenset(X),
        dict(enumerate(X)).items(),
        Counter(X),
        {},
        {"train": pd.DataFrame({"text": X})},
        Path("texts.txt"),
        [Path("texts.txt")],
        [{}],
        [{"stars": 3}],
        [[101, 102], [103]],
        [[]],
        [set(WORDS[0])],
        [pd.DataFrame({"text": X})],
        [np.array("good day")],
        [SimpleNamespace(text="good day")],
        pd.Series(pd.to_datetime(["2026-01-01"])),
        pl.LazyFrame({"text": X}),
    ],
    ids=lambda texts: type(texts).__name__,
)
def test_there_is_no_code_without_texts_in_order(texts):
    message = raised(texts)
    assert not results(message, texts)
    assert "str(" not in message
    assert "list(X)" not in message


@pytest.mark.parametrize(
    "texts", [[1, 2], np.arange(3.0), pd.Series(["a", 1.5]), pd.Categorical([1, 2])]
)
def test_numbers_become_str_only_if_they_are_the_texts(texts):
    assert "with str(...) only if the numbers are the texts" in raised(texts)


def test_categories_of_str_are_texts():
    assert check_texts(pd.Series(X, dtype="category")) == X
    assert check_texts(pl.Series(X, dtype=pl.Categorical)) == X
    assert check_texts(pa.array(X).dictionary_encode()) == X


@pytest.mark.parametrize("name", ["X", "X_val", "X_unlabeled"])
def test_the_advice_names_the_argument(name, small):
    clf = AttentionFineTuneClassifier(**small, lm_epochs=1)
    arguments = {"X": X, "y": Y, name: BYTES}
    if name == "X_val":
        arguments["y_val"] = Y
    with pytest.raises(TypeError, match=rf"\[x.decode\('utf-8'\) for x in {name}\]"):
        clf.fit(**arguments)


@pytest.mark.parametrize("method", ["fit", "predict", "predict_proba", "transform"])
def test_each_estimator_advises(method, small):
    extractor = TransformerFeatureExtractor(tiny.ENCODER, max_length=32)
    for estimator in (
        AttentionFineTuneClassifier(**small),
        MultiTaskClassifier(AttentionFineTuneClassifier(**small)),
        extractor,
    ):
        if not hasattr(estimator, method):
            continue
        y = np.transpose([Y, Y]) if isinstance(estimator, MultiTaskClassifier) else Y
        if method == "fit":
            arguments = (WORDS, y)
        else:
            estimator.fit(X, y)
            arguments = (WORDS,)
        with pytest.raises(TypeError, match=r"\[' '.join\(row\) for row in X\]"):
            getattr(estimator, method)(*arguments)


class Dataset:
    """A table as datasets.Dataset: rows are dicts, and a name selects a column."""

    column_names = ["subject", "text"]

    def __len__(self):
        return 2

    def __getitem__(self, name):
        return ["good day", "bad dog"]


class StreamedDataset:
    column_names = ["text"]

    def __iter__(self):
        return iter([{"text": "good day"}])


def test_a_dataset_of_several_columns_is_not_a_collection():
    match = r"got a Dataset. Pass the texts only: X\['subject'\] or X\['text'\]\.$"
    with pytest.raises(TypeError, match=match):
        check_texts(Dataset())
    match = (
        r"got a StreamedDataset. Pass the texts only: \[row\['text'\] for row in X\]"
    )
    with pytest.raises(TypeError, match=match):
        check_texts(StreamedDataset())


def test_pairs_in_a_series_become_a_list(small):
    pairs = pd.Series(list(zip(X, X[::-1], strict=True)))
    assert "pass list(X) to a classifier or a regressor" in raised(pairs)
    clf = AttentionFineTuneClassifier(**small)
    with pytest.raises(TypeError, match=r"pass list\(X\) to a classifier"):
        clf.fit(pairs, Y)
    assert len(clf.fit(list(pairs), Y).predict(list(pairs))) == len(X)
