"""AttentionFineTuneClassifier with several labels per text."""

import pickle
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy.sparse import csr_array, csr_matrix, issparse
from sklearn.base import clone
from sklearn.dummy import DummyClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import (
    accuracy_score,
    f1_score,
    get_scorer,
    get_scorer_names,
    make_scorer,
    roc_auc_score,
)
from sklearn.model_selection import (
    GridSearchCV,
    cross_val_predict,
    cross_validate,
)
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, MultiLabelBinarizer

from sklearn_attnft import AttentionFineTuneClassifier, MultiTaskClassifier
from sklearn_attnft._training import _loop
from sklearn_attnft.displays import AttentionDisplay, TrainingDisplay

TEXTS = [
    f"{mood} {thing} {rest}"
    for mood in ("good", "fine", "bad", "awful")
    for thing in ("cat", "dog")
    for rest in ("this time", "and no man", "as it was when we did", "long day")
]
TAGS = [
    {tag for tag in ("cat", "day") if tag in text}
    | ({"glad"} if text.split()[0] in ("good", "fine") else set())
    for text in TEXTS
]
NAMES = ["cat", "day", "glad"]
Y = MultiLabelBinarizer().fit_transform(TAGS)
FRAME = pd.DataFrame(Y, columns=NAMES)


@pytest.fixture
def model(small):
    def make(**parameters):
        return AttentionFineTuneClassifier(**{**small, "max_epochs": 15, **parameters})

    return make


def fit(model, y=Y, **parameters):
    return model(**parameters).fit(TEXTS, y)


def test_predictions_have_the_format_of_scikit_learn(model):
    clf = fit(model)
    proba, logits = clf.predict_proba(TEXTS), clf.decision_function(TEXTS)
    assert proba.shape == logits.shape == Y.shape
    np.testing.assert_allclose(proba, 1 / (1 + np.exp(-logits)))
    np.testing.assert_allclose(np.exp(clf.predict_log_proba(TEXTS)), proba)
    assert proba.sum(axis=1).max() > 1.5
    predicted = clf.predict(TEXTS)
    assert type(predicted) is np.ndarray
    assert predicted.dtype.kind == "i"
    np.testing.assert_array_equal(predicted, proba > 0.5)
    np.testing.assert_array_equal(predicted, Y)
    assert isinstance(clf.classes_, list)
    assert [each.tolist() for each in clf.classes_] == [[0, 1]] * 3
    assert clf.label_names_.tolist() == [0, 1, 2]
    assert clf.transform(TEXTS).shape == (len(TEXTS), 32)


CONTAINERS = {
    "list": Y.tolist(),
    "bool": Y == 1,
    "float": Y.astype(float),
    "object": Y.astype(object),
    "pandas": FRAME,
    "polars": pl.from_pandas(FRAME),
    "csr_array": csr_array(Y),
    "csr_matrix": csr_matrix(Y),
}


@pytest.mark.parametrize("kind", CONTAINERS)
def test_the_container_does_not_change_the_fit(kind, model):
    y, expected = CONTAINERS[kind], fit(model, max_epochs=2)
    clf = fit(model, y, max_epochs=2)
    proba = clf.predict_proba(TEXTS)
    np.testing.assert_array_equal(proba, expected.predict_proba(TEXTS))
    predicted = clf.predict(TEXTS)
    assert type(predicted) is (type(y) if issparse(y) else np.ndarray)
    dense = predicted.toarray() if issparse(predicted) else predicted
    np.testing.assert_array_equal(dense, expected.predict(TEXTS))
    assert clf.score(TEXTS, y) == accuracy_score(Y, dense)
    is_frame = kind in ("pandas", "polars")
    assert clf.label_names_.tolist() == (NAMES if is_frame else [0, 1, 2])


def test_score_is_the_subset_accuracy(model):
    clf = fit(model, max_epochs=2)
    weights = np.arange(1.0, len(TEXTS) + 1)
    truth = np.roll(Y, 2, axis=0)
    expected = accuracy_score(truth, clf.predict(TEXTS), sample_weight=weights)
    assert clf.score(TEXTS, truth, sample_weight=weights) == expected
    knn = make_pipeline(FunctionTransformer(lambda X: clf.transform(X)))
    knn = make_pipeline(knn, KNeighborsClassifier(1)).fit(TEXTS, Y)
    assert clf.score(TEXTS, knn.predict(TEXTS)) == accuracy_score(
        knn.predict(TEXTS), clf.predict(TEXTS)
    )


@pytest.mark.parametrize("n_labels", [2, 3])
def test_every_scorer_for_several_labels_runs(n_labels, model):
    y = Y[:, :n_labels]
    clf = fit(model, y, max_epochs=3)
    theirs = DummyClassifier(strategy="uniform", random_state=0).fit(TEXTS, y)
    n_scored, wrong = 0, {}
    for name in get_scorer_names():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                expected = get_scorer(name)(theirs, TEXTS, y)
            except (ValueError, TypeError):
                continue  # this metric does not take several labels per text
            if not np.isfinite(expected):
                continue
            n_scored += 1
            score = get_scorer(name)(clf, TEXTS, y)
        if not np.isfinite(score):
            wrong[name] = score
    assert n_scored > 25
    assert not wrong
    assert get_scorer("roc_auc")(clf, TEXTS, y) == roc_auc_score(
        y, clf.predict_proba(TEXTS)
    )


@pytest.mark.parametrize("n_labels", [2, 3])
def test_scorers_of_probabilities_read_the_column_of_each_label(n_labels, model):
    y = Y[:, :n_labels]
    clf = fit(model, y, max_epochs=3)
    proba = clf.predict_proba(TEXTS)
    for method in ("predict_proba", "decision_function"):
        scorer = make_scorer(roc_auc_score, response_method=method)
        assert scorer(clf, TEXTS, y) == roc_auc_score(y, proba)

    class OnlyProba(type(clf)):
        decision_function = None

    only = OnlyProba.__new__(OnlyProba)
    vars(only).update(vars(clf))
    for name in ("roc_auc", "average_precision", "roc_auc_ovr"):
        assert get_scorer(name)(only, TEXTS, y) == get_scorer(name)(clf, TEXTS, y)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.UndefinedMetricWarning")
def test_cross_validation_and_searches_do_not_stratify(model):
    scoring = ["accuracy", "f1_macro", "roc_auc", "jaccard_samples"]
    order = np.random.RandomState(0).permutation(len(TEXTS))
    texts, y = [TEXTS[i] for i in order], Y[order]
    scores = cross_validate(
        model(max_epochs=8), texts, y, cv=3, scoring=scoring, error_score="raise"
    )
    assert all(np.isfinite(scores[f"test_{name}"]).all() for name in scoring)
    grid = {"max_epochs": [1, 8]}
    for each in (y, csr_array(y), FRAME.iloc[order]):
        search = GridSearchCV(model(), grid, cv=2, error_score="raise")
        assert search.fit(texts, each).best_params_ == {"max_epochs": 8}
    for method in ("predict", "predict_proba", "decision_function"):
        for each in (y, FRAME.iloc[order]):
            held_out = cross_val_predict(model(), texts, each, cv=2, method=method)
            assert held_out.shape == y.shape
            assert (
                (held_out > 0.5 * (method != "decision_function")) == y
            ).mean() > 0.8


def test_a_fit_equals_that_of_a_multi_task_classifier(model):
    clf = fit(model)
    tags = MultiTaskClassifier(model()).fit(TEXTS, {"tags": Y})
    proba = clf.predict_proba(TEXTS)
    np.testing.assert_array_equal(tags.predict_proba(TEXTS)[0], proba)
    for y in (Y, TAGS):
        multi = MultiTaskClassifier(model()).fit(TEXTS, {"tags": y})
        view = multi.task("tags")
        np.testing.assert_array_equal(view.predict_proba(TEXTS), proba)
        np.testing.assert_array_equal(view.predict(TEXTS), clf.predict(TEXTS))
        assert [each.tolist() for each in view.classes_] == [[0, 1]] * 3
        names = NAMES if y is TAGS else [0, 1, 2]
        assert view.label_names_.tolist() == names
        assert get_scorer("roc_auc")(view, TEXTS, Y) == roc_auc_score(Y, proba)
        assert view.score(TEXTS, Y) == 1.0


def test_a_scorer_of_a_task_of_two_tags_reads_both_columns(model):
    tags = [{"cat", "glad"} & each for each in TAGS]
    clf = MultiTaskClassifier(model(max_epochs=2)).fit(TEXTS, {"tags": tags})
    scorer = MultiTaskClassifier.task_scorer("tags", "roc_auc")
    y = Y[:, [0, 2]]
    expected = roc_auc_score(y, clf.predict_proba(TEXTS)[0])
    assert scorer(clf, TEXTS, {"tags": tags}) == expected


def test_columns_with_a_single_value_are_learned(model):
    y = np.column_stack([Y[:, 0], np.zeros(len(Y)), np.ones(len(Y))])
    predicted = fit(model, y).predict(TEXTS)
    np.testing.assert_array_equal(predicted, y)


def test_rows_without_a_label_are_learned(model):
    y = np.where(Y[:, [2]] == 1, Y, 0)
    clf = fit(model, y, max_epochs=25)
    assert (clf.predict(TEXTS)[Y[:, 2] == 0] == 0).all()


def test_one_hot_rows_warn(model):
    y = np.eye(2, dtype=int)[Y[:, 0]]
    with pytest.warns(UserWarning, match="exactly one 1.*one-dimensional y") as caught:
        fit(model, y, max_epochs=1)
    assert [each.filename for each in caught] == [__file__]


# Weights


def test_a_weight_of_two_acts_like_two_rows(model):
    options = {"batch_size": 64, "dropout": 0.0, "max_epochs": 2}
    weights = np.ones(len(TEXTS))
    weights[::3] = 2
    rows = np.repeat(np.arange(len(TEXTS)), weights.astype(int))
    one = model(**options).fit(TEXTS, Y, sample_weight=weights)
    other = model(**options).fit([TEXTS[i] for i in rows], Y[rows])
    np.testing.assert_allclose(
        one.predict_proba(TEXTS), other.predict_proba(TEXTS), atol=1e-4
    )


def test_balanced_class_weights_balance_each_label(model):
    y = np.column_stack([Y[:, 0], np.arange(len(TEXTS)) % 8 == 0])
    counts = np.stack([(y == 0).sum(axis=0), y.sum(axis=0)])
    explicit = [
        {0: 32 / (2 * counts[0, i]), 1: 32 / (2 * counts[1, i])} for i in range(2)
    ]
    balanced = fit(model, y, class_weight="balanced", max_epochs=2)
    proba = balanced.predict_proba(TEXTS)
    other = fit(model, y, class_weight=explicit, max_epochs=2).predict_proba(TEXTS)
    np.testing.assert_allclose(proba, other, atol=1e-5)
    plain = fit(model, y, max_epochs=2).predict_proba(TEXTS)
    assert proba[:, 1].mean() > plain[:, 1].mean() + 0.1


def test_class_weights_of_one_label_do_not_move_the_others(model):
    y = np.tile([[0, 0], [1, 1]], (len(TEXTS) // 2, 1))
    texts = ["good day"] * len(TEXTS)
    heavy = [{0: 1.0, 1: 20.0}, {0: 20.0, 1: 1.0}]
    clf = model(class_weight=heavy).fit(texts, y)
    assert clf.predict(texts[:1]).tolist() == [[1, 0]]


def test_only_the_ratios_of_class_weights_matter(model):
    given = [[{0: a, 1: 3 * a}] * 3 for a in (1.0, 100.0)]
    fits = [fit(model, class_weight=each, max_epochs=2) for each in given]
    one, other = (each.predict_proba(TEXTS) for each in fits)
    np.testing.assert_allclose(one, other, atol=1e-5)


@pytest.mark.parametrize(
    "class_weight",
    [{0: 1.0, 1: 2.0}, [{0: 1.0}] * 2, [1.0, 2.0, 3.0], [], [{0: 1.0}] * 4],
)
def test_other_class_weights_are_refused(class_weight, model):
    with pytest.raises(ValueError, match="list of 3 dicts, one for each label"):
        fit(model, class_weight=class_weight)


def test_class_weights_must_fit_the_kind_of_y(model):
    with pytest.raises(
        ValueError, match="must be 'balanced', a dict or None, got a list"
    ):
        fit(model, Y[:, 0], class_weight=[{0: 1.0}])
    with pytest.raises(ValueError, match="must have finite numbers of at least 0"):
        fit(model, class_weight=[{0: -1.0}, {}, {}])
    with pytest.raises(ValueError, match="must have a weight above 0"):
        fit(model, class_weight=[{0: 0, 1: 0}] * 3)


def test_class_weights_of_a_task_name_the_task(model):
    y = {"tags": TAGS, "mood": Y[:, 2]}
    own = {"tags": {"class_weight": [{1: 9.0}, {}, {}]}}
    clf = MultiTaskClassifier(model(max_epochs=2), task_params=own).fit(TEXTS, y)
    plain = MultiTaskClassifier(model(max_epochs=2)).fit(TEXTS, y)
    moved = clf.predict_proba(TEXTS)[0] - plain.predict_proba(TEXTS)[0]
    assert moved[:, 0].mean() > 0.1
    template = model(class_weight={0: 1.0, 1: 2.0})
    with pytest.raises(ValueError, match=r"Set task_params={'tags': {'class_weight'"):
        MultiTaskClassifier(template).fit(TEXTS, y)


# Validation


def test_early_stopping_reads_the_f1_score(model):
    valid = TEXTS[::2], Y[::2]
    clf = model(early_stopping=True, n_iter_no_change=3, max_epochs=12)
    clf.fit(TEXTS, Y, X_val=valid[0], y_val=valid[1])
    rows = [row for row in clf.history_ if row["stage"] == "classifier"]
    best = max(row["valid_f1"] for row in rows)
    predicted = clf.predict(valid[0])
    assert f1_score(valid[1], predicted, average="micro") == pytest.approx(best)
    kept = next(row for row in rows if row["valid_f1"] == best)
    assert kept["valid_accuracy"] == accuracy_score(valid[1], predicted)
    assert "f1" in TrainingDisplay.from_estimator(clf)._panels()[1][1]


def test_early_stopping_holds_out_texts(model):
    clf = fit(model, early_stopping=True, validation_fraction=0.25)
    assert {"valid_f1", "valid_accuracy", "valid_loss"} <= set(clf.history_[0])


def test_a_validation_set_without_labels_has_a_score(model):
    nothing = np.zeros((4, 2))
    clf = model(early_stopping=True, max_epochs=3)
    clf.fit(TEXTS, np.where(Y[:, :2], 0, 0), X_val=TEXTS[:4], y_val=nothing)
    assert clf.history_[-1]["valid_f1"] == 1.0


@pytest.mark.parametrize(
    "y_val", [Y[:4, 0], Y[:4, :2], Y[:4] + 1, FRAME[["day", "cat", "glad"]][:4]]
)
def test_validation_labels_have_the_columns_of_fit(y_val, model):
    with pytest.raises(ValueError, match=r"`y_val` must be .* the same 3 columns"):
        model().fit(TEXTS, FRAME, X_val=TEXTS[:4], y_val=y_val)


def test_score_refuses_other_labels(model):
    clf = fit(model, max_epochs=1)
    with pytest.raises(ValueError, match=r"`y` must be .* the same 3 columns"):
        clf.score(TEXTS, Y[:, 0])
    single = fit(model, Y[:, 0], max_epochs=1)
    with pytest.raises(ValueError, match="one class label for each text"):
        single.score(TEXTS, Y)


# Other methods


@pytest.mark.filterwarnings("ignore:.*spearman")
def test_explanations_name_a_label(model):
    clf = fit(model, FRAME)
    cat = clf.explain(TEXTS[:2], attribution="gradient", target="cat")
    glad = clf.explain(TEXTS[:2], attribution="gradient", target="glad")
    assert not np.allclose(cat["attribution"], glad["attribution"])
    sums = clf.explain(TEXTS[:1], attribution="integrated_gradients", target="day")
    assert np.isfinite(sums["attribution"]).all()
    with pytest.raises(ValueError, match=r"Use one of \['cat', 'day', 'glad'\]"):
        clf.explain(TEXTS, attribution="gradient", target=1)
    best = clf.explain(TEXTS[:1], attribution="gradient")
    top = NAMES[clf.decision_function(TEXTS[:1]).argmax()]
    expected = clf.explain(TEXTS[:1], attribution="gradient", target=top)
    np.testing.assert_array_equal(best["attribution"], expected["attribution"])
    scores = clf.faithfulness(TEXTS[:2], random_state=0)
    assert np.isfinite(scores["comprehensiveness"]).all()
    AttentionDisplay.from_estimator(clf, TEXTS[:2])


@pytest.mark.parametrize("kind", ["array", "pandas", "csr_array"])
def test_saved_pickled_and_copied_estimators_are_equal(kind, model, tmp_path):
    y = {"array": Y, **CONTAINERS}[kind]
    clf = fit(model, y, max_epochs=2)
    loaded = AttentionFineTuneClassifier.load(clf.save(tmp_path / "saved"))
    for other in (loaded, pickle.loads(pickle.dumps(clf))):
        np.testing.assert_array_equal(
            other.predict_proba(TEXTS), clf.predict_proba(TEXTS)
        )
        assert type(other.predict(TEXTS)) is type(clf.predict(TEXTS))
        assert other.label_names_.tolist() == clf.label_names_.tolist()
        assert [each.tolist() for each in other.classes_] == [[0, 1]] * 3
    card = (tmp_path / "saved" / "README.md").read_text()
    assert "Labels: 3" in card
    view = MultiTaskClassifier(model(max_epochs=1)).fit(TEXTS, {"t": TAGS}).task("t")
    loaded = AttentionFineTuneClassifier.load(view.save(tmp_path / "view"))
    assert loaded.label_names_.tolist() == NAMES


def test_a_changed_saved_estimator_is_refused(model, tmp_path):
    clf = fit(model, max_epochs=1)
    for name, value in {
        "label_names_": np.arange(2),
        "classes_": [np.arange(2)] * 2,
        "_container": "getsource",
    }.items():
        wrong = pickle.loads(pickle.dumps(clf))
        setattr(wrong, name, value)
        with pytest.raises(ValueError, match="must"):
            wrong.save(tmp_path / name)


def test_a_second_fit_on_other_labels_forgets_the_first(model):
    clf = fit(model, csr_array(Y), max_epochs=1)
    clf.fit(TEXTS, Y[:, 0])
    assert not hasattr(clf, "label_names_")
    assert set(vars(clf)) == set(vars(fit(model, Y[:, 0], max_epochs=1)))
    assert clf.fit(TEXTS, Y).predict(TEXTS).shape == Y.shape


@pytest.mark.parametrize(
    "parameters",
    [
        {"lm_epochs": 1},
        {"lm_weight": 0.5},
        {"contrastive_epochs": 1},
        {"trainable_layers": 0, "cache": "memory"},
        {"head": "lstm"},
        {"head": "mlp", "label_smoothing": 0.1},
        {"micro_batch_size": 3, "class_weight": "balanced"},
        {"lm_weight": 0.5, "class_weight": "balanced"},
    ],
    ids=str,
)
def test_every_stage_takes_several_labels(parameters, model, no_stores):
    clf = fit(model, **parameters, max_epochs=20)
    assert roc_auc_score(Y, clf.predict_proba(TEXTS)) > 0.8


def test_a_fit_is_resumed(model, tmp_path, monkeypatch):
    options = {"max_epochs": 4, "class_weight": "balanced"}
    expected = fit(model, **options).predict_proba(TEXTS)
    kept = {**options, "checkpoint_dir": tmp_path}
    original, steps = _loop._Net.train_step, []

    def train_step(self, batch, **kwargs):
        steps.append(batch)
        if len(steps) == 10:
            raise KeyboardInterrupt
        return original(self, batch, **kwargs)

    monkeypatch.setattr(_loop._Net, "train_step", train_step)
    with pytest.raises(KeyboardInterrupt):
        fit(model, **kept)
    resumed = fit(model, **kept).predict_proba(TEXTS)
    np.testing.assert_array_equal(resumed, expected)
    assert len(steps) < 2 * 16
    other = fit(model, np.roll(Y, 1, axis=0), **kept).predict_proba(TEXTS)
    assert not np.array_equal(other, expected)


def test_an_estimate_takes_a_matrix(model):
    assert model().estimate_fit(TEXTS, Y).n_steps > 0


def test_clones_carry_no_labels(model):
    assert not hasattr(clone(fit(model, max_epochs=1)), "label_names_")


def test_a_collapsed_label_does_not_warn(model):
    y = np.column_stack([Y[:, 0] * 0, Y[:, 0] * 0])
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        fit(model, y, max_epochs=1)


def test_headings_of_a_sparse_prediction_are_rows(model):
    headings = [
        AttentionDisplay.from_estimator(fit(model, y=y), TEXTS[:2]).headings
        for y in (Y, csr_array(Y))
    ]
    assert headings[0] == headings[1]
