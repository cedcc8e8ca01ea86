# SPDX-License-Identifier: BSD-3-Clause
"""The training loop.

The net of skorch exists only while :func:`train` runs. So parameters, pickles and
clones of an estimator contain no part of the net.
"""

import itertools
import math
from dataclasses import dataclass, field

import numpy as np
import torch
from skorch import NeuralNet
from skorch.callbacks import EarlyStopping, EpochTimer, PassthroughScoring
from skorch.helper import predefined_split
from skorch.utils import to_device

from .._cache import Counts
from .._data._batching import sorted_batches, tokens_per_batch
from .._model._text_model import TextModel
from .._runtime._device import Machine, autocast
from .._runtime._predict import forward_in_parts
from ._callbacks import (
    check_callbacks,
    make_callbacks,
    random_state,
    rows,
    set_random_state,
)
from ._optimizer import parameter_groups
from ._progress import FitProgress
from ._resume import ResumeState

# Learning rate of the parameters of the loss (the uncertainty of tasks). This rate lets
# the parameters change by about 1 in 100 steps.
LOSS_RATE = 1e-2


class StageStopped(KeyboardInterrupt):
    """Exception that ends a stage because a callback has asked for this.

    The loop of skorch ends at a KeyboardInterrupt. This subclass distinguishes the
    request of a callback from Ctrl-C.
    """


@dataclass(frozen=True)
class TrainingConfig:
    """Parameters of the training of a stage.

    Each field except `monitor` has the meaning of the estimator parameter of the same
    name. `monitor` is the column of the history that decides on early stopping.
    """

    learning_rate: float
    head_learning_rate: float
    max_epochs: int
    batch_size: int
    micro_batch_size: int | None = None
    layer_decay: float = 1.0
    weight_decay: float = 0.01
    warmup_fraction: float = 0.1
    max_grad_norm: float | None = 1.0
    early_stopping: bool = False
    n_iter_no_change: int = 1
    monitor: str = "valid_loss"
    gradual_unfreezing: bool = False
    callbacks: list = field(default_factory=list)

    def __post_init__(self):
        check_callbacks(self.callbacks)


@dataclass(frozen=True)
class RunContext(Machine):
    """Device, random generator, resume state and progress of a fit.

    Attributes
    ----------
    device : torch.device
    dtype : torch.dtype
    generator : torch.Generator
        Random generator that shuffles the batches and masks words.
    initial : torch.Generator
        Random generator for the initial weights of new layers.
    resume : ResumeState
    progress : FitProgress
    timer : StepTimer or None
        If not None, a few steps of each stage are timed, and the model is not trained
        (``estimate_fit``).
    cache_counts : Counts
        Numbers of hits and misses of this fit in the cache.
    """

    generator: torch.Generator
    initial: torch.Generator = field(default_factory=torch.Generator)
    resume: ResumeState = field(default_factory=ResumeState)
    progress: FitProgress = field(default_factory=FitProgress)
    timer: object = None
    cache_counts: Counts = field(default_factory=Counts)


def train(module, criterion, training, validation, config, context):
    """Train a module in place.

    Parameters
    ----------
    module : torch.nn.Module
        Module with an ``encoder``. Frozen parameters stay frozen.
        :func:`parameter_groups` describes the learning rates.
    criterion : Criterion
    training : TrainingData
    validation : TrainingData or None
        Data that is scored after each epoch. If ``early_stopping=True``, the score
        decides when training stops.
    config : TrainingConfig
    context : RunContext

    Returns
    -------
    history : list of dict
        One dict per epoch with the keys "epoch", "step" (number of steps since the
        stage began), "dur" (seconds), "train_loss" and "learning_rate" (at the end of
        the epoch). The learning rate is the rate of the highest trained block, or of
        the head if no block is trained. With validation data, the dict also has
        "valid_loss" and the metrics of the criterion as "valid_...".
    """
    saved = context.resume.next_stage()
    if saved is not None and "rows" in saved:  # the stage is complete
        return _restore(saved, module, criterion, context)
    context.progress.begin_stage()
    n_steps = config.max_epochs * math.ceil(len(training) / config.batch_size)
    net = _Net(
        lambda: module,  # clones of the net would keep a module that is passed directly
        criterion=criterion,
        config=config,
        context=context,
        n_steps=n_steps,
        saved=saved,
        train_split=predefined_split(validation) if validation is not None else None,
    )
    del saved  # as large as three encoders
    if context.timer is not None:
        context.timer.time_stage(net, training, validation, context.progress.stage)
        criterion.reset_metrics()
        context.resume.end_stage([])
        return []
    net.fit(training, None)
    if not all(p.isfinite().all() for p in module.parameters() if p.requires_grad):
        net.stop("The weights are not finite after the last")
    module.eval().zero_grad(set_to_none=True)  # gradients are as large as the weights
    epochs = rows(net.history)
    if context.resume.is_kept:
        state = {"module": module.state_dict(), "criterion": criterion.state_dict()}
        context.resume.write({**state, **random_state(context), "rows": epochs})
    context.resume.end_stage(epochs)
    context.progress.end_stage()
    return epochs


def _restore(saved, module, criterion, context):
    """Restore a complete stage from its saved state, and return its history."""
    if "module" in saved:
        module.load_state_dict(saved["module"])
        criterion.load_state_dict(saved["criterion"])
        set_random_state(context, saved)
    module.eval()
    context.progress.skip_stage(len(saved["rows"]))
    return saved["rows"]


class _Net(NeuralNet):
    """Training loop of skorch, with changes for this package.

    Steps, loss, parameter groups and interrupts differ from skorch. The loop calls the
    methods in the order of their definition.
    """

    def __init__(
        self, module, *, criterion, config, context, n_steps, saved, train_split
    ):
        self.config = config
        self.context = context
        self.n_steps = n_steps
        self.saved = saved
        # Number of steps of the next epoch that the interrupted fit has already run.
        self.n_skipped = 0
        super().__init__(
            module,
            criterion=criterion,
            max_epochs=config.max_epochs,
            batch_size=config.batch_size,
            train_split=train_split,
            callbacks=make_callbacks(
                config, context, n_steps, validated=train_split is not None
            ),
            verbose=0,
            device=context.device,
        )

    @property
    def _default_callbacks(self):
        return [
            ("epoch_timer", EpochTimer()),
            ("train_loss", PassthroughScoring(name="train_loss", on_train=True)),
            ("valid_loss", PassthroughScoring(name="valid_loss")),
        ]

    def initialize(self):
        super().initialize()
        super()._set_training(True)
        parts = [*self.module_.modules(), *self.criterion_.modules()]
        self.modes = [(part, part.training) for part in parts]  # modes during training
        return self

    def initialize_optimizer(self, *args, **kwargs):
        groups = parameter_groups(self.module_, self.config)
        learned = list(self.criterion_.parameters())
        if learned:
            groups.append({"params": learned, "lr": LOSS_RATE, "weight_decay": 0.0})
        self.optimizer_ = torch.optim.AdamW(groups, fused=True)
        return self

    def partial_fit(self, X, y=None, classes=None, **fit_params):
        # skorch ends training at any KeyboardInterrupt and raises no error. Here, only
        # a callback can end the training like this. Ctrl-C is raised again.
        self.notify("on_train_begin", X=X, y=y)
        try:
            done = self._resume() if self.saved is not None else 0
            self.fit_loop(X, y, epochs=self.max_epochs - done)
        except StageStopped:
            pass
        except KeyboardInterrupt:
            if not any(_has_stopped(callback) for _, callback in self.callbacks_):
                raise
        self.notify("on_train_end", X=X, y=y)
        return self

    def _resume(self):
        """Restore a resume state and return the number of its complete epochs."""
        saved, self.saved = self.saved, None
        self.module_.load_state_dict(saved["module"])
        self.criterion_.load_state_dict(saved["criterion"])
        self.optimizer_.load_state_dict(saved["optimizer"])
        self.history.extend(saved["epochs"])
        dict(self.callbacks_)["resume"].resume(self, saved)
        self.n_skipped = len(saved["steps"])
        n_steps = self.n_steps // self.max_epochs  # per epoch
        self.context.progress.skip(len(saved["epochs"]) + self.n_skipped / n_steps)
        return len(saved["epochs"])

    def on_epoch_begin(self, net, **kwargs):
        if self.context.progress.is_stopped:
            raise StageStopped
        super().on_epoch_begin(net, **kwargs)
        self.criterion_.reset_metrics()

    def get_iterator(self, dataset, training=False):
        return _Batches(dataset, self.config, self.context, training, self.n_skipped)

    def _set_training(self, training=True):
        # skorch sets the mode of all modules for each batch, which takes as long as the
        # forward pass of a block. Checking whether a mode has changed is fast.
        if any(part.training != (training and mode) for part, mode in self.modes):
            super()._set_training(training)

    def train_step_single(self, batch, **fit_params):
        self._set_training(True)
        step, _ = batch
        total = 0.0
        for inputs, targets in step.parts:
            outputs = self.infer(inputs)
            targets = to_device(targets, self.context.device)
            loss = self.criterion_(outputs, targets, step.counts)
            loss.backward()
            total = total + loss.detach()
        if not math.isfinite(total):
            self.stop(f"The loss is {float(total)} at")
        return {"loss": total, "y_pred": outputs}

    def infer(self, x):
        inputs = x.to(self.context.device).inputs()
        with autocast(self.context.device, self.context.dtype):
            model = getattr(self.module_, "classifier", self.module_)
            if not torch.is_grad_enabled() and isinstance(model, TextModel):
                return forward_in_parts(model, *inputs)
            return self.module_(*inputs)

    def stop(self, what):
        """Raise an error because the loss or the weights are not finite."""
        done = sum(len(row["batches"]) for row in self.history)
        name = "learning_rate"
        rates = {"": self.config.learning_rate, "head_": self.config.head_learning_rate}
        if self.context.progress.stage.name.startswith("language model"):
            rates = {"lm_": self.config.learning_rate}
        lower = " and ".join(f"{k}{name}={rate / 3:.1g}" for k, rate in rates.items())
        raise FloatingPointError(
            f"{what} step {done} of {self.n_steps}, so training was stopped. Set "
            f"{lower} (a third of the rates of this fit), and max_grad_norm=1.0. If "
            "the error occurs again, set precision='float32'."
            f"{self.context.resume.describe()}"
        )

    def forward_iter(self, X, *args, **kwargs):
        # The batches are sorted by length. The original order of the texts is restored
        # for callbacks that predict.
        outputs = torch.cat(list(super().forward_iter(X, *args, **kwargs)))
        batches = sorted_batches(X.tokens, tokens_per_batch(self.context.device))
        yield outputs[np.argsort(np.concatenate(batches))]


def _has_stopped(callback):
    return isinstance(callback, EarlyStopping) and callback.misses_ >= callback.patience


def scoring_budget(tokens, config, device):
    """Return how many tokens a batch may have if no gradients are computed."""
    budget = tokens_per_batch(device)
    if config.micro_batch_size is not None:  # then memory may be scarce
        longest = int(tokens.longest_windows.max())
        budget = min(budget, config.micro_batch_size * longest)
    return budget


class _Batches:
    """Data loader for skorch. Each iteration is one epoch.

    If a fit is resumed, the interrupted fit has already run the first `n_skipped` steps
    of the first epoch of this loader. The batches of these steps are created but not
    returned, so that the random generator continues as in the interrupted fit.
    """

    def __init__(self, dataset, config, context, training, n_skipped):
        self.dataset = dataset
        self.config = config
        self.context = context
        self.training = training
        self.n_skipped = n_skipped

    def __iter__(self):
        context = self.context
        if not self.training:
            tokens = self.dataset.tokens
            budget = scoring_budget(tokens, self.config, context.device)
            return self.dataset.scoring_batches(budget)
        n_skipped, self.n_skipped = self.n_skipped, 0
        steps = self.dataset.training_steps(self.config, context.generator)
        return ((step, None) for step in itertools.islice(steps, n_skipped, None))
