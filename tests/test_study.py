"""Test which runs the study plans, and the report on made-up results.

No benchmark is run.
"""

import importlib.util
import json
import sys
from pathlib import Path

import pandas as pd
import pytest

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
    about = {"date": "2026-11-26", "machine": "x86_64", "versions": "torch 2"}
    return {
        "part": "main",
        "dataset": dataset,
        "test": dataset,
        "method": method,
        "n": 2000,
        "seed": seed,
        "settings": {"lm_epochs": 3} if method == "sequential" else {},
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


# Error rates: 20 % and 22 % for plain. Those of sequential are 1, 2 and 3 percentage
# points lower on the three data sets.
RUNS = [
    run(name, method, seed, 0.8 - 0.02 * seed + gain)
    for name, better in (("trec", 0.01), ("imdb", 0.02), ("ag_news", 0.03))
    for seed in (0, 1)
    for method, gain in (("plain", 0.0), ("sequential", better), ("joint", 0.01))
]


def test_error_table_has_means_and_ranges_over_seeds(report, tmp_path):
    table = report.error_table(rows_of(report, RUNS, tmp_path))
    assert "| trec       | 21.0 (20.0 to 22.0)" in table
    assert "20.0 (19.0 to 21.0)" in table
    (mean,) = [line for line in table.splitlines() if line.startswith("| mean")]
    cells = [cell.strip() for cell in mean.strip("|").split("|")]
    assert cells == ["mean", "21.0", "19.0", "20.0"]


def test_tables_use_only_seeds_that_all_methods_have(report, tmp_path):
    runs = [*RUNS, run("trec", "plain", 2, 0.1), run("imdb", "joint", 2, 0.1)]
    rows = rows_of(report, runs, tmp_path)
    pd.testing.assert_frame_equal(
        report.complete(rows), rows_of(report, RUNS, tmp_path)
    )


def test_times_are_compared_on_the_same_kind_of_machine(report, tmp_path):
    # On another machine, joint was run with seed 2, and on "new" with all seeds.
    faster = {"machine": "arm64", "fit_cpu_seconds": 2}
    runs = [*RUNS, run("trec", "plain", 2, 0.8), run("trec", "joint", 2, 0.8, **faster)]
    runs += [run("new", "plain", 0, 0.8), run("new", "joint", 0, 0.8, **faster)]
    table = report.seconds_table(rows_of(report, runs, tmp_path)).splitlines()
    (trec,) = [line for line in table if line.startswith("| trec")]
    (new,) = [line for line in table if line.startswith("| new")]
    assert "2.00 (2.00 to 2.00)" in trec
    assert [cell.strip() for cell in new.strip("|").split("|")] == ["new", "", ""]


def test_differences_are_paired_by_seed(report, tmp_path):
    # With seed 2, only plain was run.
    runs = [*RUNS, run("trec", "plain", 2, 0.1)]
    each = report.differences(rows_of(report, runs, tmp_path), "sequential", "plain")
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
        for method in ("plain", "sequential")
    ]
    rows = rows_of(report, runs, tmp_path)
    sentences = [report.verdict(claim, rows) for claim in report.CLAIMS]
    (sentence,) = [each for each in sentences if each is not None]
    assert said in sentence
    assert f"lower on {sum(g > 0 for g in gains)} of 3 data sets" in sentence


def test_page_has_all_parts_and_only_the_requested_runs(report, tmp_path):
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
    for title in ("Six data sets", "A new domain", "50 labels", "200 labels"):
        assert f"## {title}\n" in text
    assert "- plain fine-tuning: defaults\n" in text
    assert "- language model, then attention: `lm_epochs=3`\n" in text
    assert f"{len(RUNS)} runs with seeds 0, 1 of 3 planned seeds for each" in text
    last = [{**each, "seed": 2} for each in RUNS if each["seed"] == 0]
    whole = report.page(rows_of(report, [*RUNS, *last], tmp_path))
    assert f"{len(RUNS) + len(last)} runs with seeds 0, 1, 2." in whole
    assert "imdb to yelp_polarity_like" in text
    assert "Joint training takes 0.50 times as long" in text
    assert "is 1.00 percentage points higher" in text  # gains: 1, 2
    assert "87.7" not in text
    assert "up to 2,000 training texts" in text
    full = report.page(rows_of(report, runs, tmp_path, full=True))
    assert "87.7" in full
    assert "up to 10,000 texts" in full
    assert " labels\n" not in full
    assert "domain --full`" in full


def test_shorten_keeps_first_and_last_words(study):
    words = [str(i) for i in range(100)]
    short, long = study.shorten([" ".join(words[:48]), " ".join(words)])
    assert short.split() == words[:48]
    assert long.split() == words[:24] + words[-24:]


def test_best_settings_have_the_best_mean_accuracy(study):
    runs = [
        run("trec", "plain", 0, accuracy, part="tune", settings={"learning_rate": rate})
        for rate, both in ((1e-4, (0.9, 0.7)), (2e-4, (0.8, 0.85)))
        for accuracy in both
    ]
    assert study.best("tune", "plain") == {}
    study.FILE.write_text("\n".join(map(json.dumps, runs)))
    assert study.best("tune", "plain") == {"learning_rate": 2e-4}
    assert study.best("lm", "plain") == {}
    (settings,) = {json.dumps(r["settings"]) for r in study.main_runs(False)} - {"{}"}
    assert json.loads(settings) == {"learning_rate": 2e-4}


def test_tuning_rates_keeps_language_model_settings(study):
    chosen = study.LM_SETTINGS[1]
    row = run("trec", "sequential", 0, 0.9, part="lm", settings=chosen)
    study.FILE.write_text(json.dumps(row))
    tuned = [r for r in study.tune_runs(False) if r["method"] == "sequential"]
    assert len(tuned) == 18
    assert all(chosen.items() < r["settings"].items() for r in tuned)


def test_runs_do_not_read_test_texts_before_scoring(study, monkeypatch):
    def fit_and_score(clf, texts, labels, test_texts, test_labels, X_unlabeled=()):
        seen.append((clf, texts, test_texts, X_unlabeled))
        return {}

    seen = []
    monkeypatch.setattr(study, "fit_and_score", fit_and_score)
    for part, runs in study.PARTS.items():
        for each in runs(False):
            study.measure("", each)
            clf, texts, test_texts, unlabeled = seen[-1]
            assert len(texts) == (each["n"] or 3000)
            assert not set(test_texts) & {*texts, *unlabeled}
            assert not set(texts) & set(unlabeled)
            has_more = part in ("labels", "domain") and each["method"] == "sequential"
            n_more = 2000 - each["n"] if part == "labels" else 2000
            assert len(unlabeled) == (n_more if has_more else 0)
            if part == "domain" and has_more:
                assert {text.split()[0] for text in unlabeled} == {each["test"]}
            if part in ("lm", "tune"):
                assert all(" train" in text for text in test_texts)
            else:
                assert all(" test" in text for text in test_texts)
                assert clf.cache is None or each["method"] == "sequential"
    assert len(seen) == 9 + 102 + 108 + 108 + 18


def test_small_samples_are_part_of_larger_samples(study):
    rows = study.training_rows("", "imdb", 0)
    assert len(rows) == len(set(rows)) == 3000
    for size in (2000, 1000, 200, 50):
        labels = [label for _, label in rows[:size]]
        assert labels.count("good") == size / 2
    assert rows != study.training_rows("", "imdb", 1)


def test_only_labels_runs_reuse_an_adapted_language_model(study, monkeypatch):
    def fit_and_score(clf, *args, X_unlabeled=()):
        learned_from.append((clf.cache, [*args[0], *X_unlabeled]))
        was_there.append(clf.cache.exists())
        clf.cache.mkdir(exist_ok=True)
        return {}

    learned_from, was_there = [], []
    monkeypatch.setattr(study, "fit_and_score", fit_and_score)
    few = [r for r in study.labels_runs(False) if r["method"] == "sequential"][:12]
    (many,) = [
        run
        for run in study.main_runs(False)
        if (run["method"], run["dataset"], run["seed"]) == ("sequential", "imdb", 0)
    ]
    of_imdb = [run for run in few if run["dataset"] == "imdb"]
    assert [run["n"] for run in of_imdb] == [50, 200]
    for each in (many, *of_imdb, many):
        study.measure("", each)
    assert learned_from == [learned_from[0]] * 4
    assert was_there == [False, True, True, False]
