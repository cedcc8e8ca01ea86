"""Test the tables of the benchmarks against peers. No benchmark is run."""

import importlib
import json
import re
import sys
from pathlib import Path
from unittest.mock import MagicMock

import pandas as pd
import pytest
from versions import needs_newest

ROOT = Path(__file__).parents[1]
PEERS = ("sentence_transformers", "skrub", "setfit", "datasets", "accelerate")


def import_part(name, monkeypatch):
    """Import a module of the benchmarks, which are run from the root directory."""
    monkeypatch.syspath_prepend(str(ROOT))
    return importlib.import_module(f"benchmarks.peers.{name}")


@pytest.fixture
def report(monkeypatch):
    return import_part("_report", monkeypatch)


def row(model, seed, seconds, **others):
    about = {"part": "fit", "dataset": "trec", "rows": 5452, "trial": False}
    machine = {
        "date": "2026-11-23",
        "machine": "x86_64, 2 threads",
        "versions": "torch 2",
    }
    run = {"seed": seed, "model": model, "first": "ours"}
    measured = {"seconds": seconds, "cpu_seconds": 2 * seconds, "accuracy": 0.9}
    return {**about, **run, **measured, **machine, **others}


OTHER = "aarch64, 64 threads"
ROWS = [
    row("ours", 0, 10.0),
    row("trainer", 0, 30.0, accuracy=0.8),
    row("trainer", 1, 20.0, accuracy=0.7),  # "ours" with the same seed comes later
    row("ours", 1, 20.0),
    row("trainer", 2, 99.0, accuracy=0.6),  # "ours" was not run with this seed
    row("trainer", 0, 1.0, rows=16, trial=True),
    row("trainer", 0, 1.0, machine=OTHER),  # "ours" was not run on this machine
]


def test_parts_import_without_the_peers(monkeypatch):
    for name in [name for name in sys.modules if name.startswith("benchmarks")]:
        monkeypatch.delitem(sys.modules, name)
    for name in PEERS:
        monkeypatch.setitem(sys.modules, name, None)  # importing it fails
    parts = import_part("_parts", monkeypatch).PARTS
    for part in parts.values():
        assert part.METRIC in ("seconds", "gflops", "mebibytes")
        assert part.DATASETS
        assert part.REPEATS >= 3
        assert callable(part.contest)


def test_written_texts_that_are_test_texts_are_left_out(monkeypatch):
    few_shot = import_part("few_shot", monkeypatch)
    texts = {"play_music": ["Play a song!", "Play some jazz."], "joke": ["Be funny"]}
    names = {"play_music": "play music", "joke": "joke"}
    written = few_shot.with_names(texts, names, ["play  a song", "joke", "stop"])
    # Names are kept: they are labels, not texts that somebody could have copied.
    assert written == {
        "play_music": ["play music", "Play some jazz."],
        "joke": ["joke", "Be funny"],
    }
    assert few_shot.with_texts(["hi"], ["joke"], written) == (
        ["hi", "play music", "Play some jazz.", "joke", "Be funny"],
        ["joke", "play_music", "play_music", "joke", "joke"],
    )


def test_table_has_medians_ranges_and_ratios_of_equal_seeds(report):
    lines = report.table(ROWS).splitlines()
    (trainer,) = [
        line for line in lines if "5,452 | x86_64, 2 threads | trainer" in line
    ]
    cells = [cell.strip() for cell in trainer.strip("|").split("|")]
    assert cells[4:8] == ["trainer", "3", "30 s (20 to 99)", "60 s (40 to 198)"]
    assert cells[8] == "2 (1 to 3)"  # 30 / 10 and 20 / 20, not 99
    assert cells[9] == "accuracy 0.7 (0.6 to 0.8)"
    assert len([line for line in lines if "16 (trial)" in line]) == 1


def test_a_quality_is_a_mean_and_a_time_a_median(report):
    runs = {
        seed: row("ours", seed, 10.0 * seed, accuracy=accuracy, error=2e-7)
        for seed, accuracy in ((1, 0.5), (2, 0.6), (3, 0.85))
    }
    assert report.qualities(runs) == ["accuracy 0.65 (0.5 to 0.85)", "error 2e-07"]
    seconds = [run["seconds"] for run in runs.values()]
    assert report.spread([*seconds, 100.0], "s") == "25 s (10 to 100)"


def test_ratio_of_a_rate_is_ours_divided_by_theirs(report):
    rows = [
        row("bare encoder", 0, 1.0, part="limit", dataset="training", gflops=100.0),
        row("ours", 0, 1.0, part="limit", dataset="training", gflops=80.0),
    ]
    assert "| 0.8 |" in report.table(rows)


def test_one_thread_of_a_cpu_is_compared_by_processor_time(report):
    first = {0: row("ours", 0, 10.0)}
    other = {0: row("trainer", 0, 20.0, cpu_seconds=60.0)}
    assert report.ratios("fit", "x86_64, 1 threads, AVX2", first, other) == [3.0]
    assert report.ratios("fit", "x86_64, 2 threads, AVX2", first, other) == [2.0]
    assert report.ratios("fit", "x86_64, 11 threads, AVX2", first, other) == [2.0]
    gpu = "x86_64, 1 threads, AVX2, NVIDIA H200"
    assert report.ratios("fit", gpu, first, other) == [2.0]


def test_only_the_table_of_the_page_is_replaced(report):
    old = f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n"
    new = report.renewed(old, ROWS)
    assert "old" not in new
    assert new.startswith("before\n")
    assert new.endswith("\nafter\n")
    shown = "| fit, trec, 5,452 texts | trainer | 15 s | 30 s | 2 (1 to 3) |"
    assert shown in new
    assert "16 texts" not in new  # trial rows are not shown
    assert OTHER not in new
    assert report.renewed(new, ROWS) == new
    assert report.renewed(old, []) == old
    assert report.renewed(old, ROWS[-2:]) == old


def test_page_matches_the_results(report):
    page = report.PAGE.read_text(encoding="utf-8")
    assert page.count(report.BEGIN) == page.count(report.END) == 1
    assert report.renewed(page, report.read_rows()) == page


def test_the_bars_are_the_ratios_of_runs_with_the_same_seed(monkeypatch):
    plot = import_part("_plot", monkeypatch)
    assert plot.compared(ROWS) == [
        ("fine-tune, trec, 5,452 texts\ntrainer", [3.0, 1.0]),
    ]


@needs_newest
def test_the_bars_match_the_results(report, monkeypatch, tmp_path):
    plot = import_part("_plot", monkeypatch)
    plot.plot(report.read_rows(), tmp_path / "peers.svg")
    drawn = (tmp_path / "peers.svg").read_text(encoding="utf-8")
    assert drawn == plot.PLOT.read_text(encoding="utf-8")


@pytest.fixture
def defaults(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module("plot_defaults")


def test_the_figure_shows_the_most_labels_that_all_methods_have(defaults):
    rows = [
        {"n": n, "seed": seed, "method": method, "accuracy": 0.5 + n / 1e4 + seed / 10}
        for n, seeds in ((200, (0, 1)), (2000, (0, 2)))
        for seed in seeds
        for method in defaults.METHODS
    ]
    rows.pop()  # seed 2 lacks a method
    rows = pd.DataFrame(rows).assign(part="test", dataset="trec", changed=[{}] * 15)
    changed = rows.assign(changed=[{"max_epochs": 1}] * 15, n=5000)
    development = rows.assign(part="development", n=6000)
    cells = defaults.largest(pd.concat([rows, changed, development]))
    assert cells["n"].to_dict() == {"trec": 2000}
    assert cells["default"].to_dict() == {"trec": pytest.approx(0.7)}


@needs_newest
def test_the_figure_matches_the_results(defaults, tmp_path):
    rows = pd.read_json(defaults.RESULTS, lines=True)
    cells = defaults.largest(rows)
    assert set(cells.index) == set(defaults.NAMES)
    defaults.plot(cells, tmp_path / "defaults.svg")
    drawn = (tmp_path / "defaults.svg").read_text(encoding="utf-8")
    assert drawn == defaults.PLOT.read_text(encoding="utf-8")
    others = cells.drop(columns=["n", "default"])
    assert others.lt(cells["default"], axis=0).all(axis=None)  # as its text says


@pytest.mark.parametrize("path", ["README.md", "docs/guide/defaults.md"])
def test_accuracies_of_the_defaults_match_the_results(path, defaults):
    rows = pd.read_json(defaults.RESULTS, lines=True)
    means = defaults.means(rows)
    table = re.findall(
        r"^\| ([^|]+) \| ([\d,]+) \|((?: [\d.*]+ \|){4})",
        (ROOT / path).read_text(encoding="utf-8"),
        flags=re.MULTILINE,
    )
    assert len(table) >= 6
    keys = {name: key for key, name in defaults.NAMES.items()}
    keys |= {"TREC": "trec", "a part of AG News": "ag_news"}
    keys |= {"a part of DBpedia": "dbpedia14"}
    for name, n, values in table:
        shown = [float(value) for value in re.findall(r"[\d.]+", values)]
        cell = means.loc[keys[name], int(n.replace(",", ""))]
        assert shown == pytest.approx(cell.tolist(), abs=5.1e-4), (name, n)


def test_runs_with_results_are_not_repeated(monkeypatch, tmp_path, capsys):
    contests = import_part("_contest", monkeypatch)
    for name in ("quieten", "gc"):  # they affect the whole test process
        monkeypatch.setattr(contests, name, MagicMock())
    calls = []

    class Part:
        REPEATS, DATASETS = 3, {"trec": None}

        @staticmethod
        def contest(data, dataset, rows, seed):
            return contests.Contest(
                7, {name: lambda name=name: measure(name, seed) for name in "ab"}
            )

    def measure(name, seed):
        calls.append((seed, name))
        return {"seconds": 1.0}

    main = import_part("__main__", monkeypatch)
    results = tmp_path / "peers.jsonl"
    given = ["--data", "D", "--repeats", "2", "--results", str(results)]
    contests.run("fit", Part, main.parse(["fit", *given, "--model", "a"]))
    contests.run("fit", Part, main.parse(["fit", *given]))
    contests.run("fit", Part, main.parse(["fit", *given]))
    assert calls == [(0, "a"), (1, "a"), (0, "b"), (1, "b")]
    rows = [json.loads(line) for line in results.read_text().splitlines()]
    assert {(each["rows"], each["first"]) for each in rows} == {(7, "a")}
    assert all(each["threads"] >= 1 and each["cores"] >= 1 for each in rows)

    contests.run("fit", Part, main.parse(["fit", *given, "--rows", "7"]))
    assert len(calls) == 8  # trials run but are not written
    assert len(results.read_text().splitlines()) == 4
    assert len(capsys.readouterr().out.splitlines()) == 8
