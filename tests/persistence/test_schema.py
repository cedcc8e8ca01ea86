"""Estimators stored by earlier versions can be loaded, see ``artefacts/make.py``."""

import hashlib
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
    "hybrid": sklearn_attnft.AttentionFineTuneClassifier,
    "multitask": sklearn_attnft.MultiTaskClassifier,
    "regressor": sklearn_attnft.AttentionFineTuneRegressor,
    "tags": sklearn_attnft.AttentionFineTuneClassifier,
    "extractor": sklearn_attnft.TransformerFeatureExtractor,
}
# Released schemas, and the sha256 of what was stored in them.
FROZEN = {1: "d843188e1f5c263150943b75dcd17fc4b2b1bfcc0673f1e393329c29e5f4921e"}


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


@pytest.mark.parametrize("schema", FROZEN)
def test_the_schema_of_a_release_is_frozen(schema):
    """A change of the format needs a new schema, and not other artifacts."""
    stored = ARTEFACTS / f"schema-{schema}"
    digest = hashlib.sha256()
    for path in sorted(stored.rglob("*")):
        if path.is_file():
            digest.update(path.relative_to(stored).as_posix().encode())
            digest.update(path.read_bytes())
    assert digest.hexdigest() == FROZEN[schema]
