# SPDX-License-Identifier: BSD-3-Clause
"""Report the progress of a fit to the progress bar and scikit-learn's callbacks."""

import functools

from .._utils._compat import ProgressBar, ScoringMonitor
from .._utils._progress_bar import is_shown, open_bar

# The bar shows the values whose names end with one of these.
_SHOWN = "_loss", "_accuracy", "_f1", "_r2", "_d2", "_perplexity"
_NEVER_STOP = ProgressBar, ScoringMonitor  # callbacks that never end a stage


class CallbackContexts:
    """The contexts of scikit-learn's callbacks for a fit and for each epoch.

    Parameters
    ----------
    estimator : estimator
        Estimator that is fitted. Its method ``_fitted_attributes`` computes the fitted
        attributes from a FittedModel.
    n_epochs : int
        Largest possible number of epochs of all stages together.
    X, y, sample_weight : object
        Arguments of ``fit``.
    """

    def __init__(self, estimator, n_epochs, X, y=None, sample_weight=None):
        weights = None if sample_weight is None else {"sample_weight": sample_weight}
        self._estimator = estimator
        self._data = {"X": X, "y": y, "metadata": weights}
        self._fit = estimator._init_callback_context(max_subtasks=n_epochs)
        self._epochs = {}  # context of (stage, epoch), or None after the epoch
        self._fit.call_on_fit_task_begin(estimator=estimator, **self._data)

    @property
    def have_bar(self):
        """Whether a callback shows a progress bar."""
        callbacks = getattr(self._estimator, "_skl_callbacks", [])
        return any(isinstance(callback, ProgressBar) for callback in callbacks)

    @property
    def may_stop(self):
        """Whether a callback may end a stage early."""
        callbacks = getattr(self._estimator, "_skl_callbacks", [])
        return not all(isinstance(each, _NEVER_STOP) for each in callbacks)

    def begin(self, stage, epoch, model):
        """Begin an epoch, unless an earlier attempt of this fit has already begun it.

        Parameters
        ----------
        stage : Stage
        epoch : int
        model : callable or None
            Function that returns the FittedModel that would result if the fit ended
            now.
        """
        if (stage.name, epoch) not in self._epochs:
            task = self._fit.subcontext(task_name=f"{stage.name} epoch")
            self._epochs[stage.name, epoch] = task
            task.call_on_fit_task_begin(
                estimator=self._estimator,
                **self._data,
                reconstruction_attributes=self._attributes_of(model),
            )

    def end(self, stage, epoch, model):
        """End an epoch, and return whether a callback asks to end the stage."""
        task = self._epochs[stage.name, epoch]
        self._epochs[stage.name, epoch] = None
        return task is not None and task.call_on_fit_task_end(
            estimator=self._estimator,
            **self._data,
            reconstruction_attributes=self._attributes_of(model),
        )

    def skip(self, stage, epoch):
        """Report begin and end of an epoch that an earlier fit has already run."""
        if (stage.name, epoch) not in self._epochs:
            task = self._fit.subcontext(task_name=f"{stage.name} epoch")
            task.call_on_fit_task_begin(estimator=self._estimator)
            task.call_on_fit_task_end(estimator=self._estimator)
            self._epochs[stage.name, epoch] = None

    def finish(self):
        """End the context of the fit."""
        self._fit.call_on_fit_task_end(
            estimator=self._estimator, **self._data, reconstruction_attributes={}
        )

    def _attributes_of(self, model):
        return None if model is None else functools.partial(self._attributes, model)

    def _attributes(self, model):
        return self._estimator._fitted_attributes(model())


class FitProgress:
    """Progress of a fit, which the training loop updates.

    Parameters
    ----------
    verbose : int
    contexts : CallbackContexts or None

    Attributes
    ----------
    stage : Stage
        Current stage.
    is_stopped : bool
        Whether a callback has asked to end the stage.
    """

    def __init__(self, verbose=0, contexts=None):
        self.stage = None
        self.is_stopped = False
        self._contexts = contexts
        self._is_shown = is_shown(verbose) and not (contexts and contexts.have_bar)
        self._stages = []
        self._snapshot = None
        self._bar = None

    @property
    def may_stop(self):
        """Whether a callback may end a stage early."""
        return self._contexts is not None and self._contexts.may_stop

    def plan(self, stages):
        """Set the stages of the fit, at the start of each attempt."""
        self.close()
        self._stages = list(stages)
        total = sum(stage.n_epochs * stage.n_texts for stage in self._stages)
        self._bar = open_bar(self._is_shown, total=total, desc="fit")
        self._snapshot = None

    def set_snapshot(self, snapshot):
        """Set the snapshot of the current model for scikit-learn's callbacks.

        Parameters
        ----------
        snapshot : object
            Object with a method ``fitted_model(rows)``, which returns the FittedModel
            that would result if the fit ended now. `rows` is the history of the stage.
        """
        self._snapshot = snapshot

    def close(self):
        """Close the progress bar, after a complete or a failed fit."""
        if self._bar is not None:
            self._bar.close()

    def begin_stage(self):
        """Begin the next stage."""
        self.stage = self._stages.pop(0)
        self._left = self.stage.n_epochs * self.stage.n_texts
        self.is_stopped = False

    def end_stage(self):
        """End the stage, and remove epochs that were not run from the bar's total."""
        self._bar.total -= self._left
        self._bar.refresh()

    def skip_stage(self, n_epochs):
        """Count a stage that an earlier fit has completed."""
        self.begin_stage()
        self.skip(n_epochs)
        self.end_stage()

    def skip(self, n_epochs):
        """Count the epochs of this stage that an earlier fit has already run.

        Parameters
        ----------
        n_epochs : float
            Number of epochs. The last epoch may be incomplete.
        """
        n_texts = round(n_epochs * self.stage.n_texts)
        self._left -= n_texts
        if not self._bar.disable:
            self._bar.initial += n_texts  # so that the speed does not count these texts
            self._bar.n += n_texts
        for epoch in range(int(n_epochs)):
            if self._contexts is not None:
                self._contexts.skip(self.stage, epoch)

    def begin_epoch(self, epoch, rows):
        """Begin an epoch.

        Parameters
        ----------
        epoch : int
            Number of the epoch, from 0.
        rows : list of dict
            History of the earlier epochs.
        """
        stage = self.stage
        self._bar.set_description(f"fit: {stage.name} {epoch + 1}/{stage.n_epochs}")
        self._loss, self._n_steps = 0.0, 0
        if self._contexts is not None:
            self._contexts.begin(stage, epoch, self._model(rows))

    def step(self, n_texts, loss):
        """Count a training step with `n_texts` texts and a training loss."""
        self._left -= n_texts
        self._loss, self._n_steps = self._loss + loss, self._n_steps + 1
        mean = self._loss / self._n_steps
        self._bar.set_postfix({"train_loss": f"{mean:.3g}"}, refresh=False)
        self._bar.update(n_texts)

    def end_epoch(self, epoch, rows):
        """End an epoch.

        Parameters
        ----------
        epoch : int
            Number of the epoch, from 0.
        rows : list of dict
            History, which ends with the row of this epoch.
        """
        shown = {
            name: f"{value:.3g}"
            for name, value in rows[-1].items()
            if name.endswith(_SHOWN)
        }
        self._bar.set_postfix(shown)
        if self._contexts is not None:
            model = self._model(rows)
            self.is_stopped = self._contexts.end(self.stage, epoch, model)

    def finish(self):
        """Report that the estimator is fitted."""
        if self._contexts is not None:
            self._contexts.finish()

    def _model(self, rows):
        """Return a function that returns the current FittedModel.

        If no snapshot was set, return None instead.
        """
        if self._snapshot is None:
            return None
        return functools.partial(self._snapshot.fitted_model, rows)
