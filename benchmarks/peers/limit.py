"""Compare the speed with the limit of the hardware, in GFLOP/s.

- "ours": ``transform`` with tokenization, or an epoch after the first one of a fit that
  trains all blocks.
- "bare encoder": the model in transformers on the same number of tokens, split into
  texts of equal length and therefore without padding. It runs inference, or training
  steps of AdamW on the same weights, without dropout like ours.
- "compiled": the same after ``torch.compile``. The time to compile is reported as
  "compile_seconds" and not included.
- "int8": the same after dynamic quantization of the linear layers (CPU only). "error"
  is the largest relative L2 error of the mean hidden state of a text.
- "matrix product": only matrix products with the shapes of the encoder.

All but int8 use our default precision. Only the operations of the encoder's matrix
products are counted. Each token takes two operations for each weight of the matrices of
a block, and four for each feature of each token that it attends to. A training step
takes three times as many.
"""

import functools
import time

import numpy as np
import torch
from torch.nn import functional as F

from sklearn_attnft import AttentionFineTuneClassifier, TransformerFeatureExtractor
from sklearn_attnft._data._batching import tokens_per_batch

from .._common import draw, read
from ._contest import Contest, as_ours, device, dtype, encoder, timed
from .transform import cut_the_middle, token_ids

METRIC, REPEATS = "gflops", 3
IS_RATE = True  # higher is better: the ratio is ours divided by theirs
DATASETS = {"transform": ("test", 2000), "training": ("train", 2000)}  # of ag_news
BATCH_SIZE = 32
N_EPOCHS = 3


def contest(data, dataset, rows, seed):
    part, n = DATASETS[dataset]
    texts, labels = draw(*read(data, "ag_news", part), rows or n, seed)
    runs = {
        "transform": {
            "ours": lambda: transform(texts),
            "bare encoder": lambda: forward(cut_evenly(texts)),
            "compiled": lambda: forward(cut_evenly(texts), compiled),
            "int8": lambda: forward(cut_evenly(texts), quantized),
        },
        "training": {
            "ours": lambda: fit(texts, labels, seed),
            "bare encoder": lambda: train(cut_evenly(texts)),
            "compiled": lambda: train(cut_evenly(texts), compiled),
        },
    }
    if device().type != "cpu":
        del runs["transform"]["int8"]
    contestants = {**runs[dataset], "matrix product": matrix_product}
    return Contest(len(texts), contestants)


def transform(texts):
    extractor = TransformerFeatureExtractor().fit(texts[:1])
    extractor.transform(texts[:32])
    texts = list(dict.fromkeys(texts))  # duplicates are encoded only once
    with timed() as measured:
        extractor.transform(texts)
    return rate(measured, lengths(texts), 1)


def fit(texts, labels, seed):
    classifier = AttentionFineTuneClassifier(
        trainable_layers="blocks", max_epochs=N_EPOCHS, random_state=seed
    )
    with timed() as measured:
        classifier.fit(texts, labels)
    durations = [row["dur"] for row in classifier.history_[1:]]
    epoch = {"seconds": float(np.median(durations))}
    return {"fit_cpu_seconds": measured["cpu_seconds"]} | rate(epoch, lengths(texts), 3)


def compiled(model):
    return torch.compile(model, dynamic=True)


def quantized(model):
    return torch.ao.quantization.quantize_dynamic(
        model, {torch.nn.Linear}, dtype=torch.qint8
    )


def forward(ids, change=None):
    bare = bare_model().eval()
    model = bare if change is None else change(bare)
    batches = ids.split(max(1, tokens_per_batch(device()) // ids.shape[1]))

    def features(model, batch):
        return model(input_ids=batch).last_hidden_state.mean(dim=1).float().cpu()

    with torch.inference_mode(), as_ours():
        expected = features(bare, batches[0])
        with timed() as before:
            errors = features(model, batches[0]) - expected
        with timed() as measured:
            for batch in batches:
                features(model, batch)
    if change is not None:
        error = (errors.norm(dim=1) / expected.norm(dim=1)).max()
        measured["error"] = float(f"{error:.3g}")
    if change is compiled:
        measured["compile_seconds"] = before["seconds"]
    return rate(measured, np.full(*ids.shape, dtype=np.int64), 1)


def train(ids, change=None):
    model = bare_model().train()
    model = model if change is None else change(model)
    model.get_input_embeddings().requires_grad_(False)
    head = torch.nn.Linear(model.config.hidden_size, 4, device=device())
    parameters = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW([*parameters, *head.parameters()], lr=1e-5)

    def step(batch):
        with as_ours():
            states = model(input_ids=batch).last_hidden_state
        logits = head(states.float().mean(dim=1))
        labels = torch.zeros(len(batch), dtype=torch.int64, device=device())
        F.cross_entropy(logits, labels).backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        optimizer.zero_grad()

    with timed() as before:
        step(ids[:BATCH_SIZE])
    with timed() as measured:
        for batch in ids.split(BATCH_SIZE):
            step(batch)
        if device().type == "cuda":
            torch.cuda.synchronize()
    if change is compiled:
        measured["compile_seconds"] = before["seconds"]
    return rate(measured, np.full(*ids.shape, dtype=np.int64), 3)


def matrix_product(seconds=2.0):
    """Multiply from hidden to intermediate size and back for `seconds`."""
    config = bare_model().config
    hidden, between = config.hidden_size, config.intermediate_size
    kind = {"dtype": dtype(), "device": device()}
    states = torch.randn(tokens_per_batch(device()), hidden, **kind)
    up = torch.randn(hidden, between, **kind)
    down = torch.randn(between, hidden, **kind)
    n, until = 0, time.perf_counter() + seconds
    with torch.inference_mode(), timed() as measured:
        while time.perf_counter() < until:
            for _ in range(10):
                (states @ up) @ down
            if device().type == "cuda":
                torch.cuda.synchronize()
            n += 10
    operations = n * 4 * len(states) * hidden * between
    return {**measured, "gflops": round(operations / measured["seconds"] / 1e9, 2)}


def bare_model():
    from transformers import AutoModel

    model = AutoModel.from_pretrained(
        encoder(), hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0
    )
    return model.to(device())


@functools.cache
def config():
    from transformers import AutoConfig

    return AutoConfig.from_pretrained(encoder())


def lengths(texts):
    return np.array([len(ids) for ids in token_ids(texts, cut_the_middle)])


def cut_evenly(texts):
    """Split the tokens of all texts into rows of their mean length."""
    rows = token_ids(texts, cut_the_middle)
    flat = np.concatenate(rows)
    length = round(len(flat) / len(rows))
    flat = flat[: len(flat) // length * length].reshape(-1, length)
    return torch.as_tensor(flat, dtype=torch.int64, device=device())


def rate(measured, lengths, passes):
    """Add tokens and operations per second. `lengths` are those of the texts."""
    hidden, between = config().hidden_size, config().intermediate_size
    weights = 4 * hidden**2 + 2 * hidden * between
    operations = 2 * weights * lengths + 4 * hidden * lengths.astype(float) ** 2
    operations = passes * config().num_hidden_layers * operations.sum()
    return {
        **measured,
        "tokens_per_second": round(lengths.sum() / measured["seconds"]),
        "gflops": round(operations / measured["seconds"] / 1e9, 2),
    }
