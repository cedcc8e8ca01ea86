# SPDX-License-Identifier: BSD-3-Clause
"""The classifier of several tasks on one encoder."""

import copy
from collections.abc import Mapping

import numpy as np
from sklearn.base import (
    ClassifierMixin,
    ClassNamePrefixFeaturesOutMixin,
    MetaEstimatorMixin,
    TransformerMixin,
    _fit_context,
    clone,
)
from sklearn.utils._param_validation import HasMethods, StrOptions
from sklearn.utils.validation import check_is_fitted

from ._base import FineTuningEstimator, TextEstimator
from ._data._labeled import LabeledTexts, weigh
from ._data._targets import fit_target, restore_target
from ._data._validation import (
    check_texts,
    check_unlabeled,
    check_validation_pair,
    check_weights,
)
from ._data._validation_tasks import (
    check_no_callbacks,
    check_task,
    check_task_weights,
    check_tasks,
)
from ._fit._plan import FitData
from ._fit._tasks import TASK_PARAMETERS, Tasks
from ._task_scorer import TaskScorer
from ._utils._one_fit import reads_one_fit

FRAMES = ("pandas", "polars")  # y in these gives predictions in these
# Texts of a task with n labels are sampled in proportion to n ** -x.
SAMPLING = {"proportional": 0.0, "sqrt": 0.5, "uniform": 1.0}


@reads_one_fit
class MultiTaskClassifier(
    ClassifierMixin,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    MetaEstimatorMixin,
    FineTuningEstimator,
):
    """Fine-tune one pretrained encoder on several classification tasks.

    Each task has its own attention over layers and tokens, and its own head. They share
    the encoder, which reads each text once. Texts may lack the labels of some tasks;
    missing labels are left out of the loss.

    Parameters
    ----------
    estimator : AttentionFineTuneClassifier
        An unfitted classifier whose parameters say how to train.
    task_weights : dict, "uncertainty" or None, default=None
        Weights of the tasks in the loss: a dict from names to positive numbers, 1 for
        tasks that it does not have; their scale does not matter. If "uncertainty", they
        are learned as the noise of each task (Kendall et al. 2018). If None, all
        weights are equal.
    task_sampling : {"proportional", "sqrt", "uniform"}, default="proportional"
        How often texts are seen if tasks differ in their number of labels.
        "proportional" shows each text once per epoch. "uniform" samples a text in
        inverse proportion to the number of labels of its rarest task, so that texts of
        small tasks are seen several times and some of the others not at all; the length
        of an epoch stays the same. "sqrt" is between them.
    task_params : dict or None, default=None
        From names of tasks to parameters that replace those of `estimator`: "pooling",
        "head", "dropout", "label_smoothing" and "class_weight".
    validation_task : object, default=None
        Name of the task whose accuracy decides on early stopping. If None, the mean
        over all tasks decides.

    Attributes
    ----------
    task_names_ : list
        The columns of a data frame, the keys of a mapping, or else 0, 1, ...
    classes_ : list of ndarray
        The labels of each task, sorted.
    module_ : torch.nn.Module
        The trained encoder, and attention and head of each task.
    history_ : list of dict
        As that of the `estimator`. "valid_accuracy" is the mean over the tasks, and
        "valid_accuracy_NAME" that of one task.
    n_iter_ : int
        Number of epochs of the classifier.
    n_samples_fit_ : int
        Number of texts given to ``fit``.
    truncated_fraction_ : float
        Fraction of the training texts that were truncated.

    See Also
    --------
    AttentionFineTuneClassifier : One task.

    Notes
    -----
    Under metadata routing, request sample weights, validation texts and unlabeled texts
    from this estimator, not from `estimator`.

    Give searches a splitter, ``cv=KFold(5, shuffle=True)``. With an integer `cv`,
    scikit-learn does not shuffle, and fails to sort missing labels. Its
    ``cross_val_predict`` with probabilities encodes the labels of y itself, and makes a
    class of the missing ones.

    References
    ----------
    Kendall, Gal and Cipolla (2018), "Multi-Task Learning Using Uncertainty to Weigh
    Losses for Scene Geometry and Semantics", arXiv 1705.07115.

    Examples
    --------
    >>> from sklearn_attnft import AttentionFineTuneClassifier, MultiTaskClassifier
    >>> texts = ["I love the food", "Great staff", "I hate the food", "Awful staff"] * 4
    >>> labels = [["good", "food"], ["good", None], ["bad", "food"], ["bad", "staff"]]
    >>> clf = AttentionFineTuneClassifier(max_epochs=5, batch_size=4, random_state=0)
    >>> clf = MultiTaskClassifier(clf).fit(texts, labels * 4)
    >>> clf.predict(["The food is terrible", "Lovely staff"])
    array([['bad', 'food'],
           ['good', 'staff']], dtype=object)
    """

    _parameter_constraints = {
        "estimator": [HasMethods(["fit", "predict_proba", "get_params"])],
        "task_weights": [Mapping, StrOptions({"uncertainty"}), None],
        "task_sampling": [StrOptions(set(SAMPLING))],
        "task_params": [Mapping, None],
        "validation_task": "no_validation",
    }

    def __init__(
        self,
        estimator,
        *,
        task_weights=None,
        task_sampling="proportional",
        task_params=None,
        validation_task=None,
    ):
        self.estimator = estimator
        self.task_weights = task_weights
        self.task_sampling = task_sampling
        self.task_params = task_params
        self.validation_task = validation_task

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y, sample_weight=None, X_val=None, y_val=None, X_unlabeled=None):
        """Fine-tune the pretrained encoder on all tasks.

        Parameters
        ----------
        X : array-like of str, shape (n_samples,)
            Texts.
        y : array-like of shape (n_samples, n_tasks), data frame, or mapping
            A column for each task. A mapping is from names to columns, or to a matrix
            of 0 and 1 with a column for each class. Labels are str, bool or int; sets
            of them if a text may have several; ``None``, NaN or ``pandas.NA`` if they
            are missing. Texts without any label are used by the language model, with
            ``estimator__lm_epochs`` or ``estimator__lm_weight``.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the texts in the loss, at least 0; their scale does not matter.
        X_val : array-like of str, shape (n_validation_samples,), default=None
            Texts that are scored after each epoch into ``history_``. With
            ``estimator__early_stopping=True`` they decide when to stop.
        y_val : as `y`, default=None
            Labels of `X_val`.
        X_unlabeled : array-like of str, shape (n_unlabeled_samples,), default=None
            More texts for the language model.

        Returns
        -------
        self : MultiTaskClassifier

        Raises
        ------
        ValueError
            As the `estimator`, and if a task has fewer than two classes, or a parameter
            names a task that y does not have.
        TypeError
            If `X` holds anything else than str, or `estimator` has another type.
        """
        return self._fit(X, y, sample_weight, X_val, y_val, X_unlabeled)

    def estimate_fit(
        self, X, y, sample_weight=None, X_val=None, y_val=None, X_unlabeled=None
    ):
        """Estimate time and memory of ``fit`` on this machine.

        :meth:`AttentionFineTuneClassifier.estimate_fit` describes how.

        Parameters
        ----------
        X : array-like of str, shape (n_samples,)
            All arguments are those of :meth:`fit`.
        y : array-like
        sample_weight : array-like of shape (n_samples,), default=None
        X_val : array-like of str, shape (n_validation_samples,), default=None
        y_val : array-like, default=None
        X_unlabeled : array-like of str, shape (n_unlabeled_samples,), default=None

        Returns
        -------
        estimate : FitEstimate
        """
        return self._estimate_fit(X, y, sample_weight, X_val, y_val, X_unlabeled)

    def _check_data(self, X, y, sample_weight, X_val, y_val, X_unlabeled):
        """Check the arguments of fit; return the parameters and the FitData."""
        texts = check_texts(X)
        parameters = self._check_estimator()
        check_no_callbacks(self.estimator)
        columns = check_tasks(y, len(texts))
        # The module has its own order, so that the order of the columns has no effect.
        targets = [fit_target(columns[task], task) for task in _sorted(columns)]
        tasks = self._tasks(targets)
        weights = check_weights(sample_weight, len(texts))
        data = _labeled(texts, columns, targets, weights, "y")
        validation = _check_validation(X_val, y_val, targets)
        more = check_unlabeled(X_unlabeled, parameters)
        has_none = (weights > 0) & ~data.weights.any(axis=1)
        unlabeled = [texts[i] for i in np.flatnonzero(has_none)] + more
        class_weights = [own["class_weight"] for own in tasks.merged(parameters)]
        data = weigh(data, tasks.targets, class_weights)
        return parameters, FitData(
            tasks,
            data,
            validation,
            unlabeled,
            len(texts),
            task_names=list(columns),
            y_container=_container(y),
        )

    def _fitted_attributes(self, model):
        return {
            **super()._fitted_attributes(model),
            "task_names_": [target.name for target in model.targets],
            "classes_": [target.classes for target in model.targets],
            "_targets": [target.as_dict() for target in model.targets],
            "_container": model.y_container,
        }

    @property
    def _template(self):
        return self.estimator

    def _check_estimator(self):
        """Check the parameter `estimator`; return its parameters."""
        is_ours = isinstance(self.estimator, TextEstimator)
        parameters = self.estimator._parameters() if is_ours else {}
        if not {"lm_weight", *TASK_PARAMETERS} <= set(parameters):
            raise TypeError(
                "`estimator` must be an instance of AttentionFineTuneClassifier, got "
                f"{self.estimator!r:.80}. Put steps before it around the "
                "MultiTaskClassifier: make_pipeline(step, MultiTaskClassifier(...))."
            )
        self.estimator._validate_params()
        return parameters

    def _tasks(self, targets):
        """Check the parameters of each task; return the Tasks."""
        names = [target.name for target in targets]
        own = self.task_params or {}
        weights = self.task_weights
        if weights != "uncertainty":
            weights = check_task_weights(weights or {}, names)
        for task, parameters in own.items():
            check_task(task, names, "task_params")
            is_dict = isinstance(parameters, Mapping)
            if not is_dict or not set(parameters) <= set(TASK_PARAMETERS):
                raise ValueError(
                    f"task_params[{task!r}] must be a dict with keys among "
                    f"{', '.join(TASK_PARAMETERS)}, got {parameters!r:.100}."
                )
            clone(self.estimator).set_params(**parameters)._validate_params()
        if self.validation_task is not None:
            check_task(self.validation_task, names, "validation_task")
        return Tasks(
            tuple(targets),
            tuple(own.get(name, {}) for name in names),
            None if weights == "uncertainty" else weights,
            SAMPLING[self.task_sampling],
            self.validation_task,
        )

    def _restored_targets(self):
        """Return the targets in the order of ``task_names_``."""
        return [restore_target(stored) for stored in self._targets]

    def _check_consistent(self):
        self._check_estimator()
        super()._check_consistent()
        self._tasks(self._restored_targets())

    def _targets_of_heads(self):
        targets, names = self._restored_targets(), list(self.task_names_)
        found = [target.name for target in targets]
        classes = [target.classes.tolist() for target in targets]
        if (found, classes) != (names, [each.tolist() for each in self.classes_]):
            raise ValueError(
                "task_names_ and classes_ must be those of the tasks, which are "
                f"{found!r:.200}, got {names!r:.200}, or classes_ differ."
            )
        in_order = sorted(targets, key=lambda target: str(target.name))
        return [target.as_head() for target in in_order]

    def _split_tasks(self, values, sizes):
        """Split (n_samples, sum of sizes) into tasks, in the order of y's columns.

        `sizes` are in the order in which the module has the tasks.
        """
        parts = np.split(values, np.cumsum(sizes)[:-1], axis=1)
        by_task = dict(zip(_sorted(self.task_names_), parts, strict=True))
        return [by_task[name] for name in self.task_names_]

    def _task_logits(self, X):
        """Return each target with its logits, float64, (n_samples, n_classes)."""
        logits = self._float64_logits(X)
        sizes = [task.n_outputs for task in self._spec.tasks]
        logits = self._split_tasks(logits, sizes)
        return list(zip(self._restored_targets(), logits, strict=True))

    def predict(self, X):
        """Return the most probable label of each task.

        Parameters
        ----------
        X : array-like of str, shape (n_samples,)

        Returns
        -------
        labels : ndarray of shape (n_samples, n_tasks), data frame, or dict
            The container has the same type as `y` of ``fit``. An array has the type
            that all labels have, if it is bool, int or float; else it has objects.
        """
        columns = {
            target.name: target.cells(logits) for target, logits in self._task_logits(X)
        }
        if self._container == "mapping":
            return columns
        if self._container == "pandas":
            import pandas as pd

            return pd.DataFrame(columns, index=X.index if hasattr(X, "iloc") else None)
        if self._container == "polars":
            import polars as pl

            return pl.DataFrame({name: list(cells) for name, cells in columns.items()})
        return _as_array(list(columns.values()))

    def predict_proba(self, X):
        """Return the probabilities of the classes of each task.

        Parameters
        ----------
        X : array-like of str, shape (n_samples,)

        Returns
        -------
        probabilities : list of ndarray of float64, each (n_samples, n_classes)
            Ordered as ``task_names_`` and ``classes_``. Rows sum to 1, except for
            tasks with several labels per text, where each class has its own
            probability.
        """
        return [target.probabilities(logits) for target, logits in self._task_logits(X)]

    def predict_log_proba(self, X):
        """Return the logarithms of the probabilities.

        Parameters
        ----------
        X : array-like of str, shape (n_samples,)

        Returns
        -------
        log_probabilities : list of ndarray of float64, each (n_samples, n_classes)
        """
        return [
            target.log_probabilities(logits) for target, logits in self._task_logits(X)
        ]

    def decision_function(self, X):
        """Return the scores of the heads.

        Parameters
        ----------
        X : array-like of str, shape (n_samples,)

        Returns
        -------
        scores : list of ndarray of float64, each (n_samples, n_classes)
            Logits. With two classes the shape is (n_samples,), as for the `estimator`.
            If the classes of every task are 0 and 1, `scores` is one array of shape
            (n_samples, n_tasks), which the metrics of scikit-learn take.
        """
        scores = [target.decision(logits) for target, logits in self._task_logits(X)]
        is_binary = all(
            target.kind == "labels" and target.classes.tolist() == [0, 1]
            for target in self._restored_targets()
        )
        return np.column_stack(scores) if is_binary else scores

    def transform(self, X):
        """Return the context vectors of all tasks, side by side.

        Parameters
        ----------
        X : array-like of str, shape (n_samples,)

        Returns
        -------
        X_out : ndarray of float32, shape (n_samples, n_features)
            Or a data frame, as set by ``set_output``.
        """
        contexts = self._forward(X, "contexts")
        sizes = [self._spec.context_size(task) for task in self._spec.tasks]
        return np.hstack(self._split_tasks(contexts, sizes))

    def score(self, X, y, sample_weight=None):
        """Return the mean over the tasks of the accuracy on labeled texts.

        Parameters
        ----------
        X : array-like of str, shape (n_samples,)
        y : as in ``fit``
            Tasks without any label here are left out.
        sample_weight : array-like of shape (n_samples,), default=None

        Returns
        -------
        score : float
        """
        check_is_fitted(self, "module_")
        fitted = copy.copy(self)  # another thread may fit it
        X = check_texts(X)
        columns = _columns(y, len(X), fitted.task_names_, "y")
        weights = check_weights(sample_weight, len(X))
        scores = [
            target.score(columns[target.name], logits, weights)
            for target, logits in fitted._task_logits(X)
        ]
        scores = [score for score in scores if score is not None]
        if not scores:
            raise ValueError("y must have labels to score with, got none.")
        return float(np.mean(scores))

    def task(self, name):
        """Return a classifier of one task that shares the weights.

        Parameters
        ----------
        name : object
            One of ``task_names_``.

        Returns
        -------
        classifier : estimator of the type of `estimator`, fitted
            Use it for calibration (``CalibratedClassifierCV(FrozenEstimator(...))``),
            displays, or as a model of its own. For a task with several labels per text
            it predicts a matrix of 0 and 1.
        """
        check_is_fitted(self, "module_")
        check_task(name, self.task_names_, "name")
        own = (self.task_params or {}).get(name, {})
        view = clone(self.estimator).set_params(**own)
        i = _sorted(self.task_names_).index(name)
        shared = ("truncated_fraction_", "n_samples_fit_", "n_iter_", "_tokenizer")
        vars(view).update({each: getattr(self, each) for each in shared})
        view.module_, view._spec = self.module_.only(i), self._spec.only(i)
        view.classes_ = self.classes_[self.task_names_.index(name)]
        view.history_ = list(self.history_)
        view._base_model = self._base_model
        return view

    @staticmethod
    def task_scorer(name, metric):
        """Return a scorer of one task, for ``GridSearchCV`` and ``cross_validate``.

        Parameters
        ----------
        name : object
            Name of the task: a column or key of y.
        metric : str or callable
            A scorer of scikit-learn ("accuracy", "f1_macro", "roc_auc", ...). It gets
            the texts that have a label, and probabilities.

        Returns
        -------
        scorer : callable
            Takes an estimator, X and y and returns a number. The estimator may be a
            pipeline that ends in a MultiTaskClassifier, or a search. Each scorer runs
            the encoder. With metadata routing, it requests what its
            ``set_score_request`` says.
        """
        return TaskScorer(name, metric)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        tags.target_tags.single_output = False
        tags.classifier_tags.multi_label = False
        tags.transformer_tags.preserves_dtype = []
        return tags


def _sorted(names):
    """Return names of tasks in the order in which the module has them."""
    return sorted(names, key=str)


def _as_array(columns):
    """Return columns of labels as one array; metrics do not take numbers as objects."""
    kinds = {column.dtype.kind for column in columns}
    if len(kinds) == 1 and kinds <= set("biuf"):
        return np.column_stack(columns)
    array = np.empty((len(columns[0]), len(columns)), dtype=object)
    for i, column in enumerate(columns):
        array[:, i] = column
    return array


def _labeled(texts, columns, targets, weights, name):
    """Return texts and columns of y as LabeledTexts."""
    encoded = [target.encode(columns[target.name], name) for target in targets]
    labels, present = zip(*encoded, strict=True)
    return LabeledTexts(texts, labels, weights[:, None] * np.column_stack(present))


def _check_validation(X_val, y_val, targets):
    """Check validation texts and labels, which come together; return LabeledTexts."""
    if not check_validation_pair(X_val, y_val):
        return None
    texts = check_texts(X_val, "X_val")
    names = [target.name for target in targets]
    columns = _columns(y_val, len(texts), names, "y_val")
    data = _labeled(texts, columns, targets, np.ones(len(texts)), "y_val")
    if not data.weights.any():
        raise ValueError("y_val must have labels to validate with, got none.")
    return data


def _columns(y, n_texts, names, name):
    """Return the columns of y; check that they are the tasks that were fitted."""
    columns = check_tasks(y, n_texts, name)
    if set(columns) != set(names):
        raise ValueError(
            f"{name} must have the tasks of fit, {names!r:.200}, got "
            f"{list(columns)!r:.200}."
        )
    return columns


def _container(y):
    """Return the kind of container of `y`, in which predictions are returned."""
    if isinstance(y, Mapping):
        return "mapping"
    if not hasattr(y, "columns"):
        return "array"
    # Subclasses of a pandas data frame are data frames too.
    modules = [base.__module__.split(".")[0] for base in type(y).__mro__]
    return next((each for each in modules if each in FRAMES), "mapping")
