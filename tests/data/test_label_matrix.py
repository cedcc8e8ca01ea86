"""A `y` that is a matrix of 0 and 1 is recognized in every container."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy.sparse import coo_array, csc_matrix, csr_array, csr_matrix

from sklearn_attnft._data._label_matrix import check_matrix, find_matrix

MATRIX = np.array([[1, 0], [1, 1], [0, 0]])
CONTAINERS = {
    "int": MATRIX,
    "float": MATRIX.astype(float),
    "bool": MATRIX == 1,
    "uint8": MATRIX.astype(np.uint8),
    "object": MATRIX.astype(object),
    "bool objects": (MATRIX == 1).astype(object),
    "list": MATRIX.tolist(),
    "tuple": tuple(map(tuple, MATRIX.tolist())),
    "list of arrays": list(MATRIX),
    "pandas": pd.DataFrame(MATRIX),
    "nullable pandas": pd.DataFrame(MATRIX).astype("Int64"),
    "polars": pl.DataFrame(MATRIX),
    "csr_array": csr_array(MATRIX),
    "csr_matrix": csr_matrix(MATRIX),
    "csc_matrix": csc_matrix(MATRIX),
    "coo_array": coo_array(MATRIX),
    "masked": np.ma.array(MATRIX),
    "Fortran": np.asfortranarray(MATRIX),
}


@pytest.mark.parametrize("kind", CONTAINERS)
def test_every_container_gives_the_same_values(kind):
    found = find_matrix(CONTAINERS[kind], 3)
    np.testing.assert_array_equal(found.values, MATRIX)
    assert found.values.dtype == np.float32
    is_matrix = kind in ("csr_matrix", "csc_matrix")
    is_array = kind in ("csr_array", "coo_array")
    expected = "csr_matrix" if is_matrix else "csr_array" if is_array else None
    assert found.container == expected


def test_names_are_the_columns_of_a_frame():
    frame = pd.DataFrame(MATRIX, columns=["b", "a"])
    assert find_matrix(frame, 3).names.tolist() == ["b", "a"]
    assert find_matrix(pl.from_pandas(frame), 3).names.tolist() == ["b", "a"]
    assert find_matrix(MATRIX, 3).names.tolist() == [0, 1]


@pytest.mark.parametrize(
    "y",
    [
        None,
        "01",
        b"01",
        {"tags": MATRIX},
        [0, 1, 1],
        MATRIX[:, 0],
        MATRIX[:, :1],
        csr_array(MATRIX[:, :1]),
        MATRIX + 1,
        MATRIX - 0.5,
        MATRIX.astype(str),
        [["a", "b"], ["b", "c"], ["c", "a"]],
        [["a"], ["a", "b"], []],
        [{"a"}, {"b"}, set()],
        np.stack([MATRIX, MATRIX]),
        iter(MATRIX),
        [[0, "1"], [1, 0], [0, 0]],
    ],
)
def test_other_labels_are_no_matrix(y):
    assert find_matrix(y, 3) is None


@pytest.mark.parametrize("missing", [np.nan, None, pd.NA])
def test_missing_values_are_refused(missing):
    wrong = MATRIX.astype(object)
    wrong[1, 1] = missing
    for y in (wrong, wrong.tolist(), pd.DataFrame(wrong)):
        with pytest.raises(ValueError, match=r"missing values.*row 1 and column 1"):
            find_matrix(y, 3)


def test_another_number_of_rows_is_refused():
    with pytest.raises(ValueError, match="`y` must have one entry for each text"):
        find_matrix(MATRIX, 4)


def test_only_one_hot_rows_warn():
    with pytest.warns(UserWarning, match="exactly one 1.*idxmax"):
        find_matrix(np.eye(3, dtype=int), 3).warn_one_hot()
    find_matrix(MATRIX, 3).warn_one_hot()


def test_other_columns_than_in_fit_are_refused():
    names = np.array(["a", "b"], dtype=object)
    frame = pd.DataFrame(MATRIX, columns=["a", "b"])
    np.testing.assert_array_equal(check_matrix(frame, 3, names), MATRIX)
    np.testing.assert_array_equal(check_matrix(MATRIX, 3, names), MATRIX)
    for wrong in (frame[["b", "a"]], np.eye(3), frame.assign(c=1)):
        with pytest.raises(ValueError, match=r"`y` must be .* the same 2 columns"):
            check_matrix(wrong, 3, names)
    with pytest.raises(ValueError, match=r"got an ndarray of shape \(3,\)"):
        check_matrix(MATRIX[:, 0], 3, names, "y_val")
