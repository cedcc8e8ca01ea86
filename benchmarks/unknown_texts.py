"""Find texts of no known class: score_samples, compared with predict_proba.

python benchmarks/unknown_texts.py --data DIRECTORY [--texts 20 100] [--seeds 0 1 2]
python benchmarks/unknown_texts.py --table

Default classifiers are trained on 20 or 100 texts for each of the 150 intents of
clinc150. They score its 4,500 test texts of known intents and its 1,000 test texts that
are out of scope. "AUROC" is the area under the receiver operating characteristic curve
of known against unknown texts. "false alarms" is the fraction of the unknown texts that
are accepted by the threshold that accepts 95 % of the known texts.
"density_cpu_seconds" is the part of the fit that `score_samples` needs.

Each run appends one JSON line to results/unknown_texts.jsonl.
"""

import argparse
import json
import time

import numpy as np
import pandas as pd
from _common import RESULTS, already, append, draw, read, read_frame
from sklearn.metrics import roc_auc_score

from sklearn_attnft import AttentionFineTuneClassifier
from sklearn_attnft._fit import _classification_stage, _density

FILE = RESULTS / "unknown_texts.jsonl"
KEYS = ["n_per_class", "seed"]
DENSITY_SECONDS = []
N_CLASSES = 150


def timed(function):
    """Return the function; its calls append their seconds to DENSITY_SECONDS."""

    def call(*args):
        start = time.process_time()
        function(*args)
        DENSITY_SECONDS.append(time.process_time() - start)

    return call


def run(data, n_per_class, seed):
    """Fit a classifier and return the measures of both scores."""
    texts, labels = draw(
        *read(data, "clinc150", "train"), n_per_class * N_CLASSES, seed
    )
    known, known_labels = read(data, "clinc150", "test")
    unknown = read_frame(data, "clinc150", "oos_test")["text"].tolist()
    DENSITY_SECONDS.clear()
    start = time.process_time()
    model = AttentionFineTuneClassifier(random_state=seed).fit(texts, labels)
    row = {
        "fit_cpu_seconds": round(time.process_time() - start, 1),
        "density_cpu_seconds": round(sum(DENSITY_SECONDS), 2),
    }
    row["accuracy"] = round(float(model.score(known, known_labels)), 4)
    scores = {
        "score_samples": model.score_samples,
        "predict_proba": lambda texts: model.predict_proba(texts).max(axis=1),
    }
    for name, score in scores.items():
        row |= measure(name, score(known), score(unknown))
    return row


def measure(name, known, unknown):
    """Return the measures of the scores of known and of unknown texts."""
    is_known = np.repeat([1, 0], [len(known), len(unknown)])
    auroc = roc_auc_score(is_known, np.concatenate([known, unknown]))
    accepted = unknown >= np.quantile(known, 0.05)
    return {
        f"{name} AUROC": round(float(auroc), 4),
        f"{name} false alarms": round(float(accepted.mean()), 4),
    }


def table():
    """Print the means over the seeds."""
    rows = pd.read_json(FILE, lines=True)
    measures = [name for name in rows if name.endswith(("AUROC", "alarms", "accuracy"))]
    means = rows.groupby("n_per_class")[measures].mean().round(3)
    means["seeds"] = rows.groupby("n_per_class").size()
    print(means.reset_index().to_markdown(index=False))


if __name__ == "__main__":
    _classification_stage.fit_densities = timed(_density.fit_densities)
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", help="directory with the data sets")
    parser.add_argument("--texts", type=int, nargs="+", default=[20, 100])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--table", action="store_true", help="print the results")
    arguments = parser.parse_args()
    if arguments.table:
        table()
    else:
        for seed in arguments.seeds:
            for n in arguments.texts:
                if json.dumps([n, seed]) not in already(FILE, KEYS):
                    row = {"n_per_class": n, "seed": seed}
                    append(FILE, {**row, **run(arguments.data, n, seed)})
