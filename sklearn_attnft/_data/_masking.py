# SPDX-License-Identifier: BSD-3-Clause
"""Random masking of tokens, and the data set of masked texts."""

import dataclasses
from dataclasses import dataclass

import numpy as np
import torch
from torch.utils.data import Dataset

from ._batching import shuffled_batches, sorted_batches
from ._datasets import Step, micro_batches
from ._template import cut_without_overlap
from ._tokens import TokenBatch, TokenizedTexts, tokenize

# 80 % of the chosen tokens are replaced by the mask token and 10 % by a random token.
# The other 10 % are not changed (Devlin et al. 2019, section 3.1).
MASK_FRACTION, RANDOM_FRACTION = 0.8, 0.1
WORD_PROBABILITY = 0.15  # probability of choosing a word
HELD_OUT_FRACTION = 0.05  # fraction of windows on which perplexity is measured


@dataclass(frozen=True)
class MaskedBatch(TokenBatch):
    """A batch in which some tokens are masked, so that the model predicts them.

    Attributes
    ----------
    chosen : tensor of bool, shape (n_windows, n_tokens)
        For each token, whether the model must predict it.
    """

    chosen: torch.Tensor | None = None

    def to(self, device):
        """Return a copy of the batch on `device`."""
        chosen = self.chosen.to(device, non_blocking=True)
        return MaskedBatch(**vars(super().to(device)) | {"chosen": chosen})

    def inputs(self):
        """Return the arguments for ``forward`` of the modules."""
        return *super().inputs(), self.chosen


@dataclass(frozen=True)
class Masking:
    """Masking of random words. All tokens of a word are chosen together.

    Attributes
    ----------
    mask_id : int
        Id of the mask token.
    vocab_size : int
        Number of token ids. The random tokens that replace some chosen tokens are
        sampled from all ids.
    probability : float
        Probability of choosing a word. At least one word per batch is chosen.
    """

    mask_id: int
    vocab_size: int
    probability: float = WORD_PROBABILITY

    def __call__(self, batch, generator):
        """Mask random words of a batch.

        Parameters
        ----------
        batch : TokenBatch
            A batch with `words`.
        generator : torch.Generator

        Returns
        -------
        masked : MaskedBatch
        originals : tensor of int64, shape (n_chosen,)
            The ids of the chosen tokens before masking.
        """
        ids, words = batch.input_ids, batch.words
        # Make the word numbers of each row start at 1. They start at a higher number in
        # later windows of a long text, because words are counted over the whole text.
        before = (
            words.masked_fill(words == 0, words.max() + 1).amin(1, keepdim=True) - 1
        )
        words = (words - before).clamp(min=0)
        n_words = len(words), int(words.max()) + 1
        draws = torch.rand(n_words, generator=generator, dtype=torch.float32)
        draws = draws.gather(1, words).masked_fill(words == 0, torch.inf)
        chosen = (draws <= max(self.probability, draws.min())) & (words > 0)
        kind = torch.rand(words.shape, generator=generator, dtype=torch.float32)
        others = torch.randint(self.vocab_size, words.shape, generator=generator)
        masked = torch.where(chosen & (kind < MASK_FRACTION), self.mask_id, ids)
        is_random = chosen & (kind >= MASK_FRACTION)
        is_random &= kind < MASK_FRACTION + RANDOM_FRACTION
        masked = torch.where(is_random, others, masked)
        fields = vars(batch) | {"input_ids": masked, "chosen": chosen}
        return MaskedBatch(**fields), ids[chosen]


@dataclass(frozen=True)
class MaskedDataset(Dataset):
    """Texts for a language model, with new random masks in each epoch.

    Attributes
    ----------
    tokens : TokenizedTexts
        Texts of one window each, with `words`.
    masking : Masking
    seed : int
        Seed of the masks for scoring. These masks are the same in each epoch.
    """

    tokens: TokenizedTexts
    masking: Masking
    seed: int

    def __len__(self):
        return len(self.tokens)

    def split(self, generator):
        """Split the texts at random into training and held-out texts.

        Returns
        -------
        training : MaskedDataset
        held_out : MaskedDataset or None
            None if there are fewer than 20 texts.
        """
        n_held_out = int(len(self) * HELD_OUT_FRACTION)
        order = torch.randperm(len(self), generator=generator).numpy()
        held_out, rest = order[:n_held_out], order[n_held_out:]
        return self._take(rest), self._take(held_out) if n_held_out else None

    def _take(self, indices):
        return dataclasses.replace(self, tokens=self.tokens.take(indices))

    def training_steps(self, config, generator):
        """Yield the Steps of one epoch in random order.

        Each micro-batch of a Step is a pair (MaskedBatch, original token ids).
        """
        lengths = self.tokens.longest_windows
        for indices in shuffled_batches(lengths, config.batch_size, generator):
            parts = [
                self.masking(self.tokens.batch(part), generator)
                for part in micro_batches(indices, config.micro_batch_size)
            ]
            yield Step(parts, sum(len(originals) for _, originals in parts))

    def scoring_batches(self, budget):
        """Yield all texts in batches of at most `budget` tokens.

        Each batch is a pair (MaskedBatch, original token ids).
        """
        generator = torch.Generator().manual_seed(self.seed)
        for indices in sorted_batches(self.tokens, budget):
            yield self.masking(self.tokens.batch(indices), generator)


def masked_dataset(texts, tokenizer, masking, seed):
    """Tokenize texts for masking, and split long texts into windows.

    Returns
    -------
    MaskedDataset
        Each window is a separate text.
    """
    tokens, _ = tokenize(texts, tokenizer, cut=cut_without_overlap, with_words=True)
    windows = np.arange(len(tokens.window_starts))
    return MaskedDataset(
        dataclasses.replace(tokens, text_starts=windows), masking, seed
    )
