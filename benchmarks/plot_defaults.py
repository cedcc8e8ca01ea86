"""Plot the accuracy of the defaults, from the results of defaults.py.

python benchmarks/plot_defaults.py

Write docs/_static/defaults.svg. For each data set, the figure shows the largest number
of labels. The value of a method is its mean over the seeds that all methods have.
"""

from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

RESULTS = Path(__file__).parent / "results" / "defaults.jsonl"
PLOT = Path(__file__).parents[1] / "docs" / "_static" / "defaults.svg"
METHODS = {
    "tfidf": ("TF-IDF + logistic regression", "#bdbdbd", "s"),
    "features": ("features + logistic regression", "#7f7f7f", "D"),
    "frozen": ("trainable_layers=0", "#6baed6", "^"),
    "default": ("default", "#08519c", "o"),
}
NAMES = {
    "trec": "TREC, 6 classes",
    "trec_fine": "TREC, 50 classes",
    "clinc150": "CLINC150, 150 intents",
    "massive": "MASSIVE, 60 intents",
    "ag_news": "AG News (part)",
    "imdb": "IMDb",
    "dbpedia14": "DBpedia (part)",
    "yelp2": "reviews, 2 classes",
    "yelp5": "reviews, 5 classes",
    "tickets": "included tickets",
}


def means(rows):
    """Return the mean accuracy of each data set and number of labels, by method."""
    rows = rows[(rows["part"] == "test") & (rows["changed"].map(len) == 0)]
    runs = rows.pivot_table(
        index=["dataset", "n", "seed"], columns="method", values="accuracy"
    )
    return runs[list(METHODS)].dropna().groupby(["dataset", "n"]).mean()


def largest(rows):
    """Return the means of each data set at its largest number of labels."""
    cells = means(rows).reset_index()
    return cells.loc[cells.groupby("dataset")["n"].idxmax()].set_index("dataset")


def plot(cells, path):
    """Draw one row for each data set, ordered by the accuracy of the default."""
    cells = cells.sort_values("default")
    # Narrow, so that its letters can be read on a phone.
    figure = Figure(figsize=(5, 0.42 * len(cells) + 1.4), layout="constrained")
    figure.patch.set_facecolor("white")  # it must be readable on a dark page
    panel = figure.subplots()
    heights = np.arange(len(cells))
    values = cells[list(METHODS)]
    panel.hlines(heights, values.min(axis=1), values.max(axis=1), color="#dddddd")
    for method, (label, color, marker) in METHODS.items():
        panel.plot(values[method], heights, marker, color=color, label=label)
    labels = [f"{NAMES[name]}\n{n:,} labels" for name, n in cells["n"].items()]
    panel.set_yticks(heights, labels, fontsize=8)
    panel.set(xlabel="accuracy on test texts")
    panel.grid(axis="x", color="#eeeeee")
    panel.spines[["top", "right", "left"]].set_visible(False)
    figure.legend(loc="outside upper center", ncols=2, fontsize=8)
    # A fixed salt makes the file reproducible.
    with matplotlib.rc_context({"svg.hashsalt": "defaults"}):
        figure.savefig(path, metadata={"Date": None})


if __name__ == "__main__":
    plot(largest(pd.read_json(RESULTS, lines=True)), PLOT)
