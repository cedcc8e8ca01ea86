"""Pickles stay readable when private modules move."""

import pickle
import re

import pytest
import tiny
from sklearn.base import clone

from sklearn_attnft import (
    AttentionFineTuneClassifier,
    MultiTaskClassifier,
    TransformerFeatureExtractor,
)

X = ["good day", "bad dog", "lovely night", "awful rain"] * 4
Y = ["good", "bad"] * 8
MODULES = re.compile(rb"sklearn_attnft\.([\w.]+)")


@pytest.mark.parametrize("is_fitted", [False, True])
def test_pickles_name_no_module_but_those_of_the_estimators(small, is_fitted):
    clf = AttentionFineTuneClassifier(**small | {"max_epochs": 1, "lm_epochs": 1})
    several = MultiTaskClassifier(clone(clf))
    extractor = TransformerFeatureExtractor(tiny.ENCODER, max_length=32)
    models = [clf, several, extractor]
    if is_fitted:
        several.fit(X, {"a": Y, "b": [{"c"}, set()] * 8})
        models = [clf.fit(X, Y), several, several.task("b"), extractor.fit(X)]
    for model in models:
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
            dumped = pickle.dumps(model, protocol=protocol)
            names = {name.decode().split("\n")[0] for name in MODULES.findall(dumped)}
            assert names <= {"_classifier", "_extractor", "_multitask"}
