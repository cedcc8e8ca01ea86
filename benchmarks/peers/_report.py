"""Tables of the results for the screen and the page of the benchmarks."""

import json
import statistics
from collections import defaultdict
from pathlib import Path

from ._contest import RESULTS_FILE
from ._parts import PARTS

PAGE = Path(__file__).parents[2] / "docs" / "benchmarks.md"
BEGIN, END = "<!-- python -m benchmarks.peers --page -->", "<!-- to here -->"
UNITS = {"seconds": "s", "cpu_seconds": "s", "gflops": "GFLOP/s", "mebibytes": "MiB"}
QUALITIES = ("accuracy", "error")
# The parts on the page: those that compare with other software.
SHOWN = ("transform", "fit", "grid", "few-shot", "latency")


def read_rows(path=RESULTS_FILE):
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text().splitlines()]


def group(rows, parts=()):
    """Yield (part, dataset, texts, machine) and {model: {seed: row}} of each contest.

    The order is that of the parts. The number of texts of a trial is marked.
    """
    groups = defaultdict(lambda: defaultdict(dict))
    for row in rows:
        if not parts or row["part"] in parts:
            texts = f"{row['rows']:,}" + (" (trial)" if row["trial"] else "")
            key = (row["part"], row["dataset"], texts, row["machine"])
            groups[key][row["model"]][row["seed"]] = row
    order = list(PARTS)
    for key in sorted(groups, key=lambda key: (order.index(key[0]), *key[1:])):
        yield key, groups[key]


def first_of(models):
    """Return the model that the others are compared with, or None without its runs."""
    runs = next(iter(models.values()))
    first = next(iter(runs.values()))["first"]
    return first if first in models else None


def metric_of(part, where):
    """Return what is compared in a part on a machine.

    This is the processor time instead of the elapsed time if one thread of a CPU
    computes, because other work on the machine changes it less.
    """
    metric = PARTS[part].METRIC
    is_one_thread = ", 1 threads" in where and "NVIDIA" not in where
    return f"cpu_{metric}" if metric == "seconds" and is_one_thread else metric


def ratios(part, where, first, other):
    """Return the ratios of two models' runs with the same seed.

    The ratio of times is that of the other model divided by the first. The ratio of
    rates is the rate of the first model divided by that of the other.
    """
    metric = metric_of(part, where)
    pairs = [
        (first[seed][metric], other[seed][metric])
        for seed in sorted(first.keys() & other.keys())
    ]
    if getattr(PARTS[part], "IS_RATE", False):
        return [ours / theirs for ours, theirs in pairs]
    return [theirs / ours for ours, theirs in pairs]


def spread(values, unit="", center=statistics.median):
    """Format the median. If the values differ, add minimum and maximum."""
    text = f"{short(center(values))} {unit}".strip()
    low, high = short(min(values)), short(max(values))
    return text if low == high else f"{text} ({low} to {high})"


def short(value):
    """Format a number with three digits, with an exponent only if it is tiny."""
    return f"{value:.3g}" if 0.001 <= abs(value) < 1000 else f"{value:,.6g}"


def qualities(runs):
    """Format the mean accuracies and errors of a model's runs."""
    return [
        f"{name} {spread([row[name] for row in runs.values()], center=statistics.mean)}"
        for name in QUALITIES
        if all(name in row for row in runs.values())
    ]


def table(rows, parts=()):
    """Return the full table, with a line for each model of each contest."""
    header = ("part", "data", "texts", "machine", "model", "runs", "median")
    lines = [(*header, "processor time", "ratio", "quality")]
    for key, models in group(rows, parts):
        first = first_of(models)
        metric = PARTS[key[0]].METRIC
        for model, runs in models.items():
            against = ratios(key[0], key[-1], models[first], runs) if first else []
            cpu = [r["cpu_seconds"] for r in runs.values() if "cpu_seconds" in r]
            lines.append(
                (
                    *key,
                    model,
                    len(runs),
                    spread([r[metric] for r in runs.values()], UNITS[metric]),
                    spread(cpu, "s") if cpu else "",
                    spread(against) if against and model != first else "",
                    ", ".join(qualities(runs)),
                )
            )
    return markdown(lines)


def markdown(lines):
    """Format a Markdown table. The first line is its header."""
    rows = [f"| {' | '.join(map(str, line))} |" for line in lines]
    return "\n".join([rows[0], "|" + "---|" * len(lines[0]), *rows[1:]])


def section(rows):
    """Return the table of the page, or None without results."""
    rows = [row for row in rows if not row["trial"]]
    header = ("benchmark", "compared with", "ours", "theirs", "ratio")
    lines = [(*header, "quality (ours; theirs)", "machine")]
    used = []
    for (part, dataset, texts, where), models in group(rows, SHOWN):
        first = first_of(models)
        for model in [model for model in models if first and model != first]:
            against = ratios(part, where, models[first], models[model])
            if not against:
                continue
            used += [*models[first].values(), *models[model].values()]
            metric = metric_of(part, where)
            medians = [
                statistics.median(row[metric] for row in models[name].values())
                for name in (first, model)
            ]
            marks = [", ".join(qualities(models[name])) for name in (first, model)]
            lines.append(
                (
                    f"{part}, {dataset}, {texts} texts",
                    model,
                    *(f"{short(each)} {UNITS[metric]}" for each in medians),
                    spread(against),
                    "; ".join(marks) if any(marks) else "",
                    where,
                )
            )
    if not used:
        return None
    return f"{markdown(lines)}\n\n{explained(used)}"


def explained(rows):
    """Return a text that explains the table and how it was measured."""
    versions = sorted({f"{row['machine']}: {row['versions']}" for row in rows})
    dates = sorted({row["date"] for row in rows})
    when = dates[0] if len(dates) == 1 else f"{dates[0]} to {dates[-1]}"
    return (
        "On one thread of a CPU, times are processor times, otherwise elapsed times. "
        "Times and ratios are medians over the seeds; accuracies and errors are means. "
        "The minimum and maximum are in parentheses. Values without a range are from "
        "a single run, or equal in all runs. The ratio is their time divided by ours, "
        "for runs with the same seed. Measured with `python -m benchmarks.peers PART "
        "--threads 1 --data DIRECTORY` on "
        f"{when}. The modules in `benchmarks/peers` describe each benchmark. Versions: "
        f"{'; '.join(versions)}. The versions of the other packages are in the results "
        "file."
    )


def renewed(page, rows):
    """Return the page with a renewed table. Without results, return it unchanged."""
    made = section(rows)
    if made is None:
        return page
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{made}\n\n{END}{after}"


def renew_page(rows):
    text = renewed(PAGE.read_text(encoding="utf-8"), rows)
    PAGE.write_text(text, encoding="utf-8")
