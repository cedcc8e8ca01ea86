# SPDX-License-Identifier: BSD-3-Clause
"""Entries of a config.json that are kept, and limits of their values."""

import math
import re

# Entries of a config.json that are removed: the origin of the encoder, labels of a
# head, entries that make transformers download or run something, and entries that make
# transformers compute weights, which are stored anyway.
NOT_KEPT = (
    "_name_or_path",
    "name_or_path",
    "id2label",
    "label2id",
    "num_labels",
    "auto_map",
    "quantization_config",
    "transformers_weights",
    "attn_implementation",
    "_attn_implementation",
    "_attn_implementation_internal",
    "experts_implementation",
    "_experts_implementation",
    "_experts_implementation_internal",
    "fusion_config",
    "sinusoidal_embeddings",
    "sinusoidal_pos_embds",
)
# Limits that no encoder reaches. Larger numbers in a file could exhaust the memory.
MAX_PARTS = 1_000  # layers, heads, experts
MAX_ALL_PARTS = 2**14  # product of the counts of layers, groups and experts
MAX_NUMBER = 2**24
MAX_COMPUTED = 2**21  # size of a matrix whose numbers a family computes one by one


def kept(config):
    """Return a configuration as a dict, without the entries `NOT_KEPT`."""
    return {name: value for name, value in config.items() if name not in NOT_KEPT}


def refuse_giant(config):
    """Raise ValueError if a configuration describes an encoder that is too large.

    Parameters
    ----------
    config : dict
        A configuration that :func:`kept` returned.
    """
    _refuse_giant("", config)
    _refuse_many_parts(config)
    _refuse_computed(config)


def without_unknown(config):
    """Remove too large attributes of a configuration that its class does not define.

    Such attributes describe, for example, the pretraining of an encoder. They do not
    describe its size, but :func:`refuse_giant` cannot know that. Other attributes that
    the class does not define are kept, because some families read them.

    Parameters
    ----------
    config : transformers.PreTrainedConfig

    Raises
    ------
    ValueError
        If the configuration is too large without these attributes.
    """
    try:
        refuse_giant(kept(config.to_dict()))
    except ValueError:
        known, found = type(config)().to_dict(), kept(config.to_dict())
        counts = _counts(found)
        for name in set(found) - set(known):
            if name in counts or _is_giant(name, found[name]):
                delattr(config, name)
        refuse_giant(kept(config.to_dict()))


def _is_giant(name, value):
    try:
        _refuse_giant(name, value)
    except ValueError:
        return True
    return False


def _refuse_giant(name, value):
    """Raise ValueError if a number or list in the configuration is too large."""
    if isinstance(value, dict):
        for key, each in value.items():
            _refuse_giant(key, each)
        return
    if isinstance(value, list):
        for each in value:
            _refuse_giant(name, each)
        value = len(value)
    is_count = re.search("layer|head|group|expert|block", name)
    largest = MAX_PARTS if is_count else MAX_NUMBER
    if type(value) is int and value > largest and "theta" not in name:
        raise ValueError(f"{name} must be at most {largest}, got {value}")


def _refuse_many_parts(config):
    """Raise ValueError if layers times groups times experts is too large."""
    product = math.prod(_counts(config).values())
    if product > MAX_ALL_PARTS:
        raise ValueError(
            "the product of the numbers of layers, groups, experts and blocks must be "
            f"at most {MAX_ALL_PARTS}, got {product}"
        )


def _counts(config):
    """Return the numbers of layers, groups, experts and blocks as a dict."""
    return {
        name: value
        for name, value in config.items()
        if type(value) is int and value > 1 and re.search("^(num|n)_.*|_num$", name)
        if re.search("layer|group|expert|block", name)
    }


def _refuse_computed(config):
    """Raise ValueError if a matrix that the encoder computes would be too large."""
    names = ("hidden_size", "max_position_embeddings", "tpu_short_seq_length")
    width, positions, short = (config.get(name) or 0 for name in names)
    n = {"roformer": width * positions, "fnet": short**2}.get(config["model_type"], 0)
    if n > MAX_COMPUTED:
        raise ValueError(
            "the matrix that the encoder computes from its configuration must have at "
            f"most {MAX_COMPUTED} numbers, got {n}"
        )
