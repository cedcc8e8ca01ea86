"""Compare features with SentenceTransformer.encode and skrub's LLMEncoder.

All use a frozen encoder, up to 256 tokens of a text, and their default batch sizes.
"sentence-transformers, bfloat16" has weights in bfloat16; sentence-transformers and
skrub compute in float32 by default. "sentence-transformers, openvino" has the default
precision of OpenVINO, which is bfloat16 if the hardware supports it. It runs if the
environment variable OPENVINO_PYTHON is the Python of an environment with
``sentence-transformers[openvino]``. The time does not include loading. skrub's
TextEncoder is called LLMEncoder from version 0.11 on; ``n_components=None`` turns off
its PCA.

"error" is the largest L2 error of a row. The reference is the model in transformers, in
float32 and without padding, on the tokens that the contestant keeps of a long text:
ours removes the middle, the others remove the end. Rows are normalized to length 1
before they are compared, because the other contestants return normalized rows.
"""

import functools
import json
import os
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import torch

from sklearn_attnft import TransformerFeatureExtractor

from .._common import read
from ._contest import Contest, device, encoder, timed

METRIC, REPEATS = "seconds", 3
DATASETS = {"ag_news": "test", "imdb": "test_small"}
MAX_LENGTH = 256
OPENVINO_PYTHON = os.environ.get("OPENVINO_PYTHON")
N_WARM = 32


def contest(data, dataset, rows, seed):
    texts = read(data, dataset, DATASETS[dataset])[0][:rows]
    contestants = {
        "ours": lambda: ours(texts),
        "sentence-transformers": lambda: sentence_transformers(texts),
        "sentence-transformers, bfloat16": lambda: sentence_transformers(
            texts, torch.bfloat16
        ),
        "skrub": lambda: skrub(texts),
    }
    if OPENVINO_PYTHON:
        contestants["sentence-transformers, openvino"] = lambda: openvino(texts)
    return Contest(len(texts), contestants)


def ours(texts):
    extractor = TransformerFeatureExtractor(max_length=MAX_LENGTH).fit(texts[:1])
    return measure(extractor.transform, texts, cut_the_middle)


def sentence_transformers(texts, dtype=torch.float32):
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(encoder()).to(dtype)
    model.max_seq_length = MAX_LENGTH
    return measure(model.encode, texts, cut_the_end)


def openvino(texts):
    """Encode with the openvino backend, in another environment."""
    with tempfile.TemporaryDirectory() as directory:
        output = Path(directory, "features.npy")
        task = {
            "encoder": encoder(),
            "texts": list(texts),
            "n_warm": N_WARM,
            "max_length": MAX_LENGTH,
            "threads": torch.get_num_threads(),
            "output": str(output),
        }
        done = subprocess.run(
            [OPENVINO_PYTHON, Path(__file__).with_name("_openvino.py")],
            input=json.dumps(task),
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        features = np.load(output)
    return {
        **json.loads(done.stdout.splitlines()[-1]),
        **error_of(features, texts, cut_the_end),
    }


def skrub(texts):
    import pandas as pd

    transformer = skrub_encoder()
    transformer.fit(pd.Series(texts[:N_WARM]))

    def transform(texts):
        return transformer.transform(pd.Series(texts)).to_numpy()

    return measure(transform, texts, cut_the_end)


def skrub_encoder():
    """Return skrub's transformer with our encoder, whose own limit is 256 tokens."""
    from skrub import LLMEncoder

    return LLMEncoder(encoder(), n_components=None)


def measure(transform, texts, cut):
    transform(texts[:N_WARM])
    with timed() as measured:
        features = transform(texts)
    return {**measured, **error_of(features, texts, cut)}


def error_of(features, texts, cut):
    errors = unit(features) - unit(reference(tuple(texts), cut))
    return {"error": float(f"{np.linalg.norm(errors, axis=1).max():.3g}")}


def unit(features):
    return features / np.linalg.norm(features, axis=1, keepdims=True)


def cut_the_middle(body, room):
    tail = room // 2
    return body[: room - tail] + body[len(body) - tail :]


def cut_the_end(body, room):
    return body[:room]


def token_ids(texts, cut):
    """Return the token ids of each text, with special tokens and without padding."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(encoder())
    rows = tokenizer(list(texts), truncation=False, verbose=False)["input_ids"]
    return [
        [row[0], *cut(row[1:-1], MAX_LENGTH - 2), row[-1]]
        if len(row) > MAX_LENGTH
        else row
        for row in rows
    ]


@functools.lru_cache(maxsize=2)  # one reference for each cut
@torch.inference_mode()
def reference(texts, cut):
    """Return mean-pooled features in float32, (n_texts, n_features)."""
    from transformers import AutoModel

    model = AutoModel.from_pretrained(encoder(), dtype=torch.float32)
    model = model.to(device()).eval()
    rows = token_ids(texts, cut)
    lengths = np.array([len(row) for row in rows])
    features = np.empty((len(rows), model.config.hidden_size), dtype=np.float32)
    for length in np.unique(lengths):
        same = np.flatnonzero(lengths == length)
        for part in np.array_split(same, len(same) * length // 4096 + 1):
            ids = torch.tensor([rows[i] for i in part], device=device())
            states = model(input_ids=ids).last_hidden_state
            features[part] = states.mean(dim=1).cpu().numpy()
    return features
