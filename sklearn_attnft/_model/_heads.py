# SPDX-License-Identifier: BSD-3-Clause
"""Classification heads, and all layers that belong to one task.

To add a head, write a class like :class:`LinearHead` and add a line to `HEADS`.
"""

import torch
from torch import nn

from ._density import ClassGaussians
from ._pooling import MIXINGS, POOLINGS, TokenLSTM


class LinearHead(nn.Sequential):
    """Dropout and a linear layer.

    The input has the shape (n_texts, n_context). The output has the shape
    (n_texts, n_outputs).

    Parameters
    ----------
    n_context, n_hidden, n_outputs : int
        Length of the context vector, hidden size of the encoder, number of logits.
    dropout : float
        Probability of dropping a feature of the context vector in training.

    Attributes
    ----------
    token_layer : type or None
        Class of a layer that transforms the token vectors before the pooling.
    starts_at_regression : bool
        Whether the last layer starts with the weights of a regression on the context
        vectors. If False, all weights start at random.
    """

    token_layer = None
    starts_at_regression = True

    def __init__(self, *, n_context, n_hidden, n_outputs, dropout):
        super().__init__(nn.Dropout(dropout), nn.Linear(n_context, n_outputs))


class MLPHead(nn.Sequential):
    """A layer as wide as the encoder's hidden states, followed by a linear layer."""

    token_layer = None
    starts_at_regression = False

    def __init__(self, *, n_context, n_hidden, n_outputs, dropout):
        super().__init__(
            nn.Dropout(dropout),
            nn.Linear(n_context, n_hidden),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(n_hidden, n_outputs),
        )


class LSTMHead(LinearHead):
    """A linear head with a bidirectional LSTM before the pooling."""

    token_layer = TokenLSTM
    starts_at_regression = False


HEADS = {"linear": LinearHead, "mlp": MLPHead, "lstm": LSTMHead}


class TaskHead(nn.Module):
    """The layers of one task.

    These layers are applied in this order: `mix` computes the weighted sum of the
    encoder's layers, `recur` runs an LSTM over the tokens (if the head has an LSTM),
    `pool` pools the tokens, and `classify` computes the logits.

    Attributes
    ----------
    classify : torch.nn.Module or None
        Computes logits of shape (n_texts, n_outputs) from context vectors of shape
        (n_texts, n_context). If None, the task has no head.
    density : ClassGaussians or None
        Scores how similar a text is to the training texts. None if the task has no
        head, if a text can have several classes, or if there are too many classes.
    """

    def __init__(self, spec, task):
        super().__init__()
        head = HEADS[task.head] if task.head else None
        size = spec.hidden_size
        self.mix = MIXINGS[spec.mixing](layers=spec.layers)
        self.recur = None
        if head is not None and head.token_layer is not None:
            self.recur = head.token_layer(n_features=size)
        self.pool = POOLINGS[task.pooling](n_features=size)
        self.classify = None
        if head is not None:
            self.classify = head(
                n_context=spec.context_size(task),
                n_hidden=size,
                n_outputs=task.n_outputs,
                dropout=task.dropout,
            )
        self.density = None
        sizes = task.n_outputs, spec.context_size(task)
        is_one_of_n = head is not None and task.loss == "cross_entropy"
        if is_one_of_n and ClassGaussians.fits(*sizes):
            self.density = ClassGaussians(*sizes)

    def context(self, tokens, mask, windows_per_text=None):
        """Return a context vector for each text.

        The token vectors have the shape (n_windows, n_tokens, n_features).
        """
        return self.pool(*self._tokens(tokens, mask, windows_per_text))

    def token_shares(self, tokens, mask, windows_per_text=None):
        """Return the weight of each token in the context vector of its text.

        The token vectors have the shape (n_windows, n_tokens, n_features). The result
        has one dimension. It contains the weights of all texts in order, without
        padding.
        """
        tokens, mask = self._tokens(tokens, mask, windows_per_text)
        return self.pool.token_shares(tokens, mask)[mask]

    def _tokens(self, tokens, mask, windows_per_text):
        """Return the input of the pooling and its mask.

        The input has the shape (n_texts, n_tokens, n_features).
        """
        if windows_per_text is not None:
            tokens, mask = _join_windows(tokens, mask, windows_per_text)
        if self.recur is not None:
            tokens, mask = self.recur(tokens, mask)
        return tokens, mask


def _join_windows(tokens, mask, windows_per_text):
    """Concatenate the windows of each text.

    Tokens of shape (n_windows, n_tokens, n_features) get the shape (n_texts,
    max_windows * n_tokens, n_features). Token attention then includes all windows of a
    text.
    """
    starts = windows_per_text.cumsum(0) - windows_per_text
    slots = torch.arange(int(windows_per_text.max()), device=starts.device)
    rows = starts[:, None] + slots  # (n_texts, max_windows)
    # Missing windows refer to a row of zeros, which is appended below.
    rows = torch.where(slots < windows_per_text[:, None], rows, len(tokens))
    rows = rows.to(tokens.device)
    tokens = torch.cat([tokens, torch.zeros_like(tokens[:1])])[rows]
    mask = torch.cat([mask, torch.zeros_like(mask[:1])])[rows]
    return tokens.flatten(1, 2), mask.flatten(1, 2)
