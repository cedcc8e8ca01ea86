# SPDX-License-Identifier: BSD-3-Clause
"""Every check of what a user passes: the same mistake gives the same sentence.

A sentence says what came, what was expected, and what to do.
"""

from collections.abc import Sequence
from numbers import Real

import numpy as np
from sklearn.utils import check_array, column_or_1d
from sklearn.utils.multiclass import check_classification_targets

from .._utils._warnings import warn

EXPECTED = (
    "a one-dimensional collection of str: a list, tuple, array, Series or a data frame "
    "with one column"
)
COLLECTIONS = (set, frozenset, list, tuple, np.ndarray)  # of labels, not a label


def check_texts(X, name="X"):
    """Return the texts of `X` as a list of str.

    Parameters
    ----------
    X : list, tuple, array, Series (pandas or polars) or one-column data frame
    name : str
        How the argument is called.

    Returns
    -------
    list of str, not empty

    Raises
    ------
    ValueError
        If `X` is one str, empty, of several columns, or has missing values.
    TypeError
        If `X` is no collection, or holds anything else than str.
    """
    if isinstance(X, str):
        raise ValueError(
            f"{name} is one str; expected {EXPECTED}. For one text, put it in a list: "
            "[text]."
        )
    texts = _column(X, name)
    if not len(texts):
        raise ValueError(f"{name} is empty (0 samples); expected {EXPECTED}.")
    for i, text in enumerate(texts):
        if isinstance(text, str):
            continue
        if is_missing(text):
            raise ValueError(
                f"{name} has a missing value ({text!r}) at position {i}; expected "
                f"{EXPECTED}. Drop such rows, or replace the value by ''."
            )
        kind = type(text).__name__
        a = "an" if kind[0] in "aeiou" else "a"
        raise TypeError(
            f"{name} has {a} {kind} ({text!r:.40}) at position {i}; "
            f"expected {EXPECTED}. Convert with str(...) if it is meant as text."
        )
    # numpy.str_ and other subclasses to str; an Enum's own __str__ says something else.
    return [str.__str__(text) for text in texts]


def check_unlabeled(X_unlabeled, params):
    """Check the texts without labels, of which None are an empty list.

    Without a language model nothing would read them.
    """
    if X_unlabeled is None:
        return []
    if not params["lm_epochs"] and not params["lm_weight"]:
        warn(
            "X_unlabeled is not read: only a language model learns from texts without "
            "labels. Set lm_epochs (1, say) or lm_weight above 0.",
        )
    return check_texts(X_unlabeled, "X_unlabeled")


def _column(X, name):
    """Return the one column of `X` as a list."""
    if isinstance(X, Sequence) and not isinstance(X, bytes):
        return list(X)
    if hasattr(X, "columns") and hasattr(X, "shape"):  # pandas or polars frame
        if X.shape[1] != 1:
            raise ValueError(
                f"{name} is a data frame of {X.shape[1]} columns; expected {EXPECTED}. "
                f"Pass one column, or use a ColumnTransformer that picks it."
            )
        X = X[column_names(X)[0]]
    if isinstance(X, (dict, set, frozenset, bytes)) or not hasattr(X, "__array__"):
        raise TypeError(
            f"{name} is a {type(X).__name__}; expected {EXPECTED}. If it can be walked "
            f"through in order, pass list({name})."
        )
    array = np.asarray(unmasked(X), dtype=object)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1:
        raise ValueError(
            f"{name} is an array of shape {array.shape}; expected {EXPECTED}."
        )
    return array.tolist()


def column_names(frame):
    """Return the names of a data frame's columns, or of a pyarrow.Table's."""
    return list(getattr(frame, "column_names", frame.columns))


def unmasked(values):
    """Put None where a masked array has no value; leave other values as they are."""
    if isinstance(values, np.ma.MaskedArray) and np.ma.is_masked(values):
        return np.where(np.ma.getmaskarray(values), None, values.data.astype(object))
    return values


def is_missing(value):
    """Tell whether a cell is None, NaN, NaT or pandas.NA."""
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(value, Real) and value != value


def check_labels(y, n_texts, name="y"):
    """Return class labels as a one-dimensional array that can be sorted.

    Parameters
    ----------
    y : array-like of shape (n_texts,)
        Labels of str, bool or int.
    n_texts : int
    name : str
        How the argument is called.

    Returns
    -------
    ndarray of shape (n_texts,)

    Raises
    ------
    ValueError
        If labels are absent, missing, continuous, two-dimensional, of mixed types, or
        not as many as the texts.
    """
    if y is None:
        raise ValueError(
            f"{name} is None; fit requires {name} to be passed: one class label for "
            "each text."
        )
    y = unmasked(y)
    is_list = isinstance(y, (list, tuple)) and not any(np.ndim(label) for label in y)
    # numpy would turn NaN beside str in a list into "nan".
    y = _as_objects(y) if is_list else np.asarray(y)
    if y.dtype.kind == "T":  # numpy's StringDType, which np.unique cannot sort
        y = y.astype(object)
    if y.ndim == 2 and y.shape[1] > 1:
        raise ValueError(
            f"{name} has shape {y.shape}; expected one class label for each text, "
            "shape (n_samples,). For several label sets, or several classes of one "
            "text, use MultiTaskClassifier."
        )
    y = column_or_1d(y, warn=True)
    check_lengths(n_texts, y, name)
    if any(is_missing(label) for label in y.tolist()):
        raise ValueError(
            f"{name} has missing labels (None or NaN); expected a class label for "
            "each text. Drop the texts without a label."
        )
    if y.dtype == object:
        y = _uniform_labels(y, name)
    if is_list:
        y = np.asarray(y.tolist())
    check_classification_targets(y)
    return y


def _as_objects(values):
    """Put values into an array as they are."""
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


def _uniform_labels(y, name):
    """Give labels in an object array the type that they share."""
    if any(isinstance(label, COLLECTIONS) for label in y):
        raise ValueError(
            f"{name} has collections of labels; expected one class label for each "
            "text. For several classes of one text, use MultiTaskClassifier."
        )
    kinds = {str if isinstance(label, str) else type(label) for label in y}
    if len(kinds) > 1 and str in kinds:
        raise ValueError(
            f"{name} has labels of different types ("
            f"{', '.join(sorted(kind.__name__ for kind in kinds))}); expected one "
            "type. Convert them with str(...)."
        )
    return y if kinds == {str} else np.array(y.tolist())


def check_lengths(n_texts, other, name):
    """Refuse an argument that has not one entry for each text."""
    if len(other) != n_texts:
        raise ValueError(
            f"{name} has {len(other)} entries and X has {n_texts} texts; expected as "
            "many as there are texts (inconsistent numbers of samples)."
        )


def encode_labels(y, classes, name):
    """Turn labels into indices of `classes`; refuse a label that is not among them."""
    indices = find_labels(y, classes)
    unknown = y[indices < 0].tolist()
    if unknown:
        raise ValueError(
            f"{name} has the label {unknown[0]!r}, which is not in y: a label that "
            "is never trained cannot be validated. Leave its texts out."
        )
    return indices


def find_labels(y, classes):
    """Turn labels into indices of `classes`; -1 for a label that is not among them."""
    order = {label: i for i, label in enumerate(classes.tolist())}
    return np.array([order.get(label, -1) for label in y.tolist()], dtype=np.int64)


def check_two_classes(classes, task=None):
    """Refuse a classification with nothing to tell apart."""
    name = "y" if task is None else f"The label set {task!r}"
    if not len(classes):
        raise ValueError(
            f"{name} has no label among the texts with a positive weight; label some, "
            "or leave it out."
        )
    if len(classes) < 2:
        raise ValueError(
            f"{name} has 1 class ({classes.tolist()[0]!r}) among the texts with a "
            "positive weight; a classifier needs at least 2 classes."
        )


def check_validation_pair(X_val, y_val):
    """Tell whether there are validation texts; refuse them without their labels."""
    if (X_val is None) != (y_val is None):
        given, absent = ("X_val", "y_val") if y_val is None else ("y_val", "X_val")
        raise ValueError(f"{given} was passed without {absent}: pass both.")
    return X_val is not None


def check_weights(sample_weight, n_texts):
    """Return sample weights as float64, shape (n_texts,), at most 1; None gives ones.

    Raises
    ------
    ValueError
        If they are negative, not finite, all zero, two-dimensional, or not as many
        as the texts.
    """
    if sample_weight is None:
        return np.ones(n_texts)
    weights = check_array(
        unmasked(sample_weight),
        dtype=np.float64,
        ensure_2d=False,
        ensure_min_samples=0,
        input_name="sample_weight",
    )
    if weights.ndim == 0:
        weights = np.full(n_texts, float(weights))
    if weights.ndim != 1:
        raise ValueError(
            f"sample_weight has shape {weights.shape}; expected one number for each "
            "text, shape (n_samples,)."
        )
    check_lengths(n_texts, weights, "sample_weight")
    if (weights < 0).any():
        raise ValueError(
            f"sample_weight has negative values (smallest: {weights.min():g}); "
            "expected numbers of at least 0."
        )
    if not weights.any():
        raise ValueError(
            "sample_weight is zero for every text, so there is nothing to learn from; "
            "expected at least one positive weight."
        )
    return weights / weights.max()  # their scale says nothing, but may overflow


def check_class_weight(class_weight, classes, task=None):
    """Refuse class weights, in a dict, that are negative or misname a class."""
    if isinstance(class_weight, dict):
        for label, weight in class_weight.items():
            if not (isinstance(weight, Real) and 0 <= weight < np.inf):
                raise ValueError(
                    f"class_weight has {weight!r} for the class {label!r}; expected a "
                    "finite number of at least 0."
                )
        # A fold may lack a class; a name that stands for none of y's is a mistake.
        unknown = [label for label in class_weight if label not in classes.tolist()]
        if unknown and not set(classes.tolist()) <= set(class_weight):
            where, cure = "y", ""
            if task is not None:
                where = f"the label set {task!r}"
                cure = f" Set task_params={{{task!r}: {{'class_weight': ...}}}}."
            raise ValueError(
                f"class_weight has the class {unknown[0]!r}, which is not in {where}; "
                f"{where} has {classes.tolist()!r:.200}.{cure}"
            )


def check_attributions(attribution, allowed, *, several=False):
    """Return the names of methods of attribution as a tuple; none of None.

    Raises
    ------
    ValueError
        If there is another than the allowed, or a list where not `several` are.
    """
    if attribution is None:
        return ()
    is_list = several and isinstance(attribution, (list, tuple))
    names = attribution if is_list else [attribution]
    if not all(isinstance(name, str) and name in allowed for name in names):
        raise ValueError(
            f"attribution is {attribution!r:.80}; expected None for attention alone, "
            f"or {' or '.join(map(repr, allowed))}{' or a list' if several else ''}."
        )
    return tuple(dict.fromkeys(names))


def check_target(target, classes, attribution):
    """Return the index of the class that is to be explained; None: the predicted one.

    Raises
    ------
    ValueError
        If `target` is no label of fit, or there is no attribution that could use it.
    """
    if target is None:
        return None
    if attribution is None:
        raise ValueError(
            f"target={target!r} was passed without attribution: attention is one for "
            "all classes. Pass attribution='gradient' or 'integrated_gradients'."
        )
    labels = classes.tolist()
    if not np.isscalar(target) or target not in labels:
        raise ValueError(
            f"target={target!r:.80} is not a label of y; expected one of "
            f"{labels!r:.200}."
        )
    return labels.index(target)
