# SPDX-License-Identifier: BSD-3-Clause
"""The one door to skorch: the training loop.

skorch's net is built inside :func:`train` from a module factory and dropped after it,
so nothing of it reaches parameters, pickles or clones.
"""

import math
import operator
from dataclasses import dataclass
from numbers import Real

import numpy as np
import torch
from skorch import NeuralNet
from skorch.callbacks import (
    Callback,
    EarlyStopping,
    EpochTimer,
    GradientNormClipping,
    LRScheduler,
    PassthroughScoring,
)
from skorch.callbacks.scoring import ScoringBase
from skorch.helper import predefined_split
from skorch.utils import to_device
from torch.utils.data import Dataset
from tqdm import tqdm

from ._backbone import encoder_blocks
from ._batching import TokenizedTexts, shuffled_batches, sorted_batches
from ._inference import autocast, tokens_per_batch

# Of what the loss itself learns, which is to move by about 1 in some 100 steps.
LOSS_RATE = 1e-2
# What skorch keeps beside the numbers of an epoch.
_BOOKKEEPING = {
    f"{part}_{what}"
    for part in ("train", "valid")
    for what in ("loss_best", "batch_count")
}


@dataclass(frozen=True)
class LabelledTexts(Dataset):
    """What is trained or scored on.

    Attributes
    ----------
    tokens : TokenizedTexts
    labels : tuple of ndarray
        For each label set: of int64, shape (n_texts,), indices of classes; or of
        float32, shape (n_texts, n_classes), 1 for each class that a text is of.
    weights : ndarray of float32, shape (n_texts, n_tasks)
        0 where the label is missing. Their mean is at most 1, so that a weighted loss
        keeps its scale.
    draws : ndarray of float, shape (n_texts,)
        How often a text is in an epoch, on average; their mean is 1.
    """

    tokens: TokenizedTexts
    labels: tuple
    weights: np.ndarray
    draws: np.ndarray

    def __len__(self):
        return len(self.draws)

    def training_batches(self, batch_size, generator):
        """Yield one epoch of (TokenBatch, targets) in random order."""
        for indices in self._epoch(batch_size, generator):
            yield self._batch(indices)

    def _epoch(self, batch_size, generator):
        """Cut ``len(self)`` texts into batches, drawn as often as they are to be."""
        lengths = self.tokens.longest_windows[: len(self)]
        drawn = np.arange(len(self))
        if (self.draws != 1).any():
            # Systematic sampling: every text the integer part of its draws at least.
            order = torch.randperm(len(self), generator=generator).numpy()
            points = drawn + torch.rand((), generator=generator).item()
            where = np.searchsorted(self.draws[order].cumsum(), points, "right")
            drawn = order[where.clip(max=len(self) - 1)]  # rounding, at the last
        batches = shuffled_batches(lengths[drawn], batch_size, generator)
        return [drawn[batch] for batch in batches]

    def scoring_batches(self, budget):
        """Yield all texts as (TokenBatch, targets) of at most `budget` tokens."""
        for indices in sorted_batches(self.tokens, budget):
            yield self._batch(indices)

    def _batch(self, indices):
        labels = tuple(torch.from_numpy(labels[indices]) for labels in self.labels)
        weights = torch.from_numpy(self.weights[indices])
        return self.tokens.batch(indices), (labels, weights)


@dataclass(frozen=True)
class Recipe:
    """How to train; the fields are the estimator's parameters of the same names.

    `monitor` is what early stopping looks at in the history; `generator` shuffles the
    batches; `device` and `dtype` are resolved.
    """

    learning_rate: float
    head_learning_rate: float
    layer_decay: float
    weight_decay: float
    warmup_fraction: float
    max_grad_norm: float | None
    max_epochs: int
    batch_size: int
    early_stopping: bool
    n_iter_no_change: int
    monitor: str
    gradual_unfreezing: bool
    callbacks: list
    verbose: int
    device: torch.device
    dtype: torch.dtype
    generator: torch.Generator


def train(module, criterion, training, validation, recipe):
    """Train a module, in place.

    Parameters
    ----------
    module : torch.nn.Module
        What of it is frozen stays frozen. Its ``encoder`` learns at the encoder's
        rates, the rest at the head's.
    criterion : torch.nn.Module
        From the module's outputs and a batch's targets to the loss. Its ``measure``
        gives {name: (sum, count)} of them, to be averaged over the validation set; its
        ``conclude`` makes of the averages what is recorded.
    training, validation : LabelledTexts, or another with its methods
        `validation` may be None. It is scored after each epoch; with
        ``early_stopping`` it decides.
    recipe : Recipe

    Returns
    -------
    history : list of dict
        One for each epoch: "epoch", "dur" (seconds), "train_loss", and if there is
        a validation set "valid_loss" and what the criterion concludes, "valid_...".
    """
    net = _Net(
        lambda: module,  # a factory: a module passed as it is would be kept by clones
        criterion=criterion,
        recipe=recipe,
        n_steps=recipe.max_epochs * math.ceil(len(training) / recipe.batch_size),
        train_split=predefined_split(validation) if validation is not None else None,
    )
    net.fit(training, None)
    module.eval().zero_grad(set_to_none=True)  # gradients are as large as the weights
    return [_plain(row) for row in net.history]


def _plain(row):
    """Keep the numbers of an epoch: what is not a batch, and no skorch bookkeeping."""
    return {
        name: value if name == "epoch" else float(value)
        for name, value in row.items()
        if isinstance(value, Real) and name not in _BOOKKEEPING
    }


class _Net(NeuralNet):
    """skorch's loop with our batches, loss, parameter groups and interrupts."""

    def __init__(self, module, *, criterion, recipe, n_steps, train_split):
        self.recipe = recipe
        self.n_steps = n_steps
        super().__init__(
            module,
            criterion=criterion,
            max_epochs=recipe.max_epochs,
            batch_size=recipe.batch_size,
            train_split=train_split,
            callbacks=_callbacks(recipe, n_steps, validated=train_split is not None),
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

    def get_iterator(self, dataset, training=False):
        return _Batches(dataset, self.recipe, training)

    def infer(self, x):
        with autocast(self.recipe.device, self.recipe.dtype):
            return self.module_(*x.to(self.recipe.device).inputs())

    def partial_fit(self, X, y=None, classes=None, **fit_params):
        # skorch ends training at any KeyboardInterrupt and returns as if all were well;
        # only its own EarlyStopping may do that, a person at the keyboard means it.
        self.notify("on_train_begin", X=X, y=y)
        try:
            self.fit_loop(X, y)
        except KeyboardInterrupt:
            if not any(_has_stopped(callback) for _, callback in self.callbacks_):
                raise
        finally:
            for _, callback in self.callbacks_:
                if isinstance(callback, _ProgressBar):
                    callback.bar_.close()
        self.notify("on_train_end", X=X, y=y)
        return self

    def forward_iter(self, X, *args, **kwargs):
        # For callbacks that predict: batches are sorted by length, rows shall not be.
        outputs = torch.cat(list(super().forward_iter(X, *args, **kwargs)))
        batches = sorted_batches(X.tokens, tokens_per_batch(self.recipe.device))
        yield outputs[np.argsort(np.concatenate(batches))]


def _has_stopped(callback):
    return isinstance(callback, EarlyStopping) and callback.misses_ >= callback.patience


class _Batches:
    """A loader: every iteration is one epoch of ``(inputs, targets)``."""

    def __init__(self, dataset, recipe, training):
        self.dataset = dataset
        self.recipe = recipe
        self.training = training

    def __iter__(self):
        recipe = self.recipe
        if self.training:
            return self.dataset.training_batches(recipe.batch_size, recipe.generator)
        return self.dataset.scoring_batches(tokens_per_batch(recipe.device))


def parameter_groups(module, recipe):
    """Group the trainable parameters by learning rate and weight decay.

    A block at depth d below the top learns at ``learning_rate * layer_decay ** d``,
    the embeddings one step below the lowest block (Howard and Ruder 2018, section
    3.2); vectors (biases, norms) are not decayed.

    Returns
    -------
    list of dict
        For a torch optimizer.
    """
    encoder = module.encoder
    in_encoder = {id(p) for p in encoder.parameters()}
    depths = {}
    if recipe.layer_decay != 1.0:
        blocks = encoder_blocks(encoder)
        depths = {id(p): len(blocks) for p in encoder.parameters()}
        for i, block in enumerate(blocks):
            depths |= {id(p): len(blocks) - 1 - i for p in block.parameters()}
    groups = {}
    for parameter in module.parameters():
        if not parameter.requires_grad:
            continue
        rate = recipe.head_learning_rate
        if id(parameter) in in_encoder:
            depth = depths.get(id(parameter), 0)
            rate = recipe.learning_rate * recipe.layer_decay**depth
        decay = recipe.weight_decay if parameter.ndim > 1 else 0.0
        groups.setdefault((rate, decay), []).append(parameter)
    return [
        {"params": parameters, "lr": rate, "weight_decay": decay}
        for (rate, decay), parameters in groups.items()
    ]


def warmup_then_decay(step, *, n_warmup, n_steps):
    """Return the factor on the learning rate: up to 1, then linearly down to 0."""
    if step < n_warmup:
        return (step + 1) / n_warmup
    return max(0.0, (n_steps - step) / max(1, n_steps - n_warmup))


def _callbacks(recipe, n_steps, validated):
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
    if validated and recipe.early_stopping:
        stopping = EarlyStopping(
            monitor=recipe.monitor,
            lower_is_better=False,
            patience=recipe.n_iter_no_change,
            threshold=0.0,
            load_best=True,
        )
        callbacks.append(("early_stopping", stopping))
    if recipe.verbose:
        callbacks.append(("progress", _ProgressBar(n_steps)))
    for item in recipe.callbacks:
        if isinstance(item[-1] if isinstance(item, tuple) else item, ScoringBase):
            raise ValueError(
                "callbacks has a skorch callback that scores, which cannot be done on "
                "batches of tokens with several targets: pass X_val and y_val to fit, "
                "and read valid_loss and valid_accuracy in history_."
            )
    return callbacks + list(recipe.callbacks)


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
        self.epoch_ = 0

    def on_epoch_begin(self, net, **kwargs):
        last = net.max_epochs - 1
        thawed = self.trainable_
        if self.epoch_ < last:
            n_blocks = round(len(self.blocks_) * self.epoch_ / last)
            top = self.blocks_[len(self.blocks_) - n_blocks :]
            thawed = [p for block in top for p in block.parameters()]
        thawed = {id(p) for p in thawed}
        for parameter in self.trainable_:
            parameter.requires_grad_(id(parameter) in thawed)
        self.epoch_ += 1


class _Measures(Callback):
    """Record what the criterion measures on the validation set, as "valid_..."."""

    def on_epoch_begin(self, net, **kwargs):
        self.sums_ = {}

    def on_batch_end(self, net, batch=None, training=False, y_pred=None, **kwargs):
        if training:
            return
        targets = to_device(batch[1], net.device)
        for name, parts in net.criterion_.measure(y_pred, targets).items():
            so_far = self.sums_.get(name, (0, 0))
            self.sums_[name] = tuple(map(operator.add, so_far, parts))

    def on_epoch_end(self, net, **kwargs):
        means = {
            name: total / count if count else math.nan
            for name, (total, count) in self.sums_.items()
        }
        for name, value in net.criterion_.conclude(means).items():
            net.history.record(f"valid_{name}", value)


class _ProgressBar(Callback):
    """One bar for the whole fit, in steps, with epoch and losses."""

    def __init__(self, n_steps):
        self.n_steps = n_steps

    def on_train_begin(self, net, **kwargs):
        self.bar_ = tqdm(total=self.n_steps, unit="step", desc="fit")

    def on_batch_end(self, net, training=False, loss=None, **kwargs):
        if training:
            self.bar_.update()

    def on_epoch_end(self, net, **kwargs):
        row = _plain(net.history[-1])
        shown = {k: f"{v:.3g}" for k, v in row.items() if k not in ("epoch", "dur")}
        self.bar_.set_postfix({"epoch": row["epoch"], **shown})
