# SPDX-License-Identifier: BSD-3-Clause
"""How a fit went."""

import numpy as np
from sklearn.utils.validation import check_is_fitted

from ._style import line_style, new_axes, tidy

STAGES = ("language model", "contrastive", "classifier")


class TrainingDisplay:
    """Losses, validation scores and learning rates of a fit, over its steps.

    A panel for the losses of each stage, in the order in which they were run, since a
    language model's loss and a classifier's have nothing in common; one for the
    scores on the validation texts, if there were any; and one for the learning rates.
    A point is an epoch, at the step at which it ended.

    Parameters
    ----------
    history : list of dict
        ``history_`` of a fitted estimator.

    Attributes
    ----------
    ax_ : matplotlib.axes.Axes
        Holds the panels.
    axes_ : list of matplotlib.axes.Axes
        The panels; `ax_` itself if it is one.
    figure_ : matplotlib.figure.Figure

    Examples
    --------
    >>> from sklearn_attnft.displays import TrainingDisplay
    >>> epochs = [{"stage": "classifier", "step": 20, "train_loss": 0.7}]
    >>> len(TrainingDisplay(epochs).plot().axes_)
    1
    """

    def __init__(self, history):
        self.history = history

    @classmethod
    def from_estimator(cls, estimator, *, ax=None):
        """Plot the history of a fitted estimator.

        Parameters
        ----------
        estimator : fitted estimator of this package
        ax : matplotlib.axes.Axes, default=None
            Whose place the panels take; None: a new figure.

        Returns
        -------
        display : TrainingDisplay
        """
        check_is_fitted(estimator, "history_")
        return cls(estimator.history_).plot(ax=ax)

    def plot(self, ax=None):
        """Plot the panels.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, default=None
            Whose place the panels take; None: a new figure.

        Returns
        -------
        display : TrainingDisplay
        """
        panels = self._panels()
        if not panels:
            raise ValueError(
                "history is empty: nothing was trained (an extractor with lm_epochs=0 "
                "has no epochs)."
            )
        ax = new_axes(self, ax, figsize=(3.2 * len(panels) + 1, 3.4))
        self.axes_ = _divide(ax, len(panels))
        for panel, (title, curves) in zip(self.axes_, panels, strict=True):
            for i, (name, (steps, values)) in enumerate(curves.items()):
                panel.plot(steps, values, label=name, **line_style(i))
            tidy(panel, title=title, xlabel="step")
            panel.legend()
        self.ax_, self.figure_ = ax, ax.figure
        return self

    def _panels(self):
        """Return titles, and curves by name: steps and values."""
        losses = {"train_loss": "training", "valid_loss": "validation"}
        panels = [
            (f"loss, {stage}", _curves(self.history, stage, losses)) for stage in STAGES
        ]
        scores = {
            name: name.removeprefix("valid_").replace("_", " ", 1)
            for row in self.history
            for name in row
            if name.startswith("valid_accuracy")
        }
        panels.append(("validation", _curves(self.history, STAGES[-1], scores)))
        rates = {}
        for stage in STAGES:
            rates |= _curves(self.history, stage, {"learning_rate": stage})
        panels.append(("learning rate", rates))
        return [(title, curves) for title, curves in panels if curves]


def _curves(history, stage, names):
    """Return the steps at which there are values, and the values, by label."""
    rows, curves = [row for row in history if row["stage"] == stage], {}
    for name, label in names.items():
        points = [(row["step"], row[name]) for row in rows if name in row]
        if points:
            curves[label] = tuple(np.transpose(points).tolist())
    return curves


def _divide(ax, n):
    """Return `n` axes side by side in the place of one."""
    if n == 1:
        return [ax]
    ax.set_axis_off()
    gap = 0.25
    width = 1 / (n + gap * (n - 1))
    return [ax.inset_axes([i * width * (1 + gap), 0, width, 1]) for i in range(n)]
