# SPDX-License-Identifier: BSD-3-Clause
"""Fine-tuning language models for text classification inside scikit-learn."""

from ._classifier import AttentionFineTuneClassifier
from ._extractor import TransformerFeatureExtractor

__all__ = ["AttentionFineTuneClassifier", "TransformerFeatureExtractor", "__version__"]
__version__ = "0.1.0.dev0"
