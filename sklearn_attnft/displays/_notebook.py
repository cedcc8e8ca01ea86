# SPDX-License-Identifier: BSD-3-Clause
"""Show displays in notebooks."""

import sys


class ShownOnce:
    """Mixin class that makes notebooks show a display exactly once.

    At the end of a cell, a notebook shows all open figures of pyplot, and the value of
    the last line. Without this class, a display on the last line would appear twice: as
    a figure, and as HTML or as the text ``<... object at 0x...>``.
    """

    def _ipython_display_(self):
        """Show the display, unless the notebook already shows its figure.

        Raises
        ------
        NotImplementedError
            If neither this method nor the notebook shows the figure. IPython then shows
            the HTML of the display. If the display has no HTML, IPython shows its text.
        """
        if not hasattr(self, "figure_") or not _shows_figures():
            raise NotImplementedError
        # Functions of pyplot would change the current figure, so do not call them.
        from matplotlib._pylab_helpers import Gcf

        figure = self.figure_.figure  # the whole figure, also for a subfigure
        if figure in [each.canvas.figure for each in Gcf.get_all_fig_managers()]:
            return
        if hasattr(self, "_repr_html_"):
            raise NotImplementedError
        from IPython.display import display

        display(figure)


def _shows_figures():
    """Return whether this process runs a notebook that shows pyplot figures."""
    ipython = sys.modules.get("IPython")
    if ipython is None or not hasattr(ipython.get_ipython(), "kernel"):
        return False
    import matplotlib

    return matplotlib.get_backend().lower() != "agg"
