"""What the study's report says of results that are made up. Nothing is measured."""

import importlib.util
from pathlib import Path

import pandas as pd
import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def report():
    path = ROOT / "benchmarks" / "method" / "report.py"
    spec = importlib.util.spec_from_file_location("study_report", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run(dataset, method, seed, accuracy, **others):
    about = {"date": "2026-11-26", "machine": "x86_64", "versions": "torch 2"}
    return {
        "part": "main",
        "dataset": dataset,
        "test": dataset,
        "method": method,
        "n": 2000,
        "seed": seed,
        "settings": {},
        "full": False,
        "accuracy": accuracy,
        "fit_cpu_seconds": {"plain": 10, "sequential": 40, "joint": 20}[method],
        **about,
        **others,
    }


def rows_of(report, runs, tmp_path, full=False):
    path = tmp_path / "method.jsonl"
    pd.DataFrame(runs).to_json(path, orient="records", lines=True)
    return report.read_rows(path, full)


# Errors in points: plain 20, 22; sequential 1, 2 and 3 points less on three sets.
RUNS = [
    run(name, method, seed, 0.8 - 0.02 * seed + gain)
    for name, better in (("trec", 0.01), ("imdb", 0.02), ("ag_news", 0.03))
    for seed in (0, 1)
    for method, gain in (("plain", 0.0), ("sequential", better), ("joint", 0.01))
]


def test_errors_are_means_over_seeds_with_their_spread(report, tmp_path):
    table = report.error_table(rows_of(report, RUNS, tmp_path))
    assert "| trec    | 21.0 (20.0 to 22.0)" in table
    assert "20.0 (19.0 to 21.0)" in table
    (mean,) = [line for line in table.splitlines() if line.startswith("| mean")]
    cells = [cell.strip() for cell in mean.strip("|").split("|")]
    assert cells == ["mean", "21.0", "19.0", "20.0"]


def test_differences_are_paired_by_seed(report, tmp_path):
    # Seed 2 of plain has nothing beside it.
    runs = [*RUNS, run("trec", "plain", 2, 0.1)]
    each = report.differences(rows_of(report, runs, tmp_path), "sequential", "plain")
    assert each.round(6).to_dict() == {"trec": -1.0, "imdb": -2.0, "ag_news": -3.0}
    mean, low, high = report.interval(each)
    # Three means with standard deviation 1: 4.303 * 1 / sqrt(3).
    assert (mean, low, high) == pytest.approx((-2, -4.484, 0.484), abs=1e-3)


@pytest.mark.parametrize(
    ("gains", "said"),
    [
        ((0.010, 0.011, 0.012), "**shown**"),
        ((-0.010, -0.011, -0.012), "**the opposite**"),
        ((0.010, -0.010, 0.001), "**not shown**"),
    ],
)
def test_a_claim_is_shown_if_the_interval_leaves_zero_out(
    gains, said, report, tmp_path
):
    runs = [
        run(name, method, 0, 0.8 + (method == "sequential") * gain)
        for name, gain in zip(("trec", "imdb", "ag_news"), gains, strict=True)
        for method in ("plain", "sequential")
    ]
    rows = rows_of(report, runs, tmp_path)
    sentences = [report.verdict(claim, rows) for claim in report.CLAIMS]
    (sentence,) = [each for each in sentences if each is not None]
    assert said in sentence
    assert f"lower on {sum(g > 0 for g in gains)} of 3 sets" in sentence


def test_the_page_has_all_parts_and_only_the_runs_asked_for(report, tmp_path):
    runs = [
        *RUNS,
        *(
            {**each, "part": "labels", "n": n}
            for each in RUNS
            if each["method"] != "joint"
            for n in (50, 200)
        ),
        *(
            {**each, "part": "domain", "test": "yelp_polarity_like"}
            for each in RUNS
            if each["dataset"] == "imdb"
        ),
        run("trec", "plain", 0, 0.123, full=True),
        run("trec", "plain", 0, 0.123, part="tune"),
    ]
    rows = rows_of(report, runs, tmp_path)
    plot = tmp_path / "study_labels.svg"
    report.plot_labels(rows, plot)
    assert "imdb" in plot.read_text()
    text = report.page(rows, plot)
    for title in ("Six sets", "A new domain", "50 labels", "200 labels"):
        assert f"## {title}\n" in text
    assert "imdb to yelp_polarity_like" in text
    assert "Joint training takes 0.50 of the time" in text
    assert "makes +1.00 points" in text  # 1 point of gain beside 2 on average
    assert "87.7" not in text
    full = report.page(rows_of(report, runs, tmp_path, full=True))
    assert "87.7" in full
    assert " labels\n" not in full
    assert "domain --full`" in full
