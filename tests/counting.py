"""Estimators that note what their encoders do, also in processes of joblib's."""

import os

import pytest

from sklearn_attnft import AttentionFineTuneClassifier, TransformerFeatureExtractor
from sklearn_attnft._fit import _lm_stage


class CountingExtractor(TransformerFeatureExtractor):
    """Appends a line for every text to the file "log" in the encoder's directory."""

    def fit(self, X, y=None):
        super().fit(X, y)
        log = os.path.join(self.encoder, "log")

        def note(encoder, args, kwargs):
            # One write: appended as a whole, whoever else writes.
            with open(log, "ab", buffering=0) as file:
                rows = kwargs["input_ids"] * kwargs["attention_mask"]
                file.write(b"".join(b"%a\n" % row for row in rows.tolist()))

        self.module_.encoder.register_forward_pre_hook(note, with_kwargs=True)
        return self


def uses(estimator):
    """Return hits and misses of an estimator's cache."""
    return estimator.cache_info()[:2]


def texts_read(encoder):
    """Return how many texts were read."""
    with open(os.path.join(encoder, "log"), "rb") as file:
        return len(file.readlines())


class CountingClassifier(AttentionFineTuneClassifier):
    """Appends a line to a file for every language model that it adapts."""

    def __init__(self, log, **kwargs):
        super().__init__(**kwargs)
        self.log = log

    @classmethod
    def _get_param_names(cls):
        return ["log", *AttentionFineTuneClassifier._get_param_names()]

    def fit(self, X, y):
        train = _lm_stage.train

        def counting(*args):
            with open(self.log, "ab", buffering=0) as file:
                file.write(b"adapted\n")
            return train(*args)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(_lm_stage, "train", counting)
            return super().fit(X, y)
