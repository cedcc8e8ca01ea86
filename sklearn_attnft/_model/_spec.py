# SPDX-License-Identifier: BSD-3-Clause
"""Description of the module that is built on an encoder."""

from dataclasses import dataclass, replace
from numbers import Integral

MIXINGS = ("attention", "mean")


@dataclass(frozen=True)
class TaskSpec:
    """What one label set has on top of the shared layers.

    Attributes
    ----------
    pooling : {"attention", "mean", "cls", "max", "concat"}
    head : {"linear", "mlp", "lstm"} or None
        "lstm" is a recurrent layer before the pooling and a linear one after it. None:
        no classification, context vectors only.
    n_outputs : int
        Logits.
    dropout : float
        Probability, on the context vector.
    multilabel : bool
        The logits are independent of each other.
    """

    pooling: str
    head: str | None = None
    n_outputs: int = 0
    dropout: float = 0.0
    multilabel: bool = False


@dataclass(frozen=True)
class ModuleSpec:
    """What to build on top of an encoder; plain values, so that it can be stored.

    Attributes
    ----------
    hidden_size : int
        Features of a token in the encoder.
    layers : tuple of int
        Hidden states to mix: 0 for the embeddings, i for the i-th block.
    mixing : {"attention", "mean"}
        Learned layer attention over normalised states, or the plain average.
    tasks : tuple of TaskSpec
        One for each label set.
    """

    hidden_size: int
    layers: tuple
    mixing: str
    tasks: tuple

    @property
    def n_features(self):
        """Length of the context vectors of all label sets side by side."""
        return sum(self.context_size(task) for task in self.tasks)

    def only(self, task):
        """Describe a model of one of the tasks."""
        return replace(self, tasks=(self.tasks[task],))

    def context_size(self, task):
        """Length of the context vector of one label set."""
        return self.hidden_size * (3 if task.pooling == "concat" else 1)


def resolve_layers(layers, n_layers):
    """Turn the parameter `layers` into indices of hidden states.

    Parameters
    ----------
    layers : {"all", "last"} or list of int
    n_layers : int
        Blocks of the encoder; it has ``n_layers + 1`` hidden states.

    Returns
    -------
    tuple of int
    """
    if isinstance(layers, str):
        return tuple(range(n_layers + 1)) if layers == "all" else (n_layers,)
    there = range(n_layers + 1)
    named = [i for i in layers if isinstance(i, Integral)]
    chosen = tuple(int(i) + (len(there) if i < 0 else 0) for i in named)
    distinct = len(set(chosen)) == len(layers) > 0
    if not distinct or not all(i in there for i in chosen):
        raise ValueError(
            f"layers={layers!r} must name different hidden states of this encoder: "
            f"0 (embeddings) to {n_layers} (last block), or -1 to {-n_layers - 1} "
            "counted from the last."
        )
    return chosen
