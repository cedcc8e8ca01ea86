# SPDX-License-Identifier: BSD-3-Clause
"""Several label sets learned on one encoder."""

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
from sklearn.utils.validation import _num_samples, check_is_fitted

from ._base import TextEstimator
from ._data._labeled import LabeledTexts
from ._data._targets import LabelSet
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
from ._fit._estimate import estimate_fit_of
from ._fit._pipeline import fit_classifier, resolve_epochs
from ._fit._tasks import Tasks
from ._task_scorer import TaskScorer

FRAMES = ("pandas", "polars")  # whose predictions are frames too
# What a label set may have of its own.
OF_TASK = ("pooling", "head", "dropout", "label_smoothing", "class_weight")
# How often the texts of a label set of n labels are drawn: in proportion to n ** -x.
SAMPLING = {"proportional": 0.0, "sqrt": 0.5, "uniform": 1.0}


class MultiTaskClassifier(
    ClassifierMixin,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    MetaEstimatorMixin,
    TextEstimator,
):
    """Learn several label sets on one shared encoder.

    Each label set has its own attention over layers and tokens, and its own head; the
    encoder, and its one pass over a text, serve all. A text may lack labels of some
    sets: they are left out of the loss.

    Parameters
    ----------
    estimator : AttentionFineTuneClassifier
        Its parameters say how to train. It is not fitted itself.
    task_weights : dict, "uncertainty" or None, default=None
        Weights of the label sets in the loss: from name to a positive number, 1 where
        there is none; their scale does not matter. None: all alike. "uncertainty":
        learned with the rest, as the noise of each (Kendall et al. 2018).
    task_sampling : {"proportional", "sqrt", "uniform"}, default="proportional"
        How often texts are seen where label sets differ in size. "proportional": all
        once in an epoch. "uniform": in inverse proportion to the size of the rarest
        label set that a text has a label of: the texts of small ones several times,
        and not all of the others; an epoch keeps its length. Label sets that share no
        text are then seen alike. "sqrt": half-way between them.
    task_params : dict or None, default=None
        From the name of a label set to parameters of `estimator` that are another for
        it: "pooling", "head", "dropout", "label_smoothing" and "class_weight".
    validation_task : object, default=None
        Name of the label set whose accuracy decides on early stopping; None: the mean
        over all.

    Attributes
    ----------
    task_names_ : list
        The columns of a data frame, the keys of a mapping, else 0, 1, ...
    classes_ : list of ndarray
        The labels of each set, sorted.
    module_ : torch.nn.Module
        The trained encoder, and attention and head of each label set.
    history_ : list of dict
        As of the `estimator`; "valid_accuracy" is the mean over the label sets, and
        "valid_accuracy_NAME" of one.
    n_iter_ : int
        Epochs of the classifier that were run.
    n_samples_fit_ : int
        Number of texts given to ``fit``.
    truncated_fraction_ : float
        Share of the training texts that were cut.

    See Also
    --------
    AttentionFineTuneClassifier : One label set.

    Notes
    -----
    ``fit`` takes sample weights, validation and unlabelled texts itself: under metadata
    routing, request them of this estimator, not of `estimator`.

    Pass searches a splitter, ``cv=KFold(5, shuffle=True)``: of an integer `cv`,
    scikit-learn makes folds that are not shuffled, and with missing labels it fails to
    sort them. Its ``cross_val_predict`` with probabilities numbers the labels of y
    itself, and makes a class of those that are missing.

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
        """Fine-tune the encoder from its checkpoint on all label sets.

        Parameters
        ----------
        X : array-like of str, shape (n_samples,)
            Texts.
        y : array-like of shape (n_samples, n_tasks), data frame, or mapping
            A column for each label set; a mapping is from names to columns, or to a
            matrix of 0 and 1 with a column for each class. Labels are str, bool or
            int; sets of them where a text may have several; ``None``, NaN or
            ``pandas.NA`` where they are missing. A text without any label serves the
            language model, if there is one (``estimator__lm_epochs``,
            ``estimator__lm_weight``).
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the texts in the loss, at least 0; their scale does not matter.
        X_val : array-like of str, shape (n_validation_samples,), default=None
            Texts that are scored after each epoch into ``history_``. With
            ``estimator__early_stopping=True`` they decide when to stop.
        y_val : as `y`, default=None
            Their labels.
        X_unlabeled : array-like of str, shape (n_unlabeled_samples,), default=None
            More texts for the language model.

        Returns
        -------
        self : MultiTaskClassifier

        Raises
        ------
        ValueError
            As of the `estimator`; and if a label set has fewer than two classes, or a
            parameter names a label set that is not there.
        TypeError
            If `X` holds anything else than str, or `estimator` is another.
        """
        params, names, data = self._check_data(
            X, y, sample_weight, X_val, y_val, X_unlabeled
        )
        of_task = {label_set.name: label_set for label_set in data[0].label_sets}

        def learned(fitted, history):
            return {
                **self._fitted_attributes(*fitted),
                "task_names_": names,
                "classes_": [of_task[name].classes for name in names],
                "n_samples_fit_": len(data[1].texts),
                "history_": history,
                "n_iter_": sum(row["stage"] == "classifier" for row in history),
                "_label_sets": [vars(of_task[name]) for name in names],
                "_container": _container(y),
            }

        watch = self._watch(params, learned, X, y, sample_weight)
        vars(self).update(learned(*fit_classifier(params, *data, watch)))
        watch.finish()
        return self

    def estimate_fit(
        self, X, y, sample_weight=None, X_val=None, y_val=None, X_unlabeled=None
    ):
        """Say what ``fit`` would take here, from a few timed training steps.

        As :meth:`AttentionFineTuneClassifier.estimate_fit` does.

        Parameters
        ----------
        X : array-like of str, shape (n_samples,)
            All of it as for :meth:`fit`.
        y : array-like
        sample_weight : array-like of shape (n_samples,), default=None
        X_val : array-like of str, shape (n_validation_samples,), default=None
        y_val : array-like, default=None
        X_unlabeled : array-like of str, shape (n_unlabeled_samples,), default=None

        Returns
        -------
        estimate : FitEstimate
        """
        self._validate_params()
        params, _, data = self._check_data(
            X, y, sample_weight, X_val, y_val, X_unlabeled
        )
        return estimate_fit_of(fit_classifier, params, *data)

    def _check_data(self, X, y, sample_weight, X_val, y_val, X_unlabeled):
        """Check parameters and arguments of fit.

        Returns
        -------
        params : dict
        names : list
            Of the label sets, in the order of y.
        data : tuple
            As fit_classifier takes it.
        """
        texts = check_texts(X)
        params = self._check_estimator()
        check_no_callbacks(self.estimator)
        columns = check_tasks(y, len(texts))
        # In an order of their own: that of the columns changes nothing.
        label_sets = [LabelSet.of(columns[task], task) for task in _in_order(columns)]
        tasks = self._tasks(label_sets)
        weights = check_weights(sample_weight, len(texts))
        data = _labelled(texts, columns, label_sets, weights, "y")
        validation = _check_validation(X_val, y_val, label_sets)
        params = resolve_epochs(params, tasks, data, validation)
        more = check_unlabeled(X_unlabeled, params)
        has_none = (weights > 0) & ~data.weights.any(axis=1)
        unlabeled = [texts[i] for i in np.flatnonzero(has_none)] + more
        return params, list(columns), (tasks, data, validation, unlabeled)

    @property
    def _template(self):
        return self.estimator

    def _check_estimator(self):
        """Check the template; return its parameters."""
        is_ours = isinstance(self.estimator, TextEstimator)
        params = self.estimator._parameters() if is_ours else {}
        if not {"lm_weight", *OF_TASK} <= set(params):
            raise TypeError(
                f"estimator is {self.estimator!r:.80}; expected an instance of "
                "AttentionFineTuneClassifier. Put steps before it around the "
                "MultiTaskClassifier: make_pipeline(step, MultiTaskClassifier(...))."
            )
        self.estimator._validate_params()
        return params

    def _tasks(self, label_sets):
        """Check what the parameters say of each label set."""
        names = [label_set.name for label_set in label_sets]
        own = self.task_params or {}
        weights = self.task_weights
        if weights != "uncertainty":
            weights = check_task_weights(weights or {}, names)
        for task, params in own.items():
            check_task(task, names, "task_params")
            if not isinstance(params, Mapping) or not set(params) <= set(OF_TASK):
                raise ValueError(
                    f"task_params[{task!r}] is {params!r:.100}; expected a dict with "
                    f"keys among {', '.join(OF_TASK)}."
                )
            clone(self.estimator).set_params(**params)._validate_params()
        if self.validation_task is not None:
            check_task(self.validation_task, names, "validation_task")
        return Tasks(
            tuple(label_sets),
            tuple(own.get(name, {}) for name in names),
            None if weights == "uncertainty" else weights,
            SAMPLING[self.task_sampling],
            self.validation_task,
        )

    def _check_consistent(self):
        self._check_estimator()
        super()._check_consistent()
        self._tasks([LabelSet(**kept) for kept in self._label_sets])

    def _labels_of_heads(self):
        of = {kept["name"]: LabelSet(**kept) for kept in self._label_sets}
        names = list(self.task_names_)
        pairs = zip(of.values(), self.classes_, strict=True)
        if list(of) != names or not all(np.array_equal(a.classes, b) for a, b in pairs):
            raise ValueError(
                f"The label sets are {list(of)!r:.200}, task_names_ {names!r:.200} or "
                "classes_ are others."
            )
        in_order = [of[name] for name in _in_order(names)]
        return [(*each.classes.shape, each.multilabel) for each in in_order]

    def _of_tasks(self, values, sizes):
        """Cut (n_samples, sum of sizes) into label sets, in the order of y's columns.

        `sizes` are in the order in which the module has them.
        """
        parts = np.split(values, np.cumsum(sizes)[:-1], axis=1)
        of_task = dict(zip(_in_order(self.task_names_), parts, strict=True))
        return [of_task[name] for name in self.task_names_]

    def _logits(self, X):
        """Return each label set with its logits, float64, (n_samples, n_classes)."""
        logits = self._run(X).astype(np.float64)
        logits = self._of_tasks(logits, [task.n_outputs for task in self._spec.tasks])
        label_sets = [LabelSet(**kept) for kept in self._label_sets]
        return list(zip(label_sets, logits, strict=True))

    def predict(self, X):
        """Return the most probable label of each set.

        Parameters
        ----------
        X : array-like of str, shape (n_samples,)

        Returns
        -------
        labels : ndarray of object, shape (n_samples, n_tasks), data frame, or dict
            As `y` of ``fit`` was.
        """
        columns = {task.name: task.cells(logits) for task, logits in self._logits(X)}
        if self._container == "mapping":
            return columns
        if self._container == "pandas":
            import pandas as pd

            return pd.DataFrame(columns, index=X.index if hasattr(X, "iloc") else None)
        if self._container == "polars":
            import polars as pl

            return pl.DataFrame({name: list(cells) for name, cells in columns.items()})
        labels = np.empty((_num_samples(X), len(columns)), dtype=object)
        for i, cells in enumerate(columns.values()):
            labels[:, i] = cells
        return labels

    def predict_proba(self, X):
        """Return the probabilities of the classes of each label set.

        Parameters
        ----------
        X : array-like of str, shape (n_samples,)

        Returns
        -------
        probabilities : list of ndarray of float64, each (n_samples, n_classes)
            In the order of ``task_names_`` and ``classes_``. Rows sum to 1, but where
            a text may have several labels: there, each is a probability of its own.
        """
        return [task.probabilities(logits) for task, logits in self._logits(X)]

    def predict_log_proba(self, X):
        """Return the logarithms of the probabilities.

        Parameters
        ----------
        X : array-like of str, shape (n_samples,)

        Returns
        -------
        log_probabilities : list of ndarray of float64, each (n_samples, n_classes)
        """
        return [task.log_probabilities(logits) for task, logits in self._logits(X)]

    def decision_function(self, X):
        """Return the scores of the heads.

        Parameters
        ----------
        X : array-like of str, shape (n_samples,)

        Returns
        -------
        scores : list of ndarray of float64, each (n_samples, n_classes)
            Logits; of two classes, shape (n_samples,), as of the `estimator`.
        """
        return [task.decision(logits) for task, logits in self._logits(X)]

    def transform(self, X):
        """Return the context vectors of all label sets, side by side.

        Parameters
        ----------
        X : array-like of str, shape (n_samples,)

        Returns
        -------
        X_out : ndarray of float32, shape (n_samples, n_features)
            Or a data frame, as ``set_output`` says.
        """
        contexts = self._run(X, "contexts")
        sizes = [self._spec.context_size(task) for task in self._spec.tasks]
        return np.hstack(self._of_tasks(contexts, sizes))

    def score(self, X, y, sample_weight=None):
        """Return the mean over the label sets of the accuracy where there are labels.

        Parameters
        ----------
        X : array-like of str, shape (n_samples,)
        y : as in ``fit``
            A label set without any label here does not count.
        sample_weight : array-like of shape (n_samples,), default=None

        Returns
        -------
        score : float
        """
        check_is_fitted(self, "module_")
        n_texts = _num_samples(X)
        columns = _columns(y, n_texts, self.task_names_, "y")
        weights = check_weights(sample_weight, n_texts)
        accuracies = [
            task.accuracy(columns[task.name], logits, weights)
            for task, logits in self._logits(X)
        ]
        accuracies = [accuracy for accuracy in accuracies if accuracy is not None]
        if not accuracies:
            raise ValueError("y has no label to score with; pass texts with some.")
        return float(np.mean(accuracies))

    def task(self, name):
        """Return a classifier of one label set that shares the weights.

        Parameters
        ----------
        name : object
            One of ``task_names_``.

        Returns
        -------
        classifier : estimator of the type of `estimator`, fitted
            For calibration (``CalibratedClassifierCV(FrozenEstimator(...))``),
            displays, or a model of its own. Of a label set with several labels a text,
            it predicts a matrix of 0 and 1.
        """
        check_is_fitted(self, "module_")
        check_task(name, self.task_names_, "name")
        view = clone(self.estimator).set_params(
            **(self.task_params or {}).get(name, {})
        )
        i = _in_order(self.task_names_).index(name)
        module, spec = self.module_.only(i), self._spec.only(i)
        fitted = module, spec, self._tokenizer, self.truncated_fraction_
        vars(view).update(view._fitted_attributes(*fitted))
        view.classes_ = self.classes_[self.task_names_.index(name)]
        view.history_ = list(self.history_)
        view.n_iter_ = self.n_iter_
        view.n_samples_fit_ = self.n_samples_fit_
        view._base_model = self._base_model
        return view

    @staticmethod
    def task_scorer(name, metric):
        """Make a scorer of one label set, for ``GridSearchCV`` and ``cross_validate``.

        Parameters
        ----------
        name : object
            Of the label set: column or key of y.
        metric : str or callable
            A scorer of scikit-learn ("accuracy", "f1_macro", "roc_auc", ...). It is
            given the texts that have a label, and probabilities.

        Returns
        -------
        scorer : callable
            From estimator, X and y to a number. The estimator may be a pipeline that
            ends in a MultiTaskClassifier, or a search. Each scorer runs the encoder.
            With metadata routing, it requests what its ``set_score_request`` says.
        """
        return TaskScorer(name, metric)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        tags.target_tags.single_output = False
        tags.classifier_tags.multi_label = False
        tags.transformer_tags.preserves_dtype = []
        return tags


def _in_order(names):
    """Return names of label sets in the order in which the module has them."""
    return sorted(names, key=str)


def _labelled(texts, columns, label_sets, weights, name):
    """Turn columns of y into LabeledTexts."""
    encoded = [
        label_set.encode(columns[label_set.name], name) for label_set in label_sets
    ]
    labels, present = zip(*encoded, strict=True)
    return LabeledTexts(texts, labels, weights[:, None] * np.column_stack(present))


def _check_validation(X_val, y_val, label_sets):
    """Check the validation texts and labels, which come together or not at all."""
    if not check_validation_pair(X_val, y_val):
        return None
    texts = check_texts(X_val, "X_val")
    names = [label_set.name for label_set in label_sets]
    columns = _columns(y_val, len(texts), names, "y_val")
    data = _labelled(texts, columns, label_sets, np.ones(len(texts)), "y_val")
    if not data.weights.any():
        raise ValueError("y_val has no label to validate with; pass texts with some.")
    return data


def _columns(y, n_texts, names, name):
    """Read columns of the label sets that were fitted."""
    columns = check_tasks(y, n_texts, name)
    if set(columns) != set(names):
        raise ValueError(
            f"{name} has the label sets {list(columns)!r:.200}; expected those of fit: "
            f"{names!r:.200}."
        )
    return columns


def _container(y):
    """Name what `y` is, for predictions to be the same."""
    if isinstance(y, Mapping):
        return "mapping"
    if not hasattr(y, "columns"):
        return "array"
    # A subclass of pandas' data frame too is one.
    modules = [base.__module__.split(".")[0] for base in type(y).__mro__]
    return next((each for each in modules if each in FRAMES), "mapping")
