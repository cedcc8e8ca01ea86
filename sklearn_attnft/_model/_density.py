# SPDX-License-Identifier: BSD-3-Clause
"""Gaussian densities of the context vectors of classes."""

import torch
from torch import nn

MAX_BYTES = 2_500_000  # of all buffers of a task, so that pickles are small
FAR = 1e30  # distance to classes without training texts, which are never the nearest


class ClassGaussians(nn.Module):
    """A Gaussian of all texts, and a Gaussian of each class.

    The Gaussians of the classes have the same covariance.

    The score of a context vector is the squared Mahalanobis distance to the mean of all
    texts, minus the smallest squared distance to the mean of a class (Ren et al. 2021,
    "A Simple Fix to Mahalanobis Distance for Improving Near-OOD Detection", arXiv
    2106.09022). The covariance of all texts is estimated as the covariance within the
    classes plus the covariance of the means. With this estimate, the score needs only
    one projection per class, and no covariance is stored.

    All buffers are zero until :meth:`set` is called.

    Parameters
    ----------
    n_classes, n_context : int
    """

    def __init__(self, n_classes, n_context):
        super().__init__()
        for name, shape in self._shapes(n_classes, n_context).items():
            self.register_buffer(name, torch.zeros(shape))

    @staticmethod
    def _shapes(n_classes, n_context):
        return {
            "directions": (n_classes, n_context),
            "offsets": (n_classes,),
            "distances": (n_classes,),
            "between": (n_classes, n_classes),
        }

    @classmethod
    def fits(cls, n_classes, n_context):
        """Return whether the buffers need at most `MAX_BYTES` bytes."""
        sizes = map(torch.Size, cls._shapes(n_classes, n_context).values())
        return 4 * sum(size.numel() for size in sizes) <= MAX_BYTES

    @property
    def is_set(self):
        """Whether :meth:`set` was called."""
        return bool(self.distances.any())

    def set(self, classes, means, fractions, covariance):
        """Set the Gaussians.

        Parameters
        ----------
        classes : tensor of int64, shape (n_present,)
            Indices of the classes that have training texts.
        means : tensor of float64, shape (n_present, n_context)
        fractions : tensor of float64, shape (n_present,)
            For each of these classes, the fraction of all texts that have this class.
            All fractions are above 0.
        covariance : tensor of float64, shape (n_context, n_context)
            Covariance within the classes. It must be invertible.
        """
        center = fractions @ means
        means = means - center
        directions = torch.linalg.solve(covariance, means.T).T
        products = directions @ means.T
        # Inverse of the covariance of all texts, by the Woodbury identity.
        between = torch.linalg.inv(torch.diag(1 / fractions) + products)
        classes = classes.to(self.distances.device)
        self.distances.fill_(FAR)
        self.directions[classes] = directions.to(self.directions)
        self.offsets[classes] = (directions @ center).to(self.offsets)
        # Never 0, so that `is_set` holds if the means of all classes are equal.
        smallest = torch.finfo(self.distances.dtype).tiny
        diagonal = products.diagonal().to(self.distances).clamp(min=smallest)
        self.distances[classes] = diagonal
        self.between[classes[:, None], classes] = between.to(self.between)

    def score(self, contexts):
        """Return the scores of context vectors.

        Parameters
        ----------
        contexts : tensor of float, shape (n_texts, n_context)

        Returns
        -------
        tensor of float64 on the CPU, shape (n_texts,)
        """
        directions, offsets, distances, between = (
            each.cpu().double() for each in self.buffers()
        )
        projected = contexts.double() @ directions.T - offsets
        nearest = (distances - 2 * projected).min(dim=1).values
        return -nearest - ((projected @ between) * projected).sum(dim=1)
