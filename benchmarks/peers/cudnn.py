"""Compare fits without cuDNN's attention, our default, and with it.

The two differ only on a GPU with bfloat16, where torch can use cuDNN's attention. cuDNN
plans each shape of a batch once per process, so each fit runs in a new process.
"again_seconds" is the time of a second fit in that process, when all shapes are known.
"""

import contextlib
import functools

from sklearn_attnft import AttentionFineTuneClassifier
from sklearn_attnft._runtime import _device

from .._common import draw, read
from ._contest import Contest, in_new_process, timed

METRIC, REPEATS = "seconds", 3
DATASETS = {"trec": 2000, "imdb": 500}


def contest(data, dataset, rows, seed):
    train = draw(*read(data, dataset, "train"), rows or DATASETS[dataset], seed)
    contestants = {
        name: functools.partial(in_new_process, measure, name, train, seed)
        for name in ("ours", "with cuDNN")
    }
    return Contest(len(train[0]), contestants)


def measure(name, train, seed):
    if name == "with cuDNN":
        _device._WITHOUT_CUDNN_ATTENTION = contextlib.nullcontext()
    classifier = AttentionFineTuneClassifier(max_epochs=1, random_state=seed)
    classifier.fit(["It rains.", "The sun is out."], ["bad", "good"])  # imports
    with timed() as measured:
        classifier.fit(*train)
    with timed() as again:
        classifier.fit(*train)
    return {**measured, "again_seconds": again["seconds"]}
