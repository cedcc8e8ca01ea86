# SPDX-License-Identifier: BSD-3-Clause
"""What the estimators share: tags, fitted state and its pickle. No parameters."""

import inspect
import os
from numbers import Integral, Real

from sklearn.base import BaseEstimator
from sklearn.callback import CallbackSupportMixin
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from . import _hf
from ._data._validation import check_texts
from ._persistence import _pack, _save_load
from ._runtime import _encoder_cache
from ._runtime._device import (
    on_device,
    resolve_device,
    resolve_dtype,
    use_one_thread_after_fork,
)
from ._runtime._predict import predict
from ._training._progress import CallbackContexts, Watch

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
LM_CONSTRAINTS = {
    "lm_epochs": [Interval(Integral, 0, None, closed="left")],
    "lm_learning_rate": [Interval(Real, 0, None, closed="neither")],
}


class TextEstimator(CallbackSupportMixin, BaseEstimator):
    """Base of the estimators: texts in, a module fitted, one loop to run it.

    A subclass's ``fit`` sets what :meth:`_fitted_attributes` returns at its end.
    """

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.one_d_array = True
        tags.input_tags.two_d_array = False
        tags.input_tags.string = True
        return tags

    def _parameters(self):
        """Return all parameters by name."""
        # Not get_params: the constructor of a user's subclass may take some of them.
        return {name: getattr(self, name) for name in self._parameter_constraints}

    @property
    def _template(self):
        """Whose parameters say how texts are cut and where the module runs."""
        return self

    def _watch(self, params, learned, *data):
        """Begin the fit for those who watch; the arguments are of CallbackContexts."""
        tasks = CallbackContexts(self, params, learned, *data)
        return Watch(self._template.verbose, tasks)

    def _fitted_attributes(self, module, spec, tokenizer, longer):
        """Return the fitted attributes that all estimators have."""
        is_cut = self._template.long_texts == "truncate"
        return {
            "module_": module,
            "truncated_fraction_": longer if is_cut else 0.0,
            "_spec": spec,
            "_tokenizer": tokenizer,
            # As they were at this fit, whatever set_params makes of them.
            "_base_model": _hf.as_absolute(self._template.encoder),
        }

    def _check_consistent(self):
        """Refuse parameters out of their range, and labels that the heads have not."""
        self._validate_params()
        tasks = [task for task in self._spec.tasks if task.head is not None]
        heads = [(task.n_outputs, task.multilabel) for task in tasks]
        labels = self._labels_of_heads()
        if heads != labels:
            raise ValueError(
                "The labels do not belong to the weights: they are of (number, several "
                f"a text) {labels!r:.200}, the heads of {heads!r:.200}."
            )

    def _labels_of_heads(self):
        """Return for each head the number of labels, and if a text has several."""
        return []

    def _run(self, X, part=None):
        """Run the fitted module, or the named part of it, over checked texts."""
        check_is_fitted(self, "module_")
        texts = check_texts(X)
        machine = self._prepare()
        module, cache = self._recall(machine)
        return predict(
            module if part is None else getattr(module, part),
            texts,
            tokenizer=self._tokenizer,
            verbose=self._template.verbose,
            cache=cache,
            **machine,
        )

    def _prepare(self):
        """Put the module where it is to run; return the device and the dtype."""
        use_one_thread_after_fork()
        settings = self._template
        device = resolve_device(settings.device)
        on_device(self.module_, device)
        dtype = resolve_dtype(settings.precision, device)
        return {"device": device, "dtype": dtype}

    def _recall(self, machine):
        """Return the module to run, and the cache of its outputs if there is one."""
        # Not get_params, which takes as long as a small encoder's block.
        params = vars(self._template)
        module = _encoder_cache.cached_model(
            self.module_, self._tokenizer, machine, params
        )
        return module, None

    def cache_info(self):
        """Say what the cache was good for.

        Returns
        -------
        info : namedtuple
            As of ``functools.lru_cache``. "hits" and "misses" are the look-ups of this
            object in this process that found something, and those that had to compute
            it, from its last ``fit`` (or unpickling) on: a clone begins at 0. "maxsize"
            is `cache_size`; "currsize" the bytes that are stored now, by all who share
            the cache (a directory is listed for it). All are 0 with ``cache=None``.
        """
        params = self._template._parameters()
        return _encoder_cache.cache_info(getattr(self, "module_", None), params)

    @property
    def _n_features_out(self):
        return self._spec.n_features

    def save(self, path, *, overwrite=False):
        """Write the fitted estimator to a directory without a pickle.

        The directory is a Hugging Face model directory at the same time: the encoder
        in it is opened by ``transformers.AutoModel``, its tokenizer by
        ``AutoTokenizer``, and both by ``encoder=path`` of a new estimator. It holds
        all weights, whatever the parameter `pickle_weights` says. ``estimator.json``
        says the rest for people to read, README.md is a model card. The parameter `encoder`
        is in it as it is, so a local directory tells its path. `cache` and
        `checkpoint_dir` are left out, since they are paths of this machine.

        Parameters
        ----------
        path : str or path-like
            Of a directory that does not exist. It appears when all is written.
        overwrite : bool, default=False
            Whether to replace a directory that ``save`` wrote before.

        Returns
        -------
        path : pathlib.Path
            Absolute.

        Raises
        ------
        FileExistsError
            If `path` exists, and is not to be replaced or not of ``save``.
        ValueError
            If labels or names of label sets are of a type that JSON cannot hold, or a
            parameter is out of its range.
        sklearn.exceptions.NotFittedError
            If it is not fitted.

        Warns
        -----
        UserWarning
            If a parameter is an object, such as a callback or a ``RandomState``: it
            has its default when it is loaded.
        """
        check_is_fitted(self, "module_")
        self._check_consistent()
        return _save_load.save(self, path, _classes(), overwrite=overwrite)

    @classmethod
    def load(cls, path):
        """Read an estimator that :meth:`save` wrote.

        Needs no network and not the encoder that was fine-tuned. Nothing in the
        directory is executed; what does not fit together is refused before memory is
        taken for it. `cache` and `checkpoint_dir` have their defaults, so that a
        directory does not decide what is written later.
        Its `encoder` is what a next ``fit`` starts from.

        Parameters
        ----------
        path : str or path-like
            Of the directory.

        Returns
        -------
        estimator : estimator of this class, fitted

        Raises
        ------
        ValueError
            If it is no directory that ``save`` wrote for this class, a newer version
            of the package wrote it, or a file is missing, damaged, exchanged, or of a
            kind that could be executed.
        """
        return _save_load.load(cls, path, _classes())

    def __copy__(self):
        # Not by way of __getstate__, which would pack the weights.
        new = type(self).__new__(type(self))
        vars(new).update(vars(self))
        return new

    def __getstate__(self):
        state = super().__getstate__().copy()
        if "module_" in state:
            fitted = [state.pop(name) for name in ("module_", "_spec", "_tokenizer")]
            is_delta = self._template.pickle_weights == "delta"
            state["_packed"] = _pack.pack(
                *fitted, self._base_model if is_delta else None
            )
        return state

    def __setstate__(self, state):
        # What is newer than the pickle is as if nothing was said of it.
        parameters = inspect.signature(type(self)).parameters.values()
        defaults = {p.name: p.default for p in parameters if p.default is not p.empty}
        state = {**defaults, **state}
        packed = state.pop("_packed", None)
        if packed is not None:
            fitted = _pack.unpack(packed)
            state["module_"], state["_spec"], state["_tokenizer"] = fitted
        super().__setstate__(state)


def _classes(base=TextEstimator):
    """Return the estimators by name: those that are imported already."""
    classes = {each.__name__: each for each in base.__subclasses__()}
    for each in base.__subclasses__():
        classes = _classes(each) | classes
    return classes
