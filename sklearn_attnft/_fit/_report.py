# SPDX-License-Identifier: BSD-3-Clause
"""What a fit is going to take: a report, in numbers and for people."""

from dataclasses import dataclass


@dataclass(frozen=True)
class StageEstimate:
    """What one stage of a fit takes.

    Attributes
    ----------
    name : {"language model head", "language model", "contrastive", "classifier"}
    n_epochs : int
    n_steps : int
        Optimizer steps, in all epochs.
    n_tokens : int
        Tokens that are trained on, special ones included and padding left out, in all
        epochs.
    seconds : float
    peak_bytes : int
        Weights, gradients, optimizer and activations at the largest step.
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
    """What a fit takes on this machine, as ``estimate_fit`` found it.

    Attributes
    ----------
    truncated_fraction : float
        Share of the training texts that are longer than `max_length` tokens.
    device : str
    stages : tuple of StageEstimate
    preparation_seconds : float
        For what is not training: tokenising the texts, loading the encoder.
    n_steps : int
    n_tokens : int
        Of all stages.
    seconds : float
        Of the whole fit.
    peak_bytes : int
        Of the stage that takes most.
    """

    truncated_fraction: float
    device: str
    stages: tuple
    preparation_seconds: float

    @property
    def n_steps(self):
        """Optimizer steps of all stages."""
        return sum(stage.n_steps for stage in self.stages)

    @property
    def n_tokens(self):
        """Tokens that are trained on, in all stages and epochs."""
        return sum(stage.n_tokens for stage in self.stages)

    @property
    def seconds(self):
        """Time of the whole fit."""
        trained = sum(stage.seconds for stage in self.stages)
        return self.preparation_seconds + trained

    @property
    def peak_bytes(self):
        """Of the stage that takes most."""
        return max((stage.peak_bytes for stage in self.stages), default=0)

    def __repr__(self):
        lines = [
            f"A fit on {self.device}: {_duration(self.seconds)}, "
            f"{self.peak_bytes / 2**20:,.0f} MiB at the peak",
            f"{self.truncated_fraction:.1%} of the texts longer than max_length",
            f"loading and tokenising: {_duration(self.preparation_seconds)}",
            *map(str, self.stages),
        ]
        return "\n  ".join(lines)


def _duration(seconds):
    """Write a time in the units in which people would say it."""
    if seconds < 100:
        return f"{seconds:.2g} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes / 60:.1f} h"
