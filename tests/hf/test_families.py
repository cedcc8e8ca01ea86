"""Encoders of other families: random, tiny, with the tiny tokenizer."""

import json
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
import tiny
import torch

from sklearn_attnft import AttentionFineTuneClassifier, TransformerFeatureExtractor, _hf
from sklearn_attnft.predictor import OnnxPredictor

X = ["good day", "bad dog", "lovely night", "awful rain", "", "good " * 30] * 2
Y = ["good", "bad", "good", "bad", "bad", "good"] * 2
SIZES = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "max_position_embeddings": 66,
    "pad_token_id": 0,
}
FAMILIES = {
    "roberta": SIZES,
    "xlm-roberta": SIZES,
    "mpnet": SIZES,
    "electra": {**SIZES, "embedding_size": 16},
    "deberta-v2": {
        **SIZES,
        "relative_attention": True,
        "pos_att_type": ["p2c", "c2p"],
        "position_buckets": 16,
    },
    "modernbert": {
        **SIZES,
        "cls_token_id": 2,
        "sep_token_id": 3,
        "bos_token_id": 2,
        "eos_token_id": 3,
        "local_attention": 8,
    },
    "distilbert": {
        "dim": 32,
        "n_layers": 2,
        "n_heads": 2,
        "hidden_dim": 64,
        "max_position_embeddings": 66,
    },
    "albert": {**SIZES, "embedding_size": 16},
}


def save(family, directory, auto_class, **more):
    """Write a tiny random model of a family, with the tiny tokenizer."""
    from transformers import AutoConfig, AutoTokenizer

    n_tokens = len(AutoTokenizer.from_pretrained(tiny.ENCODER))
    sizes = {**FAMILIES.get(family, SIZES), **more}
    config = AutoConfig.for_model(family, vocab_size=n_tokens, **sizes)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        auto_class.from_config(config).save_pretrained(directory)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(Path(tiny.ENCODER) / name, directory)
    return str(directory)


@pytest.fixture(scope="module", params=FAMILIES)
def encoder(request, tmp_path_factory):
    """Directory of a tiny encoder of a family."""
    from transformers import AutoModel

    return save(request.param, tmp_path_factory.mktemp(request.param), AutoModel)


def classifier(encoder, **kwargs):
    return AttentionFineTuneClassifier(
        encoder, max_length=32, max_epochs=2, batch_size=8, random_state=0, **kwargs
    )


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"long_texts": "window", "max_length": 12, "contrastive_epochs": 1},
        {"trainable_layers": 0, "layers": "last", "pooling": "mean"},
        {"trainable_layers": 1, "layer_decay": 0.5, "encoder_dropout": 0.1},
    ],
    ids=["default", "window", "frozen", "top"],
)
def test_it_fits_and_moves(encoder, parameters):
    clf = classifier(encoder).set_params(**parameters)
    if "albert" in encoder and clf.trainable_layers == 1:
        for wants in ("trainable_layers", "layer_decay", "gradual_unfreezing"):
            set_back = {"trainable_layers": 0, "layer_decay": 1.0}
            value = {"trainable_layers": 1, "layer_decay": 0.5}.get(wants, True)
            clf.set_params(**set_back | {wants: value})
            with pytest.raises(ValueError, match=f"of its 2 layers.*{wants}="):
                clf.fit(X, Y)
        return
    proba = clf.fit(X, Y).predict_proba(X)
    assert np.isfinite(proba).all()
    alone = np.concatenate([clf.predict_proba([text]) for text in X[:6]])
    np.testing.assert_allclose(alone, proba[:6], atol=1e-5)
    loaded = pickle.loads(pickle.dumps(clf))
    np.testing.assert_array_equal(loaded.predict_proba(X), proba)


def test_its_export_predicts_the_same(encoder, tmp_path):
    clf = classifier(encoder, precision="float32").fit(X, Y)
    model = OnnxPredictor(clf.export_onnx(tmp_path / "model"), threads=1)
    np.testing.assert_allclose(model.predict_proba(X), clf.predict_proba(X), atol=1e-5)
    np.testing.assert_array_equal(model.predict(X), clf.predict(X))


def test_it_is_saved_as_transformers_reads_it(encoder, tmp_path):
    from transformers import AutoModel, AutoTokenizer

    clf = classifier(encoder, trainable_layers=0, pickle_weights="delta").fit(X, Y)
    proba = clf.predict_proba(X)
    path = clf.save(tmp_path / "model")
    loaded = AttentionFineTuneClassifier.load(path)
    np.testing.assert_array_equal(loaded.predict_proba(X), proba)
    opened = AutoModel.from_pretrained(path).state_dict()
    for name, weight in clf.module_.encoder.state_dict().items():
        assert torch.equal(opened[name], weight), name
    ids = AutoTokenizer.from_pretrained(encoder)(X)["input_ids"]
    assert AutoTokenizer.from_pretrained(path)(X)["input_ids"] == ids
    again = classifier(str(path), trainable_layers=0).fit(X, Y)
    np.testing.assert_array_equal(again.predict_proba(X), proba)
    dumped = pickle.dumps(clf)
    assert len(dumped) < 0.3 * len(pickle.dumps(again))
    np.testing.assert_array_equal(pickle.loads(dumped).predict_proba(X), proba)


def test_dropout_inside_the_encoder_is_ours(encoder):
    config = _hf.load_config(encoder)  # which says 0.1 in most families
    model = _hf.load_encoder(encoder, config).train()
    ids = torch.tensor([[2, 7, 8, 9, 3]])
    one, two = (model(ids).last_hidden_state for _ in range(2))
    assert torch.equal(one, two)
    config = _hf.load_config(encoder, encoder_dropout=0.4)
    model = _hf.load_encoder(encoder, config).train()
    one, two = (model(ids).last_hidden_state for _ in range(2))
    assert not torch.equal(one, two)
    of_attention = "attention_probs_dropout_prob", "attention_dropout"
    assert not any(getattr(config, name, 0) for name in of_attention)


def test_the_parts_of_xlms_blocks_are_in_lists_of_their_own():
    from transformers import XLMConfig, XLMModel

    with torch.device("meta"):
        config = XLMConfig(vocab_size=99, emb_dim=32, n_layers=3, n_heads=2)
        blocks = _hf.encoder_blocks(XLMModel(config))
    assert len(blocks) == 3
    assert {type(part).__name__ for part in blocks[0]} == {
        "MultiHeadAttention",
        "TransformerFFN",
        "LayerNorm",
    }


# RoBERTa's positions begin after the id of the padding token, which is 0 here.
@pytest.mark.parametrize(("family", "n_positions"), [("roberta", 65), ("bert", 66)])
def test_every_position_can_be_used_and_no_other(family, n_positions, tmp_path):
    from transformers import AutoModel

    encoder = save(family, tmp_path, AutoModel)
    path = Path(encoder, "tokenizer_config.json")
    settings = json.loads(path.read_text())
    for length in (int(1e30), 16):  # the value in the tokenizer has no effect
        path.write_text(json.dumps(settings | {"model_max_length": length}))
        texts = ["good " * 100, "bad " * 100]
        extractor = TransformerFeatureExtractor(
            encoder, max_length=n_positions, long_texts="window"
        )
        assert np.isfinite(extractor.fit_transform(texts)).all()
        with pytest.raises(ValueError, match=f"more than the {n_positions} tokens"):
            extractor.set_params(max_length=n_positions + 1).fit(texts)


def test_features_are_those_of_plain_transformers(encoder):
    from transformers import AutoModel, AutoTokenizer

    extractor = TransformerFeatureExtractor(encoder, max_length=32, precision="float32")
    features = extractor.fit_transform(X[:5])
    tokenizer = AutoTokenizer.from_pretrained(encoder)
    model = AutoModel.from_pretrained(encoder).eval()
    for text, row in zip(X[:5], features, strict=True):
        inputs = tokenizer(text, return_tensors="pt", return_token_type_ids=False)
        with torch.no_grad():
            states = model(**inputs).last_hidden_state[0]
        np.testing.assert_allclose(row, states.mean(dim=0).numpy(), atol=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_language_models_own_head_is_used(family, tmp_path):
    from transformers import AutoModelForMaskedLM

    directory = save(family, tmp_path, AutoModelForMaskedLM)
    model = AutoModelForMaskedLM.from_pretrained(directory).eval()
    encoder, head = _hf.load_language_model(directory, _hf.load_config(directory))
    ids = torch.tensor([[2, 7, 8, 9, 3], [2, 5, 6, 3, 0]])
    mask = (ids > 0).long()
    with torch.no_grad():
        expected = model(ids, attention_mask=mask).logits[mask.bool()]
        states = encoder(ids, attention_mask=mask).last_hidden_state
        torch.testing.assert_close(head(states[mask.bool()]), expected)
    # Encoder and head still share the embedding matrix.
    tables = {id(parameter) for parameter in head.parameters()}
    assert id(encoder.get_input_embeddings().weight) in tables


def test_an_encoder_stored_without_a_head_has_none(encoder):
    config = _hf.load_config(encoder)
    assert _hf.load_language_model(encoder, config)[1] is None
