import numpy as np
import pandas as pd
import pytest
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.preprocessing import normalize

from sklearn_attnft.datasets import LABELS, load_support_tickets


def test_the_corpus_agrees_with_its_description():
    tickets = load_support_tickets()
    texts = tickets.data
    assert len(texts) >= 600
    assert f"{len(texts)} messages" in tickets.DESCR
    lengths = [len(text.split()) for text in texts]
    assert 5 <= min(lengths) <= max(lengths) <= 120
    for label, n_classes in zip(LABELS, (7, 3, 3), strict=True):
        labels = load_support_tickets(label=label).target
        classes, counts = np.unique(labels.astype(str), return_counts=True)
        assert len(classes) == n_classes
        assert counts.min() >= 60


def test_no_two_tickets_are_nearly_equal():
    grams = CountVectorizer(analyzer="char", ngram_range=(4, 4))
    counts = normalize(grams.fit_transform(load_support_tickets().data).astype(float))
    similar = (counts @ counts.T).toarray()
    np.fill_diagonal(similar, 0)
    i, j = np.unravel_index(similar.argmax(), similar.shape)
    assert similar[i, j] <= 0.8, load_support_tickets().data[[i, j]]


def test_the_split_is_fixed_and_both_parts_have_every_class():
    train, test = (load_support_tickets(subset=s) for s in ("train", "test"))
    assert not set(train.data) & set(test.data)
    both = load_support_tickets()
    np.testing.assert_array_equal(both.data, np.concatenate([train.data, test.data]))
    assert set(train.target) == set(test.target) == set(both.target_names)
    assert 0.2 < len(test.data) / len(both.data) < 0.3


def test_several_labels_become_columns_of_the_target():
    several = load_support_tickets(label=["topic", "urgency"])
    assert several.target.shape == (len(several.data), 2)
    assert several.target_names["urgency"] == ["high", "low", "normal"]
    urgency = load_support_tickets(label="urgency", return_X_y=True)[1]
    np.testing.assert_array_equal(several.target[:, 1], urgency)


def test_as_frame_returns_pandas_objects():
    tickets = load_support_tickets(as_frame=True, subset="test")
    assert list(tickets.frame.columns) == ["text", *LABELS]
    assert isinstance(tickets.data, pd.Series)
    assert tickets.target.name == "topic"
    X, Y = load_support_tickets(
        as_frame=True, subset="test", label=list(LABELS), return_X_y=True
    )
    assert list(Y.columns) == list(LABELS)
    assert len(X) == len(Y)


@pytest.mark.parametrize(
    "arguments", [{"label": "color"}, {"subset": "dev"}, {"label": ["x"]}]
)
def test_an_unknown_label_or_subset_is_refused(arguments):
    with pytest.raises(ValueError, match=r"color|dev|got \['x'\]"):
        load_support_tickets(**arguments)
