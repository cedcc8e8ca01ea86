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
        MultiTaskClassifier,
        TransformerFeatureExtractor,
    )

    labels = np.array(["good", "bad", "good", "bad", "bad", "good"])
    classifier = AttentionFineTuneClassifier(
        encoder,
        max_length=16,
        long_texts="window",
        max_epochs=5,
        learning_rate=1e-2,
        head_learning_rate=1e-2,
        precision="float32",
        random_state=0,
    )
    several = MultiTaskClassifier(clone(classifier), task_params={3: {"head": "mlp"}})
    features = TransformerFeatureExtractor(encoder, max_length=16, long_texts="window")
    return {
        "classifier": classifier.fit(TEXTS, labels),
        "multitask": several.fit(TEXTS, {"a": labels, 3: [{1}, {2}, None] * 2}),
        "extractor": features.set_params(precision="float32").fit(TEXTS),
    }


def output(estimator):
    """Return the output that a loaded estimator must reproduce, as lists."""
    if not hasattr(estimator, "predict_proba"):
        return estimator.transform(TEXTS).tolist()
    probabilities = estimator.predict_proba(TEXTS)
    several = isinstance(probabilities, list)
    return [each.tolist() for each in (probabilities if several else [probabilities])]


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
