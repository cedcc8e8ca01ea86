"""Exported directories predict as the estimators, also without torch."""

import json
import os
import pickle
import shutil
import subprocess
import sys
import threading
import warnings

import numpy as np
import onnx
import onnxruntime
import pandas as pd
import pytest
import tiny
import torch
from sklearn.base import is_regressor
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from sklearn_attnft import (
    AttentionFineTuneClassifier,
    AttentionFineTuneRegressor,
    MultiTaskClassifier,
    TransformerFeatureExtractor,
)
from sklearn_attnft import predictor as predictor_module
from sklearn_attnft._export import _onnx
from sklearn_attnft._export._int8 import to_int8
from sklearn_attnft.predictor import OnnxPredictor

X = ["good day", "bad dog", "lovely night", "awful rain", "", "good " * 50] * 2
Y = ["good", "bad", "good", "bad", "bad", "good"] * 2
NEW = [*X, "a fine [SEP] day \ud800", "so " * 31, "so " * 200, "how are you ?", "ß"]
TAGS = [{"a"}, {"a", "b"}, set(), {"b"}, {"a"}, {"b"}] * 2

pytestmark = pytest.mark.filterwarnings("ignore:.*longer than max_length")


def classifier(small, **kwargs):
    return AttentionFineTuneClassifier(**{**small, "max_epochs": 1, **kwargs})


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """Return a fitted classifier and the directory of its export."""
    clf = classifier(tiny.PARAMETERS, head="lstm", long_texts="window").fit(X, Y)
    return clf, clf.export_onnx(tmp_path_factory.mktemp("exported") / "model")


@pytest.fixture
def saved(exported, tmp_path):
    """Return a fitted classifier and a copy of its export."""
    clf, path = exported
    return clf, shutil.copytree(path, tmp_path / "model")


def assert_equal(estimator, path):
    """Assert that a directory predicts as its estimator, which has classes."""
    model = OnnxPredictor(path, threads=1)
    found, expected = model.predict_proba(NEW), estimator.predict_proba(NEW)
    found, expected = np.hstack(found), np.hstack(expected)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    np.testing.assert_allclose(model.transform(NEW), estimator.transform(NEW), 1e-3)
    return model


def assert_same_error(estimator, model, texts):
    """Assert that an exported model refuses texts with the estimator's sentence."""
    with pytest.raises((ValueError, TypeError)) as expected:
        estimator.predict(texts)
    with pytest.raises(type(expected.value)) as found:
        model.predict(texts)
    sentence = str(expected.value).split(". ")[0]
    assert str(found.value).startswith(sentence)


@pytest.mark.parametrize(
    "kwargs",
    [
        {"pooling": "max", "layers": [1], "long_texts": "window"},
        {"pooling": "cls", "layers": "last"},
        {"head": "lstm", "pooling": "mean"},
    ],
    ids=lambda kwargs: kwargs["pooling"],
)
def test_a_classifier(kwargs, small, tmp_path):
    clf = classifier(small, **kwargs).fit(X, Y)
    model = assert_equal(clf, clf.export_onnx(tmp_path / "model"))
    np.testing.assert_array_equal(model.predict(NEW), clf.predict(NEW))
    np.testing.assert_array_equal(model.classes_, clf.classes_)
    assert model.config_["float32_difference"]["probabilities"] < 1e-5


def test_several_tasks(small, tmp_path):
    y = {"z": TAGS, "says": Y, 3: [1, 2] * 6}
    multi = MultiTaskClassifier(classifier(small)).fit(X, y)
    model = assert_equal(multi, multi.export_onnx(tmp_path / "model"))
    assert model.task_names_ == ["z", "says", 3]
    found, expected = model.predict(NEW), multi.predict(NEW)
    assert list(found) == list(expected)
    for name in y:
        assert found[name].tolist() == expected[name].tolist()
    view = multi.task("z")
    model = assert_equal(view, view.export_onnx(tmp_path / "view"))
    np.testing.assert_array_equal(model.predict(NEW), view.predict(NEW))


def test_a_matrix_of_labels(small, tmp_path):
    y = pd.DataFrame({"loud": [1, 0, 1, 1, 0, 0] * 2, "late": [0, 1] * 6})
    clf = classifier(small).fit(X, y)
    model = assert_equal(clf, clf.export_onnx(tmp_path / "model"))
    assert model.label_names_.tolist() == ["loud", "late"]
    assert [each.tolist() for each in model.classes_] == [[0, 1], [0, 1]]
    np.testing.assert_array_equal(model.predict(NEW), clf.predict(NEW))
    with pytest.raises(AttributeError, match="only if each text has one class"):
        model.score_samples(NEW)


def test_several_numbers(small, tmp_path):
    y = 1000 * np.random.default_rng(0).normal(size=(12, 2)) + 5
    reg = AttentionFineTuneRegressor(**{**small, "max_epochs": 1}).fit(X, y)
    model = OnnxPredictor(reg.export_onnx(tmp_path / "model"))
    expected = reg.predict(NEW)
    assert model.predict(NEW).shape == expected.shape
    np.testing.assert_allclose(model.predict(NEW), expected, atol=0.05)
    np.testing.assert_allclose(model.transform(NEW), reg.transform(NEW), 1e-3)
    assert not hasattr(model, "classes_")
    assert is_regressor(FrozenEstimator(model))
    with pytest.raises(AttributeError, match="needs a classifier, got an exported re"):
        model.predict_proba(NEW)


def test_scores_of_unknown_texts_with_a_frozen_encoder(small, tmp_path):
    clf = classifier(small, trainable_layers=0).fit(X, Y)
    model = OnnxPredictor(clf.export_onnx(tmp_path / "model"))
    expected = clf.score_samples(NEW)
    assert expected.std() > 0
    np.testing.assert_allclose(model.score_samples(NEW), expected, 1e-3, 1e-3)


def test_features(small, tmp_path):
    extractor = TransformerFeatureExtractor(
        tiny.ENCODER, max_length=32, pooling="concat", precision="float32"
    ).fit(X)
    model = OnnxPredictor(extractor.export_onnx(tmp_path / "model"))
    expected = extractor.transform(NEW)
    np.testing.assert_allclose(model.transform(NEW), expected, atol=1e-5)
    with pytest.raises(AttributeError, match="computes features only"):
        model.predict(X)
    pipe = make_pipeline(FrozenEstimator(model), LogisticRegression()).fit(X, Y)
    assert pipe.score(X, Y) > 0.5


def test_labels_keep_their_type(small, tmp_path):
    kinds = {"a": [3, 5], "b": [False, True], "c": [1.0, 2.0], "d": ["a", "b\0"]}
    y = {name: labels * 6 for name, labels in kinds.items()}
    y["matrix"] = pd.DataFrame({"loud": [1, 0] * 6, "late": [0, 1, 1] * 4})
    clf = MultiTaskClassifier(classifier(small)).fit(X, y)
    model = OnnxPredictor(clf.export_onnx(tmp_path / "model"))
    assert model.classes_[-1].tolist() == ["loud", "late"]
    found, expected = model.predict(X), clf.predict(X)
    for name, ours, theirs in zip(y, model.classes_, clf.classes_, strict=True):
        assert ours.dtype == theirs.dtype
        assert list(map(type, found[name])) == list(map(type, expected[name]))
        np.testing.assert_array_equal(found[name], expected[name])


def test_the_graph_names_no_files_and_only_standard_operators(saved):
    _, path = saved
    data = (path / "model.onnx").read_bytes()
    assert str(tiny.ENCODER).encode() not in data
    assert b".py" not in data
    assert {node.domain for node in onnx.load_from_string(data).graph.node} == {""}


@pytest.mark.parametrize(
    "name", ["model.onnx", "tokenizer.json", "config.json"], ids=str
)
def test_damage_is_refused(name, saved):
    _, path = saved
    data = bytearray((path / name).read_bytes())
    data[len(data) // 2] ^= 1
    (path / name).write_bytes(data)
    with pytest.raises(ValueError, match=rf"{name}.* Copy the directory again"):
        OnnxPredictor(path)
    (path / name).unlink()
    with pytest.raises(ValueError, match=name):
        OnnxPredictor(path)


def rewrite(path, graph):
    """Replace the graph of a directory, with new sums."""
    (path / "model.onnx").write_bytes(graph)
    config = json.loads((path / "config.json").read_text())
    files = {name: (path / name).read_bytes() for name in config["files"]}
    (path / "config.json").write_bytes(_onnx._config(config, files))


def test_a_hostile_graph_is_refused(saved):
    _, path = saved
    kept = (path / "model.onnx").read_bytes()
    graph = onnx.load_from_string(kept)
    graph.graph.node[0].domain = "evil.example"
    rewrite(path, graph.SerializeToString())
    with pytest.raises(ValueError, match=r"model\.onnx.*evil\.example"):
        OnnxPredictor(path)
    graph = onnx.load_from_string(kept)
    tensor = graph.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="/etc/hostname")
    rewrite(path, graph.SerializeToString())
    with pytest.raises(ValueError, match="weights are in another file"):
        OnnxPredictor(path)
    inner = onnx.helper.make_graph([], "inner", [], [])
    inner.initializer.append(tensor)
    graph = onnx.load_from_string(kept)
    graph.graph.node.append(onnx.helper.make_node("If", [], [], then_branch=inner))
    rewrite(path, graph.SerializeToString())
    with pytest.raises(ValueError, match="weights are in another file"):
        OnnxPredictor(path)
    for junk in (b"", b"\xff" * 40, kept[:-7], b"\x3a\xff\xff\xff\x0f"):
        rewrite(path, junk)
        with pytest.raises(ValueError, match=r"model\.onnx"):
            OnnxPredictor(path)


WRONG = [
    "good day",
    [],
    ["a", None],
    ["a", float("nan")],
    [["a"]],
    np.array([["a", "b"]]),
    {"a": 1}.items(),
    7,
]


@pytest.mark.parametrize("texts", WRONG, ids=repr)
def test_mistakes_get_the_sentences_of_the_estimators(texts, saved):
    estimator, path = saved
    assert_same_error(estimator, OnnxPredictor(path), texts)


def test_a_model_of_texts_refuses_pairs(saved):
    model = OnnxPredictor(saved[1])
    assert model.config_["n_texts"] == 1
    assert "pair" not in model.config_["tokens"]
    with pytest.raises(ValueError, match="must have one text for each sample"):
        model.predict(pd.DataFrame({"question": X, "answer": X}))


def test_a_masked_text_is_missing(saved):
    texts = np.ma.array(["good day", "bad cat"], mask=[True, False])
    with pytest.raises(ValueError, match="missing"):
        OnnxPredictor(saved[1]).predict(texts)


def test_containers_threads_forks_and_pickles(saved):
    _, path = saved
    model = OnnxPredictor(path, threads=2)
    texts = [text for text in NEW if "\ud800" not in text]  # pandas refuses it
    expected = model.predict_proba(texts)
    frame = pd.DataFrame({"text": texts})
    for container in (tuple(texts), frame["text"], frame, np.array(texts)):
        np.testing.assert_array_equal(model.predict_proba(container), expected)
    alike = []

    def work():
        for _ in range(10):
            alike.append(np.array_equal(model.predict_proba(texts), expected))

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert alike == [True] * 40
    again = pickle.loads(pickle.dumps(model))
    assert len(pickle.dumps(model)) < 1000
    np.testing.assert_array_equal(again.predict_proba(texts), expected)


FORKING = """
import os, sys
from sklearn_attnft.predictor import OnnxPredictor
model = OnnxPredictor(sys.argv[1], threads=2)
expected = model.predict_proba(["good day"] * 3).tolist()
first = model._session()
child = os.fork()
if child == 0:
    same = model.predict_proba(["good day"] * 3).tolist() == expected
    # sys.exit in a forked process hangs as soon as onnxruntime 1.32 is imported.
    os._exit(0 if same and model._session() is not first else 3)
assert os.waitpid(child, 0)[1] == 0
assert model._session() is first
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
def test_a_fork_opens_the_graph_again(saved):
    command = [sys.executable, "-c", FORKING, saved[1]]
    subprocess.run(command, check=True, timeout=60)


def test_a_pickle_does_not_follow_another_model(saved, small):
    _, path = saved
    dumped = pickle.dumps(OnnxPredictor(path))
    other = classifier(small, random_state=7).fit(X, Y)
    other.export_onnx(path, overwrite=True)
    with pytest.raises(ValueError, match="got another model"):
        pickle.loads(dumped)


def test_the_state_of_torch_does_not_change_an_export(small, tmp_path, capsys):
    clf = classifier(small).fit(X, Y)
    done, said = threading.Event(), []

    def work():
        while not done.wait(0.01):
            said.append(f"line {len(said)}")
            print(said[-1])

    thread = threading.Thread(target=work)
    thread.start()
    try:
        with torch.autocast("cpu", dtype=torch.bfloat16), torch.device("meta"):
            path = clf.export_onnx(tmp_path / "model")
    finally:
        done.set()
        thread.join()
    assert_equal(clf, path)
    assert capsys.readouterr().out.splitlines() == said


def test_errors_leave_nothing(small, tmp_path, monkeypatch):
    clf = classifier(small, head="mlp").fit(X, Y)
    path = tmp_path / "model"
    with pytest.raises(ValueError, match="`quantize` must be 'int8' or None"):
        clf.export_onnx(path, quantize="int4")
    with pytest.raises(ValueError, match="`check_texts` must be"):
        clf.export_onnx(path, check_texts="one text")
    monkeypatch.setattr("sklearn_attnft._export._check.TOLERANCE", -1.0)
    with pytest.raises(ValueError, match="must differ by at most"):
        clf.export_onnx(path, check_texts=["good"])
    monkeypatch.undo()
    assert not list(tmp_path.iterdir())
    path.mkdir()
    monkeypatch.setattr(_onnx, "to_onnx", None)  # the errors are raised before it
    with pytest.raises(FileExistsError, match="exists already"):
        clf.export_onnx(path)
    with pytest.raises(FileExistsError, match="export_onnx has written"):
        clf.export_onnx(path, overwrite=True)
    assert list(tmp_path.iterdir()) == [path]
    assert not list(path.iterdir())


@pytest.mark.parametrize("threads", [0, True, "2", 1.5])
def test_wrong_threads(threads, saved):
    with pytest.raises(ValueError, match="`threads` must be"):
        OnnxPredictor(saved[1], threads=threads)


def test_without_the_packages(small, tmp_path, monkeypatch):
    clf = classifier(small).fit(X, Y)
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(ImportError, match=r"\.\[onnx\]"):
        clf.export_onnx(tmp_path / "model")


def test_batches_have_all_texts_once_and_little_padding():
    rng = np.random.default_rng(0)
    longest, n_windows = rng.integers(1, 257, 900), rng.integers(1, 20, 900)
    batches = predictor_module._batches(longest, n_windows)
    assert sorted(np.concatenate(batches)) == list(range(900))
    for batch in batches:
        padded = longest[batch].max() * n_windows[batch].sum()
        assert padded <= 2048 or len(batch) == 1
        assert padded - (longest[batch] * n_windows[batch]).sum() <= 128


def test_int8_is_measured(small, tmp_path):
    clf = classifier(small).fit(X, Y)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="quantize='int8' changes")
        path = clf.export_onnx(tmp_path / "model", quantize="int8", check_texts=X)
    model = OnnxPredictor(path)
    stored = model.config_["int8_difference"]
    distance = np.abs(model.predict_proba(X) - clf.predict_proba(X)).max()
    assert stored["n_texts"] == len(X)
    assert stored["probabilities"] == pytest.approx(distance, rel=0.1)
    graph = onnx.load(path / "model.onnx").graph
    kinds = [node.op_type for node in graph.node]
    assert kinds.count("MatMulInteger") == 6 * tiny.N_LAYERS
    weights = {each.name: each for each in graph.initializer}
    for node in graph.node:
        if node.op_type == "MatMulInteger":
            # Larger weights overflow on processors without VNNI.
            weight = onnx.numpy_helper.to_array(weights[node.input[1]])
            assert np.abs(weight).max() == 64


def test_int8_has_one_scale_per_token():
    """A large token changes neither the other tokens nor the other texts."""
    rng = np.random.default_rng(0)
    weight = rng.normal(size=(16, 8)).astype(np.float32)
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("MatMul", ["x", "w"], ["y"], name="encoder_product")],
        "product",
        [onnx.helper.make_tensor_value_info("x", 1, ["n", "length", 16])],
        [onnx.helper.make_tensor_value_info("y", 1, ["n", "length", 8])],
        [onnx.numpy_helper.from_array(weight, "w")],
    )
    opset = [onnx.helper.make_opsetid("", 18)]
    model = onnx.helper.make_model(graph, opset_imports=opset, ir_version=10)
    x = rng.normal(size=(3, 5, 16)).astype(np.float32)
    quantized = to_int8(model, [{"x": x}])
    session = onnxruntime.InferenceSession(quantized.SerializeToString())
    x[2, 4] = 0
    (expected,) = session.run(None, {"x": x})
    np.testing.assert_allclose(expected, x @ weight, atol=0.15)
    assert not expected[2, 4].any()
    # A channel with large activations does not make the others coarse.
    outlier = np.where(np.arange(16) == 3, 100, 1).astype(np.float32)
    small = weight / outlier[:, None]
    model.graph.initializer[0].CopyFrom(onnx.numpy_helper.from_array(small, "w"))
    smooth = to_int8(model, [{"x": x * outlier}]).SerializeToString()
    (found,) = onnxruntime.InferenceSession(smooth).run(None, {"x": x * outlier})
    np.testing.assert_allclose(found, x @ weight, atol=0.15)
    x[0, 0] *= 1e4
    (found,) = session.run(None, {"x": x})
    np.testing.assert_array_equal(found[0, 1:], expected[0, 1:])
    np.testing.assert_array_equal(found[1:], expected[1:])
