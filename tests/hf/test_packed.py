"""Encoders with packed weights, compared with those that transformers runs."""

import pytest
import torch
from test_families import SIZES, save
from torch import nn

from sklearn_attnft import _hf
from sklearn_attnft._hf import _attention, _packed
from sklearn_attnft._model._encoding import run_encoder

FAMILIES = ["bert", "roberta", "xlm-roberta", "camembert", "electra", "ernie"]
FAMILIES += ["data2vec-text"]
OTHERS = ["mpnet", "deberta-v2", "distilbert", "modernbert", "albert"]
TYPES = sorted(_packed._packed_types(), key=str)
IDS = torch.tensor([[2, 7, 8, 9, 12, 20, 31, 3], [2, 11, 7, 3, 1, 1, 1, 1]])
MASK = torch.tensor([[1] * 8, [1] * 4 + [0] * 4])


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    from transformers import AutoModel

    def write(family):
        return save(family, tmp_path_factory.mktemp(family), AutoModel)

    return write


def load(directory):
    return _hf.load_encoder(directory, _hf.load_config(directory))


@torch.no_grad()
def states(encoder, dtype, layers, packed=None, ids=IDS, mask=MASK):
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=dtype == torch.bfloat16):
        if packed is not None:
            found = packed.states(ids, mask, layers)
        else:
            found = run_encoder(encoder, mask, layers, input_ids=ids)
    return torch.stack([each.float() for each in found]) * mask[..., None]


@pytest.mark.parametrize("dtype", TYPES, ids=str)
@pytest.mark.parametrize("layers", [(2,), (1,), (0, 2), (0, 1, 2)], ids=str)
@pytest.mark.parametrize("family", FAMILIES)
def test_packed_equals_plain(family, layers, dtype, written):
    encoder = load(written(family))
    packed = _hf.pack_encoder(encoder, dtype)
    assert packed is not None
    exact = states(encoder, torch.float32, layers)
    ours = states(encoder, dtype, layers, packed)
    if dtype == torch.float32:
        torch.testing.assert_close(ours, exact, atol=1e-5, rtol=1e-5)
    else:
        theirs = states(encoder, dtype, layers)
        assert (ours - exact).abs().max() < 2 * (theirs - exact).abs().max() + 0.01


@pytest.mark.parametrize("dtype", TYPES, ids=str)
@pytest.mark.parametrize("act", ["gelu", "gelu_new", "relu", "silu"])
def test_activations(act, dtype, written, monkeypatch):
    monkeypatch.setitem(SIZES, "hidden_act", act)
    encoder = load(written("bert"))
    packed = _hf.pack_encoder(encoder, dtype)
    exact = states(encoder, torch.float32, (2,))
    atol = 1e-5 if dtype == torch.float32 else 0.1
    ours = states(encoder, dtype, (2,), packed)
    torch.testing.assert_close(ours, exact, atol=atol, rtol=atol)


@pytest.mark.parametrize("dtype", TYPES, ids=str)
def test_long_texts_use_the_attention_of_torch(dtype, written, monkeypatch):
    encoder = load(written("bert"))
    packed = _hf.pack_encoder(encoder, dtype)
    monkeypatch.setattr(_attention, "LONGEST", 4)
    monkeypatch.setattr(_attention, "products", None)
    exact = states(encoder, torch.float32, (2,))
    atol = 1e-5 if dtype == torch.float32 else 0.1
    ours = states(encoder, dtype, (2,), packed)
    torch.testing.assert_close(ours, exact, atol=atol, rtol=atol)


@pytest.mark.parametrize("family", OTHERS)
def test_other_families_are_not_packed(family, written):
    assert _hf.pack_encoder(load(written(family)), torch.float32) is None


def hooked(block):
    block.intermediate.dense.register_forward_hook(lambda *_: None)


def patched(block):
    block.attention.self.forward = block.attention.self.forward


def converted(block):
    block.half()


def replaced(block):
    class Other(nn.Linear):
        pass

    block.output.dense = Other(64, 32)


def chunked(block):
    block.chunk_size_feed_forward = 2


def in_training(block):
    block.train()


@pytest.mark.parametrize(
    "change", [hooked, patched, converted, replaced, chunked, in_training]
)
def test_a_changed_block_is_not_packed(change, written):
    encoder = load(written("bert"))
    assert _hf.pack_encoder(encoder, torch.float32) is not None
    change(encoder.encoder.layer[1])
    assert _hf.pack_encoder(encoder, torch.float32) is None


def test_hooks_of_transformers_do_not_count(written):
    encoder = load(written("bert"))
    encoder(IDS, attention_mask=MASK, output_hidden_states=True)
    assert encoder.encoder.layer[1]._forward_hooks  # transformers registers them
    assert _hf.pack_encoder(encoder, torch.float32) is not None


@pytest.mark.parametrize("name", ["_linear_pointwise", "_reorder_linear_weight"])
def test_without_the_operators_of_torch_nothing_is_packed(name, monkeypatch):
    class Operators:
        """The operators of an older or a newer torch."""

        def __getattr__(self, asked):
            if asked == name:
                raise AttributeError(asked)
            return None

    monkeypatch.setattr(torch.ops, "mkldnn", Operators())
    assert _packed._packed_types.__wrapped__() == set()


@pytest.mark.parametrize(
    ("abilities", "amd", "types"),
    [
        ({}, True, set()),
        ({"avx2": True}, True, set()),
        ({"avx512_f": True}, False, set()),
        ({"avx512_f": True}, True, {torch.float32}),
        ({"avx512_f": True, "avx512_bf16": True}, False, {torch.bfloat16}),
        ({"amx_bf16": True}, False, {torch.bfloat16}),
        (
            {"avx512_f": True, "avx512_bf16": True},
            True,
            {torch.float32, torch.bfloat16},
        ),
    ],
)
def test_the_processor_decides(abilities, amd, types, monkeypatch):
    class Operators:
        _linear_pointwise = _reorder_linear_weight = None

    monkeypatch.setattr(torch.ops, "mkldnn", Operators())
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: True)
    monkeypatch.setattr(torch.backends.mkl, "is_available", lambda: True)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: abilities)
    monkeypatch.setattr(_packed, "_is_amd", lambda: amd)
    assert _packed._packed_types.__wrapped__() == types


def test_settings_turn_packing_off(monkeypatch):
    monkeypatch.setattr(_packed, "_packed_types", lambda: {torch.float32})
    assert _hf.packing_pays(torch.float32)
    assert not _hf.packing_pays(torch.bfloat16)
    try:
        torch.backends.mkldnn.set_flags(False)
        assert not _hf.packing_pays(torch.float32)
        torch.backends.mkldnn.set_flags(True)
        torch.backends.mkldnn.matmul.fp32_precision = "bf16"
        assert not _hf.packing_pays(torch.float32)
        torch.backends.mkldnn.matmul.fp32_precision = "ieee"
        assert _hf.packing_pays(torch.float32)
    finally:
        torch.backends.mkldnn.set_flags(True)
        torch.backends.mkldnn.matmul.fp32_precision = "none"
    monkeypatch.setenv("SKLEARN_ATTNFT_PACKED_WEIGHTS", "0")
    assert not _hf.packing_pays(torch.float32)
