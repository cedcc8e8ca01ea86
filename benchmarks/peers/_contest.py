"""Run the contestants in turn and write their results."""

import contextlib
import functools
import gc
import importlib.metadata
import json
import multiprocessing
import os
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

import torch
from tqdm import tqdm

from sklearn_attnft._hf import DEFAULT_ENCODER, find_encoder
from sklearn_attnft._runtime._device import resolve_device, resolve_dtype

from .._common import RESULTS, already, append, machine

RESULTS_FILE = RESULTS / "peers.jsonl"
KEYS = ["part", "dataset", "rows", "trial", "machine", "seed", "model"]
PEERS = ("sentence-transformers", "skrub", "setfit", "skorch", "accelerate", "datasets")


@dataclass(frozen=True)
class Contest:
    """Contestants that are compared on the same texts.

    Attributes
    ----------
    rows : int
        Number of texts that are encoded or trained on.
    contestants : dict
        Maps names to functions that run a contestant and return its measurements.
        The others are compared with the first.
    """

    rows: int
    contestants: dict[str, Callable[[], dict]]


def run(name, part, options):
    """Run a part and write each result as soon as it is measured."""
    quieten()
    if options.threads:
        torch.set_num_threads(options.threads)
    is_kept = options.rows is None or options.keep
    path = options.results if is_kept else None
    todo = [
        (seed, dataset)
        for seed in range(options.repeats or part.REPEATS)
        for dataset in part.DATASETS
        if dataset in (options.dataset or part.DATASETS)
    ]
    for seed, dataset in tqdm(todo, desc=name):
        contest = part.contest(options.data, dataset, options.rows, seed)
        names = list(contest.contestants)
        for model in _in_turn(names, seed):
            if model not in (options.model or names):
                continue
            size = (contest.rows, options.rows is not None)
            key = [name, dataset, *size, machine()["machine"], seed, model]
            if is_kept and json.dumps(key) in already(path, KEYS):
                continue
            gc.collect()
            measured = contest.contestants[model]()
            row = {**dict(zip(KEYS, key, strict=True)), **measured, "first": names[0]}
            append(path, {**row, **_around()})


def _in_turn(names, seed):
    """Rotate the contestants, because the first may pay costs of the others."""
    first = seed % len(names)
    return names[first:] + names[:first]


@contextlib.contextmanager
def timed():
    """Time a block. Yield a dict that has both times after the block."""
    seconds = {}
    clock, process = time.perf_counter(), time.process_time()
    yield seconds
    seconds["cpu_seconds"] = round(time.process_time() - process, 5)
    seconds["seconds"] = round(time.perf_counter() - clock, 5)


def in_new_process(function, *arguments):
    """Run a function of a module in a new process."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(
        1, context, initializer=_begin, initargs=(torch.get_num_threads(),)
    ) as pool:
        return pool.submit(function, *arguments).result()


def _begin(n_threads):
    quieten()
    torch.set_num_threads(n_threads)


def quieten():
    """Turn off progress bars and warnings of all contestants."""
    import transformers

    warnings.filterwarnings("ignore")
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()


@functools.cache
def _versions():
    """Return the names and versions of the other packages."""
    found = []
    for name in PEERS:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found.append(f"{name} {importlib.metadata.version(name)}")
    return ", ".join(found)


def _around():
    """Return threads, cores and versions for a row of the results."""
    has_affinity = hasattr(os, "sched_getaffinity")
    cores = len(os.sched_getaffinity(0)) if has_affinity else os.cpu_count()
    threads = torch.get_num_threads()
    return {"threads": threads, "cores": cores, "peers": _versions()}


def encoder():
    """Return the directory of the encoder that all contestants use, as str."""
    return str(find_encoder(DEFAULT_ENCODER))


def device():
    return resolve_device("auto")


def dtype():
    """Return the default dtype of matrix products, ours and those of bare encoders."""
    return resolve_dtype("auto", device())


def as_ours():
    """Return a context that gives a bare encoder the same precision as ours."""
    is_lower = dtype() != torch.float32
    return torch.autocast(device().type, dtype=dtype(), enabled=is_lower)
