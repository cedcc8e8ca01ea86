"""Which files of an encoder are read, and how: safetensors, or a safe pickle."""

import collections
import json
import os
import pickle
import shutil
import threading
import zipfile

import numpy as np
import pytest
import tiny
import torch
from safetensors.torch import load_file
from transformers import AutoModel, AutoModelForMaskedLM

from sklearn_attnft import (
    AttentionFineTuneClassifier,
    TransformerFeatureExtractor,
    _hf,
)
from sklearn_attnft._hf import _weights

X = ["good day", "bad dog", "lovely night", "awful rain", "", "good " * 50] * 3
Y = ["good", "bad", "good", "bad", "bad", "good"] * 3


@pytest.fixture
def passing_encoder(tmp_path):
    """Directory of an encoder that the test may change."""
    return shutil.copytree(tiny.ENCODER, tmp_path / "passing")


@pytest.fixture
def pickled_encoder(passing_encoder):
    """Directory of an encoder that has its weights in a pickle only."""
    safe = passing_encoder / "model.safetensors"
    torch.save(load_file(safe), passing_encoder / "pytorch_model.bin")
    safe.unlink()
    return passing_encoder


def features_of(encoder, **params):
    extractor = TransformerFeatureExtractor(encoder, max_length=60, **params)
    return extractor.fit_transform(X)


@pytest.fixture
def expected():
    return features_of(tiny.ENCODER)


def refused(encoder, match):
    for lm_epochs in (0, 1):
        with pytest.raises(ValueError, match=match):
            features_of(str(encoder), lm_epochs=lm_epochs)


# Pickles


def test_a_pickle_gives_the_features_of_its_safetensors(pickled_encoder, expected):
    np.testing.assert_array_equal(features_of(str(pickled_encoder)), expected)


@pytest.mark.parametrize("lm_epochs", [0, 1])
def test_a_fit_from_a_pickle_is_that_of_its_safetensors(
    lm_epochs, small, pickled_encoder
):
    small |= {"lm_epochs": lm_epochs, "pickle_weights": "delta", "max_length": 60}
    expected = AttentionFineTuneClassifier(**small).fit(X, Y).predict_proba(X)
    clf = AttentionFineTuneClassifier(**small | {"encoder": str(pickled_encoder)})
    np.testing.assert_array_equal(clf.fit(X, Y).predict_proba(X), expected)
    loaded = pickle.loads(pickle.dumps(clf))
    np.testing.assert_array_equal(loaded.predict_proba(X), expected)


def test_a_head_in_a_pickle_is_used(pickled_encoder):
    model = AutoModelForMaskedLM.from_pretrained(tiny.ENCODER)
    # Tied: the embedding matrix is the decoder too, and stored once.
    torch.save(model.state_dict(), pickled_encoder / "pytorch_model.bin")
    config = _hf.load_config(pickled_encoder)
    encoder, head = _hf.load_language_model(pickled_encoder, config)
    tables = {id(parameter) for parameter in head.parameters()}
    assert id(encoder.get_input_embeddings().weight) in tables
    ours = head.model.state_dict()
    for name, weight in model.state_dict().items():
        if name in ours:
            assert torch.equal(ours[name], weight), name


def test_safetensors_are_preferred_to_a_pickle(passing_encoder, expected, bomb):
    bomb(passing_encoder / "pytorch_model.bin")
    np.testing.assert_array_equal(features_of(str(passing_encoder)), expected)


class Bomb:
    def __reduce__(self):
        return (os.system, (f"touch {os.environ['BOMB']}",))


@pytest.fixture
def bomb(tmp_path, monkeypatch):
    """Write a pickle that touches a file when another unpickler reads it."""
    executed = tmp_path / "executed"
    monkeypatch.setenv("BOMB", str(executed))

    def write(path, **kwargs):
        weights = {"embeddings.word_embeddings.weight": torch.zeros(3), "x": Bomb()}
        torch.save(weights, path, **kwargs)

    write(tmp_path / "control")
    torch.load(tmp_path / "control", weights_only=False)
    assert executed.exists()
    executed.unlink()
    yield write
    assert not executed.exists()


def test_a_pickle_with_code_is_refused(pickled_encoder, bomb):
    bomb(pickled_encoder / "pytorch_model.bin")
    refused(pickled_encoder, "contains other objects than tensors")


def test_no_setting_of_torch_makes_a_pickle_run(pickled_encoder, bomb, monkeypatch):
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    bomb(pickled_encoder / "pytorch_model.bin")
    refused(pickled_encoder, "contains other objects than tensors")


def test_a_legacy_pickle_with_code_is_refused(pickled_encoder, bomb):
    path = pickled_encoder / "pytorch_model.bin"
    bomb(path, _use_new_zipfile_serialization=False)
    refused(pickled_encoder, r"torch before 1\.6.*save_pretrained")
    path.write_bytes(pickle.dumps(Bomb()))
    refused(pickled_encoder, r"torch before 1\.6.*save_pretrained")
    # A zip archive for Python, a legacy file for torch.
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("archive/data.pkl", b"")
    refused(pickled_encoder, r"torch before 1\.6")
    path.write_bytes(pickle.dumps(Bomb(), protocol=0))
    refused(pickled_encoder, "not a file of torch.save")


def test_a_legacy_pickle_is_refused_with_its_cure(pickled_encoder, expected, tmp_path):
    path = pickled_encoder / "pytorch_model.bin"
    torch.save(torch.load(path), path, _use_new_zipfile_serialization=False)
    refused(pickled_encoder, r"AutoModel\.from_pretrained\(.*\.save_pretrained\(")
    AutoModel.from_pretrained(pickled_encoder).save_pretrained(pickled_encoder)
    np.testing.assert_array_equal(features_of(str(pickled_encoder)), expected)


@pytest.mark.parametrize("version", ["2.9.1", "2.9.1+cu128", "2.10.0a0+git1"])
def test_an_older_torch_reads_no_pickle(version, pickled_encoder, monkeypatch):
    monkeypatch.setattr(torch, "__version__", version)
    monkeypatch.setattr(torch, "load", lambda *args, **kwargs: 1 / 0)
    message = r"2\.10 or newer.* got torch 2\..*\.from_pretrained.*save_pretrained"
    refused(pickled_encoder, message)


@pytest.mark.parametrize("version", ["2.10.0", "2.11.0+cu128", "3.0.0"])
def test_a_newer_torch_reads_pickles(version, pickled_encoder, expected, monkeypatch):
    monkeypatch.setattr(torch, "__version__", version)
    np.testing.assert_array_equal(features_of(str(pickled_encoder)), expected)


def rezip(path, change=lambda name, data: data, compression=zipfile.ZIP_STORED):
    """Write the entries of an archive again."""
    with zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in entries.items():
            archive.writestr(name, change(name, data))


@pytest.fixture
def no_load(monkeypatch):
    """Fail if a file is read that was to be refused before."""
    monkeypatch.setattr(torch, "load", lambda *args, **kwargs: pytest.fail("read"))


def test_a_compressed_archive_is_refused(pickled_encoder, no_load):
    path = pickled_encoder / "pytorch_model.bin"

    def inflate(name, data):
        return bytes(2**24) if name.endswith("data/0") else data

    rezip(path, inflate, zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 2**20
    refused(pickled_encoder, r"pytorch_model\.bin is compressed")


def test_entries_that_overlap_are_refused(pickled_encoder, no_load):
    path = pickled_encoder / "pytorch_model.bin"
    with zipfile.ZipFile(path, "a") as archive:
        (largest,) = sorted(archive.infolist(), key=lambda e: e.file_size)[-1:]
        archive.filelist += [largest] * 10
        archive.writestr("archive/more", b"")  # so that the directory is written
    refused(pickled_encoder, r"pytorch_model\.bin is compressed")


def test_a_giant_data_pkl_is_refused(pickled_encoder, no_load, monkeypatch):
    monkeypatch.setattr(_weights, "MAX_PICKLE_BYTES", 1000)
    refused(pickled_encoder, r"data\.pkl of at most 1000 bytes, got \d+ bytes")


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"version https://git-lfs"])
def test_a_damaged_pickle_is_refused(content, pickled_encoder, no_load):
    (pickled_encoder / "pytorch_model.bin").write_bytes(content)
    refused(pickled_encoder, "weights that cannot be read.*git-lfs")


def test_a_pickle_that_is_cut_off_is_refused(pickled_encoder):
    path = pickled_encoder / "pytorch_model.bin"
    path.write_bytes(path.read_bytes()[:-100])
    refused(pickled_encoder, "weights that cannot be read")
    path.unlink()
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/else", b"")
    refused(pickled_encoder, "weights that cannot be read")


@pytest.mark.parametrize(
    "value",
    [
        torch.zeros(1).expand(2**40),
        torch.zeros(3, device="meta"),
        torch.eye(3).to_sparse(),
        {"nested": torch.zeros(3)},
        7,
    ],
    ids=["expanded", "meta", "sparse", "dict", "int"],
)
def test_what_is_not_a_plain_tensor_is_refused(value, pickled_encoder):
    path = pickled_encoder / "pytorch_model.bin"
    weights = torch.load(path)
    name = next(iter(weights))
    torch.save(weights | {name: value}, path)
    refused(pickled_encoder, "weights that cannot be read")
    torch.save([*weights.values()], path)
    refused(pickled_encoder, "weights that cannot be read")


def test_what_a_state_dict_carries_along_does_not_matter(pickled_encoder, expected):
    path = pickled_encoder / "pytorch_model.bin"
    weights = collections.OrderedDict(torch.load(path))
    weights._metadata = {"": {"version": 1}}
    name, weight = next(iter(weights.items()))
    weights[name] = torch.nn.Parameter(weight)
    torch.save(weights, path)
    np.testing.assert_array_equal(features_of(str(pickled_encoder)), expected)


@pytest.mark.parametrize("place", ["directory", "hub"])
def test_a_sharded_pickle(place, pickled_encoder, expected, hub, bomb):
    path = pickled_encoder / "pytorch_model.bin"
    weights = torch.load(path)
    path.unlink()
    weight_map = {}
    for i, names in enumerate([[*weights][::2], [*weights][1::2]], 1):
        shard = f"pytorch_model-0000{i}-of-00002.bin"
        torch.save({name: weights[name] for name in names}, path.with_name(shard))
        weight_map |= dict.fromkeys(names, shard)
    index = {"metadata": {}, "weight_map": weight_map}
    path.with_name("pytorch_model.bin.index.json").write_text(json.dumps(index))
    encoder = hub(pickled_encoder) if place == "hub" else str(pickled_encoder)
    np.testing.assert_array_equal(features_of(encoder), expected)
    bomb(pickled_encoder / shard)
    refused(pickled_encoder, "contains other objects than tensors")


# What a configuration or an index names


@pytest.mark.parametrize("name", ["adapter_model.bin", "evil.bin", "../x.safetensors"])
def test_a_configuration_names_no_pickle(name, pickled_encoder, expected, bomb):
    config = pickled_encoder / "config.json"
    named = {"transformers_weights": name}
    config.write_text(json.dumps(json.loads(config.read_text()) | named))
    bomb(pickled_encoder / os.path.basename(name))
    if name == "adapter_model.bin":
        np.testing.assert_array_equal(features_of(str(pickled_encoder)), expected)
    else:
        refused(
            pickled_encoder,
            f"config.json that lists the weights file '{name}'.*save_pretrained",
        )


@pytest.mark.parametrize("place", ["directory", "hub"])
@pytest.mark.parametrize("sharded", [False, True])
def test_a_configuration_names_safetensors(
    sharded, place, passing_encoder, expected, hub
):
    name = "own/weights.safetensors" + ".index.json" * sharded
    config = passing_encoder / "config.json"
    named = {"transformers_weights": name}
    config.write_text(json.dumps(json.loads(config.read_text()) | named))
    safe = passing_encoder / "model.safetensors"
    (passing_encoder / "own").mkdir()
    if sharded:
        index = {"weight_map": dict.fromkeys(load_file(safe), "shard.safetensors")}
        (passing_encoder / name).write_text(json.dumps(index))
        safe.rename(passing_encoder / "shard.safetensors")
    else:
        safe.rename(passing_encoder / name)
    encoder = hub(passing_encoder) if place == "hub" else str(passing_encoder)
    np.testing.assert_array_equal(features_of(encoder), expected)


@pytest.mark.parametrize(
    "name", ["weights.bin", "../model.safetensors", "pytorch_model.bin"]
)
@pytest.mark.parametrize("place", ["directory", "hub"])
def test_an_index_cannot_name_pickles(name, place, passing_encoder, hub, monkeypatch):
    safe = passing_encoder / "model.safetensors"
    weights = load_file(safe)
    safe.unlink()
    torch.save(weights, passing_encoder / "weights.bin")
    index = {"metadata": {}, "weight_map": dict.fromkeys(weights, name)}
    (passing_encoder / "model.safetensors.index.json").write_text(json.dumps(index))
    monkeypatch.setattr(torch, "load", lambda *args, **kwargs: 1 / 0)
    encoder = hub(passing_encoder) if place == "hub" else passing_encoder
    refused(encoder, rf"lists the weights file '{name}'.*save_pretrained")


@pytest.mark.parametrize("name", ["../pytorch_model.bin", "/x/y.bin", "x.safetensors"])
def test_an_index_of_pickles_names_files_beside_it(name, pickled_encoder, no_load):
    path = pickled_encoder / "pytorch_model.bin"
    path.rename(pickled_encoder.parent / "pytorch_model.bin")
    index = {"weight_map": {"x": name}}
    path.with_name("pytorch_model.bin.index.json").write_text(json.dumps(index))
    refused(pickled_encoder, f"lists the weights file '{name}'.*save_pretrained")


# What comes from the hub


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """Put an encoder into the hub's cache; `online`, a hub answers for it as well."""
    import huggingface_hub
    from huggingface_hub import constants
    from huggingface_hub.errors import EntryNotFoundError
    from transformers import modeling_utils

    home = tmp_path / "home" / "hub"
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(home))

    def fail(*args, **kwargs):
        raise AssertionError("a third party was asked to convert")

    def put(directory, *, online=False, repository="someone/theirs"):
        commit = "0123456789" * 4
        model = home / f"models--{repository.replace('/', '--')}"
        (model / "refs").mkdir(parents=True)
        (model / "refs" / "main").write_text(commit)
        shutil.copytree(directory, model / "snapshots" / commit)
        if online:
            snapshot = model / "snapshots" / commit

            def download(source, name, **kwargs):
                if not (snapshot / name).is_file():
                    raise EntryNotFoundError(name)
                return str(snapshot / name)

            monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
            # Whatever transformers itself asks the hub for.
            monkeypatch.setattr(modeling_utils, "is_offline_mode", lambda: False)
            monkeypatch.setattr(
                modeling_utils, "has_file", lambda *args, **kwargs: False
            )
        return repository

    monkeypatch.setattr(modeling_utils, "auto_conversion", fail)
    return put


@pytest.mark.parametrize("online", [False, True])
def test_a_sharded_encoder_of_the_hub(online, passing_encoder, hub, expected):
    model = AutoModel.from_pretrained(passing_encoder)
    (passing_encoder / "model.safetensors").unlink()
    model.save_pretrained(passing_encoder, max_shard_size="20kB")
    assert len(list(passing_encoder.glob("*.safetensors"))) > 1
    encoder = hub(passing_encoder, online=online)
    np.testing.assert_array_equal(features_of(encoder), expected)


@pytest.mark.parametrize("online", [False, True])
def test_a_pickle_of_the_hub_is_converted_by_nobody(
    online, pickled_encoder, hub, expected
):
    encoder = hub(pickled_encoder, online=online)
    np.testing.assert_array_equal(features_of(encoder), expected)
    assert not [t for t in threading.enumerate() if "conversion" in t.name]


def test_an_encoder_of_the_hub_without_weights(passing_encoder, hub):
    (passing_encoder / "model.safetensors").unlink()
    refused(hub(passing_encoder), "hf download someone/theirs")
