# SPDX-License-Identifier: BSD-3-Clause
"""Classes of the report that ``estimate_fit`` returns."""

from dataclasses import dataclass


@dataclass(frozen=True)
class StageEstimate:
    """Estimate of one stage of a fit.

    Attributes
    ----------
    name : {"language model head", "language model", "contrastive", "classifier"}
    n_epochs : int
    n_steps : int
        Number of optimizer steps in all epochs.
    n_tokens : int
        Number of training tokens in all epochs. Special tokens count, padding does not.
    seconds : float
    peak_bytes : int
        Memory in bytes of weights, gradients, optimizer state and activations in the
        largest step.
    """

    name: str
    n_epochs: int
    n_steps: int
    n_tokens: int
    seconds: float
    peak_bytes: int

    def __str__(self):
        epochs = "epoch" if self.n_epochs == 1 else "epochs"
        return (
            f"{self.name}: {self.n_epochs} {epochs}, {self.n_steps:,} steps, "
            f"{self.n_tokens:,} tokens, {_duration(self.seconds)}, "
            f"{self.peak_bytes / 2**20:,.0f} MiB"
        )


@dataclass(frozen=True, repr=False)
class FitEstimate:
    """Estimate of time and memory of a fit on this machine.

    Attributes
    ----------
    truncated_fraction : float
        Fraction of the training texts that are truncated.
    device : str
    stages : tuple of StageEstimate
    preparation_seconds : float
        Time for tokenizing the texts and loading the encoder.
    n_steps, n_tokens : int
        Numbers of optimizer steps and of training tokens in all stages and epochs.
    seconds : float
        Time of the whole fit.
    peak_bytes : int
        Memory in bytes of the stage that needs the most memory.
    """

    truncated_fraction: float
    device: str
    stages: tuple
    preparation_seconds: float

    @property
    def n_steps(self):
        """Number of optimizer steps in all stages and epochs."""
        return sum(stage.n_steps for stage in self.stages)

    @property
    def n_tokens(self):
        """Number of training tokens in all stages and epochs."""
        return sum(stage.n_tokens for stage in self.stages)

    @property
    def seconds(self):
        """Time of the whole fit."""
        trained = sum(stage.seconds for stage in self.stages)
        return self.preparation_seconds + trained

    @property
    def peak_bytes(self):
        """Memory in bytes of the stage that needs the most memory."""
        return max((stage.peak_bytes for stage in self.stages), default=0)

    def __repr__(self):
        lines = [
            f"A fit on {self.device}: {_duration(self.seconds)}, "
            f"{self.peak_bytes / 2**20:,.0f} MiB at the peak",
            f"{self.truncated_fraction:.1%} of the texts are truncated",
            f"loading and tokenizing: {_duration(self.preparation_seconds)}",
            *map(str, self.stages),
        ]
        return "\n  ".join(lines)


def _duration(seconds):
    """Return a time as text, in seconds, minutes or hours."""
    if seconds < 100:
        return f"{seconds:.2g} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes / 60:.1f} h"
