# SPDX-License-Identifier: BSD-3-Clause
"""Data, model and loss of joint training of classifier and language model."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from .._data._datasets import LabeledDataset, Step, micro_batches
from .._data._masking import Masking
from .._data._tokens import tokenize
from .._model._masked_lm import MaskedCrossEntropy


@dataclass(frozen=True)
class JointDataset(LabeledDataset):
    """Labeled texts, followed by unlabeled texts of weight 0.

    All texts are masked in training. An epoch is a pass over the labeled texts. A batch
    also has up to ``batch_size`` unlabeled texts of similar length, which are sampled
    again in each epoch.

    Attributes
    ----------
    masking : Masking
    """

    masking: Masking

    @classmethod
    def make(cls, labeled, texts, tokenizer, masking):
        """Make the data set from labeled and unlabeled texts.

        Parameters
        ----------
        labeled : LabeledDataset
        texts : list of str
            Labeled texts, followed by unlabeled texts.
        tokenizer : TextTokenizer
        masking : Masking
        """
        tokens, _ = tokenize(texts, tokenizer, with_words=True)
        n_more = len(texts) - len(labeled)
        labels = tuple(_pad(each, n_more) for each in labeled.labels)
        weights = _pad(labeled.weights, n_more)
        return cls(tokens, labels, weights, labeled.draws, masking)

    def training_steps(self, config, generator):
        """Yield the Steps of an epoch.

        Each micro-batch of a Step is a pair (MaskedBatch, targets). The targets are
        labels, weights and the original token ids of the masked tokens.
        """
        for indices, unlabeled in self._pairs(config, generator):
            parts, n_chosen = [], 0
            together = np.concatenate([indices, unlabeled])
            for part in micro_batches(together, config.micro_batch_size):
                batch, (labels, weights) = self._batch(part)
                masked, originals = self.masking(batch, generator)
                parts.append((masked, (labels, weights, originals)))
                n_chosen += len(originals)
            yield Step(parts, (len(indices), n_chosen))

    def _pairs(self, config, generator):
        """Return the indices of labeled and of unlabeled texts, as a pair per batch."""
        lengths = self.tokens.longest_windows
        labeled = self.epoch_batches(config, generator)
        n_rest = len(lengths) - len(self)
        rest = torch.randperm(n_rest, generator=generator).numpy() + len(self)
        rest = rest[: len(labeled) * config.batch_size]
        parts = np.array_split(rest[np.argsort(lengths[rest])], len(labeled))
        labeled.sort(key=lambda indices: lengths[indices].max())
        order = torch.randperm(len(labeled), generator=generator).tolist()
        return [(labeled[i], parts[i]) for i in order]


def _pad(array, n_rows):
    """Return a copy of an array with `n_rows` rows of zeros added at the end."""
    return np.pad(array, [(0, n_rows)] + [(0, 0)] * (array.ndim - 1))


class JointModel(nn.Module):
    """Classifier and language model that share one forward pass of the encoder.

    Attributes
    ----------
    classifier : TextModel
    head : torch.nn.Module
        Head of the masked language model.
    """

    def __init__(self, classifier, head):
        super().__init__()
        self.classifier = classifier
        self.head = head

    @property
    def encoder(self):
        """Encoder that classifier and language model share."""
        return self.classifier.encoder

    def forward(self, input_ids, attention_mask, windows_per_text=None, chosen=None):
        """Return logits of classes and, if `chosen` is passed, logits of tokens.

        `chosen` marks the tokens that the language model must predict.
        """
        classifier = self.classifier
        if chosen is None:
            return classifier(input_ids, attention_mask, windows_per_text)
        last = self.encoder.config.num_hidden_layers
        *states, last = classifier.encode(
            input_ids, attention_mask, (*classifier.layers, last)
        )
        mixed = classifier.mix_states(states)
        logits = classifier.logits(mixed, attention_mask, windows_per_text)
        return logits, self.head(last[chosen])


class JointLoss(nn.Module):
    """Sum of the classification loss and ``lm_weight`` times the masked-LM loss.

    Validation batches are not masked and have only the classification loss.
    """

    def __init__(self, classification, *, lm_weight):
        super().__init__()
        self.classification = classification
        self.masked = MaskedCrossEntropy()
        self.lm_weight = lm_weight

    def forward(self, outputs, targets, counts=(None, None)):
        """Compute the scalar loss from the targets and the outputs of JointModel."""
        if not isinstance(outputs, tuple):
            return self.classification(outputs, targets)
        logits, token_logits = outputs
        *targets, originals = targets
        n_texts, n_chosen = counts
        loss = self.classification(logits, targets, n_texts)
        return loss + self.lm_weight * self.masked(token_logits, originals, n_chosen)

    def reset_metrics(self):
        """Delete the counts of predicted classes of the previous epoch."""
        self.classification.reset_metrics()

    def batch_metrics(self, logits, targets):
        """Return the classification metrics of a batch."""
        return self.classification.batch_metrics(logits, targets)

    def epoch_metrics(self, means):
        """Return the classification metrics of an epoch."""
        return self.classification.epoch_metrics(means)
