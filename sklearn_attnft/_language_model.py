# SPDX-License-Identifier: BSD-3-Clause
"""Masked language modelling: what is masked, what predicts it, and how it is trained.

Before a classifier is trained, that is; at once with it: :mod:`._joint`.
"""

import dataclasses
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import Dataset

from ._batching import (
    TokenBatch,
    TokenizedTexts,
    cut_apart,
    shuffled_batches,
    sorted_batches,
    tokenize,
)
from ._layers import in_float32
from ._training import Step, micro_batches, train

# Of the chosen tokens, 80 % become the mask, 10 % a random token, 10 % stay (Devlin et
# al. 2019, section 3.1).
MASKED, RANDOM = 0.8, 0.1
HELD_OUT = 0.05  # share of the windows that perplexity is measured on


@dataclass(frozen=True)
class MaskedBatch(TokenBatch):
    """A batch some of whose tokens were chosen to be predicted.

    Attributes
    ----------
    chosen : tensor of bool, shape (n_windows, n_tokens)
    """

    chosen: torch.Tensor | None = None

    def to(self, device):
        """Return the batch on `device`."""
        chosen = self.chosen.to(device, non_blocking=True)
        return MaskedBatch(**vars(super().to(device)) | {"chosen": chosen})

    def inputs(self):
        """Return the arguments of the modules' ``forward``."""
        return *super().inputs(), self.chosen


@dataclass(frozen=True)
class Masking:
    """How tokens are masked.

    Attributes
    ----------
    mask_id, vocab_size : int
    probability : float
        Of each word; all its pieces are masked together, and in a batch one at least.
    """

    mask_id: int
    vocab_size: int
    probability: float

    def __call__(self, batch, generator):
        """Mask a batch that knows its words.

        Returns
        -------
        masked : MaskedBatch
        originals : tensor of int64, shape (n_chosen,)
        """
        ids, words = batch.input_ids, batch.words
        # From 1 in each row: windows of a long text are numbered through.
        before = (
            words.masked_fill(words == 0, words.max() + 1).amin(1, keepdim=True) - 1
        )
        words = (words - before).clamp(min=0)
        n_words = len(words), int(words.max()) + 1
        draws = torch.rand(n_words, generator=generator).gather(1, words)
        draws = draws.masked_fill(words == 0, torch.inf)
        chosen = (draws <= max(self.probability, draws.min())) & (words > 0)
        kind = torch.rand(words.shape, generator=generator)
        others = torch.randint(self.vocab_size, words.shape, generator=generator)
        masked = torch.where(chosen & (kind < MASKED), self.mask_id, ids)
        is_random = chosen & (kind >= MASKED) & (kind < MASKED + RANDOM)
        masked = torch.where(is_random, others, masked)
        fields = vars(batch) | {"input_ids": masked, "chosen": chosen}
        return MaskedBatch(**fields), ids[chosen]


@dataclass(frozen=True)
class MaskedTexts(Dataset):
    """Texts for a language model, masked anew in each epoch.

    Attributes
    ----------
    tokens : TokenizedTexts
        Every text one window, with words.
    masking : Masking
    seed : int
        Of the masks when the texts are scored: the same in each epoch.
    """

    tokens: TokenizedTexts
    masking: Masking
    seed: int

    def __len__(self):
        return len(self.tokens)

    def split(self, generator):
        """Hold some texts out, at random: none of fewer than 20.

        Returns
        -------
        training : MaskedTexts
        held_out : MaskedTexts or None
        """
        n_held_out = int(len(self) * HELD_OUT)
        order = torch.randperm(len(self), generator=generator).numpy()
        held_out, rest = order[:n_held_out], order[n_held_out:]
        return self._take(rest), self._take(held_out) if n_held_out else None

    def _take(self, indices):
        return dataclasses.replace(self, tokens=self.tokens.take(indices))

    def training_steps(self, recipe):
        """Yield the Steps of one epoch, of (MaskedBatch, original ids), at random."""
        lengths, generator = self.tokens.longest_windows, recipe.generator
        for indices in shuffled_batches(lengths, recipe.batch_size, generator):
            parts = [
                self.masking(self.tokens.batch(part), generator)
                for part in micro_batches(indices, recipe.micro_batch_size)
            ]
            yield Step(parts, sum(len(originals) for _, originals in parts))

    def scoring_batches(self, budget):
        """Yield all texts as (MaskedBatch, original ids) of at most `budget` tokens."""
        generator = torch.Generator().manual_seed(self.seed)
        for indices in sorted_batches(self.tokens, budget):
            yield self.masking(self.tokens.batch(indices), generator)


def masked_texts(texts, tokenizer, masking, seed):
    """Tokenise texts whole, long ones in several windows.

    Returns
    -------
    MaskedTexts
        A window counts as a text.
    """
    tokens, _ = tokenize(texts, tokenizer, cut=cut_apart, with_words=True)
    windows = np.arange(len(tokens.window_starts))
    return MaskedTexts(dataclasses.replace(tokens, text_starts=windows), masking, seed)


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

    def start_epoch(self):
        """Do nothing: no epoch has anything of its own."""

    def measure(self, logits, originals):
        """Sum the losses of the tokens."""
        total = float(self(logits, originals)) * len(originals)
        return {"loss": (total, len(originals))}

    def conclude(self, means):
        """Add the perplexity to the loss."""
        with np.errstate(over="ignore"):  # to infinity
            return {**means, "perplexity": float(np.exp(means["loss"]))}


def new_head(encoder, texts):
    """Make a head for an encoder whose checkpoint has none.

    Parameters
    ----------
    encoder : torch.nn.Module
    texts : MaskedTexts
        What it is going to be trained on.

    Returns
    -------
    TiedHead
    """
    table = encoder.get_input_embeddings().weight
    counts = np.bincount(texts.tokens.ids, minlength=len(table))
    counts = torch.from_numpy(counts).float()
    return TiedHead(table, encoder.config.hidden_size, counts).float()


def warm_up(model, training, recipe):
    """Train a new head for one epoch, in place, before the encoder moves.

    Parameters
    ----------
    model : MaskedLanguageModel
    training : MaskedTexts
    recipe : Recipe
    """
    encoder = model.encoder
    trainable = [p for p in encoder.parameters() if p.requires_grad]
    encoder.requires_grad_(False)
    recipe = dataclasses.replace(recipe, max_epochs=1)
    train(model, MaskedCrossEntropy(), training, None, recipe)
    for parameter in trainable:
        parameter.requires_grad_(True)
