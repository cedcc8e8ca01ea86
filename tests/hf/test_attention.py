"""Attention of short texts as matrix products, compared with torch's attention."""

import copy
import pickle
import subprocess
import sys

import pytest
import tiny
import torch
from test_families import save

from sklearn_attnft import AttentionFineTuneClassifier, _hf
from sklearn_attnft._hf import _attention

WITH_INTERFACE = ["bert", "roberta", "electra", "distilbert", "modernbert", "albert"]
IDS = torch.tensor([[2, 7, 8, 9, 12, 20, 31, 3], [2, 11, 7, 3, 0, 0, 0, 0]])
MASK = (IDS > 0).long()


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    """Return a function that writes a tiny encoder of a family."""
    from transformers import AutoModel

    def write(family):
        return save(family, tmp_path_factory.mktemp(family), AutoModel)

    return write


def load(directory):
    return _hf.load_encoder(directory, _hf.load_config(directory))


def with_torch(encoder):
    """Return a copy of an encoder that uses torch's attention."""
    plain = copy.deepcopy(encoder)
    assert plain.config._attn_implementation == "sdpa"
    return plain


def output_and_gradients(encoder, dtype, ids=IDS, mask=MASK):
    """Return hidden states and the gradient of each weight."""
    encoder.zero_grad(set_to_none=True)
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=dtype == torch.bfloat16):
        states = encoder(input_ids=ids, attention_mask=mask).last_hidden_state.float()
    weights = torch.linspace(-1, 1, states[0, 0].numel())
    (states * mask[..., None] * weights).sum().backward()
    gradients = {n: p.grad for n, p in encoder.named_parameters() if p.grad is not None}
    return states.detach() * mask[..., None], gradients


def errors(one, other):
    """Return the difference of states and the largest relative one of gradients."""
    states = (one[0] - other[0]).abs().max().item()
    relative = [
        ((one[1][name] - grad).norm() / grad.norm()).item()
        for name, grad in other[1].items()
        if grad.norm() > 1e-3
    ]
    assert relative
    return states, max(relative)


@pytest.mark.parametrize("family", WITH_INTERFACE)
def test_products_are_as_exact_as_torch(family, directory):
    encoder = load(directory(family))
    assert encoder.config._attn_implementation == _attention.NAME
    plain = with_torch(encoder)
    exact = output_and_gradients(plain, torch.float32)
    ours = output_and_gradients(encoder, torch.bfloat16)
    theirs = output_and_gradients(plain, torch.bfloat16)
    for mine, torchs in zip(errors(ours, exact), errors(theirs, exact), strict=True):
        assert mine < 2 * torchs + 0.01
    assert not torch.equal(ours[0], theirs[0])  # the products were used


@pytest.mark.parametrize("family", WITH_INTERFACE)
def test_float32_has_the_bits_of_torch(family, directory):
    encoder = load(directory(family))
    ours = output_and_gradients(encoder, torch.float32)
    theirs = output_and_gradients(with_torch(encoder), torch.float32)
    assert torch.equal(ours[0], theirs[0])
    assert all(torch.equal(ours[1][name], grad) for name, grad in theirs[1].items())


@pytest.mark.parametrize("family", ["mpnet", "deberta-v2"])
def test_a_family_without_the_interface_is_left_alone(family, directory):
    encoder = load(directory(family))
    assert encoder.config._attn_implementation != _attention.NAME


def test_a_family_with_an_interface_of_its_own_is_left_alone(monkeypatch):
    from transformers.modeling_utils import AttentionInterface
    from transformers.models.bert import modeling_bert

    monkeypatch.setattr(modeling_bert, "ALL_ATTENTION_FUNCTIONS", AttentionInterface())
    assert load(tiny.ENCODER).config._attn_implementation == "sdpa"


def test_long_texts_use_torch(monkeypatch):
    encoder = load(tiny.ENCODER)
    ids = torch.arange(5, 37).repeat(2, 1)
    mask = torch.ones_like(ids)
    monkeypatch.setattr(_attention, "LONGEST", 31)
    ours = output_and_gradients(encoder, torch.bfloat16, ids, mask)
    theirs = output_and_gradients(with_torch(encoder), torch.bfloat16, ids, mask)
    assert torch.equal(ours[0], theirs[0])


class Layer(torch.nn.Module):
    """A module that calls the attention function."""

    is_causal = False


@pytest.mark.parametrize(
    "options",
    [{"is_causal": True}, {"position_bias": torch.ones(1, 2, 5, 5).bfloat16()}],
    ids=["causal", "bias"],
)
def test_other_kinds_of_attention_are_those_of_torch(options):
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    torch.manual_seed(0)
    inputs = [torch.randn(3, 2, 5, 8).bfloat16() for _ in range(3)]
    ours, _ = _attention.attention(Layer(), *inputs, None, **options)
    theirs, _ = sdpa_attention_forward(Layer(), *inputs, None, **options)
    assert torch.equal(ours, theirs)


@pytest.mark.parametrize("kind", ["none", "padding", "local", "additive"])
@pytest.mark.parametrize("scaling", [None, 0.3])
def test_masks_and_scales(kind, scaling):
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    torch.manual_seed(0)
    inputs = [torch.randn(3, 2, 6, 8).bfloat16() for _ in range(3)]
    allowed = torch.ones(3, 1, 6, 6, dtype=torch.bool)
    allowed[1, :, :, 4:] = False
    if kind == "local":
        allowed &= (torch.arange(6)[:, None] - torch.arange(6)).abs() <= 2
    mask = None if kind == "none" else allowed
    if kind == "padding":
        mask = allowed[:, :, :1].expand(-1, -1, 6, -1)
    if kind == "additive":
        mask = torch.zeros(3, 1, 6, 6).masked_fill(~allowed, -1e9)
    ours, _ = _attention.attention(Layer(), *inputs, mask, scaling=scaling)
    exact = [each.float() for each in inputs]
    theirs, _ = sdpa_attention_forward(Layer(), *exact, mask, scaling=scaling)
    torch.testing.assert_close(ours.float(), theirs, atol=0.03, rtol=0.03)


@pytest.mark.parametrize(
    "copied", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))]
)
def test_copies_have_the_name_of_torch(copied):
    encoder = load(tiny.ENCODER)
    name = copied(encoder).config._attn_implementation
    assert name == "sdpa"
    assert type(name) is str


def test_what_is_saved_does_not_need_this_package(small, tmp_path):
    clf = AttentionFineTuneClassifier(**{**small, "precision": "bfloat16"})
    clf.fit(["good day", "bad dog"] * 4, ["good", "bad"] * 4)
    path = clf.save(tmp_path / "saved")
    torch.save(load(tiny.ENCODER), tmp_path / "encoder.pt")
    code = f"""
import sys, torch
from transformers import AutoModel
ids = torch.tensor([[2, 7, 8, 9, 3]])
AutoModel.from_pretrained({str(path)!r})(ids)
one = AutoModel.from_pretrained({tiny.ENCODER!r})(ids).last_hidden_state
other = torch.load({str(tmp_path / "encoder.pt")!r}, weights_only=False)
assert torch.equal(one, other(ids).last_hidden_state)
assert "sklearn_attnft" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)
    written = "".join(file.read_text() for file in path.glob("*.json"))
    assert _attention.NAME not in written
