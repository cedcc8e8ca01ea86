"""Exported estimators of pairs predict as the estimators."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from test_export import assert_same_error

from sklearn_attnft import (
    AttentionFineTuneClassifier,
    AttentionFineTuneRegressor,
    MultiTaskClassifier,
)
from sklearn_attnft.predictor import OnnxPredictor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

QUESTIONS = [f"how was the {w}" for w in ("day", "night", "dog", "cat", "ride", "fish")]
ANSWERS = [f"it was {w}" for w in ("good", "awful", "lovely", "bad", "funny", "poor")]
X = [(question, answer) for question in QUESTIONS for answer in ANSWERS]
Y = ["glad", "cross"] * 18
FRAME = pd.DataFrame(X, columns=["question", "answer"])
NEW = [*X[:3], ("", ""), ("", "so " * 90), ("so " * 40, "bad " * 50), ("[SEP]", "ß")]


def fitted(kind, small):
    """Return a fitted estimator."""
    small = {**small, "max_epochs": 1}
    clf = AttentionFineTuneClassifier(**small)
    if kind == "classifier":
        return clf.fit(FRAME, Y)
    if kind == "classifier, windows":
        return clf.set_params(long_texts="window").fit(FRAME, Y)
    if kind == "regressor":
        return AttentionFineTuneRegressor(**small).fit(X, np.arange(36.0))
    tasks = {"mood": Y, "long": [len(q) > 16 for q, _ in X]}
    return MultiTaskClassifier(clf).fit(X, tasks)


@pytest.mark.parametrize(
    "kind", ["classifier", "classifier, windows", "regressor", "tasks"]
)
def test_exports_read_the_same_pairs(kind, small, tmp_path):
    estimator = fitted(kind, small)
    model = OnnxPredictor(estimator.export_onnx(tmp_path / "model", check_texts=FRAME))
    assert model.config_["n_texts"] == 2
    assert '[("The first text of a pair.", "The second text.")]' in (
        tmp_path / "model" / "README.md"
    ).read_text(encoding="utf-8")
    expected = estimator.transform(NEW)
    np.testing.assert_allclose(model.transform(NEW), expected, atol=1e-3)
    for held in (X, np.array(X), FRAME, pl.DataFrame(FRAME)):
        found, expected = model.predict(held), estimator.predict(held)
        if isinstance(found, dict):
            found, expected = found["mood"], expected["mood"]
        if np.asarray(found).dtype.kind == "f":
            np.testing.assert_allclose(found, expected, rtol=1e-4)
        else:
            assert list(found) == list(expected)
    for wrong in (ANSWERS, FRAME.assign(more=Y), [("a", None)], [["a", "b"]]):
        assert_same_error(estimator, model, wrong)
    if kind.startswith("classifier"):  # only these were fitted on a data frame
        with pytest.raises(ValueError, match="must have the same columns as in fit"):
            model.predict(FRAME[["answer", "question"]])
