"""A training config and a run context with only what a test needs."""

import torch

from sklearn_attnft._training import RunContext, TrainingConfig


def config(**kwargs):
    defaults = {
        "learning_rate": 1e-3,
        "head_learning_rate": 1e-3,
        "max_epochs": 1,
        "batch_size": 4,
    }
    return TrainingConfig(**{**defaults, **kwargs})


def context(seed=0, device="cpu", dtype=torch.float32, **kwargs):
    generator = torch.Generator().manual_seed(seed)
    return RunContext(torch.device(device), dtype, generator, **kwargs)
