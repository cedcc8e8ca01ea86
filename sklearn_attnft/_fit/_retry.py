# SPDX-License-Identifier: BSD-3-Clause
"""Repeat a fit with smaller micro-batches if memory runs out."""

import contextlib
import dataclasses

import torch

from .._runtime._device import (
    Machine,
    is_out_of_memory,
    trim_memory,
    without_cudnn_attention,
)
from .._runtime._gpu_slots import gpu_slot
from .._runtime._seeds import isolated_generator
from .._training import RunContext
from .._training._resume import open_resume_state
from .._utils._process import in_float32
from .._utils._warnings import warn
from ._stages import largest_step, run_stages


def run_with_retries(fit, progress, timer=None):
    """Run the stages of a fit, and halve the micro-batches whenever memory runs out.

    Each attempt starts from the pretrained encoder, so failed attempts do not change
    the result.

    Parameters
    ----------
    fit : PreparedFit
    progress : FitProgress
    timer : StepTimer or None

    Returns
    -------
    state : FitState
    context : RunContext
    """
    with fit.claim or contextlib.nullcontext():
        result = _run_until_it_fits(fit, progress, timer)
        if fit.claim is not None:
            fit.claim.finish()
        return result


def _run_until_it_fits(fit, progress, timer):
    """Run the stages with smaller and smaller micro-batches until memory suffices."""
    largest = largest_step(fit.plan)
    size = min(fit.plan.micro_batch_size or largest, largest)
    machine = Machine.of(fit.plan)
    while True:
        context = _open_context(fit, machine, progress, timer)
        try:
            state = _run_once(fit, context)
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            if size == 1:
                raise _no_memory(fit.plan, machine) from error
        else:
            trim_memory()
            return state, context
        # The frames of the error hold tensors, which are freed when the handler ends.
        if machine.device.type == "cuda":
            torch.cuda.empty_cache()
        size //= 2
        plan = dataclasses.replace(fit.plan, micro_batch_size=size)
        fit = dataclasses.replace(fit, plan=plan)
        warn(
            f"The memory of {machine.device} is too small for the texts of a training "
            f"step, so the fit starts again with micro_batch_size={size} and "
            "the same batch_size. Set micro_batch_size to this value to avoid "
            "failed attempts."
        )


def _open_context(fit, machine, progress, timer):
    return RunContext(
        machine.device,
        machine.dtype,
        torch.Generator().manual_seed(fit.seed),
        torch.Generator().manual_seed(fit.seed),
        open_resume_state(vars(fit.plan), fit.fingerprint),
        progress,
        timer,
    )


def _run_once(fit, context):
    device = context.device
    with (
        context.resume,
        contextlib.closing(context.progress),
        gpu_slot(device),
        without_cudnn_attention(device),
        isolated_generator(fit.seed, device),
        torch.inference_mode(False),
        in_float32(device),  # also if the user calls fit within autocast
    ):
        state = run_stages(fit, context)
        context.resume.finish()
        return state


def _no_memory(plan, machine):
    truncate = "long_texts='truncate', " * (plan.long_texts == "window")
    return MemoryError(
        f"The memory of {machine.device} is too small to train on even one text. Set "
        f"{truncate}max_length lower than {plan.max_length} or trainable_layers lower, "
        "or use a smaller encoder."
    )
