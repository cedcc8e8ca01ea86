# SPDX-License-Identifier: BSD-3-Clause
"""The fingerprint of a fit, which identifies the fit in `checkpoint_dir`."""

import dataclasses
import hashlib
import json
import os
from dataclasses import dataclass

import joblib
import numpy as np

from .._utils._messages import shorten
from .._version import __version__

# Parameters that do not change the fitted model.
_IRRELEVANT = {
    "cache_size",
    "checkpoint_dir",
    "checkpoint_minutes",
    "device",
    "encoder",  # the fingerprint has a hash of the encoder instead
    "pickle_weights",
    "random_state",  # the fingerprint has the seed instead
    "verbose",
}


@dataclass(frozen=True)
class Fingerprint:
    """Identity of the parameters and the data of a fit.

    Attributes
    ----------
    parameters : dict of str
        Values of the parameters as text.
    data : str
        Hash of the training and validation data.
    seed : int or None
        Seed that the fit claimed, if `random_state` is None. Otherwise None.
    """

    parameters: dict
    data: str
    seed: int | None = None

    @classmethod
    def of(cls, params, *, seed, encoder, data):
        """Compute the fingerprint of a fit.

        Parameters
        ----------
        params : dict
            Parameters of the estimator.
        seed : int or None
            Seed of the fit if `random_state` is not None, otherwise None.
        encoder, data : object
            Pretrained encoder and data, as dataclasses, tuples, lists, dicts, arrays or
            plain values.
        """
        names = [name for name in params if name not in _IRRELEVANT]
        parameters = {
            **{name: as_text(params[name]) for name in names},
            # The path of the cache does not matter. But the result differs slightly if
            # a cache is used, because hidden states are computed in other batches, and
            # rounding depends on the batches.
            "cache": as_text(params.get("cache") is not None),
            "encoder": _hash(encoder),
            "random_state": str(seed),
            "version": __version__,
        }
        return cls(parameters, _hash(data))

    @property
    def name(self):
        """Name of the fit's folder."""
        parts = [self.parameters, self.data]
        if self.seed is not None:
            parts.append(self.seed)
        text = json.dumps(parts, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:20]

    def differences(self, other):
        """Return the sorted names of the parameters that differ between two fits."""
        names = self.parameters.keys() | other.parameters.keys()
        mine, theirs = self.parameters.get, other.parameters.get
        return sorted(name for name in names if mine(name) != theirs(name))


def as_text(value):
    """Return a text that is the same for equal values.

    For example, a list and an array with the same elements have the same text.
    """
    if hasattr(value, "__array__"):  # also a Series
        value = np.asarray(value).tolist()
    if isinstance(value, dict):
        items = sorted((as_text(k), as_text(v)) for k, v in value.items())
        return "{" + ", ".join(f"{k}: {v}" for k, v in items) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(as_text, value)) + "]"
    if value is None or isinstance(value, (bool, int, float, str, os.PathLike)):
        return repr(value)
    if callable(value):
        name = f"{value.__module__}.{getattr(value, '__qualname__', '<')}"
        if "<" not in name:  # names of lambdas and nested functions contain "<"
            return name
    if hasattr(value, "get_params") and not isinstance(value, type):
        return as_text(type(value)) + as_text(value.get_params(deep=False))
    raise ValueError(
        "If checkpoint_dir is set, each parameter must be a plain value, a class or "
        "function of a module, or an object with get_params, got "
        f"{shorten(value, 80)}. Other values cannot be recognized when a fit resumes. "
        "Pass a value of one of these kinds, or set checkpoint_dir=None."
    )


def _hash(value):
    return joblib.hash(_normalize(value), hash_name="sha1")


def _normalize(value):
    """Copy data so that the joblib.hash of the copy depends only on the values.

    The joblib.hash of the data itself also depends on the strides of arrays, and on
    whether equal tuples, lists or scalars are the same object.
    """
    if dataclasses.is_dataclass(value):
        fields = dataclasses.fields(value)
        value = {field.name: getattr(value, field.name) for field in fields}
    if isinstance(value, dict):
        return {key: _normalize(part) for key, part in value.items()}
    if hasattr(value, "__array__") and not isinstance(value, np.generic):
        value = np.asarray(value)  # the repr of a Series leaves out values
    if isinstance(value, np.ndarray) and value.dtype != object:
        return np.ascontiguousarray(value)
    if isinstance(value, (list, tuple, np.ndarray)):
        return [_normalize(part) for part in value]
    return value if isinstance(value, str) else (type(value).__name__, repr(value))
