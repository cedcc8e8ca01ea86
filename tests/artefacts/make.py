"""Write stored estimators of the current schema: ``python tests/artefacts/make.py``.

The version that introduces a schema writes them. Later versions must load them, which
``persistence/test_schema.py`` tests. The encoder is that of ``tiny.py`` with half its
width.
"""

import json
import pickle
import sys
import tempfile
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
TEXTS = ["good day", "bad dog", "lovely night", "awful rain", "", "good " * 50]


def fitted(encoder):
    """Return a fitted estimator of each class by name."""
    from sklearn.base import clone

    from sklearn_attnft import (
        AttentionFineTuneClassifier,
        AttentionFineTuneRegressor,
        MultiTaskClassifier,
        TransformerFeatureExtractor,
    )

    labels = np.array(["good", "bad", "good", "bad", "bad", "good"])
    small = {
        "max_length": 16,
        "long_texts": "window",
        "max_epochs": 5,
        "learning_rate": 1e-2,
        "head_learning_rate": 1e-2,
        "precision": "float32",
        "random_state": 0,
    }
    classifier = AttentionFineTuneClassifier(encoder, **small)
    hybrid = AttentionFineTuneClassifier(encoder, **small, head="lstm")
    regressor = AttentionFineTuneRegressor(encoder, **small)
    tags = np.array([[1, 0, 1], [0, 1, 0], [1, 1, 0], [0, 0, 0], [0, 1, 1], [1, 0, 0]])
    several = MultiTaskClassifier(clone(classifier), task_params={3: {"head": "mlp"}})
    features = TransformerFeatureExtractor(encoder, max_length=16, long_texts="window")
    return {
        "classifier": classifier.fit(TEXTS, labels),
        "hybrid": hybrid.fit(TEXTS, labels),
        "tags": clone(classifier).fit(TEXTS, tags),
        "regressor": regressor.fit(
            TEXTS, np.column_stack([np.arange(6.0), tags[:, 0]])
        ),
        "multitask": several.fit(TEXTS, {"a": labels, 3: [{1}, {2}, None] * 2}),
        "extractor": features.set_params(precision="float32").fit(TEXTS),
    }


def output(estimator):
    """Return the output that a loaded estimator must reproduce, as lists."""
    if not hasattr(estimator, "predict"):
        return estimator.transform(TEXTS).tolist()
    if not hasattr(estimator, "predict_proba"):
        return estimator.predict(TEXTS).tolist()
    probabilities = estimator.predict_proba(TEXTS)
    several = isinstance(probabilities, list)
    outputs = [*probabilities] if several else [probabilities]
    if getattr(estimator, "head", None) == "lstm":  # has the means of the classes
        outputs.append(estimator.score_samples(TEXTS))
    return [each.tolist() for each in outputs]


def main():
    """Write the directory of this schema, which must not exist."""
    sys.path.insert(0, str(HERE.parent))
    import tiny

    from sklearn_attnft._persistence._pack import SCHEMA

    directory = HERE / f"schema-{SCHEMA}"
    directory.mkdir()
    tiny.HIDDEN_SIZE = 16
    with tempfile.TemporaryDirectory() as temporary:
        estimators = fitted(tiny.save_tiny_encoder(temporary))
    for name, estimator in estimators.items():
        # The directory on this machine must not be stored.
        getattr(estimator, "estimator", estimator).encoder = "tiny"
        estimator._base_model = "tiny"
        (directory / f"{name}.pickle").write_bytes(pickle.dumps(estimator))
        estimator.save(directory / name)
    outputs = {name: output(estimator) for name, estimator in estimators.items()}
    (directory / "outputs.json").write_text(json.dumps(outputs))


if __name__ == "__main__":
    main()
