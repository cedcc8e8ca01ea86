# SPDX-License-Identifier: BSD-3-Clause
"""Dataclasses for the parameters, data, state and result of a fit."""

import dataclasses
import math
from dataclasses import dataclass
from numbers import Real

import numpy as np
from torch import nn

from .._data._labeled import LabeledTexts
from .._hf import TextTokenizer
from .._model._spec import ModuleSpec
from .._model._text_model import TextModel
from . import _rules
from ._tasks import Tasks


@dataclass(frozen=True)
class FitPlan:
    """Parameters of one fit.

    Each field has the value of the estimator parameter of the same name. If the value
    of `max_epochs`, `dropout` or `head_learning_rate` is "auto", :meth:`of` replaces it
    by a number. If `learning_rate` is "auto", :meth:`for_encoder` replaces it. This
    method also sets `contrastive_learning_rate`, which estimators do not have.

    An extractor has only some of these parameters. The defaults below are for
    parameters that the estimator does not have: they turn off a part of the fit.
    """

    encoder: str
    max_length: int
    long_texts: str
    layers: str | list
    pooling: str
    lm_epochs: int
    lm_learning_rate: float
    device: str
    precision: str
    cache: object
    cache_size: int
    micro_batch_size: int | None
    checkpoint_dir: object
    checkpoint_minutes: float
    random_state: object
    head: str | None = None
    dropout: float = 0.0
    label_smoothing: float = 0.0
    class_weight: object = None
    encoder_dropout: float = 0.0
    trainable_layers: Real | str = 0
    gradual_unfreezing: bool = False
    learning_rate: float | str = 0.0
    head_learning_rate: float = 0.0
    layer_decay: float = 1.0
    weight_decay: float = 0.0
    warmup_fraction: float = 0.0
    max_grad_norm: float | None = None
    max_epochs: int | str = 0
    batch_size: int = 0
    early_stopping: bool = False
    validation_fraction: float = 0.0
    n_iter_no_change: int = 1
    callbacks: list | None = None
    lm_weight: float = 0.0
    contrastive_epochs: int = 0
    contrastive_learning_rate: float = 0.0
    label_texts: object = None

    @classmethod
    def of(cls, parameters, data=None):
        """Make a plan from the parameters of an estimator and the data of the fit.

        Parameters
        ----------
        parameters : dict
        data : FitData or None
        """
        names = {each.name for each in dataclasses.fields(cls)} & parameters.keys()
        plan = cls(**{name: parameters[name] for name in names})
        chosen, is_frozen = {}, plan.trainable_layers == 0
        if plan.max_epochs == "auto":
            n_texts = len(data.training.texts)
            if plan.early_stopping and data.validation is None:
                n_texts -= math.ceil(plan.validation_fraction * n_texts)
            chosen["max_epochs"] = _rules.max_epochs(
                n_texts, plan.batch_size, is_frozen
            )
        if plan.dropout == "auto":
            chosen["dropout"] = _rules.dropout(is_frozen)
        if plan.head_learning_rate == "auto":
            heads = [own["head"] for own in data.tasks.merged(plan)]
            chosen["head_learning_rate"] = _rules.head_learning_rate(heads, is_frozen)
        return dataclasses.replace(plan, **chosen)

    def for_encoder(self, hidden_size):
        """Return a plan in which the learning rates of the encoder are numbers."""
        rate = contrastive_rate = self.learning_rate
        if rate == "auto":
            rate = _rules.learning_rate(hidden_size)
            contrastive_rate = _rules.CONTRASTIVE_RATE * rate
        return dataclasses.replace(
            self, learning_rate=rate, contrastive_learning_rate=contrastive_rate
        )

    @property
    def has_language_model(self):
        """Whether the fit trains a language model, before or with the classifier."""
        return self.lm_epochs > 0 or self.lm_weight > 0

    @property
    def changes_encoder(self):
        """Whether a stage changes the weights of the encoder."""
        is_trained = self.trainable_layers != 0 or self.contrastive_epochs > 0
        return is_trained or self.has_language_model


@dataclass(frozen=True)
class FitData:
    """The checked arguments of a classifier's ``fit``.

    Attributes
    ----------
    tasks : Tasks
    training : LabeledTexts
        Texts with labels, weights and class weights. Texts of weight 0 are left out.
    validation : LabeledTexts or None
    unlabeled : list of str
        Additional texts for the language model.
    n_samples : int
        Number of texts passed to ``fit``.
    task_names : list
        Names of the tasks in the order of the columns of y.
    y_container : str or None
        Type of the container of `y`. Predictions have the same type.
    label_names : ndarray or None
        Names of the columns if `y` is a matrix of labels, otherwise None.
    """

    tasks: Tasks
    training: LabeledTexts
    validation: LabeledTexts | None
    unlabeled: list
    n_samples: int
    task_names: list
    y_container: str | None = None
    label_names: np.ndarray | None = None


@dataclass(frozen=True)
class FitState:
    """The state of a fit, which each stage passes to the next stage.

    Attributes
    ----------
    encoder : torch.nn.Module
    lm_head : torch.nn.Module or None
        Head of the language model.
    module : TextModel or None
        Classifier. None before the stage that trains the classifier.
    history : tuple of dict
        Rows of the history, one for each epoch so far.
    """

    encoder: nn.Module
    lm_head: nn.Module | None = None
    module: TextModel | None = None
    history: tuple = ()

    def with_rows(self, stage, rows):
        """Return a copy whose history also has the rows of a stage."""
        rows = tuple({"stage": stage, **row} for row in rows)
        return dataclasses.replace(self, history=self.history + rows)


@dataclass(frozen=True)
class FittedModel:
    """Result of a fit, from which estimators make their fitted attributes.

    Attributes
    ----------
    module : TextModel
    spec : ModuleSpec
    tokenizer : TextTokenizer
    truncated_fraction : float
        Fraction of the training texts that are truncated.
    history : list of dict
    n_samples : int
    targets : list of Target
        Targets in the order of the columns of y. Empty for an extractor.
    y_container : str or None
    label_names : ndarray or None
        As in :class:`FitData`.
    """

    module: TextModel
    spec: ModuleSpec
    tokenizer: TextTokenizer
    truncated_fraction: float
    history: list
    n_samples: int
    targets: list = dataclasses.field(default_factory=list)
    y_container: str | None = None
    label_names: np.ndarray | None = None

    @property
    def n_iter(self):
        """Number of epochs of the classifier."""
        return sum(row["stage"] == "classifier" for row in self.history)
