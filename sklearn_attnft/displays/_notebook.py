# SPDX-License-Identifier: BSD-3-Clause
"""How displays appear in notebooks."""

import sys


class ShownOnce:
    """Mixin class of displays that a notebook shows exactly once.

    At the end of a cell, a notebook shows all open figures of pyplot, and the value of
    the last line. Without this class, a display on the last line would appear as a
    figure, and again as HTML or as the text ``<... object at 0x...>``.
    """

    def _ipython_display_(self):
        """Show the display, unless the notebook already shows its figure.

        Raises
        ------
        NotImplementedError
            If no figure is shown. IPython then shows the HTML of the display, or its
            text if the display has no HTML.
        """
        if not hasattr(self, "figure_") or not _shows_figures():
            raise NotImplementedError
        # Functions of pyplot would change the current figure.
        from matplotlib._pylab_helpers import Gcf

        figure = self.figure_.figure  # of a subfigure, the whole figure
        if figure in [each.canvas.figure for each in Gcf.get_all_fig_managers()]:
            return
        if hasattr(self, "_repr_html_"):
            raise NotImplementedError
        from IPython.display import display

        display(figure)


def _shows_figures():
    """Return whether this process is a notebook that shows the figures of pyplot."""
    ipython = sys.modules.get("IPython")
    if ipython is None or not hasattr(ipython.get_ipython(), "kernel"):
        return False
    import matplotlib

    return matplotlib.get_backend().lower() != "agg"
