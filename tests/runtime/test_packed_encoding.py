"""Predictions with packed weights: when they are made, kept and made again."""

import copy
import gc
import multiprocessing
import pickle
import weakref
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from torch import nn

from sklearn_attnft import AttentionFineTuneClassifier, TransformerFeatureExtractor
from sklearn_attnft._hf import _packed
from sklearn_attnft._runtime import _packed_encoding
from sklearn_attnft._runtime._packed_encoding import packed_encoder

X = ["good day", "bad dog", "lovely night", "awful rain", "", "good " * 30]
Y = ["good", "bad", "good", "bad", "bad", "good"]
TYPES = sorted(_packed._packed_types(), key=str)
PRECISIONS = [str(dtype).removeprefix("torch.") for dtype in TYPES]
ATOL = {"float32": 1e-5, "bfloat16": 0.02}


@pytest.fixture(params=PRECISIONS)
def clf(request, small):
    """A fitted classifier in each precision whose weights are packed."""
    parameters = {**small, "precision": request.param}
    return AttentionFineTuneClassifier(**parameters).fit(X, Y)


def plain(clf, texts=X):
    """Return probabilities that are computed without packed weights."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SKLEARN_ATTNFT_PACKED_WEIGHTS", "0")
        return clf.predict_proba(texts)


def packed_of(clf):
    return packed_encoder(clf.module_.encoder, getattr(torch, clf.precision))


def assert_current(clf):
    """Assert that predictions are those of the current weights."""
    expected, found = plain(clf), clf.predict_proba(X)
    np.testing.assert_allclose(found, expected, atol=ATOL[clf.precision])


def test_predictions_equal_plain_ones(clf):
    assert_current(clf)
    assert packed_of(clf) is not None
    np.testing.assert_array_equal(clf.predict_proba(X), clf.predict_proba(X))


def test_the_copy_is_kept(clf):
    clf.predict_proba(X)
    first = packed_of(clf)
    clf.predict_proba(X)
    assert packed_of(clf) is first


def dense(clf):
    return clf.module_.encoder.encoder.layer[0].intermediate.dense


def edit(clf):
    with torch.no_grad():
        dense(clf).weight.mul_(3.0)


def step(clf):
    optimizer = torch.optim.SGD([dense(clf).weight], lr=1.0)
    dense(clf).weight.grad = torch.ones_like(dense(clf).weight)
    optimizer.step()


def fused_step(clf):
    weight = dense(clf).weight
    weight.grad = torch.ones_like(weight)
    torch.optim.AdamW([weight], lr=1.0, fused=True).step()


def load_others(clf):
    weights = {n: 2.0 * w for n, w in clf.module_.state_dict().items()}
    clf.module_.load_state_dict(weights)


def assign_others(clf):
    weights = {n: 2.0 * w for n, w in clf.module_.state_dict().items()}
    clf.module_.load_state_dict(weights, assign=True)


def set_data(clf):
    dense(clf).weight.data = torch.randn_like(dense(clf).weight)


def set_parameter(clf):
    dense(clf).weight = nn.Parameter(torch.randn_like(dense(clf).weight))


def set_module(clf):
    clf.module_.encoder.encoder.layer[0].intermediate.dense = nn.Linear(32, 64)


def set_block(clf):
    layers = clf.module_.encoder.encoder.layer
    layers[0] = copy.deepcopy(layers[1])


def set_norm(clf):
    with torch.no_grad():
        clf.module_.encoder.encoder.layer[1].output.LayerNorm.weight.fill_(2.0)


def set_embedding(clf):
    with torch.no_grad():
        clf.module_.encoder.embeddings.word_embeddings.weight.mul_(2.0)


CHANGES = [edit, step, fused_step, load_others, assign_others, set_data, set_parameter]
CHANGES += [set_module, set_block, set_norm, set_embedding]


@pytest.mark.parametrize("change", CHANGES)
def test_new_weights_give_new_predictions(clf, change):
    before = clf.predict_proba(X)
    torch.manual_seed(0)
    change(clf)
    after = clf.predict_proba(X)
    assert np.abs(after - before).max() > 1e-4
    assert_current(clf)


def test_the_hooks_of_a_user_run(clf):
    clf.predict_proba(X)
    seen = []
    modules = [clf.module_, clf.module_.encoder, dense(clf), clf.module_.tasks[0]]
    for module in modules:
        handle = module.register_forward_hook(lambda *_, m=module: seen.append(id(m)))
        clf.predict_proba(X[:2])
        handle.remove()
    expected = {id(module) for module in modules[:3]}
    assert expected <= set(seen)
    clf.predict_proba(X)
    assert packed_of(clf) is not None  # again, after the hooks are removed


def test_a_replaced_forward_runs(clf):
    before = clf.predict_proba(X)
    dense(clf).forward = lambda states: torch.zeros(*states.shape[:-1], 64)
    assert np.abs(clf.predict_proba(X) - before).max() > 1e-4
    assert packed_of(clf) is None


def test_a_replaced_forward_of_the_encoder_runs(clf):
    clf.predict_proba(X)
    encoder, calls = clf.module_.encoder, []
    forward = encoder.forward

    def counting(*args, **kwargs):
        calls.append(1)
        return forward(*args, **kwargs)

    encoder.forward = counting
    clf.predict_proba(X)
    assert calls


def test_training_mode_is_left_to_torch(clf):
    clf.predict_proba(X)
    clf.module_.train()
    assert packed_of(clf) is None
    clf.module_.eval()
    assert packed_of(clf) is not None


def test_a_new_fit_has_new_weights(clf):
    before = clf.predict_proba(X)
    clf.set_params(learning_rate=1e-2).fit(X, Y[::-1])
    assert np.abs(clf.predict_proba(X) - before).max() > 1e-4
    assert_current(clf)


def test_pickles_and_copies_do_not_hold_packed_weights(clf):
    before = pickle.dumps(clf)
    proba = clf.predict_proba(X)
    assert len(pickle.dumps(clf)) == len(before)
    for twin in (pickle.loads(before), copy.deepcopy(clf), copy.copy(clf)):
        np.testing.assert_array_equal(twin.predict_proba(X), proba)
    module = copy.deepcopy(clf.module_)
    assert type(module.encoding) is type(clf.module_.encoding)


def test_the_copy_ends_with_the_encoder(clf):
    clf.predict_proba(X)
    gc.collect()
    n_kept = len(_packed_encoding._KEPT)
    encoder = weakref.ref(clf.module_.encoder)
    del clf.module_
    gc.collect()
    assert encoder() is None
    assert len(_packed_encoding._KEPT) == n_kept - 1


def test_threads_equal_serial_calls(clf):
    expected = [clf.predict_proba([text]) for text in X]
    _packed_encoding._KEPT.clear()  # so that all threads pack at once

    def call(i):
        return [clf.predict_proba([X[j % 6]]) for j in range(i, i + 30)]

    with ThreadPoolExecutor(8) as pool:
        for i, found in enumerate(pool.map(call, range(8))):
            for j, proba in enumerate(found, start=i):
                np.testing.assert_array_equal(proba, expected[j % 6])


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_process_predicts(clf):
    expected = clf.predict_proba(X)
    with multiprocessing.get_context("fork").Pool(1) as pool:
        np.testing.assert_array_equal(pool.apply(clf.predict_proba, [X]), expected)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_features_and_caches(small, precision, cache, no_stores):
    names = ("encoder", "max_length", "precision")
    parameters = {name: {**small, "precision": precision}[name] for name in names}
    extractor = TransformerFeatureExtractor(**parameters).fit(X)
    features = extractor.transform(X)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SKLEARN_ATTNFT_PACKED_WEIGHTS", "0")
        expected = extractor.transform(X)
    scale = 10 * ATOL[precision]
    np.testing.assert_allclose(features, expected, atol=scale)
    cached = TransformerFeatureExtractor(**parameters, cache=cache).fit(X)
    np.testing.assert_allclose(cached.transform(X), expected, atol=scale)


def test_a_frozen_encoder_with_cached_states(small, no_stores):
    parameters = {**small, "trainable_layers": 0, "cache": "memory"}
    clf = AttentionFineTuneClassifier(**parameters).fit(X, Y)
    found = clf.predict_proba(X)
    clf.set_params(cache=None)
    np.testing.assert_allclose(found, plain(clf), atol=1e-4)
