# SPDX-License-Identifier: BSD-3-Clause
"""The functions that run a complete fit and return the fitted model."""

import torch

from .._model._text_model import TextModel
from .._runtime._encoder_cache import add_counts, remember_digest
from ._plan import FitState
from ._prepare import prepare_features, prepare_tasks
from ._retry import run_with_retries


def fit_tasks(plan, data, progress, timer=None):
    """Fine-tune a classifier from the pretrained encoder.

    Parameters
    ----------
    plan : FitPlan
    data : FitData
    progress : FitProgress
    timer : StepTimer or None
        If not None, a few steps of each stage are timed, and the model is not trained.

    Returns
    -------
    FittedModel
    """
    fit = prepare_tasks(plan, data, warns=timer is None)
    state, context = run_with_retries(fit, progress, timer)
    add_counts(state.module, context.cache_counts)
    return fit.fitted(state.module, state.history)


def fit_features(plan, texts, progress, timer=None):
    """Load an encoder for features, and fine-tune it if `lm_epochs` is above 0.

    Parameters
    ----------
    plan : FitPlan
    texts : list of str
    progress : FitProgress
    timer : StepTimer or None
        If not None, a few steps of each stage are timed, and the model is not trained.

    Returns
    -------
    FittedModel
    """
    fit = prepare_features(plan, texts, warns=timer is None)
    context = None
    if plan.has_language_model:
        state, context = run_with_retries(fit, progress, timer)
    else:
        state = FitState(fit.pretrained.load_encoder())
    with torch.inference_mode(False):
        module = TextModel.build(state.encoder, fit.spec)
        module = module.eval().requires_grad_(False)
    if context is not None:
        add_counts(module, context.cache_counts)
    elif plan.cache is not None:
        remember_digest(module, fit.pretrained.digest(module.encoder))
    return fit.fitted(module, state.history)
