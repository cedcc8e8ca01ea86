# SPDX-License-Identifier: BSD-3-Clause
"""The stage of supervised contrastive training, for fits on few labeled texts."""

import dataclasses
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.checkpoint import checkpoint

from .. import _hf
from .._data._datasets import LabeledDataset
from .._training import train
from ._stage import Stage
from ._trainable import freeze_embeddings

# A batch consists of groups of this many texts of the same class. So a batch has pairs
# of texts of the same class even if there are many classes.
TEXTS_PER_CLASS = 4
CHUNK_SIZE = 8  # texts in one forward pass of the encoder
# Texts in a batch (the loss compares all pairs of a batch). With few labels, larger
# batches would mean few steps, and each step would see almost the same pairs.
BATCH_SIZE = 16


@dataclass(frozen=True)
class ContrastiveStage(Stage):
    """Train the encoder so that texts of the same class get similar vectors.

    The vector of a text is the mean of the text's hidden states in the last layer.
    Sentence encoders are pretrained with this mean.
    """

    name = "contrastive"

    @staticmethod
    def epochs(plan):
        """Return how many epochs a FitPlan has for this stage."""
        return plan.contrastive_epochs

    @staticmethod
    def largest_step(plan):
        """Return the largest number of texts in a step."""
        return BATCH_SIZE

    @classmethod
    def make(cls, fit, config):
        """Make the stage from a PreparedFit and the classifier's TrainingConfig."""
        config = dataclasses.replace(
            config,
            max_epochs=fit.plan.contrastive_epochs,
            learning_rate=fit.plan.contrastive_learning_rate,
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
        # The loss compares all pairs of a batch, so micro-batches are not possible.
        config = dataclasses.replace(self.config, micro_batch_size=None)
        rows = train(model, PairLoss(), self.training, None, config, context)
        return self.after(state, rows)


class SentenceModel(nn.Module):
    """Model whose output for a text is the mean of the text's last hidden states.

    The loss needs the vectors of all texts of a batch. If `chunk_size` is set, a
    SentenceModel still stores the activations of only a few texts at a time, so it
    needs less memory than a TextModel with mean pooling.

    Parameters
    ----------
    encoder : torch.nn.Module
    chunk_size : int or None
        Number of texts, or windows, whose activations fit into memory. Larger batches
        are split into chunks of this size. To compute the gradients, the activations of
        each chunk are computed a second time. If None, all activations are stored.
    """

    def __init__(self, encoder, chunk_size=None):
        super().__init__()
        self.encoder = encoder
        self.chunk_size = chunk_size

    def forward(self, input_ids, attention_mask, windows_per_text=None):
        """Return the context vectors as float32, shape (n_texts, n_features)."""
        # The texts are sorted by length before they are split into chunks, so that the
        # chunks have little padding.
        lengths = attention_mask.count_nonzero(dim=1)
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
        """Return the sum of the hidden states of each text.

        Parameters
        ----------
        ids, mask : tensor of int64, shape (n_texts, n_tokens)

        Returns
        -------
        tensor of float32, shape (n_texts, n_features)
        """
        inputs = _hf.encoder_inputs(self.encoder, mask)
        states = self.encoder(input_ids=ids, **inputs).last_hidden_state
        return (states.float() * inputs["attention_mask"][..., None]).sum(dim=1)


class ContrastiveDataset(LabeledDataset):
    """Labeled texts whose batches contain groups of texts of the same class."""

    def epoch_batches(self, config, generator):
        """Return the batches of an epoch as arrays of indices of texts.

        Each text occurs exactly once. One task is chosen at random for the epoch. All
        texts of a group belong to the same class of this task.
        """
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
    """Squared difference between the cosine similarity of two texts and a target.

    The target is 1 for two texts of the same class, and 0 for two texts of different
    classes. If texts have several labels, the target is the number of labels that both
    texts have, divided by the number of labels that at least one of the two texts has.
    Only labels that are known for both texts count. If there are none, the pair does
    not count.

    The loss is the mean over the pairs with a target above 0, plus the mean over the
    other pairs. The weight of a pair is the product of the weights of its texts. SetFit
    (Tunstall et al. 2022, section 3) has the same targets, but samples the pairs. This
    class uses all pairs of a batch.
    """

    def forward(self, contexts, targets, counts=None):
        """Return the loss of a batch of context vectors as a scalar."""
        normal = F.normalize(contexts, dim=1)
        cosines = normal @ normal.T
        labels, weights = targets
        losses = [
            _mean_of_both(cosines, *each)
            for each in zip(labels, weights.unbind(1), strict=True)
        ]
        return sum(losses) / len(losses)

    def reset_metrics(self):
        """Do nothing, because this loss does not compute metrics."""


def _mean_of_both(cosines, labels, weights):
    """Return the loss of one task."""
    wanted, is_known = _similarity(labels)
    pairs = (torch.outer(weights, weights) * is_known).fill_diagonal_(0.0)
    errors = (cosines - wanted).square()
    total = 0.0
    for chosen in (wanted > 0, wanted == 0):
        chosen_pairs = pairs * chosen
        total = total + (chosen_pairs * errors).sum() / chosen_pairs.sum().clamp(
            min=1e-12
        )
    return total


def _similarity(labels):
    """Return the target of each pair of texts, from 0 to 1, and whether it is known.

    Both tensors have the shape (n_texts, n_texts). The class PairLoss describes the
    targets.
    """
    if labels.ndim == 1:
        equal = labels[:, None] == labels
        return equal.float(), torch.ones_like(equal)
    known, members = (~labels.isnan()).to(labels), labels.nan_to_num()
    both, first = members @ members.T, members @ known.T
    either = first + first.T - both
    targets = torch.where(either > 0, both / either.clamp(min=1), 1.0)
    return targets, known @ known.T > 0
