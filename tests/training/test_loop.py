import importlib
import math
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from recipes import config, context
from scipy.special import huber
from sklearn.metrics import d2_absolute_error_score, f1_score, r2_score
from test_families import save

from sklearn_attnft import AttentionFineTuneClassifier, _hf
from sklearn_attnft._data._datasets import LabeledDataset
from sklearn_attnft._data._labeled import LabeledTexts
from sklearn_attnft._data._tokens import TokenizedTexts
from sklearn_attnft._fit._trainable import freeze
from sklearn_attnft._model._losses import (
    BinaryCrossEntropy,
    CrossEntropy,
    Huber,
    SquaredError,
    TasksLoss,
)
from sklearn_attnft._model._spec import ModuleSpec, TaskSpec
from sklearn_attnft._model._text_model import TextModel
from sklearn_attnft._multitask import SAMPLING
from sklearn_attnft._runtime._seeds import draw_seed, isolated_generator
from sklearn_attnft._training import parameter_groups, warmup_then_decay

RATES = {
    "learning_rate": 1.0,
    "head_learning_rate": 7.0,
    "layer_decay": 0.5,
    "weight_decay": 0.1,
}


@pytest.fixture
def module(tiny_encoder):
    encoder = _hf.load_encoder(tiny_encoder, _hf.load_config(tiny_encoder))
    task = TaskSpec("attention", "linear", 3)
    spec = ModuleSpec(32, (0, 1, 2), "attention", (task,))
    return TextModel.build(encoder, spec)


def rates_by_name(module, groups):
    names = {id(p): name for name, p in module.named_parameters()}
    return {
        names[id(p)]: (group["lr"], group["weight_decay"])
        for group in groups
        for p in group["params"]
    }


def test_deeper_layers_learn_slower_and_vectors_do_not_decay(module):
    rates = rates_by_name(module, parameter_groups(module, config(**RATES)))
    assert rates.keys() == dict(module.named_parameters()).keys()
    block = "encoder.encoder.layer.{}.intermediate.dense.{}"
    assert rates[block.format(1, "weight")] == (1.0, 0.1)
    assert rates[block.format(0, "weight")] == (0.5, 0.1)
    assert rates[block.format(0, "bias")] == (0.5, 0.0)
    table = "encoder.embeddings.word_embeddings.weight"
    assert rates[table] == (0.25, 0.1)
    assert rates["tasks.0.classify.1.weight"] == (7.0, 0.1)
    assert rates["tasks.0.mix.scores"] == (5e-2, 0.0)  # its own rate
    assert rates["tasks.0.pool.query"] == (7.0, 0.0)


def test_depth_is_counted_from_the_highest_trained_block(module):
    module.freeze(_hf.encoder_blocks(module.encoder)[:1])
    rates = rates_by_name(module, parameter_groups(module, config(**RATES)))
    assert rates["encoder.encoder.layer.0.intermediate.dense.weight"] == (1.0, 0.1)


def test_final_norm_has_the_rate_of_the_highest_block(tmp_path):
    from transformers import AutoModel

    directory = save("modernbert", tmp_path, AutoModel)
    encoder = _hf.load_encoder(directory, _hf.load_config(directory))
    spec = ModuleSpec(32, (2,), "attention", (TaskSpec("mean", "linear", 2),))
    module = TextModel.build(encoder, spec)
    rates = rates_by_name(module, parameter_groups(module, config(**RATES)))
    assert rates["encoder.final_norm.weight"] == (1.0, 0.0)
    assert rates["encoder.embeddings.norm.weight"] == (0.25, 0.0)


@pytest.mark.parametrize("trainable_layers", ["all", "blocks", 1.0])
@pytest.mark.parametrize("highest", [0, 1, 2])
def test_blocks_above_the_attended_layers_are_not_trained(
    module, highest, trainable_layers
):
    module.layers = (0, highest)
    freeze(module, trainable_layers)
    trained = [
        any(p.requires_grad for p in block.parameters())
        for block in _hf.encoder_blocks(module.encoder)
    ]
    assert trained == [highest > 0, highest > 1]
    rates = rates_by_name(module, parameter_groups(module, config(**RATES)))
    blocks = {rate for n, (rate, _) in rates.items() if ".layer." in n}
    assert blocks == {0: set(), 1: {1.0}, 2: {1.0, 0.5}}[highest]


def test_frozen_parameters_are_not_in_a_group(module):
    module.freeze([])
    groups = parameter_groups(module, config(**RATES | {"layer_decay": 1.0}))
    names = rates_by_name(module, groups)
    assert names
    assert not [name for name in names if name.startswith("encoder.")]


@given(st.integers(0, 50), st.integers(1, 200))
def test_the_rate_rises_then_falls_to_zero(n_warmup, n_steps):
    n_warmup = min(n_warmup, n_steps)
    factors = [
        warmup_then_decay(step, n_warmup=n_warmup, n_steps=n_steps)
        for step in range(n_steps + 1)
    ]
    peak = factors[max(n_warmup - 1, 0)]
    assert peak == 1.0 == max(factors)
    assert all(0 < factor <= 1 for factor in factors[:-1])
    rise, fall = factors[:n_warmup], factors[n_warmup:]
    assert rise == sorted(rise)
    assert fall == sorted(fall, reverse=True)
    if n_steps > n_warmup:
        assert factors[-1] == 0.0


def test_the_loss_is_weighted_and_smoothed_in_training_only():
    logits = torch.tensor([[2.0, -1.0], [0.5, 0.5]])
    targets = (torch.tensor([0, 1]),), torch.tensor([[1.5], [0.5]])
    log_p = torch.log_softmax(logits, 1)
    loss = CrossEntropy(n_outputs=2, label_smoothing=0.2)
    criterion = TasksLoss({None: loss}, [1.0])
    smooth = -(0.9 * log_p[0, 0] + 0.1 * log_p[0, 1]) * 1.5 - log_p[1].mean() * 0.5
    plain = -log_p[0, 0] * 1.5 - log_p[1, 1] * 0.5
    torch.testing.assert_close(criterion(logits, targets), smooth / 2)
    torch.testing.assert_close(criterion.eval()(logits, targets), plain / 2)


def test_the_loss_of_several_tasks():
    logits = torch.randn(4, 5, generator=torch.Generator().manual_seed(0))
    labels = torch.tensor([0, 1, 1, 0]), torch.tensor([[1.0, 0, 1]] * 4)
    weights = torch.tensor([[1.0, 0.0], [1, 0.5], [0, 2], [1, 1]])
    single, several = CrossEntropy(n_outputs=2), BinaryCrossEntropy(n_outputs=3)
    tasks = {"a": single, "b": several}
    first = F.cross_entropy(logits[:, :2], labels[0], reduction="none")
    binary = F.binary_cross_entropy_with_logits
    second = binary(logits[:, 2:], labels[1], reduction="none").mean(dim=1)
    parts = (first * weights[:, 0]).mean(), (second * weights[:, 1]).mean()
    criterion = TasksLoss(tasks, [1.0, 3.0])
    expected = (parts[0] + 3 * parts[1]) / 4
    torch.testing.assert_close(criterion(logits, (labels, weights)), expected)
    missing = torch.full_like(logits, 7.0)
    missing[1:] = logits[1:]
    changed = TasksLoss(tasks, [0.0, 1.0])(missing, (labels, weights))
    torch.testing.assert_close(changed, parts[1])
    right, count = criterion.batch_metrics(logits, (labels, weights))[("a", "accuracy")]
    assert count == 3
    assert right == ((logits[:, :2].argmax(1) == labels[0]) * weights[:, 0]).sum()


def test_multilabel_loss_smooths_labels_and_ignores_missing_ones():
    logits = torch.randn(2, 3, generator=torch.Generator().manual_seed(0))
    labels = torch.tensor([[1.0, 0.0, torch.nan], [torch.nan] * 3])
    loss = BinaryCrossEntropy(n_outputs=3, label_smoothing=0.2)
    smooth = torch.tensor([0.9, 0.1])
    first = F.binary_cross_entropy_with_logits(logits[0, :2], smooth)
    torch.testing.assert_close(loss(logits, labels), torch.stack([first, 0 * first]))
    right = (logits[0, :2] > 0) == (labels[0, :2] > 0)
    sums = loss.batch_metrics(logits, labels, torch.tensor([2.0, 3.0]))
    assert sums["accuracy"] == (3.0 + 2.0 * bool(right.all()), 5.0)


def test_f1_of_several_labels_is_the_micro_average():
    rng = np.random.default_rng(0)
    logits = torch.from_numpy(rng.normal(size=(20, 3)))
    labels = torch.from_numpy(rng.integers(0, 2, size=(20, 3)).astype(float))
    weights = torch.from_numpy(rng.uniform(size=20))
    loss = BinaryCrossEntropy(n_outputs=3)
    total, count = loss.batch_metrics(logits, labels, weights)["f1"]
    # Each label as a text of its own, because f1_score has no weights for labels.
    flat = labels.numpy().ravel(), (logits > 0).numpy().ravel()
    repeated = np.repeat(weights.numpy(), 3)
    assert total / count == pytest.approx(f1_score(*flat, sample_weight=repeated))
    labels[:, 0] = torch.nan
    total, count = loss.batch_metrics(logits, labels, weights)["f1"]
    known = np.tile([False, True, True], 20)
    expected = f1_score(*(each[known] for each in flat), sample_weight=repeated[known])
    assert total / count == pytest.approx(expected)
    scores = loss.epoch_metrics({"accuracy": 0.5, "f1": math.nan})
    assert scores == {"accuracy": 0.5, "f1": 1.0}


def squared(errors):
    return errors**2


def robust(errors):
    return huber(Huber.DELTA, errors) / Huber.DELTA


@pytest.mark.parametrize("n_outputs", [1, 3])
@pytest.mark.parametrize(
    ("loss", "name", "score", "values"),
    [
        (SquaredError, "r2", r2_score, squared),
        (Huber, "d2", d2_absolute_error_score, robust),
    ],
)
def test_scores_of_numbers_are_those_of_scikit_learn(
    loss, name, score, values, n_outputs
):
    rng = np.random.default_rng(0)
    labels = rng.normal(2.0, 3.0, size=(21, n_outputs)).astype(np.float32)
    labels -= np.median(labels, axis=0)
    logits = labels + rng.normal(size=labels.shape).astype(np.float32)
    weights = rng.uniform(size=21) if name == "r2" else np.ones(21)
    weights = weights.astype(np.float32)
    criterion = TasksLoss({None: loss(n_outputs=n_outputs)}, [1.0])
    sums = {}
    for rows in (slice(0, 7), slice(7, 21)):  # two batches
        targets = (
            (torch.from_numpy(labels[rows]),),
            torch.from_numpy(weights[rows, None]),
        )
        batch = criterion.batch_metrics(torch.from_numpy(logits[rows]), targets)
        for key, (total, count) in batch.items():
            before = sums.get(key, (0, 0))
            sums[key] = before[0] + total, before[1] + count
    means = {key: total / count for key, (total, count) in sums.items()}
    expected = score(labels, logits, sample_weight=weights)
    assert criterion.epoch_metrics(means)[name] == pytest.approx(expected, abs=1e-5)
    targets = (torch.from_numpy(labels),), torch.from_numpy(weights[:, None])
    value = criterion(torch.from_numpy(logits), targets)
    errors = values(logits - labels).mean(axis=1)
    assert value.item() == pytest.approx((errors * weights).mean(), rel=1e-5)


def test_label_weights_count_in_training_only():
    logits = torch.tensor([[1.0, -1.0]])
    labels = torch.tensor([[1.0, 0.0]])
    plain = BinaryCrossEntropy(n_outputs=2)
    weights = np.array([[9.0, 0.5], [3.0, 9.0]])
    loss = BinaryCrossEntropy(n_outputs=2, label_weights=weights)
    value = F.softplus(torch.tensor(-1.0)).item()
    assert loss(logits, labels).item() == pytest.approx((3 + 0.5) / 2 * value)
    assert loss.eval()(logits, labels).item() == pytest.approx(value)
    assert plain(logits, labels).item() == pytest.approx(value)
    criterion = TasksLoss({"a": loss}, [1.0])
    criterion.reset_metrics()
    assert loss.label_weights.tolist() == weights.tolist()
    assert criterion.collapsed() == {}


def test_weights_and_sampling_rates_of_partly_labeled_texts(tiny_encoder):
    config = _hf.load_config(tiny_encoder)
    tokenizer = _hf.load_tokenizer(
        tiny_encoder, config, max_length=16, long_texts="truncate"
    )
    labels = np.zeros(4, dtype=np.int64)
    weights = np.array([[1.0, 0], [2, 2], [1, 0], [0, 1]])
    data = LabeledTexts(["good"] * 4, (labels, labels), weights)
    even, _ = data.tokenized(tokenizer)
    # Texts with the first label have 4 of the total weight 5, those with the second 3.
    np.testing.assert_allclose(even.weights.mean(axis=0), [4 / 5, 3 / 5], rtol=1e-6)
    np.testing.assert_allclose(even.weights[1] / even.weights[[0, 3], [0, 1]], 2)
    np.testing.assert_array_equal(even.draws, 1.0)
    drawn, _ = data.tokenized(tokenizer, sampling=1.0)
    rates = np.array([1 / 4, 1 / 3, 1 / 4, 1 / 3])
    np.testing.assert_allclose(drawn.draws, rates / rates.mean())
    half, _ = data.tokenized(tokenizer, sampling=SAMPLING["sqrt"])
    roots = np.sqrt(rates)
    np.testing.assert_allclose(half.draws, roots / roots.mean())


def test_learned_weights_follow_the_noise():
    def gradients(variances, weight=1.0):
        criterion = TasksLoss({"a": CrossEntropy(n_outputs=2)}, None)
        with torch.no_grad():
            criterion.log_variances.fill_(variances)
        logits = torch.tensor([[0.0, 0.0]])
        criterion(logits, ((torch.tensor([0]),), torch.full((1, 1), weight))).backward()
        return criterion.log_variances.grad.item()

    # exp(-s) * loss + s / 2 has its minimum where exp(s) is twice the loss. Both terms
    # are smaller for a task with few labels in the batch.
    least = float(np.log(2 * np.log(2)))
    assert gradients(least) == pytest.approx(0.0, abs=1e-6)
    assert gradients(least, 0.2) == pytest.approx(0.0, abs=1e-6)
    assert gradients(least - 1) < 0 < gradients(least + 1)


@given(st.lists(st.integers(1, 20), min_size=2, max_size=30), st.integers(0, 99))
def test_texts_are_sampled_at_their_rates(draws, seed):
    draws = np.array(draws, dtype=float)
    draws /= draws.mean()
    tokens = TokenizedTexts(
        np.arange(len(draws), dtype=np.int32),
        np.arange(len(draws) + 1),
        np.arange(len(draws) + 1),
        0,
    )
    weights = np.ones((len(draws), 1), dtype=np.float32)
    data = LabeledDataset(tokens, (np.zeros(len(draws), np.int64),), weights, draws)
    steps = data.training_steps(config(micro_batch_size=3), context(seed).generator)
    parts = [batch for step in steps for batch, _ in step.parts]
    assert max(map(len, parts)) <= 3
    drawn = torch.cat([batch.input_ids[:, 0] for batch in parts]).numpy()
    counts = np.bincount(drawn, minlength=len(draws))
    assert counts.sum() == len(draws)
    assert (counts >= np.floor(draws - 1e-9)).all()
    assert (counts <= np.ceil(draws + 1e-9)).all()


def test_the_generator_is_seeded_inside_and_restored_after():
    torch.manual_seed(5)
    before = torch.get_rng_state()
    draws = []
    for _ in range(2):
        with isolated_generator(7, torch.device("cpu")):
            draws.append(torch.rand(3))
    torch.testing.assert_close(*draws, rtol=0, atol=0)
    assert torch.equal(torch.get_rng_state(), before)


def test_loading_waits_for_a_fit_in_another_thread(tiny_encoder):
    # Both use torch's generator and transformers' log level, which are per process.
    from transformers.utils import logging

    before = logging.get_verbosity()
    config = _hf.load_config(tiny_encoder)
    loading = threading.Thread(target=_hf.load_encoder, args=(tiny_encoder, config))
    with isolated_generator(0, torch.device("cpu")):
        loading.start()
        loading.join(timeout=0.5)
        assert loading.is_alive()
    loading.join()
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(_hf.load_config, [tiny_encoder] * 40))
    assert logging.get_verbosity() == before


def test_the_hubs_progress_bar_setting_does_not_change(tiny_encoder):
    from huggingface_hub import utils as hub

    was_off = hub.are_progress_bars_disabled()
    for switch in (hub.disable_progress_bars, hub.enable_progress_bars):
        switch()
        before = hub.are_progress_bars_disabled()
        _hf.load_config(tiny_encoder)
        assert hub.are_progress_bars_disabled() == before
    (hub.disable_progress_bars if was_off else hub.enable_progress_bars)()


def test_progress_bars_set_by_the_environment_do_not_change(tiny_encoder, monkeypatch):
    constants = importlib.import_module("huggingface_hub.constants")
    bars = importlib.import_module("huggingface_hub.utils.tqdm")
    for module in (constants, bars):
        monkeypatch.setattr(module, "HF_HUB_DISABLE_PROGRESS_BARS", False)
    _hf.load_config(tiny_encoder)  # a change would raise a warning


def test_a_pickle_is_loaded_while_a_fit_runs(small):
    clf = AttentionFineTuneClassifier(**small).fit(["good", "bad"] * 4, [0, 1] * 4)
    dumped = pickle.dumps(clf)
    state = torch.get_rng_state()
    with isolated_generator(0, torch.device("cpu")), ThreadPoolExecutor(1) as pool:
        pool.submit(pickle.loads, dumped).result(timeout=60)
    assert torch.equal(torch.get_rng_state(), state)


def test_seeds_do_not_change_the_global_state():
    assert draw_seed(3) == draw_seed(3) != draw_seed(4)
    state = np.random.get_state()[1].copy()
    assert draw_seed(None) != draw_seed(None)
    assert (np.random.get_state()[1] == state).all()
