"""Measure the comprehensiveness and sufficiency of attention and attributions.

python benchmarks/faithfulness.py --data DIRECTORY [--dataset NAME ...] [--texts 200]

The classifier is fitted with its defaults and max_length=128 on 2,000 texts of trec and
on 1,000 texts of imdb's `train_small`. Then the tokens of sampled test texts are ranked
by attention, by gradient times input, by integrated gradients, and at random (5
orders). Comprehensiveness erases the highest-ranked tokens; sufficiency erases all
others.

Each data set and ranking appends one JSON line to results/faithfulness.jsonl. It has
the means over the texts, their standard errors, and the fraction of texts on which the
ranking is better than the random one. Data sets that are already in the file are
skipped. ``--table`` prints the results.
"""

import argparse
import json

import pandas as pd
from _common import RESULTS, already, append, draw, fit_and_score, read

from sklearn_attnft import AttentionFineTuneClassifier

FILE = RESULTS / "faithfulness.jsonl"
# Name: training part, number of sampled rows, test part.
DATA = {"trec": ("train", 2000, "test"), "imdb": ("train_small", 1000, "test_small")}
KEYS = ["dataset", "n_texts", "seed"]
MEASURES = ["comprehensiveness", "sufficiency"]


def run(data, names, n_texts, seed=0):
    done = already(FILE, KEYS)
    for name in names:
        row = dict(zip(KEYS, (name, n_texts, seed), strict=True))
        if json.dumps(list(row.values())) in done:
            continue
        part, n, test_part = DATA[name]
        train = draw(*read(data, name, part), n, seed)
        texts, labels = draw(*read(data, name, test_part), n_texts, seed)
        clf = AttentionFineTuneClassifier(max_length=128, random_state=seed)
        row |= fit_and_score(clf, *train, texts, labels)
        scores = clf.faithfulness(
            texts,
            attribution=["gradient", "integrated_gradients"],
            random_state=seed,
        )
        for ranking, result in summary(scores).items():
            append(FILE, {**row, "ranking": ranking, **result})


def summary(scores):
    """Compute the mean of each measure, and how often it is better than random."""
    by_ranking = dict(iter(scores.set_index("sample").groupby("ranking")))
    result = {}
    for ranking, of_ranking in by_ranking.items():
        result[ranking] = {}
        for measure, sign in zip(MEASURES, (1, -1), strict=True):
            values, chance = of_ranking[measure], by_ranking["random"][measure]
            result[ranking] |= {
                measure: round(values.mean(), 4),
                f"{measure}_error": round(values.sem(), 4),
                f"{measure}_better": round(
                    float((sign * (values - chance) > 0).mean()), 3
                ),
            }
    return result


def table():
    rows = pd.read_json(FILE, lines=True)
    print(rows.drop(columns=["date", "machine", "versions"]).to_markdown(index=False))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", help="directory with the data sets")
    parser.add_argument("--dataset", nargs="+", choices=DATA, default=list(DATA))
    parser.add_argument("--texts", type=int, default=200, help="number of texts")
    parser.add_argument("--table", action="store_true", help="print the results")
    arguments = parser.parse_args()
    if arguments.table:
        table()
    else:
        run(arguments.data, arguments.dataset, arguments.texts)
