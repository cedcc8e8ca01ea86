# SPDX-License-Identifier: BSD-3-Clause
"""Joint training: a classifier and a masked language model at once, on one encoder."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from .._data._datasets import LabeledDataset, Step, micro_batches
from .._data._masking import Masking
from .._model._masked_lm import MaskedCrossEntropy


@dataclass(frozen=True)
class JointDataset(LabeledDataset):
    """Labelled texts, then texts without label, masked when they are trained on.

    An epoch is a pass over the labelled texts. Beside those of a batch are up to
    ``batch_size`` without label, of like length and of weight 0, others in each epoch.

    Attributes
    ----------
    masking : Masking
    """

    masking: Masking

    def training_steps(self, recipe):
        """Yield the Steps of an epoch: (MaskedBatch, (labels, weights, originals))."""
        for indices, company in self._pairs(recipe):
            parts, n_chosen = [], 0
            together = np.concatenate([indices, company])
            for part in micro_batches(together, recipe.micro_batch_size):
                batch, (labels, weights) = self._batch(part)
                masked, originals = self.masking(batch, recipe.generator)
                parts.append((masked, (labels, weights, originals)))
                n_chosen += len(originals)
            yield Step(parts, (len(indices), n_chosen))

    def _pairs(self, recipe):
        """Pair batches of labelled texts with company, in random order."""
        lengths, generator = self.tokens.longest_windows, recipe.generator
        labelled = self.epoch_batches(recipe)
        n_rest = len(lengths) - len(self)
        rest = torch.randperm(n_rest, generator=generator).numpy() + len(self)
        rest = rest[: len(labelled) * recipe.batch_size]
        parts = np.array_split(rest[np.argsort(lengths[rest])], len(labelled))
        labelled.sort(key=lambda indices: lengths[indices].max())
        order = torch.randperm(len(labelled), generator=generator).tolist()
        return [(labelled[i], parts[i]) for i in order]


class JointModel(nn.Module):
    """A classifier and a language model on one pass of the encoder."""

    def __init__(self, model, head):
        super().__init__()
        self.model = model
        self.head = head

    @property
    def encoder(self):
        """The encoder, which both share."""
        return self.model.encoder

    def forward(self, input_ids, attention_mask, windows_per_text=None, chosen=None):
        """Return logits of classes; of a masked batch, of the chosen tokens too."""
        if chosen is None:
            return self.model(input_ids, attention_mask, windows_per_text)
        states, last = self.model.encode(input_ids, attention_mask, whole=True)
        logits = self.model.attend(states, attention_mask, windows_per_text)
        return logits, self.head(last[chosen])


class JointLoss(nn.Module):
    """Classification + ``lm_weight`` * masked LM; of what is not masked, the first."""

    def __init__(self, classification, *, lm_weight):
        super().__init__()
        self.classification = classification
        self.masked = MaskedCrossEntropy()
        self.lm_weight = lm_weight

    def forward(self, outputs, targets, counts=(None, None)):
        """Turn what a JointModel returns and JointDataset yield into a scalar."""
        if not isinstance(outputs, tuple):
            return self.classification(outputs, targets)
        logits, token_logits = outputs
        *targets, originals = targets
        n_texts, n_chosen = counts
        loss = self.classification(logits, targets, n_texts)
        return loss + self.lm_weight * self.masked(token_logits, originals, n_chosen)

    def reset_metrics(self):
        """Forget what was predicted in the epoch before."""
        self.classification.reset_metrics()

    def batch_metrics(self, logits, targets):
        """Measure what the classification measures."""
        return self.classification.batch_metrics(logits, targets)

    def epoch_metrics(self, means):
        """Conclude what the classification concludes."""
        return self.classification.epoch_metrics(means)
