# SPDX-License-Identifier: BSD-3-Clause
"""Displays of fitted classifiers, in scikit-learn's manner.

matplotlib is imported when something is plotted (the extra ``plot``). Colours are those
of Okabe and Ito (2008), which the colour-blind tell apart; lines differ in marker and
dashes too, for print in grey.
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
