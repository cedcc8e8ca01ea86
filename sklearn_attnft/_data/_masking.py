# SPDX-License-Identifier: BSD-3-Clause
"""Which tokens are masked, and the data set of masked texts."""

import dataclasses
from dataclasses import dataclass

import numpy as np
import torch
from torch.utils.data import Dataset

from ._batching import shuffled_batches, sorted_batches
from ._datasets import Step, micro_batches
from ._tokens import TokenBatch, TokenizedTexts, cut_apart, tokenize

# Of the chosen tokens, 80 % become the mask, 10 % a random token, 10 % stay (Devlin et
# al. 2019, section 3.1).
MASKED, RANDOM = 0.8, 0.1
PROBABILITY = 0.15  # of each word to be chosen
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
        Probability of each word to be chosen. All pieces of a word are masked
        together, and at least one word of a batch is masked.
    """

    mask_id: int
    vocab_size: int
    probability: float = PROBABILITY

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
class MaskedDataset(Dataset):
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
        training : MaskedDataset
        held_out : MaskedDataset or None
        """
        n_held_out = int(len(self) * HELD_OUT)
        order = torch.randperm(len(self), generator=generator).numpy()
        held_out, rest = order[:n_held_out], order[n_held_out:]
        return self._take(rest), self._take(held_out) if n_held_out else None

    def _take(self, indices):
        return dataclasses.replace(self, tokens=self.tokens.take(indices))

    def training_steps(self, config, generator):
        """Yield the Steps of one epoch, of (MaskedBatch, original ids), at random."""
        lengths = self.tokens.longest_windows
        for indices in shuffled_batches(lengths, config.batch_size, generator):
            parts = [
                self.masking(self.tokens.batch(part), generator)
                for part in micro_batches(indices, config.micro_batch_size)
            ]
            yield Step(parts, sum(len(originals) for _, originals in parts))

    def scoring_batches(self, budget):
        """Yield all texts as (MaskedBatch, original ids) of at most `budget` tokens."""
        generator = torch.Generator().manual_seed(self.seed)
        for indices in sorted_batches(self.tokens, budget):
            yield self.masking(self.tokens.batch(indices), generator)


def masked_dataset(texts, tokenizer, masking, seed):
    """Tokenise texts whole, long ones in several windows.

    Returns
    -------
    MaskedDataset
        A window counts as a text.
    """
    tokens, _ = tokenize(texts, tokenizer, cut=cut_apart, with_words=True)
    windows = np.arange(len(tokens.window_starts))
    return MaskedDataset(
        dataclasses.replace(tokens, text_starts=windows), masking, seed
    )
