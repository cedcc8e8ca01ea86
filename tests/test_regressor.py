"""AttentionFineTuneRegressor."""

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone, is_regressor
from sklearn.compose import TransformedTargetRegressor
from sklearn.exceptions import DataConversionWarning, NotFittedError
from sklearn.linear_model import Ridge
from sklearn.metrics import get_scorer, get_scorer_names, r2_score
from sklearn.model_selection import GridSearchCV, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.utils import get_tags
from skorch.callbacks import EpochScoring

from sklearn_attnft import AttentionFineTuneClassifier, AttentionFineTuneRegressor
from sklearn_attnft._training import _loop
from sklearn_attnft.displays import (
    AttentionDisplay,
    LayerAttentionDisplay,
    TrainingDisplay,
)

MOODS = {"awful": 1.0, "bad": 2.0, "fine": 3.5, "wonderful": 5.0}
TEXTS = [
    f"{mood} {thing} {rest}"
    for mood in MOODS
    for thing in ("cat", "dog")
    for rest in ("this time", "and no man", "as it was when we did", "long day")
]
Y = np.array([MOODS[text.split()[0]] for text in TEXTS])
TWO = np.column_stack([Y, 100.0 * np.array(["cat" in text for text in TEXTS])])


@pytest.fixture
def model(small):
    def make(**parameters):
        return AttentionFineTuneRegressor(**{**small, "max_epochs": 15, **parameters})

    return make


def fit(model, y=Y, **parameters):
    return model(**parameters).fit(TEXTS, y)


@pytest.mark.parametrize("head", ["linear", "mlp", "lstm"])
@pytest.mark.parametrize("y", [Y, TWO], ids=["one", "two"])
def test_every_head_learns(head, y, model):
    reg = fit(model, y, head=head)
    predicted = reg.predict(TEXTS)
    assert predicted.dtype == np.float64
    assert predicted.shape == y.shape
    assert reg.score(TEXTS, y) == r2_score(y, predicted)
    assert r2_score(y, predicted) > 0.9


@pytest.mark.parametrize("shift", [0.0, 1e6, -300.0])
@pytest.mark.parametrize("factor", [1.0, 1e-6, 1e5])
def test_the_unit_of_y_does_not_change_the_fit(shift, factor, model):
    expected = fit(model, max_epochs=2).predict(TEXTS)
    predicted = fit(model, shift + factor * Y, max_epochs=2).predict(TEXTS)
    step = np.abs(shift) * 1e-10 + factor * 1e-3
    np.testing.assert_allclose(predicted, shift + factor * expected, atol=step)


@pytest.mark.parametrize("value", [0.0, -7.25, 1e12])
def test_a_constant_is_predicted(value, model):
    reg = fit(model, np.full(len(TEXTS), value), max_epochs=2)
    np.testing.assert_allclose(reg.predict(TEXTS), value, atol=1e-3)


def test_a_single_text_is_learned(model):
    reg = model().fit(["good day"], [4.0])
    np.testing.assert_allclose(reg.predict(["good day"]), 4.0, atol=1e-3)


def test_one_column_is_flattened_with_a_warning(model):
    with pytest.warns(DataConversionWarning):
        reg = fit(model, Y[:, None], max_epochs=2)
    np.testing.assert_array_equal(
        reg.predict(TEXTS), fit(model, max_epochs=2).predict(TEXTS)
    )


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (None, "`y` must be .* got None"),
        (np.where(Y > 4, np.nan, Y), "`y` must have only finite numbers, got nan"),
        (np.where(Y > 4, np.inf, Y), "`y` must have only finite numbers, got inf"),
        ([str(each) for each in Y], "`y` must be .* AttentionFineTuneClassifier"),
        (Y[:-1], "`y` must have one entry for each text"),
    ],
)
def test_wrong_numbers_are_refused(y, message, model):
    with pytest.raises(ValueError, match=message):
        fit(model, y)


def test_score_and_validation_need_the_columns_of_fit(model):
    reg = fit(model, TWO, max_epochs=1)
    with pytest.raises(ValueError, match="`y` must have 2 numbers for each text"):
        reg.score(TEXTS, Y)
    with pytest.raises(ValueError, match="`y_val` must have 1 numbers for each text"):
        model().fit(TEXTS, Y, X_val=TEXTS, y_val=TWO)
    with pytest.raises(ValueError, match="`y_val` must have only finite numbers"):
        model().fit(TEXTS, Y, X_val=TEXTS, y_val=Y * np.nan)
    with pytest.raises(NotFittedError):
        model().score(TEXTS, Y)


# Weights


@pytest.mark.parametrize("loss", ["squared_error", "huber"])
def test_a_weight_of_two_acts_like_two_rows(loss, model):
    options = {"batch_size": 64, "dropout": 0.0, "max_epochs": 2, "loss": loss}
    weights = np.ones(len(TEXTS))
    weights[::3], weights[1] = 2, 0
    rows = np.repeat(np.arange(len(TEXTS)), weights.astype(int))
    one = model(**options).fit(TEXTS, TWO, sample_weight=weights)
    other = model(**options).fit([TEXTS[i] for i in rows], TWO[rows])
    np.testing.assert_allclose(
        one.predict(TEXTS), other.predict(TEXTS), atol=1e-3 * TWO.max()
    )


def test_weights_decide_between_two_numbers_of_a_text(model):
    texts, y = ["good day"] * 32, np.tile([0.0, 10.0], 16)
    for heavy in (0.0, 10.0):
        weights = np.where(y == heavy, 9.0, 1.0)
        reg = model().fit(texts, y, sample_weight=weights)
        assert reg.predict(texts[:1])[0] == pytest.approx(1 + 0.8 * heavy, abs=0.2)


def test_a_number_of_weight_0_does_not_count(model):
    y, weights = np.append(Y, 1e9), np.append(np.ones(len(Y)), 0.0)
    reg = model(max_epochs=2).fit([*TEXTS, "sad"], y, sample_weight=weights)
    np.testing.assert_allclose(
        reg.predict(TEXTS), fit(model, max_epochs=2).predict(TEXTS), atol=1e-4
    )


# Wrong numbers


def test_wrong_numbers_change_the_huber_loss_little(model):
    y = Y.copy()
    y[::8] = 1000.0
    wrong = np.isin(np.arange(len(Y)), np.arange(0, len(Y), 8))
    errors = {}
    for loss in ("squared_error", "huber"):
        predicted = fit(model, y, loss=loss).predict(TEXTS)
        errors[loss] = np.abs(predicted - Y)[~wrong].mean()
    assert errors["huber"] < 0.5
    assert errors["squared_error"] > 10


def test_the_loss_is_fitted_and_not_a_parameter_of_predictions(model, tmp_path):
    reg = fit(model, TWO, loss="huber", max_epochs=2)
    expected = reg.predict(TEXTS)
    loaded = AttentionFineTuneRegressor.load(reg.save(tmp_path / "saved"))
    np.testing.assert_array_equal(loaded.predict(TEXTS), expected)
    np.testing.assert_array_equal(
        reg.set_params(loss="squared_error").predict(TEXTS), expected
    )


# Validation


def test_early_stopping_reads_r2(model):
    valid = TEXTS[::2], TWO[::2]
    reg = model(early_stopping=True, n_iter_no_change=3, max_epochs=12)
    reg.fit(TEXTS, TWO, X_val=valid[0], y_val=valid[1])
    best = max(row["valid_r2"] for row in reg.history_)
    assert reg.score(*valid) == pytest.approx(best, abs=1e-5)
    assert not any("accuracy" in name for name in reg.history_[0])
    assert "r2" in TrainingDisplay.from_estimator(reg)._panels()[1][1]


@pytest.mark.parametrize(("loss", "score"), [("squared_error", "r2"), ("huber", "d2")])
def test_early_stopping_reads_the_loss_if_the_score_cannot_change(loss, score, model):
    # All validation numbers are equal to the median of the training numbers.
    y = np.where(np.arange(len(TEXTS)) % 4, 0.0, 3.0)
    reg = model(early_stopping=True, loss=loss, max_epochs=6)
    reg.fit(TEXTS, y, X_val=TEXTS[1:4], y_val=np.zeros(3))
    assert {row[f"valid_{score}"] for row in reg.history_} == {0}
    losses = [row["valid_loss"] for row in reg.history_]
    best = int(np.argmin(losses))
    assert best > 0
    assert reg.n_iter_ == min(best + 3, 6)
    if loss == "squared_error":
        errors = np.square(reg.predict(TEXTS[1:4]) / y.std())
        assert errors.mean() == pytest.approx(losses[best], rel=1e-3)


def test_early_stopping_of_the_huber_loss_reads_d2(model):
    valid = TEXTS[::2], Y[::2]
    reg = model(early_stopping=True, loss="huber", max_epochs=12)
    reg.fit(TEXTS, Y, X_val=valid[0], y_val=valid[1])
    scores = [row["valid_d2"] for row in reg.history_]
    errors = np.abs(reg.predict(valid[0]) - valid[1]).mean()
    median = np.quantile(Y, 0.5, method="lower")
    expected = 1 - errors / np.abs(valid[1] - median).mean()
    assert max(scores) == pytest.approx(expected, abs=1e-5)
    assert "d2" in TrainingDisplay.from_estimator(reg)._panels()[1][1]


def test_early_stopping_holds_out_texts(model):
    reg = fit(model, early_stopping=True, validation_fraction=0.25)
    assert {"valid_r2", "valid_loss"} <= set(reg.history_[0])


def test_r2_of_constant_validation_numbers_is_that_of_scikit_learn(model):
    reg = model(max_epochs=1).fit(TEXTS, Y, X_val=TEXTS[:4], y_val=Y[:4])
    assert reg.history_[0]["valid_r2"] == reg.score(TEXTS[:4], Y[:4]) == 0.0


def test_r2_is_exact_if_the_training_numbers_have_an_outlier(model):
    y, valid = np.where(np.arange(len(TEXTS)) == 0, 1e5, Y), Y[::2]
    reg = model(max_epochs=2).fit(TEXTS, y, X_val=TEXTS[::2], y_val=valid)
    expected = r2_score(valid, reg.predict(TEXTS[::2]))
    assert reg.history_[-1]["valid_r2"] == pytest.approx(expected, rel=1e-3)


# scikit-learn


def test_the_tags_are_those_of_a_regressor(model):
    tags = get_tags(model())
    assert is_regressor(model())
    assert tags.target_tags.multi_output
    assert tags.target_tags.single_output
    assert tags.target_tags.required
    assert not hasattr(model(), "predict_proba")


def test_every_scorer_for_numbers_runs(model):
    reg, ridge = fit(model, max_epochs=3), make_pipeline(fit(model), Ridge())
    ridge.fit(TEXTS, Y)
    n_scored = 0
    for name in get_scorer_names():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                get_scorer(name)(ridge, TEXTS, Y)
            except (ValueError, TypeError, AttributeError):
                continue
            n_scored += 1
            assert np.isfinite(get_scorer(name)(reg, TEXTS, Y)), name
    assert n_scored > 8


def test_searches_and_meta_estimators_work(model):
    order = np.random.RandomState(0).permutation(len(TEXTS))
    texts, y = [TEXTS[i] for i in order], Y[order]
    search = GridSearchCV(model(), {"max_epochs": [1, 15]}, cv=2, error_score="raise")
    assert search.fit(texts, y).best_params_ == {"max_epochs": 15}
    held_out = cross_val_predict(model(), texts, y, cv=2)
    assert r2_score(y, held_out) > 0.5
    logs = TransformedTargetRegressor(model(), func=np.log, inverse_func=np.exp)
    assert logs.fit(texts, y).score(texts, y) > 0.8


def test_parameters_of_classification_do_not_exist(model):
    names = set(model().get_params())
    theirs = set(AttentionFineTuneClassifier().get_params())
    assert {"class_weight", "label_smoothing", "contrastive_epochs"} <= theirs - names
    with pytest.raises(ValueError, match="batch_size"):
        fit(model, batch_size=0)
    with pytest.raises(ValueError, match="must not have a scoring callback"):
        fit(model, callbacks=[EpochScoring("r2")])


# Stages


@pytest.mark.parametrize(
    "parameters",
    [
        {"lm_epochs": 1},
        {"lm_weight": 0.5},
        {"trainable_layers": 0, "cache": "memory", "head_learning_rate": 1e-1},
        {"micro_batch_size": 3},
        {"gradual_unfreezing": True},
        {"long_texts": "window", "pooling": "concat"},
        {"precision": "bfloat16"},
    ],
    ids=str,
)
@pytest.mark.filterwarnings("ignore:.*longer than max_length")
def test_every_stage_takes_numbers(parameters, model, no_stores):
    reg = fit(model, TWO, **parameters, max_epochs=25)
    assert reg.score(TEXTS, TWO) > 0.5


def test_unlabeled_texts_are_read_by_the_language_model(model):
    more = ["the sun is hot", "rain and wind"] * 4
    joint = model(lm_weight=0.5, max_epochs=2)
    one = joint.fit(TEXTS, Y, X_unlabeled=more).predict(TEXTS)
    other = clone(joint).fit(TEXTS, Y).predict(TEXTS)
    assert not np.array_equal(one, other)
    with pytest.warns(UserWarning, match="`X_unlabeled` is ignored"):
        model(max_epochs=1).fit(TEXTS, Y, X_unlabeled=more)


def test_a_fit_is_resumed(model, tmp_path, monkeypatch):
    options = {"max_epochs": 4, "early_stopping": True, "validation_fraction": 0.25}
    expected = fit(model, **options).predict(TEXTS)
    kept = {**options, "checkpoint_dir": tmp_path}
    original, steps = _loop._Net.train_step, []

    def train_step(self, batch, **kwargs):
        steps.append(batch)
        if len(steps) == 8:
            raise KeyboardInterrupt
        return original(self, batch, **kwargs)

    monkeypatch.setattr(_loop._Net, "train_step", train_step)
    with pytest.raises(KeyboardInterrupt):
        fit(model, **kept)
    np.testing.assert_array_equal(fit(model, **kept).predict(TEXTS), expected)
    other = fit(model, 2 * Y[::-1], **kept).predict(TEXTS)
    assert not np.array_equal(other, expected)


def test_an_estimate_takes_numbers(model):
    estimate = model(lm_epochs=1).estimate_fit(TEXTS, TWO)
    assert [stage.name for stage in estimate.stages][-1] == "classifier"


# Other methods


def test_explanations_are_in_the_unit_of_y(model):
    reg = fit(model)
    table = reg.explain(TEXTS[:1], attribution="integrated_gradients")
    # The ids of [CLS], of [MASK] for each token, and of [SEP].
    ids = torch.tensor([[2, *[4] * len(table), 3]])
    with torch.no_grad():
        masked = reg.module_(ids, torch.ones_like(ids)).item() * Y.std() + Y.mean()
    difference = reg.predict(TEXTS[:1])[0] - masked
    assert table["attribution"].sum() == pytest.approx(difference, rel=1e-2)
    by_hundred = fit(model, 100 * Y).explain(TEXTS[:1], attribution="gradient")
    by_one = reg.explain(TEXTS[:1], attribution="gradient")
    np.testing.assert_allclose(
        by_hundred["attribution"], 100 * by_one["attribution"], rtol=0.05, atol=0.5
    )
    AttentionDisplay.from_estimator(reg, TEXTS[:2])
    LayerAttentionDisplay.from_estimator(reg)


def test_explanations_of_several_numbers_name_a_column(model):
    reg = fit(model, TWO)
    first, second = (
        reg.explain(TEXTS[:2], attribution="gradient", target=i)["attribution"]
        for i in range(2)
    )
    assert not np.allclose(first, second)
    assert "attribution" not in reg.explain(TEXTS[:2], words=True)
    with pytest.raises(ValueError, match=r"a column of y \(0 to 1\).*got None"):
        reg.explain(TEXTS, attribution="gradient")
    for wrong in (2, -1, "a", 0.5):
        with pytest.raises(ValueError, match="`target` must be a column of y"):
            reg.explain(TEXTS, attribution="gradient", target=wrong)
    with pytest.raises(ValueError, match="None if `attribution` is None"):
        reg.explain(TEXTS, target=0)
    assert not hasattr(reg, "faithfulness")


def test_transform_returns_the_input_of_the_head(model):
    reg = fit(model).set_output(transform="pandas")
    contexts = reg.transform(TEXTS)
    assert isinstance(contexts, pd.DataFrame)
    layer = reg.module_.tasks[0].classify[-1]
    logits = contexts.to_numpy() @ layer.weight.detach().numpy().T
    numbers = (logits + layer.bias.detach().numpy())[:, 0] * Y.std() + Y.mean()
    np.testing.assert_allclose(numbers, reg.predict(TEXTS), atol=1e-4)


@pytest.mark.parametrize("y", [Y, TWO], ids=["one", "two"])
def test_saved_and_pickled_regressors_are_equal(y, model, tmp_path):
    reg = fit(model, y, max_epochs=2)
    loaded = AttentionFineTuneRegressor.load(reg.save(tmp_path / "saved"))
    for other in (loaded, pickle.loads(pickle.dumps(reg))):
        np.testing.assert_array_equal(other.predict(TEXTS), reg.predict(TEXTS))
        assert other.score(TEXTS, y) == reg.score(TEXTS, y)
    card = (tmp_path / "saved" / "README.md").read_text()
    assert f"Numbers per text: {y.ndim}" in card
    assert "text-classification" in card
    with pytest.raises(ValueError, match="got the class AttentionFineTuneRegressor"):
        AttentionFineTuneClassifier.load(tmp_path / "saved")


def test_a_changed_scale_is_refused(model, tmp_path):
    reg = fit(model, TWO, max_epochs=1)
    wrong = pickle.loads(pickle.dumps(reg))
    wrong._targets[0]["scale"] = np.zeros(2)
    with pytest.raises(ValueError, match="The mean and the scale"):
        wrong.save(tmp_path / "scale")
    wrong._targets[0].update(scale=np.ones(3), mean=np.ones(3))
    with pytest.raises(ValueError, match="must match the heads"):
        wrong.save(tmp_path / "columns")
