import contextlib
import json
import os
import pickle
import shutil
import subprocess
import sys
import threading
import time
import zlib
from pathlib import Path

import numpy as np
import pytest
import sklearn.base
import tiny
import torch
from counting import CountingExtractor, texts_read, uses
from safetensors.torch import load_file, save_file
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from sklearn_attnft import (
    AttentionFineTuneClassifier,
    MultiTaskClassifier,
    TransformerFeatureExtractor,
    _cache,
)
from sklearn_attnft._cache import _directory, _fetch
from sklearn_attnft._cache._directory import DirectoryStore
from sklearn_attnft._cache._memory import MemoryStore
from sklearn_attnft._data import _tokens
from sklearn_attnft._runtime import _encoder_cache, _predict
from sklearn_attnft._runtime._device import Machine
from sklearn_attnft._runtime._packed_encoding import PackedEncoding

X = ["good day", "bad dog", "", "the sun and the rain are fun", "bad dog", "a man"]
N_DISTINCT = 5
TEXTS = [f"{w} {v} day" for w in tiny.WORDS[:10] for v in tiny.WORDS[:6]]
LABELS = ["a", "b", "c"] * 20


can_fork = pytest.mark.skipif(
    not hasattr(os, "fork"), reason="forks; ends where the system has os.fork"
)


pytestmark = pytest.mark.usefixtures("no_stores")


@pytest.fixture(params=["memory", "directory"])
def store(request, tmp_path, monkeypatch):
    monkeypatch.setattr(_directory, "TOUCH_AFTER", -1)  # files of a test are never old
    return MemoryStore() if request.param == "memory" else DirectoryStore(str(tmp_path))


@pytest.fixture
def encoder(tmp_path):
    """Return the directory of an encoder that the test may change."""
    return shutil.copytree(tiny.ENCODER, tmp_path / "encoder")


@pytest.fixture
def encoded(monkeypatch):
    """Return the list of batch sizes that the encoder has read, in windows."""
    sizes, encode = [], PackedEncoding.__call__

    def counting(self, encoder, input_ids, *args):
        sizes.append(len(input_ids))
        return encode(self, encoder, input_ids, *args)

    monkeypatch.setattr(PackedEncoding, "__call__", counting)
    return sizes


def extractor(encoder=tiny.ENCODER, **kwargs):
    return TransformerFeatureExtractor(encoder, **{"max_length": 32, **kwargs})


def entries(directory):
    """Return the files that hold values."""
    files = Path(directory).glob("sklearn_attnft/[0-9a-f][0-9a-f]/*")
    return [file for file in files if file.suffix != ".tmp"]


# Features


def test_features_are_those_without_cache(cache):
    expected = extractor().fit_transform(X)
    fitted = extractor(cache=cache).fit(X)
    first, second = fitted.transform(X), fitted.transform(X)
    assert first.dtype == second.dtype == np.float32
    np.testing.assert_allclose(first, expected, atol=1e-6)
    np.testing.assert_array_equal(second, first)


def test_weights_that_the_user_changes_are_other_weights(cache):
    fitted = extractor(cache=cache).fit(X)
    fitted.transform(X)
    with torch.no_grad():
        next(fitted.module_.encoder.parameters()).mul_(1.5)
    expected = pickle.loads(pickle.dumps(fitted)).set_params(cache=None).transform(X)
    np.testing.assert_allclose(fitted.transform(X), expected, atol=1e-6)
    assert uses(fitted) == (0, 2 * N_DISTINCT)
    state = fitted.module_.encoder.state_dict()
    state = {name: weight * 1.5 for name, weight in state.items()}
    fitted.module_.encoder.load_state_dict(state, assign=True)
    fitted.transform(X)
    assert uses(fitted) == (0, 3 * N_DISTINCT)


@pytest.mark.parametrize("change", ["fused optimizer", "data"])
def test_changes_that_torch_does_not_count_are_other_weights(change, cache):
    fitted = extractor(cache=cache).fit(X)
    fitted.transform(X)
    parameters = [*fitted.module_.encoder.requires_grad_(True).parameters()]
    if change == "data":
        for each in parameters:
            each.data.mul_(1.3)
    else:
        for each in parameters:
            each.grad = torch.ones_like(each)
        torch.optim.AdamW(parameters, lr=0.1, fused=True).step()
    expected = pickle.loads(pickle.dumps(fitted)).set_params(cache=None).transform(X)
    np.testing.assert_allclose(fitted.transform(X), expected, atol=1e-5)


def test_shards_in_another_directory_are_read_each_time(cache, tmp_path):
    path = shutil.copytree(tiny.ENCODER, tmp_path / "shards")
    (path / "sub").mkdir()
    shard = path / "sub" / "m.safetensors"
    (path / "model.safetensors").rename(shard)
    weights = load_file(shard)
    index = {"weight_map": dict.fromkeys(weights, "sub/m.safetensors")}
    (path / "model.safetensors.index.json").write_text(json.dumps(index))
    first = extractor(path, cache=cache).fit_transform(X)
    save_file({name: 1.5 * each for name, each in weights.items()}, shard)
    second = extractor(path, cache=cache).fit_transform(X)
    np.testing.assert_allclose(second, extractor(path).fit_transform(X), atol=1e-6)
    assert np.abs(second - first).max() > 0.1


def test_long_computations_do_not_wait_for_each_other(store):
    """Language models of the folds of a search are trained at the same time."""
    started = threading.Barrier(16, timeout=20)

    def compute(rows):
        started.wait()  # until the others compute too
        return [b"value"]

    def work(content):
        cache = _fetch.Cache(store, 10**6, b"same", _fetch.Counts())
        cache.fetch([content], compute, is_long=True)

    contents = [b"%d" % n for n in range(16)]
    threads = [threading.Thread(target=work, args=(each,)) for each in contents]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not started.broken


def test_every_distinct_text_is_encoded_once(cache, encoded):
    fitted = extractor(cache=cache).fit(X)
    assert uses(fitted) == (0, 0)
    fitted.transform(X[:2])
    assert uses(fitted) == (0, 2)
    fitted.transform(X)
    assert uses(fitted) == (2, N_DISTINCT)
    fitted.transform(X[::-1])
    assert uses(fitted) == (2 + N_DISTINCT, N_DISTINCT)
    assert sum(encoded) == N_DISTINCT
    other = sklearn.base.clone(fitted).fit(X)
    other.transform(X)
    assert uses(other) == (N_DISTINCT, 0)
    assert sum(encoded) == N_DISTINCT


def test_cache_info_says_what_is_stored(cache):
    unfitted = extractor(cache=cache, cache_size=10_000)
    assert unfitted.cache_info() == (0, 0, 10_000, 0)
    unfitted.fit(X).transform(X)
    size = unfitted.cache_info().currsize
    assert size >= N_DISTINCT * tiny.HIDDEN_SIZE * 4
    if cache != "memory":
        assert size == sum(file.stat().st_size for file in entries(cache))


def test_without_cache_nothing_is_counted_and_nothing_hashed(monkeypatch):
    monkeypatch.setattr(_encoder_cache._hf, "encoder_digest", None)
    fitted = extractor().fit(X)
    fitted.transform(X)
    assert fitted.cache_info() == extractor().cache_info() == (0, 0, 0, 0)


def test_the_encoder_is_hashed_once(cache, encoder, monkeypatch):
    digests, digest = [], _encoder_cache._hf.encoder_digest

    def counting(*args):
        digests.append(digest(*args))
        return digests[-1]

    monkeypatch.setattr(_encoder_cache._hf, "encoder_digest", counting)
    fitted = extractor(encoder, cache=cache).fit(X)
    for _ in range(3):
        fitted.transform(X)
    assert len(digests) == 1
    # It is hashed once per process, unless its files change.
    fitted.fit(X).transform(X)
    extractor(encoder, cache=cache).fit(X).transform(X)
    assert len(digests) == 1
    tiny.save_tiny_encoder(encoder)
    extractor(encoder, cache=cache).fit(X).transform(X)
    assert len(digests) == 2


OPTIONS = [
    {"layers": "all"},
    {"layers": [1]},
    {"pooling": "max"},
    {"pooling": "concat"},
    {"max_length": 33},
    {"long_texts": "window"},
    {"precision": "bfloat16"},
    {"lm_epochs": 1, "random_state": 0},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_what_changes_the_features_is_in_the_key(options, cache):
    extractor(cache=cache, precision="float32").fit(X).transform(X)
    options = {"precision": "float32", **options}
    changed = extractor(cache=cache, **options).fit(X)
    np.testing.assert_allclose(
        changed.transform(X), extractor(**options).fit_transform(X), atol=1e-6
    )
    n_stages = "lm_epochs" in options
    assert uses(changed) == (0, n_stages + N_DISTINCT)


def edit(file, change):
    content = json.loads(file.read_text())
    change(content)
    file.write_text(json.dumps(content))


CHANGES = {
    "weights": lambda path: tiny.save_tiny_encoder(path, seed=1),
    "configuration": lambda path: edit(
        path / "config.json", lambda config: config.update(hidden_act="relu")
    ),
    "tokenizer": lambda path: edit(
        path / "tokenizer.json", lambda j: j["normalizer"].update(lowercase=False)
    ),
}


@pytest.mark.parametrize("what", CHANGES)
def test_the_encoder_is_in_the_key_by_content(what, encoder, cache):
    extractor(cache=cache).fit(X).transform(X)
    same = extractor(encoder, cache=cache).fit(X)
    same.transform(X)
    assert uses(same) == (N_DISTINCT, 0)
    CHANGES[what](encoder)
    changed = extractor(encoder, cache=cache).fit(X)
    changed.transform(X)
    assert uses(changed) == (0, N_DISTINCT)


def test_files_that_cannot_be_looked_at_are_read_each_time(encoder, cache, monkeypatch):
    scandir = os.scandir

    def going(directory="."):
        if os.fspath(directory) == str(encoder):
            raise FileNotFoundError(directory)
        return scandir(directory)

    monkeypatch.setattr(os, "scandir", going)
    # Before the files change: a fitted model maps them, and safetensors 0.5 writes in
    # place.
    features = extractor(encoder, cache=cache).fit_transform(X)
    tiny.save_tiny_encoder(encoder, seed=1)
    changed = extractor(encoder, cache=cache).fit(X)
    assert not np.allclose(features, changed.transform(X))


def test_weights_in_a_directory_of_their_own(encoder, cache, tmp_path):
    named = {"transformers_weights": "own/model.safetensors"}
    edit(encoder / "config.json", lambda config: config.update(named))
    (encoder / "model.safetensors").unlink()
    (encoder / "own").mkdir()
    for seed in (1, 2):
        tiny.save_tiny_encoder(tmp_path / f"{seed}", seed=seed)
        weights = (tmp_path / f"{seed}" / "model.safetensors").read_bytes()
        (encoder / "own" / "model.safetensors").write_bytes(weights)
        fitted = extractor(encoder, cache=cache).fit(X)
        fitted.transform(X)
        assert uses(fitted) == (0, N_DISTINCT)


def test_the_type_of_device_and_its_precision_are_in_the_key():
    fitted = extractor(cache="memory").fit(X)

    def namespace(device):
        machine = Machine(torch.device(device), torch.float32)
        parts = fitted.module_, fitted._spec, fitted._tokenizer
        return _encoder_cache.features_cache(*parts, machine, fitted).namespace

    assert namespace("cpu") != namespace("cuda")
    assert namespace("cuda:0") == namespace("cuda:1")
    before = namespace("cpu"), namespace("cuda")
    try:
        torch.set_float32_matmul_precision("medium")
        assert namespace("cpu") != before[0]
        assert namespace("cuda") != before[1]
    finally:
        torch.set_float32_matmul_precision("highest")
    assert (namespace("cpu"), namespace("cuda")) == before


@pytest.mark.parametrize("what", ["format", "sklearn_attnft", *_fetch.ENGINES])
def test_an_upgrade_finds_nothing_old(what, cache, monkeypatch):
    extractor(cache=cache).fit(X).transform(X)
    version = _fetch.importlib.metadata.version
    if what == "format":
        monkeypatch.setattr(_fetch, "FORMAT", _fetch.FORMAT + 1)
    elif what == "sklearn_attnft":
        monkeypatch.setattr(_fetch, "__version__", "99")
    else:
        monkeypatch.setattr(
            _fetch.importlib.metadata,
            "version",
            lambda name: "99" if name == what else version(name),
        )
    fitted = extractor(cache=cache).fit(X)
    fitted.transform(X)
    assert uses(fitted) == (0, N_DISTINCT)


def test_texts_that_differ_in_half_a_character_only(cache):
    fitted = extractor(cache=cache).fit(X)
    assert fitted.transform(["\ud800", "\udfff", "\ufffd"]).shape[0] == 3
    assert uses(fitted) == (0, 3)


def test_large_inputs_are_looked_up_in_pieces(cache, monkeypatch):
    monkeypatch.setattr(_tokens, "CHUNK_SIZE", 7)
    monkeypatch.setattr(_fetch, "PIECE", 3)
    expected = extractor().fit_transform(TEXTS)
    fitted = extractor(cache=cache).fit(TEXTS)
    fitted.transform(TEXTS[::3])
    np.testing.assert_allclose(fitted.transform(TEXTS), expected, atol=1e-6)
    assert uses(fitted) == (20, 60)


def test_the_bar_counts_all_texts(cache, capsys, monkeypatch):
    monkeypatch.setattr(_predict, "BAR_DELAY", 0.0)
    fitted = extractor(cache=cache, verbose=1).fit(X)
    for n_texts in (2, 5, 6):
        fitted.transform(X[:n_texts])
    shown = capsys.readouterr().err
    for bar in ("2/2", "5/5", "6/6"):
        assert bar in shown


def test_pickles_and_clones_carry_parameters_only(cache):
    fitted = extractor(cache=cache, cache_size=10_000).fit(X)
    before = len(pickle.dumps(fitted))
    features = fitted.transform(X)
    assert len(pickle.dumps(fitted)) == before
    for copy in (pickle.loads(pickle.dumps(fitted)), sklearn.base.clone(fitted)):
        assert (copy.cache, copy.cache_size) == (cache, 10_000)
        assert uses(copy) == (0, 0)
    loaded = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(loaded.transform(X), features)
    assert uses(loaded) == (N_DISTINCT, 0)


def test_a_relative_path_is_where_the_process_is(tmp_path, monkeypatch):
    fitted = extractor(cache="features").fit(X)
    for place in ("one", "two"):
        (tmp_path / place).mkdir()
        monkeypatch.chdir(tmp_path / place)
        fitted.transform(X)
        assert len(entries("features")) == N_DISTINCT


def test_a_file_that_is_being_read_is_dropped_later(tmp_path, monkeypatch):
    def unlink(path, original=os.unlink):
        if str(path).endswith(".tmp"):
            original(path)
        else:  # as Windows does
            raise PermissionError(32, "being used by another process")

    monkeypatch.setattr(os, "unlink", unlink)
    fitted = extractor(cache=tmp_path, cache_size=400).fit(X)
    np.testing.assert_array_equal(fitted.transform(X), extractor().fit_transform(X))


def test_what_else_is_in_the_directory_stays(tmp_path):
    mine = tmp_path / "ab" / "mine"
    mine.parent.mkdir()
    mine.write_text("not to be dropped")
    fitted = extractor(cache=tmp_path, cache_size=400).fit(X)
    fitted.transform(X)
    assert 0 < fitted.cache_info().currsize <= 400
    assert mine.read_text() == "not to be dropped"


# A grid


@pytest.mark.parametrize(("kind", "n_jobs"), [("memory", None), ("directory", 2)])
def test_a_grid_encodes_every_text_once(kind, n_jobs, encoder, tmp_path):
    cache = "memory" if kind == "memory" else str(tmp_path / "cache")
    parameters = {"max_length": 32, "cache": cache}
    pipeline = make_pipeline(
        CountingExtractor(str(encoder), **parameters),
        LogisticRegression(max_iter=10_000),
    )
    grid = {"logisticregression__C": [0.01, 0.1, 1.0]}
    search = GridSearchCV(pipeline, grid, cv=3, n_jobs=n_jobs, error_score="raise")
    search.fit(TEXTS, LABELS)
    search.predict(TEXTS)
    assert texts_read(encoder) == len(set(TEXTS))


def python(code, *arguments, **kwargs):
    """Start an interpreter with the import path of this one."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    environment["OMP_NUM_THREADS"] = "1"
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.Popen(command, env=environment, **kwargs)


# Four processes that read the same texts at the same time.
READ = """
import json, os, sys, numpy
from counting import CountingExtractor
encoder, cache, texts = sys.argv[1:]
extractor = CountingExtractor(encoder, max_length=32, cache=cache).fit(["a"])
readers = []
for i in range(4):
    pid = os.fork()
    if not pid:
        numpy.save(f"{encoder}/{i}.npy", extractor.transform(json.loads(texts)))
        os._exit(0)
    readers.append(pid)
sys.exit(max(os.waitpid(pid, 0)[1] for pid in readers))
"""


@can_fork
def test_processes_share_a_directory(encoder, tmp_path):
    expected = extractor().fit_transform(TEXTS)
    assert python(READ, encoder, tmp_path, json.dumps(TEXTS)).wait() == 0
    for i in range(4):
        features = np.load(encoder / f"{i}.npy")
        np.testing.assert_allclose(features, expected, atol=1e-6)
    assert texts_read(encoder) == len(TEXTS)


def test_threads_share_a_cache(cache, encoded):
    expected = extractor().fit_transform(TEXTS)
    encoded.clear()
    fitted = [extractor(cache=cache).fit(TEXTS) for _ in range(8)]
    features, barrier = {}, threading.Barrier(8)

    def read(i):
        barrier.wait()
        features[i] = fitted[i].transform(TEXTS)

    threads = [threading.Thread(target=read, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(features) == 8
    for of_thread in features.values():
        np.testing.assert_allclose(of_thread, expected, atol=1e-6)
    assert sum(encoded) == len(TEXTS)
    assert sum(each.cache_info().misses for each in fitted) == len(TEXTS)


# Stores


def test_what_is_used_least_recently_goes_first(store):
    for key in ("aa1", "bb2", "cc3"):
        store.put(key, bytes(1000), 3400)
        time.sleep(0.02)
    assert store.get("aa1") is not None
    time.sleep(0.02)
    store.put("dd4", bytes(1000), 3400)
    assert {k for k in ("aa1", "bb2", "cc3", "dd4") if store.get(k)} == {
        "aa1",
        "cc3",
        "dd4",
    }


def test_a_store_never_takes_more_than_its_limit(store):
    rng = np.random.default_rng(0)
    for i in range(200):
        store.put(f"{i % 7:02x}{i}", bytes(int(rng.integers(1, 3000))), 10_000)
        assert store.size() <= 10_000
    assert store.size() > 5000
    store.put(
        "0000", bytes(20_000), 10_000
    )  # larger than the limit: it must not empty the store
    assert store.get("0000") is None
    assert store.size() > 5000
    store.put(
        "0001", bytes(100), 1000
    )  # another estimator may have a smaller cache_size
    for i in range(2):
        store.put(f"000{i}", bytes(100), 1000)
    assert store.size() <= 1000


def test_a_value_is_replaced_and_counted_once(store):
    for value in (b"one", b"four", b"two"):
        store.put("aa", value, 1000)
    assert store.get("aa") == b"two"
    assert store.size() < 30


def test_the_directory_is_seldom_listed(tmp_path, monkeypatch):
    listings, files = [], DirectoryStore._files

    def counting(self):
        listings.append(1)
        return files(self)

    monkeypatch.setattr(DirectoryStore, "_files", counting)
    store = DirectoryStore(str(tmp_path))
    for i in range(1000):
        store.put(f"{i % 256:02x}{i}", bytes(84), 50_000)
    assert len(listings) <= 1000 * 100 / 5000 + 1


DAMAGE = {
    "truncated": lambda file: file.write_bytes(file.read_bytes()[:-5]),
    "empty": lambda file: file.write_bytes(b""),
    "longer": lambda file: file.write_bytes(file.read_bytes() + b"\0\0\0\0"),
    "a bit": lambda file: file.write_bytes(
        (b := file.read_bytes())[:40] + bytes([b[40] ^ 1]) + b[41:]
    ),
    "another's": lambda file: shutil.copy(
        next(each for each in entries(file.parents[2]) if each != file), file
    ),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_entry_is_computed_again(damage, tmp_path):
    fitted = extractor(cache=tmp_path).fit(X)
    expected = fitted.transform(X)
    DAMAGE[damage](entries(tmp_path)[0])
    np.testing.assert_allclose(fitted.transform(X), expected, atol=1e-6)
    assert uses(fitted) == (N_DISTINCT - 1, N_DISTINCT + 1)
    fitted.transform(X)
    assert uses(fitted) == (2 * N_DISTINCT - 1, N_DISTINCT + 1)


def test_a_reader_marks_old_entries_as_used(tmp_path):
    store = DirectoryStore(str(tmp_path))
    store.put("aa1", b"value", 1000)
    (file,) = entries(tmp_path)
    os.utime(file, (1, 1))
    store.get("aa1")
    used = file.stat().st_mtime_ns
    assert time.time() - used / 1e9 < 60
    store.get("aa1")
    assert file.stat().st_mtime_ns == used


def value_of(content):
    return np.full(50_000, zlib.crc32(content), dtype=np.float32)


CONTENTS = [b"%d" % i for i in range(40)]
# Starts processes that write in an endless loop, and kills each at a random time.
KILL = """
import os, random, signal, sys, time, zlib, shutil, pathlib
import numpy as np
from sklearn_attnft import _cache
contents = [b"%d" % i for i in range(40)]

def write():
    while True:
        store = _cache.open_store(sys.argv[1])
        cache = _cache.Cache(store, 10**9, b"", _cache.Counts())
        random.shuffle(contents)
        cache.fetch_floats(contents, lambda rows: [
            np.full(50_000, zlib.crc32(contents[row]), dtype=np.float32) for row in rows
        ])
        for file in pathlib.Path(sys.argv[1]).glob("sklearn_attnft/??/" + "?" * 64):
            file.unlink(missing_ok=True)

for _ in range(10):
    pair = []
    for _ in range(2):
        pid = os.fork()
        if not pid:
            write()
        pair.append(pid)
    for pid in pair:
        time.sleep(random.uniform(0.01, 0.15))
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
"""


@can_fork
def test_killed_writers_leave_whole_entries_and_no_locks(tmp_path):
    store = DirectoryStore(str(tmp_path))
    cache = _cache.Cache(store, 10**9, b"", _cache.Counts())
    keys = [_fetch.hashlib.sha256(content).hexdigest() for content in CONTENTS]
    expected = [value_of(content).tobytes() for content in CONTENTS]
    n_read, n_tries = 0, 0
    while not n_read:  # on a busy machine writers are killed before they write
        n_tries += 1
        assert n_tries < 10
        killer = python(KILL, tmp_path)
        while killer.poll() is None:
            for key, value in zip(keys, expected, strict=True):
                found = store.get(key)
                assert found in (None, value)
                n_read += found is not None
        assert killer.returncode == 0
    values = cache.fetch_floats(
        CONTENTS, lambda rows: [value_of(CONTENTS[i]) for i in rows]
    )
    assert [value.tobytes() for value in values] == expected


# Locks a name as DirectoryStore does, but starts faster.
HOLD = """
import sys, time, filelock
lock = filelock.FileLock(sys.argv[1])
lock.acquire()
print("held", flush=True)
time.sleep(600)
"""


def test_a_killed_holder_of_a_claim_keeps_nobody_waiting(tmp_path):
    store = DirectoryStore(str(tmp_path))
    store.claim("abc", wait=True)()
    lock = tmp_path / "sklearn_attnft" / "locks" / "abc"
    with python(HOLD, lock, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout.readline() == "held\n"
        assert store.claim("abc", wait=False) is None
        holder.kill()
    store.claim("abc", wait=True)()


def test_what_dead_writers_left_is_swept_when_old(tmp_path):
    store = DirectoryStore(str(tmp_path))
    store.put("aa1", b"value", 1000)
    old, young = (entries(tmp_path)[0].with_suffix(f".{i}.tmp") for i in "12")
    for file in (old, young):
        file.write_bytes(b"half a val")
    os.utime(old, (1, 1))
    assert store.size() == entries(tmp_path)[0].stat().st_size
    assert not old.exists()
    assert young.exists()


def test_a_failed_computation_gives_its_claims_back(cache):
    _cache.open_store(cache).prepare()
    shared = _cache.Cache(_cache.open_store(cache), 10**6, b"", _cache.Counts())
    with pytest.raises(ZeroDivisionError):
        shared.fetch_floats(CONTENTS, lambda rows: 1 / 0)
    assert (
        len(shared.fetch_floats(CONTENTS, lambda rows: [np.ones(2)] * len(rows))) == 40
    )
    assert (shared.counts.hits, shared.counts.misses) == (0, 40)


# A directory that cannot be used


def test_a_file_in_the_place_of_the_directory(tmp_path):
    (tmp_path / "file").write_text("mine")
    fitted = extractor(cache=tmp_path / "new").fit(X)
    expected = fitted.transform(X)
    message = r"cache=.*file' cannot be written to .*write permission"
    with pytest.raises(OSError, match=message):
        extractor(cache=tmp_path / "file").fit(X)
    with pytest.raises(OSError, match=message):
        fitted.set_params(cache=tmp_path / "file").transform(X)
    np.testing.assert_array_equal(
        fitted.set_params(cache=tmp_path / "new").transform(X), expected
    )
    assert (tmp_path / "file").read_text() == "mine"


def test_a_directory_without_write_permission(tmp_path):
    fitted = extractor(cache=tmp_path / "sub").fit(X)
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(tmp_path / "sub")
    tmp_path.chmod(0o500)
    try:
        if os.access(tmp_path, os.W_OK):
            pytest.skip("root may write anywhere; ends with another user")
        with pytest.raises(OSError, match=r"cannot be written to .*[Pp]ermission"):
            fitted.transform(X)
    finally:
        tmp_path.chmod(0o700)


def test_a_full_disk(tmp_path, monkeypatch):
    fitted = extractor(cache=tmp_path).fit(X)
    expected = fitted.transform(X[:2])

    def full(*args):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(_directory.os, "replace", full)
        message = r"are not cached: cache=.* cannot be written to .*No space left"
        with pytest.warns(UserWarning, match=message) as caught:
            np.testing.assert_array_equal(fitted.transform(X)[:2], expected)
        assert len(caught) == 1
        assert caught[0].filename == __file__
    assert not list(tmp_path.rglob("*.tmp"))
    np.testing.assert_array_equal(fitted.transform(X[:2]), expected)


@pytest.mark.parametrize(
    "function",
    [(_directory.os, "replace"), (_directory, "claim")],
    ids=["file", "lock"],
)
@pytest.mark.parametrize(
    "parameters", [{"lm_epochs": 1}, {"trainable_layers": 0, "precision": "float32"}]
)
def test_a_full_disk_does_not_end_a_fit(
    function, parameters, tmp_path, small, monkeypatch
):
    clf = AttentionFineTuneClassifier(**{**small, **parameters})
    expected = clf.fit(TEXTS, LABELS).predict_proba(TEXTS)

    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(*function, full)
    with pytest.warns(UserWarning, match="are not cached: .*No space") as caught:
        cached = clone(clf).set_params(cache=tmp_path).fit(TEXTS, LABELS)
    assert len(caught) == 1
    proba = cached.set_params(cache=None).predict_proba(TEXTS)
    np.testing.assert_allclose(proba, expected, atol=1e-5)


@pytest.mark.parametrize(
    "parameters", [{"cache": 3}, {"cache_size": 0}, {"cache_size": 1.5}]
)
def test_parameters_out_of_range(parameters, small):
    with pytest.raises(ValueError, match=next(iter(parameters))):
        extractor(**parameters).fit(X)
    with pytest.raises(ValueError, match=next(iter(parameters))):
        AttentionFineTuneClassifier(**{**small, **parameters}).fit(X, list("ababab"))


# Classifiers on a frozen encoder

FROZEN = {"trainable_layers": 0, "precision": "float32"}
HEADS = [
    {},
    {"layers": "last", "pooling": "cls"},
    {"layers": [0, -1], "pooling": "concat", "head": "mlp"},
    {"long_texts": "window", "max_length": 8, "pooling": "max"},
    {"long_texts": "window", "max_length": 8, "head": "lstm"},
]


@pytest.mark.parametrize("parameters", HEADS, ids=str)
def test_a_fit_on_cached_states_is_the_fit(parameters, small, cache):
    texts = [*TEXTS[:12], "the sun and the rain are fun , the wind is not", ""]
    parameters = {**small, **FROZEN, "dropout": 0.1, **parameters}
    y = ["a", "b"] * 7
    validation = {"X_val": X, "y_val": y[: len(X)]}
    plain = AttentionFineTuneClassifier(**parameters).fit(texts, y, **validation)
    expected = plain.predict_proba(texts)
    for _ in range(2):  # first computed, then looked up
        clf = AttentionFineTuneClassifier(**parameters, cache=cache)
        clf.fit(texts, y, **validation)
        np.testing.assert_allclose(clf.predict_proba(texts), expected, atol=1e-5)
        np.testing.assert_allclose(
            clf.transform(texts), plain.transform(texts), atol=1e-4
        )
    assert clf.cache_info().misses == 0
    np.testing.assert_allclose(plain.predict_proba(X), clf.predict_proba(X), atol=1e-5)


def test_a_fit_reads_cached_states_once(small, cache, encoded):
    clf = AttentionFineTuneClassifier(**{**small, **FROZEN, "max_epochs": 5})
    clf.set_params(cache=cache).fit(TEXTS, LABELS)
    assert uses(clf) == (0, len(set(TEXTS)))  # hits, misses
    again = clone(clf).fit(TEXTS, LABELS)
    assert uses(again) == (len(set(TEXTS)), 0)
    assert sum(encoded) == len(set(TEXTS))


def test_states_that_were_dropped_are_computed_again(small, cache):
    parameters = {**small, **FROZEN}
    plain = AttentionFineTuneClassifier(**parameters).fit(TEXTS, LABELS)
    clf = AttentionFineTuneClassifier(**parameters, cache=cache, cache_size=20_000)
    clf.fit(TEXTS, LABELS)
    expected = plain.predict_proba(TEXTS)
    np.testing.assert_allclose(clf.predict_proba(TEXTS), expected, atol=1e-5)
    info = clf.cache_info()
    assert info.misses > len(TEXTS)
    assert info.currsize <= 20_000


def test_a_grid_over_heads_encodes_every_text_once(small, encoded):
    clf = AttentionFineTuneClassifier(**{**small, **FROZEN}, cache="memory")
    grid = {"pooling": ["attention", "max"], "head_learning_rate": [1e-3, 1e-2]}
    search = GridSearchCV(clf, grid, cv=2, error_score="raise").fit(TEXTS, LABELS)
    search.predict_proba(TEXTS)
    assert sum(encoded) == len(set(TEXTS))


@pytest.mark.parametrize(
    "parameters",
    [
        {"trainable_layers": 1},
        {"contrastive_epochs": 1},
        {"lm_epochs": 1, "random_state": None},
        {"lm_weight": 0.5, "random_state": None},
    ],
    ids=str,
)
# With a random seed, a model of one epoch may predict one class for all texts.
@pytest.mark.filterwarnings("ignore:Every training text")
def test_an_encoder_that_is_trained_is_not_cached(parameters, small, tmp_path):
    parameters = {**small, **FROZEN, "max_epochs": 1, **parameters}
    clf = AttentionFineTuneClassifier(**parameters, cache=tmp_path)
    clf.fit(TEXTS, LABELS).predict(TEXTS)
    assert uses(clf) == (0, 0)
    assert not list(tmp_path.iterdir())


def test_several_label_sets_share_the_states(small, encoded):
    clf = AttentionFineTuneClassifier(**{**small, **FROZEN}, cache="memory")
    labels = np.array([LABELS, LABELS[::-1]]).T
    several = MultiTaskClassifier(clf).fit(TEXTS, labels)
    several.predict(TEXTS)
    several.task(0).predict(TEXTS)
    assert several.cache_info().misses == sum(encoded) == len(set(TEXTS))
    clf.fit(TEXTS, LABELS)
    assert clf.cache_info().misses == 0
