# SPDX-License-Identifier: BSD-3-Clause
"""Fitting, in plain arguments: tokenise, build the module, train it."""

import contextlib
import copy
import dataclasses
import math

import numpy as np
import torch
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

from .._data._labeled import split, weigh
from .._data._tokens import tokenize, truncated_fraction
from .._fit import _contrastive_stage, _lm_stage
from .._model._spec import TaskSpec
from .._model._text_model import TextModel
from .._runtime import _encoder_cache
from .._runtime._device import (
    is_out_of_memory,
    resolve_device,
    resolve_dtype,
    trim_memory,
    without_cudnn_attention,
)
from .._runtime._gpu_slots import gpu_slot
from .._runtime._seeds import isolated_generator
from .._training import Recipe, train
from .._training._progress import Stage
from .._training._resume import open_resume_state
from .._utils._process import in_float32
from .._utils._warnings import warn
from ._frozen_states import with_frozen_states
from ._joint import JointDataset, JointLoss, JointModel
from ._lm_stage import Start, load_start
from ._pretrained import PretrainedEncoder
from ._trainable import freeze

# With max_epochs="auto": passes over many texts, and the least steps on few. Mosbach et
# al. (2021), "On the Stability of Fine-tuning BERT": on few texts, train for steps.
EPOCHS, LEAST_STEPS = 3, 40


def resolve_epochs(params, tasks, data, validation):
    """Make a number of max_epochs="auto", for what fit_classifier is given."""
    if params["max_epochs"] != "auto":
        return params
    n_texts = len(_weighed(params, tasks, data).texts)
    if params["early_stopping"] and validation is None:
        n_texts -= math.ceil(params["validation_fraction"] * n_texts)
    n_steps = max(1, math.ceil(n_texts / params["batch_size"]))
    return {**params, "max_epochs": max(EPOCHS, math.ceil(LEAST_STEPS / n_steps))}


def fit_features(params, texts, watch):
    """Build the encoder with its pooling, adapted to the texts if asked for.

    Returns
    -------
    fitted : tuple
        As :func:`fit_classifier` returns it.
    history : list of dict
        Of the language model's stage.
    """
    backbone = PretrainedEncoder.load(params)
    tasks = (TaskSpec(params["pooling"]),)
    spec = backbone.spec(params["layers"], mixing="mean", tasks=tasks)
    _encoder_cache.check_cache(params)
    longer = truncated_fraction(texts, backbone.tokenizer)
    _warn_truncation(params, longer, watch)
    if not params["lm_epochs"]:
        start = Start(backbone.load_encoder())
    else:
        of_stage = {n: params[n] for n in params if n not in ("layers", "pooling")}
        seed, fingerprint = backbone.identify(of_stage, texts)

        def adapted(params, machine):
            return load_start(backbone, texts, params, machine, seed)

        start = _retry_on_oom(adapted, params, seed, fingerprint, watch)
    with torch.inference_mode(False):
        module = TextModel.build(start.encoder, spec).eval().requires_grad_(False)
    _encoder_cache.add_counts(module, start.counts)
    if params["cache"] is not None and not params["lm_epochs"]:
        _encoder_cache.remember_digest(module, backbone.digest(module.encoder))
    return (module, spec, backbone.tokenizer, longer), start.history


def fit_classifier(params, tasks, data, validation, unlabeled, watch):
    """Train a classifier from the checkpoint.

    Parameters
    ----------
    params : dict
        The estimator's parameters.
    tasks : Tasks
    data : LabeledTexts
    validation : LabeledTexts or None
    unlabeled : list of str
        More texts for the language model.
    watch : Watch

    Returns
    -------
    fitted : tuple
        module, spec, tokenizer, share of long texts.
    history : list of dict
        See ``_training.train``; the rows have a "stage".
    """
    data = _weighed(params, tasks, data)
    backbone = PretrainedEncoder.load(params, params["encoder_dropout"])
    spec = backbone.spec(
        params["layers"], mixing="attention", tasks=tasks.specs(params)
    )
    everything = (tasks, data, validation, unlabeled)
    seed, fingerprint = backbone.identify(params, everything)
    if validation is None and params["early_stopping"]:
        fraction = params["validation_fraction"]
        data, validation = split(data, tasks.label_sets, fraction, seed)
    if params["early_stopping"]:
        tasks.check_validation(validation)
    labelled, is_truncated = data.tokenized(backbone.tokenizer, sampling=tasks.sampling)
    _warn_truncation(params, is_truncated.mean(), watch)
    if validation is not None:
        validation, _ = validation.tokenized(backbone.tokenizer)

    def trained(params, machine):
        texts = [*data.texts, *unlabeled]
        planned = _stages(params, len(labelled), len(unlabeled))
        recipe = _recipe(params, machine, tasks.monitor)
        start = load_start(backbone, texts, params, machine, seed, planned)
        history = start.history + _contrastive_stage.contrast(
            start.encoder, labelled, params, recipe
        )
        module, training = TextModel.build(start.encoder, spec), labelled
        freeze(module, params["trainable_layers"])
        criterion = classification = tasks.loss(params)
        if params["lm_weight"] > 0:
            training = _joint_texts(training, texts, backbone, params)
            module = JointModel(module, start.head)
            criterion = JointLoss(criterion, lm_weight=params["lm_weight"])
        running = _encoder_cache.cached_model(
            module, backbone.tokenizer, machine, params, backbone.digest
        )
        if running is module and not params["lm_weight"]:  # whose texts are masked
            corpora = watch.sample(labelled, validation, recipe)
            running = with_frozen_states(module, corpora, recipe)
        model = module.model if params["lm_weight"] > 0 else module

        def result(rows, model):
            rows = [{"stage": "classifier", **row} for row in rows]
            fitted = model, spec, backbone.tokenizer, float(is_truncated.mean())
            return fitted, history + rows

        # A copy: the original goes on learning.
        watch.reveal(lambda rows: result(rows, copy.deepcopy(model).eval()))
        rows = train(running, criterion, training, validation, recipe)
        _warn_collapse(classification.collapsed(), tasks)
        _encoder_cache.add_counts(model, start.counts)
        return result(rows, model)

    return _retry_on_oom(trained, params, seed, fingerprint, watch)


def _weighed(params, tasks, data):
    """Leave the texts that something is learned from, with their classes' weights."""
    class_weights = [own["class_weight"] for own in tasks.merged(params)]
    return weigh(data, tasks.label_sets, class_weights)


def _stages(params, n_labelled, n_unlabeled):
    """Plan what comes after the language model; jointly, each batch has company."""
    n_texts = n_labelled
    if params["lm_weight"] > 0:
        n_batches = math.ceil(n_labelled / params["batch_size"])
        n_texts += min(n_unlabeled, n_batches * params["batch_size"])
    stages = [
        Stage("contrastive", params["contrastive_epochs"], n_labelled),
        Stage("classifier", params["max_epochs"], n_texts),
    ]
    return [stage for stage in stages if stage.n_epochs]


def _retry_on_oom(run, params, seed, fingerprint, watch):
    """Train, with ever smaller micro-batches if the memory is too small.

    Each attempt starts from the checkpoint, so that its result is the one that its
    micro-batches give, whatever did not fit before.

    Parameters
    ----------
    run : callable
        From the parameters and what there is to know of the machine to a result.
    params : dict
    seed : int
    fingerprint : Fingerprint or None
    watch : Watch

    Returns
    -------
    object
        What `run` returns.
    """
    largest = _largest_step(params)
    size = min(params["micro_batch_size"] or largest, largest)
    device = resolve_device(params["device"])
    while True:
        checkpoint = open_resume_state(params, fingerprint)
        machine = _machine(params, device, seed, checkpoint, watch)
        try:
            with (
                checkpoint,
                contextlib.closing(watch),
                gpu_slot(device),
                without_cudnn_attention(device),
                isolated_generator(seed, device),
                torch.inference_mode(False),
                in_float32(device),  # gradients too, within a user's autocast
            ):
                result = run(params, machine)
                checkpoint.finish()
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            if size == 1:
                cut = "long_texts='truncate', " * (params["long_texts"] == "window")
                raise MemoryError(
                    f"The memory of {device} does not hold one text in training: set "
                    f"{cut}max_length lower than {params['max_length']}, "
                    "trainable_layers lower, or take a smaller encoder."
                ) from error
        else:
            trim_memory()
            return result
        # Out of the handler, where the error's frames hold what filled the memory.
        if device.type == "cuda":
            torch.cuda.empty_cache()
        size //= 2
        params = {**params, "micro_batch_size": size}
        warn(
            f"The memory of {device} is too small for the texts of a training step at "
            f"once: the fit starts anew with micro_batch_size={size}, at the same "
            "batch_size. Set micro_batch_size to that to save the attempt.",
        )


def _largest_step(params):
    """Return how many texts or windows are in a step, at the most, of any stage."""
    size = params.get("batch_size", 0)
    if params.get("lm_weight"):
        size = 2 * size  # and their company
    if params["lm_epochs"] or params.get("lm_weight"):
        size = max(size, _lm_stage.BATCH_SIZE)
    if params.get("contrastive_epochs"):
        size = max(size, _contrastive_stage.BATCH_SIZE)
    return size


def _warn_collapse(collapsed, tasks):
    """Warn of label sets of which one class was predicted for every training text."""
    for label_set in tasks.label_sets:
        if label_set.name in collapsed:
            label = label_set.classes.tolist()[collapsed[label_set.name]]
            of = "" if label_set.name is None else f" of {label_set.name!r}"
            warn(
                f"In the last epoch every training text was predicted to be {label!r}"
                f"{of}: the fit has collapsed, or was too short to learn anything. Set "
                "learning_rate lower, max_epochs higher, or class_weight='balanced' if "
                "that class is by far the most frequent.",
                ConvergenceWarning,
            )


def _warn_truncation(params, longer, watch):
    """Warn before the work starts: it may be long."""
    is_cut = params["long_texts"] == "truncate" and longer > 0
    if is_cut and not watch.is_rehearsal:  # whose report says it
        # Whole percents: of all folds' fits Python shows a warning once if it is equal.
        warn(
            f"Up to {math.ceil(100 * longer)}% of the texts are longer than max_length="
            f"{params['max_length']} tokens; of these the middle is cut out: set "
            "long_texts='window' to read them whole, or raise max_length.",
        )


def _recipe(params, machine, monitor):
    """Take the classifier's recipe from the estimator's parameters."""
    names = {field.name for field in dataclasses.fields(Recipe)}
    names -= {*machine, "callbacks", "monitor"}
    recipe = {name: params[name] for name in names}
    # skorch callbacks may come with a name: (name, callback).
    callbacks = [
        (item[0], clone(item[1])) if isinstance(item, tuple) else clone(item)
        for item in params["callbacks"] or []
    ]
    return Recipe(**recipe, **machine, callbacks=callbacks, monitor=monitor)


def _joint_texts(training, texts, backbone, params):
    """Put labelled and unlabelled texts together, with the words of their tokens."""
    tokens, _ = tokenize(texts, backbone.tokenizer, with_words=True)
    rest = len(texts) - len(training)

    def pad(array):
        return np.pad(array, [(0, rest)] + [(0, 0)] * (array.ndim - 1))

    return JointDataset(
        tokens,
        tuple(pad(labels) for labels in training.labels),
        pad(training.weights),
        training.draws,
        backbone.masking(),
    )


def _machine(params, device, seed, checkpoint, watch):
    """Return what training needs to know of the machine."""
    return {
        "device": device,
        "dtype": resolve_dtype(params["precision"], device),
        "generator": torch.Generator().manual_seed(seed),
        "checkpoint": checkpoint,
        "micro_batch_size": params["micro_batch_size"],
        "watch": watch,
    }
