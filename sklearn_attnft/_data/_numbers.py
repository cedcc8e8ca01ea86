# SPDX-License-Identifier: BSD-3-Clause
"""The target of a regressor, and checks of a `y` that contains numbers."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Number
from typing import ClassVar

import numpy as np
from sklearn.utils import column_or_1d

from .._utils._messages import describe_type, shorten
from ._validation import (
    check_distinct,
    check_lengths,
    column_names,
    fill_masked,
    is_float,
    is_missing,
)

# Relative deviations up to this value are treated as rounding errors.
ROUNDING = 10 * np.finfo(float).eps
# A number and a unit, such as "-1.5 kg". Other str are ambiguous, such as "1,200".
NUMBER = r"(-?\d+(?:\.\d+)?)"
WITH_UNIT = re.compile(rf"\s*{NUMBER}\s*([^\d\s.,+-]*)\s*")
NUMBERS_FORMAT = "an array of numbers of shape (n_samples,) or (n_samples, n_outputs)"


@dataclass(frozen=True)
class Numbers:
    """The target of a regressor: one or several numbers per text.

    The model is trained on standardized numbers, so its logits are standardized too.

    Attributes
    ----------
    name : object
        Name of the task, or None.
    mean, scale : ndarray of float64, shape (n_outputs,)
        Weighted mean and standard deviation of the numbers in ``fit``. If `loss` is
        "huber", `mean` is the weighted median. Then `scale` is 1.4826 times the median
        distance between the median and the numbers that differ from it. For normally
        distributed numbers, this is the standard deviation. Outliers hardly change
        these two values.
    loss : {"squared_error", "huber"}
        Key of the loss in ``LOSSES``.
    names : tuple or None
        The column names of a data frame with several columns.
    kind, multilabel
        As in ``Target``.
    """

    name: object
    mean: np.ndarray
    scale: np.ndarray
    loss: str = "squared_error"
    names: tuple | None = None
    kind: ClassVar[str] = "numbers"
    multilabel: ClassVar[bool] = False

    @classmethod
    def fit(cls, numbers, weights, loss="squared_error", name=None, names=None):
        """Return the target of a matrix of numbers, shape (n_texts, n_outputs)."""
        numbers, weights = numbers[weights > 0], weights[weights > 0]
        largest = np.abs(numbers).max(axis=0)
        largest[largest == 0] = 1.0
        small = numbers / largest  # sums of the largest floats would overflow
        mean = np.average(small, axis=0, weights=weights)
        scale = np.sqrt(np.average((small - mean) ** 2, axis=0, weights=weights))
        # If all numbers are equal, their deviations are only rounding errors.
        is_constant = scale <= ROUNDING
        if loss == "huber":
            weights = np.broadcast_to(weights[:, None], small.shape)
            mean = _median(small, weights)
            distance = np.abs(small - mean)
            differs = distance > ROUNDING * np.abs(mean)
            scale = 1.4826 * _median(distance, weights * differs)
        scale = np.where(is_constant, 1.0, scale * largest)
        mean = np.where(is_constant, numbers[0], mean * largest)
        return cls(name, mean, scale, loss, names)

    def as_dict(self):
        """Return a dict from which ``restore_target`` rebuilds the target."""
        fields = {"name": self.name, "mean": self.mean, "scale": self.scale}
        return {"kind": self.kind, **fields, "loss": self.loss, "names": self.names}

    def as_head(self):
        """Return the number of outputs and the loss of the head of this task.

        Raises
        ------
        ValueError
            If `mean` and `scale` cannot standardize numbers, or if `names` does not
            have one name for each output.
        """
        shapes = {self.mean.shape, self.scale.shape}
        is_finite = np.isfinite(self.mean).all() and np.isfinite(self.scale).all()
        if shapes != {(self.n_outputs,)} or not is_finite or (self.scale <= 0).any():
            raise ValueError(
                "The mean and the scale of the numbers must be finite, and the scale "
                f"must be above 0, got {shorten(self.mean, 100)} and "
                f"{shorten(self.scale, 100)}."
            )
        has_names = isinstance(self.names, tuple) and len(self.names) == self.n_outputs
        if self.names is not None and not has_names:
            raise ValueError(
                f"The numbers must have {self.n_outputs} names, got "
                f"{shorten(self.names, 200)}."
            )
        return self.n_outputs, self.loss

    @property
    def n_outputs(self):
        """Number of outputs: the model predicts one number per output."""
        return len(self.mean)

    def encode(self, numbers, name="y"):
        """Standardize numbers and return them as float32.

        Raise ValueError if a number is too large. `name` is for the message.
        """
        with np.errstate(over="ignore"):
            encoded = ((numbers - self.mean) / self.scale).astype(np.float32)
        if not np.isfinite(encoded).all():
            row, column = np.argwhere(~np.isfinite(encoded))[0]
            raise ValueError(
                f"`{name}` must have only numbers of similar size, got "
                f"{float(numbers[row, column])} at position {row}, which is too far "
                "from the other numbers. Correct this number, or drop this text."
            )
        return encoded

    def decision(self, logits):
        """Return the logits, which are standardized numbers (n_texts, n_outputs)."""
        return logits

    def predict(self, logits):
        """Convert logits to numbers in the unit of `y`.

        The array has the shape (n_texts,) or (n_texts, n_outputs).
        """
        numbers = logits * self.scale + self.mean
        return numbers[:, 0] if self.n_outputs == 1 else numbers


def output_names(y, name="y"):
    """Return the column names of a data frame as a tuple, or None.

    None is returned for a single column, and for names that are numbered by default or
    cannot be saved. Raise ValueError if two columns have the same name.
    """
    names = tuple(column_names(y)) if hasattr(y, "columns") else ()
    check_distinct(names, name)
    parts = [part for n in names for part in (n if isinstance(n, tuple) else [n])]
    is_default = names == tuple(range(len(names)))
    if len(names) < 2 or is_default or not {type(part) for part in parts} <= {str, int}:
        return None
    return names


def _median(values, weights):
    """Return the weighted median of each column.

    The weighted median is the smallest value for which the values up to this value have
    at least half of the total weight.
    """
    order = values.argsort(axis=0, kind="stable")
    weight = np.take_along_axis(weights, order, axis=0).cumsum(axis=0)
    row = (weight < weight[-1] / 2).sum(axis=0)
    return np.take_along_axis(values, order, axis=0)[row, np.arange(len(row))]


def check_numbers(y, n_texts, name="y"):
    """Check numbers and return them as a matrix.

    Parameters
    ----------
    y : array-like of shape (n_texts,) or (n_texts, n_outputs)
        Finite numbers. A matrix with one column causes a warning.
    n_texts : int
    name : str
        Name of the argument, for messages.

    Returns
    -------
    ndarray of float64, shape (n_texts, n_outputs)

    Raises
    ------
    ValueError
        If `y` is None or sparse, if `y` has more than two dimensions or does not have
        `n_texts` rows, or if a value is missing, infinite or not a number.
    """
    rule = f"`{name}` must be {NUMBERS_FORMAT}"
    if y is None:
        raise ValueError(f"{rule}, got None; fit requires {name} to be passed.")
    if hasattr(y, "toarray"):
        raise ValueError(
            f"{rule}, got a sparse {type(y).__name__}. Pass {name}.toarray()."
        )
    is_scalar = isinstance(y, (str, bytes, Mapping)) or not hasattr(y, "__len__")
    try:
        array = None if is_scalar else np.asarray(fill_masked(y))
    except ValueError as error:  # rows of different lengths
        raise ValueError(
            f"{rule}, got rows of different lengths. Pass the same number of values "
            "for each text."
        ) from error
    if array is None or array.ndim == 0 or isinstance(y, (set, frozenset)):
        raise ValueError(
            f"{rule}, got {describe_type(y)}. Pass a list or an array of the numbers, "
            "in the order of the texts."
        )
    if array.ndim > 2 or 0 in array.shape[1:]:
        raise ValueError(
            f"{rule}, got an array of shape {array.shape}. Pass one column for each "
            "output."
        )
    if array.shape[1:] == (1,):
        array = column_or_1d(array, dtype=None, warn=True)
    check_lengths(n_texts, array, name)
    return _finite(array, name, rule).reshape(len(array), -1)


def _is_number(cell):
    """Return whether ``float`` converts a cell."""
    return is_float(cell) if isinstance(cell, (str, bytes)) else _is_real(cell)


def _advise(cells, name, n_dimensions):
    """Return advice for cells of which some are not numbers.

    Users run code without changing it, so the code must not change numbers.
    """
    if all(map(_is_number, cells)):
        return f"Convert the numbers, for example with np.asarray({name}, float)."
    found = [WITH_UNIT.fullmatch(e) if isinstance(e, str) else None for e in cells]
    units = {_singular(match[2]) for match in found if match}
    if n_dimensions == 1 and all(found) and len(units) == 1:
        return (
            "Extract the numbers from the str, for example with "
            f"pandas.Series({name}).str.extract(r'{NUMBER}')[0].astype(float)."
        )
    return "Convert the values to numbers."


def _singular(unit):
    """Return "star" for "stars". Short units such as "ms" are not changed."""
    return unit[:-1] if len(unit) > 3 and unit.endswith("s") else unit


def _finite(array, name, rule):
    """Check that all values are finite numbers, and return them as float64."""
    if array.dtype.kind not in "biuf":
        cells = array.ravel().tolist() if array.dtype.kind in "OU" else array.ravel()
        for i, cell in enumerate(cells):
            if not (_is_real(cell) or is_missing(cell)):
                cure = _advise(cells, name, array.ndim)
                if isinstance(cell, (str, bytes)):
                    cure = f"For classes, use AttentionFineTuneClassifier. {cure}"
                raise ValueError(
                    f"{rule}, got {describe_type(cell)} ({shorten(cell, 40)}) at "
                    f"position {i}. {cure}"
                )
        cells = [np.nan if is_missing(cell) else float(cell) for cell in cells]
        array = np.array(cells).reshape(array.shape)
    array = array.astype(np.float64)
    if not np.isfinite(array).all():
        place = np.argwhere(~np.isfinite(array))[0]
        value = float(array[tuple(place)])
        raise ValueError(
            f"`{name}` must have only finite numbers, got {value} at position "
            f"{place[0]} (NaN is a missing number). Drop the rows with missing or "
            "infinite numbers, or correct the numbers."
        )
    return array


def _is_real(cell):
    """Return whether a cell is a real number, such as an int or a Decimal."""
    # timedelta64 of numpy is a subclass of its integers.
    is_number = isinstance(cell, (Number, np.bool_))
    is_time = isinstance(cell, np.timedelta64)
    return is_number and not is_time and not np.iscomplexobj(cell)
