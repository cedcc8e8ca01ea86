# SPDX-License-Identifier: BSD-3-Clause
"""What mixes the encoder's layers, pools its tokens, or reads them in order."""

import copy
import math

import torch
import torch.nn.functional as F
from torch import nn

# Share of the highest layer when layer attention starts, over that of all others
# together. It holds what the encoder was trained to say; the others are there to be
# learned. Of 6 others it is 0.77.
HIGHEST_TO_OTHERS = 3.35


class LayerAttention(nn.Module):
    """``gamma * sum_l softmax(w)[l] * LN(H[l])``; starts at the highest layer.

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
        self.weights = nn.Parameter(start)
        self.gamma = nn.Parameter(torch.ones(()))

    def forward(self, states):
        """Mix states.

        Parameters
        ----------
        states : list of tensor, each (n_texts, n_tokens, n_features)

        Returns
        -------
        tensor of float32, shape (n_texts, n_tokens, n_features)
        """
        shares = torch.softmax(self.weights, dim=0) * self.gamma  # (n_layers,)
        mixed = 0.0
        for share, state in zip(shares, states, strict=True):
            mixed = mixed + share * F.layer_norm(state.float(), state.shape[-1:])
        return mixed


class LayerMean(nn.Module):
    """The average of the states, as they are."""

    def forward(self, states):
        """Average states: a list of (n_texts, n_tokens, n_features) to one, float32."""
        mixed = states[0].float()
        for state in states[1:]:
            mixed = mixed + state.float()
        return mixed / len(states)


class TokenAttention(nn.Module):
    """``sum_t softmax_t(v . tanh(W h[t])) h[t]``; uniform at the start.

    Additive attention with a learned query (Yang et al. 2016, section 2.2).
    """

    def __init__(self, *, n_features):
        super().__init__()
        self.project = nn.Linear(n_features, n_features)
        self.query = nn.Parameter(torch.zeros(n_features))

    def weights(self, tokens, mask):
        """Attention: (n_texts, n_tokens, n_features) to (n_texts, n_tokens)."""
        scores = torch.tanh(self.project(tokens)) @ self.query
        return torch.softmax(scores.masked_fill(~mask, -torch.inf), dim=1)

    def forward(self, tokens, mask):
        """Pool: (n_texts, n_tokens, n_features) to (n_texts, n_features)."""
        return (self.weights(tokens, mask).unsqueeze(1) @ tokens).squeeze(1)


class TokenPooling(nn.Module):
    """Pooling with nothing to learn.

    Parameters
    ----------
    kind : {"mean", "cls", "max", "concat"}
        "concat" is first token, max and mean side by side (Howard and Ruder 2018,
        section 3.3, with the first token for their last).
    """

    def __init__(self, *, kind):
        super().__init__()
        self.kind = kind

    def weights(self, tokens, mask):
        """Say which share of the context vector's features each token decided.

        (n_texts, n_tokens, n_features) to (n_texts, n_tokens). A maximum is its
        token's; "concat" is the mean of its three parts.
        """
        parts, n_tokens = [], mask.shape[1]
        if self.kind in ("cls", "concat"):
            parts.append((torch.arange(n_tokens, device=mask.device) == 0) & mask)
        if self.kind in ("max", "concat"):
            best = tokens.masked_fill(~mask[..., None], -torch.inf).argmax(dim=1)
            parts.append(F.one_hot(best, n_tokens).float().mean(dim=1))
        if self.kind in ("mean", "concat"):
            parts.append(mask / mask.sum(dim=1, keepdim=True))
        return torch.stack([part.float() for part in parts]).mean(dim=0)

    def forward(self, tokens, mask):
        """Pool: (n_texts, n_tokens, n_features) to (n_texts, n_features or 3 times)."""
        parts = []
        if self.kind in ("cls", "concat"):
            parts.append(tokens[:, 0])
        if self.kind in ("max", "concat"):
            parts.append(tokens.masked_fill(~mask[..., None], -torch.inf).amax(dim=1))
        if self.kind in ("mean", "concat"):
            # (n_texts, n_tokens), float32 whatever torch's default is
            shares = mask.float() / mask.sum(dim=1, keepdim=True)
            parts.append((shares.unsqueeze(1) @ tokens).squeeze(1))
        return torch.cat(parts, dim=1)


class TokenLSTM(nn.Module):
    """A bidirectional LSTM over the tokens of each text; padding never enters it.

    The hybrid of pre-trained encoder and task-trained LSTM (Tao et al. 2019).
    """

    def __init__(self, *, n_features):
        super().__init__()
        self.lstm = nn.LSTM(
            n_features, n_features // 2, batch_first=True, bidirectional=True
        )

    def forward(self, tokens, mask):
        """Run over (n_texts, n_tokens, n_features); return such tokens and their mask.

        A text's tokens come out at the front, without the gaps that padded windows
        leave between them.
        """
        lengths = mask.sum(dim=1)
        front = (~mask).long().argsort(dim=1, stable=True)  # (n_texts, n_tokens)
        tokens = tokens.gather(1, front.unsqueeze(2).expand_as(tokens))
        packed = nn.utils.rnn.pack_padded_sequence(
            tokens, lengths.cpu(), batch_first=True, enforce_sorted=False
        )
        lstm = self.lstm
        if torch.is_grad_enabled() and not lstm.training:
            # cuDNN differentiates in training mode only; there is no dropout in it.
            lstm = copy.copy(lstm)
            lstm.training = True
        output, _ = lstm(packed)
        tokens, _ = nn.utils.rnn.pad_packed_sequence(output, batch_first=True)
        positions = torch.arange(tokens.shape[1], device=mask.device)
        return tokens, positions < lengths.unsqueeze(1)
