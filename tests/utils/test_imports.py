"""Imports are fast, and leave the garbage collector as it was."""

import gc
import subprocess
import sys

import pytest

from sklearn_attnft._utils._imports import paused_garbage_collection

CODE = """
import gc, sys
from sklearn_attnft import {name}
for package in ("skorch", "transformers"):
    assert package not in sys.modules, package
assert gc.isenabled()
"""


@pytest.mark.parametrize(
    "name",
    [
        "AttentionFineTuneClassifier",
        "AttentionFineTuneRegressor",
        "MultiTaskClassifier",
        "TransformerFeatureExtractor",
    ],
)
def test_an_estimator_imports_neither_skorch_nor_transformers(name):
    subprocess.run([sys.executable, "-c", CODE.format(name=name)], check=True)


@pytest.mark.parametrize("enabled", [True, False])
def test_the_collector_is_as_before(enabled):
    was_enabled = gc.isenabled()
    try:
        (gc.enable if enabled else gc.disable)()
        with paused_garbage_collection():
            assert not gc.isenabled()
        assert gc.isenabled() == enabled
    finally:
        (gc.enable if was_enabled else gc.disable)()
