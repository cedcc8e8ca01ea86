# SPDX-License-Identifier: BSD-3-Clause
"""Convert a module and its tokenizer to JSON and safetensors, and back."""

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
from .._runtime._device import use_one_thread_after_fork
from .._utils._messages import shorten
from .._utils._warnings import warn
from ._safetensors import layout_of, read_weights

SCHEMA = 1
# Maps each earlier schema to a function that converts packed data to the next schema.
# Parameters and fitted attributes are stored separately and are not converted, so their
# names must not change.
MIGRATIONS = {}


def pack(module, spec, tokenizer, base_model=None):
    """Return a fitted module and its tokenizer as plain data.

    Parameters
    ----------
    module : TextModel
    spec : ModuleSpec
    tokenizer : TextTokenizer
    base_model : str or None
        Hub name or directory of the pretrained encoder. Weights that are equal to those
        of the pretrained encoder are left out. If None, all weights are packed.

    Returns
    -------
    dict
        A dict of str, int, dict and bytes. The weights are in the safetensors format,
        in float32. They do not depend on the device of the module.
    """
    use_one_thread_after_fork()
    encoder, heads = _split(module.state_dict())
    packed = {
        "schema": SCHEMA,
        "spec": dataclasses.asdict(spec),
        "config": _hf.encoder_config(module.encoder),
        "tokenizer": {"json": tokenizer.json, **tokenizer.settings},
        "base_model": {},
    }
    base = _load_base_model_or_warn(base_model, tokenizer.settings)
    if base is not None:
        base_weights, json, digest = base
        packed["base_model"] = {"encoder": base_model, "sha256": digest}
        if json == tokenizer.json:
            packed["tokenizer"]["json"] = None
        encoder = {
            name: weight
            for name, weight in encoder.items()
            if name not in base_weights or not _hf.same_bits(weight, base_weights[name])
        }
    return packed | {"encoder": _to_bytes(encoder), "heads": _to_bytes(heads)}


def _split(by_name):
    """Split a dict by its keys into entries of the encoder and of the heads.

    The keys are names of weights. The prefix "encoder." is removed from the keys.
    """
    prefix = "encoder."
    encoder = {n: each for n, each in by_name.items() if n.startswith(prefix)}
    heads = {n: each for n, each in by_name.items() if n not in encoder}
    return {n.removeprefix(prefix): each for n, each in encoder.items()}, heads


def _to_bytes(weights):
    weights = {name: w.detach().cpu().contiguous() for name, w in weights.items()}
    return save(weights, metadata={"format": "pt"})


def _load_base_model_or_warn(name, settings):
    """Load a pretrained encoder. If it cannot be read, warn and return None."""
    if name is None:
        return None
    try:
        return _load_base_model(name, settings)
    except ValueError as error:
        warn(
            "pickle_weights='delta' has no effect, because the pretrained encoder "
            f"cannot be read ({error}). The pickle contains all weights. Restore the "
            "encoder, or set pickle_weights='full'.",
        )
        return None


def _load_base_model(name, settings):
    """Return weights, tokenizer (JSON) and digest of a pretrained encoder."""
    config = _hf.load_config(name)
    lengths = {key: settings[key] for key in ("max_length", "long_texts")}
    tokenizer = _hf.load_tokenizer(name, config, **lengths)
    encoder = _hf.load_encoder(name, config)
    digest = _hf.encoder_digest(encoder, tokenizer)
    return encoder.state_dict(), tokenizer.json, digest


@torch.inference_mode(False)
def unpack(packed):
    """Rebuild a module and its tokenizer, on the CPU and in evaluation mode.

    Parameters
    ----------
    packed : dict
        Result of :func:`pack`, from this version or an earlier version of the package.
        The weights ("encoder" and "heads") are bytes or StoredFiles. In both cases,
        :func:`read_weights` checks the weights.

    Returns
    -------
    module : torch.nn.Module
    spec : ModuleSpec
    tokenizer : TextTokenizer

    Raises
    ------
    ValueError
        If a newer version of this package created `packed`, if the pretrained encoder
        is needed but missing or changed, or if the values of `packed` do not belong
        together.
    """
    use_one_thread_after_fork()
    packed = migrated(packed)
    # The weights of the skeleton take no memory. No random numbers are sampled.
    skeleton = _hf.encoder_skeleton(packed["config"])
    spec = _rebuild_spec(packed["spec"], skeleton.config.num_hidden_layers)
    with torch.device("meta"):
        module = TextModel.build(skeleton, spec)
    encoder_layout, head_layout = _split(layout_of(module.state_dict()))
    base_weights, tokenizer = {}, dict(packed["tokenizer"])
    if packed["base_model"]:
        base_weights, json = _load_same_base_model(
            **packed["base_model"], settings=tokenizer
        )
        tokenizer["json"] = tokenizer["json"] or json
    with torch.device("cpu"):  # safetensors 0.5 reads to the default device of torch
        encoder = read_weights(packed["encoder"], encoder_layout, base_weights)
        heads = read_weights(packed["heads"], head_layout)
    weights = {f"encoder.{name}": weight for name, weight in encoder.items()}
    _check_finite({**encoder, **heads})
    module.load_state_dict({**weights, **heads}, assign=True)
    return module.eval(), spec, TextTokenizer(**tokenizer)


def _check_finite(weights):
    """Raise ValueError if a weight is not finite.

    ``fit`` never produces such a weight, so the stored weights must have been changed.
    """
    for name, weight in weights.items():
        if weight.is_floating_point() and not weight.isfinite().all():
            raise ValueError(
                f"The weights must be finite, but {shorten(name, 200)} has NaN or "
                "infinite values. Restore the file from a copy, or fit again."
            )


def check_tokenizer(module, tokenizer):
    """Raise ValueError if the encoder of a module does not match the tokenizer.

    The encoder must have an embedding for each token id, and must have at least
    `max_length` positions.
    """
    n_embeddings = module.encoder.get_input_embeddings().num_embeddings
    n_positions = _hf.count_positions(module.encoder.config) or tokenizer.max_length
    has_positions = tokenizer.room >= 1 and tokenizer.max_length <= n_positions
    if not (has_positions and tokenizer.fits(n_embeddings)):
        raise ValueError("The tokenizer does not belong to the encoder.")


def migrated(packed):
    """Convert packed data of an earlier schema to the current schema."""
    check_schema(packed["schema"])
    while packed["schema"] < SCHEMA:
        packed = MIGRATIONS[packed["schema"]](packed)
    return packed


def check_schema(schema):
    """Raise ValueError if `schema` is from a newer version of this package."""
    if schema > SCHEMA:
        raise ValueError(
            f"This estimator was stored in schema {schema} by a newer sklearn_attnft. "
            f"This version reads schemas up to {SCHEMA}. Upgrade the package."
        )


def _rebuild_spec(stored, n_layers):
    """Convert a stored dict to a ModuleSpec. Raise ValueError if the dict is wrong."""
    spec = ModuleSpec(**stored)
    tasks = tuple(TaskSpec(**task) for task in spec.tasks)
    known = all(
        t.pooling in POOLINGS and t.head in (None, *HEADS) and t.loss in LOSSES
        for t in tasks
    )
    known &= spec.mixing in MIXINGS and set(spec.layers) <= set(range(n_layers + 1))
    layers = list(spec.layers)
    known &= all(type(i) is int for i in layers) and len(set(layers)) == len(layers) > 0
    if not known:
        raise ValueError(
            f"{shorten(stored, 300)} does not describe a module of this package."
        )
    return dataclasses.replace(spec, layers=tuple(spec.layers), tasks=tasks)


def _load_same_base_model(encoder, sha256, settings):
    """Return the weights and the tokenizer (JSON) of a pretrained encoder.

    Raise ValueError if the digest of the encoder is not `sha256`.
    """
    needed = (
        f"This estimator was pickled with pickle_weights='delta' and needs the encoder "
        f"{encoder!r} of sha256 {sha256}"
    )
    try:
        weights, json, found = _load_base_model(encoder, settings)
    except ValueError as error:
        raise ValueError(f"{needed}: {error}") from error
    if found != sha256:
        raise ValueError(
            f"{needed}, but the encoder in {_hf.find_encoder(encoder)} has the sha256 "
            f"{found}. Restore the encoder with which fit started: "
            f"{_hf.install_hint(encoder)}"
        )
    return weights, json
