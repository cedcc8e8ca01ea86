# SPDX-License-Identifier: BSD-3-Clause
"""What happens around the steps: schedule, clipping, measures, reports, checkpoints."""

import contextlib
import math
import operator
from numbers import Real

import numpy as np
import torch
from skorch.callbacks import (
    Callback,
    EarlyStopping,
    GradientNormClipping,
    LRScheduler,
)
from skorch.callbacks.scoring import ScoringBase
from skorch.utils import to_device

from .._hf import encoder_blocks
from ._optimizer import warmup_then_decay

# What skorch keeps beside the numbers of an epoch.
_BOOKKEEPING = {
    f"{part}_{what}"
    for part in ("train", "valid")
    for what in ("loss_best", "batch_count")
}


def make_callbacks(recipe, n_steps, *, validated):
    """Put together our callbacks, then the user's."""
    n_warmup = math.ceil(recipe.warmup_fraction * n_steps)

    def factor(step):
        return warmup_then_decay(step, n_warmup=n_warmup, n_steps=n_steps)

    callbacks = [
        ("schedule", LRScheduler("LambdaLR", step_every="batch", lr_lambda=factor)),
    ]
    if recipe.max_grad_norm is not None:
        callbacks.append(("clipping", GradientNormClipping(recipe.max_grad_norm)))
    if recipe.gradual_unfreezing:
        callbacks.append(("unfreezing", _Unfreezing()))
    if validated:
        callbacks.append(("measures", _Measures()))
    callbacks.append(("reports", _Reports()))  # before one may end the stage
    if validated and recipe.early_stopping:
        stopping = EarlyStopping(
            monitor=recipe.monitor,
            lower_is_better=False,
            patience=recipe.n_iter_no_change,
            threshold=0.0,
            load_best=True,
        )
        callbacks.append(("early_stopping", stopping))
    if recipe.checkpoint.is_kept:
        callbacks.append(("checkpoint", ResumeWriter()))
    return callbacks + list(recipe.callbacks)


def check_callbacks(callbacks):
    """Refuse skorch's scoring callbacks."""
    for item in callbacks:
        if isinstance(item[-1] if isinstance(item, tuple) else item, ScoringBase):
            raise ValueError(
                "callbacks has a skorch callback that scores, which cannot be done on "
                "batches of tokens with several targets: pass X_val and y_val to fit, "
                "and read valid_loss and valid_accuracy in history_."
            )


class _Unfreezing(Callback):
    """Train the head alone in the first epoch, then blocks from the top, at last all.

    Of n trainable blocks and E epochs, epoch e = 0, 1, ... trains round(n e / (E - 1)).
    As in Howard and Ruder (2018, section 3.3), but over the epochs that there are.
    """

    def on_train_begin(self, net, **kwargs):
        encoder = net.module_.encoder
        self.trainable_ = [p for p in encoder.parameters() if p.requires_grad]
        self.blocks_ = [
            block
            for block in encoder_blocks(encoder)
            if any(p.requires_grad for p in block.parameters())
        ]

    def on_epoch_begin(self, net, **kwargs):
        epoch, last = len(net.history) - 1, net.max_epochs - 1
        thawed = self.trainable_
        if epoch < last:
            n_blocks = round(len(self.blocks_) * epoch / last)
            top = self.blocks_[len(self.blocks_) - n_blocks :]
            thawed = [p for block in top for p in block.parameters()]
        thawed = {id(p) for p in thawed}
        for parameter in self.trainable_:
            parameter.requires_grad_(id(parameter) in thawed)


class _Measures(Callback):
    """Record what the criterion measures on the validation set, as "valid_..."."""

    def on_epoch_begin(self, net, **kwargs):
        self.sums_ = {}

    def on_batch_end(self, net, batch=None, training=False, y_pred=None, **kwargs):
        if training:
            return
        targets = to_device(batch[1], net.device)
        for name, parts in net.criterion_.batch_metrics(y_pred, targets).items():
            so_far = self.sums_.get(name, (0, 0))
            self.sums_[name] = tuple(map(operator.add, so_far, parts))

    def on_epoch_end(self, net, **kwargs):
        means = {
            name: total / count if count else math.nan
            for name, (total, count) in self.sums_.items()
        }
        for name, value in net.criterion_.epoch_metrics(means).items():
            net.history.record(f"valid_{name}", value)


class _Reports(Callback):
    """Record steps and learning rate, and tell the recipe's watch how it goes."""

    def on_train_begin(self, net, **kwargs):
        trains_encoder = any(p.requires_grad for p in net.module_.encoder.parameters())
        recipe = net.recipe
        self.peak_ = (
            recipe.learning_rate if trains_encoder else recipe.head_learning_rate
        )

    def on_epoch_begin(self, net, **kwargs):
        with _left_alone(net.recipe):
            net.recipe.watch.begin_epoch(len(net.history) - 1, rows(net.history[:-1]))

    def on_batch_end(self, net, batch=None, training=False, loss=None, **kwargs):
        if training:
            step, _ = batch
            net.recipe.watch.step(len(step), float(loss))

    def on_epoch_end(self, net, **kwargs):
        group = net.optimizer_.param_groups[0]  # the schedule is that of all
        rate = self.peak_ * group["lr"] / group["initial_lr"]
        net.history.record("learning_rate", rate)
        net.history.record("step", len(net.history) * net.n_steps // net.max_epochs)
        with _left_alone(net.recipe):
            net.recipe.watch.end_epoch(len(net.history) - 1, rows(net.history))


@contextlib.contextmanager
def _left_alone(recipe):
    """Put the generators back to where they were, whatever callbacks draw."""
    state = random_state(recipe)
    yield
    set_random_state(recipe, state)


def rows(history):
    """Keep the numbers of epochs: no batches, and no skorch bookkeeping."""
    return [
        {
            name: value if name in ("epoch", "step") else float(value)
            for name, value in row.items()
            if isinstance(value, Real) and name not in _BOOKKEEPING
        }
        for row in history
    ]


class ResumeWriter(Callback):
    """Write the state of the loop at the end of epochs, and when it is time to."""

    def on_train_begin(self, net, **kwargs):
        self.steps_ = []  # of the epoch that a checkpoint was written in

    def resume(self, net, saved):
        """Put back what the net itself does not hold."""
        callbacks = dict(net.callbacks_)
        callbacks["schedule"].lr_scheduler_.load_state_dict(saved["schedule"])
        if "early_stopping" in callbacks:
            vars(callbacks["early_stopping"]).update(saved["early_stopping"])
        set_random_state(net.recipe, saved)
        self.steps_ = saved["steps"]
        self.criterion_ = saved["criterion"]

    def on_epoch_begin(self, net, **kwargs):
        self.generator_ = net.recipe.generator.get_state()
        if self.steps_:
            net.history[-1]["batches"] = self.steps_
            net.criterion_.load_state_dict(self.criterion_)
            self.steps_ = []

    def on_batch_end(self, net, training=False, **kwargs):
        if training and net.recipe.checkpoint.is_due():
            self._write(net, net.history[:-1], net.history[-1]["batches"])

    def on_epoch_end(self, net, **kwargs):
        if len(net.history) < net.max_epochs:  # else the stage ends, which is written
            self.generator_ = net.recipe.generator.get_state()
            self._write(net, net.history, [])

    def _write(self, net, epochs, steps):
        """Write the state: `epochs` are whole, `steps` of the next one are done."""
        callbacks = dict(net.callbacks_)
        state = {
            "module": net.module_.state_dict(),
            "criterion": net.criterion_.state_dict(),
            "optimizer": net.optimizer_.state_dict(),
            "schedule": callbacks["schedule"].lr_scheduler_.state_dict(),
            **random_state(net.recipe),
            "generator": self.generator_,  # as it was when the epoch began
            "epochs": _plain(list(epochs)),
            "steps": _plain(steps),
        }
        if "early_stopping" in callbacks:
            stopping = _plain(vars(callbacks["early_stopping"]))
            state["early_stopping"] = {n: stopping[n] for n in stopping if n[-1] == "_"}
        net.recipe.checkpoint.write(state)


def random_state(recipe):
    """Return the state of every generator that training draws from."""
    state = {"generator": recipe.generator.get_state(), "torch": torch.get_rng_state()}
    if recipe.device.type == "cuda":
        state["cuda"] = torch.cuda.get_rng_state(recipe.device)
    return state


def set_random_state(recipe, state):
    """Put the generators into a state."""
    recipe.generator.set_state(state["generator"])
    torch.set_rng_state(state["torch"])
    if recipe.device.type == "cuda" and "cuda" in state:
        torch.cuda.set_rng_state(state["cuda"], recipe.device)


def _plain(value):
    """Make plain data of what callbacks keep, which a state is to be read as."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    is_plain = value is None or isinstance(value, (int, float, str, torch.Tensor))
    return value if is_plain else None
