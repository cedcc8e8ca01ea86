# SPDX-License-Identifier: BSD-3-Clause
"""What each task has on top of the encoder."""

from torch import nn

from ._pooling import LayerAttention, LayerMean, TokenAttention, TokenLSTM, TokenPooling

POOLINGS = ("attention", "mean", "cls", "max", "concat")
HEADS = ("linear", "mlp", "lstm")


class TaskHead(nn.Module):
    """What one label set has of its own: layer mixing, token pooling, classification.

    Attributes
    ----------
    classify : torch.nn.Module or None
        Context vectors (n_texts, n_features) to logits (n_texts, n_outputs).
    """

    def __init__(self, spec, task):
        super().__init__()
        if spec.mixing == "attention":
            self.mix = LayerAttention(layers=spec.layers)
        else:
            self.mix = LayerMean()
        is_hybrid = task.head == "lstm"
        self.recur = TokenLSTM(n_features=spec.hidden_size) if is_hybrid else None
        if task.pooling == "attention":
            self.pool = TokenAttention(n_features=spec.hidden_size)
        else:
            self.pool = TokenPooling(kind=task.pooling)
        self.classify = _classification(spec, task) if task.head else None

    def context(self, tokens, mask, windows_per_text=None):
        """Pool mixed tokens, (n_windows, n_tokens, n_features), to contexts."""
        return self.pool(*self._tokens(tokens, mask, windows_per_text))

    def token_shares(self, tokens, mask, windows_per_text=None):
        """Return the attention of each token that is no padding, of all texts in turn.

        Mixed tokens, (n_windows, n_tokens, n_features), to (n_tokens of all windows,).
        """
        tokens, mask = self._tokens(tokens, mask, windows_per_text)
        return self.pool.weights(tokens, mask)[mask]

    def _tokens(self, tokens, mask, windows_per_text):
        """Return what is pooled, (n_texts, n_tokens, n_features), and its mask."""
        if windows_per_text is not None:
            tokens, mask = _join_windows(tokens, mask, windows_per_text)
        if self.recur is not None:
            tokens, mask = self.recur(tokens, mask)
        return tokens, mask


def _classification(spec, task):
    """Build the layers from context vectors to logits."""
    layers, size = [nn.Dropout(task.dropout)], spec.context_size(task)
    if task.head == "mlp":
        layers += [
            nn.Linear(size, spec.hidden_size),
            nn.GELU(),
            nn.Dropout(task.dropout),
        ]
        size = spec.hidden_size
    layers += [nn.Linear(size, task.n_outputs)]
    return nn.Sequential(*layers)


def _join_windows(tokens, mask, windows_per_text):
    """Lay the windows of each text end to end.

    (n_windows, n_tokens, n_features) becomes (n_texts, most windows * n_tokens,
    n_features), so that token attention runs over all windows of a text at once.
    """
    counts = list(windows_per_text)
    tokens = nn.utils.rnn.pad_sequence(tokens.split(counts), batch_first=True)
    mask = nn.utils.rnn.pad_sequence(mask.split(counts), batch_first=True)
    return tokens.flatten(1, 2), mask.flatten(1, 2)
