# SPDX-License-Identifier: BSD-3-Clause
"""Masked language model, its head and its loss."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from .. import _hf
from .._utils._process import in_float32


class TiedHead(nn.Module):
    """A head tied to the token embeddings, for encoders stored without an LM head.

    The logits of a hidden state h are ``embeddings @ (T h) + bias``. T starts as the
    identity, because with a random T the initial loss would be higher than the loss of
    a uniform prediction. The bias starts as the logarithm of the token frequencies.
    """

    def __init__(self, embeddings, hidden_size, token_counts):
        super().__init__()
        self.embeddings = embeddings
        self.transform = nn.Linear(hidden_size, embeddings.shape[1])
        nn.init.eye_(self.transform.weight)
        nn.init.zeros_(self.transform.bias)
        frequencies = (token_counts + 1.0) / (token_counts + 1.0).sum()
        self.bias = nn.Parameter(frequencies.log())

    def forward(self, states):
        """Compute logits of shape (n_tokens, vocab_size) from hidden states.

        The hidden states have the shape (n_tokens, hidden_size).
        """
        return F.linear(self.transform(states), self.embeddings, self.bias)


class MaskedLanguageModel(nn.Module):
    """Encoder and head, which predict the ids of the tokens chosen for masking."""

    def __init__(self, encoder, head):
        super().__init__()
        self.encoder = encoder
        self.head = head

    def forward(self, input_ids, attention_mask, windows_per_text, chosen):
        """Return logits of shape (n_chosen, vocab_size)."""
        inputs = _hf.encoder_inputs(self.encoder, attention_mask)
        output = self.encoder(input_ids=input_ids, **inputs)
        return self.head(output.last_hidden_state[chosen])


class MaskedCrossEntropy(nn.Module):
    """Mean cross entropy of the tokens chosen for masking, in float32.

    If no token was chosen, the loss is 0.
    """

    def forward(self, logits, originals, n_chosen=None):
        """Compute the loss of a batch, or of a part of a batch.

        The logits have the shape (n_tokens, vocab_size). The original token ids have
        the shape (n_tokens,). The argument `n_chosen` is the number of chosen tokens in
        the whole batch.
        """
        with in_float32(logits.device):
            total = F.cross_entropy(logits.float(), originals, reduction="sum")
        return total / max(1, n_chosen or len(originals))

    def reset_metrics(self):
        """Do nothing, because this loss does not store metrics."""

    def batch_metrics(self, logits, originals):
        """Return the sum of the token losses and the number of tokens."""
        total = float(self(logits, originals)) * len(originals)
        return {"loss": (total, len(originals))}

    def epoch_metrics(self, means):
        """Return the loss and the perplexity."""
        with np.errstate(over="ignore"):  # exp may be infinite
            return {**means, "perplexity": float(np.exp(means["loss"]))}


def new_head(encoder, texts):
    """Create a head for an encoder that was stored without an LM head.

    Parameters
    ----------
    encoder : torch.nn.Module
    texts : MaskedDataset
        The training texts of the language model.

    Returns
    -------
    TiedHead
    """
    embeddings = encoder.get_input_embeddings().weight
    counts = np.bincount(texts.tokens.ids, minlength=len(embeddings))
    counts = torch.from_numpy(counts).float()
    return TiedHead(embeddings, encoder.config.hidden_size, counts).float()
