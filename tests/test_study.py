"""Test which runs the study plans, and the report on made-up results.

No benchmark is run.
"""

import importlib.util
import sys
from pathlib import Path

import pandas as pd
import pytest
from versions import needs_newest

pytestmark = needs_newest
ROOT = Path(__file__).parents[1]


def load(name):
    path = ROOT / "benchmarks" / "method" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"method_{name}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def report():
    return load("report")


@pytest.fixture
def study(monkeypatch, tmp_path):
    """Return the study, with empty results and 3,000 made-up texts per data set."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.delitem(sys.modules, "_common", raising=False)
    study = load("study")
    monkeypatch.setattr(study, "FILE", tmp_path / "method.jsonl")
    # The study deletes directories there.
    monkeypatch.setattr(study, "CACHE", tmp_path / "models")

    def read(data, name, part):
        texts = [f"{name} {part} {i}" for i in range(3000)]
        return texts, ["good", "bad"] * 1500

    monkeypatch.setattr(study, "read", read)
    monkeypatch.setattr(sys.modules["_common"], "read", read)
    yield study
    sys.modules.pop("_common")


def run(dataset, method, seed, accuracy, **others):
    return {
        "part": "trained",
        "dataset": dataset,
        "method": method,
        "n": 2000,
        "seed": seed,
        "accuracy": accuracy,
        "fit_cpu_seconds": {"attention": 10, "sequential": 40, "joint": 20}[method],
        "layers": [0.25, 0.75],
        "date": "2026-11-26",
        "machine": "x86_64",
        "precision": "torch.float32",
        "versions": "torch 2",
        **others,
    }


def rows_of(report, runs, tmp_path):
    path = tmp_path / "method.jsonl"
    pd.DataFrame(runs).to_json(path, orient="records", lines=True)
    return report.read_rows(path)


# Error rates: 20 % and 22 % for attention. Those of sequential are 1, 2 and 3
# percentage points lower on the three data sets.
RUNS = [
    run(name, method, seed, 0.8 - 0.02 * seed + gain)
    for name, better in (("trec", 0.01), ("imdb", 0.02), ("ag_news", 0.03))
    for seed in (0, 1)
    for method, gain in (("attention", 0.0), ("sequential", better), ("joint", 0.01))
]


def test_error_table_has_means_and_ranges_over_seeds(report, tmp_path):
    table = report.error_table(rows_of(report, RUNS, tmp_path))
    assert "| trec       | 21.0 (20.0 to 22.0)" in table
    assert "20.0 (19.0 to 21.0)" in table
    (mean,) = [line for line in table.splitlines() if line.startswith("| mean")]
    cells = [cell.strip() for cell in mean.strip("|").split("|")]
    assert cells == ["mean", "21.0", "19.0", "20.0"]


def test_tables_use_only_seeds_that_all_methods_have(report, tmp_path):
    runs = [*RUNS, run("trec", "attention", 2, 0.1), run("imdb", "joint", 2, 0.1)]
    rows = rows_of(report, runs, tmp_path)
    pd.testing.assert_frame_equal(
        report.complete(rows), rows_of(report, RUNS, tmp_path)
    )


def test_times_are_compared_on_the_same_kind_of_machine(report, tmp_path):
    # On another machine, joint was run with seed 2, and on "new" with all seeds.
    faster = {"machine": "arm64", "fit_cpu_seconds": 2}
    runs = [
        *RUNS,
        run("trec", "attention", 2, 0.8),
        run("trec", "joint", 2, 0.8, **faster),
    ]
    runs += [run("new", "attention", 0, 0.8), run("new", "joint", 0, 0.8, **faster)]
    table = report.seconds_table(rows_of(report, runs, tmp_path), "attention")
    table = table.splitlines()
    (trec,) = [line for line in table if line.startswith("| trec")]
    (new,) = [line for line in table if line.startswith("| new")]
    assert "2.00 (2.00 to 2.00)" in trec
    assert [cell.strip() for cell in new.strip("|").split("|")] == ["new", "", ""]


def test_differences_are_paired_by_seed(report, tmp_path):
    # With seed 2, only attention was run.
    runs = [*RUNS, run("trec", "attention", 2, 0.1)]
    rows = rows_of(report, runs, tmp_path)
    each = report.differences(rows, "sequential", ["attention"])
    assert each.round(6).to_dict() == {"trec": -1.0, "imdb": -2.0, "ag_news": -3.0}
    mean, low, high = report.interval(each)
    # Three means with standard deviation 1: half width 4.303 * 1 / sqrt(3).
    assert (mean, low, high) == pytest.approx((-2, -4.484, 0.484), abs=1e-3)


@pytest.mark.parametrize(
    ("gains", "said"),
    [
        ((0.010, 0.011, 0.012), "**supported**"),
        ((-0.010, -0.011, -0.012), "**contradicted**"),
        ((0.010, -0.010, 0.001), "**not supported**"),
    ],
)
def test_claim_is_supported_if_interval_excludes_zero(gains, said, report, tmp_path):
    runs = [
        run(name, method, 0, 0.8 + (method == "sequential") * gain)
        for name, gain in zip(("trec", "imdb", "ag_news"), gains, strict=True)
        for method in ("attention", "sequential")
    ]
    rows = rows_of(report, runs, tmp_path)
    sentences = [report.verdict(claim, rows) for claim in report.CLAIMS]
    (sentence,) = [each for each in sentences if each is not None]
    assert said in sentence
    assert f"lower on {sum(g > 0 for g in gains)} of 3 data sets" in sentence


def test_the_best_reference_is_chosen_for_each_seed(report, tmp_path):
    accuracies = {
        "attention": (0.9, 0.8),
        "joint": (0.7, 0.85),
        "sequential": (0.9, 0.9),
    }
    runs = [
        run("trec", method, seed, accuracies[method][seed])
        for method in accuracies
        for seed in (0, 1)
    ]
    rows = rows_of(report, runs, tmp_path)
    each = report.differences(rows, "sequential", ["attention", "joint"])
    assert each.round(6).to_dict() == {"trec": -2.5}  # 0 and -5


def test_page_has_all_parts(report, tmp_path):
    few = [{**each, "n": n} for each in RUNS for n in (50, 200)]
    frozen = [
        {
            **each,
            "part": "frozen",
            "method": {"attention": "frozen attention"}.get(
                each["method"], "regression"
            ),
        }
        for each in RUNS
        if each["method"] != "joint"
    ]
    rows = rows_of(report, [*RUNS, *few, *frozen], tmp_path)
    plot = tmp_path / "study_labels.svg"
    report.plot_labels(rows, plot)
    assert "imdb" in plot.read_text()
    text = report.page(rows, "In short.", plot)
    assert "\n\nIn short.\n\n" in text
    for title in ("A frozen encoder, 2,000", "A trained encoder, 50"):
        assert f"### {title} labels\n" in text
    assert "A larger encoder" not in text
    assert f"{len(RUNS)} runs. Seeds: 0, 1. 3 seeds are planned." in text
    cells = {tuple(map(str.strip, line.split("|"))) for line in text.splitlines()}
    assert ("", "trec", "layer and token attention", "0.25", "0.75", "") in cells
    # The made-up runs of a frozen encoder have the same errors and times.
    assert ("", "2,000", "imdb", "21.0", "21.0", "100", "") in cells
    assert "DIRECTORY frozen trained`" in text
    last = [{**each, "seed": 2} for each in RUNS if each["seed"] == 0]
    whole = report.page(rows_of(report, [*RUNS, *last], tmp_path), "")
    assert "A frozen or a trained encoder" not in whole
    assert f"{len(RUNS) + len(last)} runs. Seeds: 0, 1, 2.\n" in whole
    unequal = [*RUNS, *(each for each in last if each["dataset"] == "trec")]
    text = report.page(rows_of(report, unequal, tmp_path), "")
    assert "Seeds: 0, 1 (ag_news, imdb); 0, 1, 2 (trec). 3 seeds are planned." in text


def test_shorten_keeps_first_and_last_words(study):
    words = [str(i) for i in range(100)]
    short, long = study.shorten([" ".join(words[:48]), " ".join(words)])
    assert short.split() == words[:48]
    assert long.split() == words[:24] + words[-24:]


def test_runs_do_not_train_on_test_texts(study, monkeypatch):
    def fit_and_score(clf, texts, labels, test_texts, test_labels, X_unlabeled=()):
        seen.append((clf, texts, test_texts, X_unlabeled))
        return {}

    seen = []
    monkeypatch.setattr(study, "fit_and_score", fit_and_score)
    for part in ("frozen", "trained", "base", "long"):
        for each in study.runs(part):
            study.measure("", each)
            _, texts, test_texts, unlabeled = seen[-1]
            assert len(texts) == each["n"] == len(set(texts))
            assert not set(test_texts) & {*texts, *unlabeled}
            assert not set(texts) & set(unlabeled)
            has_lm = each["method"] in ("sequential", "joint")
            assert len(unlabeled) == (2000 - each["n"] if has_lm else 0)
            assert all(" test" in text for text in test_texts)
    assert len(seen) == 216 + 270 + 54 + 18


def test_small_samples_are_part_of_larger_samples(study):
    rows = study.training_rows("", "imdb", 0)
    assert len(rows) == len(set(rows)) == 2000
    for size in (2000, 200, 50):
        labels = [label for _, label in rows[:size]]
        assert labels.count("good") == size / 2
    assert rows != study.training_rows("", "imdb", 1)


def test_only_smaller_runs_reuse_an_adapted_language_model(study, monkeypatch):
    def fit_and_score(clf, *args, X_unlabeled=()):
        learned_from.append((clf.cache, [*args[0], *X_unlabeled]))
        was_there.append(clf.cache.exists())
        clf.cache.mkdir(exist_ok=True)
        return {}

    learned_from, was_there = [], []
    monkeypatch.setattr(study, "fit_and_score", fit_and_score)
    runs = [
        each
        for each in study.runs("trained")
        if (each["method"], each["dataset"], each["seed"]) == ("sequential", "imdb", 0)
    ]
    assert [each["n"] for each in runs] == [2000, 200, 50]
    for each in (*runs, runs[0]):
        study.measure("", each)
    assert learned_from == [learned_from[0]] * 4
    assert was_there == [False, True, True, False]
