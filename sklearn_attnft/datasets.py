# SPDX-License-Identifier: BSD-3-Clause
"""A small text corpus for examples and tests."""

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

The corpus has {n} messages to the customer service of companies, such as an outdoor
shop, a software firm and a travel agency. The messages were written for this package.
Companies, persons and products are fictitious. Each message was written individually,
without a template, and with typos and emotions as in real messages.

The texts have labels for three tasks: ``topic`` (account, billing, bug, delivery,
feature, howto, returns), ``urgency`` (low, normal, high) and ``sentiment`` (negative,
neutral, positive). The split into {n_train} training and {n_test} test texts is fixed.

The corpus is for examples and tests that must not download data. A score on this corpus
does not show how well a method works on real messages. Do not publish benchmarks with
this corpus.
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
    """Load the synthetic support tickets that are included in the package.

    Parameters
    ----------
    label : {"topic", "urgency", "sentiment"} or list of them, default="topic"
        Task whose labels are the target. If a list, the target has one column per task.
    subset : {"train", "test", "all"}, default="all"
        Part of the corpus to return. The split is fixed. "all" returns the training
        texts, followed by the test texts.
    return_X_y : bool, default=False
        Whether to return ``(data, target)`` instead of a Bunch.
    as_frame : bool, default=False
        Whether to return pandas objects, which requires pandas.

    Returns
    -------
    tickets : Bunch
        An object with these attributes:

        - ``data``: the texts, an ndarray of object of shape (n_samples,). If `as_frame`
          is True, a Series.
        - ``target``: the labels, an ndarray of object of shape (n_samples,), or of
          shape (n_samples, n_tasks) if `label` is a list. If `as_frame` is True, a
          Series or DataFrame.
        - ``target_names``: the sorted list of classes. If `label` is a list, a dict
          with such a list for each task.
        - ``frame``: a DataFrame of the texts and all labels. If `as_frame` is False,
          None.
        - ``DESCR``: a description of the corpus.
        - ``filename``: the path of the data file.

        If `return_X_y` is True, the tuple ``(data, target)`` is returned.

    Raises
    ------
    ValueError
        If `label` or `subset` is not one of the values listed above.
    ImportError
        If `as_frame` is True and pandas is not installed.

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
        raise ValueError(
            f"`label` must be one or more of {', '.join(LABELS)}, got {label!r}. "
            "For example, pass label='topic'."
        )
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
