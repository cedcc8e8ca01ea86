# SPDX-License-Identifier: BSD-3-Clause
"""Classifier of several tasks with one encoder."""

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
from ._data._label_matrix import HasClasses
from ._data._labeled import LabeledTexts
from ._data._labels import warn_if_marked
from ._data._pairs import InputKind, check_texts_or_pairs, check_unlabeled
from ._data._targets import fit_target, restore_target
from ._data._validation import check_validation_pair, check_weights
from ._data._validation_tasks import (
    check_no_callbacks,
    check_task,
    check_task_weights,
    check_tasks,
)
from ._fit._plan import FitData
from ._fit._tasks import TASK_PARAMETERS, Tasks
from ._task_scorer import TaskScorer
from ._utils._messages import shorten
from ._utils._one_fit import reads_one_fit

FRAMES = ("pandas", "polars")  # predict returns a frame of the same type as y
# Exponents x. A text of a task with n labeled texts is sampled in proportion to
# n ** -x.
SAMPLING = {"proportional": 0.0, "sqrt": 0.5, "uniform": 1.0}


@reads_one_fit
class MultiTaskClassifier(
    ClassifierMixin,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    MetaEstimatorMixin,
    HasClasses,
    FineTuningEstimator,
):
    """Fine-tune one pretrained encoder on several classification tasks.

    Each task has its own attention over layers and tokens, and its own head. All tasks
    share the encoder, which reads each text once. A text may have no label for some of
    the tasks. The loss ignores missing labels.

    Parameters
    ----------
    estimator : AttentionFineTuneClassifier
        Unfitted classifier. Its parameters configure the model and the training.
    task_weights : dict, "uncertainty" or None, default=None
        Weights of the tasks in the loss. A dict maps names of tasks to positive
        numbers. Tasks that are not in the dict have weight 1. Only the ratios of the
        weights matter. If "uncertainty", the weights are learned from the uncertainty
        of each task (Kendall et al. 2018). If None, all weights are equal.
    task_sampling : {"proportional", "sqrt", "uniform"}, default="proportional"
        How often texts are sampled if some tasks have more labeled texts than others.
        "proportional" reads each text once per epoch. "uniform" samples a text more
        often if its task has few labeled texts. With "uniform", an epoch reads such
        texts several times and skips some texts of tasks with many labeled texts.
        "sqrt" is a compromise between "proportional" and "uniform". The number of texts
        per epoch is always the same.
    task_params : dict or None, default=None
        Parameters of single tasks. The dict maps the name of a task to a dict of
        parameters, which replace the parameters of `estimator` for this task. Allowed
        parameters are "pooling", "head", "dropout", "label_smoothing", "class_weight"
        and "label_texts". If None, all tasks have the parameters of `estimator`.
    validation_task : object, default=None
        Name of the task whose accuracy decides when to stop early. If None, the mean
        accuracy over all tasks decides. If `y` has only one task and a text can have
        several labels, the micro-averaged F1 score decides.

    Attributes
    ----------
    task_names_ : list
        Names of the tasks. The names are the columns of a data frame or the keys of a
        mapping. For an array, the names are 0, 1, ...
    classes_ : list of ndarray
        Sorted class labels of each task. If the labels are a matrix of 0 and 1, the
        names of its columns, or 0, 1, ... if the columns have no names.
    module_ : torch.nn.Module
        The trained encoder, with the attention and the head of each task.
    history_ : list of dict
        One dict per epoch. :class:`AttentionFineTuneClassifier` describes the keys.
        "valid_accuracy" is the mean accuracy over the tasks, and "valid_accuracy_NAME"
        is the accuracy of one task.
    n_iter_ : int
        Number of epochs for which the classifier was trained.
    n_samples_fit_ : int
        Number of texts given to ``fit``.
    n_texts_in_ : int
        Number of texts of each sample: 1, or 2 for pairs.
    feature_names_in_ : ndarray of shape (2,)
        Column names. Defined only if `X` of ``fit`` was a data frame of pairs.
    truncated_fraction_ : float
        Fraction of the training texts that were truncated. With
        ``estimator__long_texts="window"``, the fraction is 0.

    See Also
    --------
    AttentionFineTuneClassifier : Classifier of a single task.

    Notes
    -----
    If metadata routing is enabled, call ``set_fit_request`` of the MultiTaskClassifier,
    not of `estimator`.

    In a search, pass a splitter such as ``cv=KFold(5, shuffle=True)``. With an integer
    `cv`, scikit-learn does not shuffle the texts, and raises an error if labels are
    missing. Do not use ``cross_val_predict`` of scikit-learn for probabilities if
    labels are missing, because scikit-learn treats missing labels as a class.

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
    >>> clf.predict(["The food is terrible", "The staff is friendly"])
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
        X : array-like of str, shape (n_samples,) or (n_samples, 2)
            Texts: a list, tuple, array, pandas or polars Series, or a data frame with
            one column. For pairs of texts, pass two columns or a list of tuples. The
            encoder reads the two texts of a pair together.
        y : array-like of shape (n_samples, n_tasks), data frame, or mapping
            Labels, with one column per task. A mapping maps the name of a task to a
            column, or to a matrix of 0 and 1 with one column per class. Labels are str,
            bool or int. If a text can have several labels, each cell of the column is a
            set of labels. Missing labels are ``None``, NaN or ``pandas.NA``. Texts
            without any label are used in the same way as `X_unlabeled`.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the texts in the loss, at least 0. Only the ratios of the weights
            matter.
        X_val : array-like of str, as `X`, default=None
            Validation texts. Loss and accuracy on these texts are computed after each
            epoch and stored in ``history_``. With ``estimator__early_stopping=True``,
            this accuracy decides when to stop.
        y_val : as `y`, default=None
            Labels of `X_val`.
        X_unlabeled : array-like of str, as `X`, default=None
            Additional texts for the language model. ``fit`` uses these texts only if
            ``estimator__lm_epochs`` or ``estimator__lm_weight`` is above 0.

        Returns
        -------
        self : MultiTaskClassifier

        Raises
        ------
        ValueError
            For the reasons given in :meth:`AttentionFineTuneClassifier.fit`, or if
            `task_weights`, `task_params` or `validation_task` contains the name of a
            task that is not in `y`.
        TypeError
            If `X` has an element that is not a str, or if `estimator` is not an
            AttentionFineTuneClassifier.
        """
        return self._fit(X, y, sample_weight, X_val, y_val, X_unlabeled)

    def estimate_fit(
        self, X, y, sample_weight=None, X_val=None, y_val=None, X_unlabeled=None
    ):
        """Estimate time and memory of ``fit`` on this machine.

        :meth:`AttentionFineTuneClassifier.estimate_fit` describes the method. The
        arguments are those of :meth:`fit`.

        Parameters
        ----------
        X : array-like of str, shape (n_samples,) or (n_samples, 2)
        y : array-like
        sample_weight : array-like of shape (n_samples,), default=None
        X_val : array-like of str, as `X`, default=None
        y_val : array-like, default=None
        X_unlabeled : array-like of str, as `X`, default=None

        Returns
        -------
        estimate : FitEstimate
        """
        return self._estimate_fit(X, y, sample_weight, X_val, y_val, X_unlabeled)

    def _check_data(self, X, y, sample_weight, X_val, y_val, X_unlabeled):
        """Check the arguments of fit and return the parameters and the FitData."""
        texts = check_texts_or_pairs(X)
        parameters = self._check_estimator()
        check_no_callbacks(self.estimator)
        columns = check_tasks(y, len(texts))
        # The module sorts the tasks, so that the order of the columns has no effect.
        targets = [fit_target(columns[task], task) for task in _sorted(columns)]
        tasks = self._tasks(targets)
        weights = check_weights(sample_weight, len(texts))
        data = _labeled(texts, columns, targets, weights, "y")
        for task, target in enumerate(targets):
            if target.kind == "labels":
                known = data.weights[:, task] > 0
                warn_if_marked(target.classes, data.labels[task][known], target.name)
        kind = InputKind.of(X, texts)
        validation = _check_validation(X_val, y_val, kind, targets)
        more = check_unlabeled(X_unlabeled, parameters)
        has_none = (weights > 0) & ~data.weights.any(axis=1)
        unlabeled = [texts[i] for i in np.flatnonzero(has_none)] + more
        tasks, data = tasks.weigh(data, parameters)
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
        """Check `estimator` and return its parameters as a dict."""
        is_ours = isinstance(self.estimator, TextEstimator)
        parameters = self.estimator._parameters() if is_ours else {}
        if not {"lm_weight", *TASK_PARAMETERS} <= set(parameters):
            raise TypeError(
                "`estimator` must be an instance of AttentionFineTuneClassifier, got "
                f"{shorten(self.estimator, 80)}. To add preprocessing steps, use "
                "make_pipeline(step, MultiTaskClassifier(...))."
            )
        self.estimator._validate_params()
        return parameters

    def _tasks(self, targets):
        """Check the parameters of each task and return the Tasks."""
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
                    f"{', '.join(TASK_PARAMETERS)}, got {shorten(parameters, 100)}. "
                    "Set other parameters on `estimator`, for all tasks."
                )
            try:
                clone(self.estimator).set_params(**parameters)._validate_params()
            except ValueError as error:
                raise ValueError(f"In task_params[{task!r}]: {error}") from error
        if self.validation_task is not None:
            check_task(self.validation_task, names, "validation_task")
        return Tasks(
            tuple(targets),
            tuple(own.get(name, {}) for name in names),
            None if weights == "uncertainty" else weights,
            SAMPLING[self.task_sampling],
            self.validation_task,
        )

    def _fitted_targets(self):
        """Return the targets in the order of ``task_names_``."""
        return [restore_target(stored) for stored in self._targets]

    def _check_consistent(self):
        self._check_estimator()
        super()._check_consistent()
        self._tasks(self._fitted_targets())

    def _targets_of_heads(self):
        targets, names = self._fitted_targets(), list(self.task_names_)
        found = [target.name for target in targets]
        classes = [target.classes.tolist() for target in targets]
        if found != names:
            raise ValueError(
                "task_names_ must equal the task names in _targets "
                f"({shorten(found, 200)}), got {shorten(names, 200)}."
            )
        if classes != [each.tolist() for each in self.classes_]:
            raise ValueError(
                "classes_ must equal the classes in _targets "
                f"({shorten(classes, 200)}), got {shorten(self.classes_, 200)}."
            )
        in_order = sorted(targets, key=lambda target: str(target.name))
        return [target.as_head() for target in in_order]

    def _split_tasks(self, values, sizes):
        """Return the columns of each task, in the order of ``task_names_``.

        Parameters
        ----------
        values : ndarray of shape (n_samples, sum of sizes)
            Values of all tasks, in the order of the tasks in ``module_``.
        sizes : list of int
            Number of columns of each task, in the order of the tasks in ``module_``.
        """
        parts = np.split(values, np.cumsum(sizes)[:-1], axis=1)
        by_task = dict(zip(_sorted(self.task_names_), parts, strict=True))
        return [by_task[name] for name in self.task_names_]

    def _task_logits(self, X):
        """Return a list of pairs (target, logits), with one pair for each task."""
        logits = self._float64_logits(X)
        sizes = [task.n_outputs for task in self._spec.tasks]
        logits = self._split_tasks(logits, sizes)
        return list(zip(self._fitted_targets(), logits, strict=True))

    def predict(self, X):
        """Return the most probable label of each task.

        Parameters
        ----------
        X : array-like of str, shape (n_samples,) or (n_samples, 2)

        Returns
        -------
        labels : ndarray of shape (n_samples, n_tasks), data frame, or dict
            Labels, in a container of the same type as `y` of ``fit``. The data type of
            an array is bool, int or float if the labels of all tasks have this type.
            Otherwise, the data type is object.
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
        X : array-like of str, shape (n_samples,) or (n_samples, 2)

        Returns
        -------
        probabilities : list of ndarray of float64, each (n_samples, n_classes)
            One array for each task, in the order of ``task_names_``. The columns are in
            the order of ``classes_``. Each row sums to 1, except for tasks with several
            labels per text.
        """
        return [target.probabilities(logits) for target, logits in self._task_logits(X)]

    def predict_log_proba(self, X):
        """Return the logarithms of the probabilities of the classes of each task.

        Parameters
        ----------
        X : array-like of str, shape (n_samples,) or (n_samples, 2)

        Returns
        -------
        log_probabilities : list of ndarray of float64, each (n_samples, n_classes)
            One array for each task, in the order of ``task_names_``. The columns are in
            the order of ``classes_``.
        """
        return [
            target.log_probabilities(logits) for target, logits in self._task_logits(X)
        ]

    def decision_function(self, X):
        """Return the scores of the heads.

        Parameters
        ----------
        X : array-like of str, shape (n_samples,) or (n_samples, 2)

        Returns
        -------
        scores : list of ndarray of float64, each (n_samples, n_classes)
            Logits: one array for each task. If a task has two classes and one label per
            text, its array has the shape (n_samples,), as in ``decision_function`` of
            `estimator`. If the classes of every task are 0 and 1, `scores` is one array
            of shape (n_samples, n_tasks), which the metrics of scikit-learn accept.
        """
        scores = [target.decision(logits) for target, logits in self._task_logits(X)]
        is_binary = all(
            target.kind == "labels" and target.classes.tolist() == [0, 1]
            for target in self._fitted_targets()
        )
        return np.column_stack(scores) if is_binary else scores

    def transform(self, X):
        """Return the context vectors of all tasks, concatenated.

        Parameters
        ----------
        X : array-like of str, shape (n_samples,) or (n_samples, 2)

        Returns
        -------
        X_out : ndarray of float32, shape (n_samples, n_features)
            Context vectors, in the order of ``task_names_``. ``set_output`` can change
            the result to a data frame.
        """
        contexts = self._forward(X, "contexts", self.estimator.verbose)
        sizes = [self._spec.context_size(task) for task in self._spec.tasks]
        return np.hstack(self._split_tasks(contexts, sizes))

    def score(self, X, y, sample_weight=None):
        """Return the mean accuracy over the tasks. Missing labels are ignored.

        Parameters
        ----------
        X : array-like of str, shape (n_samples,) or (n_samples, 2)
        y : as in ``fit``
            Labels. The mean leaves out tasks that have no label in `y`.
        sample_weight : array-like of shape (n_samples,), default=None

        Returns
        -------
        score : float
        """
        check_is_fitted(self, "module_")
        fitted = copy.copy(self)  # another thread may call fit
        X = fitted._check_texts(X)
        columns = _columns(y, len(X), fitted.task_names_, "y")
        weights = check_weights(sample_weight, len(X))
        scores = [
            target.score(columns[target.name], logits, weights)
            for target, logits in fitted._task_logits(X)
        ]
        scores = [score for score in scores if score is not None]
        if not scores:
            raise ValueError(
                "`y` must have at least one label, got only missing labels. Pass texts "
                "with labels."
            )
        return float(np.mean(scores))

    def task(self, name):
        """Return a classifier of one task.

        The classifier shares its weights with this MultiTaskClassifier.

        Parameters
        ----------
        name : object
            Name of a task in ``task_names_``.

        Returns
        -------
        classifier : estimator of the type of `estimator`, fitted
            Classifier of the task `name`. Use it, for example, for calibration with
            ``CalibratedClassifierCV(FrozenEstimator(...))`` or for an
            ``AttentionDisplay``. If the task has several labels per text, the
            classifier has the same attributes as a classifier that was fitted on a
            matrix of 0 and 1. Its ``label_names_`` are the classes of the task.
        """
        check_is_fitted(self, "module_")
        check_task(name, self.task_names_, "name")
        own = (self.task_params or {}).get(name, {})
        view = clone(self.estimator).set_params(**own)
        i = _sorted(self.task_names_).index(name)
        shared = ("truncated_fraction_", "n_samples_fit_", "n_iter_", "_tokenizer")
        vars(view).update({each: getattr(self, each) for each in shared})
        view.module_, view._spec = self.module_.only(i), self._spec.only(i)
        classes = self.classes_[self.task_names_.index(name)]
        view.classes_ = classes
        if view._target.multilabel:
            view.label_names_ = classes
            view.classes_ = [np.arange(2) for _ in classes]
            view._container = None
        view.history_ = list(self.history_)
        view._base_model = self._base_model
        vars(view).update(InputKind.of_fitted(vars(self)).attributes())
        return view

    @staticmethod
    def task_scorer(name, metric):
        """Return a scorer of one task, for ``GridSearchCV`` and ``cross_validate``.

        Parameters
        ----------
        name : object
            Name of the task, which is a column or a key of `y`.
        metric : str or callable
            Scorer of scikit-learn, or the name of such a scorer ("accuracy",
            "f1_macro", "roc_auc", ...). Texts without a label of the task are ignored.
            If the labels of the task are a matrix, texts with a missing value are
            ignored, because metrics cannot use them; ``score`` counts their known
            values.

        Returns
        -------
        scorer : callable
            Function that takes an estimator, `X` and `y`, and returns a number. The
            estimator is a MultiTaskClassifier, a pipeline that ends in a
            MultiTaskClassifier, or a search over one of these two. Each call of the
            scorer runs the encoder on `X`. If metadata routing is enabled, call
            ``set_score_request`` of the scorer.
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
    """Return names of tasks in the order in which ``module_`` stores the tasks."""
    return sorted(names, key=str)


def _as_array(columns):
    """Return columns of labels as one array, with a numeric dtype if possible."""
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


def _check_validation(X_val, y_val, kind, targets):
    """Return checked validation texts and labels as LabeledTexts, or None."""
    if not check_validation_pair(X_val, y_val):
        return None
    texts = kind.check(X_val, "X_val")
    names = [target.name for target in targets]
    columns = _columns(y_val, len(texts), names, "y_val")
    data = _labeled(texts, columns, targets, np.ones(len(texts)), "y_val")
    if not data.weights.any():
        raise ValueError(
            "`y_val` must have at least one label, got only missing labels. Pass "
            "validation texts with labels."
        )
    return data


def _columns(y, n_texts, names, name):
    """Check that `y` has the tasks of ``fit``, and return the columns of `y`."""
    columns = check_tasks(y, n_texts, name)
    if set(columns) != set(names):
        raise ValueError(
            f"{name} must have the tasks of fit, {shorten(names, 200)}, got "
            f"{shorten(list(columns), 200)}. Pass one column for each task of fit."
        )
    return columns


def _container(y):
    """Return the kind of container of `y`. Predictions have the same kind."""
    if isinstance(y, Mapping):
        return "mapping"
    if not hasattr(y, "columns"):
        return "array"
    # The class of `y` may be a subclass of a pandas data frame.
    modules = [base.__module__.split(".")[0] for base in type(y).__mro__]
    return next((each for each in modules if each in FRAMES), "mapping")
