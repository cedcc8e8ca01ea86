"""Encoders whose saved form could not be loaded, or that mix the texts of a batch."""

import json
import pickle
import shutil

import numpy as np
import pytest
import tiny
from test_families import save

from sklearn_attnft import AttentionFineTuneClassifier, TransformerFeatureExtractor

X, Y = ["good day", "bad dog", "a night", "awful rain"] * 2, ["a", "b"] * 4
UNKNOWN = {
    "pretraining_tokens": 3_000_000_000,
    "num_attention_groups": 64,
    "num_layer_repeats": 600,
    "layer_names": ["block"] * 1200,
    "tokenizer_max": 10**30,
}


def edited(directory, **entries):
    """Return a copy of the tiny encoder with other entries in its config.json."""
    path = shutil.copytree(tiny.ENCODER, directory)
    config = json.loads((path / "config.json").read_text())
    (path / "config.json").write_text(json.dumps({**config, **entries}))
    return path


def test_entries_that_no_code_reads_do_not_prevent_loading(small, tmp_path):
    small |= {"encoder": edited(tmp_path / "encoder", **UNKNOWN), "max_epochs": 1}
    clf = AttentionFineTuneClassifier(**small).fit(X, Y)
    expected = clf.predict_proba(X)
    loaded = AttentionFineTuneClassifier.load(clf.save(tmp_path / "saved"))
    for again in (loaded, pickle.loads(pickle.dumps(clf))):
        np.testing.assert_array_equal(again.predict_proba(X), expected)


def test_entries_that_only_some_families_read_are_kept(tmp_path):
    from transformers import AutoModel

    more = {"norm_rel_ebd": "layer_norm", "share_att_key": True, "conv_kernel_size": 3}
    path = save("deberta-v2", tmp_path / "encoder", AutoModel, **more)
    expected = TransformerFeatureExtractor(path, max_length=32).fit_transform(X)
    config = json.loads((tmp_path / "encoder" / "config.json").read_text())
    (tmp_path / "encoder" / "config.json").write_text(json.dumps(config | UNKNOWN))
    found = TransformerFeatureExtractor(path, max_length=32).fit_transform(X)
    np.testing.assert_array_equal(found, expected)


def test_other_files_named_like_an_index_are_ignored(small, tmp_path):
    path = edited(tmp_path / "encoder")
    (path / "faiss.index.json").write_text("[1, 2]")
    TransformerFeatureExtractor(path, max_length=32, cache="memory").fit_transform(X)


@pytest.mark.parametrize("padding", [-1, None])
def test_a_padding_token_that_the_configuration_lacks(padding, tmp_path):
    path = edited(tmp_path / "encoder", pad_token_id=padding)
    expected = TransformerFeatureExtractor(tiny.ENCODER, max_length=32).fit_transform(X)
    found = TransformerFeatureExtractor(path, max_length=32).fit_transform(X)
    np.testing.assert_array_equal(found, expected)


def test_a_fit_refuses_an_encoder_that_would_not_load_again(small, tmp_path):
    small |= {"encoder": edited(tmp_path / "encoder", max_position_embeddings=2**25)}
    with pytest.raises(ValueError, match=r"max_position_embeddings must be at most"):
        AttentionFineTuneClassifier(**small).fit(X, Y)


@pytest.mark.parametrize("family", ["convbert", "fnet", "yoso", "nystromformer"])
def test_an_encoder_that_reads_padding_is_refused(family, small, tmp_path):
    from transformers import AutoModel

    small |= {"encoder": save(family, tmp_path, AutoModel)}
    with pytest.raises(ValueError, match=r"reads the padding .* Pass 'sentence-"):
        AttentionFineTuneClassifier(**small).fit(X, Y)
    with pytest.raises(ValueError, match="reads the padding"):
        AttentionFineTuneClassifier(**small, lm_epochs=1).fit(X, Y)


@pytest.mark.parametrize("family", ["squeezebert", "layoutlm"])
def test_families_that_always_call_their_pooling_layer(family, small, tmp_path):
    from transformers import AutoModel

    directory = save(family, tmp_path, AutoModel, embedding_size=32)
    small |= {"encoder": directory, "max_epochs": 1}
    clf = AttentionFineTuneClassifier(**small).fit(X, Y)
    expected = clf.predict_proba(X)
    again = pickle.loads(pickle.dumps(clf)).predict_proba(X)
    np.testing.assert_array_equal(again, expected)


def test_a_long_text_does_not_depend_on_earlier_texts(tmp_path):
    from transformers import AutoModel

    sizes = {"block_size": 4, "num_random_blocks": 1, "max_position_embeddings": 130}
    encoder = save("big_bird", tmp_path, AutoModel, **sizes)
    extractor = TransformerFeatureExtractor(encoder, max_length=128).fit(X)
    long = ["good day " * 60]
    expected = extractor.transform(long)
    extractor.transform(["good"])
    np.testing.assert_array_equal(extractor.transform(long), expected)
    loaded = pickle.loads(pickle.dumps(extractor))
    np.testing.assert_array_equal(loaded.transform(long), expected)
