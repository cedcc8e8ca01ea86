# SPDX-License-Identifier: BSD-3-Clause
"""Seed of a fit, and isolation of torch's random generators."""

import contextlib

import numpy as np
import torch
from sklearn.utils import check_random_state
from torch.overrides import TorchFunctionMode

from .._utils._process import GENERATOR_LOCK, on_cpu


def draw_seed(random_state):
    """Return a seed sampled from the parameter `random_state`.

    If `random_state` is None, the seed comes from the operating system, not from
    numpy's global generator.
    """
    if random_state is None:
        return int(np.random.SeedSequence().generate_state(1)[0])
    return int(check_random_state(random_state).randint(np.iinfo(np.int32).max))


@contextlib.contextmanager
def isolated_generator(seed, device):
    """Seed torch's random generators until the context ends.

    Then the generators get their old states back.
    """
    cuda = [device] if device.type == "cuda" else []
    with GENERATOR_LOCK, torch.random.fork_rng(devices=cuda), on_cpu():
        torch.default_generator.manual_seed(seed)
        for each in cuda:
            with torch.cuda.device(each):
                torch.cuda.manual_seed(seed)
        yield


@contextlib.contextmanager
def initial_weights(generator):
    """Sample the weights of new modules with `generator`, in float32.

    Without this context, modules of torch sample their weights in the default dtype and
    with the generator of the process. Other threads may use that generator at the same
    time. When the context ends, the state of `generator` is copied to the generator of
    the process, as if that generator had sampled the weights.
    """
    with _InitialWeights(generator):
        yield
    torch.default_generator.set_state(generator.get_state())


class _InitialWeights(TorchFunctionMode):
    """Pass a generator to all functions of torch that sample weights."""

    def __init__(self, generator):
        super().__init__()
        self._generator = generator

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        if "generator" in kwargs:  # the functions of torch.nn.init
            kwargs["generator"] = self._generator
        if func is torch.empty and kwargs.get("dtype") is None:
            kwargs["dtype"] = torch.float32
        return func(*args, **kwargs)
