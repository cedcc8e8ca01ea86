"""An exported directory predicts with only numpy, onnxruntime and tokenizers."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from sklearn_attnft import (
    AttentionFineTuneClassifier,
    AttentionFineTuneRegressor,
    MultiTaskClassifier,
    TransformerFeatureExtractor,
)

X = ["good day", "bad dog", "lovely night", "awful rain", "", "good " * 50] * 2
Y = ["good", "bad", "good", "bad", "bad", "good"] * 2
TAGS = [{"a"}, {"a", "b"}, set(), {"b"}, {"a"}, {"b"}] * 2
MATRIX = np.array([[1, 0], [0, 1], [1, 1], [0, 0], [0, 1], [1, 0]] * 2)
NUMBERS = np.arange(12.0)
NEW = [*X, "a fine [SEP] day \ud800", "so " * 31, "so " * 200, "how are you ?", "ß"]
SCORED = {"one class", "concat", "pairs, windows"}
PAIRS = list(zip(X, reversed(X), strict=True))
NEW_PAIRS = [*PAIRS, ("", ""), ("so " * 40, "bad " * 50), ("[SEP]", "ß \ud800")]
# Python of an environment with only the packages that serving needs; see the Makefile.
SERVING_PYTHON = os.environ.get("SERVING_PYTHON", sys.executable)
WITHOUT_TORCH = """
import json, sys
import numpy as np
sys.path.insert(0, sys.argv[1])
from predictor import OnnxPredictor

def as_json(answer):
    if isinstance(answer, dict):
        return {name: as_json(each) for name, each in answer.items()}
    if isinstance(answer, list):
        return [as_json(each) for each in answer]
    return [sorted(x) if isinstance(x, set) else x for x in answer.tolist()]

model = OnnxPredictor(sys.argv[1], threads=1)
texts, methods = json.loads(sys.stdin.read())
texts = [tuple(each) if isinstance(each, list) else each for each in texts]
answers = [as_json(getattr(model, method)(texts)) for method in methods]
packages = {"torch", "sklearn", "scipy", "transformers", "sklearn_attnft"}
assert not packages & set(sys.modules)
print(json.dumps(answers))
"""

pytestmark = pytest.mark.filterwarnings("ignore:.*longer than max_length")


def fit(kind, parameters):
    parameters = {**parameters, "max_epochs": 1}
    clf = AttentionFineTuneClassifier(**parameters)
    if kind == "one class":
        return clf.fit(X, Y)
    if kind == "lstm, windows":
        return clf.set_params(head="lstm", long_texts="window").fit(X, Y)
    if kind == "concat":
        parameters = {"pooling": "concat", "head": "mlp", "layers": [0, -1]}
        return clf.set_params(**parameters).fit(X, Y)
    if kind == "pairs, windows":
        return clf.set_params(long_texts="window").fit(PAIRS, Y)
    if kind == "label matrix":
        return clf.fit(X, MATRIX)
    if kind == "numbers":
        return AttentionFineTuneRegressor(**parameters).fit(X, NUMBERS)
    return MultiTaskClassifier(clf).fit(X, {"says": Y, "tags": TAGS})


def predict_alone(path, methods, texts=NEW):
    """Return the answers of a directory in the environment of SERVING_PYTHON."""
    done = subprocess.run(
        [SERVING_PYTHON, "-W", "error", "-I", "-c", WITHOUT_TORCH, path],
        input=json.dumps([texts, methods]),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize(
    "kind",
    [
        "one class",
        "lstm, windows",
        "concat",
        "pairs, windows",
        "label matrix",
        "numbers",
        "tasks",
    ],
)
def test_a_fitted_estimator(kind, small, tmp_path):
    model, texts = fit(kind, small), NEW_PAIRS if kind.startswith("pairs") else NEW
    methods = ["predict", "transform"]
    methods += ["predict_proba"] if hasattr(model, "predict_proba") else []
    methods += ["score_samples"] if kind in SCORED else []
    found = predict_alone(model.export_onnx(tmp_path / "model"), methods, texts)
    for method, answer in zip(methods, found, strict=True):
        expected = getattr(model, method)(texts)
        if method == "predict" and kind != "numbers":
            assert_same_labels(answer, expected)
        elif isinstance(expected, list):
            for one, other in zip(answer, expected, strict=True):
                np.testing.assert_allclose(one, other, atol=1e-5)
        else:
            atol = 1e-5 if method == "predict_proba" else 1e-3
            np.testing.assert_allclose(answer, expected, atol=atol, rtol=1e-4)


def assert_same_labels(found, expected):
    if not isinstance(expected, dict):
        assert found == expected.tolist()
        return
    assert list(found) == list(expected)
    for name in expected:
        # A text has one class, or the set of its tags.
        of_name = expected[name].tolist()
        assert found[name] == [
            sorted(each) if isinstance(each, set) else each for each in of_name
        ]


def test_an_extractor(small, tmp_path):
    kept = {key: small[key] for key in ("encoder", "max_length")}
    extractor = TransformerFeatureExtractor(**kept, precision="float32").fit(X)
    (found,) = predict_alone(extractor.export_onnx(tmp_path / "model"), ["transform"])
    np.testing.assert_allclose(found, extractor.transform(NEW), atol=1e-5)
