# SPDX-License-Identifier: BSD-3-Clause
"""Save an estimator to a directory and load it.

``load`` does not import or execute anything that a file in the directory refers to.
``load`` looks up class names in a dict of estimator classes. All other values are data.
"""

import contextlib
import inspect
import platform
from importlib import metadata

import numpy as np

from .. import _hf
from .._persistence import _directory, _pack
from .._utils._messages import shorten
from .._utils._process import translate_errors
from .._utils._warnings import warn
from ._json import TAG, ArrayBudget, decode, encode
from ._model_card import model_card

# Fitted attributes in estimator.json. The module and the tokenizer have separate files.
FITTED = (
    "classes_",
    "feature_names_in_",
    "history_",
    "label_names_",
    "n_iter_",
    "n_samples_fit_",
    "n_texts_in_",
    "task_names_",
    "truncated_fraction_",
    "_base_model",
    "_container",
    "_targets",
    "_sklearn_output_config",
)
NEEDED = {"history_", "n_samples_fit_", "truncated_fraction_", "_base_model"}
# Parameters that are not saved, because they are paths. A saved directory must not
# determine where files are written on another machine.
NOT_SAVED = ("cache", "checkpoint_dir")
# Checks of fitted attributes. ``_check_consistent`` of the estimator checks the labels.
_VALID = {
    "_base_model": lambda value: type(value) is str,
    "history_": lambda value: type(value) is list and all(map(_is_row, value)),
    "n_iter_": lambda value: type(value) is int and value >= 0,
    "n_samples_fit_": lambda value: type(value) is int and value > 0,
    "n_texts_in_": lambda value: type(value) is int and value in (1, 2),
    "feature_names_in_": lambda value: _are_names(value),
    "truncated_fraction_": lambda value: type(value) is float and 0 <= value <= 1,
}
PACKED = ("module_", "_spec", "_tokenizer")
# Attributes that set_fit_request and set_callbacks of scikit-learn create.
REQUESTS = "_metadata_request"
CALLBACKS = "_skl_callbacks"
PACKAGES = (
    "sklearn_attnft",
    "numpy",
    "safetensors",
    "scikit-learn",
    "tokenizers",
    "torch",
    "transformers",
)


def _are_names(value):
    is_array = isinstance(value, np.ndarray) and value.shape == (2,)
    return is_array and all(type(name) is str for name in value)


def _is_row(row):
    return type(row) is dict and type(row.get("stage")) is str


def save(estimator, path, classes, *, overwrite):
    """Write a fitted estimator to a directory, and return the path of the directory.

    Parameters
    ----------
    estimator : estimator
    path : str or path-like
    classes : dict
        Maps class names to estimator classes. A parameter of the estimator can be an
        instance of one of these classes.
    overwrite : bool
        Whether to replace an existing directory that this function has written.
    """
    packed = _pack.pack(*(getattr(estimator, name) for name in PACKED))
    tokenizer = packed["tokenizer"]
    manifest = {
        "schema": packed["schema"],
        **_describe(estimator, classes),
        "fitted": _fitted(estimator),
        "module": encode(packed["spec"]),
        "tokenizer": encode({k: v for k, v in tokenizer.items() if k != "json"}),
        "versions": package_versions(),
    }
    files = {
        "config.json": packed["config"].encode(),
        "model.safetensors": packed["encoder"],
        "heads.safetensors": packed["heads"],
        "tokenizer.json": tokenizer["json"].encode(),
        "tokenizer_config.json": _directory.to_json(tokenizer["config"]),
    }
    card = make_card(estimator, manifest["versions"])
    return _directory.write(path, manifest, files, card, overwrite=overwrite)


def _describe(estimator, classes):
    """Return the class name, parameters and metadata requests of an estimator."""
    defaults = inspect.signature(type(estimator)).parameters
    parameters = {}
    for name, value in estimator.get_params(deep=False).items():
        if name in NOT_SAVED:
            continue
        try:
            if type(value) in classes.values():
                described = _describe(value, classes)
                parameters[name] = {TAG: "estimator", **described}
            else:
                parameters[name] = encode(value)
        except TypeError as error:
            default = defaults[name].default
            if default is inspect.Parameter.empty:
                raise ValueError(
                    f"The parameter {name} cannot be saved, because {error}. Pass "
                    "another value."
                ) from error
            warn(
                f"The parameter {name} is not saved, because {error}. load sets the "
                f"parameter to {default!r}. Set the parameter again after load."
            )
    described = {"class": type(estimator).__name__, "parameters": parameters}
    if REQUESTS in vars(estimator):
        described["requests"] = encode(estimator._get_metadata_request()._serialize())
    return described


def _fitted(estimator):
    """Return the fitted attributes as values of JSON types."""
    elsewhere = {*estimator._parameters(), *estimator.get_params(deep=False)}
    elsewhere |= {*PACKED, REQUESTS}
    attributes = set(vars(estimator)) - elsewhere
    for name in sorted(attributes - set(FITTED)):
        cure = "Only attributes set by fit are saved."
        if name == CALLBACKS:
            cure = "Set the callbacks again after load."
        warn(f"The attribute {name} is not saved. {cure}")
    try:
        return {n: encode(vars(estimator)[n]) for n in FITTED if n in attributes}
    except TypeError as error:
        raise ValueError(
            f"This estimator cannot be saved, because {error}. Use str, int or bool "
            "for labels and for names of tasks, or use joblib.dump."
        ) from error


def package_versions(more=()):
    """Return the installed versions of the packages in `PACKAGES` and in `more`."""
    versions = {"python": platform.python_version()}
    for package in (*PACKAGES, *more):
        with contextlib.suppress(metadata.PackageNotFoundError):
            versions[package] = metadata.version(package)
    return versions


def make_card(estimator, versions, usage=None):
    """Return the model card of a fitted estimator.

    If `usage` is None, the card shows how to load a saved directory.
    """
    fitted = vars(estimator)
    label_sets = {}
    if "task_names_" in fitted:
        pairs = zip(estimator.task_names_, estimator.classes_, strict=True)
        label_sets = {name: labels.tolist() for name, labels in pairs}
    elif "label_names_" in fitted:
        label_sets = {None: estimator.label_names_.tolist()}
    elif "classes_" in fitted:
        label_sets = {None: estimator.classes_.tolist()}
    encoder = estimator._base_model
    return model_card(
        name=type(estimator).__name__,
        encoder=encoder,
        license=_hf.encoder_license(encoder),
        label_sets=label_sets,
        n_numbers=0 if label_sets else sum(t.n_outputs for t in estimator._spec.tasks),
        n_samples=estimator.n_samples_fit_,
        history=estimator.history_,
        versions=versions,
        usage=usage,
    )


def load(cls, path, classes):
    """Read an estimator of class `cls` from a directory.

    Parameters
    ----------
    cls : type
    path : str or path-like
    classes : dict
        Maps class names to estimator classes. A parameter of the estimator can be an
        instance of one of these classes.

    Returns
    -------
    estimator
    """

    def check(manifest):
        _pack.check_schema(manifest["schema"])
        name = manifest.get("class")
        if name != cls.__name__:
            raise ValueError(
                f"{path} must contain an estimator of the class {cls.__name__}, got "
                f"the class {shorten(name, 80, str)}. Load the directory with "
                f"{shorten(name, 80, str)}.load."
            )

    manifest, files = _directory.read(path, check)
    with _translate_errors(f"{path}: {_directory.MANIFEST}"):
        budget = ArrayBudget()
        estimator = _build(cls, manifest, classes, budget)
        vars(estimator).update(_decode_fitted(manifest["fitted"], budget))
        spec = decode(manifest["module"], budget)
        tokenizer = decode(manifest["tokenizer"], budget)
    with _translate_errors(path):
        tokenizer["json"] = files["tokenizer.json"].read().decode()
        files["tokenizer_config.json"].read()  # verified, but not used
        packed = {
            "schema": manifest["schema"],
            "spec": spec,
            "config": files["config.json"].read().decode(),
            "tokenizer": tokenizer,
            "base_model": {},
            "encoder": files["model.safetensors"],
            "heads": files["heads.safetensors"],
        }
        fitted = _pack.unpack(packed)
        _pack.check_tokenizer(fitted[0], fitted[2])
        vars(estimator).update(zip(PACKED, fitted, strict=True))
        estimator._check_consistent()
    return estimator


def _decode_fitted(fitted, budget):
    names = set(fitted)
    if not NEEDED <= names <= set(FITTED):
        wrong = sorted(names - set(FITTED) | NEEDED - names)
        raise ValueError(
            f"fitted attributes are missing or unknown: {shorten(wrong, 100)}"
        )
    fitted = {name: decode(value, budget) for name, value in fitted.items()}
    for name, is_valid in _VALID.items():
        if name in fitted and not is_valid(fitted[name]):
            raise ValueError(
                f"{name} has an invalid value: {shorten(fitted[name], 80)}"
            )
    return fitted


def _build(cls, described, classes, budget):
    """Build an unfitted estimator, including estimators among its parameters."""
    values = {}
    for name, value in described["parameters"].items():
        if isinstance(value, dict) and value.get(TAG) == "estimator":
            values[name] = _build(classes[value["class"]], value, classes, budget)
        elif name not in NOT_SAVED:
            values[name] = decode(value, budget)
    estimator = cls(**values)
    if "requests" in described:
        _request(estimator, decode(described["requests"], budget))
    return estimator


def _request(estimator, requests):
    """Set which metadata each method requests. Raise for unknown metadata."""
    routing = estimator._get_metadata_request()
    own = routing._serialize()
    for method, by_name in requests.items():
        for name, alias in by_name.items():
            known = name in own[method] and (
                alias is None or type(alias) in (bool, str)
            )
            if not known:
                raise ValueError(
                    f"{method} cannot request {shorten(name, 80)} as "
                    f"{shorten(alias, 80)}"
                )
            getattr(routing, method).add_request(param=name, alias=alias)
    setattr(estimator, REQUESTS, routing)


def _translate_errors(what):
    """Turn errors into a ValueError that names the file or directory."""
    return translate_errors(
        lambda error: ValueError(
            f"{what} cannot be loaded ({type(error).__name__}: "
            f"{shorten(error, 400, str)})"
        )
    )
