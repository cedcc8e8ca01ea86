"""The parameters and methods of AttentionFineTuneClassifier."""

import collections
import contextlib
import enum
import math
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest
import tiny
import torch
from sklearn.base import clone
from skorch.callbacks import Callback, EarlyStopping
from tqdm import tqdm
from versions import has_sklearn, needs_numpy_2

from sklearn_attnft import (
    AttentionFineTuneClassifier,
    MultiTaskClassifier,
    _hf,
)
from sklearn_attnft._data import _batching
from sklearn_attnft._explain import _attribution
from sklearn_attnft._fit import _retry
from sklearn_attnft._runtime import _device, _predict

X = ["good day", "bad dog", "lovely night", "awful rain", "fine man", "sad cat"] * 4
Y = ["good", "bad"] * 12
# The texts differ in their middle tokens.
LONG = ["good " * 40 + "bad " * 5 + "good " * 40, "good " * 90] * 4


def fit(small, *args, **parameters):
    clf = AttentionFineTuneClassifier(**{**small, **parameters})
    return clf.fit(*(args or (X, Y)))


def encoder_changes(clf):
    """Return the names of the encoder parameters that training changed."""
    config = _hf.load_config(tiny.ENCODER)
    start = _hf.load_encoder(tiny.ENCODER, config).state_dict()
    now = clf.module_.encoder.state_dict()
    return {name for name in now if not torch.equal(now[name], start[name])}


@pytest.mark.parametrize("pooling", ["attention", "mean", "cls", "max", "concat"])
@pytest.mark.parametrize("layers", ["all", "last", [0, -1]])
@pytest.mark.parametrize("head", ["linear", "mlp", "lstm"])
def test_every_architecture_learns(pooling, layers, head, small):
    parameters = {"pooling": pooling, "layers": layers, "head": head, "max_epochs": 8}
    assert fit(small, **parameters).score(X, Y) == 1.0


def test_trainable_layers_selects_what_is_trained(small):
    matrix = "embeddings.word_embeddings.weight"
    everything = encoder_changes(fit(small, trainable_layers="all"))
    assert matrix in everything
    blocks = encoder_changes(fit(small, trainable_layers="blocks"))
    assert blocks == everything - {matrix}
    top = encoder_changes(fit(small, trainable_layers=1))
    assert top
    assert all(name.startswith("encoder.layer.1.") for name in top)
    assert encoder_changes(fit(small, trainable_layers=0)) == set()
    for fraction in (0.1, 0.5, 0.7):  # each selects one of the two blocks
        assert encoder_changes(fit(small, trainable_layers=fraction)) == top
    assert encoder_changes(fit(small, trainable_layers=0.8)) == {
        name for name in blocks if name.startswith("encoder.")
    }


@pytest.mark.parametrize("layers", ["all", [0]], ids=str)
def test_windows_of_a_long_text_are_encoded_few_at_a_time(layers, small, monkeypatch):
    clf = fit(small, LONG, Y[: len(LONG)], long_texts="window", layers=layers)
    proba, weights = clf.predict_proba(LONG), clf.explain(LONG)["token_attention"]
    monkeypatch.setitem(_batching.TOKENS_PER_BATCH, "cpu", 64)
    sizes = []

    def count(module, args, output):
        sizes.append(output.shape[:2].numel())

    clf.module_.encoder.embeddings.register_forward_hook(count)
    np.testing.assert_allclose(clf.predict_proba(LONG), proba, rtol=1e-5)
    np.testing.assert_allclose(clf.explain(LONG)["token_attention"], weights, rtol=1e-4)
    assert max(sizes) <= 64


@pytest.fixture
def float64():
    """Set the default dtype of torch to float64, as some users do."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"head": "lstm", "trainable_layers": 0},
        {"lm_weight": 0.1},
        {"lm_epochs": 1, "contrastive_epochs": 1},
        {"pooling": "mean"},
        {"pooling": "concat"},
    ],
    ids=str,
)
def test_the_default_dtype_of_torch_does_not_matter(parameters, small, float64):
    clf = fit(small, **parameters)
    proba = clf.predict_proba(X)
    loaded = pickle.loads(pickle.dumps(clf))
    np.testing.assert_array_equal(loaded.predict_proba(X), proba)
    assert {p.dtype for p in loaded.module_.parameters()} == {torch.float32}


@pytest.fixture
def elsewhere():
    """Return a function that sets the default device of torch to "meta"."""
    yield lambda: torch.set_default_device("meta")
    torch.set_default_device(None)


@pytest.mark.parametrize(
    "parameters",
    [
        {"head": "lstm", "pooling": "concat", "trainable_layers": 0},
        {"lm_epochs": 1, "contrastive_epochs": 1, "micro_batch_size": 2},
        {"lm_weight": 0.1, "long_texts": "window", "max_length": 6},
    ],
    ids=str,
)
def test_the_default_device_of_torch_does_not_matter(parameters, small, elsewhere):
    expected = fit(small, **parameters).predict_proba(X)
    elsewhere()
    loaded = pickle.loads(pickle.dumps(fit(small, **parameters)))
    np.testing.assert_array_equal(loaded.predict_proba(X), expected)
    loaded.explain(X[:2], attribution="gradient")


class Short(AttentionFineTuneClassifier):
    """A subclass with fewer parameters."""

    def __init__(self, encoder, *, max_epochs=1):
        super().__init__(encoder, max_epochs=max_epochs, max_length=32, random_state=0)


class More(AttentionFineTuneClassifier):
    """A subclass with an additional parameter."""

    def __init__(self, encoder, *, flavor="sweet", max_length=32, max_epochs=1):
        super().__init__(encoder, max_length=max_length, max_epochs=max_epochs)
        self.flavor = flavor


def test_a_subclass_may_have_an_additional_parameter(tmp_path):
    clf = More(tiny.ENCODER, flavor="sour").fit(X, Y)
    assert More.load(clf.save(tmp_path / "x")).flavor == "sour"


def test_a_subclass_may_have_fewer_parameters(tmp_path):
    clf = Short(tiny.ENCODER).fit(X, Y)
    assert len(clf.history_) == 1
    proba = clf.predict_proba(X)
    for kept in (Short.load(clf.save(tmp_path / "x")), pickle.loads(pickle.dumps(clf))):
        assert kept.max_length == 32
        np.testing.assert_array_equal(kept.predict_proba(X), proba)
    assert clf.cache_info().hits == 0
    MultiTaskClassifier(clf).fit(X, np.array([Y, Y]).T)


@pytest.mark.parametrize("trainable_layers", [0.67, 1, 2])
def test_trainable_layers_count_from_the_highest_attended(trainable_layers, small):
    below = fit(small, layers=[0, 1], trainable_layers=trainable_layers)
    changed = encoder_changes(below)
    assert changed
    assert all(name.startswith("encoder.layer.0.") for name in changed)
    embeddings = fit(small, layers=[0], trainable_layers=trainable_layers)
    assert encoder_changes(embeddings) == set()


def test_the_head_learns_on_a_frozen_encoder(small):
    params = {"max_epochs": 20, "head_learning_rate": 0.05, "dropout": 0.1}
    clf = fit(small, trainable_layers=0, **params)
    assert clf.score(X, Y) == 1.0


def test_the_history_has_the_validation_scores_of_each_epoch(small):
    clf = AttentionFineTuneClassifier(**small)
    clf.fit(X, Y, X_val=X[:6], y_val=Y[:6])
    assert clf.n_iter_ == len(clf.history_) == 3
    for epoch, row in enumerate(clf.history_, start=1):
        assert row["epoch"] == epoch
        assert row.pop("stage") == "classifier"
        assert (type(row["epoch"]), type(row.pop("step"))) == (int, int)
        assert {type(v) for k, v in row.items() if k != "epoch"} == {float}
    last = clf.history_[-1]
    probabilities = clf.predict_proba(X[:6])
    right = probabilities[np.arange(6), np.searchsorted(clf.classes_, Y[:6])]
    assert last["valid_accuracy"] == clf.score(X[:6], Y[:6])
    assert last["valid_loss"] == pytest.approx(-np.log(right).mean(), rel=1e-4)
    without = AttentionFineTuneClassifier(**small).fit(X, Y)
    np.testing.assert_array_equal(without.predict_proba(X), clf.predict_proba(X))
    assert "valid_loss" not in without.history_[0]


def test_early_stopping_keeps_the_best_epoch(small):
    # The validation labels contradict the training labels, so the accuracy falls.
    opposite = [{"good": "bad", "bad": "good"}[label] for label in Y[:6]]
    parameters = {"max_epochs": 12, "early_stopping": True, "n_iter_no_change": 3}
    clf = AttentionFineTuneClassifier(**{**small, **parameters})
    clf.fit(X, Y, X_val=X[:6], y_val=opposite)
    scores = [row["valid_accuracy"] for row in clf.history_]
    best = int(np.argmax(scores))
    assert clf.n_iter_ == best + 1 + 3 < 12
    assert scores[best] > scores[-1]
    assert clf.score(X[:6], opposite) == scores[best]


def test_early_stopping_ends_a_fit_that_is_always_right(small):
    parameters = {"early_stopping": True, "n_iter_no_change": 2, "max_epochs": 30}
    clf = AttentionFineTuneClassifier(**{**small, **parameters}).fit(
        X, Y, X_val=X, y_val=Y
    )
    scores = [row["valid_accuracy"] for row in clf.history_]
    assert clf.n_iter_ == scores.index(1) + 3 < 30
    losses = [row["valid_loss"] for row in clf.history_]
    assert losses[-1] < losses[-3]


def test_early_stopping_holds_out_a_stratified_fraction(small):
    seen = []

    class Watch(Callback):
        def on_train_begin(self, net, X=None, **kwargs):
            seen.append(np.bincount(X.labels[0]).tolist())

    small |= {"early_stopping": True, "validation_fraction": 0.25, "max_epochs": 1}
    for seed in range(3):
        small |= {"random_state": seed, "callbacks": [Watch()]}
        fit(small, X, ["common"] * 20 + ["rare"] * 4)
    assert seen == [[15, 3]] * 3


def test_a_callback_is_cloned_and_may_stop_the_fit(small):
    stopping = EarlyStopping(monitor="train_loss", patience=1, threshold=1.0)
    before = dict(vars(stopping))
    clf = fit(small, max_epochs=9, callbacks=[("mine", stopping)])
    assert clf.n_iter_ == 2
    assert vars(stopping) == before


def test_a_callback_that_needs_validation_texts_is_named(small):
    for item in (EarlyStopping(), ("mine", EarlyStopping())):
        with pytest.raises(ValueError, match="'valid_loss', got no validation texts"):
            fit(small, callbacks=[item])
    clf = AttentionFineTuneClassifier(**{**small, "callbacks": [EarlyStopping()]})
    clf.fit(X, Y, X_val=X[:4], y_val=Y[:4])


def test_gradual_unfreezing_starts_with_the_top_block(small):
    seen = []

    class Watch(Callback):
        def on_epoch_end(self, net, **kwargs):
            seen.append(encoder_changes(net))

    fit(small, gradual_unfreezing=True, callbacks=[Watch()])
    assert seen[0] == set()
    assert seen[1]
    assert all(name.startswith("encoder.layer.1.") for name in seen[1])
    assert any(name.startswith("encoder.layer.0.") for name in seen[2])


def _look(net):
    net.module_.eval()
    net.module_.train()


@pytest.mark.parametrize(
    "change",
    [_look, lambda net: net.module_.eval(), lambda net: net.module_.encoder.eval()],
    ids=["eval, train", "eval", "eval of the encoder"],
)
def test_a_callback_that_changes_the_mode_does_not_change_the_fit(small, change):
    class Changes(Callback):
        def on_batch_end(self, net, **kwargs):
            change(net)

        def on_epoch_end(self, net, **kwargs):
            change(net)

    small |= {"label_smoothing": 0.1, "encoder_dropout": 0.2, "trainable_layers": 1}
    expected, found = (
        AttentionFineTuneClassifier(**small, callbacks=callbacks).fit(
            X, Y, X_val=X, y_val=Y
        )
        for callbacks in (None, [Changes()])
    )
    np.testing.assert_array_equal(found.predict_proba(X), expected.predict_proba(X))
    for row, its_expected in zip(found.history_, expected.history_, strict=True):
        assert {**row, "dur": 0} == {**its_expected, "dur": 0}


def test_attention_and_head_compute_in_float32_under_bfloat16(small):
    clf, types = fit(small, head="mlp", precision="bfloat16"), set()
    for part in clf.module_.tasks[0].modules():
        part.register_forward_hook(lambda module, args, out: types.add(out.dtype))
    clf.predict_proba(X)
    assert types == {torch.float32}


def test_fits_in_several_threads_equal_serial_fits(small):
    fits = [
        AttentionFineTuneClassifier(**small | {"random_state": seed, "max_epochs": 1})
        for seed in range(3)
    ]
    fits = [clf.set_params(encoder_dropout=0.2) for clf in fits]
    expected = [clone(clf).fit(X, Y).predict_proba(X) for clf in fits]
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda clf: clf.fit(X, Y), fits))
    np.testing.assert_array_equal([clf.predict_proba(X) for clf in fits], expected)


def test_classes_include_that_of_a_text_with_weight_0(small):
    clf = AttentionFineTuneClassifier(**small)
    clf.fit([*X, "rain"], [*Y, "c"], sample_weight=[1] * len(X) + [0])
    assert clf.classes_.tolist() == ["bad", "c", "good"]
    assert clf.predict_proba(X).shape == (len(X), 3)


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        ("layer_decay", 0.5),
        ("weight_decay", 0.5),
        ("warmup_fraction", 0.9),
        ("max_grad_norm", 0.01),
        ("max_grad_norm", None),
        ("label_smoothing", 0.3),
        ("dropout", 0.5),
        ("encoder_dropout", 0.5),
        ("batch_size", 5),
        ("class_weight", {"good": 5.0}),
        ("random_state", 1),
    ],
)
def test_every_training_parameter_changes_the_fit(parameter, value, small):
    changed = fit(small, **{parameter: value}).predict_proba(X)
    assert np.abs(changed - fit(small).predict_proba(X)).max() > 1e-6


def test_a_class_weight_of_an_absent_class_is_ignored(small):
    weights = {"good": 2.0, "bad": 1.0, "elsewhere": 3.0}
    proba = fit(small, class_weight=weights).predict_proba(X)
    weights.pop("elsewhere")
    expected = fit(small, class_weight=weights).predict_proba(X)
    np.testing.assert_array_equal(proba, expected)


def test_a_long_text_is_truncated_in_the_middle(small):
    with pytest.warns(UserWarning, match="Up to 100% of the texts are longer"):
        clf = fit(small, LONG, ["a", "b"] * 4)
    assert clf.truncated_fraction_ == 1.0
    proba = clf.predict_proba([*LONG[:2], "bad" + LONG[0], LONG[0] + "bad"])
    np.testing.assert_array_equal(proba[0], proba[1])
    assert np.abs(proba[2] - proba[0]).max() > 1e-6
    assert np.abs(proba[3] - proba[0]).max() > 1e-6


def test_windows_cover_the_whole_text(small):
    clf = fit(small, LONG, ["a", "b"] * 4, long_texts="window")
    assert clf.truncated_fraction_ == 0.0
    proba = clf.predict_proba(LONG[:2])
    assert np.abs(proba[0] - proba[1]).max() > 1e-6
    # The batch has texts with one window and texts with several.
    together = clf.predict_proba([LONG[0], "good", LONG[1]])
    apart = [clf.predict_proba([text])[0] for text in (LONG[0], "good", LONG[1])]
    np.testing.assert_allclose(together, apart, atol=1e-5)


def test_bfloat16_is_close_to_float32(small):
    clf = fit(small, precision="float32")
    exact = clf.predict_proba(X)
    rounded = clf.set_params(precision="bfloat16").predict_proba(X)
    assert 0 < np.abs(rounded - exact).max() < 0.05
    trained = fit(small, precision="bfloat16", max_epochs=8)
    assert trained.score(X, Y) == 1.0
    assert {p.dtype for p in trained.module_.parameters()} == {torch.float32}


@pytest.mark.parametrize("head", ["linear", "lstm"])
def test_in_bfloat16_a_batch_changes_probabilities_by_less_than_0_01(small, head):
    clf = fit(small, precision="bfloat16", head=head)
    together = clf.predict_proba([*X, "good " * 30])[: len(X)]
    alone = np.concatenate([clf.predict_proba([text]) for text in X])
    np.testing.assert_allclose(together, alone, atol=0.01)


@pytest.fixture
def switches():
    """Return the attention switches of torch, and restore them after the test."""
    flags = torch.backends.cuda
    names = ("cudnn", "flash", "mem_efficient", "math")
    before = {name: getattr(flags, f"{name}_sdp_enabled")() for name in names}
    yield flags
    for name, is_on in before.items():
        getattr(flags, f"enable_{name}_sdp")(is_on)


@pytest.mark.parametrize("before", [True, False])
def test_the_last_thread_that_computes_restores_cudnn_attention(switches, before):
    switches.enable_cudnn_sdp(before)
    both_in, may_leave, seen = threading.Barrier(3), threading.Barrier(2), []

    def compute(leaves_last):
        with _device.without_cudnn_attention(torch.device("cuda")):
            both_in.wait(30)
            if leaves_last:
                may_leave.wait(30)
                seen.append(switches.cudnn_sdp_enabled())

    threads = [threading.Thread(target=compute, args=(last,)) for last in (False, True)]
    for thread in threads:
        thread.start()
    both_in.wait(30)
    threads[0].join()
    may_leave.wait(30)
    threads[1].join()
    assert seen == [False]
    assert switches.cudnn_sdp_enabled() == before


def test_fits_and_predictions_disable_cudnn_attention(small, switches, monkeypatch):
    def as_on_a_gpu(device):
        return _device._WITHOUT_CUDNN_ATTENTION

    for module in (_retry, _predict, _attribution):
        monkeypatch.setattr(module, "without_cudnn_attention", as_on_a_gpu)
    seen = []

    def see(*args, **kwargs):
        seen.append(switches.cudnn_sdp_enabled())

    class See(Callback):
        on_grad_computed = see  # after the backward pass

    switches.enable_cudnn_sdp(True)
    clf = fit(small, callbacks=[See()])
    assert len(seen) == 9  # three epochs of three steps
    clf.module_.encoder.register_forward_hook(see)
    clf.predict(X)
    clf.explain(X)
    assert len(seen) == 11
    assert not any(seen)
    assert switches.cudnn_sdp_enabled()


def test_cudnn_attention_stays_on_if_the_user_disabled_the_others(switches):
    for enable in ("flash", "mem_efficient", "math"):
        getattr(switches, f"enable_{enable}_sdp")(False)
    switches.enable_cudnn_sdp(True)
    with _device.without_cudnn_attention(torch.device("cuda")):
        assert switches.cudnn_sdp_enabled()
    assert switches.cudnn_sdp_enabled()


def test_auto_precision_is_bfloat16_if_the_hardware_supports_it(monkeypatch):
    from sklearn_attnft._runtime._device import resolve_dtype

    cpu = torch.device("cpu")
    for name, expected in [("avx512_bf16", torch.bfloat16), ("avx2", torch.float32)]:
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda n=name: {n: True})
        assert resolve_dtype("auto", cpu) == expected
    assert resolve_dtype("auto", torch.device("mps")) == torch.float32


def test_progress_goes_to_stderr(small, capsys):
    fit(small, verbose=1).predict(X)
    out, err = capsys.readouterr()
    assert out == ""
    assert "fit: classifier 3/3: 100%" in err
    assert "train_loss" in err
    assert "encode" not in err  # predictions have no bar


class Sentence(str, enum.Enum):  # noqa: UP042 (StrEnum's __str__ is harmless)
    GOOD = "good day"
    BAD = "bad dog"


@needs_numpy_2
def test_a_deque_string_dtype_labels_and_str_enums_are_accepted(small):
    expected = fit(small).predict_proba(X)
    texts = collections.deque(X)
    labels = np.array(Y, dtype=np.dtypes.StringDType())
    np.testing.assert_array_equal(
        AttentionFineTuneClassifier(**small).fit(texts, labels).predict_proba(texts),
        expected,
    )
    clf = fit(small)
    np.testing.assert_array_equal(
        clf.predict_proba(list(Sentence)), clf.predict_proba(["good day", "bad dog"])
    )


class Number(enum.IntEnum):
    ONE = 1
    TEN = 10


class Odd(str):
    """A subclass of str that is not equal to anything."""

    __hash__ = str.__hash__

    def __eq__(self, other):
        return False


@pytest.mark.parametrize(
    ("given", "plain"),
    [
        ((Sentence.GOOD, Sentence.BAD), ("good day", "bad dog")),
        ((Number.ONE, Number.TEN), (1, 10)),
        ((Odd("no"), Odd("yes")), ("no", "yes")),
        ((np.str_("a\0"), np.str_("a")), ("a\0", "a")),
        (("a\0", "a"), ("a\0", "a")),
        (("a\0\0", "a\0"), ("a\0\0", "a\0")),
        (("1", "2"), ("1", "2")),
        (("01", "1"), ("01", "1")),
        (("-1", "b"), ("-1", "b")),
        (("", "\0"), ("", "\0")),
        ((np.int8(-1), np.int8(1)), (-1, 1)),
        ((True, False), (True, False)),
    ],
    ids=str,
)
@pytest.mark.parametrize("container", [list, collections.deque, "object", pd.Series])
def test_labels_keep_their_value(given, plain, container, small, tmp_path):
    plain = list(plain) * (len(X) // 2)
    y = list(given) * (len(X) // 2)
    if container == "object":
        y = np.empty(len(X), dtype=object)
        y[:] = list(given) * (len(X) // 2)
    else:
        y = container(y)
    weights = {"max_epochs": 1, "class_weight": {given[0]: 3.0, given[1]: 1.0}}
    clf = AttentionFineTuneClassifier(**small | weights).fit(X, y, X_val=X, y_val=y)
    assert clf.classes_.tolist() == sorted(set(plain))
    assert {type(label) for label in clf.classes_.tolist()} == {type(plain[0])}
    predicted = clf.predict(X).tolist()
    assert clf.score(X, y) == np.mean(
        [a == b for a, b in zip(predicted, plain, strict=True)]
    )
    assert clf.history_[-1]["valid_accuracy"] == pytest.approx(clf.score(X, y))
    codes = [sorted(set(plain)).index(label) for label in plain]
    weights["class_weight"] = {codes[0]: 3.0, codes[1]: 1.0}
    coded = AttentionFineTuneClassifier(**small | weights).fit(X, codes)
    np.testing.assert_array_equal(clf.predict_proba(X), coded.predict_proba(X))
    clf.class_weight = None  # an Enum in a parameter cannot be saved
    clf.save(tmp_path / "model")
    loaded = AttentionFineTuneClassifier.load(tmp_path / "model")
    for copy in (loaded, pickle.loads(pickle.dumps(clf))):
        assert copy.classes_.tolist() == clf.classes_.tolist()
        assert copy.predict(X).tolist() == predicted
    for label, target in zip(given, plain[:2], strict=True):
        explained = [
            each.explain(X[:2], attribution="gradient", target=one)
            for each, one in ((clf, label), (coded, codes[plain.index(target)]))
        ]
        pd.testing.assert_frame_equal(*explained)


def test_labels_may_be_arrays_without_dimensions(small):
    for y in ([torch.tensor(0), np.array(1)] * 12, torch.tensor([0, 1] * 12)):
        assert fit(small, X, y, max_epochs=1).classes_.tolist() == [0, 1]


def test_a_class_weight_of_another_type_or_value_is_unknown(small):
    for y, key in (("12", 1), (["01", "2"], "1"), ([1, 2], "1"), ("ab", "a\0")):
        clf = AttentionFineTuneClassifier(**small, class_weight={key: 2.0})
        with pytest.raises(ValueError, match="must have only classes of y"):
            clf.fit(X, list(y) * (len(X) // 2))


def test_the_scale_of_weights_does_not_matter(small):
    weights = np.linspace(0.5, 1.0, len(X))
    proba = [
        AttentionFineTuneClassifier(**small)
        .fit(X, Y, sample_weight=weights * scale)
        .predict_proba(X)
        for scale in (1.0, 2.0**1000, 2.0**-1000)
    ]
    np.testing.assert_array_equal(proba[0], proba[1])
    np.testing.assert_array_equal(proba[0], proba[2])


def test_held_out_texts_are_scored_with_their_weights(small):
    # Half of the texts have a wrong label and a weight of almost 0.
    wrong = ["bad" if label == "good" else "good" for label in Y]
    weights = np.repeat([1.0, 1e-6], len(X))
    clf = AttentionFineTuneClassifier(
        **{**small, "max_epochs": 12}, early_stopping=True, validation_fraction=0.25
    )
    clf.fit(X * 2, Y + wrong, sample_weight=weights)
    assert max(row["valid_accuracy"] for row in clf.history_) > 0.95
    assert clf.score(X, Y) > 0.95


@pytest.mark.parametrize(
    ("params", "peak"),
    [
        ({"layer_decay": 0.5, "gradual_unfreezing": True}, "learning_rate"),
        ({"trainable_layers": 0}, "head_learning_rate"),
        ({"lm_weight": 0.5}, "learning_rate"),
    ],
)
def test_the_history_has_steps_and_learning_rates(small, params, peak):
    small |= params | {"max_epochs": 5, "warmup_fraction": 0.1}
    history = fit(small).history_
    rates = [row["learning_rate"] for row in history]
    assert [row["step"] for row in history] == [3, 6, 9, 12, 15]
    n_warmup = math.ceil(0.1 * 15)  # 5 epochs of 3 steps
    factors = [(15 - done) / (15 - n_warmup) for done in (3, 6, 9, 12, 15)]
    np.testing.assert_allclose(rates, np.multiply(small[peak], factors))


def test_fitted_parameters_have_no_gradients(small):
    clf = fit(small, lm_epochs=1)
    assert all(parameter.grad is None for parameter in clf.module_.parameters())


def test_predictions_in_a_callback_have_the_order_of_the_texts(small):
    seen = []

    class Predicts(Callback):
        def on_train_end(self, net, X=None, **kwargs):
            seen.append(net.predict(X))

    texts = [" ".join(["good"] * (i % 7 + 1)) for i in range(24)]
    clf = fit(small, texts, Y, callbacks=[Predicts()])
    np.testing.assert_allclose(
        np.diff(seen[0])[:, 0], clf.decision_function(texts), atol=1e-5
    )


def test_an_interrupt_closes_the_progress_bar(small):
    class Interrupt(Callback):
        def on_batch_end(self, net, **kwargs):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(small, callbacks=[Interrupt()], verbose=1)
    assert not [bar for bar in tqdm._instances if not bar.disable]


def test_the_truncation_warning_precedes_training_and_names_the_line(small):
    class Never(Callback):
        def on_train_begin(self, net, **kwargs):
            raise AssertionError("training began before the warning")

    clf = AttentionFineTuneClassifier(**small, callbacks=[Never()])
    with (
        pytest.warns(UserWarning, match="longer than max_length") as caught,
        contextlib.suppress(AssertionError),
    ):
        clf.fit(LONG, ["a", "b"] * 4)
    assert caught[0].filename == __file__
    with pytest.raises(UserWarning, match="longer than max_length"):
        clf.fit(LONG, ["a", "b"] * 4)


@pytest.mark.parametrize("texts", ["single", "pairs"])
def test_the_truncation_warning_knows_the_limit_of_the_encoder(small, texts):
    X = [f"{'good ' * 100}{word}" for word in ("bird", "cat", "dog", "fish")]
    if texts == "pairs":
        X = list(zip(X, X, strict=True))
        small |= {"long_texts": "window"}
    clf = AttentionFineTuneClassifier(**small | {"max_epochs": 1})
    limit = tiny.N_POSITIONS
    with pytest.warns(UserWarning, match=rf"raise max_length .* up to {limit} tokens"):
        clf.fit(X, ["a", "b"] * 2)
    clf.set_params(max_length=limit)
    with pytest.warns(UserWarning, match="pass an encoder that reads more") as caught:
        clf.fit(X, ["a", "b"] * 2)
    assert not any("raise max_length" in str(each.message) for each in caught)


def test_random_state_instances_and_none_are_supported(small):
    same = [fit(small, random_state=np.random.RandomState(3)) for _ in range(2)]
    np.testing.assert_array_equal(*(clf.predict_proba(X) for clf in same))
    fresh = [fit(small, random_state=None).predict_proba(X) for _ in range(2)]
    assert np.abs(fresh[0] - fresh[1]).max() > 1e-6


def test_transform_returns_the_input_of_the_head(small):
    clf = fit(small)
    context = torch.from_numpy(clf.transform(X))
    with torch.no_grad():
        logits = clf.module_.tasks[0].classify(context)
    np.testing.assert_allclose(
        torch.softmax(logits, 1).numpy(), clf.predict_proba(X), atol=1e-5
    )
    names = clf.get_feature_names_out()
    assert names[0] == "attentionfinetuneclassifier0"
    texts = pd.Series(X, index=range(9, 33))
    frame = clf.set_output(transform="pandas").transform(texts.to_frame())
    assert list(frame.columns) == list(names)
    assert frame.index[0] == 9
    if has_sklearn("1.9"):  # older versions drop the index of a Series
        assert clf.transform(texts).index[0] == 9


def test_identical_texts_are_encoded_once(small):
    clf = fit(small)
    rows = []
    clf.module_.register_forward_hook(lambda m, args, out: rows.append(len(out)))
    clf.predict(["good", "bad", "good"] * 100)
    assert sum(rows) == 2


def test_predictions_in_many_threads_do_not_move_the_module(small, monkeypatch):
    clf = fit(small, head="lstm")
    expected = clf.predict_proba(X)
    # Moving an LSTM replaces its weights, which breaks predictions in other threads.
    monkeypatch.setattr(torch.nn.LSTM, "_apply", None)
    with ThreadPoolExecutor(max_workers=4) as pool:
        for proba in pool.map(clf.predict_proba, [X] * 8):
            np.testing.assert_array_equal(proba, expected)
