# SPDX-License-Identifier: BSD-3-Clause
"""A small corpus to try things on."""

import csv
from importlib import resources

import numpy as np
from sklearn.utils import Bunch
from sklearn.utils._param_validation import StrOptions, validate_params

__all__ = ["load_support_tickets"]

LABELS = ("topic", "urgency", "sentiment")
_FILE = "support_tickets.csv"
_DESCRIPTION = """\
Synthetic support tickets
=========================

{n} messages to the customer service of invented companies (an outdoor shop, a software
firm, a network operator, a marketplace, a travel agency and others), written for this
package. None of them is real, and no person or product in them is. Each was written by
itself, with the typos and moods of people; none is made from a template.

Three label sets on the same texts: ``topic`` (account, billing, bug, delivery, feature,
howto, returns), ``urgency`` (low, normal, high) and ``sentiment`` (negative, neutral,
positive). The split into {n_train} training and {n_test} test texts is fixed.

The corpus is for examples and tests that need no download. It says nothing about how
well a method does on real mail: do not publish benchmarks on it.
"""


@validate_params(
    {
        "label": [StrOptions(set(LABELS)), "array-like"],
        "subset": [StrOptions({"train", "test", "all"})],
        "return_X_y": ["boolean"],
        "as_frame": ["boolean"],
    },
    prefer_skip_nested_validation=True,
)
def load_support_tickets(
    *, label="topic", subset="all", return_X_y=False, as_frame=False
):
    """Load the synthetic support tickets that come with the package.

    Parameters
    ----------
    label : {"topic", "urgency", "sentiment"} or list of them, default="topic"
        Which labels are the target: one label set, or several as columns.
    subset : {"train", "test", "all"}, default="all"
        Which part of the fixed split; "all" is the training part, then the test part.
    return_X_y : bool, default=False
        Return ``(data, target)`` instead of a Bunch.
    as_frame : bool, default=False
        Return pandas objects; needs pandas.

    Returns
    -------
    tickets : Bunch
        ``data``, the texts: ndarray of object, shape (n_samples,), or Series;
        ``target``: ndarray of object, shape (n_samples,) or (n_samples, n_labels), or
        Series or DataFrame; ``target_names``: sorted classes, a dict by label if there
        are several; ``frame``: DataFrame of texts and all labels, if `as_frame`;
        ``DESCR`` and ``filename``.

    Raises
    ------
    ValueError
        If `label` or `subset` is none of those above.
    ImportError
        If `as_frame` and pandas is not installed.

    Examples
    --------
    >>> from sklearn_attnft.datasets import load_support_tickets
    >>> texts, topics = load_support_tickets(subset="train", return_X_y=True)
    >>> sorted(set(topics))
    ['account', 'billing', 'bug', 'delivery', 'feature', 'howto', 'returns']
    """
    several = not isinstance(label, str)
    names = [str(name) for name in label] if several else [label]
    if not names or not set(names) <= set(LABELS):
        raise ValueError(f"label={label!r} must be among {', '.join(LABELS)}.")
    path = resources.files(__package__) / "data" / _FILE
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    chosen = [row for row in rows if subset in ("all", row["split"])]
    columns = {
        name: np.array([row[name] for row in chosen], dtype=object)
        for name in ("text", *LABELS)
    }
    frame = None
    if as_frame:
        import pandas as pd

        frame = pd.DataFrame(columns)
        data, target = frame["text"], frame[names if several else label]
    else:
        data = columns["text"]
        target = np.stack([columns[name] for name in names], axis=1)
        target = target if several else target[:, 0]
    if return_X_y:
        return data, target
    classes = {name: sorted(set(columns[name])) for name in names}
    n_train = sum(row["split"] == "train" for row in rows)
    return Bunch(
        data=data,
        target=target,
        target_names=classes if several else classes[label],
        frame=frame,
        DESCR=_DESCRIPTION.format(
            n=len(rows), n_train=n_train, n_test=len(rows) - n_train
        ),
        filename=str(path),
    )
