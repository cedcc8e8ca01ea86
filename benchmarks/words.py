"""Combine the classifier with logistic regression on words by soft voting.

python benchmarks/words.py --data DIRECTORY [--dataset NAME ...] [--seeds 0]

Each set has 2,000 training texts, and its whole test set. The weight of the words is
chosen on a fifth of the training texts: the weight with the lowest log loss of
VotingClassifier. Then both models are fitted on all training texts. Each run appends
one JSON line to results/words.jsonl. Use one thread (OMP_NUM_THREADS=1).
"""

import argparse
import time
import warnings

import numpy as np
from _common import RESULTS, already, append, baseline, find_strata
from defaults import SETS, draw
from sklearn.metrics import accuracy_score, log_loss
from sklearn.model_selection import train_test_split

from sklearn_attnft import AttentionFineTuneClassifier

N_TEXTS = 2000
PAGE = ["imdb", "dbpedia14", "yelp2", "clinc150"]
WEIGHTS = np.linspace(0, 1, 11)
KEYS = ["dataset", "seed"]


def probabilities(texts, labels, scored, seed):
    """Fit both models; return probabilities, classes, and seconds of each model."""
    models = [AttentionFineTuneClassifier(random_state=seed), baseline()]
    found, seconds = [], []
    for model in models:
        start = time.process_time()
        found.append(model.fit(texts, labels).predict_proba(scored))
        seconds.append(round(time.process_time() - start, 1))
    return found, models[0].classes_, seconds


def vote(found, weight):
    """Return the probabilities of VotingClassifier(voting="soft")."""
    return np.average(found, axis=0, weights=[1 - weight, weight])


def run(data, name, seed):
    texts, labels, scored, y_scored = draw(data, name, N_TEXTS, seed, test=True)
    strata = find_strata(labels)
    parts = train_test_split(
        texts, labels, test_size=0.2, stratify=strata, random_state=seed
    )
    kept, held_out, y_kept, y_held_out = parts
    found, classes, _ = probabilities(kept, y_kept, held_out, seed)
    losses = [log_loss(y_held_out, vote(found, w), labels=classes) for w in WEIGHTS]
    weight = float(WEIGHTS[np.argmin(losses)])
    found, classes, seconds = probabilities(texts, labels, scored, seed)
    accuracy = {
        label: round(accuracy_score(y_scored, classes[proba.argmax(axis=1)]), 4)
        for label, proba in [
            ("encoder", found[0]),
            ("words", found[1]),
            ("both", vote(found, weight)),
            ("both, equal weights", vote(found, 0.5)),
        ]
    }
    row = {"dataset": name, "seed": seed, "weight_of_words": round(weight, 1)}
    row |= {
        "accuracy": accuracy,
        "cpu_seconds": dict(zip(accuracy, seconds, strict=False)),
    }
    append(RESULTS / "words.jsonl", row)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True, help="directory with the data sets")
    parser.add_argument("--dataset", nargs="+", default=PAGE, choices=list(SETS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore", message=".*longer than max_length")
    done = already(RESULTS / "words.jsonl", KEYS)
    for seed in arguments.seeds:
        for name in arguments.dataset:
            if f'["{name}", {seed}]' not in done:
                run(arguments.data, name, seed)
