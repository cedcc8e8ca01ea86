# SPDX-License-Identifier: BSD-3-Clause
"""Fine-tuning language models for text classification inside scikit-learn.

- ``AttentionFineTuneClassifier`` fine-tunes an encoder on texts and labels.
- ``MultiTaskClassifier`` does so on several label sets at once.
- ``TransformerFeatureExtractor`` turns texts into features for other estimators.

Beside them, to be imported by name: ``sklearn_attnft.displays`` (pictures),
``sklearn_attnft.datasets`` (a corpus to try things on) and
``sklearn_attnft.estimator_checks`` (tests of estimators of text). The user guide is in
docs/.
"""

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
