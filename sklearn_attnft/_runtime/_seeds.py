# SPDX-License-Identifier: BSD-3-Clause
"""The seed of a fit, and torch's generators while it lasts."""

import contextlib

import numpy as np
import torch
from sklearn.utils import check_random_state

from .._utils._process import GENERATOR_LOCK, on_cpu


def draw_seed(random_state):
    """Draw one seed from the parameter `random_state`.

    None takes fresh entropy, not numpy's global generator, which stays as it was.
    """
    if random_state is None:
        return int(np.random.SeedSequence().generate_state(1)[0])
    return int(check_random_state(random_state).randint(np.iinfo(np.int32).max))


@contextlib.contextmanager
def isolated_generator(seed, device):
    """Seed torch's generators for a while, then put them back as they were."""
    cuda = [device] if device.type == "cuda" else []
    with GENERATOR_LOCK, torch.random.fork_rng(devices=cuda), on_cpu():
        torch.default_generator.manual_seed(seed)
        for each in cuda:
            with torch.cuda.device(each):
                torch.cuda.manual_seed(seed)
        yield
