"""Saved directories: complete, checked, and readable by transformers."""

import errno
import json
import os
import pickle
import shutil
import signal
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tiny
import torch
from safetensors.torch import load_file, save_file
from sklearn import config_context
from sklearn.exceptions import NotFittedError
from transformers import AutoModel, AutoTokenizer

from sklearn_attnft import (
    AttentionFineTuneClassifier,
    MultiTaskClassifier,
    TransformerFeatureExtractor,
    _hf,
)
from sklearn_attnft._persistence import _create, _directory, _json, _pack
from sklearn_attnft._persistence._directory import CARD, FILES, MANIFEST
from sklearn_attnft._persistence._json import encode

X = ["good day", "bad dog", "lovely night", "awful rain", "", "good " * 5] * 3
Y = np.array(["good", "bad", "good", "bad", "bad", "good"] * 3)


@pytest.fixture(scope="module")
def clf(tiny_encoder):
    clf = AttentionFineTuneClassifier(
        tiny_encoder, max_length=32, max_epochs=1, head_learning_rate=0.01
    )
    return clf.set_params(random_state=0).fit(X, Y)


@pytest.fixture
def saved(clf, tmp_path):
    return clf.save(tmp_path / "model")


def assert_alike(loaded, original):
    assert type(loaded) is type(original)
    assert set(vars(loaded)) == set(vars(original))
    assert repr(loaded) == repr(original)
    assert loaded.history_ == original.history_
    for method in ("predict_proba", "transform", "predict"):
        if hasattr(original, method):
            ours, theirs = getattr(loaded, method)(X), getattr(original, method)(X)
            assert type(ours) is type(theirs)
            if isinstance(ours, dict):
                ours, theirs = list(ours.values()), list(theirs.values())
            if not isinstance(ours, list):
                ours, theirs = [ours], [theirs]
            for our, their in zip(ours, theirs, strict=True):
                np.testing.assert_array_equal(our, their)


@pytest.mark.parametrize(
    "labels",
    [
        Y,
        Y == "good",
        np.where(Y == "good", 7, -3),
        Y.astype(object),
        (Y == "good").astype(np.uint8),
    ],
    ids=["str", "bool", "int", "object", "uint8"],
)
def test_labels_of_every_type(labels, small, tmp_path):
    clf = AttentionFineTuneClassifier(**small, class_weight={}).fit(X, labels)
    weights = dict.fromkeys(clf.classes_, np.float64(1))  # keys of numpy's types
    clf.set_params(class_weight=weights, layers=(0, -1), encoder=Path(tiny.ENCODER))
    loaded = AttentionFineTuneClassifier.load(clf.save(tmp_path / "model"))
    assert loaded.get_params() == clf.get_params()
    plain = {type(key) for key in clf.classes_.tolist()}
    assert {type(key) for key in loaded.class_weight} == plain
    clf.set_params(class_weight=loaded.class_weight)
    assert_alike(loaded, clf)
    assert loaded.classes_.dtype == clf.classes_.dtype
    assert loaded.n_samples_fit_ == len(X)
    assert_alike(pickle.loads(pickle.dumps(loaded)), clf)


@pytest.mark.parametrize("pickle_weights", ["full", "delta"])
def test_an_extractor(pickle_weights, tmp_path):
    extractor = TransformerFeatureExtractor(
        tiny.ENCODER, max_length=32, pickle_weights=pickle_weights
    )
    extractor.set_output(transform="pandas").fit(X)
    loaded = TransformerFeatureExtractor.load(extractor.save(tmp_path / "model"))
    assert_alike(loaded, extractor)
    assert isinstance(loaded.transform(X), pd.DataFrame)


Y_OF_TASKS = {
    "mapping": {"a": Y, 3: [{1}, {2}] * 9, "m": np.eye(18)[:, :3]},
    "pandas": pd.DataFrame({"a": Y, ("b", 1): Y == "good", 7: [1, 2] * 9}),
    "array": np.array([Y, Y[::-1]]).T,
}


@pytest.mark.parametrize("container", Y_OF_TASKS)
def test_several_label_sets(container, small, tmp_path):
    y = Y_OF_TASKS[container]
    clf = MultiTaskClassifier(AttentionFineTuneClassifier(**small)).fit(X, y)
    first = clf.task_names_[0]
    clf.set_params(task_weights={first: 2.0}, task_params={first: {"head": "mlp"}})
    loaded = MultiTaskClassifier.load(clf.save(tmp_path / "model"))
    assert_alike(loaded, clf)
    assert loaded.task_names_ == clf.task_names_
    assert type(loaded.estimator) is AttentionFineTuneClassifier
    view = loaded.task(first)
    again = AttentionFineTuneClassifier.load(view.save(tmp_path / "view"))
    assert_alike(again, view)


def test_names_that_json_cannot_hold(small, tmp_path):
    y = {pd.Timestamp("2026-01-01"): Y, "b": Y}
    clf = MultiTaskClassifier(AttentionFineTuneClassifier(**small)).fit(X, y)
    with pytest.raises(ValueError, match=r"Timestamp.*cannot be written as JSON"):
        clf.save(tmp_path / "model")
    assert not list(tmp_path.iterdir())


def test_a_parameter_that_cannot_be_held_is_named(clf, tmp_path):
    clf = pickle.loads(pickle.dumps(clf))
    clf.set_params(random_state=np.random.RandomState(0))
    with pytest.warns(
        UserWarning, match=r"random_state is not saved.*RandomState.*None"
    ):
        path = clf.save(tmp_path / "model")
    assert AttentionFineTuneClassifier.load(path).random_state is None


def test_an_attribute_of_the_user_is_left_out(clf, tmp_path):
    clf = pickle.loads(pickle.dumps(clf))
    clf.note = "mine"
    with pytest.warns(UserWarning, match="attribute note is not saved"):
        path = clf.save(tmp_path / "model")
    assert not hasattr(AttentionFineTuneClassifier.load(path), "note")


def test_what_is_not_fitted_is_not_saved(tmp_path):
    with pytest.raises(NotFittedError):
        AttentionFineTuneClassifier().save(tmp_path / "model")


def test_paths_of_the_machine_are_not_loaded(small, tmp_path):
    small |= {"pickle_weights": "delta", "cache": "memory"}
    small |= {"checkpoint_dir": str(tmp_path / "checkpoint")}
    template = AttentionFineTuneClassifier(**small)
    several = MultiTaskClassifier(template).fit(X, {"a": Y, "b": Y})
    path = several.save(tmp_path / "several")
    manifest = json.loads((path / MANIFEST).read_text())
    described = manifest["parameters"]["estimator"]["parameters"]
    assert not {"cache", "checkpoint_dir"} & set(described)
    described |= {"cache": "/", "checkpoint_dir": "/"}
    rewrite(path, parameters=manifest["parameters"])
    loaded = MultiTaskClassifier.load(path)
    for each in (loaded.estimator, loaded.task("a")):
        assert (each.cache, each.checkpoint_dir) == (None, None)
    assert loaded._base_model == tiny.ENCODER
    assert several.estimator.cache == "memory"
    path = several.task("a").save(tmp_path / "one")
    parameters = json.loads((path / MANIFEST).read_text())["parameters"]
    rewrite(path, parameters={**parameters, "cache": "/", "checkpoint_dir": "/"})
    loaded = AttentionFineTuneClassifier.load(path)
    assert (loaded.cache, loaded.checkpoint_dir) == (None, None)


def requests_of(estimator):
    return estimator.get_metadata_routing().fit.requests


def test_metadata_requests_are_kept(small, tmp_path):
    with config_context(enable_metadata_routing=True):
        clf = AttentionFineTuneClassifier(**small)
        clf.set_fit_request(sample_weight=True, X_val="texts", y_val=False)
        several = MultiTaskClassifier(clf).set_fit_request(X_unlabeled=True)
        several.set_score_request(sample_weight=True)
        several.fit(X, {"a": Y})
    loaded = MultiTaskClassifier.load(several.save(tmp_path / "several"))
    assert requests_of(loaded) == requests_of(several)
    assert requests_of(loaded)["X_unlabeled"] is True
    assert loaded.get_metadata_routing().score.requests == {"sample_weight": True}
    assert requests_of(loaded.estimator) == requests_of(clf)
    assert requests_of(clf)["X_val"] == "texts"
    view = several.task("a")
    again = AttentionFineTuneClassifier.load(view.save(tmp_path / "view"))
    assert_alike(again, view)
    assert requests_of(again) == requests_of(clf)
    assert requests_of(pickle.loads(pickle.dumps(again))) == requests_of(clf)


@pytest.mark.parametrize(
    "requests",
    [
        {"fit": {"owner": True}},
        {"__class__": {"owner": True}},
        {"owner": {"max_epochs": True}},
        {"fit": {"sample_weight": 1}},
        {"fit": {"sample_weight": "no name"}},
        {"fit": {"sample_weight": ["x"]}},
        {"fit": None},
        [],
    ],
)
def test_requests_of_something_else(requests, saved):
    rewrite(saved, requests=requests)
    refused(saved, "cannot be loaded")


def test_labels_that_are_half_a_character(small, tmp_path):
    labels = np.where(Y == "good", "\ud800", "b\udfff|")
    clf = AttentionFineTuneClassifier(**small).fit(X, labels)
    path = clf.save(tmp_path / "model")
    assert_alike(AttentionFineTuneClassifier.load(path), clf)
    assert "`b\ufffd`, `\ufffd`" in (path / CARD).read_text()
    several = MultiTaskClassifier(AttentionFineTuneClassifier(**small))
    several.fit(X, {"\ud800": labels})
    path = several.save(tmp_path / "several")
    assert_alike(MultiTaskClassifier.load(path), several)
    assert "Labels of `\ufffd`" in (path / CARD).read_text()


# Reading with transformers


def test_transformers_opens_the_directory(clf, saved):
    tokenizer = AutoTokenizer.from_pretrained(saved)
    original = AutoTokenizer.from_pretrained(tiny.ENCODER)
    assert tokenizer(X)["input_ids"] == original(X)["input_ids"]
    assert tokenizer.special_tokens_map == original.special_tokens_map
    assert tokenizer.model_max_length == original.model_max_length
    ours = clf.module_.encoder.state_dict()
    theirs = AutoModel.from_pretrained(saved).state_dict()
    assert {name.split(".")[0] for name in set(theirs) - set(ours)} == {"pooler"}
    assert all(torch.equal(theirs[name], weight) for name, weight in ours.items())


def test_a_new_estimator_starts_at_the_saved_encoder(clf, saved):
    new = TransformerFeatureExtractor(saved, max_length=32).fit(X)
    ours, theirs = new.module_.encoder, clf.module_.encoder
    for name, weight in theirs.state_dict().items():
        assert torch.equal(ours.state_dict()[name], weight)
    assert new._tokenizer.json == clf._tokenizer.json


def test_nothing_else_is_written(clf, saved):
    assert {each.name for each in saved.iterdir()} == {*FILES, CARD, MANIFEST}
    assert list(saved.parent.iterdir()) == [saved]
    assert "name_or_path" not in (saved / "config.json").read_text()
    manifest = json.loads((saved / MANIFEST).read_text())
    assert manifest["class"] == "AttentionFineTuneClassifier"
    assert manifest["fitted"]["classes_"]["of"] == ["bad", "good"]
    assert manifest["versions"]["torch"]
    for name in FILES:
        assert manifest["files"][name]["size"] == (saved / name).stat().st_size


def test_the_card(clf, saved, small, tmp_path):
    card = (saved / CARD).read_text()
    assert card.startswith("---\nlibrary_name: sklearn_attnft\n")
    assert tiny.ENCODER not in card
    assert "- Labels: 2 (`bad`, `good`)\n- Training texts: 18\n- Epochs: 1\n" in card
    assert "do not name a license" in card
    (saved / CARD).write_text("edited")  # users may edit it
    AttentionFineTuneClassifier.load(saved)
    encoder = Path(tiny.save_tiny_encoder(str(tmp_path / "encoder")))
    front = "language: en\nlicense: 'mit'  # quoted\ntags:\n- license: no"
    (encoder / CARD).write_text(f"---\n{front}\n---\nlicense: no\n")
    small |= {"encoder": str(encoder)}
    clf = AttentionFineTuneClassifier(**small).fit(X, Y, X_val=X, y_val=Y)
    card = (clf.save(tmp_path / "another") / CARD).read_text()
    assert "\nlicense: mit\n" in card
    assert "according to its files: mit." in card
    assert "valid_accuracy" in card


@pytest.mark.parametrize(
    "readme",
    [
        "",
        "---\nlicense: mit",
        "---\n[\n---\n",
        "---\n- mit\n---\n",
        "---\nlicense: []\n---\n",
    ],
)
def test_a_readme_without_a_license(readme, tmp_path):
    assert _hf.encoder_license(tmp_path) is None
    (tmp_path / CARD).write_text(readme)
    assert _hf.encoder_license(tmp_path) is None
    assert _hf.encoder_license("someone/nothing") is None


def test_the_card_of_the_default_encoder_names_it(tmp_path):
    extractor = TransformerFeatureExtractor().fit(X)
    card = (extractor.save(tmp_path / "model") / CARD).read_text()
    assert "base_model: sentence-transformers/all-MiniLM-L6-v2\n" in card
    assert "license: apache-2.0\n" in card


# Writing completely or not at all


def test_what_exists_is_not_overwritten(clf, saved):
    with pytest.raises(FileExistsError, match="overwrite=True"):
        clf.save(saved)
    before = (saved / MANIFEST).stat().st_ino
    assert clf.save(saved, overwrite=True) == saved
    assert (saved / MANIFEST).stat().st_ino != before
    assert list(saved.parent.iterdir()) == [saved]


def test_a_file_system_that_does_not_sync_directories(clf, tmp_path, monkeypatch):
    fsync = os.fsync

    def refuse(descriptor):
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "Invalid argument")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", refuse)
    path = clf.save(tmp_path / "model")
    assert_alike(AttentionFineTuneClassifier.load(path), clf)


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("kind", ["file", "directory", "filled", "link"])
def test_what_appears_meanwhile_is_not_replaced(
    kind, overwrite, clf, tmp_path, monkeypatch
):
    path = tmp_path / "model"
    sync = _create.sync_directory

    def meanwhile(directory):
        if not os.path.lexists(path):
            if kind == "file":
                path.write_text("mine")
            elif kind == "link":
                path.symlink_to(tmp_path / "nowhere")
            else:
                path.mkdir()
                if kind == "filled":
                    (path / "mine.txt").write_text("mine")
        sync(directory)

    monkeypatch.setattr(_create, "sync_directory", meanwhile)
    with pytest.raises(FileExistsError, match="overwrite=True"):
        clf.save(path, overwrite=overwrite)
    assert list(tmp_path.iterdir()) == [path]
    assert kind != "file" or path.read_text() == "mine"
    assert kind != "filled" or (path / "mine.txt").read_text() == "mine"
    assert kind != "directory" or not list(path.iterdir())


def test_what_appears_in_the_last_moment_stays(clf, tmp_path, monkeypatch):
    path, rename = tmp_path / "another", Path.rename

    def late(self, target):
        target.mkdir()
        (target / "mine.txt").write_text("mine")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", late)
    with pytest.raises(FileExistsError, match="another process has created it"):
        clf.save(path)
    assert [each.name for each in path.iterdir()] == ["mine.txt"]
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    "name", ["model", "model/mine.txt", "other/mine.txt", "other/estimator.json"]
)
def test_only_what_save_wrote_is_overwritten(name, clf, saved, tmp_path):
    mine = tmp_path / name
    if name == "model":
        shutil.rmtree(saved)
    mine.parent.mkdir(exist_ok=True)
    mine.write_text("{}")
    path = tmp_path / name.split("/")[0]
    with pytest.raises(FileExistsError, match="only a directory that save"):
        clf.save(path, overwrite=True)
    assert mine.read_text() == "{}"


def test_a_failed_save_leaves_what_was(clf, saved, monkeypatch):
    monkeypatch.setattr(_create, "sync_directory", lambda directory: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        clf.save(saved, overwrite=True)
    monkeypatch.undo()
    assert_alike(AttentionFineTuneClassifier.load(saved), clf)
    assert list(saved.parent.iterdir()) == [saved]


KILLED = """
import os, pickle, signal, sys
from sklearn_attnft._persistence import _create
kept = _create.write_through
def write_through(path, data):
    kept(path, data)
    if path.name == sys.argv[3]:
        os.kill(os.getpid(), signal.SIGKILL)
_create.write_through = write_through
with open(sys.argv[1], "rb") as file:
    pickle.load(file).save(sys.argv[2])
"""


@pytest.mark.skipif(os.name == "nt", reason="kills with SIGKILL; ends off Windows")
def test_a_killed_save_leaves_nothing_at_its_path(clf, tmp_path):
    (tmp_path / "clf.pickle").write_bytes(pickle.dumps(clf))
    path = tmp_path / "models" / "model"
    command = [sys.executable, "-c", KILLED, tmp_path / "clf.pickle", path, MANIFEST]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    assert not path.exists()
    clf.save(path)
    assert_alike(AttentionFineTuneClassifier.load(path), clf)


# Directories that cannot be trusted


def rewrite(directory, **changes):
    """Change the manifest, and list the present size and sha256 of each file."""
    path = directory / MANIFEST
    manifest = {**json.loads(path.read_text()), **changes}
    for name in FILES:
        if (directory / name).is_file() and name in manifest["files"]:
            data = (directory / name).read_bytes()
            sha256 = _directory.hashlib.sha256(data).hexdigest()
            manifest["files"][name] = {"size": len(data), "sha256": sha256}
    manifest["sha256"] = _directory.digest(manifest)
    path.write_text(json.dumps(manifest))


def refused(directory, match):
    with pytest.raises(ValueError, match=match):
        AttentionFineTuneClassifier.load(directory)


class Bomb:
    def __reduce__(self):
        return (os.mkdir, (os.environ["BOMB"],))


@pytest.fixture
def bomb(tmp_path, monkeypatch):
    """A pickle that makes a directory when it is read."""
    monkeypatch.setenv("BOMB", str(tmp_path / "executed"))
    yield pickle.dumps(Bomb())
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize(
    "name", ["a.pkl", "b/c.joblib", "pytorch_model.bin", "x.PT", "modeling_bert.py"]
)
def test_a_file_that_could_be_executed(name, saved, bomb):
    (saved / name).parent.mkdir(exist_ok=True)
    (saved / name).write_bytes(bomb)
    refused(saved, "could be a pickle or code")


@pytest.mark.parametrize("name", FILES)
def test_a_pickle_in_place_of_a_file(name, saved, bomb):
    (saved / name).write_bytes(bomb)
    refused(saved, f"{name} must have .* bytes according to estimator.json")
    rewrite(saved)
    if name != "tokenizer_config.json":  # which load does not read
        refused(saved, "cannot be loaded")


def test_a_pickle_in_place_of_the_manifest(saved, bomb):
    (saved / MANIFEST).write_bytes(bomb)
    refused(saved, r"estimator\.json was not written by save")


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "more.json", "README.md"])
def test_a_name_that_is_none_of_the_fixed_ones(name, saved):
    files = json.loads((saved / MANIFEST).read_text())["files"]
    rewrite(saved, files={**files, name: files["config.json"]})
    refused(saved, "must list the files")
    rewrite(saved, files={**files, "config.json": {"path": name}})
    rewrite(saved, files={name: files["config.json"]})
    refused(saved, "must list the files")


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_missing_or_truncated_or_replaced(name, saved, tmp_path):
    data = (saved / name).read_bytes()
    (saved / name).write_bytes(data[:-1])
    refused(saved, f"{name} must have .* got {len(data) - 1}")
    (saved / name).write_bytes(bytes([data[0] ^ 1]) + data[1:])
    refused(saved, f"{name} must have the sha256")
    (saved / name).unlink()
    refused(saved, f"{name} cannot be opened")
    (saved / name).mkdir()
    refused(saved, f"{name} must be a regular file")
    (saved / name).rmdir()
    if hasattr(os, "mkfifo"):
        os.mkfifo(saved / name)
        refused(saved, f"{name} must be a regular file")
        (saved / name).unlink()
    # A link to a regular file is how the hub's cache keeps files.
    (tmp_path / "blob").write_bytes(data)
    (saved / name).symlink_to(tmp_path / "blob")
    AttentionFineTuneClassifier.load(saved)


def header_of(tensors, more=b""):
    header = json.dumps(tensors).encode()
    return len(header).to_bytes(8, "little") + header + more


def change_tokenizer(saved, **changes):
    path = saved / "tokenizer.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    rewrite(saved)


def test_a_tokenizer_that_panics(saved):
    # Panics of the library are not subclasses of Exception.
    change_tokenizer(saved, pre_tokenizer={"type": "FixedLength", "length": 0})
    refused(saved, "cannot be loaded")
    with pytest.raises(ValueError, match="must have a fast tokenizer"):
        TransformerFeatureExtractor(saved, max_length=32).fit(["good"])


@pytest.mark.parametrize("part", ["added_tokens", "model", "post_processor"])
def test_a_tokenizer_with_more_tokens_than_embeddings(part, saved):
    tokenizer = json.loads((saved / "tokenizer.json").read_text())
    if part == "added_tokens":
        added = tokenizer[part][0] | {"id": 156, "content": "newword"}
        tokenizer[part].append(added | {"special": False})
    elif part == "model":
        tokenizer[part]["vocab"]["good"] = 10**6
    else:
        tokenizer[part]["special_tokens"]["[CLS]"]["ids"] = [10**6]
    change_tokenizer(saved, **tokenizer)
    refused(saved, "The tokenizer does not belong to the encoder")
    with pytest.raises(ValueError, match="tokens with higher ids"):
        TransformerFeatureExtractor(saved, max_length=32).fit(["good"])


@pytest.mark.parametrize(
    ("name", "value"),
    [("max_length", 2), ("max_length", 65), ("pad_id", -1), ("mask_id", 10**6)],
)
def test_settings_that_are_none_of_the_tokenizer(name, value, saved):
    manifest = json.loads((saved / MANIFEST).read_text())
    manifest["tokenizer"][name] = value
    rewrite(saved, tokenizer=manifest["tokenizer"])
    refused(saved, "The tokenizer does not belong to the encoder")


@pytest.mark.parametrize("name", ["model.safetensors", "heads.safetensors"])
def test_a_huge_tensor(name, saved):
    path = saved / name
    whole = path.read_bytes()
    n = int.from_bytes(whole[:8], "little")
    declared = json.loads(whole[8 : 8 + n])
    first = next(each for each in declared if each != "__metadata__")
    huge = {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 2**42]}
    for tensors in ({first: huge}, {**declared, first: huge}, {**declared, "x": huge}):
        path.write_bytes(header_of(tensors, whole[8 + n :]))
        rewrite(saved)
        refused(saved, f"{name} must be a complete safetensors file")
    for length in (2**63, 10**9, 0):
        path.write_bytes(length.to_bytes(8, "little") + whole[8:])
        rewrite(saved)
        refused(saved, f"{name} must be a complete safetensors file")


def test_weights_that_do_not_fit_the_configuration(saved):
    path = saved / "model.safetensors"
    weights = load_file(path)
    name = next(iter(weights))
    for changed in (
        {n: w for n, w in weights.items() if n != name},
        weights | {name: torch.zeros(3)},
        weights | {name: weights[name].double()},
        weights | {"more": torch.zeros(3)},
    ):
        save_file(changed, path)
        rewrite(saved)
        refused(saved, r"model\.safetensors must have the weights")


@pytest.mark.parametrize(
    "changes",
    [
        {"vocab_size": 2**40},
        {"vocab_size": 2**24},
        {"num_hidden_layers": 10**9},
        {"num_attention_heads": 10**9},
        {"hidden_size": 2**22, "intermediate_size": 2**22},
        {"num_hidden_layers": -1},
        {"model_type": "no such"},
        {"hidden_size": "32"},
    ],
)
def test_a_configuration_of_a_giant_or_of_nothing(changes, saved):
    path = saved / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    rewrite(saved)
    sentences = "config.json does not describe an encoder|must have the weights"
    refused(saved, f"{sentences}|does not describe a module")


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"model_type": "clip"}, "is not a single text encoder"),
        ({"model_type": "gpt2"}, "is a decoder-only model"),
        ({"model_type": "bart"}, "has a decoder"),
        (
            {"text_config": {"num_hidden_layers": 1500}},
            "num_hidden_layers must be at most 1000, got 1500",
        ),
        (
            {"layer_types": [{"sizes": [0, 2**40]}]},
            "sizes must be at most 16777216, got 1099511627776",
        ),
        (
            {"layer_types": ["attention"] * 1500},
            "layer_types must be at most 1000, got 1500",
        ),
        (
            {"model_type": "roformer", "max_position_embeddings": 2**23},
            "the matrix that the encoder computes",
        ),
        (
            {"model_type": "fnet", "tpu_short_seq_length": 10_000},
            "the matrix that the encoder computes",
        ),
    ],
)
def test_a_model_that_is_not_an_encoder_is_not_built(changes, sentence, saved):
    path = saved / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    rewrite(saved)
    refused(saved, f"config.json does not describe an encoder.*{sentence}")


@pytest.mark.parametrize("model_type", ["lightglue", "tvp", "clip", "modernvbert"])
def test_no_configuration_of_another_family_is_made(model_type, saved, monkeypatch):
    # Creating one of these loads what it names, and may run its code.
    from transformers import CONFIG_MAPPING

    made = []
    if model_type not in CONFIG_MAPPING:
        pytest.skip(f"this version of transformers does not have {model_type}")
    family = CONFIG_MAPPING[model_type]
    monkeypatch.setattr(family, "__init__", lambda self, **given: made.append(given))
    path = saved / "config.json"
    changes = {"model_type": model_type, "backbone": "someone/tracker"}
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    rewrite(saved)
    refused(saved, "is not a single text encoder")
    with pytest.raises(ValueError, match="is not a single text encoder"):
        TransformerFeatureExtractor(saved).fit(["good"])
    assert not made


@pytest.mark.parametrize("model_type", ["bert", "layoutlm"])
def test_a_giant_pooler_is_not_made(model_type, monkeypatch):
    config = json.loads(_hf.encoder_config(AutoModel.from_pretrained(tiny.ENCODER)))
    config |= {"model_type": model_type, "num_hidden_layers": 0, "hidden_size": 2**14}
    config |= {"vocab_size": 9, "num_attention_heads": 1, "max_position_embeddings": 9}
    config |= {"max_2d_position_embeddings": 9}
    skeleton = _hf.encoder_skeleton(json.dumps(config))
    tensors = [*skeleton.parameters(), *skeleton.buffers()]
    real = [tensor.numel() for tensor in tensors if tensor.device.type != "meta"]
    assert sum(real) < 2**20
    assert not any("pooler" in name for name in skeleton.state_dict())


def test_what_a_configuration_cannot_ask_for(clf, saved):
    path = saved / "config.json"
    changes = {
        "attn_implementation": "someone/kernels",
        "auto_map": {"AutoModel": "modeling_bert.Model"},
        "quantization_config": {"quant_method": "bitsandbytes"},
        "num_labels": 10**9,
    }
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    rewrite(saved)
    assert_alike(AttentionFineTuneClassifier.load(saved), clf)


@pytest.mark.parametrize(
    ("where", "value"),
    [
        ("parameters", {"no_such": 1}),
        ("parameters", {"encoder": {"!": "estimator", "class": "os.system"}}),
        ("parameters", []),
        ("fitted", {"__class__": "x"}),
        ("fitted", {"predict": "x"}),
        ("module", {"hidden_size": 32}),
        ("module", {"hidden_size": 32, "layers": [0], "mixing": "attention"}),
        ("tokenizer", {"!": "object"}),
        ("tokenizer", {"pad_id": 0}),
    ],
)
def test_a_manifest_of_something_else(where, value, saved):
    rewrite(saved, **{where: value})
    refused(saved, "cannot be loaded")


@pytest.mark.parametrize(
    ("where", "name", "value"),
    [
        ("task", "pooling", "median"),
        ("task", "head", "tree"),
        ("spec", "mixing", "sum"),
        ("spec", "layers", {"!": "tuple", "of": [0, 7]}),
        ("spec", "layers", {"!": "tuple", "of": []}),
    ],
)
def test_a_spec_of_no_module_of_ours(where, name, value, saved):
    spec = json.loads((saved / MANIFEST).read_text())["module"]
    (spec if where == "spec" else spec["tasks"]["of"][0])[name] = value
    rewrite(saved, module=spec)
    refused(saved, "does not describe a module of this package")


def test_spec_of_a_giant(saved):
    manifest = json.loads((saved / MANIFEST).read_text())
    task = manifest["module"]["tasks"]["of"][0]
    task["n_outputs"] = 2**40
    rewrite(saved, module=manifest["module"])
    refused(saved, r"heads\.safetensors must have the weights")


def test_strings_wider_than_they_are(saved):
    wide = {"!": "array", "dtype": "<U67108864", "shape": [1], "of": ["a"]}
    parameters = json.loads((saved / MANIFEST).read_text())["parameters"]
    rewrite(saved, parameters={**parameters, "class_weight": {"a": wide}})
    refused(saved, "type <U67108864 of an array must not be wider")


def test_strings_wider_than_the_file(saved, monkeypatch):
    monkeypatch.setattr(_json, "MAX_BYTES", 10_000)
    wide = {"!": "array", "dtype": "<U1000", "shape": [2], "of": ["a" * 1000, ""]}
    parameters = json.loads((saved / MANIFEST).read_text())["parameters"]
    rewrite(saved, parameters={**parameters, "class_weight": {"a": wide}})
    AttentionFineTuneClassifier.load(saved)
    fitted = json.loads((saved / MANIFEST).read_text())["fitted"]
    rewrite(saved, fitted={**fitted, "classes_": wide})
    refused(saved, "arrays of the file must have at most 10000 bytes in total")


def array(*labels):
    return encode(np.array(labels))


@pytest.mark.parametrize(
    ("where", "changes"),
    [
        ("parameters", {"batch_size": "x"}),
        ("parameters", {"callbacks": "x"}),
        ("parameters", {"pooling": "median"}),
        ("fitted", {"classes_": array("bad")}),
        ("fitted", {"classes_": array("a", "b", "c")}),
        ("fitted", {"classes_": array(["a", "b"])}),
        ("fitted", {"classes_": ["bad", "good"]}),
        ("fitted", {"_base_model": {}}),
        ("module", {"hidden_size": 8}),
    ],
)
def test_what_does_not_fit_the_heads(where, changes, saved):
    manifest = json.loads((saved / MANIFEST).read_text())
    rewrite(saved, **{where: manifest[where] | changes})
    refused(saved, "cannot be loaded")


@pytest.mark.parametrize("name", ["classes_", "history_", "_base_model"])
def test_what_fit_always_sets(name, saved):
    fitted = json.loads((saved / MANIFEST).read_text())["fitted"]
    del fitted[name]
    rewrite(saved, fitted=fitted)
    refused(saved, "cannot be loaded")


def test_heads_that_classify_nothing(saved):
    module = json.loads((saved / MANIFEST).read_text())["module"]
    module["tasks"]["of"][0]["head"] = None
    heads = load_file(saved / "heads.safetensors")
    part_of_a_head = ("classify", "density")
    heads = {n: w for n, w in heads.items() if not any(p in n for p in part_of_a_head)}
    save_file(heads, saved / "heads.safetensors")
    rewrite(saved, module=module)
    refused(saved, "The labels must match the heads")


@pytest.fixture(scope="module")
def several(tiny_encoder, tmp_path_factory):
    clf = AttentionFineTuneClassifier(tiny_encoder, max_length=32, max_epochs=1)
    y = {"b": Y, "a": np.array([*"xyz"] * 6), "m": [{1}, {2}] * 9}
    return MultiTaskClassifier(clf).fit(X, y)


def cut(fitted):
    fitted["classes_"][0] = array("bad")
    fitted["_targets"][0]["classes"] = array("bad")


def rename(fitted):
    fitted["_targets"][0]["name"] = "c"


def exchange(fitted):
    fitted["task_names_"] = ["a", "b", "m"]


def exchange_all(fitted):
    fitted["task_names_"] = ["a", "b", "m"]
    for kept, name in zip(fitted["_targets"], "abm", strict=True):
        kept["name"] = name


def other_labels(fitted):
    fitted["classes_"][0] = array("x", "y")


def other_kind(fitted):
    fitted["_targets"][2]["kind"] = "labels"


def one_less(fitted):
    for name in ("task_names_", "_targets", "classes_"):
        fitted[name].pop()


def twice(fitted):
    for name in ("task_names_", "_targets", "classes_"):
        fitted[name].append(fitted[name][0])


@pytest.mark.parametrize(
    "change",
    [cut, rename, exchange, exchange_all, other_labels, other_kind, one_less, twice],
)
def test_label_sets_that_do_not_fit_the_heads(change, several, tmp_path):
    path = several.save(tmp_path / "model")
    assert_alike(MultiTaskClassifier.load(path), several)
    fitted = json.loads((path / MANIFEST).read_text())["fitted"]
    change(fitted)
    rewrite(path, fitted=fitted)
    with pytest.raises(ValueError, match=r"cannot be loaded.*(labels|task|classes)"):
        MultiTaskClassifier.load(path)


@pytest.mark.parametrize(
    "changes",
    [
        {"task_params": {"a": {"cache": "/"}}},
        {"task_weights": {"c": 1.0}},
        {"validation_task": "c"},
        {"task_sampling": "x"},
        {"estimator": None},
    ],
)
def test_parameters_that_do_not_fit_the_label_sets(changes, several, tmp_path):
    path = several.save(tmp_path / "model")
    parameters = json.loads((path / MANIFEST).read_text())["parameters"]
    rewrite(path, parameters=parameters | changes)
    with pytest.raises(ValueError, match="cannot be loaded"):
        MultiTaskClassifier.load(path)


def test_what_could_not_be_loaded_is_not_saved(clf, tmp_path):
    clf = pickle.loads(pickle.dumps(clf)).set_params(batch_size="x")
    with pytest.raises(ValueError, match="'batch_size' parameter"):
        clf.save(tmp_path / "model")
    assert not list(tmp_path.iterdir())


def test_a_giant_vocabulary(saved, monkeypatch):
    monkeypatch.setitem(_directory.JSON_FILES, "tokenizer.json", 9_000)
    AttentionFineTuneClassifier.load(saved)
    (saved / "tokenizer.json").write_bytes(b" " * 10_000)
    rewrite(saved)
    refused(saved, r"tokenizer\.json must have at most 9000 bytes, got 10000")
    monkeypatch.setattr(_directory, "MAX_MANIFEST", 90)
    refused(saved, r"estimator\.json was not written by save.* more than 90 bytes")


def test_a_deep_manifest(saved):
    (saved / MANIFEST).write_text("[" * 100_000)
    refused(saved, r"estimator\.json was not written by save")


def test_what_is_no_such_directory(saved, tmp_path):
    refused(tmp_path, r"not a directory that save has written.*estimator\.json")
    refused(saved / MANIFEST, "not a directory that save has written")
    refused(tmp_path / "nowhere", "not a directory that save has written")
    rewrite(saved, format="another")
    refused(saved, r"estimator\.json was not written by save")


def test_another_class_says_which(saved):
    with pytest.raises(ValueError, match=r"with AttentionFineTuneClassifier\.load"):
        MultiTaskClassifier.load(saved)


def test_a_newer_schema_says_so(saved):
    rewrite(saved, schema=_pack.SCHEMA + 1)
    refused(saved, r"newer sklearn_attnft.* Upgrade")


def test_an_older_schema_is_migrated(clf, saved, monkeypatch):
    def to_1(packed):
        spec = {**packed["spec"], "mixing": "attention"}
        return {**packed, "schema": 1, "spec": spec}

    monkeypatch.setattr(_pack, "MIGRATIONS", {0: to_1})
    module = json.loads((saved / MANIFEST).read_text())["module"]
    rewrite(saved, schema=0, module={**module, "mixing": "of old"})
    assert_alike(AttentionFineTuneClassifier.load(saved), clf)


def test_the_global_random_state_is_left(saved):
    torch.manual_seed(1)
    before = torch.get_rng_state(), np.random.get_state()[1].copy()
    AttentionFineTuneClassifier.load(saved)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert (np.random.get_state()[1] == before[1]).all()


def test_loading_needs_no_encoder(small, tmp_path):
    encoder = shutil.copytree(tiny.ENCODER, tmp_path / "encoder")
    small |= {"encoder": str(encoder), "pickle_weights": "delta"}
    clf = AttentionFineTuneClassifier(**small).fit(X, Y)
    path = clf.save(tmp_path / "model")
    shutil.rmtree(encoder)
    assert_alike(AttentionFineTuneClassifier.load(path), clf)
