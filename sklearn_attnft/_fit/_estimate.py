# SPDX-License-Identifier: BSD-3-Clause
"""Estimate time and memory of a fit from a few timed steps of each stage."""

import copy
import dataclasses
import time

import numpy as np
import torch

from .._data._datasets import Step
from .._runtime._device import resolve_device
from .._training._progress import FitProgress
from ._report import FitEstimate, StageEstimate

# Seconds after which no further step of a stage is timed. Two steps are always timed.
BUDGET = 3.0
# The steps at these quantiles of the step size are timed, in this order.
QUANTILES = (1.0, 0.0, 0.5, 0.75, 0.25, 0.9)


def estimate(fit, plan, data):
    """Estimate time and memory of a fit.

    Parameters
    ----------
    fit : callable
        ``fit_tasks`` or ``fit_features``.
    plan : FitPlan
    data : object
        The second argument of `fit`.

    Returns
    -------
    FitEstimate
    """
    plan = dataclasses.replace(
        plan,
        cache=None,
        checkpoint_dir=None,
        callbacks=None,
        random_state=copy.deepcopy(plan.random_state),
    )
    start, timer = time.perf_counter(), StepTimer()
    model = fit(plan, data, FitProgress(), timer)
    return FitEstimate(
        model.truncated_fraction,
        str(resolve_device(plan.device)),
        tuple(timer.stages),
        time.perf_counter() - start - timer.seconds,
    )


class StepTimer:
    """Time a few steps of each stage instead of training the stage.

    Attributes
    ----------
    stages : list of StageEstimate
    seconds : float
        Time that the measurements have taken so far.
    rows : ndarray of int or None
        Indices of the texts in the timed steps. None if :meth:`sample` was not called.
    """

    def __init__(self):
        self.stages = []
        self.seconds = 0.0
        self.rows = None
        self._sample = None

    def sample(self, training, corpora, config, context):
        """Select the steps to time, and return the windows of the texts in these steps.

        The hidden states of frozen blocks are then computed for these windows only.

        Parameters
        ----------
        training : LabeledDataset
        corpora : list of TokenizedTexts
            All texts whose hidden states a complete fit would compute.
        config : TrainingConfig
        context : RunContext

        Returns
        -------
        list of TokenizedTexts
        """
        start = time.perf_counter()
        state = context.generator.get_state()
        batches = training.epoch_batches(config, context.generator)
        context.generator.set_state(state)  # time_stage makes the same steps again
        tokens = training.tokens
        lengths, n_windows = tokens.longest_windows, np.diff(tokens.text_starts)
        sizes = [n_windows[batch].sum() * lengths[batch].max() for batch in batches]
        chosen = _choose(sizes)
        self.rows = np.unique(np.concatenate([batches[i] for i in chosen]))
        windows = tokens.windows_of(self.rows)
        fraction = len(windows.ids) / sum(len(each.ids) for each in corpora)
        self._sample = chosen, start, fraction
        return [windows]

    def time_stage(self, net, training, validation, stage):
        """Time a few steps of a stage, and append a StageEstimate to ``self.stages``.

        The time of the other steps is interpolated.
        """
        start = time.perf_counter()
        chosen, began, fraction = self._sample or (None, start, 1.0)
        kept_seconds = start - began  # time to compute hidden states of frozen blocks
        net.initialize()
        generator = net.context.generator
        state = generator.get_state()
        sizes, n_tokens, largest = _sizes(
            training.training_steps(net.config, generator)
        )
        seconds = time.perf_counter() - start  # time to make the batches of an epoch
        chosen = _choose(sizes) if chosen is None else chosen
        generator.set_state(state)
        steps = {
            i: step
            for i, step in enumerate(training.training_steps(net.config, generator))
            if i in chosen
        }
        activations = _activations(net, largest)  # not timed: the first step is slow
        seconds += _time_all(net, sizes, steps, chosen)
        if validation is not None:
            seconds += _time_scoring(net, validation)
        self.stages.append(
            StageEstimate(
                stage.name,
                stage.n_epochs,
                stage.n_epochs * len(sizes),
                stage.n_epochs * n_tokens,
                stage.n_epochs * seconds + kept_seconds / fraction,
                _state_bytes(net, fraction) + activations,
            )
        )
        self.seconds += time.perf_counter() - began
        self._sample = None


def _sizes(steps):
    """Return the size of each step, the number of tokens, and the largest micro-batch.

    The size of a step is its number of tokens with padding. The number of tokens is the
    total of all steps without padding. The largest micro-batch is returned as a Step.
    """
    sizes, n_tokens, most, largest = [], 0, -1, None
    for step in steps:
        padded = [batch.input_ids.numel() for batch, _ in step.parts]
        masks = [batch.attention_mask for batch, _ in step.parts]
        n_tokens += sum(int(mask.count_nonzero()) for mask in masks)
        sizes.append(sum(padded))
        if max(padded) > most:
            most = max(padded)
            largest = Step([step.parts[int(np.argmax(padded))]], step.counts)
    return sizes, n_tokens, largest


def _choose(sizes):
    """Choose a few steps of different sizes to time, and return their indices."""
    order = np.argsort(sizes, kind="stable")
    places = [round(quantile * (len(order) - 1)) for quantile in QUANTILES]
    return list(dict.fromkeys(order[places].tolist()))


def _time_all(net, sizes, steps, chosen):
    """Time the chosen steps, and return an estimate of the seconds for all steps."""
    timed, start = {}, time.perf_counter()
    for n_timed, i in enumerate(chosen):
        if n_timed >= 2 and time.perf_counter() - start > BUDGET:
            break
        timed[sizes[i]] = _seconds(net, net.train_step, (steps[i], None))
    known = sorted(timed)
    return float(np.interp(sizes, known, [timed[size] for size in known]).sum())


def _time_scoring(net, validation):
    """Return the seconds for scoring all validation texts.

    A few batches are timed. The time of the other batches is extrapolated.
    """
    n_tokens, n_timed, seconds = 0, 0, 0.0
    for batch in net.get_iterator(validation, training=False):
        size = batch[0].input_ids.numel()
        n_tokens += size
        if seconds < BUDGET / 2:
            n_timed += size
            seconds += _seconds(net, net.validation_step, batch)
    return seconds * n_tokens / n_timed


def _seconds(net, run, batch):
    """Return the seconds that `run` takes for a batch on the net's device."""
    device = net.context.device
    start = time.perf_counter()
    run(batch)
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - start


def _activations(net, step):
    """Run a step and return the memory of its stored activations, in bytes.

    The step stores these activations to compute the gradients.
    """
    own = {p.untyped_storage().data_ptr() for p in net.module_.parameters()}
    kept = {}

    def note(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        net.train_step((step, None))
        chunk_size = getattr(net.module_, "chunk_size", None)
        if chunk_size is not None:
            # The hooks do not see the activations of a chunk, because the step computes
            # them a second time. So the longest texts are run again as one chunk.
            batch = step.parts[0][0].to(net.context.device)
            rows = batch.attention_mask.count_nonzero(dim=1).argsort()[-chunk_size:]
            net.module_.sum_tokens(batch.input_ids[rows], batch.attention_mask[rows])
    return sum(kept.values())


def _state_bytes(net, fraction):
    """Return the memory of all tensors that are kept between two steps, in bytes.

    These are weights, gradients, optimizer state, and hidden states of frozen blocks.
    Early stopping also keeps a copy of the best weights.
    """
    parameters = list(net.module_.parameters())
    weights = _n_bytes([*parameters, *net.module_.buffers()])
    gradients = _n_bytes(p for p in parameters if p.requires_grad)
    states = [each for kept in net.optimizer_.state.values() for each in kept.values()]
    moments = _n_bytes(each for each in states if isinstance(each, torch.Tensor))
    best = weights if net.config.early_stopping else 0
    encoding = getattr(net.module_, "encoding", None)
    frozen = 0
    if hasattr(encoding, "kept"):
        frozen = min(encoding.kept.n_bytes / fraction, encoding.limit)
    return weights + gradients + moments + best + round(frozen)


def _n_bytes(tensors):
    return sum(tensor.nbytes for tensor in tensors)
