"""Write the page of the study from its results: claims, tables and a plot.

python benchmarks/method/report.py           # write docs/study.md and its plot
python benchmarks/method/report.py --full    # use the runs with --full
"""

import argparse
import json
from pathlib import Path

import numpy as np
import pandas as pd
import scipy.stats

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "benchmarks" / "results" / "method.jsonl"
PAGE = ROOT / "docs" / "study.md"
METHODS = {
    "plain": "plain fine-tuning",
    "frozen": "attention, frozen encoder",
    "attention": "attention",
    "sequential": "language model, then attention",
    "joint": "joint training",
    "hybrid": "LSTM hybrid",
}
BASE = "plain"
N_SEEDS = 3  # planned for each data set
SETS = (
    "The study compares the methods of the paper on six data sets, with the default "
    "encoder, all-MiniLM-L6-v2. The test set of `trec` is the official one with 500 "
    "texts. All other test sets have 2,000 texts; those of `imdb` are from its "
    "official test set. `ag_news` and `dbpedia14` are parts of the published data "
    "sets. `yelp_polarity_like` and `yelp_full_like` are substitutes for the Yelp data "
    "sets."
)
CUTS = {
    False: "All methods, including language-model training, use up to 2,000 training "
    "texts. Texts with more than 48 words are reduced to their first and last 24 "
    "words.",
    True: "Training sets have up to 10,000 texts. Texts have up to 256 tokens.",
}
HOW = (
    "Error rates are the percentage of test texts with a wrong prediction. The tables "
    "show the mean over the seeds, with the minimum and maximum in parentheses. "
    "Training times are ratios of the processor time, summed over all cores, of two "
    "fits with the same data, seed and kind of machine."
)
CLAIMS_HOW = (
    "A claim is supported if the 95 % confidence interval of the difference in error "
    "rate is below zero, and contradicted if it is above zero. Differences are paired "
    "by seed. The interval is Student's t interval over the means of the data sets, "
    "because each data set has few seeds."
)
# Claims of the paper and aims of the package: part, labels, method, reference method.
CLAIMS = {
    "With up to 2,000 training texts, the language-model stage followed by attention "
    "has a lower error rate than plain fine-tuning": (
        "main",
        None,
        "sequential",
        "plain",
    ),
    "Attention has a lower error rate than mean pooling of the last layer": (
        "main",
        None,
        "attention",
        "plain",
    ),
    "With 200 labels, the language-model stage followed by attention has a lower error "
    "rate than plain fine-tuning": ("labels", 200, "sequential", "plain"),
    "With 50 labels, the language-model stage followed by attention has a lower error "
    "rate than plain fine-tuning": ("labels", 50, "sequential", "plain"),
    "In a new domain, the language-model stage followed by attention has a lower error "
    "rate than plain fine-tuning": ("domain", None, "sequential", "plain"),
    "Joint training has a lower error rate than the sequential stages": (
        "main",
        None,
        "joint",
        "sequential",
    ),
}
TIMES = (
    "Training time relative to plain fine-tuning (median over the seeds, with the "
    "minimum and maximum):"
)
TABLES = (  # title, part, labels
    ("Six data sets", "main", None),
    ("A new domain", "domain", None),
    ("50 labels", "labels", 50),
    ("200 labels", "labels", 200),
    ("1,000 labels", "labels", 1000),
)


def read_rows(path, full):
    """Return the runs that were scored on test sets, as a data frame."""
    rows = pd.DataFrame([json.loads(line) for line in path.read_text().splitlines()])
    rows = rows[(~rows["part"].isin(["lm", "tune"])) & (rows["full"] == full)]
    set_ = rows["dataset"].where(
        rows["dataset"] == rows["test"], rows["dataset"] + " to " + rows["test"]
    )
    return rows.assign(set=set_, error=100 * (1 - rows["accuracy"]))


def of_part(rows, part, n=None):
    """Return the runs of a part. If `n` is not None, only those with `n` labels."""
    return rows[(rows["part"] == part) & (True if n is None else rows["n"] == n)]


def complete(rows):
    """Remove seeds that some methods lack, so that all means are of the same seeds."""
    each = rows.groupby(["set", "seed", "n"], dropna=False)
    n_methods = each["method"].transform("nunique")
    return rows[n_methods == rows["method"].nunique()]


def by_seed(rows, values, within=()):
    """Return a table with a row per data set and seed, and a column per method."""
    index = ["set", "seed", *within]
    return rows.pivot_table(index=index, columns="method", values=values)


def seconds_by_seed(rows):
    """Return a table of seconds. Runs of different machines are in different rows."""
    return by_seed(rows, "fit_cpu_seconds", within=["machine"])


def error_table(rows):
    """Return a Markdown table of errors with a row per data set."""
    methods = [method for method in METHODS if method in set(rows["method"])]
    table = {}
    for method in methods:
        errors = rows[rows["method"] == method].groupby("set")["error"]
        cells = errors.agg(lambda e: _cell(e, e.mean(), 1))
        cells["mean"] = f"{errors.mean().mean():.1f}"
        table[METHODS[method]] = cells
    table = pd.DataFrame(table).fillna("")
    order = [name for name in table.index if name != "mean"]
    table = table.loc[[*order, "mean"]].rename_axis("data set")
    return table.to_markdown(disable_numparse=True)


def _cell(values, middle, digits):
    """Format the center of some values. Add their range if there are several."""
    if not len(values):
        return ""
    numbers = [f"{each:.{digits}f}" for each in (middle, values.min(), values.max())]
    return "{} ({} to {})".format(*numbers) if len(values) > 1 else numbers[0]


def seconds_table(rows):
    """Return a Markdown table of training times relative to plain fine-tuning."""
    seconds = seconds_by_seed(rows)
    ratios = seconds.div(seconds[BASE], axis=0).drop(columns=BASE)
    ratios = ratios[[method for method in METHODS if method in ratios]]
    cells = ratios.groupby("set").agg(lambda r: _cell(r.dropna(), r.median(), 2))
    cells = cells.rename(columns=METHODS).rename_axis("data set")
    return cells.to_markdown(disable_numparse=True)


def differences(rows, method, reference, values="error"):
    """Return the mean difference of two methods on each data set, paired by seed."""
    pairs = by_seed(rows, values)
    if not {method, reference} <= set(pairs):
        return pd.Series(dtype=float)
    return (pairs[method] - pairs[reference]).dropna().groupby("set").mean()


def interval(values):
    """Return the mean and its 95 % confidence interval."""
    mean, error = np.mean(values), scipy.stats.sem(values)
    half = error * scipy.stats.t.ppf(0.975, len(values) - 1)
    return mean, mean - half, mean + half


def verdict(claim, rows):
    """Return whether a claim is supported, as text. Return None without results."""
    part, n, method, reference = CLAIMS[claim]
    each = differences(of_part(rows, part, n), method, reference)
    if len(each) < 2:
        return None
    mean, low, high = interval(each)
    if high < 0:
        said = "supported"
    elif low > 0:
        said = "contradicted"
    else:
        said = "not supported"
    return (
        f"- {claim}: **{said}**. The error rate changes by {mean:+.2f} percentage "
        f"points (95 % confidence interval {low:+.2f} to {high:+.2f}). It is lower on "
        f"{(each < 0).sum()} of {len(each)} data sets."
    )


def joint_cost(rows):
    """Return a sentence that compares joint training with the sequential stages."""
    rows = of_part(rows, "main")
    seconds = seconds_by_seed(rows)
    if not {"joint", "sequential"} <= set(seconds):
        return None
    ratios = (seconds["joint"] / seconds["sequential"]).dropna()
    if ratios.empty:
        return None
    lost = differences(rows, "joint", "sequential").mean()
    return (
        f"- Joint training takes {ratios.median():.2f} times as long as the sequential "
        f"stages (median; range {ratios.min():.2f} to {ratios.max():.2f}). Its "
        f"mean error rate is {abs(lost):.2f} percentage points "
        f"{'higher' if lost > 0 else 'lower'}."
    )


def plot_labels(rows, path):
    """Plot the error against the number of labels, in one panel for each data set.

    The largest number of labels is that of `main`. The language model reads the same
    texts for all numbers of labels.
    """
    import matplotlib
    from matplotlib.figure import Figure

    few = complete(of_part(rows, "labels"))
    methods = [method for method in METHODS if method in set(few["method"])]
    most = complete(of_part(rows, "main")).dropna(subset="n")
    rows = pd.concat([few, most[most["method"].isin(methods)]])
    names, sizes = sorted(set(few["set"])), sorted(set(rows["n"]))
    figure = Figure(figsize=(9, 2.6 * -(-len(names) // 3)), layout="constrained")
    panels = figure.subplots(-(-len(names) // 3), 3, squeeze=False).ravel()
    for panel, name in zip(panels, names, strict=False):
        for method in methods:
            own = rows[(rows["set"] == name) & (rows["method"] == method)]
            errors = own.groupby("n")["error"].agg(["mean", "min", "max"])
            (line,) = panel.plot(errors["mean"], marker="o", label=METHODS[method])
            panel.fill_between(
                errors.index,
                errors["min"],
                errors["max"],
                alpha=0.15,
                color=line.get_color(),
            )
        panel.set(title=name, xscale="log", xlabel="labels", ylabel="error (%)")
        panel.set_xticks(sizes, [f"{n:,.0f}" for n in sizes])
        panel.set_xticks([], minor=True)
    for panel in panels[len(names) :]:
        panel.remove()
    lines = panels[0].get_lines()
    figure.legend(handles=lines, loc="outside lower center", ncols=len(lines))
    # A fixed salt makes the file reproducible.
    with matplotlib.rc_context({"svg.hashsalt": "study"}):
        figure.savefig(path, metadata={"Date": None})


def chosen(rows):
    """Return a list of the settings of the methods."""
    own = rows.drop_duplicates("method").set_index("method")["settings"]
    each = [
        f"- {METHODS[method]}: "
        + (", ".join(f"`{k}={v!r}`" for k, v in own[method].items()) or "defaults")
        for method in METHODS
        if method in own
    ]
    return "\n".join(each)


def how_many(rows):
    """Return the number of runs of a table, and their seeds."""
    seeds = ", ".join(str(seed) for seed in sorted(set(rows["seed"])))
    is_whole = rows.groupby("set")["seed"].nunique().eq(N_SEEDS).all()
    planned = "" if is_whole else f" of {N_SEEDS} planned seeds for each data set"
    return f"Error rate in percent, from {len(rows)} runs with seeds {seeds}{planned}."


def page(rows, plot=None):
    """Return the text of the page."""
    cut = CUTS[bool(rows["full"].all())]
    parts = ["# A study of the methods", f"{SETS} {cut}", HOW]
    claims = [verdict(claim, rows) for claim in CLAIMS]
    parts += ["## Claims", CLAIMS_HOW]
    parts += ["\n".join(c for c in [*claims, joint_cost(rows)] if c is not None)]
    for title, part, n in TABLES:
        own = complete(of_part(rows, part, n))
        if len(own):
            parts += [f"## {title}", how_many(own), error_table(own)]
        if len(own) and n is None:
            parts += [TIMES, seconds_table(own)]
    if plot is not None:
        parts.append(f"![Error against the number of labels](_static/{plot.name})")
    fields = ("date", "machine", "versions")
    about = [" and ".join(sorted(set(rows[field]))) for field in fields]
    command = "python benchmarks/method/study.py --data DIRECTORY main labels domain"
    command += " --full" if rows["full"].all() else ""
    date, machine, versions = about
    parts += [
        "## Settings",
        "The settings of the methods were chosen on splits of the training data:",
        chosen(rows),
        f"Measured with `{command}` on {date}. Machines: {machine}. "
        f"Versions: {versions}.",
    ]
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--full", action="store_true", help="use the runs with --full")
    arguments = parser.parse_args()
    results = read_rows(RESULTS, arguments.full)
    plot = None
    if len(of_part(results, "labels")):
        plot = PAGE.parent / "_static" / "study_labels.svg"
        plot_labels(results, plot)
    PAGE.write_text(page(results, plot))
