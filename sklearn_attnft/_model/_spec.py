# SPDX-License-Identifier: BSD-3-Clause
"""Description of the layers on top of an encoder."""

from dataclasses import dataclass, replace
from numbers import Integral

from ._pooling import POOLINGS


@dataclass(frozen=True)
class TaskSpec:
    """The layers of one task on top of the encoder.

    Attributes
    ----------
    pooling : str
        A key of ``POOLINGS``.
    head : str or None
        A key of ``HEADS``. If None, the task has only context vectors, not logits.
    n_outputs : int
        Number of logits.
    dropout : float
        Probability of dropping a feature of the context vector in training.
    loss : str
        A key of ``LOSSES``. It also identifies the kind of target.
    """

    pooling: str
    head: str | None = None
    n_outputs: int = 0
    dropout: float = 0.0
    loss: str = "cross_entropy"


@dataclass(frozen=True)
class ModuleSpec:
    """Description of the layers on top of an encoder, in plain values.

    Attributes
    ----------
    hidden_size : int
        Number of features of a token in the encoder.
    layers : tuple of int
        Hidden states to combine, 0 for the embeddings and i for the i-th block.
    mixing : str
        A key of ``MIXINGS``. It decides how the hidden states are combined.
    tasks : tuple of TaskSpec
    """

    hidden_size: int
    layers: tuple
    mixing: str
    tasks: tuple

    @property
    def n_features(self):
        """Total length of the context vectors of all tasks."""
        return sum(self.context_size(task) for task in self.tasks)

    def only(self, task):
        """Return the description of a module with only one of the tasks."""
        return replace(self, tasks=(self.tasks[task],))

    def context_size(self, task):
        """Return the length of the context vector of a task."""
        return self.hidden_size * POOLINGS[task.pooling].n_parts


def resolve_layers(layers, n_layers):
    """Return the parameter `layers` as indices of hidden states.

    Parameters
    ----------
    layers : {"all", "last"} or list of int
    n_layers : int
        Number of blocks of the encoder. An encoder has ``n_layers + 1`` hidden states.

    Returns
    -------
    tuple of int
    """
    if isinstance(layers, str):
        return tuple(range(n_layers + 1)) if layers == "all" else (n_layers,)
    known = range(n_layers + 1)
    named = [i for i in layers if isinstance(i, Integral) and not isinstance(i, bool)]
    chosen = tuple(int(i) + (len(known) if i < 0 else 0) for i in named)
    distinct = len(set(chosen)) == len(layers) > 0
    if not distinct or not all(i in known for i in chosen):
        raise ValueError(
            f"`layers` must be indices of hidden states of this encoder, without "
            f"repeats, got {layers!r}. Use 0 (embeddings) to {n_layers} (last block), "
            f"or -1 to {-n_layers - 1} counted from the last."
        )
    return chosen
