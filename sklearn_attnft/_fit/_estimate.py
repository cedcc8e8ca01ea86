# SPDX-License-Identifier: BSD-3-Clause
"""A few steps of each stage of a fit, timed, to tell what all of them will take."""

import copy
import time

import numpy as np
import torch

from .._data._datasets import Step
from .._runtime._device import resolve_device
from .._training._progress import Watch
from ._report import FitEstimate, StageEstimate

# Seconds for the timed steps of a stage, beyond the first two.
BUDGET = 3.0
# Where the timed steps are among all, by length: those in front come first.
QUANTILES = (1.0, 0.0, 0.5, 0.75, 0.25, 0.9)


def estimate_fit_of(fit, params, *data):
    """Measure what a fit takes.

    Parameters
    ----------
    fit : callable
        From `params`, `data` and a Watch to what is fitted and its history.
    params : dict
        The estimator's.
    *data : object
        What it is fitted to.

    Returns
    -------
    FitEstimate
    """
    own = {
        "cache": None,
        "checkpoint_dir": None,
        "callbacks": None,
        "random_state": copy.deepcopy(params["random_state"]),
    }
    start, rehearsal = time.perf_counter(), StepTimer()
    fitted, _ = fit({**params, **own}, *data, rehearsal)
    return FitEstimate(
        fitted[-1],
        str(resolve_device(params["device"])),
        tuple(rehearsal.stages),
        time.perf_counter() - start - rehearsal.seconds,
    )


class StepTimer(Watch):
    """A watch in whose presence a stage is not trained, but measured.

    Attributes
    ----------
    stages : list of StageEstimate
    seconds : float
        That the measurements themselves have taken.
    """

    is_rehearsal = True

    def __init__(self):
        super().__init__()
        self.stages = []
        self.seconds = 0.0
        self._chosen = None
        self._keeping = None

    def plan(self, stages):
        """Forget an attempt for which the memory was too small."""
        super().plan(stages)
        self.stages = []

    def sample(self, training, validation, recipe):
        """Return the windows of the steps that are going to be timed."""
        start = time.perf_counter()
        state = recipe.generator.get_state()
        batches = training.epoch_batches(recipe)
        recipe.generator.set_state(state)  # for the same steps to come again
        tokens = training.tokens
        lengths, n_windows = tokens.longest_windows, np.diff(tokens.text_starts)
        sizes = [n_windows[batch].sum() * lengths[batch].max() for batch in batches]
        self._chosen = _choose(sizes)
        rows = np.concatenate([batches[i] for i in self._chosen])
        windows = tokens.windows_of(np.unique(rows))
        parts = [part.tokens for part in (training, validation) if part is not None]
        share = len(windows.ids) / sum(len(part.ids) for part in parts)
        self._keeping = start, share
        return [windows]

    def rehearse(self, net, training, validation):
        """Measure the stage that the net would train."""
        start, stage = time.perf_counter(), self._stage
        kept_seconds, share = 0.0, 1.0
        if self._keeping is not None:
            began, share = self._keeping
            kept_seconds = start - began
        net.initialize()
        state = net.recipe.generator.get_state()
        sizes, n_tokens, largest = _sizes(training.training_steps(net.recipe))
        seconds = time.perf_counter() - start  # to make the batches of an epoch
        wanted = _choose(sizes) if self._chosen is None else self._chosen
        net.recipe.generator.set_state(state)
        steps = {
            i: step
            for i, step in enumerate(training.training_steps(net.recipe))
            if i in wanted
        }
        activations = _activations(net, largest)  # the first step is slow
        seconds += _time_all(net, sizes, steps, wanted)
        if validation is not None:
            seconds += _time_scoring(net, validation)
        self.stages.append(
            StageEstimate(
                stage.name,
                stage.n_epochs,
                stage.n_epochs * len(sizes),
                stage.n_epochs * n_tokens,
                stage.n_epochs * seconds + kept_seconds / share,
                _state_bytes(net, share) + activations,
            )
        )
        self.seconds += time.perf_counter() - start + kept_seconds
        self._chosen = self._keeping = None


def _sizes(steps):
    """Return the padded tokens of each step, all tokens, and the largest part."""
    sizes, n_tokens, most, largest = [], 0, -1, None
    for step in steps:
        padded = [batch.input_ids.numel() for batch, _ in step.parts]
        n_tokens += sum(int(batch.attention_mask.sum()) for batch, _ in step.parts)
        sizes.append(sum(padded))
        if max(padded) > most:
            most = max(padded)
            largest = Step([step.parts[int(np.argmax(padded))]], step.counts)
    return sizes, n_tokens, largest


def _choose(sizes):
    """Choose steps to time: the longest, the shortest, one of the middle, and more."""
    order = np.argsort(sizes, kind="stable")
    places = [round(quantile * (len(order) - 1)) for quantile in QUANTILES]
    return list(dict.fromkeys(order[places].tolist()))


def _time_all(net, sizes, steps, wanted):
    """Return the seconds of all steps: between those that are timed, on a line."""
    timed, start = {}, time.perf_counter()
    for n_timed, i in enumerate(wanted):
        if n_timed >= 2 and time.perf_counter() - start > BUDGET:
            break
        timed[sizes[i]] = _seconds(net, lambda i=i: net.train_step((steps[i], None)))
    known = sorted(timed)
    return float(np.interp(sizes, known, [timed[size] for size in known]).sum())


def _time_scoring(net, validation):
    """Return the seconds of scoring the validation texts, by some of the batches."""
    n_tokens, n_timed, seconds = 0, 0, 0.0
    for batch in net.get_iterator(validation, training=False):
        size = batch[0].input_ids.numel()
        n_tokens += size
        if seconds < BUDGET / 2:
            n_timed += size
            seconds += _seconds(net, lambda b=batch: net.validation_step(b))
    return seconds * n_tokens / n_timed


def _seconds(net, run):
    """Time something that computes on the net's device."""
    device = net.recipe.device
    start = time.perf_counter()
    run()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - start


def _activations(net, step):
    """Make a step; return the bytes that its backward pass was kept."""
    own = {p.untyped_storage().data_ptr() for p in net.module_.parameters()}
    kept = {}

    def note(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        net.train_step((step, None))
    return sum(kept.values())


def _state_bytes(net, share):
    """Return the bytes of weights, gradients, optimizer, and what is kept beside."""
    parameters = list(net.module_.parameters())
    weights = _n_bytes([*parameters, *net.module_.buffers()])
    gradients = _n_bytes(p for p in parameters if p.requires_grad)
    states = [each for of in net.optimizer_.state.values() for each in of.values()]
    moments = _n_bytes(each for each in states if isinstance(each, torch.Tensor))
    best = weights if net.recipe.early_stopping else 0
    frozen = getattr(net.module_, "kept", None)
    if frozen is None:
        frozen = 0
    else:
        frozen = min(_n_bytes(frozen.layers.values()) / share, net.module_.limit)
    return weights + gradients + moments + best + round(frozen)


def _n_bytes(tensors):
    return sum(tensor.nbytes for tensor in tensors)
