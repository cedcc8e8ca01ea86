"""Compare ``predict_proba`` on one short text with a pass of the bare encoder.

The results are medians of alternating calls. The bare encoder gets the tokens of the
text. It computes in the default precision of ours, and in float32.
"""

import contextlib
import functools
import statistics

import torch

from sklearn_attnft import AttentionFineTuneClassifier

from .._common import draw, read
from ._contest import Contest, as_ours, device, encoder, timed

METRIC, REPEATS = "seconds", 3
DATASETS = {"trec": 200}  # number of pairs of calls


def contest(data, dataset, rows, seed):
    texts, labels = read(data, dataset, "train")
    train = draw(texts, labels, 64, seed)
    text = read(data, dataset, "test")[0][seed]

    @functools.cache
    def both():
        return alternate(train, text, rows or DATASETS[dataset])

    names = ("ours", "bare encoder", "bare encoder, float32")
    return Contest(1, {name: lambda name=name: both()[name] for name in names})


def alternate(train, text, n_calls):
    classifier = AttentionFineTuneClassifier(max_epochs=1, random_state=0).fit(*train)
    calls = {
        "ours": lambda: classifier.predict_proba([text]),
        "bare encoder": bare_encoder(text, as_ours),
        "bare encoder, float32": bare_encoder(text, contextlib.nullcontext),
    }
    took = {name: [] for name in calls}
    for i in range(n_calls + 10):
        for name, call in calls.items():
            with timed() as measured:
                call()
            if i >= 10:  # the first calls warm up
                took[name].append(measured)
    return {name: medians(each) for name, each in took.items()}


def bare_encoder(text, precision):
    from transformers import AutoModel, AutoTokenizer

    tokens = AutoTokenizer.from_pretrained(encoder())([text], return_tensors="pt")
    tokens = tokens.to(device())
    model = AutoModel.from_pretrained(encoder()).to(device()).eval()

    def forward():
        with torch.inference_mode(), precision():
            return model(**tokens).last_hidden_state.float().cpu()

    return forward


def medians(measured):
    return {
        name: statistics.median(each[name] for each in measured)
        for name in ("seconds", "cpu_seconds")
    } | {"calls": len(measured)}
