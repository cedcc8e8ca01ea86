# SPDX-License-Identifier: BSD-3-Clause
"""Masked language model: the encoder, a tied head and the loss."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from .._utils._process import in_float32


class TiedHead(nn.Module):
    """A head tied to the token embeddings, for encoders stored without an LM head.

    ``logits = embeddings @ (T h) + bias``. T starts as the identity, since with a
    random T the loss starts higher than that of a uniform prediction. The bias starts
    as the logarithm of the tokens' frequencies.
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
        """Compute logits (n_tokens, vocab_size) from (n_tokens, hidden_size)."""
        return F.linear(self.transform(states), self.embeddings, self.bias)


class MaskedLanguageModel(nn.Module):
    """Encoder and head: logits of the tokens that were chosen to be predicted."""

    def __init__(self, encoder, head):
        super().__init__()
        self.encoder = encoder
        self.head = head

    def forward(self, input_ids, attention_mask, windows_per_text, chosen):
        """Return logits, shape (n_chosen, vocab_size)."""
        output = self.encoder(input_ids=input_ids, attention_mask=attention_mask)
        return self.head(output.last_hidden_state[chosen])


class MaskedCrossEntropy(nn.Module):
    """Mean cross entropy of the chosen tokens, in float32; 0 without such tokens."""

    def forward(self, logits, originals, n_chosen=None):
        """Compute the loss of logits (n_chosen, vocab_size) and ids (n_chosen,).

        `n_chosen` is the number of chosen tokens in the whole batch, of which this may
        be a part.
        """
        with in_float32(logits.device):
            total = F.cross_entropy(logits.float(), originals, reduction="sum")
        return total / max(1, n_chosen or len(originals))

    def reset_metrics(self):
        """Do nothing: this loss keeps nothing between epochs."""

    def batch_metrics(self, logits, originals):
        """Return the sum of the tokens' losses, and their number."""
        total = float(self(logits, originals)) * len(originals)
        return {"loss": (total, len(originals))}

    def epoch_metrics(self, means):
        """Return the loss and the perplexity."""
        with np.errstate(over="ignore"):  # to infinity
            return {**means, "perplexity": float(np.exp(means["loss"]))}


def new_head(encoder, texts):
    """Make a head for an encoder that was stored without one.

    Parameters
    ----------
    encoder : torch.nn.Module
    texts : MaskedDataset
        The texts that it will be trained on.

    Returns
    -------
    TiedHead
    """
    embeddings = encoder.get_input_embeddings().weight
    counts = np.bincount(texts.tokens.ids, minlength=len(embeddings))
    counts = torch.from_numpy(counts).float()
    return TiedHead(embeddings, encoder.config.hidden_size, counts).float()
