"""Mistakes in the arguments of fit and score that would change the result silently."""

import warnings
from collections import OrderedDict, defaultdict

import numpy as np
import pandas as pd
import pytest

from sklearn_attnft import (
    AttentionFineTuneClassifier,
    AttentionFineTuneRegressor,
    MultiTaskClassifier,
)

X = ["good day", "bad day", "good dog", "bad dog"] * 3
Y = ["good", "bad"] * 6
BITS = [0, 1] * 6


@pytest.fixture
def classifier(small):
    return AttentionFineTuneClassifier(**{**small, "max_epochs": 1})


@pytest.fixture
def regressor(small):
    return AttentionFineTuneRegressor(**{**small, "max_epochs": 1})


@pytest.mark.parametrize("name", [np.nan, None, ("a", np.nan)], ids=str)
def test_a_task_without_a_name(name, classifier):
    y = {name: Y, "b": Y}
    with pytest.raises(ValueError, match="`y` must have a name for each task, got"):
        MultiTaskClassifier(classifier).fit(X, y)
    frame = pd.DataFrame(zip(*y.values(), strict=True))
    frame.columns = pd.Index(list(y), tupleize_cols=False)
    with pytest.raises(ValueError, match="`y` must have a name for each task, got"):
        MultiTaskClassifier(classifier).fit(X, frame)


def test_a_label_of_a_matrix_without_a_name(classifier):
    names = pd.MultiIndex.from_tuples([("a", np.nan), ("a", "b")])
    matrix = pd.DataFrame(np.eye(2, dtype=int)[BITS], columns=names)
    with pytest.raises(ValueError, match="`y` must have a name for each column"):
        classifier.fit(X, matrix)


@pytest.mark.parametrize(
    ("y", "wrong", "message"),
    [
        (BITS, [str(bit) for bit in BITS], r"such as 0, got a str \('0'\)"),
        ([str(bit) for bit in BITS], BITS, r"such as '0', got an int \(0\)"),
        ([{bit} for bit in BITS], [{str(bit)} for bit in BITS], "got a str"),
    ],
    ids=["str", "int", "sets"],
)
def test_labels_of_another_type_are_not_scored(y, wrong, message, classifier):
    fitted = MultiTaskClassifier(classifier).fit(X, {"a": y, "b": Y})
    with pytest.raises(ValueError, match=rf"`y\['a'\]` must have .* {message}"):
        fitted.score(X, {"a": wrong, "b": Y})
    with pytest.raises(ValueError, match=rf"`y_val\['a'\]` must have .* {message}"):
        fitted.fit(X, {"a": y, "b": Y}, X_val=X, y_val={"a": wrong, "b": Y})


def test_labels_of_another_type_for_validation(classifier):
    with pytest.raises(ValueError, match=r"`y_val` .* got a str .* Convert .* to int"):
        classifier.fit(X, BITS, X_val=X, y_val=[str(bit) for bit in BITS])


def test_numbers_with_other_columns(regressor, tmp_path):
    y = pd.DataFrame({"a": np.arange(12.0), "b": 100 - np.arange(12.0)})
    swapped = y[["b", "a"]]
    fitted = regressor.fit(X, y)
    fitted.save(tmp_path / "saved")
    loaded = AttentionFineTuneRegressor.load(tmp_path / "saved")
    assert loaded.score(X, y) == fitted.score(X, y) == loaded.score(X, y.to_numpy())
    message = r"same columns as in fit, in the same order, \['a', 'b'\], got \['b', 'a'"
    for each in (fitted, loaded):
        with pytest.raises(ValueError, match=f"`y` must have the {message}"):
            each.score(X, swapped)
    with pytest.raises(ValueError, match=f"`y_val` must have the {message}"):
        regressor.fit(X, y, X_val=X, y_val=swapped)


@pytest.mark.parametrize("names", [[5, 7], [("a", "x"), ("b", "x")]], ids=str)
def test_names_of_numbers_that_are_not_str(names, regressor, tmp_path):
    y = pd.DataFrame({"a": np.arange(12.0), "b": 100 - np.arange(12.0)})
    y.columns = pd.Index(names)
    regressor.fit(X, y).save(tmp_path / "saved")
    for each in (regressor, AttentionFineTuneRegressor.load(tmp_path / "saved")):
        each.score(X, y)
        with pytest.raises(ValueError, match=r"pass y.to_numpy\(\) if only the names"):
            each.score(X, y[names[::-1]])


def test_numbers_in_columns_of_the_same_name(regressor):
    y = pd.DataFrame(np.ones((12, 2)), columns=["a", "a"])
    with pytest.raises(ValueError, match="`y` must have a different name for each"):
        regressor.fit(X, y)


def test_a_number_too_far_from_the_others(regressor):
    y = np.r_[np.arange(11.0), 1e308]
    with pytest.raises(ValueError, match=r"got 1e\+308 at position 11, .* too far"):
        regressor.set_params(loss="huber").fit(X, y)
    weights = np.r_[np.ones(11), 0]  # the number of an unused text can be any
    assert np.isfinite(regressor.fit(X, y, sample_weight=weights).predict(X)).all()
    with pytest.raises(ValueError, match="`y_val` must have only numbers of similar"):
        regressor.fit(X, np.arange(12.0), X_val=X, y_val=y)


@pytest.mark.parametrize(
    ("y", "expected"),
    [
        (["-1.5 kg", "2 kg"], [-1.5, 2.0]),
        (["1 star", " 5stars"], [1.0, 5.0]),
        (["1,200.5 EUR", "2 EUR"], None),
        (["1e-3 m", "1 m"], None),
        (["1 kg", "1 g"], None),
        (["5 ms", "5 m"], None),
        (["5 s", "5"], None),
        (["4", "5 stars"], None),
        (["1", "n/a"], None),
        (["1", "2.5"], [1.0, 2.5]),
        (["1k", "20"], None),
        (["item 3", "item 4"], None),
    ],
    ids=str,
)
def test_the_advice_for_numbers_in_str_changes_no_number(y, expected, regressor):
    with pytest.raises(ValueError, match="`y` must be an array of numbers") as caught:
        regressor.fit(X[:2], y)
    advice = str(caught.value).partition("For classes, use ")[2].partition(". ")[2]
    if expected is None:
        assert advice == "Convert the values to numbers."
    else:
        code = advice.partition("for example with ")[2].rstrip(".")
        names = {"pandas": pd, "np": np, "y": y}
        assert eval(code, names).tolist() == expected


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (X, r"got a str \('good day'\). Pass validation texts by name: fit\(X, y, X_"),
        ([1.0] * 11 + ["n/a"], r"got a str \('n/a'\). Pass validation texts by name"),
        ("balanced", "got a str .* For weights of classes, set class_weight"),
        ({"a": [1.0] * 12}, "got a dict .* For weights of tasks, set task_weights"),
    ],
    ids=["texts", "mixed", "balanced", "dict"],
)
def test_weights_that_are_something_else(weights, message, classifier, regressor):
    message = f"`sample_weight` must have one number for each text, {message}"
    with pytest.raises(ValueError, match=message):
        classifier.fit(X, Y, weights)
    with pytest.raises(ValueError, match=message):
        regressor.fit(X, BITS, weights)


@pytest.mark.parametrize(
    ("fraction", "y", "advice"),
    [
        (0.95, ["a", "b", "c"] * 4, "Set validation_fraction lower"),
        (0.1, ["a", "b", "c"] * 4, "Set validation_fraction higher"),
        (0.5, [*"ab" * 5, "a", "c"], "Pass at least two texts of the class 'c'"),
    ],
    ids=["lower", "higher", "single"],
)
def test_texts_that_cannot_be_split(fraction, y, advice, classifier):
    classifier.set_params(early_stopping=True, validation_fraction=fraction)
    with pytest.raises(ValueError, match=f"texts of every class for both .*{advice}"):
        classifier.fit(X, pd.Series(y))


def test_numbers_that_cannot_be_split(regressor):
    regressor.set_params(early_stopping=True)
    with pytest.raises(ValueError, match=r"leave texts for both .* more texts"):
        regressor.fit(X[:1], [1.0])
    regressor.set_params(validation_fraction=0.99)
    with pytest.raises(ValueError, match=r"for both .* Set validation_fraction lower"):
        regressor.fit(X, BITS)


def test_weights_that_leave_one_class(classifier):
    message = "texts with a positive weight, got {}. Raise the weights of texts of oth"
    with pytest.raises(ValueError, match=message.format(r"1 class \('good'\)")):
        classifier.fit(X, Y, sample_weight=1.0 - np.array(BITS))
    classifier.set_params(class_weight={"good": 0, "bad": 0})
    with pytest.raises(ValueError, match=message.format("no class")):
        classifier.fit(X, Y)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"dropout": 5}, r"In task_params\['a'\]: The 'dropout' parameter"),
        ({"class_weight": {"zz": 2}}, "got 'zz'. .* Correct the label"),
    ],
    ids=["dropout", "class_weight"],
)
def test_wrong_parameters_of_a_task(parameters, message, classifier):
    clf = MultiTaskClassifier(classifier, task_params={"a": parameters})
    with pytest.raises(ValueError, match=message):
        clf.fit(X, {"a": Y, "b": Y})


def test_columns_of_the_same_name(classifier):
    frame = pd.DataFrame(zip(X, X, strict=True), columns=["t", "t"])
    message = r"`X` must have a different name for each column, got \['t', 't'\]"
    with pytest.raises(ValueError, match=message):
        classifier.fit(frame, Y)


def test_a_column_of_dates_beside_the_texts(classifier):
    frame = pd.DataFrame({"t": X, "d": pd.date_range("2026-01-01", periods=12)})
    with pytest.raises(ValueError, match=r"only X\['t'\] has texts. Pass X\['t'\]"):
        classifier.fit(frame, Y)


def test_a_structured_array_of_tasks(classifier):
    y = np.array([(each, each) for each in Y], dtype=[("a", "U4"), ("b", "U4")])
    with pytest.raises(ValueError, match=r"Pass pandas.DataFrame\(y\)"):
        MultiTaskClassifier(classifier).fit(X, y)


def test_a_range_is_saved_as_a_list(classifier, tmp_path):
    classifier.set_params(layers=range(1, 3)).fit(X, Y).save(tmp_path / "saved")
    assert AttentionFineTuneClassifier.load(tmp_path / "saved").layers == [1, 2]


def test_an_unknown_precision_after_fit(classifier):
    fitted = classifier.fit(X, Y).set_params(precision="float99")
    with pytest.raises(ValueError, match=r"`precision` must be .* got 'float99'"):
        fitted.predict(X)


WEIGHTS = {"good": 2.0, "bad": 1.0}


@pytest.mark.parametrize(
    "task_params",
    [
        {"a": {"class_weight": defaultdict(float, WEIGHTS)}},
        OrderedDict(a={"class_weight": WEIGHTS}),
    ],
    ids=["defaultdict", "OrderedDict"],
)
def test_mappings_other_than_dict_are_saved(task_params, classifier, tmp_path):
    clf = MultiTaskClassifier(classifier, task_params=task_params)
    clf.fit(X, {"a": Y, "b": Y})
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a parameter that is not saved warns
        clf.save(tmp_path / "saved")
    loaded = MultiTaskClassifier.load(tmp_path / "saved")
    assert loaded.task_params == {"a": {"class_weight": WEIGHTS}}
