"""The package with scikit-learn's older versions."""

import configparser
import pickle
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.utils.class_weight import compute_class_weight
from versions import has_sklearn

from sklearn_attnft import AttentionFineTuneClassifier
from sklearn_attnft._utils import _compat

ROOT = Path(__file__).parent.parent
X = ["good day", "bad dog", "lovely night", "awful rain", "fine man", "sad cat"] * 4
Y = ["good", "bad"] * 12
# Runs in a new process, in which the package cannot import sklearn.callback.
WITHOUT_CALLBACKS = """
import builtins, pickle, sys

true_import = builtins.__import__

def without_callbacks(name, globals=None, *args, **kwargs):
    importer = (globals or {}).get("__name__", "")
    if name == "sklearn.callback" and importer.startswith("sklearn_attnft"):
        raise ImportError(name)
    return true_import(name, globals, *args, **kwargs)

builtins.__import__ = without_callbacks
from sklearn_attnft import AttentionFineTuneClassifier
mode, directory = sys.argv[1:]
if mode == "write":
    with open(f"{directory}/task.pickle", "rb") as file:
        clf, X, Y = pickle.load(file)
    assert not hasattr(clf, "set_callbacks")
    clf.fit(X, Y).save(f"{directory}/saved")
    with open(f"{directory}/fitted.pickle", "wb") as file:
        pickle.dump((clf, clf.predict_proba(X)), file)
else:
    with open(f"{directory}/fitted.pickle", "rb") as file:
        clf, proba = pickle.load(file)
    X = ["good day", "bad dog", "lovely night"]
    assert (clf.predict_proba(X) == proba).all()
    loaded = AttentionFineTuneClassifier.load(f"{directory}/saved")
    assert (loaded.predict_proba(X) == proba).all()
"""


def run_without_callbacks(mode, directory):
    command = [sys.executable, "-c", WITHOUT_CALLBACKS, mode, str(directory)]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


def test_set_callbacks_exists_with_scikit_learn_1_9_only():
    has_callbacks = hasattr(AttentionFineTuneClassifier(), "set_callbacks")
    assert has_callbacks == has_sklearn("1.9")


def test_a_fit_without_callbacks_is_the_same_and_loads(small, tmp_path):
    clf = AttentionFineTuneClassifier(**small)
    (tmp_path / "task.pickle").write_bytes(pickle.dumps((clf, X, Y)))
    run_without_callbacks("write", tmp_path)
    loaded, proba = pickle.loads((tmp_path / "fitted.pickle").read_bytes())
    expected = clf.fit(X, Y).predict_proba(X)
    np.testing.assert_allclose(proba, expected, rtol=1e-5)
    np.testing.assert_array_equal(loaded.predict_proba(X), proba)
    loaded = AttentionFineTuneClassifier.load(tmp_path / "saved")
    np.testing.assert_array_equal(loaded.predict_proba(X), proba)


def test_a_fit_with_callbacks_loads_without_them(small, tmp_path):
    clf = AttentionFineTuneClassifier(**small).fit(X, Y)
    clf.save(tmp_path / "saved")
    fitted = pickle.dumps((clf, clf.predict_proba(X[:3])))
    (tmp_path / "fitted.pickle").write_bytes(fitted)
    run_without_callbacks("read", tmp_path)


@pytest.mark.parametrize("class_weight", [None, "balanced"])
@pytest.mark.parametrize("y", [[0, 1, 1, 2], [4, 4, 4, 9], [2, 0, 2, 2, 7]])
def test_class_weights_are_those_of_scikit_learn(class_weight, y):
    y = np.array(y)
    classes, ones = np.unique(y), np.ones(len(y))
    expected = compute_class_weight(class_weight, classes=classes, y=y)
    ours = _compat.compute_class_weight(
        class_weight, classes=classes, y=y, sample_weight=ones
    )
    np.testing.assert_array_equal(ours, expected)
    # A row of weight 2 counts as two rows.
    twice = np.append(y, y[:1])
    expected = compute_class_weight(class_weight, classes=classes, y=twice)
    ones[0] = 2
    ours = _compat.compute_class_weight(
        class_weight, classes=classes, y=y, sample_weight=ones
    )
    np.testing.assert_array_equal(ours, expected)


def pins(path):
    lines = Path(path).read_text(encoding="utf-8").splitlines()
    lines = [line for line in lines if line and not line.startswith("#")]
    assert all(line.count("==") == 1 for line in lines)
    return {
        re.sub("[-_.]+", "-", name).lower(): version
        for name, version in (line.split("==") for line in lines)
    }


def test_the_oldest_environment_has_the_versions_that_setup_cfg_requires():
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    required = setup["options"]["install_requires"].split()
    oldest = pins(ROOT / "constraints-oldest.txt")
    for line in required:
        name, floor = line.split(">=")
        pinned = oldest[re.sub("[-_.]+", "-", name).lower()]
        assert pinned in (floor, f"{floor}.0"), line
