# SPDX-License-Identifier: BSD-3-Clause
"""Displays of fitted classifiers, similar to the displays of scikit-learn.

Plots require matplotlib (the extra ``plot``), which is imported when a plot is drawn.
Color-blind readers can distinguish the colors (Okabe and Ito 2008). Lines also differ
in markers and dashes, so readers can distinguish the lines in gray.
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
