# SPDX-License-Identifier: BSD-3-Clause
"""Base classes of the estimators."""

import inspect
import os
from numbers import Integral, Real

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils._param_validation import Interval, InvalidParameterError, StrOptions
from sklearn.utils.validation import check_is_fitted

from . import _hf
from ._data._pairs import InputKind, check_no_labels
from ._data._text_parts import check_in_parts
from ._data._validation import check_texts
from ._export._mixin import ExportingMixin
from ._fit._plan import FitData, FitPlan
from ._persistence import _pack, _save_load
from ._runtime._device import Machine, on_device, use_one_thread_after_fork
from ._runtime._encoder_cache import cache_info, with_cached_states
from ._runtime._predict import predict
from ._utils._compat import CallbackSupportMixin
from ._utils._messages import shorten
from ._utils._one_fit import reads_one_fit

SHARED_CONSTRAINTS = {
    "encoder": [str, os.PathLike],
    "max_length": [Interval(Integral, 3, None, closed="left")],
    "long_texts": [StrOptions({"truncate", "window"})],
    "device": [str],
    "precision": [StrOptions({"auto", "float32", "bfloat16"})],
    "cache": [str, os.PathLike, None],
    "cache_size": [Interval(Integral, 1, None, closed="left")],
    "micro_batch_size": [Interval(Integral, 1, None, closed="left"), None],
    "checkpoint_dir": [str, os.PathLike, None],
    "checkpoint_minutes": [Interval(Real, 0, None, closed="left")],
    "pickle_weights": [StrOptions({"full", "delta"})],
    "verbose": ["verbose"],
}
# Fitted attributes that a fit sets only for some kinds of `X` or `y`.
OPTIONAL_ATTRIBUTES = ("feature_names_in_", "label_names_", "_container")
LM_CONSTRAINTS = {
    "lm_epochs": [Interval(Integral, 0, None, closed="left")],
    "lm_learning_rate": [Interval(Real, 0, None, closed="neither")],
}


@reads_one_fit
class TextEstimator(ExportingMixin, CallbackSupportMixin, BaseEstimator):
    """Base class of all estimators.

    The ``fit`` method of a subclass ends by setting the attributes that
    :meth:`_fitted_attributes` returns.
    """

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.one_d_array = True
        tags.input_tags.two_d_array = False  # else scikit-learn tests with numbers
        tags.input_tags.string = True
        return tags

    def _parameters(self):
        """Return all parameters by name."""
        # get_params would return too few parameters for a user's subclass whose
        # constructor takes only some of the parameters.
        return {name: getattr(self, name) for name in self._parameter_constraints}

    def _validate_params(self):
        super()._validate_params()
        for name, value in self._parameters().items():
            allowed = self._parameter_constraints[name]
            is_number = any(isinstance(each, Interval) for each in allowed)
            if is_number and isinstance(value, bool):  # allowed by scikit-learn
                raise InvalidParameterError(
                    f"The {name!r} parameter of {type(self).__name__} must not be a "
                    f"bool, got {value!r}. Use {int(value)} if you mean this number."
                )

    @property
    def _template(self):
        """The estimator that has the parameters `device`, `cache` and so on."""
        return self

    def _start_progress(self, plan, *data):
        """Return the FitProgress of a new fit.

        Parameters
        ----------
        plan : FitPlan
        *data : tuple
            The arguments X, y and sample_weight of :class:`CallbackContexts`.
        """
        # Imported here, because only a fit needs skorch. So predictions start faster.
        from ._fit._stages import count_epochs
        from ._training._progress import CallbackContexts, FitProgress

        contexts = CallbackContexts(self, count_epochs(plan), *data)
        return FitProgress(self._template.verbose, contexts)

    def _set_fitted(self, model, progress, of_input=()):
        """Set all fitted attributes at once, at the end of fit."""
        attributes = {**self._fitted_attributes(model), **dict(of_input)}
        stale = {*OPTIONAL_ATTRIBUTES} - attributes.keys()
        # `old` keeps the old values alive until all attributes are replaced. Freeing a
        # value can run other code or another thread, which must not see attributes of
        # two fits.
        old = vars(self).copy()
        vars(self).update(attributes)
        for name in stale:
            vars(self).pop(name, None)
        old.clear()
        progress.finish()
        return self

    def _fitted_attributes(self, model):
        """Return the fitted attributes of a FittedModel as a dict."""
        return {
            "module_": model.module,
            "truncated_fraction_": model.truncated_fraction,
            "n_samples_fit_": model.n_samples,
            "history_": model.history,
            "_spec": model.spec,
            "_tokenizer": model.tokenizer,
            # The encoder of this fit. set_params may change `encoder` later.
            "_base_model": _hf.as_absolute(self._template.encoder),
        }

    def _check_consistent(self):
        """Check that parameters are valid and that targets match the heads."""
        self._validate_params()
        tasks = [task for task in self._spec.tasks if task.head is not None]
        heads = [(task.n_outputs, task.loss) for task in tasks]
        targets = self._targets_of_heads()
        if heads != targets:
            raise ValueError(
                "The labels must match the heads. For each task, (number of outputs, "
                f"loss) must be {shorten(heads, 200)}, got {shorten(targets, 200)}."
            )

    def _fitted_targets(self):
        """Return the Target of each task."""
        return []

    def _targets_of_heads(self):
        """Return the number of outputs and the loss that each head must have."""
        return []

    def _check_texts(self, X, name="X"):
        """Check the `X` of a method such as ``predict`` and return its texts."""
        return check_texts(X, name)

    def _forward(self, X, output="logits", verbose=0):
        """Check texts and return the output of the module for these texts."""
        check_is_fitted(self, "module_")
        texts = check_in_parts(X, self._check_texts)
        machine = self._prepare()
        module, cache = self._module_and_cache(machine)
        return predict(
            module,
            texts,
            tokenizer=self._tokenizer,
            machine=machine,
            output=output,
            verbose=verbose,
            cache=cache,
        )

    def _prepare(self):
        """Move the module to its device and return the Machine."""
        use_one_thread_after_fork()
        machine = Machine.of(self._template)
        on_device(self.module_, machine.device)
        return machine

    def _module_and_cache(self, machine):
        """Return the module to run, and the cache of its outputs (or None)."""
        settings = self._template
        module = with_cached_states(self.module_, self._tokenizer, machine, settings)
        return module, None

    def cache_info(self):
        """Return cache statistics.

        Returns
        -------
        info : namedtuple
            The fields have the same names as in ``functools.lru_cache``. "hits" and
            "misses" count the look-ups of this estimator in this process since the last
            ``fit`` or unpickling, whichever was later. "maxsize" is `cache_size`.
            "currsize" is the size of the whole cache in bytes. With ``cache=None``, all
            fields are 0.
        """
        return cache_info(getattr(self, "module_", None), self._template)

    @property
    def _n_features_out(self):
        return self._spec.n_features

    def save(self, path, *, overwrite=False):
        """Write the fitted estimator to a directory, without pickle.

        From this directory, ``transformers.AutoModel`` loads the encoder and
        ``transformers.AutoTokenizer`` loads the tokenizer. A new estimator with
        ``encoder=path`` starts from this encoder. The directory always contains all
        weights, even with ``pickle_weights="delta"``. ``estimator.json`` contains the
        rest of the estimator, and ``README.md`` is a model card. The parameter
        `encoder` is stored, so other users can see the path of a local encoder. `cache`
        and `checkpoint_dir` are not stored, because these paths belong to this machine.

        Parameters
        ----------
        path : str or path-like
            Directory to create. The directory appears only when all files are written.
        overwrite : bool, default=False
            Whether to replace an existing directory that ``save`` has written.

        Returns
        -------
        path : pathlib.Path
            Absolute path of the directory.

        Raises
        ------
        FileExistsError
            If `path` exists and `overwrite` is False, or if `path` exists and ``save``
            did not write the directory.
        ValueError
            If JSON cannot store the type of a label or of a task name, or if a
            parameter is invalid.
        sklearn.exceptions.NotFittedError
            If the estimator is not fitted.

        Warns
        -----
        UserWarning
            If a parameter is an object, such as a callback or a ``RandomState``. The
            loaded estimator then has the default of this parameter.
        """
        check_is_fitted(self, "module_")
        self._check_consistent()
        return _save_load.save(self, path, _classes(), overwrite=overwrite)

    @classmethod
    def load(cls, path):
        """Load an estimator that :meth:`save` has written.

        Loading needs neither a network nor the files of the pretrained encoder. No code
        in the directory is executed. Invalid files raise an error before memory is
        allocated. The loaded estimator has the defaults of `cache` and
        `checkpoint_dir`, so the directory cannot select a path to which the estimator
        writes. The next ``fit`` starts from the pretrained encoder that the parameter
        `encoder` names, not from the loaded weights.

        Parameters
        ----------
        path : str or path-like
            Directory that :meth:`save` has written.

        Returns
        -------
        estimator : estimator of this class
            Fitted estimator.

        Raises
        ------
        ValueError
            If ``save`` of this class did not write the directory, or if a newer version
            of the package wrote the directory. Also if a file is missing, damaged or
            replaced, or has a type that can contain code.
        """
        return _save_load.load(cls, path, _classes())

    def __copy__(self):
        # By default, copy.copy calls __getstate__, which packs the weights. Here, the
        # dict is copied in one step, so that all fitted attributes are of one fit.
        new = type(self).__new__(type(self))
        vars(new).update(vars(self))
        return new

    def __getstate__(self):
        state = super().__getstate__().copy()
        if "module_" in state:
            fitted = [state.pop(name) for name in ("module_", "_spec", "_tokenizer")]
            is_delta = self._template.pickle_weights == "delta"
            state["_packed"] = _pack.pack(
                *fitted, state["_base_model"] if is_delta else None
            )
        return state

    def __setstate__(self, state):
        # Pickles of older versions lack new parameters, which get their defaults.
        parameters = inspect.signature(type(self)).parameters.values()
        defaults = {p.name: p.default for p in parameters if p.default is not p.empty}
        state = {**defaults, **state}
        packed = state.pop("_packed", None)
        if packed is not None:
            fitted = _pack.unpack(packed)
            state["module_"], state["_spec"], state["_tokenizer"] = fitted
        super().__setstate__(state)


class FineTuningEstimator(TextEstimator):
    """Base class of the estimators that learn from labels.

    A subclass defines ``_check_data``. This method takes the arguments of ``fit`` and
    returns the parameters (a dict) and the FitData.
    """

    def _fit(self, X, y, sample_weight, X_val, y_val, X_unlabeled):
        """Check the data, fine-tune, and set the fitted attributes."""
        from ._fit._pipeline import fit_tasks

        plan, data = self._plan(X, y, sample_weight, X_val, y_val, X_unlabeled)
        check_no_labels(X, data.training, data.tasks.targets)
        progress = self._start_progress(plan, X, y, sample_weight)
        attributes = InputKind.of(X, data.training.texts).attributes()
        return self._set_fitted(fit_tasks(plan, data, progress), progress, attributes)

    def _check_texts(self, X, name="X"):
        return InputKind.of_fitted(vars(self)).check(X, name)

    def _estimate_fit(self, *data):
        """Return the FitEstimate for these arguments of ``fit``."""
        from ._fit._estimate import estimate
        from ._fit._pipeline import fit_tasks

        self._validate_params()
        plan, data = self._plan(*data)
        return estimate(fit_tasks, plan, data)

    def _plan(self, *data) -> tuple[FitPlan, FitData]:
        parameters, data = self._check_data(*data)
        return FitPlan.of(parameters, data), data

    def _fitted_attributes(self, model):
        return {**super()._fitted_attributes(model), "n_iter_": model.n_iter}

    def _float64_logits(self, X):
        """Return the logits as float64, with the outputs of all tasks as columns."""
        return self._forward(X).astype(np.float64)


def _classes(base=TextEstimator):
    """Return all imported subclasses of `base` as a dict by name."""
    classes = {each.__name__: each for each in base.__subclasses__()}
    for each in base.__subclasses__():
        classes = _classes(each) | classes
    return classes
