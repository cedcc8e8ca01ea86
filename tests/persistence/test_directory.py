"""Saved directories: interrupted at any line, damaged anywhere, hostile."""

import json
import os
import sys
import time

import numpy as np
import pytest
import tiny
from safetensors.torch import load_file, save_file
from test_save_load import rewrite

from sklearn_attnft import AttentionFineTuneClassifier
from sklearn_attnft._hf._growth import check_growth
from sklearn_attnft._persistence import _create, _directory
from sklearn_attnft._utils import _files

X = ["good day", "bad dog", "lovely night", "awful rain"] * 3
Y = ["good", "bad"] * 6
OURS = (_create.__file__, _directory.__file__, _files.__file__)


@pytest.fixture(scope="module")
def clf(tiny_encoder):
    clf = AttentionFineTuneClassifier(
        tiny_encoder, max_length=32, max_epochs=1, random_state=0, precision="float32"
    )
    return clf.fit(X, Y)


class InterruptAt:
    """Raise KeyboardInterrupt at one of the lines that `save` runs."""

    def __init__(self, number):
        self.number, self.count = number, 0

    def __call__(self, frame, event, arg):
        if frame.f_code.co_filename not in OURS:
            return None
        if event == "line":
            self.count += 1
            if self.count == self.number:
                raise KeyboardInterrupt
        return self


# An interrupt between opening a file and the with statement leaves the file to Python.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("in_one_step", [True, False])
@pytest.mark.parametrize("exists", [True, False])
def test_an_interrupt_at_any_line_leaves_a_whole_model(
    exists, in_one_step, clf, tmp_path, monkeypatch
):
    if not in_one_step:
        monkeypatch.setattr(_files, "_exchange_in_one_step", lambda one, other: False)
    path, number, interrupted = tmp_path / "model", 0, True
    packed = clf.__getstate__()["_packed"]
    monkeypatch.setattr("sklearn_attnft._persistence._pack.pack", lambda *args: packed)
    if exists:
        clf.save(path)
    while interrupted:
        number += 1
        tracer = InterruptAt(number)
        before = sys.gettrace()
        sys.settrace(tracer)
        try:
            clf.save(path, overwrite=True)
            interrupted = tracer.count >= number
        except KeyboardInterrupt:
            pass
        finally:
            sys.settrace(before)
        assert list(tmp_path.iterdir()) in ([], [path])
        assert path.exists() or not exists
        if path.exists():
            _, files = _directory.read(path, lambda manifest: None)
            assert files["config.json"].read()
            if not exists:
                os.rename(path, tmp_path.parent / f"done-{number}-{in_one_step}")
    assert number > 50


def test_another_save_does_not_remove_a_directory_before_it_is_locked(
    clf, tmp_path, monkeypatch
):
    path, locked = tmp_path / "model", _create.locked

    def with_another(directory):
        _create._remove_abandoned(path)  # another process starts to save
        return locked(directory)

    monkeypatch.setattr(_create, "locked", with_another)
    clf.save(path)
    assert list(tmp_path.iterdir()) == [path]


def test_what_a_killed_save_left_is_removed_by_the_next(clf, tmp_path):
    path = tmp_path / "model"
    left = tmp_path / f"{_create._prefix(path)}abc"
    running = tmp_path / f"{_create._prefix(path)}def"
    other = tmp_path / f"{_create._prefix(tmp_path / 'other')}abc"
    for each in (left, running, other):
        each.mkdir()
        (each / "config.json").write_text("{}")
    with _files.locked(running):
        clf.save(path)
    assert not left.exists()
    assert running.exists()
    assert other.exists()


def test_a_model_is_moved_back_if_a_killed_save_was_replacing_it(
    clf, tmp_path, monkeypatch
):
    # Without an exchange in one step, the process was killed between the two renames.
    path = clf.save(tmp_path / "model")
    new = tmp_path / f"{_create._prefix(path)}abc"
    new.mkdir()
    path.rename(f"{new}.old")
    with _files.locked(new):  # another process is still saving
        assert _create._abandoned(path) == []
    with pytest.raises(FileExistsError, match="exists already"):
        clf.save(path)
    path.rename(f"{new}.old")

    def full(*args):
        raise OSError("the disk is full")

    monkeypatch.setattr(_create, "write_through", full)
    with pytest.raises(OSError, match="is full"):
        clf.save(path, overwrite=True)
    loaded = AttentionFineTuneClassifier.load(path)
    np.testing.assert_array_equal(loaded.predict_proba(X), clf.predict_proba(X))
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", ["n" * 255, "\u00e9" * 127, " ", "a.b.c"])
def test_any_name_that_the_file_system_takes(name, clf, tmp_path):
    path = clf.save(tmp_path / name)
    clf.save(path, overwrite=True)
    assert list(tmp_path.iterdir()) == [path]
    loaded = AttentionFineTuneClassifier.load(path)
    np.testing.assert_array_equal(loaded.predict_proba(X), clf.predict_proba(X))


def test_flipped_bits_change_nothing_in_silence(clf, tmp_path):
    path, rng = clf.save(tmp_path / "model"), np.random.RandomState(0)
    expected = clf.predict_proba(X)
    names = [*_directory.FILES, *[_directory.MANIFEST] * 5]
    n_refused = 0
    for i in range(60):
        file = path / names[i % len(names)]
        whole = file.read_bytes()
        damaged = bytearray(whole)
        damaged[rng.randint(len(whole))] ^= 1 << rng.randint(8)
        file.write_bytes(damaged)
        try:
            loaded = AttentionFineTuneClassifier.load(path)
        except ValueError as error:
            message = str(error)
            loaded = None
        if loaded is None:
            n_refused += 1
            assert str(path) in message
        else:  # white space of the manifest
            np.testing.assert_array_equal(loaded.predict_proba(X), expected)
            assert loaded.history_ == clf.history_
            assert loaded.get_params() == clf.get_params()
        file.write_bytes(whole)
    assert n_refused > 40


def refused(path, match="cannot be loaded"):
    start = time.monotonic()
    with pytest.raises(ValueError, match=match):
        AttentionFineTuneClassifier.load(path)
    assert time.monotonic() - start < 20


DOUBLE = {"type": "Replace", "pattern": {"String": "a"}, "content": "aa"}
BOMBS = [
    {"type": "Sequence", "normalizers": [DOUBLE] * 40},
    {
        "type": "Sequence",
        "normalizers": [{"type": "Sequence", "normalizers": [DOUBLE] * 9}] * 9,
    },
    {"type": "Replace", "pattern": {"Regex": ""}, "content": "a" * 100_000},
    {"type": "Sequence", "normalizers": [{"type": "ByteLevel"}] * 20},
]


@pytest.mark.parametrize("normalizer", BOMBS)
def test_a_tokenizer_that_makes_texts_grow_is_refused(normalizer, clf, tmp_path):
    path = clf.save(tmp_path / "model")
    tokenizer = json.loads((path / "tokenizer.json").read_text())
    tokenizer["normalizer"] = normalizer
    (path / "tokenizer.json").write_text(json.dumps(tokenizer))
    rewrite(path)
    refused(path, "normalizers of the tokenizer can make a text")


def test_the_tokenizers_of_common_families_are_accepted():
    sequence = [
        {"type": "Replace", "pattern": {"String": "``"}, "content": '"'},
        {"type": "NFKD"},
        {"type": "StripAccents"},
        {"type": "Lowercase"},
        {"type": "Precompiled", "precompiled_charsmap": ""},
        {"type": "Prepend", "prepend": "_"},
        {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "},
    ]
    metaspace = {"type": "Metaspace", "replacement": "_"}
    check_growth(
        json.dumps(
            {
                "normalizer": {"type": "Sequence", "normalizers": sequence},
                "pre_tokenizer": {"type": "Sequence", "pretokenizers": [metaspace] * 2},
            }
        )
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"num_hidden_layers": 1000, "num_attention_groups": 1000},
        {"model_type": "albert", "num_hidden_groups": 900, "inner_group_num": 900},
        {"hidden_size": 10**9},
        {"num_hidden_layers": -1},
        {"vocab_size": 10**12},
    ],
)
def test_an_impossible_configuration_is_refused(changes, clf, tmp_path):
    path = clf.save(tmp_path / "model")
    config = json.loads((path / "config.json").read_text())
    (path / "config.json").write_text(json.dumps({**config, **changes}))
    rewrite(path)
    refused(path)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("name", ["model.safetensors", "heads.safetensors"])
def test_weights_that_are_not_finite_are_refused(name, value, clf, tmp_path):
    path = clf.save(tmp_path / "model")
    weights = load_file(path / name)
    next(iter(weights.values())).view(-1)[0] = value
    save_file(weights, path / name)
    rewrite(path)
    refused(path, "weights must be finite")


def test_a_file_larger_than_its_layout_is_refused_unread(clf, tmp_path, monkeypatch):
    path = clf.save(tmp_path / "model")
    with open(path / "model.safetensors", "r+b") as file:
        file.truncate(2**40)  # sparse
    manifest = json.loads((path / _directory.MANIFEST).read_text())
    manifest["files"]["model.safetensors"]["size"] = 2**40
    (path / _directory.MANIFEST).write_text(json.dumps(manifest))
    refused(path, "must have at most")


@pytest.mark.parametrize(
    "changes",
    [
        {"n_iter_": True},
        {"n_iter_": -1},
        {"n_samples_fit_": 3.0},
        {"truncated_fraction_": 2.0},
        {"history_": [3]},
        {
            "classes_": {
                "!": "array",
                "dtype": "<U4",
                "shape": [2],
                "of": ["good", "bad"],
            }
        },
        {
            "classes_": {
                "!": "array",
                "dtype": "<U4",
                "shape": [2],
                "of": ["bad", "bad"],
            }
        },
    ],
    ids=str,
)
def test_fitted_values_without_sense_are_refused(changes, clf, tmp_path):
    path = clf.save(tmp_path / "model")
    fitted = json.loads((path / _directory.MANIFEST).read_text())["fitted"]
    rewrite(path, fitted={**fitted, **changes})
    refused(path, "cannot be loaded")


def test_layers_that_are_mixed_twice_are_refused(clf, tmp_path):
    path = clf.save(tmp_path / "model")
    module = json.loads((path / _directory.MANIFEST).read_text())["module"]
    module["layers"]["of"][0] = module["layers"]["of"][1]
    rewrite(path, module=module)
    refused(path, "cannot be loaded")
    assert tiny.N_LAYERS == 2
