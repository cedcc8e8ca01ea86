"""Fits with too little memory, with numerical errors, or interrupted by Ctrl-C."""

import ctypes
import gc
import os
import signal
import subprocess
import sys
import time
import weakref
from pathlib import Path

import numpy as np
import pytest
import tiny
import torch
from sklearn.exceptions import ConvergenceWarning, FitFailedWarning
from sklearn.model_selection import GridSearchCV

from sklearn_attnft import (
    AttentionFineTuneClassifier,
    MultiTaskClassifier,
    TransformerFeatureExtractor,
)
from sklearn_attnft._fit import _retry
from sklearn_attnft._runtime import _device, _predict
from sklearn_attnft._training import _loop

X = ["good day", "bad dog", "lovely night", "awful rain", "good man " * 9, "sad"] * 4
Y = ["good", "bad"] * 12


OUT_OF_MEMORY = torch.OutOfMemoryError("CUDA out of memory.")


@pytest.fixture
def narrow(monkeypatch):
    """Return a function that simulates a device with memory for `n_texts` texts."""
    original = _loop._Net.infer

    def of(n_texts, error=OUT_OF_MEMORY):
        def infer(self, batch):
            if len(batch.input_ids) > n_texts and self.module_.training:
                raise error
            return original(self, batch)

        monkeypatch.setattr(_loop._Net, "infer", infer)

    return of


def states(estimator):
    return {name: w.clone() for name, w in estimator.module_.state_dict().items()}


def assert_close(one, other, **tolerance):
    ours, theirs = states(one), states(other)
    for name, weight in ours.items():
        torch.testing.assert_close(weight, theirs[name], msg=name, **tolerance)


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"head": "lstm"},
        {"long_texts": "window", "max_length": 10, "label_smoothing": 0.1},
    ],
)
@pytest.mark.parametrize("size", [1, 3, 7])
def test_micro_batches_give_the_same_fit_as_whole_batches(parameters, size, small):
    parameters = {**small, "dropout": 0.0, "max_epochs": 1, **parameters}
    whole = AttentionFineTuneClassifier(**parameters).fit(X, Y)
    parts = AttentionFineTuneClassifier(**parameters, micro_batch_size=size)
    proba = parts.fit(X, Y).predict_proba(X)
    # Weights are not compared: where a gradient is 0, AdamW amplifies rounding errors.
    np.testing.assert_allclose(proba, whole.predict_proba(X), rtol=1e-3)
    assert parts.history_[0]["train_loss"] == pytest.approx(
        whole.history_[0]["train_loss"], rel=1e-5
    )


def test_micro_batches_give_the_same_fit_of_several_tasks(small):
    y = [["a", "x"], ["b", None], ["a", "y"], ["b", "x"], [None, "y"], ["b", "x"]] * 4
    fits = []
    for size in (None, 3):
        template = AttentionFineTuneClassifier(
            **small, dropout=0, micro_batch_size=size
        )
        clf = MultiTaskClassifier(template, task_weights="uncertainty")
        fits.append(clf.fit(X, y))
    whole, parts = (clf.predict_proba(X) for clf in fits)
    np.testing.assert_allclose(whole, parts, rtol=1e-3)


ERRORS = [
    OUT_OF_MEMORY,
    RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"),
    RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 9"),
    RuntimeError("MPS backend out of memory (MPS allocated: 9 GB)"),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate`"),
    MemoryError(),
]


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("parameters", [{}, {"lm_epochs": 1, "lm_weight": 0.5}])
def test_too_little_memory_halves_the_micro_batch(parameters, error, small, narrow):
    parameters = {**small, **parameters, "encoder_dropout": 0.2}
    narrow(2, error)
    clf = AttentionFineTuneClassifier(**parameters)
    with pytest.warns(UserWarning, match="micro_batch_size") as caught:
        clf.fit(X, Y)
    sizes = [str(w.message).split("Set ")[0][-40:] for w in caught]
    # Halving starts from 8 texts, or from the 32 windows of LM fine-tuning.
    assert len(sizes) == (4 if "lm_epochs" in parameters else 2), sizes
    assert "micro_batch_size=2" in str(caught[-1].message)
    assert caught[0].filename == __file__
    assert clf.get_params()["micro_batch_size"] is None
    expected = AttentionFineTuneClassifier(**parameters, micro_batch_size=2).fit(X, Y)
    assert_close(clf, expected, rtol=0, atol=0)


def test_too_little_memory_halves_the_micro_batch_of_an_extractor(narrow):
    parameters = {"max_length": 32, "lm_epochs": 1, "random_state": 0}
    narrow(16)
    extractor = TransformerFeatureExtractor(tiny.ENCODER, **parameters)
    with pytest.warns(UserWarning, match="micro_batch_size=16"):
        extractor.fit(X * 2)
    expected = TransformerFeatureExtractor(
        tiny.ENCODER, **parameters, micro_batch_size=16
    )
    assert_close(extractor, expected.fit(X * 2), rtol=0, atol=0)


def test_too_little_memory_halves_the_windows_of_the_language_model(small, narrow):
    narrow(8)
    clf = AttentionFineTuneClassifier(**small | {"batch_size": 1}, lm_epochs=1)
    with pytest.warns(UserWarning, match="micro_batch_size=") as caught:
        clf.fit(X * 2, Y * 2)
    assert len(caught) == 2  # 32, 16, 8


def test_too_little_memory_in_validation_halves_the_micro_batch(small, monkeypatch):
    original = _loop._Net.infer

    def infer(self, batch):
        if len(batch.input_ids) > 4:
            raise OUT_OF_MEMORY
        return original(self, batch)

    monkeypatch.setattr(_loop._Net, "infer", infer)
    clf = AttentionFineTuneClassifier(**small)
    with pytest.warns(UserWarning, match="micro_batch_size=4"):
        clf.fit(X, Y, X_val=["good day"] * 20, y_val=["good"] * 20)
    assert clf.history_[-1]["valid_accuracy"] == 1.0


@pytest.mark.parametrize(
    ("long_texts", "advice"),
    [("truncate", "Set max_length"), ("window", r"Set long_texts='truncate', max_l")],
)
@pytest.mark.parametrize(
    "sizes",
    [{"micro_batch_size": 1}, {"batch_size": 1, "micro_batch_size": 8}],
    ids=str,
)
def test_too_little_memory_for_one_text_raises_an_error_with_advice(
    sizes, long_texts, advice, small, narrow
):
    narrow(0)
    clf = AttentionFineTuneClassifier(**small | sizes, long_texts=long_texts)
    with pytest.raises(MemoryError, match=f"train on even one text. {advice}"):
        clf.fit(X, Y)
    assert not hasattr(clf, "module_")


def test_other_errors_do_not_halve_the_micro_batch(small, narrow):
    narrow(2, RuntimeError("shapes do not match"))
    with pytest.raises(RuntimeError, match="shapes do not match"):
        AttentionFineTuneClassifier(**small).fit(X, Y)


@pytest.mark.parametrize("max_grad_norm", [1.0, None])
def test_an_infinite_or_nan_loss_stops_the_fit(max_grad_norm, small):
    wrong = {"learning_rate": 1e36, "head_learning_rate": 1e36, "warmup_fraction": 0.0}
    clf = AttentionFineTuneClassifier(**{**small, **wrong}, max_grad_norm=max_grad_norm)
    message = r"The loss is \S+ at step [2-9] of 9, so training was stopped"
    with pytest.raises(FloatingPointError, match=message) as caught:
        clf.fit(X, Y)
    assert "Set learning_rate=3e+35 and head_learning_rate=3e+35" in str(caught.value)
    assert not hasattr(clf, "module_")


def test_infinite_or_nan_weights_after_the_last_step_are_an_error(small):
    wrong = {"learning_rate": 1e38, "head_learning_rate": 1e38, "warmup_fraction": 0.0}
    clf = AttentionFineTuneClassifier(
        **{**small, **wrong, "batch_size": 24, "max_epochs": 1}, max_grad_norm=None
    )
    with pytest.raises(
        FloatingPointError, match=r"weights are not finite .* step 1 of"
    ):
        clf.fit(X, Y)
    assert not hasattr(clf, "module_")


def test_a_collapsed_fit_warns(small):
    y = ["rare"] + ["common"] * 39
    clf = AttentionFineTuneClassifier(**small)
    with pytest.warns(ConvergenceWarning, match="last epoch: 'common'") as caught:
        clf.fit(["good day"] * 40, y)
    assert caught[0].filename == __file__
    multitask = MultiTaskClassifier(clf.set_params(max_epochs=4))
    with pytest.warns(ConvergenceWarning) as caught:
        multitask.fit(["good day"] * 40, {"mood": y, "word": ["a", "b"] * 20})
    assert "for the task 'mood' in the last epoch: 'common'" in str(caught[0].message)


def test_a_fit_of_few_texts_does_not_warn(small):
    AttentionFineTuneClassifier(**small).fit(["good day"] * 20, ["a"] + ["b"] * 19)


@pytest.mark.parametrize("parameters", [{}, {"lm_epochs": 1}])
def test_ctrl_c_does_not_change_a_fitted_estimator(parameters, small, monkeypatch):
    clf = AttentionFineTuneClassifier(**{**small, **parameters}).fit(X, Y)
    before = dict(vars(clf))
    expected = clf.predict_proba(X)
    modules = []
    original = _loop._Net.train_step

    def interrupted(self, batch, **kwargs):
        modules.append(weakref.ref(self.module_))
        if len(modules) == 2:
            raise KeyboardInterrupt
        return original(self, batch, **kwargs)

    monkeypatch.setattr(_loop._Net, "train_step", interrupted)
    with pytest.raises(KeyboardInterrupt):
        clf.fit(X[:12], Y[:12])
    assert vars(clf) == before
    np.testing.assert_array_equal(clf.predict_proba(X), expected)
    gc.collect()
    assert modules[0]() is None  # the interrupted module is freed


SEARCH = """
import sys
from sklearn.model_selection import GridSearchCV
from sklearn_attnft import AttentionFineTuneClassifier
from test_faults import X, Y
clf = AttentionFineTuneClassifier(sys.argv[1], max_length=32, max_epochs=500)
clf.set_params(checkpoint_dir=sys.argv[2])
search = GridSearchCV(clf, {"dropout": [0.1, 0.2, 0.3, 0.4]}, cv=2, n_jobs=2)
print("begin", flush=True)
search.fit(X, Y)
"""


def test_ctrl_c_ends_a_search(tiny_encoder, tmp_path):
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    path = os.pathsep.join([os.path.dirname(__file__), *sys.path])
    process = subprocess.Popen(
        [sys.executable, "-c", SEARCH, tiny_encoder, str(tmp_path)],
        env={**environment, "PYTHONPATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,  # a separate process group, as in a terminal
    )
    with process:
        assert process.stdout.readline() == b"begin\n"
        while not list(tmp_path.glob("*/state.pt")):  # a worker's first epoch
            assert process.poll() is None
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode != 0
    assert b"KeyboardInterrupt" in errors


@pytest.mark.filterwarnings("ignore:One or more of the test scores are non-finite")
def test_a_failed_fit_in_a_search_is_scored_as_failed(small):
    clf = AttentionFineTuneClassifier(**small)
    grid = {"max_length": [32, 10_000]}
    search = GridSearchCV(clf, grid, cv=2, error_score=np.nan)
    with pytest.warns(FitFailedWarning, match="max_length=10000 is more than"):
        search.fit(X, Y)
    assert np.isnan(search.cv_results_["mean_test_score"]).tolist() == [False, True]


HAS_GLIBC = sys.platform == "linux" and hasattr(ctypes.CDLL(None), "malloc_trim")


@pytest.mark.skipif(not HAS_GLIBC, reason="malloc_trim is a function of glibc")
def test_trim_memory_returns_free_memory_to_the_system():
    page = os.sysconf("SC_PAGE_SIZE")

    def resident():
        return int(Path("/proc/self/statm").read_text().split()[1]) * page

    blocks = [bytearray(65536) for _ in range(4096)]  # from the heap, 256 MiB
    last = blocks.pop()  # at the end of the heap, which cannot shrink below it
    del blocks
    before = resident()
    _device.trim_memory()
    assert before - resident() > 200 * 2**20
    assert len(last) == 65536


@pytest.mark.parametrize("params", [{}, {"trainable_layers": 0}])
def test_a_fit_trims_memory_once(params, small, monkeypatch):
    given = []
    monkeypatch.setattr(_retry, "trim_memory", lambda: given.append(1))
    AttentionFineTuneClassifier(**{**small, **params}).fit(X, Y)
    assert given == [1]


def test_too_little_memory_in_prediction_reduces_the_batches(small, monkeypatch):
    clf = AttentionFineTuneClassifier(**small).fit(X, Y)
    expected = clf.predict_proba(X)
    mix = clf.module_.mix

    def short(input_ids, *args):
        if len(input_ids) > 2:
            raise OUT_OF_MEMORY
        return mix(input_ids, *args)

    monkeypatch.setattr(clf.module_, "mix", short)
    np.testing.assert_allclose(clf.predict_proba(X), expected, rtol=1e-5)
    monkeypatch.setattr(_predict, "tokens_per_batch", lambda device: 1)
    np.testing.assert_allclose(clf.predict_proba(X), expected, rtol=1e-5)


def test_too_little_memory_to_predict_one_text_is_a_helpful_error(small, monkeypatch):
    clf = AttentionFineTuneClassifier(**small, long_texts="window").fit(X, Y)
    mix = clf.module_.mix

    def short(input_ids, *args):
        if len(input_ids) > 2:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory")
        return mix(input_ids, *args)

    monkeypatch.setattr(clf.module_, "mix", short)
    with pytest.raises(MemoryError, match=r"one text of \d+ tokens\. Split the text"):
        clf.predict(["good day", "good " * 90])
