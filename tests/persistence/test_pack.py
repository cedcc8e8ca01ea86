import copy
import os
import pickle
import shutil
import subprocess
import sys

import joblib
import numpy as np
import pytest
import skops.io
import tiny
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline, make_pipeline

from sklearn_attnft import (
    SKOPS_TRUSTED_TYPES,
    AttentionFineTuneClassifier,
    MultiTaskClassifier,
    TransformerFeatureExtractor,
    _hf,
)
from sklearn_attnft._persistence import _pack
from sklearn_attnft.datasets import load_support_tickets

X = ["good day", "bad dog", "lovely night", "awful rain", "", "good " * 50] * 3
Y = ["good", "bad", "good", "bad", "bad", "good"] * 3

# Load a pickle without network and write the outputs.
LOAD = """
import socket, sys, joblib, numpy
def refuse(*args): raise OSError("refused")
socket.socket.connect = socket.getaddrinfo = socket.create_connection = refuse
models, texts = joblib.load(sys.argv[1])
method = "predict_proba" if hasattr(models[0], "predict_proba") else "transform"
outputs = [getattr(model, method)(texts) for model in models]
numpy.save(sys.argv[2], numpy.stack(outputs))
"""


def outputs_of_a_new_process(*models, directory, texts=X):
    dumped, output = directory / "models.joblib", directory / "outputs.npy"
    joblib.dump((models, texts), dumped)
    environment = {k: v for k, v in os.environ.items() if k != "HF_HUB_OFFLINE"}
    environment["OMP_NUM_THREADS"] = "1"  # equal bit for bit: as many as in this one
    command = [sys.executable, "-W", "error", "-c", LOAD, str(dumped), str(output)]
    subprocess.run(command, check=True, env=environment)
    return np.load(output)


@pytest.fixture
def passing_encoder(tmp_path):
    """Directory of an encoder that the test may delete."""
    return shutil.copytree(tiny.ENCODER, tmp_path / "passing")


def test_classifiers_move_to_a_new_process(small, passing_encoder, tmp_path):
    small |= {"max_length": 60, "encoder": passing_encoder}
    several = [
        {},
        {"layers": "last", "pooling": "concat", "head": "mlp"},
        {"layers": [0, -1], "trainable_layers": 1},
        {"long_texts": "window", "max_length": 10, "trainable_layers": 0},
    ]
    models = [
        AttentionFineTuneClassifier(**small | parameters).fit(X, Y)
        for parameters in several
    ]
    expected = [clf.predict_proba(X) for clf in models]
    shutil.rmtree(passing_encoder)
    moved = outputs_of_a_new_process(*models, directory=tmp_path)
    np.testing.assert_array_equal(moved, expected)


def test_an_extractor_moves_to_a_new_process(passing_encoder, tmp_path):
    extractor = TransformerFeatureExtractor(passing_encoder, max_length=60).fit(X)
    expected = extractor.transform(X)
    shutil.rmtree(passing_encoder)
    (moved,) = outputs_of_a_new_process(extractor, directory=tmp_path)
    np.testing.assert_array_equal(moved, expected)


def test_the_real_encoder_is_stored_once(tmp_path):
    clf = AttentionFineTuneClassifier(max_epochs=1, random_state=0).fit(X[:5], Y[:5])
    dumped = tmp_path / "model.joblib"
    joblib.dump(clf, dumped)
    weights = sum(p.numel() * p.element_size() for p in clf.module_.parameters())
    tokenizer = len(clf._tokenizer.json.encode())
    assert weights <= dumped.stat().st_size <= 1.02 * (weights + tokenizer)
    (moved,) = outputs_of_a_new_process(clf, directory=tmp_path, texts=X[:5])
    np.testing.assert_array_equal(moved, clf.predict_proba(X[:5]))


def test_the_difference_to_the_real_encoder_is_small(tmp_path):
    clf = AttentionFineTuneClassifier(
        trainable_layers=0, pickle_weights="delta", max_epochs=1, random_state=0
    ).fit(X[:5], Y[:5])
    assert len(pickle.dumps(clf)) < 1_000_000
    (moved,) = outputs_of_a_new_process(clf, directory=tmp_path, texts=X[:5])
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
    (moved,) = outputs_of_a_new_process(best, directory=tmp_path, texts=texts[300:400])
    np.testing.assert_array_equal(moved, best.predict_proba(texts[300:400]))


@pytest.fixture
def delta(small, passing_encoder):
    """Parameters of a classifier that is pickled as a difference."""
    encoder = str(passing_encoder)
    return {**small, "max_length": 60, "encoder": encoder, "pickle_weights": "delta"}


@pytest.mark.parametrize("trainable_layers", [0, 1, "all"])
def test_a_difference_is_as_small_as_what_was_trained(trainable_layers, delta):
    delta |= {"trainable_layers": trainable_layers}
    clf = AttentionFineTuneClassifier(**delta).fit(X, Y)
    full = len(pickle.dumps(copy.copy(clf).set_params(pickle_weights="full")))
    size = len(pickle.dumps(clf))
    assert size < {0: 0.1, 1: 0.6, "all": 1}[trainable_layers] * full
    loaded = pickle.loads(pickle.dumps(clf))
    np.testing.assert_array_equal(loaded.predict_proba(X), clf.predict_proba(X))


def test_a_difference_moves_to_a_new_process(delta, tmp_path):
    clf = AttentionFineTuneClassifier(**delta | {"trainable_layers": 1}).fit(X, Y)
    (moved,) = outputs_of_a_new_process(clf, directory=tmp_path)
    np.testing.assert_array_equal(moved, clf.predict_proba(X))


def test_a_template_says_how_several_label_sets_are_pickled(delta):
    delta |= {"trainable_layers": 0}
    clf = MultiTaskClassifier(AttentionFineTuneClassifier(**delta))
    clf.fit(X, {"a": Y, "b": Y[::-1]})
    dumped = pickle.dumps(clf)
    assert len(dumped) < 0.2 * len(
        pickle.dumps(clf.set_params(estimator__pickle_weights="full"))
    )
    loaded = pickle.loads(dumped)
    np.testing.assert_array_equal(loaded.predict_proba(X), clf.predict_proba(X))
    view = pickle.loads(
        pickle.dumps(loaded.task("b").set_params(pickle_weights="delta"))
    )
    np.testing.assert_array_equal(view.predict_proba(X), clf.predict_proba(X)[1])


def test_the_encoder_of_the_fit_counts_from_wherever_it_is_loaded(
    delta, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    delta |= {"encoder": "passing", "trainable_layers": 0}
    clf = AttentionFineTuneClassifier(**delta).fit(X, Y)
    clf.set_params(encoder="another", max_length=8)
    (tmp_path / "else").mkdir()
    monkeypatch.chdir(tmp_path / "else")
    dumped = pickle.dumps(clf)
    assert len(dumped) < 20_000
    loaded = pickle.loads(dumped)
    np.testing.assert_array_equal(loaded.predict_proba(X), clf.predict_proba(X))
    assert loaded.encoder == "another"


@pytest.mark.parametrize("changed", ["weights", "words", "shapes"])
def test_an_encoder_that_changed_since_the_fit(changed, delta, passing_encoder):
    delta |= {"trainable_layers": 0}
    clf = AttentionFineTuneClassifier(**delta).fit(X, Y)
    before = pickle.dumps(clf)
    if changed == "shapes":
        tiny.save_tiny_encoder(str(passing_encoder), words=tiny.WORDS[:50])
    elif changed == "weights":
        tiny.save_tiny_encoder(str(passing_encoder), seed=1)
    else:
        tiny.save_tiny_encoder(str(passing_encoder), words=tiny.WORDS[::-1])
    loaded = pickle.loads(pickle.dumps(clf))  # with the encoder as it is now
    np.testing.assert_array_equal(loaded.predict_proba(X), clf.predict_proba(X))
    with pytest.raises(
        ValueError, match=r"of sha256 \w{64}, but the encoder in .*: copy"
    ):
        pickle.loads(before)


def test_an_encoder_that_is_missing(delta, passing_encoder):
    clf = AttentionFineTuneClassifier(**delta).fit(X, Y)
    dumped = pickle.dumps(clf)
    shutil.rmtree(passing_encoder)
    with pytest.raises(
        ValueError, match=r"needs the encoder .*/passing.* sha256 \w{64}"
    ):
        pickle.loads(dumped)
    with pytest.warns(UserWarning, match="The pickle contains all weights"):
        dumped = pickle.dumps(clf)
    loaded = pickle.loads(dumped)
    np.testing.assert_array_equal(loaded.predict_proba(X), clf.predict_proba(X))


def test_bits_decide(tiny_encoder):
    same = _hf.same_bits
    assert not same(torch.tensor([0.0]), torch.tensor([-0.0]))
    assert not same(torch.tensor([0.0]), torch.tensor([0.0, 0.0]))
    assert not same(torch.tensor([1], dtype=torch.int32), torch.tensor([1]))
    assert same(torch.tensor([float("nan")]), torch.tensor([float("nan")]))


@pytest.mark.parametrize("pickle_weights", ["full", "delta"])
def test_loading_leaves_the_global_random_state(pickle_weights, delta):
    delta |= {"pickle_weights": pickle_weights}
    clf = AttentionFineTuneClassifier(**delta).fit(X, Y)
    torch.manual_seed(1)
    before = torch.get_rng_state()
    pickle.loads(pickle.dumps(clf))
    assert torch.equal(torch.get_rng_state(), before)


def test_weights_that_are_no_match_are_refused(small):
    state = AttentionFineTuneClassifier(**small).fit(X[:4], Y[:4]).__getstate__()
    state["_packed"]["encoder"] = state["_packed"]["heads"]
    with pytest.raises(ValueError, match="the pickle must have the weights"):
        AttentionFineTuneClassifier().__setstate__(state)


def test_damaged_weights_are_refused(small):
    state = AttentionFineTuneClassifier(**small).fit(X[:4], Y[:4]).__getstate__()
    state["_packed"]["encoder"] = state["_packed"]["encoder"][:-1]
    with pytest.raises(ValueError, match="the pickle must be a complete safetensors"):
        AttentionFineTuneClassifier().__setstate__(state)


def test_an_older_schema_is_migrated(small, monkeypatch):
    clf = AttentionFineTuneClassifier(**small).fit(X[:4], Y[:4])
    packed = clf.__getstate__()["_packed"]
    older = {**packed, "schema": -1, "specification": packed["spec"]}
    del older["spec"]

    def to_0(packed):
        return {**packed, "schema": 0, "tokenizer": packed["tokenizer"]}

    def to_1(packed):
        packed = {**packed, "schema": 1, "spec": packed["specification"]}
        del packed["specification"]
        return packed

    monkeypatch.setattr(_pack, "MIGRATIONS", {-1: to_0, 0: to_1})
    state = {**clf.__getstate__(), "_packed": older}
    loaded = AttentionFineTuneClassifier.__new__(AttentionFineTuneClassifier)
    loaded.__setstate__(state)
    np.testing.assert_array_equal(loaded.predict_proba(X), clf.predict_proba(X))


def test_skops_stores_pipelines(small):
    classifier = AttentionFineTuneClassifier(**small | {"max_length": 60})
    extractor = TransformerFeatureExtractor(tiny.ENCODER, max_length=60)
    for model, y in (
        (make_pipeline("passthrough", classifier), Y),
        (make_pipeline(extractor, LogisticRegression()), Y),
        (make_pipeline(MultiTaskClassifier(classifier)), {"a": Y, "b": Y[::-1]}),
    ):
        model.fit(X, y)
        dumped = skops.io.dumps(model)
        loaded = skops.io.loads(dumped, trusted=SKOPS_TRUSTED_TYPES)
        outputs, expected = loaded.predict_proba(X), model.predict_proba(X)
        np.testing.assert_array_equal(np.stack(outputs), np.stack(expected))


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
    with pytest.raises(ValueError, match=r"newer sklearn_attnft.* Upgrade"):
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
