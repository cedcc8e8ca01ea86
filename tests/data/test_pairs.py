"""Which X is read as pairs of texts, and which is refused."""

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from scipy.sparse import csr_array

from sklearn_attnft._data._pairs import InputKind, check_texts_or_pairs, check_unlabeled
from sklearn_attnft._data._validation import check_texts

FIRST, SECOND = ["good day", "bad day", "fine"], ["so good", "", "[SEP]"]
PAIRS = list(zip(FIRST, SECOND, strict=True))
FRAME = pd.DataFrame({"q": FIRST, "a": SECOND}, index=[7, 7, 2])
HELD = {
    "tuples": PAIRS,
    "a tuple of tuples": tuple(PAIRS),
    "objects": np.array(PAIRS, dtype=object),
    "strings": np.array(PAIRS),
    "pandas": FRAME,
    "categories": FRAME.astype("category"),
    "polars": pl.DataFrame({"q": FIRST, "a": SECOND}),
    "pyarrow": pa.table({"q": FIRST, "a": SECOND}),
    "numbers as names": FRAME.set_axis([0, 1], axis=1),
}


@pytest.mark.parametrize("kind", HELD)
def test_two_columns_are_pairs(kind):
    texts = check_texts_or_pairs(HELD[kind])
    assert texts == PAIRS
    assert {type(text) for row in texts for text in row} == {str}
    found = InputKind.of(HELD[kind], texts)
    is_named = kind in ("pandas", "categories", "polars", "pyarrow")
    assert found == InputKind(2, ("q", "a") if is_named else None)
    assert InputKind.of_fitted(found.attributes()) == found


@pytest.mark.parametrize(
    "texts",
    [FIRST, tuple(FIRST[:2]), np.array(FIRST)[:, None], FRAME[["q"]], FRAME["q"]],
    ids=lambda texts: type(texts).__name__,
)
def test_one_column_has_single_texts(texts):
    checked = check_texts_or_pairs(texts)
    assert checked == FIRST[: len(checked)]
    assert InputKind.of(texts, checked) == InputKind()


WRONG = [
    (
        np.array([["a", "b", "c"]]),
        ValueError,
        r"shape \(1, 3\).*X\[:, 0\] or .*X\[:, \[0, 1\]\]",
    ),
    (FRAME.assign(b=FIRST), ValueError, r"3 columns.*X\['b'\].*X\[\['q', 'a'\]\]"),
    (pl.DataFrame(dict.fromkeys("abcd", FIRST)), ValueError, "frame with 4 columns"),
    ([*PAIRS, ("a",)], TypeError, "got a tuple of 1 at position 3"),
    ([*PAIRS, ("a", "b", "c")], TypeError, "got a tuple of 3 at position 3"),
    ([*PAIRS, "ab"], TypeError, "got a str at position 3"),
    ([("a", "b"), ("a", None)], ValueError, r"row\[1\] for row in X.*None.*position 1"),
    ([("a", "b"), (3, "b")], TypeError, r"row\[0\] for row in X.*an int \(3\)"),
    (FRAME.where(FRAME == "fine"), ValueError, r"`X\['q'\]` .* missing value"),
    (np.ones((3, 2)), TypeError, r"shape \(3, 2\) with numbers. Remove the step"),
    (np.empty((0, 2), dtype=object), ValueError, r"empty collection \(0 samples\)"),
    (np.array([[["a", "b"]]]), ValueError, r"got an array of shape \(1, 1, 2\)"),
    ([["a", "b"]], TypeError, r"got a list .* Pass \[' '.join\(row\) for row in X\]"),
]


@pytest.mark.parametrize(("texts", "error", "message"), WRONG)
def test_other_inputs_are_refused(texts, error, message):
    with pytest.raises(error, match=message):
        check_texts_or_pairs(texts)


NUMBERS = {"price": [1, 2, 3], "size": [0.5, None, 0.2], "new": [True, False, True]}


@pytest.mark.parametrize("check", [check_texts_or_pairs, check_texts])
@pytest.mark.parametrize("names", [["price"], ["size"], ["price", "size", "new"]])
@pytest.mark.parametrize("make", [pd.DataFrame, pl.DataFrame, pa.table, np.array])
def test_numbers_in_other_columns_lead_to_a_column_transformer(make, names, check):
    columns = {name: NUMBERS[name] for name in names} | {"q": [None, *FIRST[1:]]}
    X, code = make(columns), r"X\['q'\]"
    if make is np.array:
        X = np.array(list(columns.values()), dtype=object).T
        code = rf"X\[:, {len(names)}\]"
    if check is check_texts:
        code = "" if make is np.array else f"for example {code}. "
    else:
        code = rf"of which only {code} has texts. Pass {code}. "
    with pytest.raises(ValueError, match=rf"{code}To use the .* ColumnTransformer"):
        check(X)


def test_the_code_in_a_message_selects_a_column():
    kind = InputKind()
    for name in ("tuples", "objects", "pandas", "polars"):
        X = HELD[name]
        with pytest.raises(ValueError, match="must have one text for each") as caught:
            kind.check(X)
        codes = str(caught.value).split("fit: ")[1].rstrip(".").split(" or ")
        columns = [list(eval(code, {"X": X})) for code in codes]
        assert columns == [FIRST, SECOND]


def test_another_kind_than_in_fit_is_refused():
    with pytest.raises(ValueError, match="`X_val` must have two texts for each sample"):
        InputKind(2).check(FIRST, "X_val")
    named = InputKind(2, ("q", "a"))
    assert named.check(FRAME) == named.check(PAIRS) == PAIRS
    with pytest.raises(ValueError, match=r"same order, \['q', 'a'\].* got \['a',"):
        named.check(FRAME[["a", "q"]])


@pytest.mark.parametrize(
    "nothing",
    [None, [], (), np.array([]), np.empty((0, 2)), pd.Series([]), pd.DataFrame()],
    ids=repr,
)
def test_no_unlabeled_texts_may_be_an_empty_collection(nothing):
    assert check_unlabeled(nothing, {"lm_epochs": 0, "lm_weight": 0}) == []


@pytest.mark.parametrize(
    "wrong",
    ["", b"", {}, set(), np.array("good"), csr_array((0, 2)), 0, np.nan],
    ids=repr,
)
def test_other_unlabeled_texts_are_refused(wrong):
    with pytest.raises((TypeError, ValueError), match="X_unlabeled"):
        check_unlabeled(wrong, {"lm_epochs": 1, "lm_weight": 0})
