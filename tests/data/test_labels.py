"""Labels that look like marks for texts without a label."""

import warnings

import numpy as np
import pytest

from sklearn_attnft import AttentionFineTuneClassifier, MultiTaskClassifier

X = ["good day", "bad dog", "lovely night", "awful rain"] * 3


@pytest.mark.parametrize(
    "y",
    [
        ["a", "b", "-1", "-1"] * 3,
        ["a", "b", "", ""] * 3,
        [0, 1, -1, -1] * 3,
        np.array([0.0, 1.0, -1.0, -1.0] * 3),
        np.array(["a", "b", np.nan, np.nan] * 3),
    ],
    ids=["str", "empty", "int", "float", "nan"],
)
def test_a_mark_that_is_trained_as_a_class_warns(y, small):
    with pytest.warns(UserWarning, match="for 6 of 12 .* treats it as a class"):
        AttentionFineTuneClassifier(**{**small, "max_epochs": 1}).fit(X, y)


def test_a_mark_in_a_task_warns(small):
    y = {"tone": ["a", "b", "-1", None] * 3, "size": [-1, 1] * 6}
    clf = MultiTaskClassifier(AttentionFineTuneClassifier(**{**small, "max_epochs": 1}))
    with pytest.warns(UserWarning, match="Task 'tone' .* 3 of 9 .* replace it by None"):
        clf.fit(X, y)


@pytest.mark.parametrize("y", [[-1, 1, 1, -1] * 3, ["-1", "b"] * 6, ["", "b"] * 6])
def test_a_label_that_is_needed_does_not_warn(y, small):
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*treats it as a class")
        clf = AttentionFineTuneClassifier(**{**small, "max_epochs": 1})
        clf.fit(X, y)


def test_missing_labels_lead_to_unlabeled_texts(small):
    y = ["a", None, "b", np.nan] * 3
    match = r"got missing labels .* for 6 of 12 texts, the first at position 1. Fit on"
    with pytest.raises(ValueError, match=match):
        AttentionFineTuneClassifier(**small).fit(X, y)
