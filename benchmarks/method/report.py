"""Tables, plots and claims of the study's results.

python benchmarks/method/report.py           # writes docs/study.md and its plots
python benchmarks/method/report.py --full    # of the runs with --full

Errors are shares of test texts, in percent: mean over seeds, and where there are
several, least and most. Seconds, of the process on all its cores, are ratios of two
fits with the same data, seed and kind of machine. A difference is paired by seed, and
its 95 % interval is Student's over the means of the data sets: their seeds are few.
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
    "frozen": "frozen, attention",
    "attention": "attention",
    "sequential": "language model, attention",
    "joint": "joint",
    "hybrid": "LSTM hybrid",
}
BASE = "plain"
N_SEEDS = 3  # that the study plans
SETS = (
    "The encoder is the default, all-MiniLM-L6-v2. `trec` has its official 500 test "
    "texts, all others 2,000: `imdb` of its official ones; `ag_news` and `dbpedia14` "
    "are parts of the published sets, both `yelp` stand-ins for them."
)
CUTS = {
    False: "Training sets are cut at 2,000 texts, and texts at their first and last 24 "
    "words, for all methods, language models included.",
    True: "Training sets have up to 10,000 texts, texts up to 256 tokens.",
}
# What the paper claims, or the project aims at: part, labels, method, beside which.
CLAIMS = {
    "On training sets of up to 2,000 texts the language model's stage with attention "
    "makes fewer errors than plain fine-tuning": ("main", None, "sequential", "plain"),
    "Attention makes fewer errors than the mean of the last layer": (
        "main",
        None,
        "attention",
        "plain",
    ),
    "With 200 labels the language model's stage with attention makes fewer errors than "
    "plain fine-tuning": ("labels", 200, "sequential", "plain"),
    "With 50 labels the language model's stage with attention makes fewer errors than "
    "plain fine-tuning": ("labels", 50, "sequential", "plain"),
    "In a new domain the language model's stage with attention makes fewer errors than "
    "plain fine-tuning": ("domain", None, "sequential", "plain"),
    "Joint training makes fewer errors than the sequential stages": (
        "main",
        None,
        "joint",
        "sequential",
    ),
}
TABLES = (  # title, part, labels
    ("Six sets", "main", None),
    ("A new domain", "domain", None),
    ("50 labels", "labels", 50),
    ("200 labels", "labels", 200),
    ("1,000 labels", "labels", 1000),
)


def read_rows(path, full):
    """Read the runs whose test sets count, as a data frame."""
    rows = pd.DataFrame([json.loads(line) for line in path.read_text().splitlines()])
    rows = rows[(~rows["part"].isin(["lm", "tune"])) & (rows["full"] == full)]
    set_ = rows["dataset"].where(
        rows["dataset"] == rows["test"], rows["dataset"] + " to " + rows["test"]
    )
    return rows.assign(set=set_, error=100 * (1 - rows["accuracy"]))


def of_part(rows, part, n=None):
    """Take the runs of a part, with so many labels if `n` is given."""
    return rows[(rows["part"] == part) & (True if n is None else rows["n"] == n)]


def complete(rows):
    """Leave out a data set's seeds that not all methods have: means are of the same."""
    each = rows.groupby(["set", "seed", "n"], dropna=False)
    n_methods = each["method"].transform("nunique")
    return rows[n_methods == rows["method"].nunique()]


def by_seed(rows, values, within=()):
    """Lay methods beside one another: a row for each data set and seed."""
    index = ["set", "seed", *within]
    return rows.pivot_table(index=index, columns="method", values=values)


def seconds_by_seed(rows):
    """Lay the seconds of fits beside one another; of a machine, which decides them."""
    return by_seed(rows, "fit_cpu_seconds", within=["machine"])


def error_table(rows):
    """Return the text of a table: sets below one another, methods beside."""
    methods = [method for method in METHODS if method in set(rows["method"])]
    table = {}
    for method in methods:
        errors = rows[rows["method"] == method].groupby("set")["error"]
        cells = errors.agg(lambda e: _cell(e, e.mean(), 1))
        cells["mean"] = f"{errors.mean().mean():.1f}"
        table[METHODS[method]] = cells
    table = pd.DataFrame(table).fillna("")
    order = [name for name in table.index if name != "mean"]
    return table.loc[[*order, "mean"]].to_markdown(disable_numparse=True)


def _cell(values, middle, digits):
    """Write what is in the middle of some values, and their spread if they are some."""
    if not len(values):
        return ""
    numbers = [f"{each:.{digits}f}" for each in (middle, values.min(), values.max())]
    return "{} ({} to {})".format(*numbers) if len(values) > 1 else numbers[0]


def seconds_table(rows):
    """Return the text of a table of how long fits take beside plain ones."""
    seconds = seconds_by_seed(rows)
    ratios = seconds.div(seconds[BASE], axis=0).drop(columns=BASE)
    ratios = ratios[[method for method in METHODS if method in ratios]]
    cells = ratios.groupby("set").agg(lambda r: _cell(r.dropna(), r.median(), 2))
    return cells.rename(columns=METHODS).to_markdown(disable_numparse=True)


def differences(rows, method, beside, values="error"):
    """Return the mean difference of two methods on each set, paired by seed."""
    pairs = by_seed(rows, values)
    if not {method, beside} <= set(pairs):
        return pd.Series(dtype=float)
    return (pairs[method] - pairs[beside]).dropna().groupby("set").mean()


def interval(values):
    """Return mean and 95 % interval of a mean."""
    mean, error = np.mean(values), scipy.stats.sem(values)
    half = error * scipy.stats.t.ppf(0.975, len(values) - 1)
    return mean, mean - half, mean + half


def verdict(claim, rows):
    """Return a sentence on a claim; None if it was not measured."""
    part, n, method, beside = CLAIMS[claim]
    each = differences(of_part(rows, part, n), method, beside)
    if len(each) < 2:
        return None
    mean, low, high = interval(each)
    said = "shown" if high < 0 else "the opposite" if low > 0 else "not shown"
    return (
        f"- {claim}: **{said}**. The difference is {mean:+.2f} points (95 % interval "
        f"{low:+.2f} to {high:+.2f}); it is lower on {(each < 0).sum()} of "
        f"{len(each)} sets."
    )


def joint_cost(rows):
    """Return a sentence on what joint training saves, and what it costs."""
    rows = of_part(rows, "main")
    seconds = seconds_by_seed(rows)
    if not {"joint", "sequential"} <= set(seconds):
        return None
    ratios = (seconds["joint"] / seconds["sequential"]).dropna()
    if ratios.empty:
        return None
    lost = differences(rows, "joint", "sequential").mean()
    return (
        f"- Joint training takes {ratios.median():.2f} of the time of the sequential "
        f"stages (median; {ratios.min():.2f} to {ratios.max():.2f}), and makes "
        f"{abs(lost):.2f} points {'more' if lost > 0 else 'fewer'} of errors."
    )


def plot_labels(rows, path):
    """Draw errors against the number of labels, a panel for each set.

    Those of `main` are the most: there too, the language model reads all the texts.
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
        panel.set(title=name, xscale="log", xlabel="labels", ylabel="error, %")
        panel.set_xticks(sizes, [f"{n:,.0f}" for n in sizes])
        panel.set_xticks([], minor=True)
    for panel in panels[len(names) :]:
        panel.remove()
    lines = panels[0].get_lines()
    figure.legend(handles=lines, loc="outside lower center", ncols=len(lines))
    with matplotlib.rc_context({"svg.hashsalt": "study"}):  # the same file each time
        figure.savefig(path, metadata={"Date": None})


def chosen(rows):
    """Return a sentence on what the methods were run with."""
    own = rows.drop_duplicates("method").set_index("method")["settings"]
    each = [
        f"{METHODS[method]}: "
        + (", ".join(f"`{k}={v!r}`" for k, v in own[method].items()) or "defaults")
        for method in METHODS
        if method in own
    ]
    return f"Chosen on splits of training data: {'; '.join(each)}."


def how_many(rows):
    """Return a sentence on what runs a table is of."""
    seeds = ", ".join(str(seed) for seed in sorted(set(rows["seed"])))
    is_whole = rows.groupby("set")["seed"].nunique().eq(N_SEEDS).all()
    so_far = "" if is_whole else f" so far; a set is to have {N_SEEDS}"
    return f"{len(rows)} runs, seeds {seeds}{so_far}."


def page(rows, plot=None):
    """Return the text of the page."""
    how = __doc__.split("\n\n")[2].replace("\n", " ").strip()
    parts = ["# The study", f"{SETS} {CUTS[bool(rows['full'].all())]}", how]
    claims = [verdict(claim, rows) for claim in CLAIMS]
    parts += ["\n".join(c for c in [*claims, joint_cost(rows)] if c is not None)]
    parts.append(chosen(rows))
    for title, part, n in TABLES:
        own = complete(of_part(rows, part, n))
        if len(own):
            parts += [f"## {title}", how_many(own), error_table(own)]
        if len(own) and n is None:
            parts += ["Seconds of a fit beside plain fine-tuning:", seconds_table(own)]
    if plot is not None:
        parts.append(f"![Errors against labels](_static/{plot.name})")
    fields = ("date", "machine", "versions")
    about = [" and ".join(sorted(set(rows[field]))) for field in fields]
    command = "python benchmarks/method/study.py --data DIRECTORY main labels domain"
    command += " --full" if rows["full"].all() else ""
    parts.append(f"By `{command}` ({'; '.join(about)}).")
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--full", action="store_true", help="the runs of a GPU")
    arguments = parser.parse_args()
    results = read_rows(RESULTS, arguments.full)
    plot = None
    if len(of_part(results, "labels")):
        plot = PAGE.parent / "_static" / "study_labels.svg"
        plot_labels(results, plot)
    PAGE.write_text(page(results, plot))
