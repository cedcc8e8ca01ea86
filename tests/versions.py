"""Marks of tests that need newer versions than the oldest supported ones."""

import numpy as np
import pytest
import sklearn
from sklearn.utils.fixes import parse_version


def has_sklearn(version):
    return parse_version(sklearn.__version__) >= parse_version(version)


needs_callbacks = pytest.mark.skipif(
    not has_sklearn("1.9"), reason="sklearn.callback needs scikit-learn 1.9"
)
needs_newest = pytest.mark.skipif(
    not has_sklearn("1.9"), reason="the benchmarks need the versions of constraints.txt"
)
needs_stateless_hashing = pytest.mark.skipif(
    not has_sklearn("1.7"),
    reason="the tag requires_fit of HashingVectorizer is wrong before scikit-learn 1.7",
)
needs_score_routing = pytest.mark.skipif(
    not has_sklearn("1.8"),
    reason="a search passes sample_weight to Pipeline.score with scikit-learn 1.8",
)
needs_numpy_2 = pytest.mark.skipif(
    not hasattr(np.dtypes, "StringDType"), reason="StringDType needs numpy 2"
)
