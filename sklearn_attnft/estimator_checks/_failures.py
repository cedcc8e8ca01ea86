# SPDX-License-Identifier: BSD-3-Clause
"""Checks of fits that fail or are interrupted.

scikit-learn's estimators do not keep their earlier state if ``fit`` fails. So most of
these checks apply only if the tags declare text input.
"""

import contextlib

from sklearn.base import BaseEstimator

from ._data import corpus
from ._tags import declares_text
from ._tools import assert_refused, assert_same, assert_unfitted, fresh, outputs


class _Broken(list):
    """A list of texts that raises an error when it is read."""

    def __init__(self, texts, error):
        super().__init__(texts)
        self.error = error
        self.was_read = False

    def _raise(self, *args, **kwargs):
        self.was_read = True
        raise self.error("raised by the check")

    __iter__ = __getitem__ = __array__ = _raise


class _Breaker(BaseEstimator):
    """A skorch callback that raises an error after the first training step."""

    def __init__(self, error=KeyboardInterrupt):
        self.error = error

    def initialize(self):
        return self

    def _pass(self, *args, **kwargs):
        pass

    on_train_begin = on_train_end = on_epoch_begin = on_epoch_end = _pass
    on_batch_begin = on_grad_computed = _pass

    def on_batch_end(self, *args, **kwargs):
        raise self.error("raised by the check")


def _assert_propagates(action, error, when):
    try:
        action()
    except error:
        return
    raise AssertionError(_swallowed(error.__name__, when))


def _swallowed(name, when):
    return (
        f"The check raised {name} {when}, but fit returned without an exception, so "
        "the estimator looks fitted. Does fit catch the exception?"
    )


def _assert_no_half_fit(estimator, break_fit, error, when):
    """Check that an error in ``fit`` leaves an estimator as it was before.

    After an error in the first fit, the estimator must be unfitted. After an error in a
    second fit, it must give the outputs of the first fit.

    Parameters
    ----------
    estimator : estimator
    break_fit : callable
        A function that takes an estimator, X and y. It calls ``fit`` and makes ``fit``
        raise `error`.
    error : exception type
    when : str
        The part of the message that says when `error` was raised.
    """
    X, y = corpus(estimator)
    first = fresh(estimator)
    _assert_propagates(lambda: break_fit(first, X, y), error, when)
    assert_unfitted(first, X, f"After a {error.__name__} {when} in the first fit")
    second = fresh(estimator).fit(*corpus(estimator, n_classes=3))
    before = outputs(second, X)
    _assert_propagates(lambda: break_fit(second, X, y), error, when)
    assert_same(
        outputs(second, X),
        before,
        f"After a {error.__name__} {when} in a second fit, the estimator must give the "
        "outputs of the first fit (set attributes after all steps that can fail)",
    )


def check_interrupt_in_data(estimator):
    """After Ctrl-C while ``fit`` reads data, the estimator keeps its earlier state.

    If the tags do not declare text input, the check only tests that ``fit`` does not
    catch the interrupt.
    """
    if not declares_text(estimator):
        X, y = corpus(estimator)
        texts = _Broken(X, KeyboardInterrupt)
        with contextlib.suppress(KeyboardInterrupt):
            fresh(estimator).fit(texts, y)
            assert not texts.was_read, _swallowed(
                "KeyboardInterrupt", "while the texts were read"
            )
        return

    def break_fit(estimator, X, y):
        estimator.fit(_Broken(X, KeyboardInterrupt), y)

    _assert_no_half_fit(
        estimator, break_fit, KeyboardInterrupt, "while the texts were read"
    )


def check_interrupt_in_training(estimator):
    """After Ctrl-C in a training step, the estimator keeps its earlier state."""
    _assert_no_half_fit(
        estimator,
        _break_training(KeyboardInterrupt),
        KeyboardInterrupt,
        "during training",
    )


def check_error_in_training(estimator):
    """After an error in a training step, the estimator keeps its earlier state."""
    _assert_no_half_fit(
        estimator, _break_training(RuntimeError), RuntimeError, "during training"
    )


def _break_training(error):
    def break_fit(estimator, X, y):
        estimator.set_params(callbacks=[_Breaker(error)])
        try:
            estimator.fit(X, y)
        finally:
            estimator.set_params(callbacks=None)

    return break_fit


def check_failed_fit_keeps_the_earlier_one(estimator):
    """If ``fit`` raises an error because of X, the fitted model stays as it was."""
    X, y = corpus(estimator, n_classes=3)
    fitted = fresh(estimator).fit(X, y)
    before = outputs(fitted, X)
    wrong = {"a missing text": ([None, *X[1:]], y), "no texts": ([], y[:0])}
    for what, (bad_X, bad_y) in wrong.items():
        _assert_still_fitted(fitted, bad_X, bad_y, X, before, what)


def check_failed_target_keeps_the_earlier_fit(estimator):
    """If ``fit`` raises an error because of y, the fitted model stays as it was."""
    X, y = corpus(estimator, n_classes=3)
    fitted = fresh(estimator).fit(X, y)
    before = outputs(fitted, X)
    wrong = {"one label too few": y[:-1], "one class only": y[[0] * len(y)]}
    for what, bad_y in wrong.items():
        _assert_still_fitted(fitted, X, bad_y, X, before, what)


def _assert_still_fitted(fitted, bad_X, bad_y, X, before, what):
    assert_refused(lambda: fitted.fit(bad_X, bad_y), f"A second fit with {what}")
    assert_same(
        outputs(fitted, X),
        before,
        f"After a second fit that failed because of {what}, the estimator must give "
        "the outputs of the first fit (set attributes after all steps that can fail)",
    )


def applicable(traits):
    """Yield the checks that apply.

    If the tags do not declare text input, only `check_interrupt_in_data` can apply.
    """
    validates = traits.tags.requires_fit and not traits.tags.no_validation
    if validates:
        yield check_interrupt_in_data
    if not traits.text:
        return
    if validates:
        yield check_failed_fit_keeps_the_earlier_one
        if traits.classifier:
            yield check_failed_target_keeps_the_earlier_fit
    if "callbacks" in traits.parameters:
        yield check_interrupt_in_training
        yield check_error_in_training
