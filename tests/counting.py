"""Estimators that log the work of their encoders, also in processes of joblib."""

import os

import pytest

from sklearn_attnft import AttentionFineTuneClassifier, TransformerFeatureExtractor
from sklearn_attnft._fit import _lm_stage


class CountingExtractor(TransformerFeatureExtractor):
    """Extractor that logs each encoded text to "log" in the encoder's directory."""

    def fit(self, X, y=None):
        super().fit(X, y)
        log = os.path.join(self.encoder, "log")

        def note(encoder, args, kwargs):
            # A single write is atomic, so several processes can append.
            with open(log, "ab", buffering=0) as file:
                rows = kwargs["input_ids"] * kwargs["attention_mask"]
                file.write(b"".join(b"%a\n" % row for row in rows.tolist()))

        self.module_.encoder.register_forward_pre_hook(note, with_kwargs=True)
        return self


def uses(estimator):
    """Return the hits and the misses of an estimator's cache."""
    return estimator.cache_info()[:2]


def texts_read(encoder):
    """Return the number of texts that were encoded."""
    with open(os.path.join(encoder, "log"), "rb") as file:
        return len(file.readlines())


class CountingClassifier(AttentionFineTuneClassifier):
    """Classifier that appends a line to a file for each adapted language model."""

    def __init__(self, log, **kwargs):
        super().__init__(**kwargs)
        self.log = log

    @classmethod
    def _get_param_names(cls):
        return ["log", *AttentionFineTuneClassifier._get_param_names()]

    def fit(self, X, y):
        run = _lm_stage.LMStage.run

        def counting(*args):
            with open(self.log, "ab", buffering=0) as file:
                file.write(b"adapted\n")
            return run(*args)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(_lm_stage.LMStage, "run", counting)
            return super().fit(X, y)
