"""Estimators stored by earlier versions can be loaded, see ``artefacts/make.py``."""

import json
import pickle
import sys
from pathlib import Path

import numpy as np
import pytest

import sklearn_attnft
from sklearn_attnft._persistence._pack import MIGRATIONS, SCHEMA

ARTEFACTS = Path(__file__).parents[1] / "artefacts"
sys.path.insert(0, str(ARTEFACTS))
CLASSES = {
    "classifier": sklearn_attnft.AttentionFineTuneClassifier,
    "multitask": sklearn_attnft.MultiTaskClassifier,
    "extractor": sklearn_attnft.TransformerFeatureExtractor,
}


@pytest.mark.parametrize("form", ["pickle", "directory"])
@pytest.mark.parametrize("name", CLASSES)
@pytest.mark.parametrize("schema", range(1, SCHEMA + 1))
def test_what_was_stored_gives_the_same(schema, name, form):
    import make

    stored = ARTEFACTS / f"schema-{schema}"
    if form == "pickle":
        loaded = pickle.loads((stored / f"{name}.pickle").read_bytes())
    else:
        loaded = CLASSES[name].load(stored / name)
    assert type(loaded) is CLASSES[name]
    expected = json.loads((stored / "outputs.json").read_text())[name]
    for ours, theirs in zip(make.output(loaded), expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-5)


def test_every_older_schema_has_its_migration():
    assert set(MIGRATIONS) == set(range(1, SCHEMA))
