# SPDX-License-Identifier: BSD-3-Clause
"""An encoder as data: its configuration in JSON, and back without any file."""

import json
import re

import torch

from ._model import without_pooler
from ._process import quiet

# What a config.json may hold beside the architecture: where it came from, labels of a
# head that is not here, and what would make transformers fetch or run something else.
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
)
# No encoder has more; a file that says so is out to exhaust the machine.
MOST_PARTS = 1_000  # layers, heads, experts
MOST = 2**24


def encoder_config(encoder):
    """Return an encoder's configuration as JSON, without a trace of this machine."""
    config = json.loads(encoder.config.to_json_string(use_diff=False))
    config = {name: value for name, value in config.items() if name not in NOT_KEPT}
    config["architectures"] = [type(encoder).__name__]
    return json.dumps(config, indent=2, sort_keys=True)


def encoder_skeleton(config_json):
    """Build an encoder on torch's meta device: shapes without memory.

    Raises
    ------
    ValueError
        If it is no configuration of an encoder, or of one beyond all measure.
    """
    try:
        return without_pooler(_skeleton(_read(config_json)))
    except Exception as error:  # whatever transformers makes of a broken one
        raise ValueError(
            f"config.json describes no encoder ({type(error).__name__}: {error!s:.200})"
        ) from error


def rebuild_encoder(config_json, state_dict):
    """Make an encoder from its configuration and all of its weights."""
    config = _read(config_json)
    skeleton = _skeleton(config)
    # A weight that is not given would be drawn, from a generator that a fit in another
    # thread may be using; the pooling layer, which is dropped, is given as zeros.
    drawn = {
        name: torch.zeros(weight.shape)
        for name, weight in skeleton.state_dict().items()
        if name not in state_dict
    }
    with quiet():
        model = type(skeleton).from_pretrained(
            None, config=config, state_dict={**drawn, **state_dict}
        )
    return without_pooler(model)


def _read(config_json):
    """Return the configuration, as one of a family that transformers itself has."""
    from transformers import AutoConfig

    config = json.loads(config_json)
    config = {name: value for name, value in config.items() if name not in NOT_KEPT}
    for name, value in config.items():
        most = MOST_PARTS if re.search("layer|head|group|expert|block", name) else MOST
        if type(value) is int and value > most and "theta" not in name:
            raise ValueError(f"{name}={value} is more than any encoder has")
    return AutoConfig.for_model(**config)


def _skeleton(config):
    from transformers import MODEL_MAPPING

    with torch.device("meta"):
        return MODEL_MAPPING[type(config)](config)
