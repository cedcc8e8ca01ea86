# SPDX-License-Identifier: BSD-3-Clause
"""Who is told how a fit goes: a progress bar, and scikit-learn's callbacks."""

from dataclasses import dataclass

from sklearn.callback import ProgressBar, ScoringMonitor

from .._utils._progress_bar import is_shown, open_bar

_HARMLESS = ProgressBar, ScoringMonitor  # never ask to stop


@dataclass(frozen=True)
class Stage:
    """A part of a fit: one run of the training loop.

    Attributes
    ----------
    name : {"language model head", "language model", "contrastive", "classifier"}
    n_epochs : int
        At the most.
    n_texts : int
        In an epoch; windows, of the language model.
    """

    name: str
    n_epochs: int
    n_texts: int


def most_epochs(params):
    """Return how many epochs a fit has at the most, all stages together."""
    stages = ("lm_epochs", "contrastive_epochs", "max_epochs")
    n_epochs = sum(params.get(stage, 0) for stage in stages)
    needs_head = params["lm_epochs"] or params.get("lm_weight")
    return n_epochs + 1 if needs_head else n_epochs


class CallbackContexts:
    """The tasks of a fit for scikit-learn's callbacks: the whole, and its epochs.

    Parameters
    ----------
    estimator : estimator
    params : dict
        How it is trained.
    learned : callable
        From what a fit returns to the fitted attributes, a dict.
    X, y : object
        As ``fit`` was given them.
    sample_weight : object
    """

    def __init__(self, estimator, params, learned, X, y=None, sample_weight=None):
        weights = None if sample_weight is None else {"sample_weight": sample_weight}
        self.learned = learned
        self._estimator = estimator
        self._data = {"X": X, "y": y, "metadata": weights}
        self._fit = estimator._init_callback_context(max_subtasks=most_epochs(params))
        self._epochs = {}  # task of (stage, epoch), or None when it is over
        self._fit.call_on_fit_task_begin(estimator=estimator, **self._data)

    @property
    def have_bar(self):
        """Whether one of the callbacks shows the progress already."""
        callbacks = getattr(self._estimator, "_skl_callbacks", [])
        return any(isinstance(callback, ProgressBar) for callback in callbacks)

    @property
    def may_stop(self):
        """Whether one of the callbacks is not known to let a fit run to its end."""
        callbacks = getattr(self._estimator, "_skl_callbacks", [])
        return not all(isinstance(each, _HARMLESS) for each in callbacks)

    def begin(self, stage, epoch, state):
        """Begin an epoch; an attempt that starts anew has begun some already."""
        if (stage.name, epoch) not in self._epochs:
            task = self._fit.subcontext(task_name=f"{stage.name} epoch")
            self._epochs[stage.name, epoch] = task
            task.call_on_fit_task_begin(
                estimator=self._estimator,
                **self._data,
                reconstruction_attributes=state,
            )

    def end(self, stage, epoch, state):
        """End an epoch; return whether a callback asks to stop."""
        task = self._epochs[stage.name, epoch]
        self._epochs[stage.name, epoch] = None
        return task is not None and task.call_on_fit_task_end(
            estimator=self._estimator, **self._data, reconstruction_attributes=state
        )

    def skip(self, stage, epoch):
        """Begin and end an epoch that was run before, by a fit that was killed."""
        if (stage.name, epoch) not in self._epochs:
            task = self._fit.subcontext(task_name=f"{stage.name} epoch")
            task.call_on_fit_task_begin(estimator=self._estimator)
            task.call_on_fit_task_end(estimator=self._estimator)
            self._epochs[stage.name, epoch] = None

    def finish(self):
        """End the fit, when the estimator is fitted."""
        self._fit.call_on_fit_task_end(
            estimator=self._estimator, **self._data, reconstruction_attributes={}
        )


class Watch:
    """What the training loop reports to.

    Parameters
    ----------
    verbose : int
    tasks : CallbackContexts or None

    Attributes
    ----------
    is_stopped : bool
        A callback has asked to end the stage.
    """

    is_rehearsal = False  # see _training.estimate_fit_of

    def __init__(self, verbose=0, tasks=None):
        self.is_stopped = False
        self._tasks = tasks
        self._is_shown = is_shown(verbose) and not (tasks and tasks.have_bar)
        self._stages = []
        self._model = None
        self._bar = None

    @property
    def may_stop(self):
        """Whether somebody may end a stage before its time."""
        return self._tasks is not None and self._tasks.may_stop

    def plan(self, stages):
        """Say which stages there will be, from the first on."""
        self.close()
        self._stages = list(stages)
        total = sum(stage.n_epochs * stage.n_texts for stage in self._stages)
        self._bar = open_bar(self._is_shown, total=total, desc="fit")
        self._model = None

    def sample(self, training, validation, recipe):
        """Return the tokens of the texts that are going to be run over."""
        return [part.tokens for part in (training, validation) if part is not None]

    def reveal(self, model):
        """Say what is trained from now on.

        Parameters
        ----------
        model : callable
            From the rows of the epochs to what the fit would return if it ended now.
        """
        self._model = model

    def close(self):
        """Take the bar away, whether the fit is over or failed."""
        if self._bar is not None:
            self._bar.close()

    def begin_stage(self):
        """Begin the next stage."""
        self._stage = self._stages.pop(0)
        self._left = self._stage.n_epochs * self._stage.n_texts
        self.is_stopped = False

    def end_stage(self):
        """End the stage, which may have run fewer epochs than planned."""
        self._bar.total -= self._left
        self._bar.refresh()

    def skip_stage(self, n_epochs):
        """Count a stage that was run before."""
        self.begin_stage()
        self.skip(n_epochs)
        self.end_stage()

    def skip(self, n_epochs):
        """Count epochs, and the part of one, that a fit that was killed has run."""
        n_texts = round(n_epochs * self._stage.n_texts)
        self._left -= n_texts
        if not self._bar.disable:
            self._bar.initial += n_texts  # they are not of this rate
            self._bar.n += n_texts
        for epoch in range(int(n_epochs)):
            if self._tasks is not None:
                self._tasks.skip(self._stage, epoch)

    def begin_epoch(self, epoch, rows):
        """Begin an epoch, from 0; `rows` are the history of those before it."""
        stage = self._stage
        self._bar.set_description(f"fit: {stage.name} {epoch + 1}/{stage.n_epochs}")
        self._loss, self._n_steps = 0.0, 0
        if self._tasks is not None:
            self._tasks.begin(stage, epoch, self._state(rows))

    def step(self, n_texts, loss):
        """Count a step; `loss` is its training loss, a float."""
        self._left -= n_texts
        self._loss, self._n_steps = self._loss + loss, self._n_steps + 1
        mean = self._loss / self._n_steps
        self._bar.set_postfix({"train_loss": f"{mean:.3g}"}, refresh=False)
        self._bar.update(n_texts)

    def end_epoch(self, epoch, rows):
        """End an epoch; the last of `rows` is its own."""
        shown = {
            name: f"{value:.3g}"
            for name, value in rows[-1].items()
            if name.endswith(("_loss", "_accuracy", "_perplexity"))
        }
        self._bar.set_postfix(shown)
        if self._tasks is not None:
            state = self._state(rows)
            self.is_stopped = self._tasks.end(self._stage, epoch, state)

    def finish(self):
        """Tell that the estimator is fitted."""
        if self._tasks is not None:
            self._tasks.finish()

    def _state(self, rows):
        """Return a callable that gives the fitted attributes; None: none yet."""
        if self._model is None:
            return None
        return lambda: self._tasks.learned(*self._model(rows))
