# SPDX-License-Identifier: BSD-3-Clause
"""Fine-tuning language models for text classification inside scikit-learn."""

from ._classifier import AttentionFineTuneClassifier
from ._extractor import TransformerFeatureExtractor
from ._multitask import MultiTaskClassifier
from ._version import __version__

__all__ = [
    "AttentionFineTuneClassifier",
    "MultiTaskClassifier",
    "TransformerFeatureExtractor",
    "__version__",
]
