"""A `y` of numbers is checked and standardized."""

from decimal import Decimal
from fractions import Fraction

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_array
from sklearn.exceptions import DataConversionWarning

from sklearn_attnft._data._numbers import Numbers, check_numbers

Y = [1.5, 2.0, -3.0]
CONTAINERS = {
    "list": Y,
    "tuple": tuple(Y),
    "float32": np.array(Y, dtype=np.float32),
    "object": np.array(Y, dtype=object),
    "Decimal": [Decimal("1.5"), Decimal(2), Decimal(-3)],
    "Fraction": [Fraction(3, 2), 2, -3],
    "pandas": pd.Series(Y, index=[9, 8, 7]),
    "nullable": pd.Series(Y, dtype="Float64"),
    "polars": pl.Series(Y),
    "masked": np.ma.array(Y),
    "read-only": np.broadcast_to(Y, 3),
}


@pytest.mark.parametrize("kind", CONTAINERS)
def test_every_container_gives_the_same_numbers(kind):
    numbers = check_numbers(CONTAINERS[kind], 3)
    assert numbers.dtype == np.float64
    assert numbers.tolist() == [[1.5], [2.0], [-3.0]]


def test_ints_and_bools_are_numbers():
    assert check_numbers([3, 1], 2).tolist() == [[3.0], [1.0]]
    assert check_numbers([True, False], 2).tolist() == [[1.0], [0.0]]
    assert check_numbers(np.array([2**40, 1], dtype=np.uint64), 2)[0, 0] == 2.0**40


@pytest.mark.parametrize("make", [np.array, list, pd.DataFrame, pl.DataFrame])
def test_several_columns_are_kept(make):
    y = make([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    if make is pl.DataFrame:
        y = pl.DataFrame({"a": [1.0, 3.0, 5.0], "b": [2.0, 4.0, 6.0]})
    assert check_numbers(y, 3).tolist() == [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]


@pytest.mark.parametrize(
    "y", [np.array(Y)[:, None], pd.DataFrame(Y), [[1.5], [2.0], [-3.0]]]
)
def test_one_column_is_flattened_with_a_warning(y):
    with pytest.warns(DataConversionWarning, match="1d array was expected"):
        numbers = check_numbers(y, 3)
    assert numbers.tolist() == [[1.5], [2.0], [-3.0]]


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (None, "got None; fit requires y to be passed"),
        ("123", "got a str. Pass a list"),
        (b"123", "got a bytes object"),
        (1.0, "got a float. Pass a list"),
        ({"a": 1.0}, "got a dict"),
        ({1.0, 2.0, 3.0}, "got a set"),
        (iter(Y), "got a list_iterator"),
        (csr_array([[1.0], [2.0]]), r"got a sparse csr_array. Pass y.toarray\(\)"),
        (np.zeros((3, 2, 2)), r"got an array of shape \(3, 2, 2\)"),
        (np.zeros((3, 0)), r"got an array of shape \(3, 0\)"),
        (["a", "b", "c"], r"got a str \('a'\) at .* AttentionFineTuneClassifier"),
        (np.array([1.0, "b", 2.0], dtype=object), r"got a str \('b'\) at position 1"),
        (
            ["5 stars", "1 star", "2 stars"],
            r"got a str .*\.extract\(r'.*'\)\[0\]\.astype\(float\)",
        ),
        ([b"1", b"2", b"3"], "got a bytes_ object"),
        (pd.to_datetime(["2020"] * 3), "got a datetime64 .* at position 0"),
        (pd.to_timedelta([1, 2, 3], "h"), "got a timedelta64 .* at position 0"),
        (np.array([1, 2, 3], "m8[ns]"), "got a timedelta64 .* at position 0"),
        ([1j, 2, 3], "got a complex128"),
        ([[1.0], [1.0, 2.0], [3.0]], "got rows of different lengths"),
        ([1.0, None, 2.0], r"only finite numbers, got nan at position 1"),
        ([1.0, 2.0, float("nan")], "got nan at position 2"),
        (pd.Series([1, pd.NA, 2], dtype="Int64"), "got nan at position 1"),
        (np.ma.array(Y, mask=[0, 1, 0]), "got nan at position 1"),
        ([1.0, np.inf, 2.0], "got inf at position 1"),
        ([[1.0, 2.0], [1.0, -np.inf], [3.0, 4.0]], "got -inf at position 1"),
        ([1.0, 2.0], "`y` must have one entry for each text, got 2 entries for 3"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_other_values_are_refused(y, message):
    with pytest.raises(ValueError, match=message):
        check_numbers(y, 3)


def test_numbers_are_standardized_by_weights():
    rng = np.random.default_rng(0)
    y, weights = rng.normal(7.0, 3.0, size=(50, 2)), rng.uniform(size=50)
    weights[:5] = 0.0
    target = Numbers.fit(y, weights)
    labels = target.encode(y)
    assert labels.dtype == np.float32
    np.testing.assert_allclose(weights @ labels / weights.sum(), 0.0, atol=1e-6)
    np.testing.assert_allclose(weights @ labels**2 / weights.sum(), 1.0, rtol=1e-5)
    np.testing.assert_allclose(target.predict(labels.astype(float)), y, rtol=1e-5)
    assert target.predict(np.zeros((4, 2))).shape == (4, 2)
    assert Numbers.fit(y[:, :1], weights).predict(np.zeros((4, 1))).shape == (4,)


@given(
    st.lists(st.tuples(st.integers(-9, 9), st.integers(0, 3)), min_size=1).filter(
        lambda rows: any(weight for _, weight in rows)
    )
)
def test_the_robust_center_is_a_median_of_repeated_numbers(rows):
    y, weights = np.array(rows, dtype=float).T
    target = Numbers.fit(y[:, None], weights, "huber")
    repeated = np.repeat(y, weights.astype(int))
    lower, upper = np.quantile(repeated, 0.5, method="lower"), np.median(repeated)
    assert target.mean[0] in (pytest.approx(lower), pytest.approx(upper))
    again = Numbers.fit(repeated[:, None], np.ones(len(repeated)), "huber")
    assert (again.mean, again.scale) == (target.mean, pytest.approx(target.scale))


def test_the_robust_scale_is_the_standard_deviation_of_normal_numbers():
    y = np.random.default_rng(0).normal(7.0, 3.0, size=(9999, 1))
    y[::20] = 1e6
    target = Numbers.fit(y, np.ones(len(y)), "huber")
    assert target.mean[0] == pytest.approx(7.0, abs=0.3)
    assert target.scale[0] == pytest.approx(3.0, rel=0.1)


@pytest.mark.parametrize("outlier", [1e9, 1e18, -1.7e308])
def test_the_size_of_an_outlier_does_not_change_the_robust_scale(outlier):
    y = np.array([[1.0], [2.0], [3.0], [4.0], [outlier]])
    target = Numbers.fit(y, np.ones(5), "huber")
    assert target.mean[0] == pytest.approx(3.0 if outlier > 0 else 2.0)
    assert target.scale[0] == pytest.approx(1.4826)


def test_the_robust_scale_of_mostly_equal_numbers_is_not_0():
    y = np.array([[2.0], [2.0], [2.0], [2.0], [5.0], [6.0], [900.0]])
    target = Numbers.fit(y, np.ones(7), "huber")
    assert target.mean[0] == 2.0
    assert target.scale[0] == pytest.approx(1.4826 * 4.0)


@pytest.mark.parametrize("loss", ["squared_error", "huber"])
@pytest.mark.parametrize("value", [0.0, 0.1, -7e20, 1e-300])
def test_equal_numbers_have_the_scale_1(value, loss):
    target = Numbers.fit(np.full((9, 1), value), np.ones(9), loss)
    assert target.scale.tolist() == [1.0]
    assert target.mean.tolist() == [value]
    assert target.encode(np.full((9, 1), value)).tolist() == [[0.0]] * 9


@pytest.mark.parametrize("size", [1e300, 1e-300, 1.0])
def test_very_large_and_small_numbers_are_standardized(size):
    y = size * np.array([[1.0], [-1.0]])
    target = Numbers.fit(y, np.ones(2))
    np.testing.assert_allclose(target.encode(y), [[1.0], [-1.0]])
    np.testing.assert_allclose(target.predict(np.array([[1.0]])), [size])


def test_an_invalid_scale_is_refused():
    for mean, scale in (([0.0], [0.0]), ([np.nan], [1.0]), ([0.0], [1.0, 2.0])):
        with pytest.raises(ValueError, match="The mean and the scale"):
            Numbers(None, np.array(mean), np.array(scale)).as_head()
