"""Medians, spreads and ratios of the results, as tables for the screen and README."""

import json
import statistics
from collections import defaultdict
from pathlib import Path

from ._contest import RESULTS_FILE
from ._parts import PARTS

README = Path(__file__).parents[2] / "README.md"
BEGIN, END = "<!-- python -m benchmarks.peers --readme -->", "<!-- to here -->"
UNITS = {"seconds": "s", "gflops": "GFLOP/s", "mebibytes": "MiB"}
QUALITIES = ("accuracy", "error")
# Of the README: those with peers.
SHOWN = ("transform", "fit", "grid", "few-shot", "latency", "limit")


def read_rows(path=RESULTS_FILE):
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text().splitlines()]


def group(rows, parts=()):
    """Yield (part, dataset, texts, machine) and {model: {seed: row}} of each contest.

    In the order of the parts; of a trial, the number of texts says so.
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
    """Return the model that the others are compared with, None if it was not run."""
    runs = next(iter(models.values()))
    first = next(iter(runs.values()))["first"]
    return first if first in models else None


def ratios(part, first, other):
    """Return the ratios of two models' runs with the same seed.

    How many times as much the other took; of a rate, what share of it ours reaches.
    """
    metric = PARTS[part].METRIC
    pairs = [
        (first[seed][metric], other[seed][metric])
        for seed in sorted(first.keys() & other.keys())
    ]
    if getattr(PARTS[part], "IS_RATE", False):
        return [ours / theirs for ours, theirs in pairs]
    return [theirs / ours for ours, theirs in pairs]


def spread(values, unit=""):
    """Write a median and, if there are several values, least and most."""
    values = sorted(values)
    text = f"{short(statistics.median(values))} {unit}".strip()
    if len(values) == 1:
        return text
    return f"{text} ({short(values[0])} to {short(values[-1])})"


def short(value):
    """Write a number with three digits, without an exponent if it is not tiny."""
    return f"{value:.3g}" if 0.001 <= abs(value) < 1000 else f"{value:,.6g}"


def qualities(runs):
    """Write accuracies and errors of a model's runs."""
    return [
        f"{name} {spread([row[name] for row in runs.values()])}"
        for name in QUALITIES
        if all(name in row for row in runs.values())
    ]


def table(rows, parts=()):
    """Write all there is: a line for each model of each contest."""
    header = ("part", "data", "texts", "machine", "model", "runs", "median", "CPU")
    lines = [(*header, "ratio", "quality")]
    for key, models in group(rows, parts):
        first = first_of(models)
        metric = PARTS[key[0]].METRIC
        for model, runs in models.items():
            against = ratios(key[0], models[first], runs) if first else []
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
    """Write a table; the first line is its header."""
    rows = [f"| {' | '.join(map(str, line))} |" for line in lines]
    return "\n".join([rows[0], "|" + "---|" * len(lines[0]), *rows[1:]])


def section(rows):
    """Write the README's table, or return None if there is nothing to write of."""
    rows = [row for row in rows if not row["trial"]]
    header = ("what", "beside", "ours", "theirs", "ratio", "quality: ours; theirs")
    lines = [(*header, "machine")]
    used = []
    for (part, dataset, texts, where), models in group(rows, SHOWN):
        first = first_of(models)
        for model in [model for model in models if first and model != first]:
            against = ratios(part, models[first], models[model])
            if not against:
                continue
            used += [*models[first].values(), *models[model].values()]
            metric = PARTS[part].METRIC
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
    """Say what the table is and with what its rows were measured."""
    versions = sorted({f"{row['machine']}: {row['versions']}" for row in rows})
    dates = sorted({row["date"] for row in rows})
    when = dates[0] if len(dates) == 1 else f"{dates[0]} to {dates[-1]}"
    return (
        "Medians over seeds, with the least and most ratio of two runs with the same "
        "seed, or of one run where none are given: their time divided by ours, in "
        "`limit` our GFLOP/s divided by theirs. "
        "By `python -m benchmarks.peers PART --threads 1 --data DIRECTORY` (latency "
        "without `--threads`); the files in `benchmarks/peers` say what each does. "
        f"{when}; {'; '.join(versions)}; the peers' versions are in the results."
    )


def renewed(readme, rows):
    """Return the README with its section made of the rows; without rows, as it is."""
    made = section(rows)
    if made is None:
        return readme
    before, _, rest = readme.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{made}\n\n{END}{after}"


def renew_readme(rows):
    README.write_text(renewed(README.read_text(), rows))
