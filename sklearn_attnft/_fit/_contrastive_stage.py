# SPDX-License-Identifier: BSD-3-Clause
"""Supervised contrastive training, for few labels."""

import dataclasses
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.checkpoint import checkpoint

from .._data._datasets import LabeledDataset
from .._training import train
from ._stage import Stage
from ._trainable import freeze_embeddings

# Texts of a class come in groups of this size, so that a batch has pairs of a class
# however many classes there are.
TEXTS_PER_CLASS = 4
CHUNK_SIZE = 8  # texts that the encoder reads at once
BATCH_SIZE = 64  # all pairs of a batch are compared


@dataclass(frozen=True)
class ContrastiveStage(Stage):
    """Train the encoder so that texts of a class become similar.

    A text is represented by the mean of its last hidden states, for which sentence
    encoders are trained.
    """

    name = "contrastive"

    @staticmethod
    def epochs(plan):
        """Return the number of epochs of a plan."""
        return plan.contrastive_epochs

    @staticmethod
    def largest_step(plan):
        """Return the number of texts in a step."""
        return BATCH_SIZE

    @classmethod
    def make(cls, fit, config):
        """Make the stage from a PreparedFit and the classifier's TrainingConfig."""
        config = dataclasses.replace(
            config,
            max_epochs=fit.plan.contrastive_epochs,
            batch_size=BATCH_SIZE,
            early_stopping=False,
            gradual_unfreezing=False,
            callbacks=[],
        )
        return cls(config, ContrastiveDataset(**vars(fit.labeled)))

    def run(self, state, context):
        """Train the encoder in place."""
        freeze_embeddings(state.encoder)
        model = SentenceModel(state.encoder, self.config.micro_batch_size)
        # Pairs are made of the whole batch, so it is not split into micro-batches.
        config = dataclasses.replace(self.config, micro_batch_size=None)
        rows = train(model, PairLoss(), self.training, None, config, context)
        return self.after(state, rows)


class SentenceModel(nn.Module):
    """The mean of an encoder's last hidden states over the tokens of a text.

    It differs from a TextModel with mean pooling in how it uses memory: the loss needs
    all texts of a batch, while activations are kept for a few of them only.

    Parameters
    ----------
    encoder : torch.nn.Module
    chunk_size : int or None
        Number of texts, or windows, whose activations fit into memory. If a batch has
        more, activations are computed again for the gradients, for so many texts at a
        time. If None, all activations are kept.
    """

    def __init__(self, encoder, chunk_size=None):
        super().__init__()
        self.encoder = encoder
        self.chunk_size = chunk_size

    def forward(self, input_ids, attention_mask, windows_per_text=None):
        """Return contexts, float32, shape (n_texts, n_features).

        Texts of a class differ in length. They are encoded some at a time, sorted by
        length, so that there is little padding.
        """
        lengths = attention_mask.sum(dim=1)
        order, sums = lengths.argsort(), []
        recompute = self.chunk_size is not None and self.chunk_size < len(order)
        for rows in order.split(self.chunk_size if recompute else CHUNK_SIZE):
            longest = int(lengths[rows].max())
            inputs = input_ids[rows, :longest], attention_mask[rows, :longest]
            if recompute:
                sums.append(checkpoint(self.sum_tokens, *inputs, use_reentrant=False))
            else:
                sums.append(self.sum_tokens(*inputs))
        sums = torch.cat(sums)[order.argsort()]
        if windows_per_text is not None:
            counts = windows_per_text.tolist()
            sums, lengths = (
                torch.stack([part.sum(dim=0) for part in each.split(counts)])
                for each in (sums, lengths)
            )
        return sums / lengths[:, None]

    def sum_tokens(self, ids, mask):
        """Sum over tokens: (n_texts, n_tokens) twice to (n_texts, n_features)."""
        states = self.encoder(input_ids=ids, attention_mask=mask).last_hidden_state
        return (states.float() * mask[..., None]).sum(dim=1)


class ContrastiveDataset(LabeledDataset):
    """Labeled texts in groups of a class; each text occurs once in an epoch."""

    def epoch_batches(self, config, generator):
        """Return the batches of an epoch, as indices; each epoch is for one task."""
        task = int(torch.randint(len(self.labels), (), generator=generator))
        labels = np.nan_to_num(self.labels[task])
        _, classes = np.unique(labels, axis=0, return_inverse=True)
        classes = np.where(self.weights[:, task] > 0, classes.ravel(), -1)
        order = torch.randperm(len(self), generator=generator).numpy()
        order = order[np.argsort(classes[order], kind="stable")]
        classes = classes[order]
        place = np.arange(len(order)) - np.searchsorted(classes, classes)
        group = (place % TEXTS_PER_CLASS == 0).cumsum() - 1
        rank = torch.randperm(int(group[-1]) + 1, generator=generator).numpy()
        order = order[np.argsort(rank[group], kind="stable")]
        size = config.batch_size
        return [order[i : i + size] for i in range(0, len(order), size)]


class PairLoss(nn.Module):
    """Squared difference between the cosine of two texts and its target.

    The target is 1 for texts of one class and 0 for others; for tags it is the fraction
    of their tags that both have. The loss is the mean over the pairs with a target
    above 0 plus the mean over the other pairs, weighted by the product of the texts'
    weights. As in SetFit (Tunstall et al. 2022, section 3), but over all pairs of a
    batch instead of sampled ones.
    """

    def forward(self, contexts, targets, counts=None):
        """Compute a scalar from contexts (n_texts, n_features) and labels."""
        normal = F.normalize(contexts, dim=1)
        cosines = normal @ normal.T
        labels, weights = targets
        losses = [
            _mean_of_both(cosines, *each)
            for each in zip(labels, weights.unbind(1), strict=True)
        ]
        return sum(losses) / len(losses)

    def reset_metrics(self):
        """Do nothing: this loss keeps nothing between epochs."""


def _mean_of_both(cosines, labels, weights):
    """Return the loss of one task."""
    wanted = _similarity(labels)
    pairs = torch.outer(weights, weights).fill_diagonal_(0.0)
    errors = (cosines - wanted).square()
    total = 0.0
    for chosen in (wanted > 0, wanted == 0):
        chosen_pairs = pairs * chosen
        total = total + (chosen_pairs * errors).sum() / chosen_pairs.sum().clamp(
            min=1e-12
        )
    return total


def _similarity(labels):
    """Return the target of each pair, from 0 to 1: (n_texts, n_texts)."""
    if labels.ndim == 1:
        return (labels[:, None] == labels).float()
    members = labels.nan_to_num()
    both = members @ members.T
    either = members.sum(dim=1)[:, None] + members.sum(dim=1) - both
    return torch.where(either > 0, both / either.clamp(min=1), 1.0)
