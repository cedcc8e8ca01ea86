# SPDX-License-Identifier: BSD-3-Clause
"""How many labels it takes."""

import numpy as np
from sklearn.model_selection import learning_curve

from ._style import by_name, line_style, new_axes, tidy


class LabelEfficiencyDisplay:
    """Scores of classifiers against the number of labels that they were given.

    Parameters
    ----------
    scores : dict of str to tuple of ndarray
        For each classifier, numbers of labels, shape (n_sizes,), and scores, shape
        (n_sizes, n_folds).
    score_name : str, default="score"
        Of the vertical axis.

    Attributes
    ----------
    ax_ : matplotlib.axes.Axes
    figure_ : matplotlib.figure.Figure
    lines_ : list of matplotlib.lines.Line2D
        Means over the folds, one line for each classifier.

    See Also
    --------
    sklearn.model_selection.LearningCurveDisplay : Of one estimator, with training
        scores and times.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_attnft.displays import LabelEfficiencyDisplay
    >>> sizes, scores = np.array([10, 100]), np.array([[0.5, 0.6], [0.8, 0.9]])
    >>> display = LabelEfficiencyDisplay({"mine": (sizes, scores)}).plot()
    >>> display.lines_[0].get_ydata()
    array([0.55, 0.85])
    """

    def __init__(self, scores, *, score_name="score"):
        self.scores = scores
        self.score_name = score_name

    @classmethod
    def from_estimator(
        cls,
        estimator,
        X,
        y,
        *,
        train_sizes=(0.1, 0.33, 1.0),
        cv=None,
        scoring=None,
        n_jobs=None,
        random_state=None,
        ax=None,
    ):
        """Fit classifiers on ever more labels, score them, and plot.

        Parameters
        ----------
        estimator : classifier, or dict of str to classifier
            Each is cloned and fitted ``len(train_sizes)`` times a fold.
        X : array-like of str, shape (n_samples,)
        y : array-like of shape (n_samples,)
        train_sizes : array-like of int or float, default=(0.1, 0.33, 1.0)
            Numbers of labels, or shares of a fold's training part. The texts are drawn
            at random, so the smallest number has to be large enough to have two
            classes.
        cv : int, splitter or None, default=None
            As of ``sklearn.model_selection.learning_curve``, as are the next two.
        scoring : str, callable or None, default=None
        n_jobs : int or None, default=None
        random_state : int, RandomState instance or None, default=None
            Draws the texts: give an int, for all classifiers to have the same.
        ax : matplotlib.axes.Axes, default=None
            Where to plot; None: in a new figure.

        Returns
        -------
        display : LabelEfficiencyDisplay
        """
        scores = {}
        for name, each in by_name(estimator).items():
            sizes, _, of_test = learning_curve(
                each,
                X,
                y,
                train_sizes=np.asarray(train_sizes),
                cv=cv,
                scoring=scoring,
                n_jobs=n_jobs,
                shuffle=True,
                random_state=random_state,
                error_score="raise",
            )
            scores[name] = sizes, of_test
        score_name = scoring if isinstance(scoring, str) else "score"
        return cls(scores, score_name=score_name.replace("_", " ")).plot(ax=ax)

    def plot(self, ax=None):
        """Plot a line of means for each classifier, with bars of a standard deviation.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, default=None
            Where to plot; None: in a new figure.

        Returns
        -------
        display : LabelEfficiencyDisplay
        """
        ax = new_axes(self, ax)
        self.lines_ = []
        for i, (name, (sizes, scores)) in enumerate(self.scores.items()):
            mean, spread = np.mean(scores, axis=1), np.std(scores, axis=1)
            beside = np.multiply(sizes, 1.02**i)  # so that no bar hides another
            bars = ax.errorbar(
                beside, mean, spread, label=name, capsize=3, **line_style(i)
            )
            self.lines_.append(bars.lines[0])
        ax.set_xscale("log")
        ticks = sorted({int(n) for sizes, _ in self.scores.values() for n in sizes})
        ax.set_xticks(ticks, [str(n) for n in ticks])
        ax.minorticks_off()
        tidy(ax, xlabel="labels", ylabel=self.score_name)
        ax.legend()
        self.ax_, self.figure_ = ax, ax.figure
        return self
