# SPDX-License-Identifier: BSD-3-Clause
"""Display of the training history of an estimator."""

import numpy as np
from sklearn.utils.validation import check_is_fitted

from ._notebook import ShownOnce
from ._style import line_style, new_axes, tidy


class TrainingDisplay(ShownOnce):
    """Losses, validation scores and learning rates, plotted over the training steps.

    Each training stage has its own panel for losses, because losses of different stages
    are not comparable. These panels are in the order of the stages. If ``fit`` used
    validation texts, the next panel shows the validation scores. The last panel shows
    the learning rates. Each point is an epoch, plotted at the last step of the epoch.

    Parameters
    ----------
    history : list of dict
        ``history_`` of a fitted estimator.

    Attributes
    ----------
    ax_ : matplotlib.axes.Axes
        Axes that contain all panels.
    axes_ : list of matplotlib.axes.Axes
        One Axes per panel. If there is only one panel, the list contains `ax_`.
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
        ax : matplotlib.axes.Axes or None, default=None
            The panels are drawn inside these Axes. If None, a new figure is created.

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
        ax : matplotlib.axes.Axes or None, default=None
            The panels are drawn inside these Axes. If None, a new figure is created.

        Returns
        -------
        display : TrainingDisplay
        """
        panels = self._panels()
        if not panels:
            raise ValueError(
                "`history` must contain epochs with losses, got no such epochs. For a "
                "feature extractor, fit with lm_epochs > 0."
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
        """Return a list with one tuple (title, curves) per panel."""
        stages = list(dict.fromkeys(row["stage"] for row in self.history))
        losses = {"train_loss": "training", "valid_loss": "validation"}
        panels = [
            (f"loss, {stage}", _curves(self.history, losses, stage)) for stage in stages
        ]
        scores = {
            name: name.removeprefix("valid_").replace("_", " ", 1)
            for row in self.history
            for name in row
            if name.startswith(("valid_accuracy", "valid_f1", "valid_r2", "valid_d2"))
        }
        panels.append(("validation", _curves(self.history, scores)))
        rates = {}
        for stage in stages:
            rates |= _curves(self.history, {"learning_rate": stage}, stage)
        panels.append(("learning rate", rates))
        return [(title, curves) for title, curves in panels if curves]


def _curves(history, names, stage=None):
    """Return a dict that maps the label of each curve to its steps and values.

    If `stage` is None, the epochs of all stages are included.
    """
    rows = [row for row in history if stage in (None, row["stage"])]
    curves = {}
    for name, label in names.items():
        points = [(row["step"], row[name]) for row in rows if name in row]
        if points:
            curves[label] = tuple(np.transpose(points).tolist())
    return curves


def _divide(ax, n):
    """Return `n` axes next to each other in the area of `ax`."""
    if n == 1:
        return [ax]
    ax.set_axis_off()
    gap = 0.25
    width = 1 / (n + gap * (n - 1))
    return [ax.inset_axes([i * width * (1 + gap), 0, width, 1]) for i in range(n)]
