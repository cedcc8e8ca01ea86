# SPDX-License-Identifier: BSD-3-Clause
"""Fine-tune language models on texts and labels, with scikit-learn estimators.

- ``AttentionFineTuneClassifier`` fine-tunes an encoder on texts and labels.
- ``AttentionFineTuneRegressor`` fine-tunes an encoder on texts and numbers.
- ``MultiTaskClassifier`` fine-tunes one encoder on several tasks.
- ``TransformerFeatureExtractor`` turns texts into features for other estimators.

``SKOPS_TRUSTED_TYPES`` contains the type names of the estimators. Pass it to
``skops.io.load`` as the argument `trusted`.

Three public modules must be imported separately:

- ``sklearn_attnft.displays`` has plots of fitted estimators.
- ``sklearn_attnft.datasets`` has a small text corpus for examples.
- ``sklearn_attnft.estimator_checks`` has checks for estimators that read texts.

The user guide is in the folder docs.
"""

import importlib

from ._utils._imports import paused_garbage_collection
from ._version import __version__

__all__ = [
    "SKOPS_TRUSTED_TYPES",
    "AttentionFineTuneClassifier",
    "AttentionFineTuneRegressor",
    "MultiTaskClassifier",
    "TransformerFeatureExtractor",
    "__version__",
]

# These modules import torch. So a module is imported only when its estimator is
# first used (PEP 562).
_MODULES = {
    "AttentionFineTuneClassifier": "_classifier",
    "AttentionFineTuneRegressor": "_regressor",
    "MultiTaskClassifier": "_multitask",
    "TransformerFeatureExtractor": "_extractor",
}

# Value for the argument `trusted` of skops.io.load.
SKOPS_TRUSTED_TYPES = tuple(
    f"{__name__}.{module}.{name}" for name, module in _MODULES.items()
)


def __getattr__(name):
    if name in _MODULES:
        with paused_garbage_collection():
            module = importlib.import_module(f".{_MODULES[name]}", __name__)
        globals()[name] = getattr(module, name)
        return globals()[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return sorted({*globals(), *__all__})
