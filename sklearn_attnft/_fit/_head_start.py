# SPDX-License-Identifier: BSD-3-Clause
"""Initial weights of linear heads, from a regression on the context vectors.

Heads that predict classes start with the weights of a logistic regression, and heads
that predict numbers start with the weights of a ridge regression.

This method is called "linear probing, then fine-tuning" in Kumar et al. (2022),
"Fine-Tuning can Distort Pretrained Features and Underperform Out-of-Distribution",
arXiv 2202.10054.
"""

import numpy as np
import torch
import torch.nn.functional as F

from .._model._heads import HEADS
from .._runtime._predict import run
from ._rules import start_penalty

MAX_ITER = 500
# If there are more training texts, a sample of this size limits time and memory.
MAX_TEXTS = 20_000


def start_heads(model, fit, context):
    """Set the weights of linear heads to those of a regression on the training texts.

    Parameters
    ----------
    model : TextModel
    fit : PreparedFit
    context : RunContext
    """
    rows = _rows(fit, context)
    if rows is None:
        return
    labeled, tokens = fit.labeled, fit.labeled.tokens
    if len(rows) < len(tokens):
        tokens = tokens.take(rows)
    contexts = torch.from_numpy(run(model.eval(), tokens, context, "contexts"))
    sizes = [fit.spec.context_size(task) for task in fit.spec.tasks]
    parts = zip(
        fit.data.tasks.losses([0.0] * len(sizes)).values(),
        model.tasks,
        fit.spec.tasks,
        contexts.split(sizes, dim=1),
        labeled.labels,
        labeled.weights.T,
        strict=True,
    )
    for loss, task, spec, features, labels, weights in parts:
        known = weights[rows] > 0
        if HEADS[spec.head].starts_at_regression and known.any():
            labels, weights = (
                torch.from_numpy(e[rows][known]) for e in (labels, weights)
            )
            penalty = start_penalty(
                spec.loss, spec.n_outputs, fit.plan.trainable_layers == 0
            )
            weight, bias = _regress(features[known], labels, weights, loss, penalty)
            task.classify[-1].load_state_dict({"weight": weight, "bias": bias})


def _rows(fit, context):
    """Return the indices of texts to regress on, or None to skip the regression."""
    if context.timer is not None:
        return context.timer.rows
    rows = np.arange(len(fit.labeled))
    if len(rows) > MAX_TEXTS:
        generator = np.random.default_rng(fit.seed)
        rows = np.sort(generator.choice(rows, MAX_TEXTS, replace=False))
    return rows


def _regress(contexts, labels, weights, loss, penalty):
    """Return the weights and biases with the lowest penalized loss.

    ``start_penalty`` describes `penalty`. All numbers are float64, so that the order of
    the texts does not change the result.
    """
    contexts, weights = contexts.double(), weights.double()
    if labels.is_floating_point():
        labels = labels.double()
    total = weights.sum()
    mean = weights @ contexts / total
    contexts = contexts - mean  # does not change the minimum
    variance = weights @ contexts.square().sum(dim=1) / total
    weight = contexts.new_zeros(loss.n_outputs, contexts.shape[1], requires_grad=True)
    bias = contexts.new_zeros(loss.n_outputs, requires_grad=True)
    optimizer = torch.optim.LBFGS(
        [weight, bias],
        max_iter=MAX_ITER,
        tolerance_grad=1e-6,
        line_search_fn="strong_wolfe",
    )

    def objective():
        optimizer.zero_grad()
        losses = loss(F.linear(contexts, weight, bias), labels)
        squares = penalty * variance * weight.square().sum() / 2
        value = (losses * weights).sum() / total + squares
        value.backward()
        return value

    with torch.enable_grad():
        optimizer.step(objective)
    return weight.detach(), bias.detach() - weight.detach() @ mean
