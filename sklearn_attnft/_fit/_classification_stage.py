# SPDX-License-Identifier: BSD-3-Clause
"""The stage that trains the classifier, alone or jointly with the language model."""

import copy
import dataclasses
import math
from dataclasses import dataclass

from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

from .._model._text_model import TextModel
from .._runtime._encoder_cache import remember_digest, with_cached_states
from .._runtime._seeds import initial_weights
from .._training import TrainingConfig, train
from .._utils._warnings import warn
from ._density import fit_densities
from ._frozen_states import with_frozen_states
from ._head_start import start_heads
from ._joint import JointDataset, JointLoss, JointModel
from ._stage import Stage
from ._trainable import freeze


@dataclass(frozen=True)
class ClassificationStage(Stage):
    """Train the classifier. If `lm_weight` is above 0, train the LM head jointly.

    Attributes
    ----------
    fit : PreparedFit
    """

    name = "classifier"
    fit: object

    @staticmethod
    def epochs(plan):
        """Return how many epochs a FitPlan has for this stage."""
        return plan.max_epochs

    @staticmethod
    def largest_step(plan):
        """Return the largest number of texts in a step."""
        # A step of joint training also has up to `batch_size` unlabeled texts.
        return plan.batch_size * (2 if plan.lm_weight > 0 else 1)

    @property
    def n_texts(self):
        """Number of texts in an epoch, with the unlabeled texts of joint training."""
        n_texts = len(self.training)
        if self.fit.plan.lm_weight > 0:
            n_in_steps = self.config.batch_size * math.ceil(
                n_texts / self.config.batch_size
            )
            n_texts += min(len(self.fit.texts) - n_texts, n_in_steps)
        return n_texts

    def run(self, state, context):
        """Build a classifier on top of the encoder, and train the classifier."""
        fit, plan = self.fit, self.fit.plan
        with initial_weights(context.initial):
            model = TextModel.build(state.encoder, fit.spec)
        freeze(model, plan.trainable_layers)
        classification = fit.data.tasks.loss(plan)
        if plan.lm_weight > 0:
            module, criterion, training = self._joint(model, state, classification)
        else:
            module = self._with_known_states(model, context)
            criterion, training = classification, self.training
        if not context.resume.has_progress:
            start_heads(model if plan.lm_weight > 0 else module, fit, context)
        context.progress.set_snapshot(_Snapshot(self, model, state))
        rows = train(module, criterion, training, fit.validation, self.config, context)
        self._warn_collapse(classification.collapsed())
        if context.timer is None:
            reader = model if plan.lm_weight > 0 else module
            fit_densities(reader, fit, len(rows), context)
        return dataclasses.replace(self.after(state, rows), module=model)

    def _joint(self, model, state, classification):
        """Return module, criterion and data for joint training."""
        fit = self.fit
        module = JointModel(model, state.lm_head)
        criterion = JointLoss(classification, lm_weight=fit.plan.lm_weight)
        pretrained = fit.pretrained
        training = JointDataset.make(
            fit.labeled, fit.texts, pretrained.tokenizer, pretrained.masking()
        )
        return module, criterion, training

    def _with_known_states(self, model, context):
        """Return a model that looks up hidden states of frozen blocks, if possible."""
        fit, plan = self.fit, self.fit.plan
        if plan.cache is not None and not plan.changes_encoder:
            remember_digest(model, fit.pretrained.digest(model.encoder))
        model = with_cached_states(model, fit.pretrained.tokenizer, context, plan)
        corpora = [
            part.tokens for part in (fit.labeled, fit.validation) if part is not None
        ]
        if context.timer is not None:
            corpora = context.timer.sample(fit.labeled, corpora, self.config, context)
        # A cache in memory holds the same hidden states once more.
        share = 0.5 if plan.cache == "memory" else 1.0
        return with_frozen_states(model, corpora, self.config, context, share)

    def _warn_collapse(self, collapsed):
        """Warn about each task in which all training texts got the same prediction."""
        for target in self.fit.data.tasks.targets:
            if target.name not in collapsed:
                continue
            label = target.classes.tolist()[collapsed[target.name]]
            task = "" if target.name is None else f" for the task {target.name!r}"
            warn(
                f"Every training text got the same prediction{task} in the last epoch: "
                f"{label!r}. The learning rate is too high, or the training was too "
                "short. Set learning_rate lower or max_epochs higher. If this class is "
                "by far the most frequent, set class_weight='balanced'.",
                ConvergenceWarning,
            )


@dataclass(frozen=True)
class _Snapshot:
    """A partly trained classifier, which scikit-learn's callbacks may evaluate."""

    stage: ClassificationStage
    model: TextModel
    state: object

    def fitted_model(self, rows):
        """Return the FittedModel that would result if the fit ended now.

        `rows` is the history of this stage.
        """
        state = self.stage.after(self.state, rows)
        # A copy, because training continues with the original.
        module = copy.deepcopy(self.model).eval()
        return self.stage.fit.fitted(module, state.history)


def make_config(plan, monitor):
    """Return the TrainingConfig of the classifier.

    Parameters
    ----------
    plan : FitPlan
    monitor : str
        Column of the history that decides on early stopping.
    """
    names = {field.name for field in dataclasses.fields(TrainingConfig)}
    names -= {"callbacks", "monitor"}
    # skorch accepts callbacks and pairs (name, callback).
    callbacks = [
        (item[0], clone(item[1])) if isinstance(item, tuple) else clone(item)
        for item in plan.callbacks or []
    ]
    values = {name: getattr(plan, name) for name in names}
    return TrainingConfig(**values, callbacks=callbacks, monitor=monitor)
