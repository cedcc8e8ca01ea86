# SPDX-License-Identifier: BSD-3-Clause
"""Shared colors, lines and axes of the displays."""

from sklearn.utils._optional_dependencies import check_matplotlib_support

BLUE, VERMILION = (0, 114, 178), (213, 94, 0)
_COLORS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9"]
_MARKERS, _DASHES = "osD^vPX", ["-", "--", "-.", ":"]


def new_axes(display, ax, **kwargs):
    """Return `ax`, or the axes of a new figure if `ax` is None.

    If matplotlib is not installed, the error message names the display.
    """
    check_matplotlib_support(f"{type(display).__name__}.plot")
    import matplotlib.pyplot as plt

    if ax is None:
        _, ax = plt.subplots(layout="constrained", **kwargs)
    return ax


def line_style(i):
    """Return the color, marker and dashes of the i-th line as keyword arguments."""
    return {
        "color": _COLORS[i % len(_COLORS)],
        "marker": _MARKERS[i % len(_MARKERS)],
        "linestyle": _DASHES[i % len(_DASHES)],
        "markersize": 5,
    }


def tidy(ax, **labels):
    """Remove unneeded spines, add a grid and set labels."""
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(axis="y", alpha=0.3)
    ax.set(**labels)


def by_name(estimators):
    """Return a dict of estimators. A single estimator is named after its class."""
    if hasattr(estimators, "items"):
        return dict(estimators)
    return {type(estimators).__name__: estimators}
