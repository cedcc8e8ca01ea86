# SPDX-License-Identifier: BSD-3-Clause
# ruff: noqa: D401 (the docstring of a check states its rule)
"""Checks of a classifier that learns several tasks. Each column of y is a task."""

import numpy as np

from ._data import RAGGED, corpus
from ._tags import declares_text
from ._tools import (
    FULL_BATCH,
    LONGER,
    assert_refused,
    assert_same,
    fresh,
    installed,
    outputs,
)


def _frame(estimator):
    """Return texts and a data frame of labels.

    The column "topic" has three classes, and the column "mood" has two classes.
    """
    import pandas as pd

    X, y = corpus(estimator, n_classes=3)
    return X, pd.DataFrame(y, columns=["topic", "mood"])


def _with_missing(y, value):
    """Return a copy of `y` with every fourth "mood" replaced by `value`."""
    y = y.astype(object)
    y.loc[::4, "mood"] = value
    return y


def check_columns_shapes(estimator):
    """``classes_`` and ``predict_proba`` are lists with one array per column of y.

    ``predict_log_proba`` and ``decision_function`` are such lists too. ``predict``
    returns one array.
    """
    X, y = corpus(estimator, n_classes=3)
    fitted, texts = fresh(estimator).fit(X, y), [*X, *RAGGED]
    sizes = [len(classes) for classes in fitted.classes_]
    assert sizes == [3, 2], f"classes_ has arrays of {sizes} classes, expected [3, 2]."
    predicted = np.asarray(fitted.predict(texts))
    assert predicted.shape == (len(texts), 2), (
        f"predict returned the shape {predicted.shape}, expected {(len(texts), 2)}."
    )
    for method in ("predict_proba", "predict_log_proba"):
        if hasattr(fitted, method):
            shapes = [np.shape(part) for part in getattr(fitted, method)(texts)]
            expected = [(len(texts), 3), (len(texts), 2)]
            assert shapes == expected, (
                f"{method} returned the shapes {shapes}, expected {expected}. Are the "
                "arrays transposed?"
            )
    if hasattr(fitted, "decision_function"):
        shapes = [np.shape(part) for part in fitted.decision_function(texts)]
        expected = [(len(texts), 3), (len(texts),)]
        assert shapes == expected, (
            f"decision_function returned the shapes {shapes}, expected {expected}. "
            "For two classes, return the score of the second class only."
        )


def check_columns_predict_is_argmax(estimator):
    """In each column, ``predict`` returns the class with the highest probability."""
    X, y = corpus(estimator, n_classes=3)
    fitted, texts = fresh(estimator).fit(X, y), [*X, *RAGGED]
    predicted = np.asarray(fitted.predict(texts))
    for i, proba in enumerate(fitted.predict_proba(texts)):
        np.testing.assert_allclose(proba.sum(axis=1), 1.0, rtol=1e-6)
        np.testing.assert_array_equal(
            predicted[:, i],
            fitted.classes_[i][proba.argmax(axis=1)],
            err_msg=f"In column {i}, predict must return the class with the highest "
            "probability.",
        )


def check_columns_labels_keep_their_type(estimator):
    """Labels that are str, bool or int keep their type in each column."""
    X, y = corpus(estimator, n_classes=3)
    codes = np.unique(y[:, 0], return_inverse=True)[1]
    for labels, kinds in ((["b", "a", "c"], "OUT"), ([30, -7, 500], "i")):
        given = np.empty(y.shape, dtype=object)
        given[:, 0] = [labels[code] for code in codes]
        given[:, 1] = (y[:, 1] == "low").tolist()
        classes = fresh(estimator).fit(X, given).classes_
        assert classes[0].tolist() == sorted(labels), (
            f"classes_[0] is {classes[0]}, expected {sorted(labels)}. Are the labels "
            "converted to str?"
        )
        assert classes[0].dtype.kind in kinds, (
            f"classes_[0] has the dtype {classes[0].dtype}, expected one of the dtype "
            f"kinds in {kinds!r}. Are the labels converted to str?"
        )
        assert classes[1].dtype.kind == "b", (
            f"classes_[1] is {classes[1]!r}, expected an array of bool. Are the labels "
            "converted to str?"
        )


def check_columns_order(estimator):
    """The order of the columns of y does not change what is learned."""
    X, y = _frame(estimator)
    straight = fresh(estimator).fit(X, y)
    turned = fresh(estimator).fit(X, y[["mood", "topic"]])
    for ours, its in zip(
        straight.predict_proba(X), turned.predict_proba(X)[::-1], strict=True
    ):
        np.testing.assert_allclose(
            ours,
            its,
            rtol=1e-5,
            atol=1e-6,
            err_msg="Another order of the columns must give the same probabilities. "
            "Are random numbers drawn in the order of the columns?",
        )


def check_columns_frame(estimator):
    """If y is a data frame, ``predict`` returns a data frame with the columns of y."""
    X, y = _frame(estimator)
    predicted = fresh(estimator).fit(X, y).predict(X)
    assert type(predicted) is type(y), (
        f"predict returned the type {type(predicted).__name__}, expected a DataFrame "
        "like y."
    )
    assert list(predicted.columns) == list(y), (
        f"predict returned the columns {list(predicted.columns)}, expected {list(y)}."
    )


def check_columns_learns(estimator):
    """On an easy corpus, the training accuracy is more than 0.8 in every column."""
    X, y = corpus(estimator)
    predicted = np.asarray(fresh(estimator, **LONGER).fit(X, y).predict(X))
    accuracies = (predicted == y).mean(axis=0)
    assert (accuracies > 0.8).all(), (
        f"The training accuracies of the columns are {accuracies}, expected more than "
        "0.8. Are columns exchanged, or labels assigned to the wrong texts?"
    )


def check_columns_missing_labels(estimator):
    """None, NaN and pandas.NA are missing labels and not classes."""
    import pandas as pd

    X, y = _frame(estimator)
    fits = [
        fresh(estimator).fit(X, _with_missing(y, value))
        for value in (None, np.nan, pd.NA)
    ]
    assert len(fits[0].classes_[1]) == 2, (
        f"classes_[1] is {fits[0].classes_[1]}, expected two classes. Is None a class?"
    )
    for other in fits[1:]:
        assert_same(
            outputs(other, X),
            outputs(fits[0], X),
            "None, NaN and pandas.NA in y must give the same outputs",
        )


def check_columns_partly_labeled_rows_teach(estimator):
    """A row with a missing label in one column is used to learn the other column."""
    X, y = _frame(estimator)
    hidden = y.astype(object)
    hidden.loc[hidden["topic"] == "sky", "mood"] = None
    fitted = fresh(estimator, **LONGER).fit(X, hidden)
    predicted = fitted.predict(X)["topic"].to_numpy()
    accuracy = (predicted == y["topic"]).mean()
    assert accuracy > 0.8, (
        'If labels are missing in the column "mood", the accuracy in the column '
        f'"topic" is {accuracy:.2f}, expected more than 0.8. Are rows with a missing '
        "label dropped from all columns?"
    )


def check_columns_row_without_labels(estimator):
    """A text without labels does not change what is learned."""
    X, y = corpus(estimator, n_classes=3)
    more = np.vstack([y, [[None, None]]])
    settings = {**FULL_BATCH, "lm_epochs": 0, "lm_weight": 0.0}
    assert_same(
        outputs(fresh(estimator, **settings).fit([*X, RAGGED[3]], more), X),
        outputs(fresh(estimator, **settings).fit(X, y), X),
        "A row without labels must not change what is learned (is a missing label "
        "replaced by a class?)",
        tolerance=1e-4,
    )


def check_columns_weight_two_is_row_twice(estimator):
    """Even if labels are missing, a row of weight 2 acts like two rows of weight 1."""
    X, y = corpus(estimator, n_classes=3)
    y[::4, 1] = None
    twice = np.r_[0 : len(X), 0:6]
    weights = np.ones(len(X))
    weights[:6] = 2.0
    assert_same(
        outputs(fresh(estimator, **FULL_BATCH).fit(X, y, sample_weight=weights), X),
        outputs(fresh(estimator, **FULL_BATCH).fit([X[i] for i in twice], y[twice]), X),
        "A row of weight 2 must act like two rows of weight 1 in all columns",
        tolerance=1e-4,
    )


def check_columns_score(estimator):
    """``score`` is the mean accuracy of the columns. Missing labels do not count."""
    X, y = corpus(estimator, n_classes=3)
    fitted = fresh(estimator).fit(X, y)
    truth = np.roll(y, 1, axis=0)
    truth[::3] = y[::3]
    truth[::5, 1] = None
    right = np.asarray(fitted.predict(X)) == truth
    there = truth[:, 1] != np.array(None)
    expected = (right[:, 0].mean() + right[there, 1].mean()) / 2
    np.testing.assert_allclose(
        fitted.score(X, truth),
        expected,
        err_msg="score must be the mean accuracy of the columns, computed without "
        "missing labels. Are missing labels counted as errors?",
    )


def check_columns_refused(estimator):
    """``fit`` refuses a column with fewer than two classes. The error names the column.

    The column holds only missing labels or only one class.
    """
    X, y = _frame(estimator)
    for wrong in (None, "low"):
        assert_refused(
            lambda wrong=wrong: fresh(estimator).fit(X, y.assign(mood=wrong)),
            f"fit with a column that holds only {wrong!r}",
            errors=(ValueError,),
            naming=("mood",),
        )


def check_columns_y_refused(estimator):
    """An invalid y is refused.

    The check tries None, a one-dimensional y, a continuous column, a column of str and
    numbers, rows of different lengths, and fewer rows than X.
    """
    X, y = corpus(estimator, n_classes=3)
    mixed, continuous = y.copy(), y.copy()
    mixed[0, 0] = 1
    continuous[:, 0] = np.linspace(0.1, 0.9, len(y))
    cases = {
        "y=None": None,
        "a one-dimensional y": y[:, 0],
        "str and numbers in a column of y": mixed,
        "a continuous column of y": continuous,
        "one row of y too few": y[:-1],
        "rows of different lengths in y": [*y.tolist()[:-1], ["good"]],
    }
    for what, wrong in cases.items():
        assert_refused(
            lambda wrong=wrong: fresh(estimator).fit(X, wrong),
            f"fit with {what}",
            errors=(ValueError,) if declares_text(estimator) else (Exception,),
        )


def check_columns_one_is_the_template(estimator):
    """If y has one column, the probabilities equal those of the wrapped estimator."""
    X, y = corpus(estimator, n_classes=3)
    alone = fresh(estimator).estimator.fit(X, y[:, 0].astype(str))
    ours = fresh(estimator).fit(X, y[:, :1])
    np.testing.assert_array_equal(
        ours.predict_proba([*X, *RAGGED])[0],
        alone.predict_proba([*X, *RAGGED]),
        err_msg="With one column, the probabilities must equal those of the wrapped "
        "estimator. Are the parameters of that estimator changed?",
    )


def applicable(traits):
    """Yield the checks that apply.

    If the tags do not declare text input, most checks are left out. For example,
    MultiOutputClassifier does not take missing labels, mixed types or data frames, and
    its score is the fraction of rows that are right in all columns.
    """
    if not (traits.classifier and traits.columns):
        return
    yield check_columns_shapes
    if "predict_proba" in traits.methods:
        yield check_columns_predict_is_argmax
        if not traits.tags.non_deterministic and installed("pandas"):
            yield check_columns_order
    if not traits.tags.classifier_tags.poor_score:
        yield check_columns_learns
    if not traits.tags.no_validation:
        yield check_columns_y_refused
    if not traits.text:
        return
    yield check_columns_labels_keep_their_type
    if installed("pandas"):
        yield check_columns_frame
        yield check_columns_missing_labels
        yield check_columns_partly_labeled_rows_teach
        yield check_columns_refused
    if not traits.tags.non_deterministic:
        yield check_columns_row_without_labels
        if "sample_weight" in traits.fit_takes:
            yield check_columns_weight_two_is_row_twice
    yield check_columns_score
    if "estimator" in traits.parameters and not traits.tags.non_deterministic:
        yield check_columns_one_is_the_template
