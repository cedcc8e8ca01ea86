"""Learn the topic, urgency and sentiment of support tickets with one encoder.

python examples/multitask_tickets.py

Half of the urgency labels are removed before the fit, as if only some tickets had been
rated. The script prints the accuracy of each task, the accuracy of a model that learns
only urgency from the same labels, and some predictions. It takes some minutes.
"""

import time

import numpy as np
from sklearn.base import clone

from sklearn_attnft import AttentionFineTuneClassifier, MultiTaskClassifier
from sklearn_attnft.datasets import load_support_tickets

LABELS = ["topic", "urgency", "sentiment"]


def load(subset):
    """Return texts and a data frame of labels."""
    return load_support_tickets(
        label=LABELS, subset=subset, return_X_y=True, as_frame=True
    )


def main():
    """Fit both models and compare them."""
    X_train, y_train = load("train")
    X_test, y_test = load("test")
    is_rated = np.random.RandomState(0).rand(len(X_train)) < 0.5
    y_train = y_train.assign(urgency=y_train["urgency"].where(is_rated, None))

    template = AttentionFineTuneClassifier(random_state=0, verbose=1)
    start = time.perf_counter()
    shared = MultiTaskClassifier(template, task_sampling="sqrt").fit(X_train, y_train)
    print(f"three tasks together: {time.perf_counter() - start:.0f} s")
    for name in LABELS:
        accuracy = shared.task(name).score(X_test, y_test[name])
        print(f"  {name:>10}: accuracy {accuracy:.3f}")

    start = time.perf_counter()
    alone = clone(template).fit(X_train[is_rated], y_train["urgency"][is_rated])
    print(f"urgency alone: {time.perf_counter() - start:.0f} s")
    print(f"  {'urgency':>10}: accuracy {alone.score(X_test, y_test['urgency']):.3f}")

    print(shared.predict(X_test[:5]).assign(text=X_test[:5].str[:50]).to_string())


if __name__ == "__main__":
    main()
