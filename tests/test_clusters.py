"""Many processes, many machines: joblib's backends, and how many threads each has."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import tiny
from sklearn.base import clone

from sklearn_attnft import AttentionFineTuneClassifier, TransformerFeatureExtractor

HERE = Path(__file__).parent
THREADS = """
import joblib, torch
calls = [joblib.delayed(torch.get_num_threads)()] * 2
counts = joblib.Parallel(n_jobs=2)(calls)
assert max(counts) <= max(1, joblib.cpu_count() // 2), counts
"""


def python(*arguments):
    """Run an interpreter that finds what this one finds; return what it printed."""
    paths = os.pathsep.join([str(HERE.parent), str(HERE), *sys.path])
    environment = {**os.environ, "PYTHONPATH": paths}
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        environment.pop(name, None)
    done = subprocess.run(
        [sys.executable, *map(str, arguments)],
        env=environment,
        stdout=subprocess.PIPE,
        check=True,
        timeout=600,
    )
    return done.stdout


def searched(backend, directory):
    directory.mkdir()
    tiny.save_tiny_encoder(directory / "encoder")
    printed = python(HERE / "clusters.py", backend, directory)
    return json.loads(printed.splitlines()[-1])


@pytest.mark.slow  # a cluster takes half a minute to start; both are extras
@pytest.mark.parametrize("backend", ["dask", "ray"])
def test_a_grid_on_a_cluster_is_the_grid(backend, tmp_path):
    expected = searched("loky", tmp_path / "loky")
    assert searched(backend, tmp_path / backend) == expected
    assert expected["read"] == 60


def test_workers_do_not_take_all_threads_each():
    python("-c", THREADS)


@pytest.mark.skipif(
    not Path("/proc/self/maps").exists(),
    reason="reads what a process has mapped from Linux's /proc; ends on Linux",
)
@pytest.mark.parametrize(
    "model",
    [
        TransformerFeatureExtractor(tiny.ENCODER, max_length=64),
        AttentionFineTuneClassifier(
            tiny.ENCODER, max_length=64, trainable_layers=0, random_state=0
        ),
    ],
    ids=["features", "frozen"],
)
def test_workers_have_one_copy_of_what_they_do_not_train(model):
    # Mapped from the file, they are in memory once, however many processes read them.
    texts, labels = ["good day", "bad dog"] * 3, ["good", "bad"] * 3
    model = clone(model).fit(texts, labels)
    model.transform(texts)
    mapped = []
    for line in Path("/proc/self/maps").read_text().splitlines():
        if line.endswith("model.safetensors"):
            low, high = (int(address, 16) for address in line.split()[0].split("-"))
            mapped.append(range(low, high))
    for name, weight in model.module_.encoder.named_parameters():
        assert any(weight.data_ptr() in region for region in mapped), name
