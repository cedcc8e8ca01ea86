# SPDX-License-Identifier: BSD-3-Clause
"""Seed of a fit, and isolation of torch's random generators."""

import contextlib

import numpy as np
import torch
from sklearn.utils import check_random_state

from .._utils._process import GENERATOR_LOCK, on_cpu


def draw_seed(random_state):
    """Return a seed sampled from the parameter `random_state`.

    If None, the seed comes from the operating system. numpy's global generator is not
    used.
    """
    if random_state is None:
        return int(np.random.SeedSequence().generate_state(1)[0])
    return int(check_random_state(random_state).randint(np.iinfo(np.int32).max))


@contextlib.contextmanager
def isolated_generator(seed, device):
    """Seed torch's random generators, and restore the old states at the end."""
    cuda = [device] if device.type == "cuda" else []
    with GENERATOR_LOCK, torch.random.fork_rng(devices=cuda), on_cpu():
        torch.default_generator.manual_seed(seed)
        for each in cuda:
            with torch.cuda.device(each):
                torch.cuda.manual_seed(seed)
        yield
