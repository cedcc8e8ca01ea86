"""What the study runs, and what its report says of results that are made up.

Nothing is measured.
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
    """The study, with results of its own and data sets of 3,000 made-up texts."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.delitem(sys.modules, "_common", raising=False)
    study = load("study")
    monkeypatch.setattr(study, "FILE", tmp_path / "method.jsonl")
    monkeypatch.setattr(study, "CACHE", tmp_path / "models")  # which it deletes in

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


def test_a_table_is_of_the_seeds_that_all_methods_have(report, tmp_path):
    runs = [*RUNS, run("trec", "plain", 2, 0.1), run("imdb", "joint", 2, 0.1)]
    rows = rows_of(report, runs, tmp_path)
    pd.testing.assert_frame_equal(
        report.complete(rows), rows_of(report, RUNS, tmp_path)
    )


def test_seconds_are_compared_on_the_same_kind_of_machine(report, tmp_path):
    # Joint was run elsewhere with seed 2, and of "new" with all seeds.
    faster = {"machine": "arm64", "fit_cpu_seconds": 2}
    runs = [*RUNS, run("trec", "plain", 2, 0.8), run("trec", "joint", 2, 0.8, **faster)]
    runs += [run("new", "plain", 0, 0.8), run("new", "joint", 0, 0.8, **faster)]
    table = report.seconds_table(rows_of(report, runs, tmp_path)).splitlines()
    (trec,) = [line for line in table if line.startswith("| trec")]
    (new,) = [line for line in table if line.startswith("| new")]
    assert "2.00 (2.00 to 2.00)" in trec
    assert [cell.strip() for cell in new.strip("|").split("|")] == ["new", "", ""]


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
    assert "plain fine-tuning: defaults; " in text
    assert "language model, attention: `lm_epochs=3`; " in text
    assert f"{len(RUNS)} runs, seeds 0, 1 so far; a set is to have 3." in text
    last = [{**each, "seed": 2} for each in RUNS if each["seed"] == 0]
    whole = report.page(rows_of(report, [*RUNS, *last], tmp_path))
    assert f"{len(RUNS) + len(last)} runs, seeds 0, 1, 2." in whole
    assert "imdb to yelp_polarity_like" in text
    assert "Joint training takes 0.50 of the time" in text
    assert "makes 1.00 points more of errors" in text  # gains: 1, 2
    assert "87.7" not in text
    assert "cut at 2,000 texts" in text
    full = report.page(rows_of(report, runs, tmp_path, full=True))
    assert "87.7" in full
    assert "up to 10,000 texts" in full
    assert " labels\n" not in full
    assert "domain --full`" in full


def test_long_texts_keep_their_ends(study):
    words = [str(i) for i in range(100)]
    short, long = study.shorten([" ".join(words[:48]), " ".join(words)])
    assert short.split() == words[:48]
    assert long.split() == words[:24] + words[-24:]


def test_what_is_chosen_is_best_on_average(study):
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


def test_the_language_models_settings_are_kept_when_rates_are_tuned(study):
    chosen = study.LM_SETTINGS[1]
    row = run("trec", "sequential", 0, 0.9, part="lm", settings=chosen)
    study.FILE.write_text(json.dumps(row))
    tuned = [r for r in study.tune_runs(False) if r["method"] == "sequential"]
    assert len(tuned) == 18
    assert all(chosen.items() < r["settings"].items() for r in tuned)


def test_a_run_reads_no_test_text_before_it_is_scored(study, monkeypatch):
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


def test_few_labels_are_of_the_texts_of_many(study):
    rows = study.training_rows("", "imdb", 0)
    assert len(rows) == len(set(rows)) == 3000
    for size in (2000, 1000, 200, 50):
        labels = [label for _, label in rows[:size]]
        assert labels.count("good") == size / 2
    assert rows != study.training_rows("", "imdb", 1)


def test_only_few_labels_take_a_language_model_that_was_adapted(study, monkeypatch):
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
