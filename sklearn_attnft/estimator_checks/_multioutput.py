# SPDX-License-Identifier: BSD-3-Clause
# ruff: noqa: D401 (the docstring of a check is the rule that it holds)
"""A classifier of several label sets: columns of y, with missing labels in them."""

import numpy as np

from ._data import RAGGED, corpus
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
    """Return texts and a data frame of labels: "topic" of three, "mood" of two."""
    import pandas as pd

    X, y = corpus(estimator, n_classes=3)
    return X, pd.DataFrame(y, columns=["topic", "mood"])


def _with_missing(y, value):
    """Take every fourth "mood" away."""
    y = y.astype(object)
    y.loc[::4, "mood"] = value
    return y


def check_columns_shapes(estimator):
    """An output for each column: ``classes_`` and probabilities are lists of arrays."""
    X, y = corpus(estimator, n_classes=3)
    fitted, texts = fresh(estimator).fit(X, y), [*X, *RAGGED]
    sizes = [len(classes) for classes in fitted.classes_]
    assert sizes == [3, 2], f"classes_ has {sizes} classes; the columns have [3, 2]."
    predicted = np.asarray(fitted.predict(texts))
    assert predicted.shape == (len(texts), 2), f"predict gave {predicted.shape}."
    for method in ("predict_proba", "predict_log_proba"):
        if hasattr(fitted, method):
            shapes = [np.shape(part) for part in getattr(fitted, method)(texts)]
            expected = [(len(texts), 3), (len(texts), 2)]
            assert shapes == expected, f"{method} gave {shapes}; expected {expected}."
    if hasattr(fitted, "decision_function"):
        shapes = [np.shape(part) for part in fitted.decision_function(texts)]
        expected = [(len(texts), 3), (len(texts),)]
        assert shapes == expected, f"decision_function gave {shapes}; not {expected}."


def check_columns_predict_is_argmax(estimator):
    """In each column, ``predict`` gives the class of the highest probability."""
    X, y = corpus(estimator, n_classes=3)
    fitted, texts = fresh(estimator).fit(X, y), [*X, *RAGGED]
    predicted = np.asarray(fitted.predict(texts))
    for i, proba in enumerate(fitted.predict_proba(texts)):
        np.testing.assert_allclose(proba.sum(axis=1), 1.0, rtol=1e-6)
        np.testing.assert_array_equal(
            predicted[:, i],
            fitted.classes_[i][proba.argmax(axis=1)],
            err_msg=f"In column {i}, predict differs from classes_[argmax].",
        )


def check_columns_labels_keep_their_type(estimator):
    """Labels of str, bool and int keep their type, each in its column."""
    X, y = corpus(estimator, n_classes=3)
    codes = np.unique(y[:, 0], return_inverse=True)[1]
    for labels, kinds in ((["b", "a", "c"], "OUT"), ([30, -7, 500], "i")):
        given = np.empty(y.shape, dtype=object)
        given[:, 0] = [labels[code] for code in codes]
        given[:, 1] = (y[:, 1] == "low").tolist()
        classes = fresh(estimator).fit(X, given).classes_
        assert classes[0].tolist() == sorted(labels), f"classes_[0] is {classes[0]}."
        assert classes[0].dtype.kind in kinds, f"It has the dtype {classes[0].dtype}."
        assert classes[1].dtype.kind == "b", f"classes_[1] is {classes[1]!r}."


def check_columns_order(estimator):
    """The order of the columns of a data frame changes nothing but the order."""
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
            err_msg="Columns in another order are learned otherwise. Are random "
            "numbers drawn in the order of the columns?",
        )


def check_columns_frame(estimator):
    """A data frame of labels gives data frames of predictions, with its columns."""
    X, y = _frame(estimator)
    predicted = fresh(estimator).fit(X, y).predict(X)
    assert type(predicted) is type(y), f"predict gave a {type(predicted).__name__}."
    assert list(predicted.columns) == list(y), f"Columns: {list(predicted.columns)}."


def check_columns_learns(estimator):
    """It learns all columns of an easy corpus."""
    X, y = corpus(estimator)
    predicted = np.asarray(fresh(estimator, **LONGER).fit(X, y).predict(X))
    shares = (predicted == y).mean(axis=0)
    assert (shares > 0.8).all(), (
        f"After training, {shares} of the columns' labels are right; expected more "
        "than 0.8. Are columns exchanged?"
    )


def check_columns_missing_labels(estimator):
    """None, NaN and pandas.NA are missing labels, and no classes."""
    import pandas as pd

    X, y = _frame(estimator)
    fits = [
        fresh(estimator).fit(X, _with_missing(y, value))
        for value in (None, np.nan, pd.NA)
    ]
    assert len(fits[0].classes_[1]) == 2, f"classes_[1] is {fits[0].classes_[1]}."
    for other in fits[1:]:
        assert_same(outputs(other, X), outputs(fits[0], X), "Missing labels are alike")


def check_columns_partly_labelled_rows_teach(estimator):
    """A row that lacks a label in one column still teaches the other."""
    X, y = _frame(estimator)
    hidden = y.astype(object)
    hidden.loc[hidden["topic"] == "sky", "mood"] = None
    fitted = fresh(estimator, **LONGER).fit(X, hidden)
    predicted = fitted.predict(X)["topic"].to_numpy()
    share = (predicted == y["topic"]).mean()
    assert share > 0.8, (
        f"With labels missing in another column, {share:.2f} of the topics are right; "
        "expected more than 0.8. Are rows with a missing label left out whole?"
    )


def check_columns_row_without_labels(estimator):
    """A text without any label is as good as absent."""
    X, y = corpus(estimator, n_classes=3)
    more = np.vstack([y, [[None, None]]])
    settings = {**FULL_BATCH, "lm_epochs": 0, "lm_weight": 0.0}
    assert_same(
        outputs(fresh(estimator, **settings).fit([*X, RAGGED[3]], more), X),
        outputs(fresh(estimator, **settings).fit(X, y), X),
        "A row without labels may not change what is learned",
        tolerance=1e-4,
    )


def check_columns_weight_two_is_row_twice(estimator):
    """With missing labels too, a row of weight 2 is the row twice."""
    X, y = corpus(estimator, n_classes=3)
    y[::4, 1] = None
    twice = np.r_[0 : len(X), 0:6]
    weights = np.ones(len(X))
    weights[:6] = 2.0
    assert_same(
        outputs(fresh(estimator, **FULL_BATCH).fit(X, y, sample_weight=weights), X),
        outputs(fresh(estimator, **FULL_BATCH).fit([X[i] for i in twice], y[twice]), X),
        "A row of weight 2 has to be the row twice, in all columns",
        tolerance=1e-4,
    )


def check_columns_score(estimator):
    """``score`` is the mean over columns of the accuracy where there are labels."""
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
        err_msg="score is not the mean accuracy over labelled cells.",
    )


def check_columns_refused(estimator):
    """A column without two classes is refused by its name."""
    X, y = _frame(estimator)
    for wrong in (None, "low"):
        assert_refused(
            lambda wrong=wrong: fresh(estimator).fit(X, y.assign(mood=wrong)),
            f"a column of nothing but {wrong!r}",
            errors=(ValueError,),
            naming=("mood",),
        )


def check_columns_y_refused(estimator):
    """No y, one that is flat, continuous, mixed, or of another length."""
    X, y = corpus(estimator, n_classes=3)
    mixed, continuous = y.copy(), y.copy()
    mixed[0, 0] = 1
    continuous[:, 0] = np.linspace(0.1, 0.9, len(y))
    cases = {
        "y=None": None,
        "a flat y": y[:, 0],
        "str and numbers in a column": mixed,
        "a continuous column": continuous,
        "a label too few": y[:-1],
        "rows of different lengths": [*y.tolist()[:-1], ["good"]],
    }
    for what, wrong in cases.items():
        assert_refused(
            lambda wrong=wrong: fresh(estimator).fit(X, wrong),
            what,
            errors=(ValueError,),
        )


def check_columns_one_is_the_template(estimator):
    """One column is learned as by the wrapped estimator alone."""
    X, y = corpus(estimator, n_classes=3)
    alone = fresh(estimator).estimator.fit(X, y[:, 0].astype(str))
    ours = fresh(estimator).fit(X, y[:, :1])
    np.testing.assert_array_equal(
        ours.predict_proba([*X, *RAGGED])[0],
        alone.predict_proba([*X, *RAGGED]),
        err_msg="One column gives other probabilities than the wrapped estimator.",
    )


def applicable(traits):
    """Yield the checks that apply."""
    if not (traits.classifier and traits.columns):
        return
    yield check_columns_shapes
    if "predict_proba" in traits.methods:
        yield check_columns_predict_is_argmax
    yield check_columns_labels_keep_their_type
    if installed("pandas"):
        if not traits.tags.non_deterministic and "predict_proba" in traits.methods:
            yield check_columns_order
        yield check_columns_frame
        yield check_columns_missing_labels
        yield check_columns_partly_labelled_rows_teach
        yield check_columns_refused
    if not traits.tags.non_deterministic:
        yield check_columns_row_without_labels
        if "sample_weight" in traits.fit_takes:
            yield check_columns_weight_two_is_row_twice
    if not traits.tags.classifier_tags.poor_score:
        yield check_columns_learns
    yield check_columns_score
    if not traits.tags.no_validation:
        yield check_columns_y_refused
    if "estimator" in traits.parameters and not traits.tags.non_deterministic:
        yield check_columns_one_is_the_template
