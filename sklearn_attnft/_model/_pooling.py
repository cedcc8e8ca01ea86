# SPDX-License-Identifier: BSD-3-Clause
"""Layer mixing, token pooling and the LSTM over tokens.

A new pooling is a subclass of :class:`TokenPooling` and a line in `POOLINGS`; the
parameter's allowed values and the documentation read that table.
"""

import copy
import math

import torch
import torch.nn.functional as F
from torch import nn

# At the start, layer attention gives the highest layer 3.35 times as much as all
# others together: it holds the encoder's output. With six other layers it has 0.77.
HIGHEST_TO_OTHERS = 3.35


class LayerAttention(nn.Module):
    """``gamma * sum_l softmax(scores)[l] * LN(H[l])``; starts at the highest layer.

    As in ELMo (Peters et al. 2018, section 3.2), with layer normalization without
    learned scale or shift.

    Parameters
    ----------
    layers : tuple of int
        Numbers of the hidden states that are mixed.
    """

    def __init__(self, *, layers):
        super().__init__()
        start = torch.zeros(len(layers))
        if len(layers) > 1:
            bias = math.log(HIGHEST_TO_OTHERS * (len(layers) - 1))
            start[layers.index(max(layers))] = bias
        self.scores = nn.Parameter(start)
        self.gamma = nn.Parameter(torch.ones(()))

    def forward(self, states):
        """Mix hidden states.

        Parameters
        ----------
        states : list of tensor, each (n_texts, n_tokens, n_features)

        Returns
        -------
        tensor of float32, shape (n_texts, n_tokens, n_features)
        """
        shares = torch.softmax(self.scores, dim=0) * self.gamma  # (n_layers,)
        mixed = 0.0
        for share, state in zip(shares, states, strict=True):
            mixed = mixed + share * F.layer_norm(state.float(), state.shape[-1:])
        return mixed


class LayerMean(nn.Module):
    """The mean of the hidden states, without normalization."""

    def __init__(self, *, layers):
        super().__init__()

    def forward(self, states):
        """Average a list of (n_texts, n_tokens, n_features) to one, float32."""
        mixed = states[0].float()
        for state in states[1:]:
            mixed = mixed + state.float()
        return mixed / len(states)


class TokenPooling(nn.Module):
    """Base of the poolings: the tokens of a text become one context vector.

    A subclass defines two methods that take tokens (n_texts, n_tokens, n_features) and
    their mask (n_texts, n_tokens). ``forward`` returns the context vectors, (n_texts,
    n_parts * n_features). ``token_shares`` returns the fraction of the context vector
    that each token decided, float32, (n_texts, n_tokens).

    Attributes
    ----------
    n_parts : int
        Length of the context vector, in lengths of a token's vector.
    is_learned : bool
        Whether the pooling has parameters, which are learned from labels.
    """

    n_parts = 1
    is_learned = False

    def __init__(self, *, n_features):
        super().__init__()


class AttentionPooling(TokenPooling):
    """``sum_t softmax_t(v . tanh(W h[t])) h[t]``; starts as the mean.

    Additive attention with a learned query (Yang et al. 2016, section 2.2).
    """

    is_learned = True

    def __init__(self, *, n_features):
        super().__init__(n_features=n_features)
        self.project = nn.Linear(n_features, n_features)
        self.query = nn.Parameter(torch.zeros(n_features))

    def forward(self, tokens, mask):
        """Pool (n_texts, n_tokens, n_features) to (n_texts, n_features)."""
        return (self.token_shares(tokens, mask).unsqueeze(1) @ tokens).squeeze(1)

    def token_shares(self, tokens, mask):
        """Return the attention: (n_texts, n_tokens, n_features) to its first two."""
        scores = torch.tanh(self.project(tokens)) @ self.query
        return torch.softmax(scores.masked_fill(~mask, -torch.inf), dim=1)


class MeanPooling(TokenPooling):
    """The mean of the tokens."""

    def forward(self, tokens, mask):
        """Pool (n_texts, n_tokens, n_features) to (n_texts, n_features)."""
        return (self.token_shares(tokens, mask).unsqueeze(1) @ tokens).squeeze(1)

    def token_shares(self, tokens, mask):
        """Return equal shares for the tokens of a text, (n_texts, n_tokens)."""
        # In float32, whatever torch's default dtype is.
        return mask.float() / mask.sum(dim=1, keepdim=True)


class FirstTokenPooling(TokenPooling):
    """The first token, which BERT calls [CLS]."""

    def forward(self, tokens, mask):
        """Pool (n_texts, n_tokens, n_features) to (n_texts, n_features)."""
        return tokens[:, 0]

    def token_shares(self, tokens, mask):
        """Return 1 for the first token of each text, (n_texts, n_tokens)."""
        is_first = torch.arange(mask.shape[1], device=mask.device) == 0
        return (is_first & mask).float()


class MaxPooling(TokenPooling):
    """The maximum of each feature over the tokens."""

    def forward(self, tokens, mask):
        """Pool (n_texts, n_tokens, n_features) to (n_texts, n_features)."""
        return tokens.masked_fill(~mask[..., None], -torch.inf).amax(dim=1)

    def token_shares(self, tokens, mask):
        """Return the fraction of maxima in each token, (n_texts, n_tokens)."""
        best = tokens.masked_fill(~mask[..., None], -torch.inf).argmax(dim=1)
        return F.one_hot(best, mask.shape[1]).float().mean(dim=1)


class ConcatPooling(TokenPooling):
    """First token, maximum and mean side by side.

    As in Howard and Ruder (2018, section 3.3), with the first token for their last.
    """

    n_parts = 3

    def __init__(self, *, n_features):
        super().__init__(n_features=n_features)
        parts = FirstTokenPooling, MaxPooling, MeanPooling
        self.parts = nn.ModuleList(part(n_features=n_features) for part in parts)

    def forward(self, tokens, mask):
        """Pool (n_texts, n_tokens, n_features) to (n_texts, 3 * n_features)."""
        return torch.cat([part(tokens, mask) for part in self.parts], dim=1)

    def token_shares(self, tokens, mask):
        """Return the mean share of the three parts, (n_texts, n_tokens)."""
        shares = [part.token_shares(tokens, mask) for part in self.parts]
        return torch.stack(shares).mean(dim=0)


class TokenLSTM(nn.Module):
    """A bidirectional LSTM over the tokens of each text, without its padding.

    The hybrid of pretrained encoder and task-trained LSTM (Tao et al. 2019).
    """

    def __init__(self, *, n_features):
        super().__init__()
        self.lstm = nn.LSTM(
            n_features, n_features // 2, batch_first=True, bidirectional=True
        )

    def forward(self, tokens, mask):
        """Run over (n_texts, n_tokens, n_features); return such tokens and their mask.

        The tokens of a text are moved to the front, since padded windows leave gaps
        between them.
        """
        lengths = mask.sum(dim=1)
        front = (~mask).long().argsort(dim=1, stable=True)  # (n_texts, n_tokens)
        tokens = tokens.gather(1, front.unsqueeze(2).expand_as(tokens))
        packed = nn.utils.rnn.pack_padded_sequence(
            tokens, lengths.cpu(), batch_first=True, enforce_sorted=False
        )
        lstm = self.lstm
        if torch.is_grad_enabled() and not lstm.training:
            # cuDNN computes gradients in training mode only. The LSTM has no dropout.
            lstm = copy.copy(lstm)
            lstm.training = True
        output, _ = lstm(packed)
        tokens, _ = nn.utils.rnn.pad_packed_sequence(output, batch_first=True)
        positions = torch.arange(tokens.shape[1], device=mask.device)
        return tokens, positions < lengths.unsqueeze(1)


MIXINGS = {"attention": LayerAttention, "mean": LayerMean}
POOLINGS = {
    "attention": AttentionPooling,
    "mean": MeanPooling,
    "cls": FirstTokenPooling,
    "max": MaxPooling,
    "concat": ConcatPooling,
}
