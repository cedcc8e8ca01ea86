# SPDX-License-Identifier: BSD-3-Clause
"""Estimate a Gaussian for each class at the end of a fit."""

import numpy as np
import torch
from sklearn.covariance import ledoit_wolf

from .._runtime._predict import run

# The training reads this many texts for each text of the sample. Computing the context
# vectors of the sample then takes about 5 % of the training time.
TEXTS_READ_PER_TEXT = 8
MIN_TEXTS, MAX_TEXTS = 256, 20_000
TEXTS_PER_CLASS = 2  # minimum number in a sample, unless a class has fewer texts


def fit_densities(model, fit, n_epochs, context):
    """Set the ClassGaussians of each task of a trained model.

    Parameters
    ----------
    model : TextModel
    fit : PreparedFit
    n_epochs : int
        Number of epochs that were trained.
    context : RunContext
    """
    labeled = fit.labeled
    tasks = [i for i, task in enumerate(model.tasks) if task.density is not None]
    if not tasks:
        return
    rows = sample(labeled, tasks, n_epochs, fit.seed)
    contexts = run(model.eval(), labeled.tokens.take(rows), context, "contexts")
    sizes = [fit.spec.context_size(task) for task in fit.spec.tasks]
    parts = np.split(contexts, np.cumsum(sizes)[:-1], axis=1)
    for i in tasks:
        weights = labeled.weights[:, i].astype(float)
        known = weights[rows] > 0
        fractions = np.bincount(
            labeled.labels[i], weights, minlength=fit.spec.tasks[i].n_outputs
        )
        # Leave out classes whose texts all have weight 0.
        classes, labels = np.unique(labeled.labels[i][rows][known], return_inverse=True)
        means, covariance = estimate(
            parts[i][known].astype(float), labels, weights[rows][known]
        )
        fractions = fractions[classes] / fractions.sum()
        values = classes, means, fractions, covariance
        model.tasks[i].density.set(*map(torch.from_numpy, values))


def sample(labeled, tasks, n_epochs, seed):
    """Return the sorted indices of a sample of the training texts.

    The sample has at least `TEXTS_PER_CLASS` texts of each class. If a class has fewer
    texts, the sample has all of them.
    """
    n_texts = len(labeled)
    wanted = max(MIN_TEXTS, n_epochs * n_texts // TEXTS_READ_PER_TEXT)
    order = np.random.default_rng(seed).permutation(n_texts)
    is_first = np.zeros(n_texts, dtype=bool)
    for i in tasks:
        own = order[labeled.weights[order, i] > 0]
        own = own[np.argsort(labeled.labels[i][own], kind="stable")]
        classes = labeled.labels[i][own]
        rank = np.arange(len(own)) - np.searchsorted(classes, classes)
        is_first[own[rank < TEXTS_PER_CLASS]] = True
    first, others = order[is_first[order]], order[~is_first[order]]
    n_others = max(0, min(wanted, MAX_TEXTS) - len(first))
    return np.sort(np.concatenate([first, others[:n_others]]))


def estimate(contexts, labels, weights):
    """Return the mean of each class, and the shrunk covariance within the classes.

    Parameters
    ----------
    contexts : ndarray of float64, shape (n_texts, n_context)
    labels : ndarray of int, shape (n_texts,)
        Each class has at least one text.
    weights : ndarray of float64, shape (n_texts,)
    """
    members = np.zeros((labels.max() + 1, len(labels)))
    members[labels, np.arange(len(labels))] = weights
    means = members @ contexts / members.sum(axis=1, keepdims=True)
    residuals = contexts - means[labels]
    residuals *= np.sqrt(weights / weights.mean())[:, None]
    covariance, _ = ledoit_wolf(residuals, assume_centered=True)
    # If each class has only one text, the covariance is 0, so a small number is added.
    floor = max(1e-4 * contexts.var(axis=0).mean(), 1e-12)
    return means, covariance + floor * np.eye(len(covariance))
