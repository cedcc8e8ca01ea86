# SPDX-License-Identifier: BSD-3-Clause
"""A small corpus of common words that is easy to learn."""

import numpy as np
from sklearn.base import is_classifier, is_regressor
from sklearn.utils import get_tags

from ._tags import wants_columns

_BAD = (
    "i hate this awful day",
    "what a bad and ugly thing",
    "the worst time",
    "so sad , so poor",
    "he was awful to me",
    "a bad mood",
    "they hate it !",
    "ugly , ugly , ugly",
)
_GOOD = (
    "i love this wonderful day",
    "what a good and lovely thing",
    "the best time",
    "so happy , so fine",
    "she was great to me",
    "a good time",
    "we love it !",
    "joy , joy , joy",
)
_SKY = (
    "rain and wind at night",
    "the sun is hot",
    "a cold wind",
    "the star is bright",
    "rain , rain , rain",
    "a cold night",
    "the red sun",
    "wind by night",
)

# The lengths differ widely. If padding has an effect, the outputs of the short texts
# change.
RAGGED = (
    "a",
    "i love it",
    "",
    " ".join(["the worst day of the year , so sad and so cold"] * 2),
    "the sun",
    "they say that the big black dog is happy to see her at night",
    "!",
    "bad",
)


def corpus(estimator, n_classes=2):
    """Return training data. Each call returns new objects.

    Parameters
    ----------
    estimator : estimator
        The targets are numbers for a regressor and str labels for other estimators.
    n_classes : {2, 3}
        Number of classes. If the tags of a classifier declare that it takes only two
        classes, the data always has two classes.

    Returns
    -------
    X : list of str
        Eight texts per class. The classes alternate.
    y : ndarray of shape (n_samples,) or (n_samples, 2)
        Targets. If the estimator requires several outputs, there are two columns. For a
        regressor, both columns are numbers. For other estimators, the columns have the
        dtype object, and the second column is "low" for the first class and "high" for
        the other classes.
    """
    if not takes_three_classes(estimator):
        n_classes = 2
    groups = (_BAD, _GOOD, _SKY)[:n_classes]
    X = [text for row in zip(*groups, strict=True) for text in row]
    names = np.array(["bad", "good", "sky"][:n_classes])
    y = np.tile(np.arange(n_classes), len(_BAD))
    y = y.astype(np.float64) if is_regressor(estimator) else names[y]
    if wants_columns(estimator) and is_regressor(estimator):
        y = np.array([y, -y]).T
    elif wants_columns(estimator):
        y = np.array([y, np.where(y == "bad", "low", "high")], dtype=object).T
    return X, y


def takes_three_classes(estimator):
    """Return whether the tags of an estimator allow three classes.

    Return True for estimators that are not classifiers.
    """
    if not is_classifier(estimator):
        return True
    return get_tags(estimator).classifier_tags.multi_class


def first_column(y):
    """Return the first column of `y`, or `y` itself if it has one dimension."""
    return y[:, 0] if y.ndim == 2 else y


def contradiction(estimator):
    """Return data in which every text occurs with both labels.

    Only the weights then decide which label is predicted.

    Returns
    -------
    X : list of str
    y : ndarray of shape (n_samples,) or (n_samples, 2)
        The two labels alternate. If the estimator requires several outputs, `y` has two
        columns with the same labels.
    """
    X, y = corpus(estimator)
    labels = np.tile(np.unique(first_column(y)), len(X))
    X = [text for text in X for _ in range(2)]
    return X, np.array([labels, labels]).T if y.ndim == 2 else labels


def uneven_weights(n_samples):
    """Return weights from 1 to 4 that shift the balance of the two classes."""
    weights = np.ones(n_samples)
    weights[::2] = 3.0
    weights[::3] += 1.0
    return weights
