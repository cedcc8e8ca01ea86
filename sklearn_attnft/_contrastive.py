# SPDX-License-Identifier: BSD-3-Clause
"""Supervised contrastive training, for few labels: texts of a class come together."""

import dataclasses

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from ._freezing import freeze_table
from ._training import LabelledTexts, train

# Texts of a class that are put into a batch together, so that it has pairs of a class
# however many classes there are.
COMPANY = 4
AT_ONCE = 8  # texts that the encoder reads
BATCH_SIZE = 64  # texts that pairs are made of; the more the better


def contrast(encoder, texts, params, recipe):
    """Train an encoder, in place, so that texts of a class are alike, if asked for.

    Of each text it is the mean of the last layer's states that is compared, which is
    what sentence encoders were trained for.

    Parameters
    ----------
    encoder : torch.nn.Module
    texts : LabelledTexts
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
    freeze_table(encoder)
    recipe = dataclasses.replace(
        recipe,
        max_epochs=params["contrastive_epochs"],
        batch_size=BATCH_SIZE,
        early_stopping=False,
        gradual_unfreezing=False,
        callbacks=[],
    )
    gathered = GatheredTexts(**vars(texts))
    rows = train(SentenceModel(encoder), PairLoss(), gathered, None, recipe)
    return [{"stage": "contrastive", **row} for row in rows]


class SentenceModel(nn.Module):
    """The mean of an encoder's last states over the tokens of a text."""

    def __init__(self, encoder):
        super().__init__()
        self.encoder = encoder

    def forward(self, input_ids, attention_mask, windows_per_text=None):
        """Return contexts, float32, shape (n_texts, n_features).

        Texts in company of their class differ in length: they are encoded some at a
        time, by length, so that little is padding.
        """
        lengths = attention_mask.sum(dim=1)
        order, sums = lengths.argsort(), []
        for rows in order.split(AT_ONCE):
            longest = int(lengths[rows].max())
            mask = attention_mask[rows, :longest]
            ids = input_ids[rows, :longest]
            states = self.encoder(input_ids=ids, attention_mask=mask).last_hidden_state
            sums.append((states.float() * mask[..., None]).sum(dim=1))
        sums = torch.cat(sums)[order.argsort()]
        if windows_per_text is not None:
            sums, lengths = (
                torch.stack([part.sum(dim=0) for part in each.split(windows_per_text)])
                for each in (sums, lengths)
            )
        return sums / lengths[:, None]


class GatheredTexts(LabelledTexts):
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
        group = (place % COMPANY == 0).cumsum() - 1
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

    def forward(self, contexts, targets, n_texts=None):
        """Contexts (n_texts, n_features) and (labels, weights) to a scalar.

        Of a part of a batch of `n_texts`, its part in the batch's loss: pairs are made
        within it.
        """
        normal = F.normalize(contexts, dim=1)
        cosines = normal @ normal.T
        labels, weights = targets
        losses = [
            _mean_of_both(cosines, *each)
            for each in zip(labels, weights.unbind(1), strict=True)
        ]
        share = len(contexts) / (n_texts or len(contexts))
        return share * sum(losses) / len(losses)

    def start_epoch(self):
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
