# SPDX-License-Identifier: BSD-3-Clause
"""Displays of fitted classifiers, similar to those of scikit-learn.

Plots need matplotlib (the extra ``plot``), which is imported when a plot is drawn. The
colors are those of Okabe and Ito (2008), which color-blind readers can distinguish.
Lines also differ in marker and dashes, for print in gray.
"""

from ._efficiency import LabelEfficiencyDisplay
from ._history import TrainingDisplay
from ._layers import LayerAttentionDisplay
from ._tokens import AttentionDisplay

__all__ = [
    "AttentionDisplay",
    "LabelEfficiencyDisplay",
    "LayerAttentionDisplay",
    "TrainingDisplay",
]
