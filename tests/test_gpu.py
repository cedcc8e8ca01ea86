"""Tests that need a GPU. Run them with ``pytest -m gpu``."""

import contextlib
import gc
import itertools
import os
import pickle
import subprocess
import sys

import joblib
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

from sklearn_attnft import (
    AttentionFineTuneClassifier,
    MultiTaskClassifier,
    TransformerFeatureExtractor,
)
from sklearn_attnft._training import _loop

pytestmark = pytest.mark.gpu
DEVICE = "cuda"
X = ["good day", "bad dog", "lovely night", "awful rain", "fine man", "sad cat"] * 6
Y = ["good", "bad"] * 18
SETTINGS = [
    {},
    {"head": "lstm"},
    {"lm_epochs": 1},
    {"lm_weight": 0.1},
    {"contrastive_epochs": 1},
    {"trainable_layers": 0},
    {"trainable_layers": 1, "dropout": 0.2},
    {"trainable_layers": "all", "encoder_dropout": 0.1},
    {"long_texts": "window", "max_length": 8},
    {"micro_batch_size": 3, "precision": "float32"},
    {"contrastive_epochs": 1, "micro_batch_size": 3},
    {"early_stopping": True, "validation_fraction": 0.3},
]


def fitted(small, **params):
    params = {**small, "precision": "auto", "max_epochs": 6, "device": DEVICE, **params}
    return AttentionFineTuneClassifier(**params).fit(X, Y)


@pytest.mark.parametrize(("precision", "most"), [("float32", 1e-4), ("bfloat16", 1e-2)])
def test_features_equal_those_of_the_cpu(small, precision, most):
    extractor = TransformerFeatureExtractor(
        small["encoder"], max_length=32, precision="float32"
    )
    expected = clone(extractor).set_params(device="cpu").fit(X).transform(X)
    params = {"device": DEVICE, "precision": precision}
    found = clone(extractor).set_params(**params).fit(X).transform(X)
    errors = np.linalg.norm(found - expected, axis=1)
    assert (errors <= most * np.linalg.norm(expected, axis=1)).all()


@pytest.mark.parametrize("params", SETTINGS, ids=str)
def test_a_fit_learns_and_is_repeatable(small, params):
    first, second = (fitted(small, **params) for _ in range(2))
    np.testing.assert_array_equal(first.predict_proba(X), second.predict_proba(X))
    assert first.score(X, Y) > 0.9 or params == {"trainable_layers": 0}


def test_a_model_fitted_on_a_gpu_predicts_on_the_cpu(small):
    clf = fitted(small)
    moved = pickle.loads(pickle.dumps(clf)).set_params(device="cpu")
    expected = clf.predict_proba(X)
    np.testing.assert_allclose(moved.predict_proba(X), expected, atol=1e-2)


def test_a_model_fitted_on_a_gpu_loads_without_one(small, tmp_path):
    clf = fitted(small, device="auto")
    joblib.dump(clf, tmp_path / "clf.joblib")
    program = (
        "import joblib, numpy, sys, torch\n"
        "assert not torch.cuda.is_available()\n"
        "clf = joblib.load(sys.argv[1] + '/clf.joblib')\n"
        f"numpy.save(sys.argv[1] + '/found.npy', clf.predict_proba({X!r}))\n"
    )
    subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)],
        env={**os.environ, "CUDA_VISIBLE_DEVICES": ""},
        check=True,
    )
    found = np.load(tmp_path / "found.npy")
    np.testing.assert_allclose(found, clf.predict_proba(X), atol=1e-2)


@pytest.mark.parametrize("params", [{"dropout": 0.3}, {"lm_epochs": 2}], ids=str)
def test_a_killed_fit_resumes(small, params, tmp_path, monkeypatch):
    expected = fitted(small, **params)
    original, steps = _loop._Net.train_step, itertools.count()

    def train_step(self, *args, **kwargs):
        if next(steps) == 7:
            raise KeyboardInterrupt
        return original(self, *args, **kwargs)

    monkeypatch.setattr(_loop._Net, "train_step", train_step)
    kept = {"checkpoint_dir": tmp_path, "checkpoint_minutes": 0.0, **params}
    with pytest.raises(KeyboardInterrupt):
        fitted(small, **kept)
    found = fitted(small, **kept)
    np.testing.assert_array_equal(found.predict_proba(X), expected.predict_proba(X))


def test_a_fit_uses_micro_batches_if_memory_is_too_small(small):
    params = {**small, "max_epochs": 1, "batch_size": 8192, "device": DEVICE}
    clf = AttentionFineTuneClassifier(**params)
    texts = ["good day and " * 9 + "fun", "bad rain and " * 9 + "sad"] * 4096
    too_small = memory_for(lambda: clf.fit(texts, Y[:2] * 4096))
    with (
        too_small,
        pytest.warns(UserWarning, match="starts again with micro_batch_size="),
    ):
        clf.fit(texts, Y[:2] * 4096)
    assert clf.predict_proba(X).shape == (len(X), 2)


def test_texts_are_encoded_in_parts_if_memory_is_too_small(small):
    extractor = TransformerFeatureExtractor(
        small["encoder"], max_length=32, precision="float32", device=DEVICE
    ).fit(X)
    texts = [f"{'good day and ' * 9} {i}" for i in range(8192)]
    expected = extractor.transform(texts)
    with memory_for(lambda: extractor.transform(texts)):
        found = extractor.transform(texts)
    np.testing.assert_allclose(found, expected, atol=1e-5)


@contextlib.contextmanager
def memory_for(work, share=0.6):
    """Limit the memory of this process to a fraction of what `work` needs."""
    gc.collect()
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    work()
    taken = torch.cuda.max_memory_allocated()  # the minimum that `work` needs
    there = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.empty_cache()
    n_before = torch.cuda.memory_stats()["num_ooms"]
    torch.cuda.set_per_process_memory_fraction(share * taken / there)
    try:
        yield
        assert torch.cuda.memory_stats()["num_ooms"] > n_before  # the limit was reached
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)


def takes_cudnn(work):
    """Return whether torch uses cuDNN's attention in `work`."""
    with torch.profiler.profile(acc_events=True) as profile:
        work()
    return any("cudnn_attention" in event.key for event in profile.key_averages())


def test_fits_do_not_use_cudnn_attention(small):
    q = torch.randn(8, 2, 10, 16, dtype=torch.bfloat16, device=DEVICE)
    if not takes_cudnn(lambda: F.scaled_dot_product_attention(q, q, q)):
        pytest.skip("torch does not use cuDNN attention on this GPU; it does on Hopper")
    assert not takes_cudnn(lambda: fitted(small, precision="bfloat16").predict(X))
    assert torch.backends.cuda.cudnn_sdp_enabled()


def test_a_deleted_classifier_frees_its_memory(small):
    fitted(small, lm_epochs=1, contrastive_epochs=1)  # allocates what torch keeps
    gc.collect()
    before = torch.cuda.memory_allocated()
    clf = fitted(small, lm_epochs=1, contrastive_epochs=1)
    clf.predict(X)
    of_one = torch.cuda.memory_allocated() - before
    weights = sum(p.numel() * p.element_size() for p in clf.module_.parameters())
    assert of_one < 3 * weights  # no optimizer state or activations
    del clf
    gc.collect()
    assert torch.cuda.memory_allocated() == before


def test_cached_hidden_states_equal_computed_ones(small, tmp_path):
    params = {"trainable_layers": 0, "precision": "float32"}
    found = fitted(small, **params, cache=tmp_path)
    again = fitted(small, **params, cache=tmp_path)
    assert again.cache_info().hits > 0 == again.cache_info().misses
    expected = fitted(small, **params)
    probabilities = expected.predict_proba(X)
    np.testing.assert_allclose(found.predict_proba(X), probabilities, atol=1e-4)
    np.testing.assert_array_equal(again.predict_proba(X), found.predict_proba(X))


def test_explanations_equal_those_of_the_cpu(small):
    clf = fitted(small, precision="float32")
    there = clf.explain(X[:3], attribution="integrated_gradients")
    clf.set_params(device="cpu")
    here = clf.explain(X[:3], attribution="integrated_gradients")
    for name in ("sample", "token", "start", "end"):
        np.testing.assert_array_equal(there[name], here[name])
    for name in ("token_attention", "special_attention", "attribution"):
        np.testing.assert_allclose(there[name], here[name], atol=1e-3)


def test_global_random_generators_do_not_change(small):
    before = torch.cuda.get_rng_state()
    fitted(small, dropout=0.2)
    assert torch.equal(torch.cuda.get_rng_state(), before)


def test_several_tasks(small):
    params = {**small, "precision": "auto", "max_epochs": 6, "device": DEVICE}
    template = AttentionFineTuneClassifier(**params)
    labels = np.array([Y, Y[::-1]], dtype=object).T
    labels[::3, 1] = None
    clf = MultiTaskClassifier(template).fit(X, labels)
    assert clf.task(0).score(X, Y) > 0.9


def test_predictions_do_not_depend_on_the_batch(small):
    clf = fitted(small, head="lstm", precision="float32")
    together = clf.predict_proba([*X, "good " * 30])[: len(X)]
    alone = np.concatenate([clf.predict_proba([text]) for text in X])
    np.testing.assert_allclose(together, alone, atol=1e-5)


def test_parallel_workers_have_the_same_scores(small):
    params = {**small, "precision": "auto", "device": DEVICE}
    clf = AttentionFineTuneClassifier(**params)
    scores = [
        GridSearchCV(
            clone(clf), {"pooling": ["mean", "max"]}, cv=2, n_jobs=n_jobs, refit=False
        )
        .fit(X, Y)
        .cv_results_["mean_test_score"]
        for n_jobs in (None, 2)
    ]
    np.testing.assert_array_equal(*scores)
