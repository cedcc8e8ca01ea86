# SPDX-License-Identifier: BSD-3-Clause
"""Token pooling, the LSTM over tokens, and the combination of layers.

To add a pooling, write a subclass of :class:`TokenPooling` and add a line to
`POOLINGS`. The estimators accept the keys of `POOLINGS` as values of `pooling`.
"""

import copy
import math

import torch
import torch.nn.functional as F
from torch import nn

# Initial weight of the highest layer (the output of the encoder), divided by the sum of
# all other weights. With this ratio, the initial weight of the highest layer is 0.77.
HIGHEST_TO_OTHERS = 3.35


class LayerAttention(nn.Module):
    """Weighted sum of the encoder's hidden states, with learned weights.

    The sum is ``gamma * sum_l softmax(scores)[l] * LN(H[l])``, as in ELMo (Peters et
    al. 2018, section 3.2). LN is layer normalization without learned scale or shift. At
    the start, the highest layer has the largest weight.

    Parameters
    ----------
    layers : tuple of int
        Indices of the hidden states in the sum.
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
        """Return the weighted sum of the hidden states.

        Parameters
        ----------
        states : list of tensor, each (n_texts, n_tokens, n_features)

        Returns
        -------
        tensor of float32, shape (n_texts, n_tokens, n_features)
        """
        mixed = 0.0
        for share, state in zip(self._shares(), states, strict=True):
            mixed = mixed + share * self._normalize(state)
        return mixed

    def prepare(self, states):
        """Return the part of ``forward`` that does not change in training.

        Parameters
        ----------
        states : list of tensor, each (n_texts, n_tokens, n_features)

        Returns
        -------
        tensor of float32, shape (n_layers, n_texts, n_tokens, n_features)
        """
        return torch.stack([self._normalize(state) for state in states])

    def combine(self, prepared):
        """Return what ``forward`` returns, from the result of `prepare`."""
        return (self._shares() @ prepared.flatten(1)).view(prepared.shape[1:])

    def _shares(self):
        """Return the weight of each layer, of shape (n_layers,)."""
        return torch.softmax(self.scores, dim=0) * self.gamma

    @staticmethod
    def _normalize(state):
        return F.layer_norm(state.float(), state.shape[-1:])


class LayerMean(nn.Module):
    """The mean of the hidden states, without normalization."""

    def __init__(self, *, layers):
        super().__init__()

    def forward(self, states):
        """Return the mean of the hidden states in float32.

        Each tensor has the shape (n_texts, n_tokens, n_features).
        """
        mixed = states[0].float()
        for state in states[1:]:
            mixed = mixed + state.float()
        return mixed / len(states)


class TokenPooling(nn.Module):
    """Base class of poolings, which turn the tokens of a text into a context vector.

    A subclass defines two methods. Both take tokens of shape (n_texts, n_tokens,
    n_features) and their mask of shape (n_texts, n_tokens). ``forward`` returns context
    vectors of shape (n_texts, n_parts * n_features). ``token_shares`` returns the
    weight of each token in the context vector, float32, of shape (n_texts, n_tokens).
    The weights of a text sum to 1.

    Attributes
    ----------
    n_parts : int
        Length of the context vector, divided by the length of a token vector.
    is_learned : bool
        Whether the pooling has parameters that are learned from labels.
    """

    n_parts = 1
    is_learned = False

    def __init__(self, *, n_features):
        super().__init__()


class AttentionPooling(TokenPooling):
    """Additive attention with a learned query (Yang et al. 2016, section 2.2).

    The context vector is ``sum_t softmax_t(v . tanh(W h[t])) h[t]``. Before training,
    the context vector is the mean of the tokens.
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
        """Return the attention of each token, of shape (n_texts, n_tokens)."""
        scores = torch.tanh(self.project(tokens)) @ self.query
        return torch.softmax(scores.masked_fill(~mask, -torch.inf), dim=1)


class MeanPooling(TokenPooling):
    """The mean of the tokens."""

    def forward(self, tokens, mask):
        """Pool (n_texts, n_tokens, n_features) to (n_texts, n_features)."""
        return (self.token_shares(tokens, mask).unsqueeze(1) @ tokens).squeeze(1)

    def token_shares(self, tokens, mask):
        """Return equal weights for the tokens of a text."""
        # The result is float32 even if torch has another default dtype.
        return mask.float() / mask.sum(dim=1, keepdim=True)


class FirstTokenPooling(TokenPooling):
    """The first token, such as [CLS] of BERT."""

    def forward(self, tokens, mask):
        """Pool (n_texts, n_tokens, n_features) to (n_texts, n_features)."""
        return tokens[:, 0]

    def token_shares(self, tokens, mask):
        """Return 1 for the first token of each text and 0 for other tokens."""
        is_first = torch.arange(mask.shape[1], device=mask.device) == 0
        return (is_first & mask).float()


class MaxPooling(TokenPooling):
    """The maximum of each feature over the tokens."""

    def forward(self, tokens, mask):
        """Pool (n_texts, n_tokens, n_features) to (n_texts, n_features)."""
        return tokens.masked_fill(~mask[..., None], -torch.inf).amax(dim=1)

    def token_shares(self, tokens, mask):
        """Return the fraction of features that have their maximum at each token."""
        best = tokens.masked_fill(~mask[..., None], -torch.inf).argmax(dim=1)
        return F.one_hot(best, mask.shape[1]).float().mean(dim=1)


class ConcatPooling(TokenPooling):
    """Concatenation of the first token, the maximum and the mean.

    Howard and Ruder (2018, section 3.3) use the last token instead of the first.
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
        """For each token, return the mean of its weights in the three parts."""
        shares = [part.token_shares(tokens, mask) for part in self.parts]
        return torch.stack(shares).mean(dim=0)


class TokenLSTM(nn.Module):
    """A bidirectional LSTM over the tokens of each text, without padding.

    Tao et al. (2019) also train an LSTM on the output of a pretrained encoder.
    """

    def __init__(self, *, n_features):
        super().__init__()
        self.lstm = nn.LSTM(
            n_features, n_features // 2, batch_first=True, bidirectional=True
        )

    def forward(self, tokens, mask):
        """Return the output of the LSTM for each token, and a new mask.

        Input and output have the shape (n_texts, n_tokens, n_features). Padding between
        the windows of a text is moved to the end, so that the LSTM does not read it.
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
