"""Create recipes with default values for fields that a test does not need."""

import torch

from sklearn_attnft._training import Recipe


def recipe(seed=0, **kwargs):
    values = dict.fromkeys(Recipe.__dataclass_fields__) | {"callbacks": []}
    given = {"generator": torch.Generator().manual_seed(seed), "batch_size": 4}
    return Recipe(**{**values, **given, **kwargs})
