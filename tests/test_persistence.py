import os
import pickle
import shutil
import subprocess
import sys

import joblib
import numpy as np
import pytest
import tiny
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline

from sklearn_attnft import AttentionFineTuneClassifier, TransformerFeatureExtractor
from sklearn_attnft.datasets import load_support_tickets

X = ["good day", "bad dog", "lovely night", "awful rain", "", "good " * 50] * 3
Y = ["good", "bad", "good", "bad", "bad", "good"] * 3

# Loads a pickle where every connection is refused, and writes its outputs.
LOAD = """
import socket, sys, joblib, numpy
def refuse(*args): raise OSError("refused")
socket.socket.connect = socket.getaddrinfo = socket.create_connection = refuse
model, texts = joblib.load(sys.argv[1])
method = "predict_proba" if hasattr(model, "predict_proba") else "transform"
numpy.save(sys.argv[2], getattr(model, method)(texts))
"""


def outputs_of_a_new_process(model, directory, texts=X):
    dumped, output = directory / "model.joblib", directory / "output.npy"
    joblib.dump((model, texts), dumped)
    environment = {k: v for k, v in os.environ.items() if k != "HF_HUB_OFFLINE"}
    environment["OMP_NUM_THREADS"] = "1"  # equal bit for bit: as many as in this one
    command = [sys.executable, "-W", "error", "-c", LOAD, str(dumped), str(output)]
    subprocess.run(command, check=True, env=environment)
    return np.load(output)


@pytest.fixture
def passing_encoder(tmp_path):
    """Directory of an encoder that the test may delete."""
    return shutil.copytree(tiny.ENCODER, tmp_path / "passing")


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"layers": "last", "pooling": "concat", "head": "mlp"},
        {"layers": [0, -1], "trainable_layers": 1},
        {"long_texts": "window", "max_length": 10, "trainable_layers": 0},
    ],
)
def test_a_classifier_moves_to_a_new_process(
    parameters, small, passing_encoder, tmp_path
):
    parameters = {**small, "max_length": 60, "encoder": passing_encoder, **parameters}
    clf = AttentionFineTuneClassifier(**parameters).fit(X, Y)
    expected = clf.predict_proba(X)
    shutil.rmtree(passing_encoder)
    np.testing.assert_array_equal(outputs_of_a_new_process(clf, tmp_path), expected)


def test_an_extractor_moves_to_a_new_process(passing_encoder, tmp_path):
    extractor = TransformerFeatureExtractor(passing_encoder, max_length=60).fit(X)
    expected = extractor.transform(X)
    shutil.rmtree(passing_encoder)
    moved = outputs_of_a_new_process(extractor, tmp_path)
    np.testing.assert_array_equal(moved, expected)


def test_the_real_encoder_is_stored_once(tmp_path):
    clf = AttentionFineTuneClassifier(max_epochs=1, random_state=0).fit(X[:5], Y[:5])
    dumped = tmp_path / "model.joblib"
    joblib.dump(clf, dumped)
    weights = sum(p.numel() * p.element_size() for p in clf.module_.parameters())
    assert weights <= dumped.stat().st_size <= 1.05 * weights
    moved = outputs_of_a_new_process(clf, tmp_path, X[:5])
    np.testing.assert_array_equal(moved, clf.predict_proba(X[:5]))


@pytest.mark.slow  # 21 fits of the default encoder
def test_the_best_of_a_grid_moves_to_a_new_process(tmp_path):
    texts, topics = load_support_tickets(subset="train", return_X_y=True)
    search = GridSearchCV(
        Pipeline([("clf", AttentionFineTuneClassifier(random_state=0))]),
        {"clf__learning_rate": [1e-4, 2e-4], "clf__pooling": ["attention", "mean"]},
        n_jobs=2,
    )
    best = search.fit(texts[:300], topics[:300]).best_estimator_
    assert search.cv_results_["mean_test_score"].min() > 0.5
    assert best.score(texts[300:], topics[300:]) > 0.5
    moved = outputs_of_a_new_process(best, tmp_path, texts[300:400])
    np.testing.assert_array_equal(moved, best.predict_proba(texts[300:400]))


def test_what_is_pickled_is_plain_data(small):
    state = AttentionFineTuneClassifier(**small).fit(X[:4], Y[:4]).__getstate__()
    packed = state["_packed"]
    assert {type(v) for v in packed.values()} <= {int, str, dict, bytes}
    assert not {"module_", "_tokenizer"} & set(state)


def test_a_loaded_estimator_can_be_fitted_pickled_and_trained_again(small):
    texts, labels = X[:4], Y[:4]
    clf = AttentionFineTuneClassifier(**small).fit(texts, labels)
    loaded = pickle.loads(pickle.dumps(pickle.loads(pickle.dumps(clf))))
    expected = clf.predict_proba(texts)
    np.testing.assert_array_equal(loaded.predict_proba(texts), expected)
    refitted = loaded.fit(texts, labels).predict_proba(texts)
    np.testing.assert_array_equal(refitted, expected)


def test_a_pickle_of_a_newer_version_says_so(small):
    state = AttentionFineTuneClassifier(**small).fit(X[:4], Y[:4]).__getstate__()
    state["_packed"]["schema"] += 1
    with pytest.raises(ValueError, match=r"newer sklearn_attnft.* upgrade"):
        AttentionFineTuneClassifier.__new__(AttentionFineTuneClassifier).__setstate__(
            state
        )


def test_the_fitted_cut_is_pickled_not_the_parameter(small):
    clf = AttentionFineTuneClassifier(**small | {"max_length": 60}).fit(X, Y)
    expected = clf.predict_proba(X)
    clf.set_params(max_length=10, long_texts="window", layers="last", head="mlp")
    np.testing.assert_array_equal(clf.predict_proba(X), expected)
    loaded = pickle.loads(pickle.dumps(clf))
    np.testing.assert_array_equal(loaded.predict_proba(X), expected)
