import contextlib
import enum
import pickle
import warnings
from collections import ChainMap
from types import MappingProxyType

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import tiny
from scipy.sparse import csr_array
from sklearn import config_context
from sklearn.base import clone, is_classifier
from sklearn.calibration import CalibratedClassifierCV
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    f1_score,
    get_scorer,
    get_scorer_names,
    hamming_loss,
    log_loss,
    make_scorer,
    multilabel_confusion_matrix,
    roc_auc_score,
)
from sklearn.model_selection import (
    GridSearchCV,
    KFold,
    cross_val_predict,
    cross_validate,
)
from sklearn.multioutput import MultiOutputClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from versions import has_sklearn

from sklearn_attnft import AttentionFineTuneClassifier, MultiTaskClassifier

# Many fits have few epochs and predict a single class.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

TEXTS = [
    f"{mood} {thing} {rest}"
    for mood in ("good", "fine", "bad", "awful")
    for thing in ("cat", "dog")
    for rest in ("this time", "and no man", "as it was when we did", "long day")
]
MOOD = [text.split()[0] in ("good", "fine") for text in TEXTS]
MOOD = ["glad" if glad else "cross" for glad in MOOD]
WORD = [text.split()[0] for text in TEXTS]
THING = [text.split()[1] for text in TEXTS]
Y = pd.DataFrame({"mood": MOOD, "word": WORD, "thing": THING})
MATRIX = np.array([Y["word"] == "good", Y["thing"] == "cat"]).T.astype(int)


def template(**kwargs):
    return AttentionFineTuneClassifier(
        tiny.ENCODER,
        max_length=32,
        batch_size=8,
        learning_rate=1e-3,
        head_learning_rate=1e-2,
        random_state=0,
        **{"max_epochs": 2, **kwargs},
    )


def model(multi=None, **kwargs):
    return MultiTaskClassifier(template(**kwargs), **multi or {})


def select(frame, *names):
    """Return columns of a pandas or polars data frame, or of a pyarrow.Table."""
    names = list(names)
    return frame.select(names) if hasattr(frame, "select") else frame[names]


def with_missing(y, column, keep):
    y = y.astype(object).copy()
    y.loc[~np.asarray(keep), column] = None
    return y


@pytest.fixture(scope="module")
def fitted():
    return model(max_epochs=15).fit(TEXTS, Y)


# Training


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"class_weight": "balanced", "label_smoothing": 0.1, "dropout": 0.2},
        {"early_stopping": True, "validation_fraction": 0.25},
        {"lm_epochs": 1},
        {"lm_weight": 0.5, "head": "lstm"},
        {"contrastive_epochs": 1},
    ],
    ids=str,
)
def test_a_fit_of_one_task_equals_a_fit_of_the_template(params):
    weights = np.linspace(0.5, 2, len(TEXTS))
    alone = template(**params).fit(TEXTS, WORD, sample_weight=weights)
    shared = model(**params).fit(TEXTS, Y[["word"]], sample_weight=weights)
    expected = alone.predict_proba(TEXTS)
    np.testing.assert_array_equal(shared.predict_proba(TEXTS)[0], expected)
    rows = [{k: v for k, v in row.items() if k != "dur"} for row in shared.history_]
    kept = [{k: v for k, v in row.items() if k != "dur"} for row in alone.history_]
    assert rows == kept


def test_all_tasks_are_learned(fitted):
    assert fitted.score(TEXTS, Y) > 0.9
    assert fitted.task_names_ == ["mood", "word", "thing"]
    assert [len(classes) for classes in fitted.classes_] == [2, 4, 2]


def test_the_order_of_the_columns_does_not_matter(fitted):
    other = model(max_epochs=15).fit(TEXTS, Y[["thing", "mood", "word"]])
    assert other.task_names_ == ["thing", "mood", "word"]
    for name in Y:
        ours, its = (
            m.predict_proba(TEXTS)[m.task_names_.index(name)] for m in (fitted, other)
        )
        np.testing.assert_array_equal(ours, its)
    features = np.split(fitted.transform(TEXTS), 3, axis=1)
    swapped = np.split(other.transform(TEXTS), 3, axis=1)
    np.testing.assert_array_equal(features[0], swapped[1])


@pytest.mark.parametrize("missing", [None, np.nan, pd.NA], ids=str)
def test_missing_labels_do_not_change_the_fit(missing):
    keep = np.arange(len(TEXTS)) % 3 > 0
    y = Y.astype(object).copy()
    y.loc[~keep, "word"] = missing
    wrong = y.copy()
    wrong.loc[~keep, "word"] = "good"
    masked = model().fit(TEXTS, y)
    reference = model().fit(TEXTS, with_missing(Y, "word", keep))
    for ours, its in zip(
        masked.predict_proba(TEXTS), reference.predict_proba(TEXTS), strict=True
    ):
        np.testing.assert_array_equal(ours, its)
    misled = model().fit(TEXTS, wrong).predict_proba(TEXTS)
    assert not np.allclose(misled[1], masked.predict_proba(TEXTS)[1])


def test_a_text_without_labels_does_not_change_the_fit():
    texts = [*TEXTS, "bad dog that nobody labeled"]
    y = pd.concat([Y, pd.DataFrame([[None] * 3], columns=Y.columns)])
    ours = model().fit(texts, y).predict_proba(TEXTS)
    its = model().fit(TEXTS, Y).predict_proba(TEXTS)
    np.testing.assert_array_equal(np.hstack(ours), np.hstack(its))


@pytest.mark.parametrize("params", [{"lm_epochs": 1}, {"lm_weight": 1.0}], ids=str)
def test_the_language_model_uses_texts_without_labels(params):
    more = ["bad dog that nobody labeled", "good cat you love"]
    y = pd.concat([Y, pd.DataFrame([[None] * 3] * 2, columns=Y.columns)])
    ours = model(**params).fit([*TEXTS, *more], y).predict_proba(TEXTS)
    its = model(**params).fit(TEXTS, Y, X_unlabeled=more).predict_proba(TEXTS)
    np.testing.assert_array_equal(np.hstack(ours), np.hstack(its))
    without = model(**params).fit(TEXTS, Y).predict_proba(TEXTS)
    assert not np.array_equal(np.hstack(ours), np.hstack(without))


def test_two_corpora_with_different_tasks_are_learned_together():
    half = len(TEXTS) // 2
    y = Y[["mood", "thing"]].astype(object).copy()
    order = np.random.RandomState(0).permutation(len(TEXTS))
    y.iloc[order[:half], 0] = None
    y.iloc[order[half:], 1] = None
    clf = model(max_epochs=30).fit(TEXTS, y)
    assert clf.score(TEXTS, Y[["mood", "thing"]]) > 0.9


def test_multilabel_targets_may_be_sets_or_a_matrix():
    tags = [{mood, thing} - {"cross"} for mood, thing in zip(MOOD, THING, strict=True)]
    tags[0] = None
    classes = ["cat", "dog", "glad"]
    matrix = [[float(c in t) for c in classes] for t in tags[1:]]
    matrix = np.array([[np.nan] * 3, *matrix])
    y = {"tags": tags, "word": WORD}
    clf = model(max_epochs=15).fit(TEXTS, y)
    assert clf.classes_[0].tolist() == classes
    assert clf.score(TEXTS, y) > 0.9
    predicted = clf.predict(TEXTS)
    assert predicted["tags"][1] == tags[1]
    proba = clf.predict_proba(TEXTS)[0]
    assert proba.shape == (len(TEXTS), 3)
    assert proba.sum(axis=1).max() > 1.5
    as_matrix = model(max_epochs=15).fit(TEXTS, {"tags": matrix, "word": WORD})
    np.testing.assert_array_equal(as_matrix.predict_proba(TEXTS)[0], proba)
    assert as_matrix.predict(TEXTS)["tags"].shape == (len(TEXTS), 3)
    assert as_matrix.score(TEXTS, {"tags": matrix, "word": WORD}) == clf.score(TEXTS, y)
    np.testing.assert_array_equal(clf.task("tags").predict_proba(TEXTS), proba)
    np.testing.assert_array_equal(clf.task("tags").predict(TEXTS), proba > 0.5)
    scorer = MultiTaskClassifier.task_scorer("tags", "f1_macro")
    assert (
        scorer(clf, TEXTS, y)
        == scorer(as_matrix, TEXTS, {"tags": matrix, "word": WORD})
        > 0.9
    )


def test_a_scorer_ignores_texts_with_missing_values_in_a_matrix():
    matrix = MATRIX.astype(float)
    matrix[::2, 0] = np.nan
    clf = model().fit(TEXTS, {"m": matrix})
    scorer = clf.task_scorer("m", "f1_macro")
    assert scorer(clf, TEXTS, {"m": matrix}) == scorer(
        clf, TEXTS[1::2], {"m": MATRIX[1::2]}
    )
    with pytest.raises(ValueError, match="a row without missing values for 'm'"):
        scorer(clf, TEXTS[::2], {"m": matrix[::2]})


def word_loss(clf):
    """Return the mean negative log-likelihood of the task "word"."""
    proba = clf.predict_proba(TEXTS)[clf.task_names_.index("word")]
    truth = np.searchsorted(clf.task("word").classes_, WORD)
    return -np.log(proba[np.arange(len(TEXTS)), truth]).mean()


def test_a_larger_task_weight_lowers_the_loss_of_the_task():
    losses = [
        word_loss(
            model({"task_weights": weights}, head="mlp", max_epochs=8).fit(TEXTS, Y)
        )
        for weights in ({"word": 20.0}, None, {"word": 0.05})
    ]
    assert losses == sorted(losses)
    assert losses[0] < losses[2] - 0.1
    same = model().fit(TEXTS, Y).predict_proba(TEXTS)[1]
    scaled = model({"task_weights": dict.fromkeys(Y, 3.0)}).fit(TEXTS, Y)
    np.testing.assert_allclose(scaled.predict_proba(TEXTS)[1], same, rtol=1e-4)


@pytest.mark.parametrize("sampling", ["sqrt", "uniform"])
def test_task_sampling_does_not_change_a_fit_with_equally_large_tasks(sampling):
    for n_texts in (24, 27, 32):
        ours = model({"task_sampling": sampling}).fit(TEXTS[:n_texts], Y[:n_texts])
        its = model().fit(TEXTS[:n_texts], Y[:n_texts])
        np.testing.assert_array_equal(ours.transform(TEXTS), its.transform(TEXTS))


def test_uniform_sampling_lowers_the_loss_of_a_small_task():
    y = with_missing(Y, "word", np.arange(len(TEXTS)) % 4 == 0)
    losses = [
        word_loss(model({"task_sampling": sampling}, max_epochs=8).fit(TEXTS, y))
        for sampling in ("uniform", "proportional")
    ]
    assert losses[0] < losses[1]


@pytest.mark.parametrize(
    "params",
    [
        {"label_smoothing": 0.3},
        {"class_weight": {"awful": 5.0, "bad": 1.0, "fine": 2.0, "good": 1.0}},
        {"dropout": 0.6},
        {"pooling": "concat"},
        {"head": "mlp"},
    ],
    ids=str,
)
def test_task_params_act_like_parameters_of_the_template(params):
    ours = model({"task_params": {"word": params}}).fit(TEXTS, Y[["word"]])
    alone = template(**params).fit(TEXTS, WORD)
    expected = alone.predict_proba(TEXTS)
    np.testing.assert_array_equal(ours.predict_proba(TEXTS)[0], expected)
    plain = template().fit(TEXTS, WORD).predict_proba(TEXTS)
    assert not np.array_equal(expected, plain)


def test_uncertainty_weights_are_learned_and_not_stored():
    ours = model({"task_weights": "uncertainty"}, max_epochs=15).fit(TEXTS, Y)
    plain = model(max_epochs=15).fit(TEXTS, Y)
    assert ours.score(TEXTS, Y) > 0.9
    assert not np.array_equal(ours.transform(TEXTS), plain.transform(TEXTS))
    names = [set(dict(m.module_.named_parameters())) for m in (ours, plain)]
    assert names[0] == names[1]


def test_tasks_may_have_different_parameters():
    own = {
        "word": {"pooling": "concat", "head": "mlp"},
        "mood": {"class_weight": "balanced"},
    }
    clf = model({"task_params": own}).fit(TEXTS, Y)
    assert clf.transform(TEXTS).shape[1] == 32 * 5
    assert len(clf.get_feature_names_out()) == 32 * 5
    assert clf.task("word").pooling == "concat"
    assert clf.task("word").transform(TEXTS).shape[1] == 32 * 3


def test_task_params_may_be_any_mapping():
    own = MappingProxyType({"word": ChainMap({"pooling": "mean"})})
    weights = MappingProxyType({"word": 2.0})
    clf = model({"task_params": own, "task_weights": weights}).fit(TEXTS, Y)
    assert clf.task("word").pooling == "mean"


def test_early_stopping_uses_the_mean_or_one_task():
    wrong = Y.assign(word=Y["word"].sample(frac=1, random_state=0).to_numpy())
    params = {"early_stopping": True, "n_iter_no_change": 2, "max_epochs": 9}
    mean = model(**params).fit(
        TEXTS, Y, X_val=TEXTS, y_val=wrong[["thing", "word", "mood"]]
    )
    row = mean.history_[-1]
    parts = [row[f"valid_accuracy_{name}"] for name in Y]
    assert row["valid_accuracy"] == pytest.approx(np.mean(parts))
    one = model({"validation_task": "word"}, **params)
    one.fit(TEXTS, Y, X_val=TEXTS, y_val=wrong)
    scores = [row["valid_accuracy_word"] for row in one.history_]
    best = int(np.argmax(scores))
    assert one.n_iter_ == min(best + 3, 9)
    assert MultiTaskClassifier.task_scorer("word", "accuracy")(
        one, TEXTS, wrong
    ) == pytest.approx(scores[best])


def test_early_stopping_validates_all_tasks_on_held_out_texts():
    clf = model(early_stopping=True, validation_fraction=0.25).fit(TEXTS, Y)
    assert "valid_accuracy_word" in clf.history_[0]


def test_tasks_are_learned_with_a_frozen_encoder_or_joint_training():
    clf = model(trainable_layers=0, max_epochs=20).fit(TEXTS, Y)
    assert clf.score(TEXTS, Y) > 0.5
    joint = model(lm_weight=0.2, max_epochs=20).fit(
        TEXTS, with_missing(Y, "word", [True, False] * 16)
    )
    assert joint.score(TEXTS, Y) > 0.7


def test_each_class_keeps_a_training_text_when_texts_are_held_out():
    y = with_missing(Y, "word", [True] * 2 + [False] * 28 + [True] * 2)
    for seed in range(6):
        clf = model(early_stopping=True, validation_fraction=0.5)
        clf.set_params(estimator__random_state=seed).fit(TEXTS, y)
        query = clf.task("word").module_.tasks[0].pool.query
        assert query.abs().max() > 0  # the task was trained


def test_y_val_needs_labels_of_the_validation_task():
    unlabeled = Y.assign(word=None)
    clf = model({"validation_task": "word"}, early_stopping=True)
    with pytest.raises(ValueError, match=r"decides on early stopping \('word'\)"):
        clf.fit(TEXTS, Y, X_val=TEXTS, y_val=unlabeled)
    first = model({"validation_task": 0}, early_stopping=True)
    with pytest.raises(ValueError, match=r"decides on early stopping \(0\)"):
        first.fit(
            TEXTS,
            Y[["word", "mood"]].to_numpy(),
            X_val=TEXTS,
            y_val=unlabeled[["word", "mood"]].to_numpy(),
        )
    clf = model(early_stopping=True).fit(TEXTS, Y, X_val=TEXTS, y_val=unlabeled)
    row = clf.history_[0]
    assert np.isnan(row["valid_accuracy_word"])
    rest = row["valid_accuracy_mood"], row["valid_accuracy_thing"]
    assert row["valid_accuracy"] == pytest.approx(np.mean(rest))
    with pytest.raises(ValueError, match="`y_val` must have at least one label"):
        model().fit(
            TEXTS, Y, X_val=TEXTS, y_val=Y.assign(word=None, mood=None, thing=None)
        )


def test_a_task_may_be_named_best():
    y = Y.rename(columns={"word": "best", "mood": "loss_best"})
    row = model().fit(TEXTS, y, X_val=TEXTS, y_val=y).history_[0]
    assert {"valid_accuracy_best", "valid_accuracy_loss_best"} <= set(row)
    assert not {"train_loss_best", "valid_loss_best", "train_batch_count"} & set(row)


def test_missing_cells_of_a_matrix_do_not_change_the_fit():
    matrix = MATRIX.astype(float)
    hidden = matrix.copy()
    hidden[::2, 0] = np.nan
    clf = model(max_epochs=25).fit(TEXTS, {"m": hidden, "mood": MOOD})
    predicted = clf.predict(TEXTS)["m"]
    assert (predicted[:, 1] == matrix[:, 1]).mean() > 0.9
    masked = hidden.copy()
    masked[::2] = np.nan
    other = model(max_epochs=25).fit(TEXTS, {"m": masked, "mood": MOOD})
    assert not np.array_equal(
        other.predict_proba(TEXTS)[0], clf.predict_proba(TEXTS)[0]
    )
    right = ((predicted == hidden) | np.isnan(hidden)).all(axis=1).mean()
    mood = clf.task("mood").score(TEXTS, MOOD)
    assert clf.score(TEXTS, {"m": hidden, "mood": MOOD}) == pytest.approx(
        (right + mood) / 2
    )


def test_a_matrix_may_be_sparse_or_a_frame():
    fits = [
        model().fit(TEXTS, {"m": m}).predict_proba(TEXTS)[0]
        for m in (
            MATRIX,
            csr_array(MATRIX),
            pd.DataFrame(MATRIX),
            pl.DataFrame(MATRIX),
            MATRIX.astype(object),
        )
    ]
    for other in fits[1:]:
        np.testing.assert_array_equal(other, fits[0])


@pytest.mark.parametrize("make", [pd.DataFrame, pl.DataFrame, pa.table])
def test_the_columns_of_a_matrix_are_its_classes(make, tmp_path):
    frame = make({"word": MATRIX[:, 0], "cat": MATRIX[:, 1]})
    texts = {"cat": "a cat", "other": "a class that the task lacks"}
    multi = {"task_params": {"m": {"label_texts": texts}}}
    y = {"m": frame, "mood": MOOD}
    clf = model(multi).fit(TEXTS, y, X_val=TEXTS, y_val=y)
    assert clf.classes_[0].tolist() == ["word", "cat"]
    assert clf.task("m").label_names_.tolist() == ["word", "cat"]
    array = {"m": MATRIX, "mood": MOOD}
    score = clf.score(TEXTS, array)
    assert clf.score(TEXTS, y) == score
    scorer = clf.task_scorer("m", "f1_macro")
    assert scorer(clf, TEXTS, y) == scorer(clf, TEXTS, array)
    expected = f1_score(MATRIX, clf.predict(TEXTS)["m"], average="macro")
    assert scorer(clf, TEXTS, y) == expected

    clf.save(tmp_path / "saved")
    loaded = MultiTaskClassifier.load(tmp_path / "saved")
    assert loaded.classes_[0].tolist() == ["word", "cat"]
    assert loaded.score(TEXTS, y) == score
    for wrong in (select(frame, "cat", "word"), select(frame, "cat")):
        with pytest.raises(ValueError, match=r"`y\['m'\]` must .* the same 2 columns"):
            loaded.score(TEXTS, {"m": wrong, "mood": MOOD})


@pytest.mark.parametrize(
    ("names", "message"),
    [(["a", "a"], "a different name for each"), (["a", np.nan], "a name for each")],
)
def test_the_columns_of_a_matrix_have_different_names(names, message):
    frame = pd.DataFrame(MATRIX, columns=names)
    with pytest.raises(ValueError, match=message):
        model().fit(TEXTS, {"m": frame})
    with pytest.raises(ValueError, match=message):
        template().fit(TEXTS, frame)


# Predictions


def test_predictions_have_the_container_of_the_labels(fitted):
    frame = fitted.predict(pd.Series(TEXTS, index=range(100, 132)))
    assert isinstance(frame, pd.DataFrame)
    assert frame.columns.tolist() == list(Y)
    assert frame.index[0] == 100
    array = model().fit(TEXTS, Y.to_numpy()).predict(TEXTS)
    assert array.shape == (len(TEXTS), 3)
    assert array.dtype == object
    rows = model().fit(TEXTS, Y.to_numpy().tolist())
    assert rows.task_names_ == [0, 1, 2]
    np.testing.assert_array_equal(rows.predict(TEXTS), array)
    columns = model().fit(TEXTS, dict(Y)).predict(TEXTS)
    assert list(columns) == list(Y)
    polars = model().fit(TEXTS, pl.DataFrame(Y.to_dict("list")))
    assert isinstance(polars.predict(TEXTS), pl.DataFrame)
    assert polars.predict(TEXTS).columns == list(Y)

    assert list(model().fit(TEXTS, pa.table(dict(Y))).predict(TEXTS)) == list(Y)

    class Frame(pd.DataFrame):
        """A subclass, as defined by libraries that extend pandas."""

    assert isinstance(model().fit(TEXTS, Frame(Y)).predict(TEXTS), pd.DataFrame)


def test_masked_cells_are_missing_labels():
    gone = np.arange(len(TEXTS)) % 4 == 0
    matrix = np.where(gone[:, None], np.nan, MATRIX)
    known = [None if lost else label for lost, label in zip(gone, MOOD, strict=True)]
    expected = model().fit(TEXTS, {"mood": known, "both": matrix}).predict_proba(TEXTS)
    masked = {
        "mood": np.ma.array(MOOD, mask=gone),
        "both": np.ma.array(MATRIX, mask=np.column_stack([gone, gone])),
    }
    proba = model().fit(TEXTS, masked).predict_proba(TEXTS)
    for ours, theirs in zip(proba, expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("make", [pl.DataFrame, pa.table])
def test_multilabel_columns_may_come_from_other_data_frames(make):
    y = {
        "both": list(map(list, zip(WORD, THING, strict=True))),
        "mood": [*MOOD[:-1], None],
    }
    expected = model().fit(TEXTS, y).predict_proba(TEXTS)
    for given in (make(y), {task: make(y)[task] for task in y}):
        proba = model().fit(TEXTS, given).predict_proba(TEXTS)
        for ours, theirs in zip(proba, expected, strict=True):
            np.testing.assert_array_equal(ours, theirs)


def test_labels_keep_their_type():
    y = pd.DataFrame({"number": [3, 7] * 16, "flag": [True, False] * 16})
    clf = model().fit(TEXTS, y)
    assert [classes.dtype.kind for classes in clf.classes_] == ["i", "b"]
    assert clf.predict(TEXTS).dtypes.map(lambda d: d.kind).tolist() == ["i", "b"]
    numbers = model().fit(TEXTS, np.array([[0, 1], [1, 2]] * 16))
    assert [classes.tolist() for classes in numbers.classes_] == [[0, 1], [1, 2]]


TOPICS = np.array(
    [
        [("good" in text) ^ (i % 7 == 0), ("cat" in text) ^ (i % 5 == 0), i % 2]
        for i, text in enumerate(TEXTS)
    ],
    dtype=int,
)
BINARY = {
    "array": TOPICS,
    "list": TOPICS.tolist(),
    "bool": TOPICS.astype(bool),
    "float": TOPICS.astype(float),
    "int8": TOPICS.astype(np.int8),
    "pandas": pd.DataFrame(TOPICS, columns=list("abc")),
    "polars": pl.DataFrame(TOPICS, schema=list("abc")),
    "one column": TOPICS[:, :1],
}


def scores(clf, y):
    """Return the scores of all scikit-learn scorers that score this classifier."""
    found = {}
    for name in get_scorer_names():
        with contextlib.suppress(ValueError, TypeError), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            score = get_scorer(name)(clf, TEXTS, y)
            found |= {name: score} if np.isfinite(score) else {}
    return found


@pytest.mark.parametrize("kind", BINARY)
def test_scikit_learn_scores_a_0_1_matrix_as_that_of_multi_output(kind):
    y = BINARY[kind]
    theirs = make_pipeline(
        CountVectorizer(), MultiOutputClassifier(LogisticRegression())
    ).fit(TEXTS, y)
    clf = model(max_epochs=4).fit(TEXTS, y)
    expected, found = scores(theirs, y), scores(clf, y)
    assert len(expected) > 30
    assert not set(expected) - set(found)
    truth, proba = np.asarray(y), clf.predict_proba(TEXTS)
    decision = clf.decision_function(TEXTS)
    assert decision.shape == truth.shape
    assert found["roc_auc"] == pytest.approx(
        roc_auc_score(truth, np.column_stack([each[:, 1] for each in proba]))
    )
    predicted = np.asarray(clf.predict(TEXTS))
    np.testing.assert_array_equal(predicted, decision > 0)
    assert predicted.dtype == np.asarray(theirs.predict(TEXTS)).dtype
    assert found["f1_macro"] == f1_score(truth, predicted, average="macro")
    for i in range(truth.shape[1]):
        accuracy_score(truth[:, i], predicted[:, i])


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.UndefinedMetricWarning")
@pytest.mark.parametrize("kind", ["array", "list", "pandas"])
def test_cross_validation_scores_a_0_1_matrix(kind):
    y, cv = BINARY[kind], KFold(2)
    scoring = ["roc_auc", "average_precision", "f1_macro", "jaccard_samples"]
    scored = cross_validate(
        model(), TEXTS, y, cv=cv, scoring=scoring, error_score="raise"
    )
    assert all(np.isfinite(scored[f"test_{name}"]).all() for name in scoring)
    predicted = cross_val_predict(model(), TEXTS, y, cv=cv)
    assert multilabel_confusion_matrix(TOPICS, predicted).shape == (3, 2, 2)
    assert 0 <= hamming_loss(TOPICS, predicted) <= 1
    proba = cross_val_predict(model(), TEXTS, y, cv=cv, method="predict_proba")
    positive = np.column_stack([each[:, 1] for each in proba])
    np.testing.assert_array_equal(positive > 0.5, predicted)
    logits = cross_val_predict(model(), TEXTS, y, cv=cv, method="decision_function")
    np.testing.assert_array_equal(logits > 0, predicted)


@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (lambda y: y, "i"),
        (lambda y: y + 0.0, "f"),
        (lambda y: np.where(np.arange(len(y))[:, None] % 5 == 0, np.nan, y), "f"),
        (lambda y: y == 1, "b"),
        (lambda y: y.astype(object), "i"),
        (lambda y: np.where(np.eye(*y.shape) > 0, None, y), "i"),
        (lambda y: csr_array(y), "i"),
        (lambda y: y.astype(str), "O"),
        (lambda y: [[bool(a), int(b)] for a, b in y], "O"),
        (lambda y: [[a, str(b)] for a, b in y.tolist()], "O"),
    ],
)
def test_an_array_of_predictions_has_the_common_type_of_the_labels(make, kind):
    clf = model(max_epochs=1).fit(TEXTS, make(MATRIX))
    for each in (clf, pickle.loads(pickle.dumps(clf))):
        predicted = each.predict(TEXTS)
        assert predicted.dtype.kind == kind
        for i, classes in enumerate(clf.classes_):
            assert set(predicted[:, i].tolist()) <= set(classes.tolist())


def test_scores_are_a_list_if_a_task_is_not_0_and_1():
    for column in (WORD, MOOD, [1, 2] * 16, [0, 2] * 16):
        clf = model(max_epochs=1).fit(TEXTS, {"a": column, "b": MATRIX[:, 0]})
        assert type(clf.decision_function(TEXTS)) is list


class Animal(str, enum.Enum):  # noqa: UP042 (StrEnum's __str__ is harmless)
    CAT = "the cat"
    DOG = "the dog"


@pytest.mark.parametrize(
    ("given", "plain"),
    [
        ((Animal.CAT, Animal.DOG), ("the cat", "the dog")),
        (("a", "a\0"), ("a", "a\0")),
        (("1", "01"), ("1", "01")),
        (("-1", "\0"), ("-1", "\0")),
        ((np.int16(1), np.int16(-7)), (1, -7)),
    ],
    ids=str,
)
def test_labels_keep_their_value_in_columns_and_sets(given, plain, tmp_path):
    column = [given[thing == "cat"] for thing in THING]
    y = {
        "one": [*column[:-1], None],
        "set": [{label} for label in column[:-2]] + [set(given), None],
        "list": [[label] for label in column],
    }
    weights = dict(zip(given, (3.0, 1.0), strict=True))
    clf = model({"task_params": {"one": {"class_weight": weights}}})
    clf.fit(TEXTS, y, X_val=TEXTS, y_val=y)
    for classes in clf.classes_:
        assert classes.tolist() == sorted(plain)
        assert {type(label) for label in classes.tolist()} == {type(plain[0])}
    scorer = MultiTaskClassifier.task_scorer("one", "accuracy")
    known = [plain[thing == "cat"] for thing in THING[:-1]]
    predicted = clf.predict(TEXTS)["one"].tolist()
    accuracy = np.mean([a == b for a, b in zip(predicted[:-1], known, strict=True)])
    assert scorer(clf, TEXTS, y) == pytest.approx(accuracy)
    assert clf.task("one").score(TEXTS[:-1], column[:-1]) == pytest.approx(accuracy)
    assert MultiTaskClassifier.task_scorer("set", "f1_macro")(clf, TEXTS, y) >= 0
    clf.set_params(task_params=None).save(tmp_path / "model")
    loaded = MultiTaskClassifier.load(tmp_path / "model")
    assert str(loaded.predict(TEXTS)) == str(clf.predict(TEXTS))
    assert loaded.score(TEXTS, y) == clf.score(TEXTS, y)


def test_scores_and_probabilities_agree(fitted):
    for i, name in enumerate(fitted.task_names_):
        view = fitted.task(name)
        for method in ("predict_proba", "predict_log_proba", "decision_function"):
            ours = getattr(fitted, method)(TEXTS)[i]
            np.testing.assert_array_equal(ours, getattr(view, method)(TEXTS))
        np.testing.assert_array_equal(fitted.predict(TEXTS)[name], view.predict(TEXTS))
        assert view.score(TEXTS, Y[name]) == np.mean(view.predict(TEXTS) == Y[name])
    views = [fitted.task(name).score(TEXTS, Y[name]) for name in Y]
    assert fitted.score(TEXTS, Y) == pytest.approx(np.mean(views))


def test_score_ignores_missing_labels(fitted):
    y = with_missing(Y, "word", [True] + [False] * (len(TEXTS) - 1))
    right = fitted.predict(TEXTS)["word"].iloc[0] == Y["word"].iloc[0]
    rest = [fitted.task(name).score(TEXTS, Y[name]) for name in ("mood", "thing")]
    assert fitted.score(TEXTS, y) == pytest.approx(np.mean([*rest, right]))
    y["word"] = None
    assert fitted.score(TEXTS, y) == pytest.approx(np.mean(rest))


def test_task_returns_a_classifier_that_shares_the_weights(fitted):
    view = fitted.task("word")
    assert is_classifier(view)
    assert view.module_.encoder is fitted.module_.encoder
    calibrated = CalibratedClassifierCV(FrozenEstimator(view), cv=2)
    assert calibrated.fit(TEXTS, Y["word"]).predict_proba(TEXTS).shape == (32, 4)
    copied = pickle.loads(pickle.dumps(view))
    np.testing.assert_array_equal(copied.predict(TEXTS), view.predict(TEXTS))


def test_a_pickle_predicts_the_same(fitted):
    copied = pickle.loads(pickle.dumps(fitted))
    pd.testing.assert_frame_equal(copied.predict(TEXTS), fitted.predict(TEXTS))
    np.testing.assert_array_equal(copied.transform(TEXTS), fitted.transform(TEXTS))
    assert not hasattr(clone(fitted), "module_")


def test_set_output_pandas_names_the_features(fitted):
    out = (
        pickle.loads(pickle.dumps(fitted))
        .set_output(transform="pandas")
        .transform(TEXTS)
    )
    assert out.shape == (len(TEXTS), 96)


# Searches


def scorers():
    scorer = MultiTaskClassifier.task_scorer
    return {"word": scorer("word", "f1_macro"), "mood": scorer("mood", "roc_auc")}


def test_grid_search_uses_scorers_of_tasks():
    grid = {
        "estimator__pooling": ["attention", "mean"],
        "task_weights": [None, {"word": 2.0}, "uncertainty"],
    }
    search = GridSearchCV(
        model(),
        grid,
        scoring=scorers(),
        refit="word",
        cv=KFold(2, shuffle=True, random_state=0),
        error_score="raise",
        n_jobs=2,
    )
    search.fit(TEXTS, Y)
    assert np.isfinite(search.cv_results_["mean_test_mood"]).all()
    assert search.predict(TEXTS).columns.tolist() == list(Y)


def test_a_search_with_missing_str_labels_needs_a_splitter():
    y = with_missing(Y, "word", [True, True, True, False] * 8)
    search = GridSearchCV(
        model(),
        {"estimator__max_epochs": [1, 2]},
        cv=KFold(2, shuffle=True, random_state=0),
        error_score="raise",
    )
    assert search.fit(TEXTS, y).best_score_ > 0
    for given in (y, y.fillna(np.nan)):
        with pytest.raises(TypeError, match="'<' not supported between instances of"):
            search.set_params(cv=2).fit(TEXTS, given)


def test_a_task_scorer_accepts_a_pipeline():
    pipeline = make_pipeline(
        FunctionTransformer(lambda X: [x.lower() for x in X]), model()
    )
    scores = cross_validate(
        pipeline,
        np.array(TEXTS),
        Y,
        scoring=scorers(),
        cv=KFold(2, shuffle=True, random_state=0),
        error_score="raise",
    )
    assert np.isfinite(scores["test_mood"]).all()


def test_a_scorer_counts_labels_that_are_not_in_the_training_data():
    y = {"tags": [{mood} for mood in MOOD], "word": WORD}
    clf = model(max_epochs=15).fit(TEXTS, y)
    new = {"tags": [{mood, "new"} for mood in MOOD], "word": WORD}
    scorer = MultiTaskClassifier.task_scorer("tags", "f1_macro")
    known, unseen = scorer(clf, TEXTS, y), scorer(clf, TEXTS, new)
    assert unseen == pytest.approx(known * 2 / 3)
    assert clf.score(TEXTS, new) < clf.score(TEXTS, y)


def test_a_scorer_selects_its_task_by_name_and_uses_weights(fitted):
    scorer = MultiTaskClassifier.task_scorer("word", "accuracy")
    y = with_missing(Y, "word", np.arange(len(TEXTS)) % 3 > 0)
    view, there = fitted.task("word"), y["word"].notna().to_numpy()
    texts, weights = np.array(TEXTS), np.linspace(1, 5, len(TEXTS)) ** 2
    assert scorer(fitted, TEXTS, y) == view.score(texts[there], y["word"][there])
    assert scorer(fitted, TEXTS, y[["word", "thing", "mood"]]) == scorer(
        fitted, TEXTS, y
    )
    assert scorer(fitted, TEXTS, y, sample_weight=weights) == pytest.approx(
        view.score(texts[there], y["word"][there], sample_weight=weights[there])
    )


def test_scored_label_lists_may_be_empty_or_contain_only_0_and_1():
    fruits = ([0], [1, 2], [2], [])
    y = pd.DataFrame({"fruit": [fruits[i % 4] for i in range(len(TEXTS))]})
    clf = model().fit(TEXTS, y)
    scorer = MultiTaskClassifier.task_scorer("fruit", "accuracy")
    for rows in ([3, 7], [0, 4]):
        texts, part = [TEXTS[i] for i in rows], y.iloc[rows]
        as_sets = part.map(set)
        assert clf.score(texts, part) == clf.score(texts, as_sets)
        assert scorer(clf, texts, part) == scorer(clf, texts, as_sets)


def test_a_scorer_of_a_multilabel_task_with_one_class_is_binary():
    tags = [{"glad"} if mood == "glad" else set() for mood in MOOD]
    clf = model(max_epochs=15).fit(TEXTS, pd.DataFrame({"tags": tags}))
    y = {"tags": [*tags[:4], *[set()] * 28]}
    truth = np.array([bool(tag) for tag in y["tags"]])
    proba = clf.predict_proba(TEXTS)[0][:, 0]
    for metric, expected in {
        "accuracy": accuracy_score(truth, proba > 0.5),
        "f1": f1_score(truth, proba > 0.5),
        "roc_auc": roc_auc_score(truth, proba),
        "average_precision": average_precision_score(truth, proba),
        "neg_log_loss": -log_loss(truth, proba),
    }.items():
        scorer = MultiTaskClassifier.task_scorer("tags", metric)
        assert scorer(clf, TEXTS, y) == pytest.approx(expected), metric


@pytest.mark.parametrize("routing", [False, True])
@pytest.mark.parametrize("several", [False, True])
def test_weights_reach_the_scorers_of_a_search(several, routing):
    seen = []

    def accuracy(truth, predicted, sample_weight=None):
        seen.append(sample_weight is not None)
        return np.average(truth == predicted, weights=sample_weight)

    with config_context(enable_metadata_routing=routing):
        clf, metric = model(), make_scorer(accuracy)
        scorer = MultiTaskClassifier.task_scorer("word", metric)
        if routing:
            clf.set_fit_request(sample_weight=True)
            assert scorer.set_score_request(sample_weight=True) is scorer
        scoring = {"word": scorer} if several else scorer
        refit = "word" if several else True
        search = GridSearchCV(
            clf, {}, scoring=scoring, refit=refit, cv=KFold(2, shuffle=True)
        )
        search.fit(TEXTS, Y, sample_weight=np.arange(1, 33))
        # Without routing, older searches do not pass weights to scorers.
        assert seen == [routing or has_sklearn("1.8")] * 2
    requests = metric.get_metadata_routing().score.requests
    assert requests.get("sample_weight") is None  # the user's scorer is unchanged


# Errors


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"word": None}, "Task 'word' must have .* got no label"),
        ({"word": "good"}, r"Task 'word' must have .* got 1 class \('good'\)"),
        ({"word": [{"a"}, "b"] * 16}, "either single labels or collections of labels"),
        ({"word": [1, "b"] * 16}, "labels of different types"),
        ({"word": [1, 1.5] * 16}, r"y\['word'\]` .* \(1.5\) at position 1.*continuous"),
        ({"word": [None, b"b"] * 16}, r"got a bytes object \(b'b'\) at position 1"),
        ({"word": [True, 1] * 16}, "bool at position 0, int at position 1"),
        ({"word": [{"a": 1}] * 32}, "got a dict .* at position 0"),
        ({"word": [MappingProxyType({}), 1] * 16}, "got a mappingproxy .* position 0"),
        ({"word": [[], ["a", ["b"]]] * 16}, r"got a list \(\['b'\]\) at position 1"),
        ({"word": [("a", None)] * 32}, r"got None \(None\) at position 0"),
        ({"word": [["a", {}]] * 32}, r"got a dict \({}\) at position 0"),
        ({"word": pd.date_range("2020", periods=32)}, "got a Timestamp .* position 0"),
        ({"word": [[0, 1], [1, 0]] * 16}, "lists of 0 and 1"),
        ({"word": [[]] * 32}, "Task 'word' must have .* got no label"),
    ],
    ids=str,
)
def test_targets_that_cannot_be_learned_are_refused(change, message):
    with pytest.raises((ValueError, TypeError), match=message):
        model().fit(TEXTS, Y.assign(**change))


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (None, "`y` must be .* got None; fit requires y to be passed"),
        (MOOD, "`y` must be .* got a list without rows of equal length"),
        (np.array(MOOD), r"got an ndarray of shape \(32,\)"),
        ({}, "got 0 tasks"),
        ({"mood": MOOD[:-1]}, r"`y\['mood'\]` must have .* got 31 entries for 32"),
        (Y.to_numpy()[:-1], "got 31 entries for 32 texts"),
        ([["a", "b"], ["a"]] * 16, "without rows of equal length.*{'tags': y}"),
        ([{word} for word in WORD], "{'tags': y}"),
        (pd.Series([[word] for word in WORD]), "{'tags': y}"),
        (pl.Series([[word] for word in WORD]), "{'tags': y}"),
        (pd.Series([{word} for word in WORD]).to_numpy(), "{'tags': y}"),
        ([*WORD[:-1], None], "{'labels': y}"),
        ([{"mood": mood} for mood in MOOD], r"pandas.DataFrame\(y\)"),
        (WORD, "For a single task, use AttentionFineTuneClassifier"),
        ({"mood": set(TEXTS)}, "got a set"),
        ({"mood": dict.fromkeys(TEXTS)}, "got a dict"),
        (Y[["mood", "mood"]], "got tasks of the same name"),
        ({1: MOOD, "1": MOOD}, "got tasks of the same name"),
        ({"mood": None}, r"`y\['mood'\]` must be .* got None"),
        (np.zeros((32, 2, 2)), r"shape \(32, 2, 2\). Pass one column for each task"),
        ({"m": np.full((32, 2), 2)}, "0, 1 and missing values, got values other"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_y_without_columns_is_refused(y, message):
    with pytest.raises(ValueError, match=message):
        model().fit(TEXTS, y)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        (
            {"task_weights": {"nothing": 1.0}},
            "`task_weights` must name a task of y, got 'nothing'",
        ),
        (
            {"task_weights": {"word": 0.0}},
            "`task_weights` .* got 0.0 for 'word'",
        ),
        (
            {"task_params": {"nothing": {}}},
            "`task_params` must name a task of y",
        ),
        (
            {"task_params": {"word": {"learning_rate": 1.0}}},
            "must be a dict with keys among",
        ),
        ({"task_params": {"word": {"pooling": "sum"}}}, "'pooling' parameter"),
        (
            {"validation_task": "nothing"},
            "`validation_task` must name a task of y, got 'nothing'",
        ),
        ({"task_sampling": "often"}, "'task_sampling' parameter"),
        ({"estimator__pooling": "sum"}, "'pooling' parameter"),
    ],
    ids=str,
)
def test_invalid_parameters_are_refused(params, message):
    with pytest.raises(ValueError, match=message):
        model().set_params(**params).fit(TEXTS, Y)


def test_only_an_attention_classifier_is_accepted_as_template():
    others = (LogisticRegression(), make_pipeline(template()), LogisticRegression)
    for other in others:
        with pytest.raises(TypeError, match="instance of AttentionFineTune"):
            MultiTaskClassifier(other).fit(TEXTS, Y)


def test_validation_labels_of_unknown_tasks_or_classes_are_refused():
    with pytest.raises(ValueError, match="y_val must have the tasks of fit"):
        model().fit(TEXTS, Y, X_val=TEXTS, y_val=Y[["mood"]])
    with pytest.raises(ValueError, match=r"`y_val\['mood'\]` must have .* got 'new'"):
        model().fit(TEXTS, Y, X_val=TEXTS[:2], y_val=Y[:2].assign(mood="new"))
    with pytest.raises(ValueError, match="got X_val without y_val"):
        model().fit(TEXTS, Y, X_val=TEXTS)


def test_class_weights_of_one_label_are_refused_for_a_multilabel_task():
    y, weights = (
        {"tags": [{"a"}, {"b"}] * 16, "mood": MOOD},
        {"glad": 2.0, "cross": 1.0},
    )
    with pytest.raises(ValueError, match=r"If a text can have several.*task_params={'"):
        model(class_weight=weights).fit(TEXTS, y)
    for own in (None, "balanced", [{0: 1.0, 1: 2.0}, {}]):
        params = {"task_params": {"tags": {"class_weight": own}}}
        model(params, class_weight=weights).fit(TEXTS, y)


def test_unknown_task_names_are_refused(fitted):
    with pytest.raises(ValueError, match="must name a task of y, got 'nothing'"):
        fitted.task("nothing")
    with pytest.raises(ValueError, match="must name a task of y, got 'nothing'"):
        MultiTaskClassifier.task_scorer("nothing", "accuracy")(fitted, TEXTS, Y)


def test_scoring_refuses_labels_of_another_kind(fitted):
    tags = {"t": [{"a"}, {"b"}] * 16}
    for y in ({"t": ["a", "b"] * 16}, {"t": np.eye(2)[[0, 1] * 16]}):
        with pytest.raises(ValueError, match=r"in fit \(sets, 2 classes\)"):
            model().fit(TEXTS, tags, X_val=TEXTS, y_val=y)
        with pytest.raises(ValueError, match=r"in fit \(sets, 2 classes\)"):
            model().fit(TEXTS, tags).score(TEXTS, y)
    with pytest.raises(ValueError, match=r"in fit \(labels, 4 classes\), got sets"):
        fitted.score(TEXTS, Y.assign(word=[{"a"}] * 32))


def test_a_class_weight_for_a_class_of_another_task_is_refused():
    with pytest.raises(ValueError, match=r"only classes of task 'thing'.*task_params"):
        model(class_weight={"glad": 2.0, "cross": 1.0}).fit(TEXTS, Y)


def test_scorers_raise_helpful_errors(fitted):
    scorer = MultiTaskClassifier.task_scorer
    with pytest.raises(ValueError, match="nothing"):
        scorer("word", "nothing")
    with pytest.raises(NotFittedError):
        scorer("word", "accuracy")(model(), TEXTS, Y)
    with pytest.raises(TypeError, match="must be a fitted MultiTaskClassifier"):
        scorer("word", "accuracy")(fitted.task("word"), TEXTS, Y)
    with pytest.raises(ValueError, match="labels of the task 'word'"):
        scorer("word", "accuracy")(fitted, TEXTS, Y.assign(word=None))


def test_a_task_of_one_tag_is_scored():
    tags = [{"fine"} if "fine" in text else set() for text in TEXTS]
    task = model().fit(TEXTS, {"tag": tags, "mood": MOOD}).task("tag")
    y = np.array([[len(each)] for each in tags])
    expected = (task.predict(TEXTS) == y).mean()
    assert task.score(TEXTS, y) == task.score(TEXTS, pd.DataFrame(y, columns=["fine"]))
    assert task.score(TEXTS, y) == expected
