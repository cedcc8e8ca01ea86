import pickle
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sklearn_attnft import AttentionFineTuneClassifier, _backbone
from sklearn_attnft._fitting import draw_seed, isolated_generator
from sklearn_attnft._modules import ModuleSpec, TaskSpec, TextModel
from sklearn_attnft._training import (
    Recipe,
    WeightedCrossEntropy,
    parameter_groups,
    warmup_then_decay,
)


def recipe(**kwargs):
    values = dict.fromkeys(Recipe.__dataclass_fields__)
    rates = {
        "learning_rate": 1.0,
        "head_learning_rate": 7.0,
        "layer_decay": 0.5,
        "weight_decay": 0.1,
    }
    return Recipe(**{**values, **rates, **kwargs})


@pytest.fixture
def module(tiny_encoder):
    encoder = _backbone.load_encoder(tiny_encoder, _backbone.load_config(tiny_encoder))
    task = TaskSpec("attention", "linear", 3)
    spec = ModuleSpec(32, (0, 1, 2), "attention", (task,))
    return TextModel(encoder, spec)


def rates_by_name(module, groups):
    names = {id(p): name for name, p in module.named_parameters()}
    return {
        names[id(p)]: (group["lr"], group["weight_decay"])
        for group in groups
        for p in group["params"]
    }


def test_deeper_layers_learn_slower_and_vectors_do_not_decay(module):
    rates = rates_by_name(module, parameter_groups(module, recipe()))
    assert rates.keys() == dict(module.named_parameters()).keys()
    block = "encoder.encoder.layer.{}.intermediate.dense.{}"
    assert rates[block.format(1, "weight")] == (1.0, 0.1)
    assert rates[block.format(0, "weight")] == (0.5, 0.1)
    assert rates[block.format(0, "bias")] == (0.5, 0.0)
    table = "encoder.embeddings.word_embeddings.weight"
    assert rates[table] == (0.25, 0.1)
    assert rates["tasks.0.classify.1.weight"] == (7.0, 0.1)
    assert rates["tasks.0.mix.weights"] == (7.0, 0.0)
    assert rates["tasks.0.pool.query"] == (7.0, 0.0)


def test_frozen_parameters_are_in_no_group(module):
    module.freeze([])
    groups = parameter_groups(module, recipe(layer_decay=1.0))
    names = rates_by_name(module, groups)
    assert names
    assert not [name for name in names if name.startswith("encoder.")]


@given(st.integers(0, 50), st.integers(1, 200))
def test_the_rate_rises_then_falls_to_nothing(n_warmup, n_steps):
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
    targets = torch.tensor([0, 1]), torch.tensor([1.5, 0.5])
    log_p = torch.log_softmax(logits, 1)
    criterion = WeightedCrossEntropy(label_smoothing=0.2)
    smooth = -(0.9 * log_p[0, 0] + 0.1 * log_p[0, 1]) * 1.5 - log_p[1].mean() * 0.5
    plain = -log_p[0, 0] * 1.5 - log_p[1, 1] * 0.5
    torch.testing.assert_close(criterion(logits, targets), smooth / 2)
    torch.testing.assert_close(criterion.eval()(logits, targets), plain / 2)


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
    # Both use torch's generator, and loading transformers' log level: one per process.
    from transformers.utils import logging

    before = logging.get_verbosity()
    config = _backbone.load_config(tiny_encoder)
    loading = threading.Thread(
        target=_backbone.load_encoder, args=(tiny_encoder, config)
    )
    with isolated_generator(0, torch.device("cpu")):
        loading.start()
        loading.join(timeout=0.5)
        assert loading.is_alive()
    loading.join()
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(_backbone.load_config, [tiny_encoder] * 40))
    assert logging.get_verbosity() == before


def test_the_hubs_progress_bars_stay_as_the_user_set_them(tiny_encoder):
    from huggingface_hub import utils as hub

    was_off = hub.are_progress_bars_disabled()
    for switch in (hub.disable_progress_bars, hub.enable_progress_bars):
        switch()
        before = hub.are_progress_bars_disabled()
        _backbone.load_config(tiny_encoder)
        assert hub.are_progress_bars_disabled() == before
    (hub.disable_progress_bars if was_off else hub.enable_progress_bars)()


def test_a_pickle_is_loaded_while_a_fit_runs(small):
    clf = AttentionFineTuneClassifier(**small).fit(["good", "bad"] * 4, [0, 1] * 4)
    dumped = pickle.dumps(clf)
    state = torch.get_rng_state()
    with isolated_generator(0, torch.device("cpu")), ThreadPoolExecutor(1) as pool:
        pool.submit(pickle.loads, dumped).result(timeout=60)
    assert torch.equal(torch.get_rng_state(), state)


def test_seeds():
    assert draw_seed(3) == draw_seed(3) != draw_seed(4)
    state = np.random.get_state()[1].copy()
    assert draw_seed(None) != draw_seed(None)
    assert (np.random.get_state()[1] == state).all()
