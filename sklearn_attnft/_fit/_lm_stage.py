# SPDX-License-Identifier: BSD-3-Clause
"""The language model's stage of a fit: once for all candidates of a search."""

import hashlib
import json
from dataclasses import dataclass, field

import numpy as np
import safetensors.torch
import torch

from .. import _cache
from .._data._masking import masked_dataset
from .._model._masked_lm import MaskedCrossEntropy, MaskedLanguageModel, new_head
from .._runtime import _encoder_cache
from .._training import Recipe, random_state, set_random_state, train
from .._training._progress import Stage
from ._trainable import check_trainable, freeze_embeddings
from ._warm_up import warm_up

BATCH_SIZE = 32  # windows
HEAD_LEARNING_RATE = 1e-3


@dataclass(frozen=True)
class Start:
    """What the classifier's training starts from.

    Attributes
    ----------
    encoder : torch.nn.Module
    head : torch.nn.Module or None
        Of the language model.
    history : list of dict
        Of the stage; empty if there was none.
    counts : Counts
        Of look-ups in the cache.
    """

    encoder: torch.nn.Module
    head: torch.nn.Module | None = None
    history: list = field(default_factory=list)
    counts: _cache.Counts = field(default_factory=_cache.Counts)


def load_start(backbone, texts, params, machine, seed, planned=()):
    """Load the encoder and run the language model's stage, if there is any.

    Parameters
    ----------
    backbone : PretrainedEncoder
    texts : list of str
    params : dict
        The estimator's.
    machine : dict
        The fields of a Recipe that say where and how to compute.
    seed : int
    planned : sequence of Stage
        What comes after it.

    Returns
    -------
    Start
    """
    if not params["lm_epochs"] and not params.get("lm_weight"):
        machine["watch"].plan(planned)
        encoder = backbone.load_encoder()
        check_trainable(encoder, params)
        return Start(encoder)
    masking = backbone.masking()
    encoder, head = backbone.load_language_model()
    check_trainable(encoder, params)
    freeze_embeddings(encoder)
    recipe = _recipe(params, machine)
    masked = masked_dataset(texts, backbone.tokenizer, masking, seed)
    training, held_out = masked.split(recipe.generator)
    own_head = new_head(encoder, training) if head is None else head
    model = MaskedLanguageModel(encoder, own_head)
    stages = [
        Stage("language model head", 1 if head is None else 0, len(training)),
        Stage("language model", recipe.max_epochs, len(training)),
        *planned,
    ]
    recipe.watch.plan([stage for stage in stages if stage.n_epochs])

    def run():
        if head is None:
            warm_up(model, training, recipe)
        if recipe.max_epochs:
            train(model, MaskedCrossEntropy(), training, held_out, recipe)

    counts = _cache.Counts()
    learns = head is None or recipe.max_epochs > 0
    if learns and _is_cached(params, recipe):
        cache = _open(encoder, head, backbone, machine, params, counts)
        _once(run, model, recipe, cache, _content(texts, seed))
    else:
        run()
    rows = recipe.checkpoint.stages[-1] if recipe.max_epochs else []
    history = [{"stage": "language model", **row} for row in rows]
    return Start(model.encoder, model.head, history, counts)


def _is_cached(params, recipe):
    # What a drawn seed gives is not asked for again; and what was begun goes on.
    is_repeatable = params["random_state"] is not None
    is_new = not recipe.checkpoint.is_resuming
    is_whole = not recipe.watch.may_stop
    return params["cache"] is not None and is_repeatable and is_new and is_whole


def _once(run, model, recipe, cache, content):
    """Run the stage, or put everything where it was left when it was run before."""

    def compute(_):
        run()
        return [_pack(model, recipe)]

    (packed,) = cache.fetch([content], compute)
    if cache.counts.hits:
        _unpack(packed, model, recipe)


def _recipe(params, machine):
    return Recipe(
        learning_rate=params["lm_learning_rate"],
        head_learning_rate=HEAD_LEARNING_RATE,
        layer_decay=1.0,
        weight_decay=0.01,
        warmup_fraction=0.1,
        max_grad_norm=1.0,
        max_epochs=params["lm_epochs"],
        batch_size=BATCH_SIZE,
        early_stopping=False,
        n_iter_no_change=1,
        monitor="valid_loss",
        gradual_unfreezing=False,
        callbacks=[],
        **machine,
    )


def _open(encoder, head, backbone, machine, params, counts):
    """Open the cache of adapted encoders."""
    weights = {} if head is None else head.state_dict()
    return _encoder_cache.open_cache(
        encoder,
        backbone.digest(encoder),
        machine,
        params,
        counts,
        head={name: _digest(weight.numpy()) for name, weight in weights.items()},
        dropout=params.get("encoder_dropout", 0.0),
        max_length=backbone.tokenizer.max_length,
        stage={name: params[name] for name in ("lm_epochs", "lm_learning_rate")},
        micro_batch_size=params["micro_batch_size"],
        constants=[BATCH_SIZE, HEAD_LEARNING_RATE],
    )


def _content(texts, seed):
    """Return what the stage learns from, in its order, as bytes."""
    encoded = [text.encode("utf-8", "surrogatepass") for text in texts]
    lengths = np.array([seed, *map(len, encoded)], dtype="<i8")
    return lengths.tobytes() + b"".join(encoded)


def _digest(array):
    return hashlib.sha256(np.ascontiguousarray(array)).hexdigest()


def _pack(model, recipe):
    """Write all that the stage changed as the bytes of a safetensors file."""
    learned = {
        name: parameter.detach().cpu().contiguous()
        for name, parameter in model.named_parameters()
        if parameter.requires_grad
    }
    rows = json.dumps(recipe.checkpoint.stages).encode()
    stages = torch.frombuffer(bytearray(rows), dtype=torch.uint8)
    state = {f"state.{name}": each for name, each in random_state(recipe).items()}
    return safetensors.torch.save({**learned, **state, "stages": stages})


def _unpack(packed, model, recipe):
    """Put a model, the generators and the history where the stage left them."""
    tensors = safetensors.torch.load(packed)
    for rows in json.loads(bytes(tensors.pop("stages"))):
        recipe.checkpoint.next_stage()
        recipe.checkpoint.end_stage(rows)
        recipe.watch.skip_stage(len(rows))
    state = {
        name.removeprefix("state."): tensors.pop(name)
        for name in list(tensors)
        if name.startswith("state.")
    }
    set_random_state(recipe, state)
    model.load_state_dict(tensors, strict=False)
