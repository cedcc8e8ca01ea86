# SPDX-License-Identifier: BSD-3-Clause
"""Scores of classifiers as a function of the number of labels."""

import numpy as np
from sklearn.model_selection import learning_curve

from ._notebook import ShownOnce
from ._style import by_name, line_style, new_axes, tidy


class LabelEfficiencyDisplay(ShownOnce):
    """Scores of classifiers as a function of the number of training labels.

    Parameters
    ----------
    scores : dict of str to tuple of ndarray
        Maps the name of each classifier to two arrays. The first array has the numbers
        of labels, shape (n_sizes,). The second array has the scores, shape
        (n_sizes, n_folds).
    score_name : str, default="score"
        Label of the vertical axis.

    Attributes
    ----------
    ax_ : matplotlib.axes.Axes
    figure_ : matplotlib.figure.Figure
    lines_ : list of matplotlib.lines.Line2D
        One line per classifier. Each point is the mean score over the folds.

    See Also
    --------
    sklearn.model_selection.LearningCurveDisplay : Learning curve of one estimator,
        with training scores and times.

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
        """Fit classifiers on increasing numbers of labels and plot their scores.

        Parameters
        ----------
        estimator : classifier, or dict of str to classifier
            Classifiers to compare. Each classifier is cloned and fitted
            ``len(train_sizes)`` times per fold.
        X : array-like of str, shape (n_samples,) or (n_samples, 2)
        y : array-like of shape (n_samples,)
        train_sizes : array-like of int or float, default=(0.1, 0.33, 1.0)
            Numbers of labels (int), or fractions of the training texts of a fold
            (float). The texts are sampled at random. The smallest sample must contain
            at least two classes.
        cv : int, splitter or None, default=None
            Cross-validation splitter, as in ``sklearn.model_selection.learning_curve``.
        scoring : str, callable or None, default=None
            Score, as in ``sklearn.model_selection.learning_curve``.
        n_jobs : int or None, default=None
            Number of jobs, as in ``sklearn.model_selection.learning_curve``.
        random_state : int, RandomState instance or None, default=None
            Seed for sampling texts. With an int, all classifiers get the same texts.
        ax : matplotlib.axes.Axes or None, default=None
            Axes to plot on. If None, a new figure is created.

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
        """Plot the mean and the standard deviation of the scores over the folds.

        Parameters
        ----------
        ax : matplotlib.axes.Axes or None, default=None
            Axes to plot on. If None, a new figure is created.

        Returns
        -------
        display : LabelEfficiencyDisplay
        """
        ax = new_axes(self, ax)
        self.lines_ = []
        for i, (name, (sizes, scores)) in enumerate(self.scores.items()):
            mean, spread = np.mean(scores, axis=1), np.std(scores, axis=1)
            shifted = np.multiply(sizes, 1.02**i)  # so that error bars do not overlap
            bars = ax.errorbar(
                shifted, mean, spread, label=name, capsize=3, **line_style(i)
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
