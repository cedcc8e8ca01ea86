import numpy as np
import pandas as pd
import pytest
import tiny
import torch
from sklearn.cluster import KMeans
from sklearn.compose import ColumnTransformer
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_attnft import TransformerFeatureExtractor
from sklearn_attnft._data import _batching, _tokens

X = ["good day", "bad dog", "", "the sun and the rain are fun", "a lovely, lovely man"]


def extractor(**kwargs):
    params = {"max_length": 32, "precision": "float32", **kwargs}
    return TransformerFeatureExtractor(tiny.ENCODER, **params)


@pytest.fixture(scope="module")
def states():
    """Return the n_layers + 1 hidden states of each text, from transformers."""
    from transformers import AutoModel, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tiny.ENCODER)
    model = AutoModel.from_pretrained(tiny.ENCODER).eval()
    with torch.no_grad():
        outputs = [
            model(
                **tokenizer(text, return_tensors="pt", return_token_type_ids=False),
                output_hidden_states=True,
            )
            for text in X
        ]
    return [[layer[0].numpy() for layer in o.hidden_states] for o in outputs]


POOLED = {
    "mean": lambda h: h.mean(axis=0),
    "cls": lambda h: h[0],
    "max": lambda h: h.max(axis=0),
    "concat": lambda h: np.concatenate([h[0], h.max(axis=0), h.mean(axis=0)]),
}


@pytest.mark.parametrize("pooling", POOLED)
@pytest.mark.parametrize(
    ("layers", "chosen"), [("last", [2]), ("all", [0, 1, 2]), ([1, -1], [1, 2])]
)
def test_features_equal_those_computed_with_transformers(
    pooling, layers, chosen, states
):
    features = extractor(layers=layers, pooling=pooling).fit_transform(X)
    assert features.dtype == np.float32
    for row, layers_of_text in zip(features, states, strict=True):
        mixed = np.mean([layers_of_text[i] for i in chosen], axis=0)
        np.testing.assert_allclose(row, POOLED[pooling](mixed), atol=1e-5)


def test_the_default_encoder_gives_the_embeddings_of_sentence_transformers():
    from sentence_transformers import SentenceTransformer

    from sklearn_attnft._hf import find_encoder

    features = TransformerFeatureExtractor(precision="float32").fit_transform(X)
    model = SentenceTransformer(find_encoder(TransformerFeatureExtractor().encoder))
    theirs = model.encode(X, show_progress_bar=False)
    ours = features / np.linalg.norm(features, axis=1, keepdims=True)
    np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_windows_include_the_middle_of_a_text():
    texts = ["good " * 60 + word + " good" * 60 for word in ("bad", "sad")]
    with pytest.warns(UserWarning, match="longer than max_length=32"):
        cut = extractor().fit_transform(texts)
    np.testing.assert_array_equal(cut[0], cut[1])
    whole = extractor(long_texts="window").fit_transform(texts)
    assert np.abs(whole[0] - whole[1]).max() > 1e-3


def test_a_large_corpus_is_encoded_in_pieces(monkeypatch):
    texts = [f"{w} {v}" for w in tiny.WORDS[:20] for v in tiny.WORDS[:10]] * 2
    expected = extractor().fit_transform(texts)
    monkeypatch.setattr(_tokens, "CHUNK_SIZE", 7)
    monkeypatch.setitem(_batching.TOKENS_PER_BATCH, "cpu", 12)
    np.testing.assert_allclose(extractor().fit_transform(texts), expected, atol=1e-5)


def test_bfloat16_features_are_close_to_float32():
    fitted = extractor(precision="float32").fit(X)
    exact = fitted.transform(X)
    rounded = fitted.set_params(precision="bfloat16").transform(X)
    error = np.linalg.norm(rounded - exact, axis=1) / np.linalg.norm(exact, axis=1)
    assert 0 < error.max() < 0.03


def test_the_extractor_is_frozen_and_deterministic():
    torch.manual_seed(1)
    before = torch.get_rng_state()
    fitted = extractor().fit(X)
    assert not any(p.requires_grad for p in fitted.module_.parameters())
    np.testing.assert_array_equal(fitted.transform(X), extractor().fit_transform(X))
    assert torch.equal(torch.get_rng_state(), before)


def test_the_extractor_works_in_a_column_transformer():
    frame = pd.DataFrame({"text": X, "age": [1.0, 2.0, 3.0, 4.0, 5.0]})
    columns = ColumnTransformer(
        [("text", extractor(), "text"), ("age", StandardScaler(), ["age"])]
    ).set_output(transform="pandas")
    features = columns.fit_transform(frame)
    assert features.shape == (5, tiny.HIDDEN_SIZE + 1)
    assert features.columns[0] == "text__transformerfeatureextractor0"
    model = make_pipeline(columns, LogisticRegression()).fit(frame, list("ababa"))
    assert model.predict(frame).shape == (5,)


def test_the_extractor_works_in_a_feature_union():
    union = FeatureUnion([("words", TfidfVectorizer()), ("encoder", extractor())])
    features = union.fit_transform(X)
    assert features.shape[1] == len(union.get_feature_names_out())
    assert features.shape[1] > tiny.HIDDEN_SIZE


def test_the_extractor_works_before_a_clusterer():
    labels = make_pipeline(extractor(), KMeans(2, n_init=1)).fit_predict(X)
    assert labels.shape == (5,)
