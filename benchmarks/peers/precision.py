"""Compare fits in the default precision with fits in float32.

They differ if the hardware supports bfloat16. Each result has the dtype that was used,
the times of the fit and of the prediction on the test set, and the accuracy.
"""

import functools

from sklearn_attnft import AttentionFineTuneClassifier
from sklearn_attnft._runtime._device import resolve_dtype

from .._common import draw, read
from ._contest import Contest, device, timed

METRIC, REPEATS = "seconds", 3
DATASETS = {"ag_news": 1000, "imdb": 300}
N_EPOCHS = 2


def contest(data, dataset, rows, seed):
    train = draw(*read(data, dataset, "train"), rows or DATASETS[dataset], seed)
    test = draw(*read(data, dataset, "test_small"), rows or 1000, seed)
    contestants = {
        name: functools.partial(measure, name, train, test, seed)
        for name in ("auto", "float32")
    }
    return Contest(len(train[0]), contestants)


def measure(precision, train, test, seed):
    warm_up()
    classifier = AttentionFineTuneClassifier(
        precision=precision, max_epochs=N_EPOCHS, random_state=seed
    )
    with timed() as measured:
        classifier.fit(*train)
    with timed() as predicting:
        accuracy = classifier.score(*test)
    return {
        **measured,
        "accuracy": round(accuracy, 4),
        "predict_seconds": predicting["seconds"],
        "dtype": str(resolve_dtype(precision, device())).removeprefix("torch."),
    }


@functools.cache
def warm_up():
    """Run the imports of a fit, and use both precisions once."""
    for precision in ("auto", "float32"):
        classifier = AttentionFineTuneClassifier(precision=precision, max_epochs=1)
        classifier.fit(["It rains.", "The sun is out."], ["bad", "good"])
