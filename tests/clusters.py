"""Run a grid search on a joblib backend: ``python clusters.py BACKEND DIRECTORY``.

This runs in a new process, because clusters leave threads, sockets and warnings. It
prints the scores and the number of encoded texts as JSON.
"""

import json
import sys
from contextlib import contextmanager, nullcontext
from pathlib import Path

import joblib
import tiny
from counting import CountingExtractor, texts_read
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

TEXTS = [f"{w} {v} day" for w in tiny.WORDS[:10] for v in tiny.WORDS[:6]]
LABELS = ["a", "b", "c"] * 20


@contextmanager
def dask():
    from dask.distributed import Client, LocalCluster

    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as own,
        Client(own),
        joblib.parallel_config("dask"),
    ):
        yield


@contextmanager
def ray():
    import ray
    from ray.util.joblib import register_ray

    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    register_ray()
    with joblib.parallel_config("ray"):
        yield
    ray.shutdown()


BACKENDS = {"loky": nullcontext, "dask": dask, "ray": ray}


def search(encoder, cache):
    pipeline = make_pipeline(
        CountingExtractor(str(encoder), max_length=32, cache=str(cache)),
        LogisticRegression(max_iter=10_000),
    )
    grid = {"logisticregression__C": [0.01, 0.1, 1.0]}
    return GridSearchCV(pipeline, grid, cv=3, n_jobs=2, error_score="raise")


if __name__ == "__main__":
    backend, directory = sys.argv[1], Path(sys.argv[2])
    encoder = directory / "encoder"
    with BACKENDS[backend]():
        fitted = search(encoder, directory / "cache").fit(TEXTS, LABELS)
    scores = {
        name: values.tolist()
        for name, values in fitted.cv_results_.items()
        if name.endswith("_test_score")
    }
    sys.stdout.write(json.dumps({"scores": scores, "read": texts_read(encoder)}))
