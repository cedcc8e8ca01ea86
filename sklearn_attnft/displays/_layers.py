# SPDX-License-Identifier: BSD-3-Clause
"""Display of the weights of layer attention."""

import copy

from ._notebook import ShownOnce
from ._style import by_name, line_style, new_axes, tidy


class LayerAttentionDisplay(ShownOnce):
    """Weights that the layer attention of models gives to the encoder layers.

    A model normalizes the hidden states of the encoder layers and computes a weighted
    sum of them. The weights are the softmax of learned scores. A dotted line marks the
    weight that each layer would have if all weights were equal.

    Parameters
    ----------
    shares : dict of str to dict of int to float
        Maps the name of each model to a dict, which maps layer numbers to weights. The
        layer number is 0 for the embeddings and i for the i-th block. The weights of
        each model sum to 1.

    Attributes
    ----------
    ax_ : matplotlib.axes.Axes
    figure_ : matplotlib.figure.Figure
    lines_ : list of matplotlib.lines.Line2D
        One line per model.

    Examples
    --------
    >>> from sklearn_attnft.displays import LayerAttentionDisplay
    >>> display = LayerAttentionDisplay({"mine": {0: 0.2, 1: 0.3, 2: 0.5}})
    >>> display.plot().ax_.get_ylabel()
    'layer weight'
    """

    def __init__(self, shares):
        self.shares = shares

    @classmethod
    def from_estimator(cls, estimator, *, ax=None):
        """Plot the layer attention of fitted classifiers.

        Parameters
        ----------
        estimator : fitted classifier, or dict of str to fitted classifier
            Classifiers to plot. Each task of a ``MultiTaskClassifier`` is plotted as a
            separate model.
        ax : matplotlib.axes.Axes or None, default=None
            Axes to plot on. If None, a new figure is created.

        Returns
        -------
        display : LayerAttentionDisplay
        """
        shares = {}
        is_one = not hasattr(estimator, "items")
        for name, each in by_name(estimator).items():
            each = copy.copy(each)  # another thread may fit the original
            if not hasattr(each, "task_names_"):
                shares[name] = _shares(each)
                continue
            for task in each.task_names_:
                own = str(task) if is_one else f"{name}: {task}"
                shares[own] = _shares(each.task(task))
        return cls(shares).plot(ax=ax)

    def plot(self, ax=None):
        """Plot one line per model.

        Parameters
        ----------
        ax : matplotlib.axes.Axes or None, default=None
            Axes to plot on. If None, a new figure is created.

        Returns
        -------
        display : LayerAttentionDisplay
        """
        ax = new_axes(self, ax)
        self.lines_ = []
        for i, (name, of_layer) in enumerate(self.shares.items()):
            layers = sorted(of_layer)
            self.lines_ += ax.plot(
                layers, [of_layer[n] for n in layers], label=name, **line_style(i)
            )
        for n_layers in {len(of_layer) for of_layer in self.shares.values()}:
            ax.axhline(1 / n_layers, color="gray", linestyle=":", zorder=0)
        layers = sorted({layer for each in self.shares.values() for layer in each})
        ax.set_xticks(layers, ["emb." if n == 0 else str(n) for n in layers])
        tidy(ax, xlabel="layer of the encoder", ylabel="layer weight")
        ax.set_ylim(bottom=0)
        ax.legend()
        self.ax_, self.figure_ = ax, ax.figure
        return self


def _shares(estimator):
    """Return a dict that maps the number of each attended layer to its weight."""
    shares = estimator.layer_attention_.tolist()
    return dict(zip(estimator.module_.layers, shares, strict=True))
