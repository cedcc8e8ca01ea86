# SPDX-License-Identifier: BSD-3-Clause
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sklearn_attnft import AttentionFineTuneClassifier
from sklearn_attnft._utils._messages import shorten


@given(st.text(max_size=60), st.integers(5, 40))
def test_a_shortened_value_fits_and_shows_that_it_is_cut(value, length):
    text = shorten(value, length)
    assert len(text) <= length
    if len(repr(value)) > length:
        assert text.endswith("...")
        assert repr(value).startswith(text[:-3])
    else:
        assert text == repr(value)


def test_a_long_value_of_a_message_is_cut_visibly(tiny_encoder):
    classifier = AttentionFineTuneClassifier(encoder=tiny_encoder)
    with pytest.raises(TypeError, match=r"\(b'x+\.\.\.\) at position 1"):
        classifier.fit(["one", b"x" * 100], ["a", "b"])
