# SPDX-License-Identifier: BSD-3-Clause
"""Masked language model: encoder, tied head and loss."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from .._utils._process import in_float32


class TiedHead(nn.Module):
    """Logits from the table of token embeddings, for checkpoints without an LM head.

    ``logits = table @ (T h) + bias``. T starts as the identity, since a random one
    starts worse than uniform; the bias as the logarithm of the tokens' frequencies.
    """

    def __init__(self, table, hidden_size, token_counts):
        super().__init__()
        self.table = table
        self.transform = nn.Linear(hidden_size, table.shape[1])
        nn.init.eye_(self.transform.weight)
        nn.init.zeros_(self.transform.bias)
        shares = (token_counts + 1.0) / (token_counts + 1.0).sum()
        self.bias = nn.Parameter(shares.log())

    def forward(self, states):
        """(n_tokens, hidden_size) to (n_tokens, vocab_size)."""
        return F.linear(self.transform(states), self.table, self.bias)


class MaskedLanguageModel(nn.Module):
    """Encoder and head: logits of the tokens chosen to be predicted."""

    def __init__(self, encoder, head):
        super().__init__()
        self.encoder = encoder
        self.head = head

    def forward(self, input_ids, attention_mask, windows_per_text, chosen):
        """Return logits, shape (n_chosen, vocab_size)."""
        output = self.encoder(input_ids=input_ids, attention_mask=attention_mask)
        return self.head(output.last_hidden_state[chosen])


class MaskedCrossEntropy(nn.Module):
    """Mean over the chosen tokens, in float32; 0 if none was chosen."""

    def forward(self, logits, originals, n_chosen=None):
        """Logits (n_chosen, vocab_size), ids (n_chosen,) to a scalar.

        Of a part of a batch in which `n_chosen` are, its part in the batch's loss.
        """
        with in_float32(logits.device):
            total = F.cross_entropy(logits.float(), originals, reduction="sum")
        return total / max(1, n_chosen or len(originals))

    def reset_metrics(self):
        """Do nothing: no epoch has anything of its own."""

    def batch_metrics(self, logits, originals):
        """Sum the losses of the tokens."""
        total = float(self(logits, originals)) * len(originals)
        return {"loss": (total, len(originals))}

    def epoch_metrics(self, means):
        """Add the perplexity to the loss."""
        with np.errstate(over="ignore"):  # to infinity
            return {**means, "perplexity": float(np.exp(means["loss"]))}


def new_head(encoder, texts):
    """Make a head for an encoder whose checkpoint has none.

    Parameters
    ----------
    encoder : torch.nn.Module
    texts : MaskedDataset
        What it is going to be trained on.

    Returns
    -------
    TiedHead
    """
    table = encoder.get_input_embeddings().weight
    counts = np.bincount(texts.tokens.ids, minlength=len(table))
    counts = torch.from_numpy(counts).float()
    return TiedHead(table, encoder.config.hidden_size, counts).float()
