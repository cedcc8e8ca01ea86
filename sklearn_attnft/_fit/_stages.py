# SPDX-License-Identifier: BSD-3-Clause
"""The list of the stages of a fit.

To add a stage, write a subclass of ``Stage`` and extend `STAGES` and `make_stages`.
Progress bar, callbacks, resume state, estimates, micro-batches and history then include
the new stage.
"""

from .._training import RunContext
from ._classification_stage import ClassificationStage, make_config
from ._contrastive_stage import ContrastiveStage
from ._lm_stage import CachedStages, LMHeadStage, LMStage, make_lm_stages
from ._plan import FitState
from ._prepare import PreparedFit
from ._trainable import check_trainable

STAGES = (LMHeadStage, LMStage, ContrastiveStage, ClassificationStage)


def count_epochs(plan):
    """Return the largest possible number of epochs of a fit, summed over all stages."""
    return sum(stage.epochs(plan) for stage in STAGES)


def largest_step(plan):
    """Return the largest number of texts or windows in a step of any stage."""
    return max(stage.largest_step(plan) for stage in STAGES if stage.epochs(plan))


def run_stages(fit: PreparedFit, context: RunContext) -> FitState:
    """Load the pretrained encoder and run all stages of a fit."""
    state, stages = make_stages(fit, context)
    parts = [
        part
        for stage in stages
        for part in (stage.parts if isinstance(stage, CachedStages) else [stage])
    ]
    context.progress.plan(parts)
    for stage in stages:
        state = stage.run(state, context)
    return state


def make_stages(fit: PreparedFit, context: RunContext):
    """Load the pretrained encoder and return the first FitState and the stages."""
    plan, stages = fit.plan, []
    if plan.has_language_model:
        encoder, head = fit.pretrained.load_language_model()
        check_trainable(encoder, plan)
        stages, language_model = make_lm_stages(fit, encoder, head, context)
        state = FitState(encoder, language_model.head)
    else:
        state = FitState(fit.pretrained.load_encoder())
        check_trainable(state.encoder, plan)
    if fit.labeled is not None:
        config = make_config(plan, fit.data.tasks.monitor)
        if plan.contrastive_epochs:
            stages.append(ContrastiveStage.make(fit, config))
        stages.append(ClassificationStage(config, fit.labeled, fit))
    return state, stages
