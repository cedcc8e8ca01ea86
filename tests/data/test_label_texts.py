"""Test label texts: the checks, the added texts, and fits with label texts."""

import numpy as np
import pandas as pd
import pytest
import tiny
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

from sklearn_attnft import AttentionFineTuneClassifier, MultiTaskClassifier
from sklearn_attnft._data._label_texts import add_label_texts, texts_of_classes
from sklearn_attnft._data._labeled import LabeledTexts
from sklearn_attnft._data._targets import OneOfN, TagMatrix, Tags

X = ["good day", "bad dog", "lovely night", "awful rain", "fine man", "sad cat"]
Y = np.array(["nice", "sad"] * 3)
DICT = {"nice": ["a good thing", "a lovely thing"], "sad": "a bad thing"}
TOPIC = OneOfN("topic", np.array(["nice", "sad"]))
NUMBER = OneOfN("number", np.array([1, 2]))
TAGS = Tags("tags", np.array(["a", "b"]))


def labeled(weights=None, **kwargs):
    labels = np.arange(6) % 2, np.zeros(6, int)
    weights = np.ones((6, 2)) if weights is None else np.array(weights, float)
    return LabeledTexts(X, labels, weights, **kwargs)


def fitted(X=X, y=Y, **parameters):
    parameters = {"max_epochs": 2, "random_state": 0, "max_length": 64, **parameters}
    return AttentionFineTuneClassifier(tiny.ENCODER, **parameters).fit(X, y)


def test_label_texts_are_labeled_texts_of_one_task():
    data = add_label_texts(labeled(), (TOPIC, NUMBER), [DICT, None])
    assert data.texts == [*X, "a good thing", "a lovely thing", "a bad thing"]
    assert data.labels[0][6:].tolist() == [0, 0, 1]
    assert data.weights[6:].tolist() == [[1, 0]] * 3


def test_weights_are_the_mean_weight_of_the_labels_of_the_task():
    weights = [[2, 7]] * 3 + [[4, 7]] * 2 + [[0, 7]]
    data = add_label_texts(labeled(weights), (TOPIC, NUMBER), [DICT, None])
    assert data.weights[6:, 0] == pytest.approx((3 * 2 + 2 * 4) / 5)


def test_label_texts_have_the_class_weight_of_their_class():
    class_weights = np.array([[3.0, 1.0], [5.0, 1.0]] * 3)
    data = labeled(class_weights=class_weights)
    data = add_label_texts(data, (TOPIC, NUMBER), [DICT, None])
    assert data.class_weights[6:, 0].tolist() == [3, 3, 5]


def test_a_class_without_labels_gets_no_texts():
    weights = [[1, 1], [0, 1]] * 3
    data = add_label_texts(labeled(weights), (TOPIC, NUMBER), [DICT, None])
    assert data.texts[6:] == ["a good thing", "a lovely thing"]


def test_other_tags_of_a_label_text_are_unknown():
    tags = np.array([[1, 0], [0, 1], [1, 1]], dtype=np.float32)
    data = LabeledTexts(X[:3], (tags,), np.ones((3, 1)))
    data = add_label_texts(data, (TAGS,), [{"b": "text of b"}])
    assert np.isnan(data.labels[0][3, 0])
    assert data.labels[0][3, 1] == 1
    assert tags.tolist() == [[1, 0], [0, 1], [1, 1]]  # not changed in place


def test_classes_are_texts():
    assert texts_of_classes("classes", TOPIC) == [["nice"], ["sad"]]
    assert texts_of_classes({2: "two", 9: "nine"}, NUMBER) == [[], ["two"]]
    assert texts_of_classes({np.int64(2): ("two", "zwei")}, NUMBER)[1] == [
        "two",
        "zwei",
    ]
    matrix = TagMatrix("tags", np.arange(2))
    assert texts_of_classes({1: pd.Series(["b"])}, matrix) == [[], ["b"]]


@pytest.mark.parametrize(
    ("value", "target", "error", "message"),
    [
        ("classes", NUMBER, ValueError, "a dict if the labels of task 'number' are"),
        ({1: "x"}, TOPIC, ValueError, r"must have .* task 'topic' as keys, got \[1\]"),
        ({"sad": {"a": 1}}, TOPIC, ValueError, "a list of texts for each class, got"),
        ({"sad": 3}, TOPIC, TypeError, r"`label_texts\['sad'\]` must be"),
        ({"sad": []}, TOPIC, ValueError, "at least one text"),
        ({"sad": ["x", None]}, TOPIC, ValueError, "a missing value"),
    ],
)
def test_bad_label_texts_raise(value, target, error, message):
    with pytest.raises(error, match=message):
        texts_of_classes(value, target)


@pytest.mark.parametrize(
    "more", [{}, {"trainable_layers": 0}, {"contrastive_epochs": 1}]
)
def test_a_fit_with_label_texts_equals_a_fit_with_more_texts(more):
    more_X = [*X, "a good thing", "a lovely thing", "a bad thing"]
    expected = fitted(more_X, [*Y, "nice", "nice", "sad"], **more)
    actual = fitted(label_texts=DICT, **more)
    np.testing.assert_array_equal(actual.predict_proba(X), expected.predict_proba(X))
    assert actual.n_samples_fit_ == 6


def test_label_texts_are_not_validation_texts():
    early = {"early_stopping": True, "validation_fraction": 0.34, "layers": "last"}
    without = fitted(label_texts=None, learning_rate=1e-12, **early)
    with_texts = fitted(label_texts=DICT, learning_rate=1e-12, **early)
    # Three validation texts in both fits; with the label texts there would be four.
    for each in (without, with_texts):
        accuracies = 3 * np.array([row["valid_accuracy"] for row in each.history_])
        np.testing.assert_allclose(accuracies, accuracies.round(), atol=1e-6)


def test_folds_that_lack_a_class_ignore_its_texts():
    y = np.array(["nice", "sad", "rare"] * 2)
    texts = {"nice": "good", "sad": "bad", "rare": "never seen"}
    model = fitted(X[:2], y[:2], label_texts=texts)
    assert model.classes_.tolist() == ["nice", "sad"]


def test_label_texts_without_a_class_of_y_are_not_used():
    with pytest.warns(UserWarning, match=r"not used.* task 'topic' as keys, got \['gl"):
        assert texts_of_classes({"glad": "x"}, TOPIC) == [[], []]
    with pytest.warns(UserWarning, match=r"Use the classes \['nice', 'sad'\] as keys"):
        model = fitted(label_texts={"rare": "never seen"})
    np.testing.assert_array_equal(model.predict_proba(X), fitted().predict_proba(X))


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_label_texts_of_a_matrix_have_the_names_of_its_columns():
    y = pd.DataFrame({"nice": [1, 0] * 3, "long": [1, 1, 0] * 2})
    expected = fitted(y=y.to_numpy(), label_texts={0: "nice", 1: "long"})
    for label_texts in ({"long": "long", "nice": ["nice"]}, "classes"):
        actual = fitted(y=y, label_texts=label_texts)
        assert actual.predict_proba(X).tolist() == expected.predict_proba(X).tolist()
    with pytest.raises(ValueError, match=r"Use the classes \['nice', 'long'\]"):
        fitted(y=y, label_texts={0: "nice"})


def test_label_texts_can_be_searched_and_cloned():
    model = AttentionFineTuneClassifier(tiny.ENCODER, max_epochs=1, max_length=64)
    grid = {"label_texts": [None, "classes", DICT]}
    search = GridSearchCV(model, grid, cv=2, error_score="raise").fit(X * 2, [*Y, *Y])
    best = clone(search.best_estimator_)
    assert best.label_texts == search.best_params_["label_texts"]


def test_tasks_have_label_texts_of_their_own():
    y = pd.DataFrame({"topic": Y, "number": [1, 2, 2, 1, 1, 2]})
    model = AttentionFineTuneClassifier(tiny.ENCODER, max_epochs=1, max_length=64)
    params = {
        "topic": {"label_texts": "classes"},
        "number": {"label_texts": {1: "one"}},
    }
    alone = MultiTaskClassifier(clone(model)).fit(X, y)
    described = MultiTaskClassifier(model, task_params=params).fit(X, y)
    assert described.n_samples_fit_ == 6
    assert not np.allclose(described.predict_proba(X)[0], alone.predict_proba(X)[0])
    with pytest.raises(ValueError, match="a dict if the labels of task 'number'"):
        clone(described).set_params(
            estimator__label_texts="classes", task_params=None
        ).fit(X, y)


def test_label_texts_survive_saving(tmp_path):
    model = fitted(label_texts=DICT)
    loaded = AttentionFineTuneClassifier.load(model.save(tmp_path / "model"))
    assert loaded.label_texts == DICT
    np.testing.assert_array_equal(loaded.predict_proba(X), model.predict_proba(X))
