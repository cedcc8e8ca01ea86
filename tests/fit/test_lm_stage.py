"""Test the cache of the language-model stage: one stage for equal candidates."""

import math

import numpy as np
import pytest
import test_families
import tiny
from counting import CountingClassifier, uses
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from test_resume import Killed, assert_same_fit, kill  # noqa: F401

from sklearn_attnft import (
    AttentionFineTuneClassifier,
    MultiTaskClassifier,
    TransformerFeatureExtractor,
)
from sklearn_attnft._fit import _lm_stage

X = [f"{w} {v} day" for w in tiny.WORDS[:6] for v in tiny.WORDS[:4]]
Y = ["a", "b", "c"] * 8


pytestmark = pytest.mark.usefixtures("no_stores")

SWITCHES = [
    {"lm_epochs": 2},
    {"lm_weight": 0.5},
    {"lm_epochs": 1, "lm_weight": 0.5, "dropout": 0.3, "encoder_dropout": 0.2},
    {"lm_epochs": 1, "micro_batch_size": 5, "early_stopping": True},
]


@pytest.mark.parametrize("switches", SWITCHES, ids=str)
def test_a_fit_from_the_cache_is_identical(switches, small, cache):
    parameters = {**small, "max_epochs": 2, **switches}
    if "early_stopping" in switches:
        parameters["validation_fraction"] = 0.25
    other = AttentionFineTuneClassifier(**parameters, pooling="mean", cache=cache)
    assert uses(other.fit(X, Y)) == (0, 1)
    clf = AttentionFineTuneClassifier(**parameters, cache=cache)
    plain = AttentionFineTuneClassifier(**parameters).fit(X, Y)
    assert uses(clf.fit(X, Y)) == (1, 0)
    assert_same_fit(clf, plain)
    clf.predict(X)
    assert uses(clf) == (1, 0)


def test_warm_up_trains_only_the_new_head(small, monkeypatch):
    run, waited = _lm_stage.LMHeadStage.run, []

    def spy(stage, *args):
        model = stage.model
        before = {name: w.clone() for name, w in model.state_dict().items()}
        state = run(stage, *args)
        moved = {
            name for name, w in model.state_dict().items() if (w != before[name]).any()
        }
        assert moved
        waited.append(not any(name.startswith("encoder.") for name in moved))
        return state

    monkeypatch.setattr(_lm_stage.LMHeadStage, "run", spy)
    AttentionFineTuneClassifier(**small | {"max_epochs": 1}, lm_epochs=1).fit(X, Y)
    assert waited == [True]


def test_the_pretrained_head_is_cached_too(small, cache, tmp_path):
    from transformers import AutoModelForMaskedLM

    encoder = test_families.save("roberta", tmp_path / "roberta", AutoModelForMaskedLM)
    parameters = {**small, "encoder": encoder, "lm_epochs": 1, "lm_weight": 0.5}
    plain = AttentionFineTuneClassifier(**parameters).fit(X, Y)
    clf = AttentionFineTuneClassifier(**parameters, cache=cache).fit(X, Y)
    assert_same_fit(clf, plain)
    assert_same_fit(clone(clf).fit(X, Y), plain)
    # Joint training alone does not have a stage that could be cached.
    joint = clone(clf).set_params(lm_epochs=0).fit(X, Y)
    assert uses(joint) == (0, 0)


def test_several_tasks_share_the_stage_with_one_task(small, cache):
    clf = AttentionFineTuneClassifier(**small, lm_epochs=1, cache=cache).fit(X, Y)
    labels = np.array([Y, Y[::-1]]).T
    several = MultiTaskClassifier(clf).fit(X, labels)
    assert uses(several) == (1, 0)
    plain = MultiTaskClassifier(clone(clf).set_params(cache=None)).fit(X, labels)
    assert_same_fit(several, plain)


def test_an_extractor_is_adapted_once(cache):
    parameters = {"max_length": 32, "lm_epochs": 1, "random_state": 0}
    extractor = TransformerFeatureExtractor(tiny.ENCODER, **parameters, cache=cache)
    assert uses(extractor.fit(X)) == (0, 1)
    again = clone(extractor).set_params(layers="all").fit(X)
    assert uses(again) == (1, 0)
    plain = clone(again).set_params(cache=None).fit(X)
    np.testing.assert_array_equal(again.transform(X), plain.transform(X))


CHANGES = [
    {"lm_epochs": 2},
    {"lm_learning_rate": 2e-4},
    {"encoder_dropout": 0.1},
    {"max_length": 31},
    {"micro_batch_size": 4},
    {"precision": "bfloat16"},
    {"random_state": 1},
]


@pytest.mark.parametrize("changed", CHANGES, ids=str)
def test_parameters_of_the_stage_are_in_the_key(changed, small, tmp_path):
    parameters = {**small, "max_epochs": 1, "lm_epochs": 1, "precision": "float32"}
    clf = AttentionFineTuneClassifier(**parameters, cache=tmp_path).fit(X, Y)
    assert uses(clf.set_params(**changed).fit(X, Y)) == (0, 1)


def test_the_texts_are_in_the_key(small, tmp_path):
    parameters = {**small, "max_epochs": 1, "lm_epochs": 1}
    clf = AttentionFineTuneClassifier(**parameters, cache=tmp_path).fit(X, Y)
    assert uses(clf.fit(X, Y[::-1])) == (1, 0)
    assert uses(clf.fit(X[::-1], Y[::-1])) == (0, 1)
    assert uses(clf.fit(X, Y, X_unlabeled=["good day"])) == (0, 1)
    assert uses(clf.fit(X, Y, X_unlabeled=[])) == (1, 0)
    assert uses(clf.fit([*X[:-1], X[-1] + "s"], Y)) == (0, 1)
    assert uses(clf.fit(X, Y)) == (1, 0)


def test_a_stage_without_random_state_is_not_cached(small, tmp_path):
    parameters = {**small, "lm_epochs": 1, "random_state": None}
    clf = AttentionFineTuneClassifier(**parameters, cache=tmp_path).fit(X, Y)
    assert uses(clf) == (0, 0)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("kind", "n_jobs"), [("memory", None), ("directory", 2)])
def test_a_grid_runs_one_stage_per_fold(kind, n_jobs, small, tmp_path):
    log = tmp_path / "log"
    log.touch()
    cache = "memory" if kind == "memory" else tmp_path / "cache"
    parameters = {**small, "max_epochs": 1, "lm_epochs": 1}
    clf = CountingClassifier(log, **parameters, cache=cache)
    grid = {"pooling": ["mean", "max", "attention"], "dropout": [0.0, 0.2]}
    search = GridSearchCV(
        clf, grid, cv=3, n_jobs=n_jobs, refit=False, error_score="raise"
    ).fit(X, Y)
    assert len(search.cv_results_["params"]) == 6
    assert len(log.read_text().split()) == 3


@pytest.mark.parametrize("n_steps", [1, 6])
def test_a_fit_killed_after_the_stage_resumes(
    n_steps,
    small,
    kill,  # noqa: F811
    tmp_path,
):
    parameters = {**small, "lm_epochs": 1, "dropout": 0.3}
    plain = AttentionFineTuneClassifier(**parameters).fit(X, Y)
    AttentionFineTuneClassifier(**parameters, pooling="max", cache="memory").fit(X, Y)
    kept = {"checkpoint_dir": tmp_path, "checkpoint_minutes": 0, "cache": "memory"}
    clf = AttentionFineTuneClassifier(**parameters, **kept)
    kill(n_steps)
    with pytest.raises(Killed):
        clf.fit(X, Y)
    kill(math.inf)
    assert_same_fit(clf.fit(X, Y), plain)
    assert uses(clf) == (0, 0)  # the resume state was sufficient
