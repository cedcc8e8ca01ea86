"""Test killed processes and threads, and measure file sizes and loading times.

python benchmarks/faults.py [fit save overwrite cache forks ...] [--kills 60]

"fit", "save", "overwrite" and "cache" fork a child process, kill it with SIGKILL at a
random moment, and read the files that it leaves. A fit must resume and end with the
same weights. A reader must find a complete file or none. These parts use a random
encoder with two small layers. "forks" forks a process while its threads predict, and
kills every second child; the others must answer. "threads" and "load" use the default
encoder.

Each part appends one JSON line to results/faults.jsonl. ``--table`` prints the latest
result of each part.
"""

import argparse
import os
import pickle
import random
import shutil
import signal
import sys
import tempfile
import threading
import time
import warnings
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # for the forked children
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import forking
import numpy as np
import pandas as pd
import tiny
from _common import RESULTS, append

from sklearn_attnft import AttentionFineTuneClassifier, TransformerFeatureExtractor
from sklearn_attnft.datasets import load_support_tickets

FILE = RESULTS / "faults.jsonl"
TEXTS, LABELS = load_support_tickets(subset="train", return_X_y=True)
SMALL = {
    "encoder": tiny.ENCODER,
    "max_length": 64,
    "precision": "float32",  # "cache" compares to 1e-5
    "random_state": 0,
}


def run_in_child(work, delay=None):
    """Run `work` in a child. Return whether it was killed after `delay` seconds."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            work()
            status = 0
        finally:
            os._exit(status)
    if delay is not None:
        time.sleep(delay)
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return True
    if status:
        raise RuntimeError("a child process failed")
    return False


def duration(work):
    """Return the seconds of one run in a child process."""
    start = time.perf_counter()
    run_in_child(work)
    return time.perf_counter() - start


def same(one, other):
    return all(np.array_equal(one[name], other[name]) for name in one.keys() | other)


def fit(kills, directory):
    """Kill fits with all stages, often several times, and resume them.

    Half of the fits train the language model before the classifier, and half jointly.
    """
    totals = [_kill_fits(kills // 2, directory, stages) for stages in STAGES]
    return {name: sum(total[name] for total in totals) for name in totals[0]}


STAGES = [{"lm_epochs": 1, "contrastive_epochs": 1}, {"lm_weight": 0.5}]


def _kill_fits(kills, directory, stages):
    output = directory / "weights.pickle"

    def work(checkpoint=None):
        clf = AttentionFineTuneClassifier(
            **SMALL, **stages, max_epochs=3, dropout=0.3, checkpoint_dir=checkpoint
        )
        clf.set_params(checkpoint_minutes=0.002).fit(TEXTS[:200], LABELS[:200])
        state = clf.module_.state_dict()
        output.write_bytes(pickle.dumps({n: w.numpy() for n, w in state.items()}))

    run_in_child(work)
    expected = pickle.loads(output.read_bytes())
    timed = directory / "timed"
    seconds = duration(lambda: work(timed))
    shutil.rmtree(timed)
    killed = resumed = equal = 0
    while killed < kills:
        checkpoint = directory / f"checkpoint-{resumed}"
        for _ in range(random.randint(1, 3)):
            delay = random.uniform(0, seconds)
            killed += run_in_child(lambda c=checkpoint: work(c), delay)
        output.unlink()
        run_in_child(lambda c=checkpoint: work(c))
        equal += same(pickle.loads(output.read_bytes()), expected)
        resumed += 1
        shutil.rmtree(checkpoint, ignore_errors=True)
    return {"kills": killed, "checked": resumed, "whole_or_equal": equal}


def save(kills, directory, overwrite=False):
    """Kill processes that save a model. Check that it is complete or absent."""
    clf = AttentionFineTuneClassifier(**SMALL, max_epochs=1)
    clf.fit(TEXTS[:50], LABELS[:50])
    expected = clf.predict_proba(TEXTS[:20])
    path = directory / "model"

    def work():
        clf.save(path, overwrite=overwrite)

    seconds = duration(work)
    killed = whole = absent = 0
    while killed < kills:
        if not overwrite and path.exists():
            shutil.rmtree(path)
        if not run_in_child(work, random.uniform(0, 1.5 * seconds)):
            continue
        killed += 1
        if path.exists():
            loaded = AttentionFineTuneClassifier.load(path)
            whole += np.array_equal(loaded.predict_proba(TEXTS[:20]), expected)
        else:
            absent += 1
    counts = {"kills": killed, "checked": killed, "whole_or_equal": whole + absent}
    return {**counts, "nothing_there": absent}


def overwrite(kills, directory):
    """Kill processes that replace a saved model."""
    return save(kills, directory, overwrite=True)


def cache(kills, directory):
    """Kill processes that write to the feature cache, and compare cached features."""
    plain = TransformerFeatureExtractor(**SMALL).fit(TEXTS)
    expected = plain.transform(TEXTS)

    def extractor(path):
        return TransformerFeatureExtractor(**SMALL, cache=path).fit(TEXTS)

    seconds = duration(lambda: extractor(directory / "timed").transform(TEXTS))
    killed = checked = equal = 0
    while killed < kills:
        path = directory / f"cache-{checked}"
        for _ in range(random.randint(1, 3)):
            work = extractor(path)
            delay = random.uniform(0, seconds)
            killed += run_in_child(lambda w=work: w.transform(TEXTS), delay)
        found = extractor(path).transform(TEXTS)
        equal += np.allclose(found, expected, rtol=0, atol=1e-5)
        checked += 1
        shutil.rmtree(path)
    return {"kills": killed, "checked": checked, "whole_or_equal": equal}


def threads(kills, directory, n_threads=8, n_calls=500):
    """Compare predict_proba in threads, as in a web service, with serial calls."""
    import psutil  # no other part needs it

    clf = AttentionFineTuneClassifier(
        max_epochs=1, trainable_layers=0, random_state=0
    ).fit(TEXTS[:100], LABELS[:100])
    texts = [[text] for text in TEXTS[:n_calls]]
    expected = [clf.predict_proba(text) for text in texts]
    process = psutil.Process()

    def serial():
        for _ in range(n_threads):
            for text in texts:
                clf.predict_proba(text)

    wrong = []

    def call():
        for text, probabilities in zip(texts, expected, strict=True):
            if not np.array_equal(clf.predict_proba(text), probabilities):
                wrong.append(text)

    def parallel():
        workers = [threading.Thread(target=call) for _ in range(n_threads)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()

    seconds = {"serial": [], "threads": []}
    memory = []
    for _ in range(2):
        for name, run in (("serial", serial), ("threads", parallel)):
            start = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - start)
            memory.append(process.memory_info().rss / 2**20)
    n_total = n_threads * len(texts)
    return {
        "calls": 2 * n_total,
        "different_from_serial": len(wrong),
        "serial_per_second": [round(n_total / s, 1) for s in seconds["serial"]],
        "threads_per_second": [round(n_total / s, 1) for s in seconds["threads"]],
        "resident_mib": [round(m) for m in memory],
    }


def load(kills, directory, repeats=7):
    """Time loading and one prediction, compared with the encoder in transformers."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    text = TEXTS[0]
    sizes, paths = {}, {}
    for weights in ("full", "delta"):
        clf = AttentionFineTuneClassifier(
            max_epochs=1, trainable_layers=0, random_state=0, pickle_weights=weights
        ).fit(TEXTS[:60], LABELS[:60])
        paths[weights] = directory / f"{weights}.pickle"
        paths[weights].write_bytes(pickle.dumps(clf))
        sizes[weights] = paths[weights].stat().st_size
    n_bytes = sum(w.nbytes for w in clf.module_.state_dict().values())
    paths["directory"] = clf.save(directory / "saved")

    def ours(name):
        if name == "directory":
            model = AttentionFineTuneClassifier.load(paths[name])
        else:
            with paths[name].open("rb") as file:
                model = pickle.load(file)
        model.predict_proba([text])

    def theirs():
        model = AutoModel.from_pretrained(paths["directory"])
        tokenizer = AutoTokenizer.from_pretrained(paths["directory"])
        with torch.inference_mode():
            model(**tokenizer(text, return_tensors="pt"))

    runs = {name: lambda name=name: ours(name) for name in paths}
    runs["transformers"] = theirs
    seconds = {name: [] for name in runs}
    for repeat in range(repeats + 1):
        for name, run in runs.items():
            start = time.perf_counter()
            run()
            if repeat:  # the first run includes the imports
                seconds[name].append(time.perf_counter() - start)
    medians = {name: round(float(np.median(s)), 3) for name, s in seconds.items()}
    return {
        "weights_bytes": n_bytes,
        "pickle_bytes": sizes,
        "full_pickle_to_weights": round(sizes["full"] / n_bytes, 4),
        "median_seconds": medians,
        "full_to_transformers": round(medians["full"] / medians["transformers"], 2),
    }


def flip(path):
    """Flip a random bit of a file; return its bytes before."""
    whole = path.read_bytes()
    damaged = bytearray(whole)
    damaged[random.randrange(len(whole))] ^= 1 << random.randrange(8)
    path.write_bytes(damaged)
    return whole


def count_flips(paths, n_flips, attempt):
    """Flip bits of files one at a time; count what `attempt` does with them.

    `attempt` returns whether the result is the one before the flip. A ValueError that
    names the file or its directory counts as refused.
    """
    refused = same_result = 0
    for i in range(n_flips):
        path = paths[i % len(paths)]
        whole = flip(path)
        try:
            same_result += attempt()
        except ValueError as error:
            refused += str(path.parent) in str(error)
        path.write_bytes(whole)
    silent = n_flips - refused - same_result
    return {"flips": n_flips, "refused": refused, "no_effect": same_result} | {
        "different": silent
    }


def flips_saved(kills, directory, n_flips=1500):
    """Flip bits of a saved directory; half of them in estimator.json."""
    clf = AttentionFineTuneClassifier(**SMALL, max_epochs=1)
    clf.fit(TEXTS[:50], LABELS[:50])
    expected, path = clf.predict_proba(TEXTS[:20]), clf.save(directory / "model")

    def attempt():
        loaded = AttentionFineTuneClassifier.load(path)
        is_same = np.array_equal(loaded.predict_proba(TEXTS[:20]), expected)
        is_same &= loaded.classes_.tolist() == clf.classes_.tolist()
        return is_same and loaded.history_ == clf.history_

    files = sorted(each for each in path.iterdir() if each.suffix != ".md")
    manifest = path / "estimator.json"
    return count_flips([*files, *[manifest] * (len(files) - 2)], n_flips, attempt)


def flips_resume(kills, directory, n_flips=400):
    """Flip bits of resume states, of a fit that was killed and of a finished one."""
    parameters = {**SMALL, "max_epochs": 2, "checkpoint_minutes": 0}

    def fitted(folder):
        clf = AttentionFineTuneClassifier(**parameters, checkpoint_dir=folder)
        return clf.fit(TEXTS[:60], LABELS[:60]).predict_proba(TEXTS[:20])

    expected = fitted(directory / "finished")
    seconds = duration(lambda: fitted(directory / "timed"))
    killed = directory / "killed"
    while not list(killed.glob("*/state.pt")):
        run_in_child(lambda: fitted(killed), random.uniform(0.3, 0.9) * seconds)
    counts = {}
    for folder in (directory / "finished", killed):
        kept = directory / "kept"
        shutil.copytree(folder, kept)

        def attempt(folder=folder, kept=kept):
            result = np.array_equal(fitted(folder), expected)
            shutil.rmtree(folder)
            shutil.copytree(kept, folder)
            return result

        files = [*folder.glob("*/state.pt"), *folder.glob("*/fit.json")]
        found = count_flips([files[0], *files], n_flips // 2, attempt)
        counts = {name: counts.get(name, 0) + n for name, n in found.items()}
        shutil.rmtree(kept)
    return counts


def flips_cache(kills, directory, n_flips=200):
    """Flip bits of a feature cache, whose damaged entries are computed again."""
    path = directory / "cache"

    def features():
        return TransformerFeatureExtractor(**SMALL, cache=path).fit_transform(TEXTS)

    expected = features()
    files = [each for each in path.rglob("*") if each.is_file() and each.stat().st_size]
    return count_flips(
        files, n_flips, lambda: np.allclose(features(), expected, rtol=0, atol=1e-5)
    )


def forks(kills, directory):
    """Fork a process whose threads predict, and kill every second child."""
    readers = forking.Readers(forking.make_reads(directory), 3)
    return forking.fork(readers, 2 * kills)


PARTS = {
    "flips-saved": flips_saved,
    "flips-resume": flips_resume,
    "flips-cache": flips_cache,
    "fit": fit,
    "save": save,
    "overwrite": overwrite,
    "cache": cache,
    "forks": forks,
    "threads": threads,
    "load": load,
}


def table():
    rows = pd.read_json(FILE, lines=True).groupby("part", sort=False).last()
    for part, row in rows.iterrows():
        print(part, {name: row[name] for name in row.index if row[name] is not None})


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("part", nargs="*", help=", ".join(PARTS))
    parser.add_argument("--kills", type=int, default=60, help="kills per part")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--table", action="store_true", help="print the results")
    arguments = parser.parse_args()
    if not set(arguments.part) <= set(PARTS):
        parser.error(f"part must be one of {', '.join(PARTS)}")
    random.seed(arguments.seed)
    warnings.filterwarnings("ignore", message=".*longer than max_length")
    with tempfile.TemporaryDirectory() as temporary:
        tiny.save_tiny_encoder()
        for part in arguments.part:
            directory = Path(temporary) / part
            directory.mkdir()
            append(FILE, {"part": part, **PARTS[part](arguments.kills, directory)})
        shutil.rmtree(tiny.ENCODER)
    if arguments.table:
        table()
