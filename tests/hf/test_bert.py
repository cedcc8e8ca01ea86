"""Our BERT, compared with the BERT of transformers, bit for bit."""

import json
import pickle
import subprocess
import sys

import numpy as np
import pytest
import tiny
import torch
from test_families import SIZES, save

from sklearn_attnft import AttentionFineTuneClassifier, _hf
from sklearn_attnft._hf import _bert
from sklearn_attnft._model._encoding import run_encoder
from sklearn_attnft.predictor import OnnxPredictor

IDS = torch.tensor([[2, 7, 8, 9, 12, 20, 31, 3], [2, 11, 7, 3, 1, 1, 1, 1]])
MASKS = {
    "padded": torch.tensor([[1] * 8, [1] * 4 + [0] * 4]),
    "full": torch.ones(2, 8, dtype=torch.long),
    "pairs": torch.tensor([[1, 1, 1, 1, 2, 2, 2, 2], [1, 1, 2, 2, 0, 0, 0, 0]]),
}


@pytest.fixture(scope="module")
def theirs(tmp_path_factory):
    from transformers import AutoModel

    directory = save("bert", tmp_path_factory.mktemp("bert"), AutoModel)
    return _hf.load_encoder(directory, _hf.load_config(directory)).eval()


@pytest.fixture(scope="module")
def ours(theirs):
    encoder = _hf.encoder_skeleton(_hf.encoder_config(theirs))
    encoder.load_state_dict(theirs.state_dict(), assign=True)
    return encoder.eval()


def test_the_skeleton_is_ours(ours, theirs):
    assert type(ours) is _bert.BertModel
    assert _hf.encoder_config(ours) == _hf.encoder_config(theirs)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    assert ours.device.type == "cpu"
    assert _hf.count_positions(ours.config) == _hf.count_positions(theirs.config) == 66


@pytest.mark.parametrize("mask", MASKS.values(), ids=MASKS)
@pytest.mark.parametrize("layers", [(2,), (0, 1, 2)], ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_hidden_states_are_the_same_bits(ours, theirs, dtype, layers, mask):
    with torch.no_grad(), torch.autocast("cpu", dtype, dtype == torch.bfloat16):
        both = [run_encoder(e, mask, layers, input_ids=IDS) for e in (ours, theirs)]
    assert all(map(torch.equal, *both))


def test_long_texts_are_the_same_bits(ours, theirs, monkeypatch):
    monkeypatch.setattr("sklearn_attnft._hf._attention.LONGEST", 4)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        both = [
            run_encoder(e, MASKS["padded"], (2,), input_ids=IDS) for e in (ours, theirs)
        ]
    assert all(map(torch.equal, *both))


def test_gradients_of_embeddings_are_the_same(ours, theirs):
    found = []
    for encoder in (ours, theirs):
        vectors = encoder.get_input_embeddings()(IDS).detach().requires_grad_()
        states = run_encoder(encoder, MASKS["padded"], (1, 2), inputs_embeds=vectors)
        (gradient,) = torch.autograd.grad(sum(each.sum() for each in states), vectors)
        found.append(gradient)
    torch.testing.assert_close(*found, atol=1e-6, rtol=1e-5)


def test_without_token_types(ours, theirs):
    with torch.no_grad():
        both = [
            encoder(input_ids=IDS, attention_mask=MASKS["full"]).last_hidden_state
            for encoder in (ours, theirs)
        ]
    assert torch.equal(*both)


@pytest.mark.parametrize(
    "changed",
    [
        {"hidden_act": "relu"},
        {"hidden_dropout_prob": 0.1},
        {"attention_probs_dropout_prob": 0.1},
        {"chunk_size_feed_forward": 4},
        {"layer_norm_eps": "small"},
        {"model_type": "electra"},
    ],
    ids=str,
)
def test_other_settings_are_left_to_transformers(changed, theirs):
    config = json.loads(_hf.encoder_config(theirs))
    assert _bert.can_run(config)
    assert not _bert.can_run(config | changed)


@pytest.mark.parametrize("name", [*_bert.SIZES, *_bert.SETTINGS, "layer_norm_eps"])
def test_an_incomplete_configuration_is_left_to_transformers(name, theirs):
    config = json.loads(_hf.encoder_config(theirs))
    del config[name]
    assert not _bert.can_run(config)


@pytest.mark.parametrize("act", ["gelu", "relu"])
def test_a_loaded_classifier_predicts_the_same(act, tmp_path, monkeypatch):
    from transformers import AutoModel

    monkeypatch.setitem(SIZES, "hidden_act", act)
    encoder = save("bert", tmp_path, AutoModel)
    texts = ["good day", "bad dog", "a lovely night", ""] * 2
    clf = AttentionFineTuneClassifier(encoder, max_length=32, max_epochs=1)
    clf.fit(texts, [1, 0, 1, 0] * 2)
    loaded = pickle.loads(pickle.dumps(clf))
    assert isinstance(loaded.module_.encoder, _bert.BertModel) == (act == "gelu")
    assert (loaded.predict_proba(texts) == clf.predict_proba(texts)).all()
    again = pickle.loads(pickle.dumps(loaded))
    assert (again.predict_proba(texts) == clf.predict_proba(texts)).all()


def test_a_loaded_classifier_is_exported_as_a_fitted_one(tmp_path):
    clf = AttentionFineTuneClassifier(
        tiny.ENCODER, max_length=32, max_epochs=1, precision="float32"
    ).fit(["good day", "bad dog"] * 3, [1, 0] * 3)
    loaded = AttentionFineTuneClassifier.load(clf.save(tmp_path / "saved"))
    paths = [
        model.export_onnx(tmp_path / name)
        for name, model in [("fitted", clf), ("loaded", loaded)]
    ]
    ours, theirs = ({f.name: f.read_bytes() for f in p.iterdir()} for p in paths)
    assert ours["model.onnx"] == theirs["model.onnx"]
    assert all(weight.requires_grad for weight in loaded.module_.parameters())
    texts = ["a day", "a good dog and a bad day", ""]
    proba = OnnxPredictor(paths[1], threads=1).predict_proba(texts)
    np.testing.assert_allclose(proba, loaded.predict_proba(texts), atol=1e-5)


def test_loading_and_predicting_do_not_import_transformers(tmp_path):
    clf = AttentionFineTuneClassifier(tiny.ENCODER, max_length=32, max_epochs=1)
    path = clf.fit(["good day", "bad dog"] * 3, [1, 0] * 3).save(tmp_path / "model")
    (tmp_path / "clf.pkl").write_bytes(pickle.dumps(clf))
    code = f"""
import pickle, sys
from pathlib import Path
from sklearn_attnft import AttentionFineTuneClassifier
clf = pickle.loads(Path({str(tmp_path / "clf.pkl")!r}).read_bytes())
clf.predict_proba(["a day"])
AttentionFineTuneClassifier.load({str(path)!r}).predict(["a day"])
assert not {{"transformers", "skorch", "torch._dynamo"}} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True)
