# SPDX-License-Identifier: BSD-3-Clause
"""Supervised contrastive training, for few labels: texts of a class come together."""

import dataclasses

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.checkpoint import checkpoint

from .._data._datasets import LabeledDataset
from .._training import train
from ._trainable import freeze_embeddings

# Texts of a class that are put into a batch together, so that it has pairs of a class
# however many classes there are.
TEXTS_PER_CLASS = 4
CHUNK_SIZE = 8  # texts that the encoder reads
BATCH_SIZE = 64  # texts that pairs are made of; the more the better


def contrast(encoder, texts, params, recipe):
    """Train an encoder, in place, so that texts of a class are alike, if asked for.

    Of each text it is the mean of the last layer's states that is compared, which is
    what sentence encoders were trained for.

    Parameters
    ----------
    encoder : torch.nn.Module
    texts : LabeledDataset
    params : dict
        The estimator's.
    recipe : Recipe
        Of the classifier.

    Returns
    -------
    list of dict
        The stage's part of the history.
    """
    if not params["contrastive_epochs"]:
        return []
    freeze_embeddings(encoder)
    chunk_size = recipe.micro_batch_size
    recipe = dataclasses.replace(
        recipe,
        max_epochs=params["contrastive_epochs"],
        batch_size=BATCH_SIZE,
        micro_batch_size=None,  # pairs are of the whole batch
        early_stopping=False,
        gradual_unfreezing=False,
        callbacks=[],
    )
    gathered = ContrastiveDataset(**vars(texts))
    model = SentenceModel(encoder, chunk_size, is_measured=recipe.watch.is_rehearsal)
    rows = train(model, PairLoss(), gathered, None, recipe)
    return [{"stage": "contrastive", **row} for row in rows]


class SentenceModel(nn.Module):
    """The mean of an encoder's last states over the tokens of a text.

    Parameters
    ----------
    encoder : torch.nn.Module
    chunk_size : int or None
        Texts, or windows, of which the memory holds what gradients need. Of more, it
        is computed again for the gradients, of so many at a time. None: all.
    is_measured : bool
        Keep that of the longest texts, for who measures what is kept at the most.
    """

    def __init__(self, encoder, chunk_size=None, is_measured=False):
        super().__init__()
        self.encoder = encoder
        self.chunk_size = chunk_size
        self.is_measured = is_measured

    def forward(self, input_ids, attention_mask, windows_per_text=None):
        """Return contexts, float32, shape (n_texts, n_features).

        Texts in company of their class differ in length: they are encoded some at a
        time, by length, so that little is padding.
        """
        lengths = attention_mask.sum(dim=1)
        order, sums = lengths.argsort(), []
        again = self.chunk_size is not None and self.chunk_size < len(order)
        for rows in order.split(self.chunk_size if again else CHUNK_SIZE):
            longest = int(lengths[rows].max())
            inputs = input_ids[rows, :longest], attention_mask[rows, :longest]
            is_kept = self.is_measured and rows[-1] == order[-1]
            if again and not is_kept:
                sums.append(checkpoint(self._sum, *inputs, use_reentrant=False))
            else:
                sums.append(self._sum(*inputs))
        sums = torch.cat(sums)[order.argsort()]
        if windows_per_text is not None:
            sums, lengths = (
                torch.stack([part.sum(dim=0) for part in each.split(windows_per_text)])
                for each in (sums, lengths)
            )
        return sums / lengths[:, None]

    def _sum(self, ids, mask):
        """Sum over tokens: (n_texts, n_tokens) twice to (n_texts, n_features)."""
        states = self.encoder(input_ids=ids, attention_mask=mask).last_hidden_state
        return (states.float() * mask[..., None]).sum(dim=1)


class ContrastiveDataset(LabeledDataset):
    """Labelled texts that come in company of their class; all once in an epoch."""

    def epoch_batches(self, recipe):
        """Draw the batches of an epoch, as indices; of several label sets, for one."""
        generator = recipe.generator
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
        size = recipe.batch_size
        return [order[i : i + size] for i in range(0, len(order), size)]


class PairLoss(nn.Module):
    """Squared difference between the cosine of two texts and what it is to be.

    That is 1 if they are of one class and 0 if not; multilabel, the share of their
    classes that both have. Mean over the pairs of a batch that are to be alike, plus
    the mean over the others, weighted by the product of the texts' weights. As in
    SetFit (Tunstall et al. 2022, section 3), of all pairs in place of drawn ones.
    """

    def forward(self, contexts, targets, counts=None):
        """Contexts (n_texts, n_features) and (labels, weights) to a scalar."""
        normal = F.normalize(contexts, dim=1)
        cosines = normal @ normal.T
        labels, weights = targets
        losses = [
            _mean_of_both(cosines, *each)
            for each in zip(labels, weights.unbind(1), strict=True)
        ]
        return sum(losses) / len(losses)

    def reset_metrics(self):
        """Do nothing: no epoch has anything of its own."""


def _mean_of_both(cosines, labels, weights):
    """Return the loss of one label set."""
    wanted = _likeness(labels)
    pairs = torch.outer(weights, weights).fill_diagonal_(0.0)
    errors = (cosines - wanted).square()
    total = 0.0
    for chosen in (wanted > 0, wanted == 0):
        of_pairs = pairs * chosen
        total = total + (of_pairs * errors).sum() / of_pairs.sum().clamp(min=1e-12)
    return total


def _likeness(labels):
    """Return how alike texts are to be, from 0 to 1: (n_texts, n_texts)."""
    if labels.ndim == 1:
        return (labels[:, None] == labels).float()
    members = labels.nan_to_num()
    both = members @ members.T
    either = members.sum(dim=1)[:, None] + members.sum(dim=1) - both
    return torch.where(either > 0, both / either.clamp(min=1), 1.0)
