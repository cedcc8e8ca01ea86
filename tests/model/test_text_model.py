import dataclasses
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from sklearn_attnft import _hf
from sklearn_attnft._model._heads import HEADS
from sklearn_attnft._model._pooling import (
    POOLINGS,
    AttentionPooling,
    LayerAttention,
    LayerMean,
    MeanPooling,
    TokenLSTM,
)
from sklearn_attnft._model._spec import ModuleSpec, TaskSpec, resolve_layers
from sklearn_attnft._model._text_model import TextModel
from sklearn_attnft._runtime._device import on_device


@pytest.fixture
def encoder(tiny_encoder):
    return _hf.load_encoder(tiny_encoder, _hf.load_config(tiny_encoder))


@pytest.fixture
def tokens():
    """Return random states (2, 5, 8) and a mask with 3 tokens in its second row."""
    generator = torch.Generator().manual_seed(0)
    mask = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]]).bool()
    return torch.randn(2, 5, 8, generator=generator), mask


def spec(*, layers=(0, 1, 2), mixing="attention", **kwargs):
    task = TaskSpec(**{"pooling": "attention", "head": "linear", **kwargs}, n_outputs=3)
    return ModuleSpec(32, layers, mixing, (task,))


def test_layer_attention_follows_the_formula(tokens):
    states = [tokens[0], tokens[0] ** 2, tokens[0].abs()]
    mix = LayerAttention(layers=(0, 1, 2))
    with torch.no_grad():
        mix.scores.copy_(torch.tensor([0.5, -1.0, 2.0]))
        mix.gamma.fill_(1.7)
        mixed = mix(states)
    shares = np.exp([0.5, -1.0, 2.0]) / np.exp([0.5, -1.0, 2.0]).sum()
    expected = 0
    for share, state in zip(shares, states, strict=True):
        centred = state - state.mean(-1, keepdim=True)
        norm = centred / (centred.pow(2).mean(-1, keepdim=True) + 1e-5).sqrt()
        expected = expected + 1.7 * share * norm
    torch.testing.assert_close(mixed, expected.float())


def test_token_attention_follows_the_formula_and_ignores_padding(tokens):
    states, mask = tokens
    pool = AttentionPooling(n_features=8)
    with torch.no_grad():
        pool.query.copy_(torch.linspace(-2, 2, 8))
        pooled, weights = pool(states, mask), pool.token_shares(states, mask)
    assert (weights[1, 3:] == 0).all()
    scores = torch.tanh(states[1, :3] @ pool.project.weight.T + pool.project.bias)
    shares = torch.softmax(scores @ pool.query, dim=0)
    torch.testing.assert_close(pooled[1], shares @ states[1, :3])


def test_token_attention_starts_uniform(tokens):
    states, mask = tokens
    mean = MeanPooling(n_features=8)(states, mask)
    torch.testing.assert_close(AttentionPooling(n_features=8)(states, mask), mean)


@pytest.mark.parametrize("layers", [(0, 1, 2, 3, 4, 5, 6), (2, 0, 1), (6, 3)])
def test_layer_attention_starts_at_the_highest_layer(layers):
    shares = torch.softmax(LayerAttention(layers=layers).scores.detach(), dim=0)
    others = (1 - 3.35 / 4.35) / (len(layers) - 1)
    for layer, share in zip(layers, shares.tolist(), strict=True):
        expected = 3.35 / 4.35 if layer == max(layers) else others
        assert share == pytest.approx(expected)


def test_a_single_layer_has_all_of_the_attention(tokens):
    states, _ = tokens
    mixed = LayerAttention(layers=(2,))([states])
    torch.testing.assert_close(mixed, F.layer_norm(states, (8,)))


@pytest.mark.parametrize("kind", ["mean", "cls", "max", "concat"])
def test_pooling_ignores_padding(kind, tokens):
    states, mask = tokens
    pooled = POOLINGS[kind](n_features=8)(states, mask)[1]
    real = states[1, :3]
    parts = {"cls": real[0], "max": real.amax(0), "mean": real.mean(0)}
    expected = torch.cat([*parts.values()]) if kind == "concat" else parts[kind]
    torch.testing.assert_close(pooled, expected)


def test_lstm_ignores_padding_and_gaps(tokens):
    states, _ = tokens
    lstm = TokenLSTM(n_features=8)
    gaps = torch.tensor([[1, 1, 1, 1, 1], [1, 0, 1, 1, 0]]).bool()
    with torch.no_grad():
        output, mask = lstm(states, gaps)
        whole, _ = lstm.lstm(states[:1])
        packed, _ = lstm.lstm(states[1:, [0, 2, 3]])
    assert mask.tolist() == [[True] * 5, [True] * 3 + [False] * 2]
    torch.testing.assert_close(output[:1], whole)
    torch.testing.assert_close(output[1:, :3], packed)


def test_layer_mean_averages(tokens):
    states, _ = tokens
    torch.testing.assert_close(
        LayerMean(layers=(0, 1))([states, 3 * states]), 2 * states
    )


@pytest.mark.parametrize("layers", [(0, 1, 2), (2,)])
def test_prepared_states_give_the_same_sum_and_gradients(layers, tokens):
    states = [tokens[0], tokens[0] ** 2, tokens[0].abs()][: len(layers)]
    mix = LayerAttention(layers=layers)
    weights = torch.linspace(0, 1, states[0].numel()).view(states[0].shape)
    results = []
    for mixed in (mix(states), mix.combine(mix.prepare(states))):
        mix.zero_grad()
        (mixed * weights).sum().backward()
        results.append([mixed, *(p.grad for p in mix.parameters())])
    for plain, prepared in zip(*results, strict=True):
        torch.testing.assert_close(prepared, plain)


def test_a_partly_moved_module_is_moved_completely(encoder):
    two = dataclasses.replace(spec(), tasks=spec().tasks * 2)
    module, meta = TextModel.build(encoder, two), torch.device("meta")
    on_device(module.only(0), meta)  # it shares the encoder
    on_device(module, meta)
    assert all(p.is_meta for p in module.parameters())


def test_threads_wait_until_a_module_is_moved(encoder):
    started, goes_on = threading.Event(), threading.Event()
    meta = torch.device("meta")

    class Slow(TextModel):
        def to(self, device):
            moved = super().to(device)
            started.set()
            assert goes_on.wait(10)
            return moved

    module = Slow.build(encoder, spec())
    with ThreadPoolExecutor() as threads:
        first = threads.submit(on_device, module, meta)
        assert started.wait(10)
        second = threads.submit(on_device, module, meta)
        with pytest.raises(TimeoutError):
            second.result(timeout=0.1)
        goes_on.set()
        for each in (first, second):
            each.result(timeout=10)
    assert {weight.device for weight in module.parameters()} == {meta}


@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("head", HEADS)
def test_shapes(pooling, head, encoder):
    module = TextModel.build(encoder, spec(pooling=pooling, head=head)).eval()
    ids, mask = torch.full((4, 6), 7), torch.ones(4, 6, dtype=torch.long)
    n_features = 96 if pooling == "concat" else 32
    assert module(ids, mask).shape == (4, 3)
    mixed = module.mix(ids, mask)
    assert module.contexts(mixed, mask).shape == (4, n_features)
    windows = torch.tensor([3, 1])
    assert module.contexts(mixed, mask, windows).shape == (2, n_features)


def test_windows_of_a_text_are_pooled_as_one_sequence(encoder):
    module = TextModel.build(encoder, spec(head=None, pooling="mean")).eval()
    ids = torch.tensor([[2, 7, 8, 3], [2, 9, 3, 0], [2, 5, 6, 3]])
    mask = (ids != 0).long()
    with torch.no_grad():
        mixed = module.mix(ids, mask)
        pooled = module.contexts(mixed, mask, torch.tensor([2, 1]))
        alone = module.contexts(mixed, mask)
    torch.testing.assert_close(pooled[0], (4 * alone[0] + 3 * alone[1]) / 7)
    torch.testing.assert_close(pooled[1], alone[2])


def test_only_the_last_layer_equals_the_last_hidden_state(encoder):
    ids, mask = torch.full((1, 4), 7), torch.ones(1, 4, dtype=torch.long)
    last = TextModel.build(encoder, spec(head=None, layers=(2,), mixing="mean"))
    with torch.no_grad():
        asked = encoder(ids, attention_mask=mask, output_hidden_states=True)
        torch.testing.assert_close(
            last.contexts(last.mix(ids, mask), mask),
            asked.hidden_states[2].mean(dim=1),
            rtol=1e-5,
            atol=1e-6,
        )


def test_frozen_blocks_do_not_have_dropout_or_gradients(tiny_encoder):
    config = _hf.load_config(tiny_encoder, encoder_dropout=0.5)
    encoder = _hf.load_encoder(tiny_encoder, config)
    module = TextModel.build(encoder, spec())
    lower, upper = _hf.encoder_blocks(encoder)
    module.freeze([upper])
    module.train()
    assert all(not m.training for m in lower.modules())
    assert all(m.training for m in upper.modules())
    assert not encoder.embeddings.training
    trainable = {n for n, p in encoder.named_parameters() if p.requires_grad}
    assert trainable == {f"encoder.layer.1.{n}" for n, _ in upper.named_parameters()}
    module.eval()
    assert not any(m.training for m in module.modules())


@pytest.mark.parametrize(
    ("layers", "expected"),
    [("all", (0, 1, 2)), ("last", (2,)), ([0, -1], (0, 2)), (np.array([1]), (1,))],
)
def test_layers(layers, expected):
    assert resolve_layers(layers, 2) == expected


@pytest.mark.parametrize("layers", [[], [3], [-4], [1, 1], [2, -1], ["1"], [0.5]])
def test_invalid_layers_raise_an_error(layers):
    with pytest.raises(ValueError, match="must be indices of hidden states"):
        resolve_layers(layers, 2)
