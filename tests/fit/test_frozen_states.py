"""Test that frozen blocks run once per fit, and that the fit does not change."""

import copy
import pickle

import numpy as np
import pytest
import test_families
import tiny
import torch
from test_families import FAMILIES
from versions import needs_callbacks

from sklearn_attnft import AttentionFineTuneClassifier, MultiTaskClassifier, _hf
from sklearn_attnft._fit import _classification_stage, _frozen_states
from sklearn_attnft._hf._partial import CutEncoder
from sklearn_attnft._utils._compat import ScoringMonitor

X = ["good day", "bad dog", "a lovely night", "awful rain", "", "good " * 40, "bad"] * 3
Y = ["good", "bad", "good", "bad", "bad", "good", "bad"] * 3


@pytest.fixture(scope="module")
def deep(tmp_path_factory):
    """Return the directory of a tiny encoder with four blocks."""
    from transformers import AutoConfig, AutoModel, AutoTokenizer

    directory = tmp_path_factory.mktemp("deep")
    config = AutoConfig.from_pretrained(tiny.ENCODER, num_hidden_layers=4)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        AutoModel.from_config(config).save_pretrained(directory)
    AutoTokenizer.from_pretrained(tiny.ENCODER).save_pretrained(directory)
    return str(directory)


@pytest.fixture(autouse=True)
def without_densities(monkeypatch):
    """Leave out the last step of a fit, which reads texts once more."""
    monkeypatch.setattr(_classification_stage, "fit_densities", lambda *args: None)


def classifier(encoder, **params):
    params = {"trainable_layers": 2, "max_epochs": 3, "batch_size": 8, **params}
    params.setdefault("precision", "float32")
    return AttentionFineTuneClassifier(
        encoder,
        max_length=32,
        learning_rate=1e-3,
        head_learning_rate=1e-2,
        long_texts="window",
        random_state=0,
        **params,
    )


@pytest.fixture
def windows_read(monkeypatch):
    """Count the rows that each block of newly loaded encoders reads."""
    read = {}
    load = _hf.load_encoder

    def counting(*args, **kwargs):
        encoder = load(*args, **kwargs)
        for i, block in enumerate(_hf.encoder_blocks(encoder)):

            def count(block, args, output, i=i):
                read[i] = read.get(i, 0) + len(args[0])

            block.register_forward_hook(count)
        return encoder

    monkeypatch.setattr(_hf, "load_encoder", counting)
    # The check would read a row.
    monkeypatch.setattr(CutEncoder, "is_exact", lambda cut: True)
    return read


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"layers": [0, 2, 3]},
        {"layers": "last", "pooling": "mean", "dropout": 0.5},
        {"layers": [1]},
        {"layers": [0, 3]},
        {"trainable_layers": 0},
        {"trainable_layers": 0, "layers": "last", "head": "lstm"},
        {"micro_batch_size": 3},
        {"early_stopping": True, "validation_fraction": 0.3},
        {"gradual_unfreezing": True},
        {"encoder_dropout": 0.2},
        {"lm_epochs": 1},
    ],
    ids=str,
)
def test_a_fit_without_kept_states_is_the_same(deep, params, monkeypatch):
    kept = classifier(deep, **params).fit(X, Y)
    monkeypatch.setattr(_frozen_states, "storage_limit", lambda: 0)
    plain = classifier(deep, **params).fit(X, Y)
    np.testing.assert_allclose(
        kept.predict_proba(X), plain.predict_proba(X), rtol=1e-4, atol=1e-5
    )
    for ours, theirs in zip(kept.history_, plain.history_, strict=True):
        assert ours["train_loss"] == pytest.approx(theirs["train_loss"], rel=1e-4)


def test_several_tasks_without_kept_states_are_the_same(deep, monkeypatch):
    Y2 = np.column_stack([Y, [len(text) > 8 for text in X]]).astype(object)
    kept = MultiTaskClassifier(classifier(deep)).fit(X, Y2)
    monkeypatch.setattr(_frozen_states, "storage_limit", lambda: 0)
    plain = MultiTaskClassifier(classifier(deep)).fit(X, Y2)
    for ours, theirs in zip(kept.predict_proba(X), plain.predict_proba(X), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("n_trained", [0, 1, 2, 3])
def test_frozen_blocks_read_each_window_once(deep, windows_read, n_trained):
    classifier(deep, trainable_layers=n_trained).fit(X, Y, X_val=X[:7], y_val=Y[:7])
    n_windows = len(X) + 3  # three texts are two windows
    validated = 7 + 1
    frozen, trained = range(4 - n_trained), range(4 - n_trained, 4)
    assert {windows_read[i] for i in frozen} == {n_windows + validated}
    every_epoch = 3 * (n_windows + validated)
    at_start = n_windows  # for the logistic regression
    assert {windows_read[i] for i in trained} <= {at_start + every_epoch}


def test_blocks_are_counted_from_the_highest_attended(deep, windows_read):
    classifier(deep, layers=[0, 3], trainable_layers=1).fit(X, Y)
    n_windows = len(X) + 3
    assert windows_read == {0: n_windows, 1: n_windows, 2: (1 + 3) * n_windows}


def test_states_are_computed_if_memory_is_too_small(deep, monkeypatch):
    kept = classifier(deep).fit(X, Y)

    tried = []

    def no_memory(lower, batches):
        tried.append(len(batches))
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr(_frozen_states, "_keep", no_memory)
    plain = classifier(deep).fit(X, Y)
    assert len(tried) > 1
    assert tried == sorted(tried, reverse=True)
    np.testing.assert_allclose(
        kept.predict_proba(X), plain.predict_proba(X), rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize(("n_trained", "gib"), [(0, 8), (2, 2)])
def test_more_memory_is_used_if_all_blocks_are_frozen(
    deep, n_trained, gib, monkeypatch
):
    rooms = []

    def no_batches(corpora, room, budget):
        rooms.append(room)
        return []

    monkeypatch.setattr(_frozen_states, "storage_limit", lambda: 8 * 2**30)
    monkeypatch.setattr(_frozen_states, "_batches", no_batches)
    classifier(deep, layers=[0, 3], trainable_layers=n_trained).fit(X, Y)
    # Layers 0 and 3, or 0 and 1, are stored.
    assert rooms == [gib * 2**30 // (4 * 2 * tiny.HIDDEN_SIZE)]


def test_fewer_states_are_kept_if_memory_is_too_small(deep, windows_read, monkeypatch):
    monkeypatch.setattr(_frozen_states, "storage_limit", lambda: 2**16)
    monkeypatch.setattr("sklearn_attnft._data._batching.TOKENS_PER_BATCH", {"cpu": 32})
    keep = _frozen_states._keep

    def little_memory(lower, batches):
        if len(batches) > 3:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory")
        return keep(lower, batches)

    monkeypatch.setattr(_frozen_states, "_keep", little_memory)
    classifier(deep).fit(X, Y)
    n_windows = len(X) + 3
    # Each epoch, and the start, computes the windows that are not stored.
    assert n_windows < windows_read[0] < (1 + 1 + 3) * n_windows


def test_a_finished_fit_does_not_compute_states(deep, windows_read, tmp_path):
    first = classifier(deep, checkpoint_dir=tmp_path).fit(X, Y)
    windows_read.clear()
    again = classifier(deep, checkpoint_dir=tmp_path).fit(X, Y)
    assert not windows_read
    np.testing.assert_array_equal(first.predict_proba(X), again.predict_proba(X))


@pytest.mark.parametrize(
    "params",
    [{"batch_size": 1}, {"encoder_dropout": 0.2}, {"precision": "bfloat16"}],
    ids=str,
)
@pytest.mark.parametrize("n_trained", [0, 2])
def test_the_longest_are_kept_and_others_computed(
    deep, params, n_trained, windows_read, monkeypatch
):
    params = {**params, "trainable_layers": n_trained}
    if n_trained == 0:
        params["layers"] = [0, 1, 2]
    # For three layers and the three longest texts, with windows of 32 and 19 tokens.
    n_bytes = 4 * 3 * tiny.HIDDEN_SIZE * 3 * (32 + 19)
    monkeypatch.setattr(_frozen_states, "storage_limit", lambda: n_bytes)
    monkeypatch.setattr("sklearn_attnft._data._batching.TOKENS_PER_BATCH", {"cpu": 1})
    clf = classifier(deep, **params).fit(X, Y)
    n_others = len(X) - 3
    # Each epoch, and the start, computes the others.
    assert windows_read[0] == 3 * 2 + (1 + 3) * n_others
    monkeypatch.setattr(_frozen_states, "storage_limit", lambda: 0)
    plain = classifier(deep, **params).fit(X, Y)
    tolerance = 0.05 if "precision" in params else 1e-4
    np.testing.assert_allclose(
        clf.predict_proba(X), plain.predict_proba(X), rtol=1e-3, atol=tolerance
    )


@pytest.mark.parametrize("layers", [[0, 2], [0], [1, 3]], ids=str)
@pytest.mark.parametrize("dropout", [0.0, 0.2])
def test_blocks_above_the_attended_layers_are_not_run(
    layers, dropout, deep, windows_read, monkeypatch
):
    params = {"layers": layers, "trainable_layers": "blocks", "dropout": 0.0}
    clf = classifier(deep, **params, encoder_dropout=dropout).fit(X, Y)
    proba = clf.predict_proba(X)
    assert windows_read.keys() == set(range(max(layers)))
    loaded = pickle.loads(pickle.dumps(clf))
    np.testing.assert_array_equal(loaded.predict_proba(X), proba)
    monkeypatch.setattr(_hf, "cut_encoder", lambda encoder, n_lower: None)
    plain = classifier(deep, **params, encoder_dropout=dropout).fit(X, Y)
    if not dropout:  # dropout in the blocks above uses random numbers
        np.testing.assert_allclose(plain.predict_proba(X), proba, rtol=1e-5)
    assert windows_read.keys() == set(range(4))


def test_states_are_not_kept_without_a_use(deep, monkeypatch):
    monkeypatch.setattr(_frozen_states, "_keep", None)  # fails if it is called
    classifier(deep, max_epochs=1).fit(X, Y)
    classifier(deep, trainable_layers="blocks").fit(X, Y)
    classifier(deep, trainable_layers=4).fit(X, Y)
    classifier(deep, lm_weight=0.1).fit(X, Y)


@pytest.mark.parametrize("family", sorted(set(FAMILIES) - {"albert"}))
def test_each_family_is_split_exactly(family, tmp_path):
    from transformers import AutoModel

    encoder = AutoModel.from_pretrained(
        test_families.save(family, tmp_path, AutoModel)
    ).eval()
    names = list(encoder.state_dict())
    cut = _hf.cut_encoder(encoder, 1)
    ids = torch.tensor([[2, 7, 8, 9, 3], [2, 5, 6, 3, 0]])
    mask = (ids > 0).long()
    with torch.no_grad():
        whole = encoder(ids, attention_mask=mask, output_hidden_states=True)
        lower = cut.lower(ids, mask)
        upper = cut.upper(ids, mask, lower[-1], encoder.config.num_hidden_layers)
    assert len(lower) == 2
    for ours, theirs in zip([*lower, *upper], whole.hidden_states, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=0)
    assert list(encoder.state_dict()) == names  # the split does not change it


def test_encoders_with_steps_between_blocks_are_not_split(tmp_path, monkeypatch):
    from transformers import AutoModel

    shared = test_families.save("albert", tmp_path, AutoModel)
    assert _hf.cut_encoder(AutoModel.from_pretrained(shared), 1) is None
    encoder = AutoModel.from_pretrained(tiny.ENCODER).eval()
    assert _hf.cut_encoder(encoder, 1) is not None
    blocks = encoder.encoder.layer

    def forward(states, *args, **kwargs):
        for block in blocks:
            states = 2 * block(states, *args, **kwargs)
        return {"last_hidden_state": states}

    encoder.encoder.forward = forward  # always runs all blocks
    assert _hf.cut_encoder(encoder, 1) is None


@needs_callbacks
def test_a_model_that_skips_blocks_can_be_copied(deep):
    clf = classifier(deep, layers=[0, 2], trainable_layers="blocks")
    monitor = ScoringMonitor(scoring="accuracy")  # scores a copy after each epoch
    clf.set_callbacks(monitor).fit(X, Y)
    proba = clf.predict_proba(X)
    rows = monitor.get_logs().data
    assert [row["task_name"] for row in rows].count("classifier epoch") == 3
    module = copy.deepcopy(clf.module_)
    clf.module_ = module
    np.testing.assert_array_equal(clf.predict_proba(X), proba)


def test_layers_of_different_types_keep_their_type():
    def states(ids, mask=None):
        values = torch.arange(8.0).expand(*ids.shape, 8)
        return [values.bfloat16(), values, values.bfloat16()]

    class Cut:
        n_lower, lower = 2, staticmethod(states)

        def upper(self, ids, mask, boundary, top):
            return [boundary]

    class Model:
        layers = (0, 1, 3)

    encoding = _frozen_states.UpperEncoding(Model, 1, Cut())
    encoding.kept = _frozen_states.FrozenStates(n_tokens=3)
    ids, mask = torch.tensor([[2, 5, 3], [2, 6, 3]]), torch.ones(2, 3).long()
    encoding.kept.add(ids[:1], mask[:1], states(ids[:1]))
    found = encoding(None, ids, mask, Model.layers)  # the second window is computed
    for ours, expected in zip(found, states(ids), strict=True):
        torch.testing.assert_close(ours.float(), expected.float())
    assert found[-1].dtype == torch.bfloat16


@pytest.mark.parametrize(("cache", "share"), [(None, 1.0), ("memory", 0.5)])
def test_a_cache_in_memory_leaves_less_room(deep, cache, share, monkeypatch):
    limits = []
    encoding = _frozen_states.StoredEncoding

    def noted(model, limit):
        limits.append(limit)
        return encoding(model, limit)

    monkeypatch.setattr(_frozen_states, "storage_limit", lambda: 2**20)
    monkeypatch.setattr(_frozen_states, "StoredEncoding", noted)
    classifier(deep, trainable_layers=0, cache=cache).fit(X, Y)
    assert limits == [share * 2**20]
