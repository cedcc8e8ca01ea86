# SPDX-License-Identifier: BSD-3-Clause
"""What is kept of a fitted estimator: JSON and safetensors bytes, no live object."""

import dataclasses

import torch
from safetensors.torch import save

from .. import _hf
from .._hf import TextTokenizer
from .._model._heads import HEADS
from .._model._losses import LOSSES
from .._model._pooling import MIXINGS, POOLINGS
from .._model._spec import ModuleSpec, TaskSpec
from .._model._text_model import TextModel
from .._utils._warnings import warn
from ._safetensors import layout_of, read_weights

SCHEMA = 1
# From a schema to the function that turns what was packed in it into the next one. It
# may change all that pack returns, and nothing beside it: parameters and fitted
# attributes, which a directory and a pickle keep apart from it, keep their names.
MIGRATIONS = {}


def pack(module, spec, tokenizer, base_model=None):
    """Turn a fitted module and its tokenizer into plain data.

    Parameters
    ----------
    module : TextModel
    spec : ModuleSpec
    tokenizer : TextTokenizer
    base_model : str or None
        Name or directory of the pretrained encoder. Weights that are equal to its
        weights now are left out. If None, all weights are packed.

    Returns
    -------
    dict
        Of str, int, dict and bytes; the weights are float32 safetensors, whatever
        device they were on.
    """
    weights = module.state_dict()
    encoder = _take(weights, "encoder.")
    packed = {
        "schema": SCHEMA,
        "spec": dataclasses.asdict(spec),
        "config": _hf.encoder_config(module.encoder),
        "tokenizer": {"json": tokenizer.json, **tokenizer.settings},
        "base_model": {},
    }
    found = _load_again(base_model, tokenizer.settings)
    if found is not None:
        there, json, digest = found
        packed["base_model"] = {"encoder": base_model, "sha256": digest}
        if json == tokenizer.json:
            packed["tokenizer"]["json"] = None
        encoder = {
            name: weight
            for name, weight in encoder.items()
            if name not in there or not _hf.same_bits(weight, there[name])
        }
    heads = {n: w for n, w in weights.items() if not n.startswith("encoder.")}
    return packed | {"encoder": _to_bytes(encoder), "heads": _to_bytes(heads)}


def _take(weights, prefix):
    """Take the weights under a prefix, without it."""
    chosen = [name for name in weights if name.startswith(prefix)]
    return {name.removeprefix(prefix): weights[name] for name in chosen}


def _to_bytes(weights):
    weights = {name: w.detach().cpu().contiguous() for name, w in weights.items()}
    return save(weights, metadata={"format": "pt"})


def _load_again(base_model, settings):
    """Load a checkpoint to leave it out; None, with a warning, if it is gone."""
    if base_model is None:
        return None
    try:
        return _load_pretrained(base_model, settings)
    except ValueError as error:
        warn(
            "pickle_weights='delta', but the encoder cannot be read again, so the "
            f"pickle holds all weights: {error}",
        )
        return None


def _load_pretrained(name, settings):
    """Return weights, tokenizer (JSON) and digest of a checkpoint."""
    config = _hf.load_config(name)
    lengths = {key: settings[key] for key in ("max_length", "long_texts")}
    tokenizer = _hf.load_tokenizer(name, config, **lengths)
    encoder = _hf.load_encoder(name, config)
    digest = _hf.encoder_digest(encoder, tokenizer)
    return encoder.state_dict(), tokenizer.json, digest


@torch.inference_mode(False)
def unpack(packed):
    """Rebuild what :func:`pack` was given, on the CPU, in evaluation mode.

    Parameters
    ----------
    packed : dict
        Of any schema up to this one's. "encoder" and "heads" are bytes or open files;
        nothing of them is read before it is known to fit.

    Returns
    -------
    module : torch.nn.Module
    spec : ModuleSpec
    tokenizer : TextTokenizer

    Raises
    ------
    ValueError
        If a newer version of this package wrote it, the checkpoint that it builds on
        is not there or another, or its parts do not fit together.
    """
    packed = migrated(packed)
    # Without memory and without a draw from torch's generator, which is the user's.
    skeleton = _hf.encoder_skeleton(packed["config"])
    spec = _spec(packed["spec"], skeleton.config.num_hidden_layers)
    with torch.device("meta"):
        module = TextModel.build(skeleton, spec)
    layout = layout_of(module.state_dict())
    of_encoder = _take(layout, "encoder.")
    of_heads = {n: what for n, what in layout.items() if not n.startswith("encoder.")}
    there, tokenizer = {}, dict(packed["tokenizer"])
    if packed["base_model"]:
        there, json = _wanted(packed["base_model"], tokenizer)
        tokenizer["json"] = tokenizer["json"] or json
    encoder = read_weights(packed["encoder"], of_encoder, there)
    heads = read_weights(packed["heads"], of_heads)
    weights = {f"encoder.{name}": weight for name, weight in encoder.items()}
    module.load_state_dict({**weights, **heads}, assign=True)
    return module.eval(), spec, TextTokenizer(**tokenizer)


def check_tokenizer(module, tokenizer):
    """Refuse a tokenizer that gives an encoder what it has no weights for."""
    n_embeddings = module.encoder.get_input_embeddings().num_embeddings
    most = _hf.count_positions(module.encoder.config) or tokenizer.max_length
    is_read = tokenizer.room >= 1 and tokenizer.max_length <= most
    if not (is_read and tokenizer.fits(n_embeddings)):
        raise ValueError("The tokenizer does not belong to the encoder.")


def migrated(packed):
    """Bring what an older version packed to this version's schema."""
    check_schema(packed["schema"])
    while packed["schema"] < SCHEMA:
        packed = MIGRATIONS[packed["schema"]](packed)
    return packed


def check_schema(schema):
    """Refuse what a newer version of this package wrote."""
    if schema > SCHEMA:
        raise ValueError(
            f"This estimator was stored in schema {schema} by a newer sklearn_attnft; "
            f"this one reads up to {SCHEMA}: upgrade the package."
        )


def _spec(stored, n_layers):
    """Rebuild what describes the module; refuse what describes none."""
    spec = ModuleSpec(**stored)
    tasks = tuple(TaskSpec(**task) for task in spec.tasks)
    known = all(
        t.pooling in POOLINGS and t.head in (None, *HEADS) and t.loss in LOSSES
        for t in tasks
    )
    known &= spec.mixing in MIXINGS and set(spec.layers) <= set(range(n_layers + 1))
    if not known or not spec.layers:
        raise ValueError(f"{stored!r:.300} describes no module of this package.")
    return dataclasses.replace(spec, layers=tuple(spec.layers), tasks=tasks)


def _wanted(base_model, settings):
    """Load the checkpoint that a pickle builds on; refuse any other."""
    name, digest = base_model["encoder"], base_model["sha256"]
    wanted = (
        f"This estimator was pickled with pickle_weights='delta' and needs the encoder "
        f"{name!r} of sha256 {digest}"
    )
    try:
        weights, json, found = _load_pretrained(name, settings)
    except ValueError as error:
        raise ValueError(f"{wanted}: {error}") from error
    if found != digest:
        raise ValueError(
            f"{wanted}; found another, of sha256 {found}, in "
            f"{_hf.find_encoder(name)}. Bring the one it was fitted from: "
            f"{_hf.cure(name)}"
        )
    return weights, json
