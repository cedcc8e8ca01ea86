# SPDX-License-Identifier: BSD-3-Clause
"""The training loop.

skorch's net is built inside :func:`train` from a module factory and dropped after it,
so nothing of it reaches parameters, pickles or clones.
"""

import itertools
import math
from dataclasses import dataclass

import numpy as np
import torch
from skorch import NeuralNet
from skorch.callbacks import EarlyStopping, EpochTimer, PassthroughScoring
from skorch.helper import predefined_split
from skorch.utils import to_device

from .._data._batching import sorted_batches, tokens_per_batch
from .._runtime._device import autocast
from ._callbacks import (
    check_callbacks,
    make_callbacks,
    random_state,
    rows,
    set_random_state,
)
from ._optimizer import parameter_groups
from ._progress import Watch
from ._resume import ResumeState

# Of what the loss itself learns, which is to move by about 1 in some 100 steps.
LOSS_RATE = 1e-2


@dataclass(frozen=True)
class Recipe:
    """How to train; the fields are the estimator's parameters of the same names.

    `monitor` is what early stopping looks at in the history; `generator` shuffles the
    batches; `device` and `dtype` are resolved; `checkpoint` is where the state is
    written to and read from; `watch` is told how it goes.
    """

    learning_rate: float
    head_learning_rate: float
    layer_decay: float
    weight_decay: float
    warmup_fraction: float
    max_grad_norm: float | None
    max_epochs: int
    batch_size: int
    micro_batch_size: int | None
    early_stopping: bool
    n_iter_no_change: int
    monitor: str
    gradual_unfreezing: bool
    callbacks: list
    device: torch.device
    dtype: torch.dtype
    generator: torch.Generator
    checkpoint: ResumeState
    watch: Watch

    def __post_init__(self):
        check_callbacks(self.callbacks)


def train(module, criterion, training, validation, recipe):
    """Train a module, in place.

    Parameters
    ----------
    module : torch.nn.Module
        What of it is frozen stays frozen. Its ``encoder`` learns at the encoder's
        rates, the rest at the head's.
    criterion : torch.nn.Module
        From the module's outputs and a batch's targets to the loss; of a part of a
        batch, its share in that of all parts, whose ``counts`` it is given. Its
        ``measure`` gives {name: (sum, count)} of them, to be averaged over the
        validation set; its ``conclude`` makes of the averages what is recorded.
    training, validation : LabeledDataset, or another with its methods
        `validation` may be None. It is scored after each epoch; with
        ``early_stopping`` it decides.
    recipe : Recipe

    Returns
    -------
    history : list of dict
        One for each epoch: "epoch", "step" (how many are done at its end), "dur"
        (seconds), "train_loss", "learning_rate" (then, of the highest block that is
        trained, or of the head if none is), and if there is a validation set
        "valid_loss" and what the criterion concludes, "valid_...".
    """
    saved = recipe.checkpoint.next_stage()
    if saved is not None and "rows" in saved:  # the stage was trained to its end
        if "module" in saved:
            module.load_state_dict(saved["module"])
            criterion.load_state_dict(saved["criterion"])
            set_random_state(recipe, saved)
        module.eval()
        recipe.watch.skip_stage(len(saved["rows"]))
        return saved["rows"]
    recipe.watch.begin_stage()
    n_steps = recipe.max_epochs * math.ceil(len(training) / recipe.batch_size)
    net = _Net(
        lambda: module,  # a factory: a module passed as it is would be kept by clones
        criterion=criterion,
        recipe=recipe,
        n_steps=n_steps,
        saved=saved,
        train_split=predefined_split(validation) if validation is not None else None,
    )
    del saved  # as large as three encoders
    if recipe.watch.is_rehearsal:
        recipe.watch.rehearse(net, training, validation)
        criterion.reset_metrics()  # what was seen of it says nothing
        recipe.checkpoint.end_stage([])
        return []
    net.fit(training, None)
    if not all(p.isfinite().all() for p in module.parameters() if p.requires_grad):
        net.stop("The weights are not finite after the last")
    module.eval().zero_grad(set_to_none=True)  # gradients are as large as the weights
    epochs = rows(net.history)
    if recipe.checkpoint.is_kept:
        state = {"module": module.state_dict(), "criterion": criterion.state_dict()}
        recipe.checkpoint.write({**state, **random_state(recipe), "rows": epochs})
    recipe.checkpoint.end_stage(epochs)
    recipe.watch.end_stage()
    return epochs


class _Net(NeuralNet):
    """skorch's loop with our steps, loss, parameter groups and interrupts."""

    def __init__(self, module, *, criterion, recipe, n_steps, saved, train_split):
        self.recipe = recipe
        self.n_steps = n_steps
        self.saved = saved
        self.n_skipped = 0  # steps of the next epoch that were done before
        validated = train_split is not None
        super().__init__(
            module,
            criterion=criterion,
            max_epochs=recipe.max_epochs,
            batch_size=recipe.batch_size,
            train_split=train_split,
            callbacks=make_callbacks(recipe, n_steps, validated=validated),
            verbose=0,
            device=recipe.device,
        )

    @property
    def _default_callbacks(self):
        return [
            ("epoch_timer", EpochTimer()),
            ("train_loss", PassthroughScoring(name="train_loss", on_train=True)),
            ("valid_loss", PassthroughScoring(name="valid_loss")),
        ]

    def initialize_optimizer(self, *args, **kwargs):
        groups = parameter_groups(self.module_, self.recipe)
        learned = list(self.criterion_.parameters())
        if learned:
            groups.append({"params": learned, "lr": LOSS_RATE, "weight_decay": 0.0})
        self.optimizer_ = torch.optim.AdamW(groups, fused=True)
        return self

    def on_epoch_begin(self, net, **kwargs):
        if self.recipe.watch.is_stopped:
            raise KeyboardInterrupt  # as skorch's own callbacks end a stage
        super().on_epoch_begin(net, **kwargs)
        self.criterion_.reset_metrics()

    def initialize(self):
        super().initialize()
        super()._set_training(True)
        parts = [*self.module_.modules(), *self.criterion_.modules()]
        self.modes = [(part, part.training) for part in parts]  # while it trains
        return self

    def _set_training(self, training=True):
        # skorch does it for each batch, which takes as long as a block's forward pass;
        # to look whether a callback has changed it does not.
        if any(part.training != (training and mode) for part, mode in self.modes):
            super()._set_training(training)

    def get_iterator(self, dataset, training=False):
        return _Batches(dataset, self.recipe, training, self.n_skipped)

    def infer(self, x):
        with autocast(self.recipe.device, self.recipe.dtype):
            return self.module_(*x.to(self.recipe.device).inputs())

    def train_step_single(self, batch, **fit_params):
        self._set_training(True)
        step, _ = batch
        total = 0.0
        for inputs, targets in step.parts:
            outputs = self.infer(inputs)
            targets = to_device(targets, self.recipe.device)
            loss = self.criterion_(outputs, targets, step.counts)
            loss.backward()
            total = total + loss.detach()
        if not math.isfinite(total):
            self.stop(f"The loss is {float(total)} at")
        return {"loss": total, "y_pred": outputs}

    def stop(self, what):
        """Say where the numbers went wrong, before the optimizer spreads it."""
        done = sum(len(row["batches"]) for row in self.history)
        rate = max(group["lr"] for group in self.optimizer_.param_groups)
        kept = self.recipe.checkpoint.describe()
        raise FloatingPointError(
            f"{what} step {done} of {self.n_steps} (learning rate {rate:.2g}), so "
            "training was stopped: set learning_rate and head_learning_rate lower (a "
            "third), max_grad_norm=1.0 if it is another, and precision='float32' if "
            f"that is not enough.{kept}"
        )

    def partial_fit(self, X, y=None, classes=None, **fit_params):
        # skorch ends training at any KeyboardInterrupt and returns as if all were well;
        # only its own EarlyStopping may do that, a person at the keyboard means it.
        self.notify("on_train_begin", X=X, y=y)
        try:
            done = self._resume() if self.saved is not None else 0
            self.fit_loop(X, y, epochs=self.max_epochs - done)
        except KeyboardInterrupt:
            stops = any(_has_stopped(callback) for _, callback in self.callbacks_)
            if not (stops or self.recipe.watch.is_stopped):
                raise
        self.notify("on_train_end", X=X, y=y)
        return self

    def _resume(self):
        """Go on where a checkpoint was written; return the epochs that are done."""
        saved, self.saved = self.saved, None
        self.module_.load_state_dict(saved["module"])
        self.criterion_.load_state_dict(saved["criterion"])
        self.optimizer_.load_state_dict(saved["optimizer"])
        self.history.extend(saved["epochs"])
        dict(self.callbacks_)["checkpoint"].resume(self, saved)
        self.n_skipped = len(saved["steps"])
        n_steps = self.n_steps // self.max_epochs  # of an epoch
        self.recipe.watch.skip(len(saved["epochs"]) + self.n_skipped / n_steps)
        return len(saved["epochs"])

    def forward_iter(self, X, *args, **kwargs):
        # For callbacks that predict: batches are sorted by length, rows shall not be.
        outputs = torch.cat(list(super().forward_iter(X, *args, **kwargs)))
        batches = sorted_batches(X.tokens, tokens_per_batch(self.recipe.device))
        yield outputs[np.argsort(np.concatenate(batches))]


def _has_stopped(callback):
    return isinstance(callback, EarlyStopping) and callback.misses_ >= callback.patience


def scoring_budget(tokens, recipe):
    """Return how many tokens a batch may have that no gradient is computed of."""
    budget = tokens_per_batch(recipe.device)
    if recipe.micro_batch_size is not None:  # the memory may be small
        longest = int(tokens.longest_windows.max())
        budget = min(budget, recipe.micro_batch_size * longest)
    return budget


class _Batches:
    """A loader: every iteration is one epoch of ``(inputs, targets)``.

    Of the first, `n_skipped` steps are made, so that the generator goes on as it did,
    and dropped.
    """

    def __init__(self, dataset, recipe, training, n_skipped):
        self.dataset = dataset
        self.recipe = recipe
        self.training = training
        self.n_skipped = n_skipped

    def __iter__(self):
        recipe = self.recipe
        if not self.training:
            budget = scoring_budget(self.dataset.tokens, recipe)
            return self.dataset.scoring_batches(budget)
        n_skipped, self.n_skipped = self.n_skipped, 0
        steps = self.dataset.training_steps(recipe)
        return ((step, None) for step in itertools.islice(steps, n_skipped, None))
