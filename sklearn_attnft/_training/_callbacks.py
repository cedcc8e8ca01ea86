# SPDX-License-Identifier: BSD-3-Clause
"""The skorch callbacks of the training loop."""

import contextlib
import functools
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

from .._utils._messages import shorten
from ._optimizer import trained_blocks, warmup_then_decay

# Entries of skorch's history that are not metrics of an epoch.
_BOOKKEEPING = {
    f"{part}_{what}"
    for part in ("train", "valid")
    for what in ("loss_best", "batch_count")
}


def make_callbacks(config, context, n_steps, *, validated):
    """Return the callbacks of the package, followed by the callbacks of the user.

    Parameters
    ----------
    config : TrainingConfig
    context : RunContext
    n_steps : int
        Number of training steps of the stage.
    validated : bool
        Whether there are validation texts.
    """
    n_warmup = math.ceil(config.warmup_fraction * n_steps)
    schedule = LRScheduler(
        "LambdaLR",
        step_every="batch",
        lr_lambda=functools.partial(
            warmup_then_decay, n_warmup=n_warmup, n_steps=n_steps
        ),
    )
    callbacks = [("schedule", schedule)]
    if config.max_grad_norm is not None:
        callbacks.append(("clipping", GradientNormClipping(config.max_grad_norm)))
    if config.gradual_unfreezing:
        callbacks.append(("unfreezing", _Unfreezing()))
    if validated:
        callbacks.append(("metrics", _Metrics()))
    # The order matters: reports must come before callbacks that can end the stage.
    callbacks.append(("reports", _Reports()))
    if validated and config.early_stopping:
        stopping = _Stopping(
            monitor=config.monitor,
            lower_is_better=False,
            patience=config.n_iter_no_change,
            threshold=0.0,
            load_best=True,
        )
        callbacks.append(("early_stopping", stopping))
    if context.resume.is_kept:
        callbacks.append(("resume", ResumeWriter()))
    return callbacks + list(config.callbacks)


def check_validation_callbacks(callbacks):
    """Raise an error if a callback of skorch needs the loss of validation texts."""
    for item in callbacks:
        callback = item[-1] if isinstance(item, tuple) else item
        monitor = getattr(callback, "monitor", None)
        if isinstance(monitor, str) and monitor.startswith("valid_"):
            raise ValueError(
                f"`callbacks` has a callback that reads {monitor!r}, got no validation "
                f"texts ({shorten(item, 80)}). Pass X_val and y_val to fit, or set "
                "monitor='train_loss' in the callback."
            )


def check_callbacks(callbacks):
    """Raise an error if `callbacks` has a scoring or LR callback of skorch."""
    for item in callbacks:
        callback = item[-1] if isinstance(item, tuple) else item
        if isinstance(callback, LRScheduler):
            raise ValueError(
                "`callbacks` must not have an LRScheduler, got "
                f"{shorten(item, 80)}. The schedule of the fit would overwrite its "
                "learning rates. Set learning_rate, head_learning_rate and "
                "warmup_fraction."
            )
        if isinstance(callback, ScoringBase):
            raise ValueError(
                "`callbacks` must not have a scoring callback of skorch, got "
                f"{shorten(item, 80)}. Scoring callbacks cannot read batches of "
                "tokens. Pass X_val and y_val to fit, and read valid_loss and "
                "valid_accuracy in history_."
            )


class _Stopping(EarlyStopping):
    """Early stopping that compares the validation losses of epochs of equal score.

    A score such as accuracy is often the same in several epochs. It cannot change at
    all if, for example, all validation numbers are equal. A score of 1 is not improved
    by a lower loss: the loss can fall for ever.
    """

    def on_train_begin(self, net, **kwargs):
        super().on_train_begin(net, **kwargs)
        self.lowest_loss_ = math.inf

    def on_epoch_end(self, net, **kwargs):
        self.loss_ = net.history[-1, "valid_loss"]
        super().on_epoch_end(net, **kwargs)

    def _is_score_improved(self, score):
        if score == self.dynamic_threshold_ < 1:
            return self.loss_ < self.lowest_loss_
        return super()._is_score_improved(score)

    def _calc_new_threshold(self, score):
        self.lowest_loss_ = self.loss_
        return super()._calc_new_threshold(score)


class _Unfreezing(Callback):
    """Unfreeze blocks gradually, from the top block down.

    If there are n blocks and E epochs, epoch e trains the top round(n * e / (E - 1))
    blocks. The number e of the first epoch is 0. The last epoch trains all blocks, even
    if it is the only epoch. Howard and Ruder (2018, section 3.3) unfreeze one block per
    epoch.
    """

    def on_train_begin(self, net, **kwargs):
        encoder = net.module_.encoder
        self.trainable_ = [p for p in encoder.parameters() if p.requires_grad]
        self.blocks_ = trained_blocks(encoder)

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


class _Metrics(Callback):
    """Compute metrics on the validation data.

    The metrics are recorded in the history as "valid_...".
    """

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
    """Record steps and learning rate in the history, and report to FitProgress."""

    def on_train_begin(self, net, **kwargs):
        trains_encoder = any(p.requires_grad for p in net.module_.encoder.parameters())
        config = net.config
        self.peak_ = (
            config.learning_rate if trains_encoder else config.head_learning_rate
        )

    def on_epoch_begin(self, net, **kwargs):
        with _restored_generators(net.context):
            net.context.progress.begin_epoch(
                len(net.history) - 1, rows(net.history[:-1])
            )

    def on_batch_end(self, net, batch=None, training=False, loss=None, **kwargs):
        if training:
            step, _ = batch
            net.context.progress.step(len(step), float(loss))

    def on_epoch_end(self, net, **kwargs):
        group = net.optimizer_.param_groups[0]  # all groups have the same schedule
        rate = self.peak_ * group["lr"] / group["initial_lr"]
        net.history.record("learning_rate", rate)
        net.history.record("step", len(net.history) * net.n_steps // net.max_epochs)
        with _restored_generators(net.context):
            net.context.progress.end_epoch(len(net.history) - 1, rows(net.history))


@contextlib.contextmanager
def _restored_generators(context):
    """Restore the random generators on exit, because callbacks may use them."""
    state = random_state(context)
    yield
    set_random_state(context, state)


def rows(history):
    """Return the metrics of each epoch as a list of dict."""
    return [
        {
            name: value if name in ("epoch", "step") else float(value)
            for name, value in row.items()
            if isinstance(value, Real) and name not in _BOOKKEEPING
        }
        for row in history
    ]


class ResumeWriter(Callback):
    """Write the resume state after each epoch and every `checkpoint_minutes`."""

    def on_train_begin(self, net, **kwargs):
        self.steps_ = []  # finished steps of the epoch that is resumed

    def resume(self, net, saved):
        """Restore callbacks and random generators from a resume state."""
        callbacks = dict(net.callbacks_)
        callbacks["schedule"].lr_scheduler_.load_state_dict(saved["schedule"])
        if "early_stopping" in callbacks:
            vars(callbacks["early_stopping"]).update(saved["early_stopping"])
        set_random_state(net.context, saved)
        self.steps_ = saved["steps"]
        self.criterion_ = saved["criterion"]

    def on_epoch_begin(self, net, **kwargs):
        self.generator_ = net.context.generator.get_state()
        if self.steps_:
            net.history[-1]["batches"] = self.steps_
            net.criterion_.load_state_dict(self.criterion_)
            self.steps_ = []

    def on_batch_end(self, net, training=False, **kwargs):
        if training and net.context.resume.is_due():
            self._write(net, net.history[:-1], net.history[-1]["batches"])

    def on_epoch_end(self, net, **kwargs):
        # After the last epoch, the function `train` writes the resume state.
        if len(net.history) < net.max_epochs:
            self.generator_ = net.context.generator.get_state()
            self._write(net, net.history, [])

    def _write(self, net, epochs, steps):
        """Write the current resume state.

        `epochs` has the history rows of the complete epochs. `steps` has the history
        rows of the steps that were run since the last complete epoch.
        """
        callbacks = dict(net.callbacks_)
        state = {
            "module": net.module_.state_dict(),
            "criterion": net.criterion_.state_dict(),
            "optimizer": net.optimizer_.state_dict(),
            "schedule": callbacks["schedule"].lr_scheduler_.state_dict(),
            **random_state(net.context),
            "generator": self.generator_,  # the state at the start of the epoch
            "epochs": _plain(list(epochs)),
            "steps": _plain(steps),
        }
        if "early_stopping" in callbacks:
            stopping = _plain(vars(callbacks["early_stopping"]))
            state["early_stopping"] = {n: stopping[n] for n in stopping if n[-1] == "_"}
        net.context.resume.write(state)


def random_state(context):
    """Return the state of every random generator that training uses."""
    state = {
        "generator": context.generator.get_state(),
        "torch": torch.get_rng_state(),
    }
    if context.device.type == "cuda":
        state["cuda"] = torch.cuda.get_rng_state(context.device)
    return state


def set_random_state(context, state):
    """Set every random generator to a state that :func:`random_state` returned."""
    context.generator.set_state(state["generator"])
    torch.set_rng_state(state["torch"])
    if context.device.type == "cuda" and "cuda" in state:
        torch.cuda.set_rng_state(state["cuda"], context.device)


def _plain(value):
    """Return a copy of a value that ``torch.load(weights_only=True)`` can read.

    Objects that ``torch.load`` cannot read are replaced by None.
    """
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    is_plain = value is None or isinstance(value, (int, float, str, torch.Tensor))
    return value if is_plain else None
