"""Any input gives a result or an error message of this package or scikit-learn.

``pytest tests/test_any_input.py --hypothesis-profile=many`` runs more examples: 5,000
of texts, and 2,000 of parameters and labels.
"""

import json
import multiprocessing
import pickle
import threading
import traceback
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import sklearn
import tiny
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from joblib import Parallel, delayed
from skorch.callbacks import Callback

import sklearn_attnft
from sklearn_attnft import AttentionFineTuneClassifier, TransformerFeatureExtractor
from sklearn_attnft._runtime import _predict

X = ["good day", "bad dog", "lovely night", "awful rain", "", "good " * 50] * 3
Y = ["good", "bad", "good", "bad", "bad", "good"] * 3
FORK = multiprocessing.get_context("fork")
IS_MANY = settings.get_current_profile_name() == "many"


@pytest.fixture(scope="module")
def clf():
    return AttentionFineTuneClassifier(
        tiny.ENCODER, max_length=64, max_epochs=1, random_state=0, precision="float32"
    ).fit(X, Y)


# Any script, control characters, lone surrogates, joiners and special tokens.
odd_ones = st.sampled_from("\x00\u200d\u202e\ud800\udfff\ufeff\U0001f600")
characters = st.characters() | odd_ones
pieces = characters | st.sampled_from(["[SEP]", "[MASK]", "[PAD]", "##", " ", "good"])
any_texts = st.lists(st.lists(pieces, max_size=30).map("".join), min_size=1, max_size=5)


@settings(max_examples=5000 if IS_MANY else 60)
@given(any_texts)
def test_any_text_has_the_same_probabilities_alone_and_in_a_batch(clf, texts):
    probabilities = clf.predict_proba(texts)
    assert np.isfinite(probabilities).all()
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0, rtol=1e-12)
    for text, row in zip(texts, probabilities, strict=True):
        np.testing.assert_allclose(clf.predict_proba([text])[0], row, atol=1e-5)


def test_special_tokens_in_a_text_are_plain_text(clf):
    # As a special token, "[PAD]" would be masked and change nothing.
    for token in ("[PAD]", "[SEP]", "[MASK]", "[CLS]"):
        spaced = clf.predict_proba([f"good {token} day"])
        assert not np.allclose(spaced, clf.predict_proba(["good day"]), atol=1e-4)


@pytest.fixture(scope="module")
def bare(tmp_path_factory):
    """Return the directory of an encoder whose tokenizer adds no special tokens."""
    directory = tmp_path_factory.mktemp("bare")
    tiny.save_tiny_encoder(directory)
    path = directory / "tokenizer.json"
    path.write_text(
        json.dumps({**json.loads(path.read_text()), "post_processor": None})
    )
    return directory


@pytest.mark.parametrize(
    "params", [{}, {"head": "lstm", "lm_weight": 0.1}, {"lm_epochs": 1}], ids=str
)
def test_an_empty_text_works_without_special_tokens(params, bare, small):
    small |= {"encoder": bare, "max_length": 64}
    clf = AttentionFineTuneClassifier(**small, **params)
    clf.fit([*X, "", " "], [*Y, "good", "bad"])
    alone, among = clf.predict_proba([""]), clf.predict_proba(["good day", ""])
    np.testing.assert_allclose(alone[0], among[1], rtol=1e-5)
    assert np.isfinite(alone).all()
    features = TransformerFeatureExtractor(bare, max_length=64).fit_transform(
        ["", "good day"]
    )
    assert np.isfinite(features).all()
    if "head" not in params:
        assert clf.explain(["", "good day"])["sample"].tolist() == [1, 1]


def test_a_text_of_a_megabyte_and_many_duplicates_are_predicted(clf, monkeypatch):
    monkeypatch.setattr(_predict, "MANY_BATCHES", np.inf)  # no batch repeats a row
    long = "good bad " * 110_000
    assert np.isfinite(clf.predict_proba([long, "good"])).all()
    read = []
    hook = clf.module_.encoder.register_forward_hook(
        lambda module, args, kwargs, output: read.append(len(kwargs["input_ids"])),
        with_kwargs=True,
    )
    texts = [f"good day {i % 50_000}" for i in range(100_000)]
    probabilities = clf.predict_proba(texts)
    np.testing.assert_array_equal(probabilities[:50_000], probabilities[50_000:])
    assert sum(read) == 50_000
    hook.remove()


labels = st.one_of(
    st.text(max_size=3),
    st.integers(-5, 5),
    st.booleans(),
    st.floats(allow_nan=True),
    st.none(),
    st.just(pd.NA),
    st.lists(st.integers(0, 2), max_size=2),
    st.binary(max_size=2),
)
columns = st.one_of(
    st.lists(labels, max_size=12),
    st.lists(st.sampled_from(["a", "b", "c"]), min_size=8, max_size=8),
    st.lists(st.integers(0, 3), min_size=8, max_size=8),
)
odd = st.one_of(st.none(), st.integers(-3, 100), st.floats(), st.text(max_size=5))
VALUES = {
    "max_length": st.integers(3, 64),
    "long_texts": st.sampled_from(["truncate", "window"]),
    "layers": st.sampled_from(["all", "last"]) | st.lists(st.integers(-4, 3)),
    "pooling": st.sampled_from(["attention", "mean", "cls", "max", "concat"]),
    "head": st.sampled_from(["linear", "mlp", "lstm"]),
    "dropout": st.floats(0, 0.9),
    "encoder_dropout": st.floats(0, 0.9),
    "trainable_layers": st.integers(0, 3) | st.just("all") | st.floats(0.1, 1),
    "gradual_unfreezing": st.booleans(),
    "learning_rate": st.floats(1e-6, 1),
    "layer_decay": st.floats(0.1, 1),
    "weight_decay": st.floats(0, 1),
    "warmup_fraction": st.floats(0, 1),
    "max_grad_norm": st.floats(0.1, 2) | st.none(),
    "label_smoothing": st.floats(0, 0.9),
    "batch_size": st.integers(1, 9),
    "micro_batch_size": st.integers(1, 9) | st.none(),
    "class_weight": st.just("balanced")
    | st.dictionaries(st.integers(0, 3), st.floats(0, 2), max_size=3),
    "early_stopping": st.booleans(),
    "validation_fraction": st.floats(0.1, 0.9),
    "lm_epochs": st.integers(0, 1),
    "lm_weight": st.floats(0, 1),
    "contrastive_epochs": st.integers(0, 1),
    "precision": st.just("float32"),
    "device": st.sampled_from(["cpu", "auto", "cuda:7"]),
    "cache": st.just("memory"),
    "pickle_weights": st.sampled_from(["full", "delta"]),
    "random_state": st.integers(0, 9) | st.none(),
}
sensible = st.fixed_dictionaries({}, optional=VALUES)
mistakes = st.dictionaries(st.sampled_from(sorted(VALUES)), odd, max_size=1)


@settings(
    max_examples=2000 if IS_MANY else 60,
    suppress_health_check=list(HealthCheck),
)
@given(sensible, mistakes, columns, st.none() | st.lists(st.floats(), max_size=9))
def test_any_parameters_and_labels_fit_or_are_refused(params, mistake, y, weights):
    texts = X[: len(y)] or ["good"]
    params = {"max_length": 16, "encoder": tiny.ENCODER, **params, **mistake}
    for epochs in {"lm_epochs", "contrastive_epochs"} & mistake.keys():
        if mistake[epochs] in range(2, 101):
            params[epochs] = 1  # a valid number, but slow
    clf = AttentionFineTuneClassifier(**params, max_epochs=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        refusal = refusal_of(clf, texts, y, weights)
        if refusal is None:
            probabilities = clf.predict_proba(texts)
            np.testing.assert_allclose(probabilities.sum(axis=1), 1.0, rtol=1e-12)
            return
    where = traceback.extract_tb(refusal.__traceback__)[-1].filename
    packages = [Path(each.__file__).parent for each in (sklearn, sklearn_attnft)]
    is_known = any(Path(where).is_relative_to(each) for each in packages)
    assert is_known, f"{where}: {refusal!r}"
    assert len(str(refusal)) > 20
    assert not hasattr(clf, "module_")


def refusal_of(clf, texts, y, weights):
    """Fit and return the error if it has an expected type, else None."""
    try:
        clf.fit(texts, y, sample_weight=weights)
    except (ValueError, TypeError, FloatingPointError) as error:
        return error
    return None


@pytest.mark.parametrize("n_threads", [8])
def test_one_classifier_predicts_the_same_in_many_threads(clf, n_threads):
    texts = [f"good day number {i} {'rain ' * (i % 30)}" for i in range(40)]
    expected = [clf.predict_proba([text]) for text in texts]
    start = threading.Barrier(n_threads)

    def call(_):
        start.wait()
        return [clf.predict_proba([text]) for text in texts]

    with ThreadPoolExecutor(n_threads) as pool:
        for found in pool.map(call, range(n_threads)):
            np.testing.assert_array_equal(found, expected)


def test_pyarrow_tables_and_arrays_are_accepted_as_texts(clf):
    for texts in (pa.table({"text": X}), pa.chunked_array([X[:5], X[5:]])):
        np.testing.assert_array_equal(clf.predict_proba(texts), clf.predict_proba(X))
    with pytest.raises(ValueError, match=r"got pairs of texts.*X\['a'\] or X\['b'\]"):
        clf.predict(pa.table({"a": X, "b": X}))
    with pytest.raises(ValueError, match="data frame with 3 columns"):
        clf.predict(pa.table({"a": X, "b": X, "c": X}))


def explained(clf):
    return clf.explain(X, attribution="gradient")["attribution"].to_numpy()


@pytest.mark.parametrize(
    "around",
    [
        torch.no_grad(),
        torch.inference_mode(),
        torch.autocast("cpu", dtype=torch.bfloat16),
    ],
    ids=lambda context: type(context).__name__,
)
def test_torch_contexts_of_the_user_do_not_change_results(clf, around):
    with around:
        fitted = sklearn.clone(clf).fit(X, Y)
        loaded = pickle.loads(pickle.dumps(clf))
        inside = predictions(clf, X), explained(clf)
        features = TransformerFeatureExtractor(
            tiny.ENCODER, max_length=64, precision="float32", cache="memory"
        ).fit(X)
        of_features = features.transform(X)
    expected = predictions(clf, X), explained(clf)
    np.testing.assert_equal(inside, expected)
    np.testing.assert_array_equal(
        sklearn.clone(features).set_params(cache=None).fit_transform(X), of_features
    )
    for each in (fitted, loaded):
        np.testing.assert_equal((predictions(each, X), explained(each)), expected)
        assert not any(p.is_inference() for p in each.module_.parameters())
    assert not any(p.is_inference() for p in features.module_.parameters())


def test_a_bfloat16_fit_is_the_same_within_autocast_of_the_user(clf):
    parameters = {"precision": "bfloat16", "max_epochs": 3, "learning_rate": 1e-2}
    clf = sklearn.clone(clf).set_params(**parameters)
    expected = clf.fit(X, Y).predict_proba(X)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = sklearn.clone(clf).fit(X, Y).predict_proba(X)
    np.testing.assert_array_equal(found, expected)


def _fit_in_child(clf, texts, connection):
    connection.send(sklearn.clone(clf).fit(texts, Y).predict_proba(texts))


def test_a_child_forked_while_a_thread_fits_can_fit(clf):
    begun, over = threading.Event(), threading.Event()

    class Waits(Callback):
        def on_train_begin(self, net, **kwargs):
            begun.set()
            over.wait(60)

    with ThreadPoolExecutor(1) as pool:
        pool.submit(sklearn.clone(clf).set_params(callbacks=[Waits()]).fit, X, Y)
        assert begun.wait(60)
        ours, theirs = FORK.Pipe()
        child = FORK.Process(target=_fit_in_child, args=(clf, X, theirs), daemon=True)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # see below
            child.start()
        answered = ours.poll(60)
        over.set()
    assert answered
    np.testing.assert_allclose(ours.recv(), clf.predict_proba(X), atol=1e-6)
    child.join(60)


def predictions(model, texts):
    if hasattr(model, "predict_proba"):
        return model.predict_proba(texts)
    return model.transform(texts)


def _in_child(model, texts, connection):
    connection.send(predictions(model, texts))


@pytest.fixture
def two_threads():
    """Set torch to two threads and start them with a computation."""
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    torch.rand(2000, 2000).exp()
    yield
    torch.set_num_threads(threads)


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_forked_and_spawned_processes_predict_the_same(clf, method, two_threads):
    # The data is large enough for two threads. A forked child does not have the second
    # thread and must not wait for it.
    texts = X * 20 + [f"{text} {i}" for i, text in enumerate(X * 20)]
    expected = clf.predict_proba(texts)
    context = multiprocessing.get_context(method)
    ours, theirs = context.Pipe()
    with warnings.catch_warnings():
        # Python warns about forks of processes with threads.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = context.Process(
            target=_in_child, args=(clf, texts, theirs), daemon=True
        )
        child.start()
    assert ours.poll(60)
    np.testing.assert_allclose(ours.recv(), expected, atol=1e-6)
    child.join(60)
    assert child.exitcode == 0


@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_joblib_workers_predict_the_same(clf, backend):
    extractor = TransformerFeatureExtractor(tiny.ENCODER, max_length=64).fit(X)
    for model in (clf, extractor):
        expected = predictions(model, X)
        run = Parallel(n_jobs=2, backend=backend)
        for found in run(delayed(predictions)(model, X) for _ in range(4)):
            np.testing.assert_allclose(found, expected, atol=1e-6)
