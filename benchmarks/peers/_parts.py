"""Names of the parts, in the order in which they are run and shown."""

from . import (
    cudnn,
    few_shot,
    fit,
    grid,
    latency,
    limit,
    memory,
    partial,
    precision,
    transform,
)

PARTS = {
    "transform": transform,
    "fit": fit,
    "grid": grid,
    "few-shot": few_shot,
    "latency": latency,
    "partial": partial,
    "precision": precision,
    "cudnn": cudnn,
    "limit": limit,
    "memory": memory,
}
