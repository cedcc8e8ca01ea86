"""Compare the time of an epoch if all blocks, two blocks or none are trained.

The first epoch is not counted, because it also runs the frozen blocks. "fit_seconds"
and "cpu_seconds" are the times of the full fit.
"""

import functools
import statistics

from sklearn_attnft import AttentionFineTuneClassifier

from .._common import draw, read
from ._contest import Contest, timed

METRIC, REPEATS = "seconds", 3
DATASETS = {"ag_news": 2000, "imdb": 500}
TRAINED = {"all trained": "all", "top 2 trained": 2, "none trained": 0}
N_EPOCHS = 3


def contest(data, dataset, rows, seed):
    train = draw(*read(data, dataset, "train"), rows or DATASETS[dataset], seed)
    contestants = {
        name: functools.partial(measure, trainable_layers, train, seed)
        for name, trainable_layers in TRAINED.items()
    }
    return Contest(len(train[0]), contestants)


def measure(trainable_layers, train, seed):
    classifier = AttentionFineTuneClassifier(
        trainable_layers=trainable_layers, max_epochs=N_EPOCHS, random_state=seed
    )
    with timed() as measured:
        classifier.fit(*train)
    later = [row["dur"] for row in classifier.history_[1:]]
    return {
        "seconds": round(statistics.median(later), 3),
        "first_seconds": round(classifier.history_[0]["dur"], 3),
        "fit_seconds": measured["seconds"],
        "cpu_seconds": measured["cpu_seconds"],
    }
