# SPDX-License-Identifier: BSD-3-Clause
"""Classification heads, and the layers that each task has of its own.

A new head is a class like :class:`LinearHead` and a line in `HEADS`.
"""

import torch
from torch import nn

from ._pooling import MIXINGS, POOLINGS, TokenLSTM


class LinearHead(nn.Sequential):
    """Dropout and a linear layer: (n_texts, n_context) to (n_texts, n_outputs).

    Parameters
    ----------
    n_context, n_hidden, n_outputs : int
        Length of the context vector, hidden size of the encoder, number of logits.
    dropout : float

    Attributes
    ----------
    token_layer : type or None
        A layer that reads the mixed tokens before they are pooled.
    """

    token_layer = None

    def __init__(self, *, n_context, n_hidden, n_outputs, dropout):
        super().__init__(nn.Dropout(dropout), nn.Linear(n_context, n_outputs))


class MLPHead(nn.Sequential):
    """A hidden layer of the encoder's size before the linear one."""

    token_layer = None

    def __init__(self, *, n_context, n_hidden, n_outputs, dropout):
        super().__init__(
            nn.Dropout(dropout),
            nn.Linear(n_context, n_hidden),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(n_hidden, n_outputs),
        )


class LSTMHead(LinearHead):
    """A linear layer; a bidirectional LSTM reads the tokens before the pooling."""

    token_layer = TokenLSTM


HEADS = {"linear": LinearHead, "mlp": MLPHead, "lstm": LSTMHead}


class TaskHead(nn.Module):
    """The layers of one task: layer mixing, token layer, pooling, classification.

    Attributes
    ----------
    classify : torch.nn.Module or None
        From context vectors (n_texts, n_context) to logits (n_texts, n_outputs).
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

    def context(self, tokens, mask, windows_per_text=None):
        """Pool mixed tokens, (n_windows, n_tokens, n_features), to contexts."""
        return self.pool(*self._tokens(tokens, mask, windows_per_text))

    def token_shares(self, tokens, mask, windows_per_text=None):
        """Return the share of each token, padding left out, text after text.

        From mixed tokens, (n_windows, n_tokens, n_features), to (n_tokens of all
        windows,).
        """
        tokens, mask = self._tokens(tokens, mask, windows_per_text)
        return self.pool.token_shares(tokens, mask)[mask]

    def _tokens(self, tokens, mask, windows_per_text):
        """Return what is pooled, (n_texts, n_tokens, n_features), and its mask."""
        if windows_per_text is not None:
            tokens, mask = _join_windows(tokens, mask, windows_per_text)
        if self.recur is not None:
            tokens, mask = self.recur(tokens, mask)
        return tokens, mask


def _join_windows(tokens, mask, windows_per_text):
    """Put the windows of each text one after another.

    From (n_windows, n_tokens, n_features) to (n_texts, most windows * n_tokens,
    n_features), so that token attention runs over all windows of a text.
    """
    starts = windows_per_text.cumsum(0) - windows_per_text
    slots = torch.arange(int(windows_per_text.max()), device=starts.device)
    rows = starts[:, None] + slots  # (n_texts, most windows)
    # The row after the last one is padding.
    rows = torch.where(slots < windows_per_text[:, None], rows, len(tokens))
    rows = rows.to(tokens.device)
    tokens = torch.cat([tokens, torch.zeros_like(tokens[:1])])[rows]
    mask = torch.cat([mask, torch.zeros_like(mask[:1])])[rows]
    return tokens.flatten(1, 2), mask.flatten(1, 2)
