"""Does attention say what decides? Comprehensiveness and sufficiency of rankings.

python benchmarks/faithfulness.py --data DIRECTORY [--dataset NAME ...] [--texts 200]

The defaults, with max_length=128, are fitted on 2,000 texts of trec and 1,000 of imdb's
`train_small`; then tokens of test texts, drawn at random, are ranked by attention,
gradient times input, integrated gradients, and at random (5 orders), and erased. One
JSON line a data set and ranking is added to results/faithfulness.jsonl: means over the
texts, with standard errors, and the share of texts in which the ranking is better than
random. A data set that is there already is not measured again. ``--table`` prints it.
"""

import argparse
import json

import pandas as pd
from _common import RESULTS, already, append, draw, fit_and_score, read

from sklearn_attnft import AttentionFineTuneClassifier

FILE = RESULTS / "faithfulness.jsonl"
# Name: training part, rows drawn, test part.
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
    """Summarise each ranking over the texts, and count where it beats random."""
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
    parser.add_argument("--data", help="directory of the data sets")
    parser.add_argument("--dataset", nargs="+", choices=DATA, default=list(DATA))
    parser.add_argument("--texts", type=int, default=200)
    parser.add_argument("--table", action="store_true")
    arguments = parser.parse_args()
    if arguments.table:
        table()
    else:
        run(arguments.data, arguments.dataset, arguments.texts)
