"""Plot the times of other packages relative to ours."""

import statistics
from pathlib import Path

import matplotlib
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from ._report import first_of, group, ratios

PLOT = Path(__file__).parents[2] / "docs" / "_static" / "peers.svg"
# The parts that are timed beside other packages, with names for the figure.
SHOWN = {
    "fit": "fine-tune",
    "few-shot": "few labels",
    "transform": "features",
    "grid": "grid search",
}


def compared(rows):
    """Return a list of (label, ratios), one for each comparison."""
    rows = [row for row in rows if not row["trial"]]
    found = []
    for (part, dataset, texts, where), models in group(rows, tuple(SHOWN)):
        first = first_of(models)
        for model, runs in models.items():
            values = ratios(part, where, models[first], runs) if first else []
            has_other_texts = model == "setfit, written texts"
            if not values or model.startswith("ours") or has_other_texts:
                continue
            title = f"{SHOWN[part]}, {dataset}, {texts} texts"
            if "NVIDIA" in where:
                title += ", GPU"
            found.append((f"{title}\n{model}", values))
    return found


def plot(rows, path=PLOT):
    """Draw a bar for each comparison: their time divided by ours."""
    bars = compared(rows)[::-1]
    # Narrow, so that its letters can be read on a phone.
    figure = Figure(figsize=(4.4, 0.42 * len(bars) + 0.9), layout="constrained")
    figure.patch.set_facecolor("white")  # it must be readable on a dark page
    panel = figure.subplots()
    for height, (_, values) in enumerate(bars):
        middle = statistics.median(values)
        panel.barh(height, middle, color="#6baed6")
        panel.hlines(height, min(values), max(values), color="#08519c")
        panel.text(max(values), height, f" {middle:.2g}", va="center", fontsize=8)
    panel.set_yticks(range(len(bars)), [label for label, _ in bars], fontsize=8)
    panel.set(xscale="log", xlabel="their time / our time", ylim=(-0.6, len(bars)))
    panel.set_xticks([1, 2, 5, 10, 20], ["1", "2", "5", "10", "20"], minor=False)
    panel.xaxis.set_minor_locator(NullLocator())
    panel.set_xlim(0.7, 1.6 * max(max(values) for _, values in bars))
    panel.axvline(1, color="#7f7f7f")
    panel.spines[["top", "right", "left"]].set_visible(False)
    # A fixed salt makes the file reproducible.
    with matplotlib.rc_context({"svg.hashsalt": "peers"}):
        figure.savefig(path, metadata={"Date": None})
