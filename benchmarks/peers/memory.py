"""Measure memory in MiB, each in a new process (Linux only).

"fits" is the resident memory after the second and the tenth fit in one process.
"transform" compares the size of the features of short, different texts with the largest
increase of the resident memory during the call.
"""

import functools
import gc
from pathlib import Path

from sklearn_attnft import AttentionFineTuneClassifier, TransformerFeatureExtractor

from .._common import draw, mebibytes, read
from ._contest import Contest, in_new_process

METRIC, REPEATS = "mebibytes", 3
DATASETS = {"fits": 200, "transform": 200_000}
N_FITS = 10


def contest(data, dataset, rows, seed):
    n = rows or DATASETS[dataset]
    if dataset == "fits":
        train = draw(*read(data, "ag_news", "train"), n, seed)
        names, arguments = ("2nd fit", "10th fit"), (fits, train)
    else:
        names, arguments = ("output", "peak"), (peak, n)

    @functools.cache
    def both():
        return in_new_process(*arguments)

    return Contest(n, {name: lambda name=name: both()[name] for name in names})


def fits(train):
    resident = []
    for i in range(N_FITS):
        AttentionFineTuneClassifier(max_epochs=1, random_state=i).fit(*train)
        gc.collect()
        resident.append({"mebibytes": mebibytes("VmRSS")})
    return {"2nd fit": resident[1], "10th fit": resident[-1]}


def peak(n):
    texts = [f"order {i} is on its way" for i in range(n)]
    extractor = TransformerFeatureExtractor().fit(texts[:1])
    extractor.transform(texts[:100])
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")  # resets the peak
    before = mebibytes("VmRSS")
    features = extractor.transform(texts)
    return {
        "output": {"mebibytes": round(features.nbytes / 2**20, 3)},
        "peak": {"mebibytes": round(mebibytes("VmHWM") - before, 1)},
    }
