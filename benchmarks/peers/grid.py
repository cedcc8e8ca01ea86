"""Compare grid searches over a classifier that follows a frozen encoder.

The grid has 6 values of C and 3 folds. Ours is run with and without a cache of the
features (``cache="memory"``); skrub's encoder does not have a cache. Each search runs
in a new process, so that its cache is empty at the start.
"""

import functools

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline

from sklearn_attnft import TransformerFeatureExtractor

from .._common import draw, read
from ._contest import Contest, in_new_process, timed
from .transform import skrub_encoder

METRIC, REPEATS = "seconds", 3
DATASETS = {"trec": 1000}
GRID = {"classifier__C": np.logspace(-2, 3, 6)}
N_FOLDS = 3


def contest(data, dataset, rows, seed):
    train = draw(*read(data, dataset, "train"), rows or DATASETS[dataset], seed)
    contestants = {
        name: functools.partial(in_new_process, search, name, *train)
        for name in ("ours", "ours without cache", "skrub")
    }
    return Contest(len(train[0]), contestants)


def search(name, texts, labels):
    features = {
        "ours": lambda: TransformerFeatureExtractor(cache="memory"),
        "ours without cache": TransformerFeatureExtractor,
        "skrub": skrub_encoder,
    }[name]()
    features.fit_transform(pd.Series(["None of the texts.", "Nor is this."]))
    pipeline = Pipeline(
        [("features", features), ("classifier", LogisticRegression(max_iter=1000))]
    )
    grid = GridSearchCV(pipeline, GRID, cv=N_FOLDS)
    with timed() as measured:
        grid.fit(pd.Series(texts), labels)
    return {**measured, "accuracy": round(float(grid.best_score_), 4)}
