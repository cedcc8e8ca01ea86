"""Values are decoded as they were encoded, with the same types."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from sklearn_attnft._persistence import _json
from sklearn_attnft._persistence._json import decode, encode

DTYPES = st.one_of(
    npst.boolean_dtypes(),
    npst.integer_dtypes(endianness="?"),
    npst.unsigned_integer_dtypes(),
    npst.floating_dtypes(sizes=(16, 32, 64), endianness="?"),
    npst.unicode_string_dtypes(max_len=5),
)
SCALARS = DTYPES.flatmap(lambda dtype: npst.arrays(dtype, (1,))).map(lambda a: a[0])
KEYS = st.one_of(st.none(), st.booleans(), st.integers(), st.text(), st.floats())
ARRAYS = DTYPES.flatmap(lambda dtype: npst.arrays(dtype, npst.array_shapes(min_side=0)))
OBJECTS = st.lists(KEYS).map(lambda cells: np.array([*cells, None], dtype=object))
VALUES = st.recursive(
    st.one_of(KEYS, ARRAYS, OBJECTS, st.just(Path("a") / "b")),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.lists(inner, max_size=4).map(tuple),
        st.dictionaries(st.one_of(st.text(), st.just("!")), inner, max_size=4),
        st.dictionaries(st.one_of(KEYS, st.tuples(KEYS, KEYS)), inner, max_size=4),
    ),
    max_leaves=10,
)


def same(a, b):
    """Check that two values are equal, with equal types at all depths."""
    if type(a) is not type(b):
        return False
    if isinstance(a, dict):
        return same(list(a.items()), list(b.items()))
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, np.ndarray) and a.dtype == object:
        return a.shape == b.shape and same(a.tolist(), b.tolist())
    if isinstance(a, np.ndarray):
        # All NaN are equal, -0.0 and 0.0 are not. The width of str may differ.
        alike = (
            a.dtype.str[:2] == b.dtype.str[:2]
            if a.dtype.kind == "U"
            else (a.dtype == b.dtype)
        )
        return alike and a.shape == b.shape and same(a.tolist(), b.tolist())
    return repr(a) == repr(b) if isinstance(a, float) else a == b


@settings(deadline=None)
@given(VALUES)
def test_what_is_decoded_is_what_was_encoded(value):
    written = json.dumps(encode(value), allow_nan=False)
    assert same(decode(json.loads(written)), value)


@given(SCALARS)
def test_numpy_scalars_become_plain_values(scalar):
    decoded = decode(encode(scalar))
    assert type(decoded) in (bool, int, float, str)
    assert decoded == scalar or np.isnan(scalar)


@pytest.mark.parametrize(
    "value",
    [
        object(),
        np.random.RandomState(0),
        np.datetime64("2026-01-01", "ns"),  # whose item() is an int
        np.longdouble(1),
        1j,
        [len],
        b"a",
        {1},
        frozenset(),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_json_cannot_hold_is_refused(value):
    with pytest.raises(TypeError, match="cannot be written as JSON"):
        encode(value)


def test_str_comes_back_as_wide_as_the_longest():
    assert decode(encode(np.array(["good", "bad"], dtype="<U99"))).dtype == "<U4"
    assert decode(encode(np.array([], dtype="<U99"))).shape == (0,)


def test_all_arrays_of_a_file_share_a_budget(monkeypatch):
    monkeypatch.setattr(_json, "MAX_BYTES", 100)
    written = encode([np.zeros(5), {"a": np.zeros(5)}, np.array(["a" * 4, ""])])
    with pytest.raises(ValueError, match="at most 100 bytes in total"):
        decode(written)
    budget = _json.ArrayBudget()
    decode(encode(np.zeros(7)), budget)
    with pytest.raises(ValueError, match="at most 100 bytes in total"):
        decode(encode({(1, 2): (np.zeros(7), [3])}), budget)


@pytest.mark.parametrize(
    "written",
    [
        {"!": "object", "of": "os.system"},
        {"!": "array", "dtype": "V8", "shape": [1], "of": ["x"]},
        {"!": "array", "dtype": "<U999999999", "shape": [1], "of": ["x"]},
        {"!": "array", "dtype": "<U6", "shape": [1], "of": ["short"]},
        {"!": "array", "dtype": "<U6", "shape": [1], "of": [1.0]},
        {"!": "set", "of": [1]},
        {"!": "scalar", "dtype": "<i8", "of": 1},
        {"!": "array", "dtype": "<f8", "shape": [10**12], "of": [1.0]},
        {"!": "array", "dtype": "<f8,<f8", "shape": [1], "of": [1.0]},
        {"!": "array", "dtype": "<i8", "of": [1]},
        {"!": "tuple"},
        {"!": "dict", "of": [[[], 1]]},
        {"!": []},
    ],
)
def test_what_was_never_encoded_is_refused(written):
    with pytest.raises((ValueError, TypeError, KeyError)):
        decode(written)
