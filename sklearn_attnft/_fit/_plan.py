# SPDX-License-Identifier: BSD-3-Clause
"""The plan of a fit: its parameters, resolved; and what a fit takes and returns."""

import dataclasses
import math
from dataclasses import dataclass
from numbers import Real

from torch import nn

from .._data._labeled import LabeledTexts
from .._hf import TextTokenizer
from .._model._spec import ModuleSpec
from .._model._text_model import TextModel
from ._tasks import Tasks

# With max_epochs="auto": passes over many texts, and the fewest steps on few texts.
# Mosbach et al. (2021), "On the Stability of Fine-tuning BERT", recommend to train for
# a number of steps where texts are few.
EPOCHS, FEWEST_STEPS = 3, 40


@dataclass(frozen=True)
class FitPlan:
    """How one fit runs. The fields are the estimators' parameters of the same names.

    "auto" is resolved. Parameters that an extractor does not have keep the defaults
    here, which switch off what they control.
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
    learning_rate: float = 0.0
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

    @classmethod
    def of(cls, parameters, data=None):
        """Make a plan from an estimator's parameters and the data of the fit.

        Parameters
        ----------
        parameters : dict
        data : FitData or None
        """
        names = {each.name for each in dataclasses.fields(cls)} & parameters.keys()
        plan = cls(**{name: parameters[name] for name in names})
        if plan.max_epochs == "auto":
            plan = dataclasses.replace(plan, max_epochs=plan._auto_epochs(data))
        return plan

    def _auto_epochs(self, data):
        n_texts = len(data.training.texts)
        if self.early_stopping and data.validation is None:
            n_texts -= math.ceil(self.validation_fraction * n_texts)
        n_steps = max(1, math.ceil(n_texts / self.batch_size))
        return max(EPOCHS, math.ceil(FEWEST_STEPS / n_steps))

    @property
    def has_language_model(self):
        """Whether a language model is trained, before the classifier or with it."""
        return self.lm_epochs > 0 or self.lm_weight > 0

    @property
    def changes_encoder(self):
        """Whether a stage changes the encoder's weights."""
        is_trained = self.trainable_layers != 0 or self.contrastive_epochs > 0
        return is_trained or self.has_language_model


@dataclass(frozen=True)
class FitData:
    """The checked arguments of a classifier's ``fit``.

    Attributes
    ----------
    tasks : Tasks
    training : LabeledTexts
        They have class weights; texts of weight 0 are left out.
    validation : LabeledTexts or None
    unlabeled : list of str
        More texts for the language model.
    n_samples : int
        Number of texts given to ``fit``.
    task_names : list
        Names of the tasks in the order of the columns of y.
    y_container : str or None
        In what kind of container a MultiTaskClassifier returns predictions.
    """

    tasks: Tasks
    training: LabeledTexts
    validation: LabeledTexts | None
    unlabeled: list
    n_samples: int
    task_names: list
    y_container: str | None = None


@dataclass(frozen=True)
class FitState:
    """State that one stage of a fit hands to the next.

    Attributes
    ----------
    encoder : torch.nn.Module
    lm_head : torch.nn.Module or None
        Head of the language model.
    module : TextModel or None
        The classifier, after its stage.
    history : tuple of dict
        Rows of the epochs so far; each has a "stage".
    """

    encoder: nn.Module
    lm_head: nn.Module | None = None
    module: TextModel | None = None
    history: tuple = ()

    def with_rows(self, stage, rows):
        """Return the state with the rows of a stage in its history."""
        rows = tuple({"stage": stage, **row} for row in rows)
        return dataclasses.replace(self, history=self.history + rows)


@dataclass(frozen=True)
class FittedModel:
    """The result of a fit, which the estimators turn into fitted attributes.

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
        Ordered as the columns of y; empty for an extractor.
    y_container : str or None
    """

    module: TextModel
    spec: ModuleSpec
    tokenizer: TextTokenizer
    truncated_fraction: float
    history: list
    n_samples: int
    targets: list = dataclasses.field(default_factory=list)
    y_container: str | None = None

    @property
    def n_iter(self):
        """Number of epochs of the classifier."""
        return sum(row["stage"] == "classifier" for row in self.history)
