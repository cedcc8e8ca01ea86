# SPDX-License-Identifier: BSD-3-Clause
"""Configurations and weights of encoders, and of their masked-LM heads."""

import copy

import torch
from torch import nn

from .._utils._process import preserve_generator, translate_errors
from ._find import (
    DEFAULT_ENCODER,
    find_encoder,
    not_found,
    refuse_adapter,
    refuse_own_code,
)
from ._quiet import quiet
from ._weights import WeightsError, read_state_dict

# Names that transformers' configurations give to their dropout probabilities.
ATTENTION_DROPOUTS = ("attention_probs_dropout_prob", "attention_dropout")
HIDDEN_DROPOUTS = (
    "hidden_dropout_prob",
    "hidden_dropout",
    "dropout",
    "activation_dropout",
    "embedding_dropout",
    "mlp_dropout",
)
SIZES = ("hidden_size", "num_hidden_layers")  # that every encoder of text has
# Which kernels compute: a config.json can name some of the hub, which are code.
IMPLEMENTATIONS = ("_attn_implementation", "_experts_implementation")
# Families of one encoder of text, of which there is no masked language model.
WITHOUT_LM = {"clip_text_model", "markuplm", "splinter", "visual_bert"}


def load_config(encoder, *, encoder_dropout=0.0):
    """Read an encoder's configuration and refuse what is not an encoder.

    Attention probabilities get no dropout (it forces the unfused attention path); the
    other dropouts inside the encoder become `encoder_dropout`.
    """
    from transformers import AutoConfig, PreTrainedConfig, __version__

    source = find_encoder(encoder)
    refuse_adapter(encoder)

    def unreadable(error):
        return ValueError(not_found(encoder, source))

    def not_understood(error):
        refuse_own_code(encoder, error)
        return ValueError(
            f"encoder={str(encoder)!r} has a config.json of which transformers "
            f"{__version__} makes nothing (model_type={kind!r:.80}; "
            f"{type(error).__name__}: {error!s:.120}). A model may be too new for it; "
            'an old one may lack "model_type": write it in, in a copy.'
        )

    with translate_errors(unreadable), quiet():
        found, _ = PreTrainedConfig.get_config_dict(source)  # or {}
        kind = found.get("model_type")
    if not found:
        raise unreadable(None)
    refuse_family(str(kind), encoder)
    with translate_errors(not_understood), quiet():
        config = AutoConfig.from_pretrained(source, trust_remote_code=False)
    refuse_decoder(config, encoder)
    if getattr(config, "quantization_config", None) is not None:
        raise ValueError(
            f"encoder={str(encoder)!r} is quantised (quantization_config in its "
            "config.json), and weights of a few bits are not trained: take the "
            "checkpoint that it was made from."
        )
    for name in IMPLEMENTATIONS:
        if hasattr(config, name):
            setattr(config, name, None)
    for name in ATTENTION_DROPOUTS:
        if hasattr(config, name):
            setattr(config, name, 0.0)
    for name in HIDDEN_DROPOUTS:
        if hasattr(config, name):
            setattr(config, name, float(encoder_dropout))
    return config


def refuse_family(kind, encoder):
    """Refuse a model type of which there is no encoder of text.

    By the registry's own lists, and before any configuration is made: those of other
    families load what a file names, by the network and even with its code.
    """
    from transformers import CONFIG_MAPPING
    from transformers.models.auto import configuration_auto
    from transformers.models.auto import modeling_auto as registry

    if kind not in configuration_auto.CONFIG_MAPPING_NAMES:
        return  # transformers does not know it either, or its user registered it
    masked = kind in {*registry.MODEL_FOR_MASKED_LM_MAPPING_NAMES, *WITHOUT_LM}
    if kind in registry.MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES:
        raise _no_encoder(encoder, "has a decoder", kind)
    if kind in registry.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES and not masked:
        raise _no_encoder(encoder, "is a decoder-only model", kind)
    if not masked or "text_config" in CONFIG_MAPPING[kind].sub_configs:
        raise _no_encoder(encoder, "is not one encoder of text", kind)


def refuse_decoder(config, encoder):
    """Refuse a configuration, of a family that has encoders, that is of another."""
    # Of the family, whatever a file says of itself.
    is_pair = getattr(type(config), "is_encoder_decoder", False)
    if is_pair or config.is_encoder_decoder or getattr(config, "is_decoder", False):
        raise _no_encoder(encoder, "has a decoder", config.model_type)
    if not all(hasattr(config, size) for size in SIZES):
        raise _no_encoder(encoder, "is not one encoder of text", config.model_type)


def _no_encoder(encoder, what, kind):
    return ValueError(
        f"encoder={str(encoder)!r} {what} (model type {kind!r:.80}); this package fine-"
        f"tunes encoders: pass one such as {DEFAULT_ENCODER!r}, a BERT, RoBERTa, "
        "DeBERTa or ModernBERT."
    )


def load_encoder(encoder, config):
    """Load the encoder's weights in float32, on the CPU, without a pooling layer.

    Returns
    -------
    torch.nn.Module
        In evaluation mode.
    """
    from transformers import MODEL_MAPPING

    model, _ = _load_model(MODEL_MAPPING, encoder, config)
    return without_pooler(model)


def load_language_model(encoder, config):
    """Load the encoder's weights and its masked-LM head, if it has one.

    Returns
    -------
    encoder : torch.nn.Module
        As :func:`load_encoder` returns it.
    head : torch.nn.Module or None
        Maps hidden states (n_tokens, hidden_size) to logits (n_tokens, vocab_size).
        None if the encoder was stored without it.
    """
    from transformers import MODEL_FOR_MASKED_LM_MAPPING

    model, missing = _load_model(MODEL_FOR_MASKED_LM_MAPPING, encoder, config)
    prefix = f"{model.base_model_prefix}."
    lacks_head = any(not key.startswith(prefix) for key in missing)
    base = without_pooler(model.base_model)
    return base, None if lacks_head else _PretrainedHead(model)


def _load_model(mapping, encoder, config):
    """Load a model; return it and the names of its weights that are not stored.

    Raise ValueError if weights of the encoder are missing, except for its pooling
    layer, which is dropped: transformers would initialize them at random.
    """
    from huggingface_hub.errors import EntryNotFoundError

    source = find_encoder(encoder)
    try:
        with preserve_generator(), quiet(), torch.inference_mode(False):
            weights = read_state_dict(source, config)
            config = copy.copy(config)
            vars(config).pop("transformers_weights", None)  # read already
            model, report = _model_class(mapping, config).from_pretrained(
                None,
                config=config,
                state_dict=weights,
                dtype="float32",
                output_loading_info=True,
            )
    except WeightsError as error:
        raise ValueError(f"encoder={str(encoder)!r} {error}") from error
    except (OSError, EntryNotFoundError) as error:
        raise ValueError(not_found(encoder, source)) from error
    except Exception as error:  # the readers of a damaged file raise any type
        raise ValueError(
            f"encoder={str(encoder)!r} has weights that cannot be read ("
            f"{type(error).__name__}: {error!s:.200}). Download them again; a clone "
            "without git-lfs has pointers in their place."
        ) from error
    missing = set(report["missing_keys"])
    wrong = {name for name, *_ in report["mismatched_keys"]}
    prefix = f"{model.base_model_prefix}."
    is_base = model.base_model is model
    wrong |= {key for key in missing if is_base or key.startswith(prefix)}
    wrong = {key for key in wrong if not key.removeprefix(prefix).startswith("pooler.")}
    if wrong:
        raise ValueError(
            f"encoder={str(encoder)!r} lacks {len(wrong)} of the weights that its "
            "config.json calls for, or has them in another shape ("
            f"{', '.join(sorted(wrong)[:3])}, ...). Save it again with save_pretrained."
        )
    return model, missing


def _model_class(mapping, config):
    """Return the class of transformers for a configuration."""
    found = mapping[type(config)]
    if not isinstance(found, (list, tuple)):
        return found
    named = [each for each in found if each.__name__ in (config.architectures or ())]
    return [*named, *found][0]


class _PretrainedHead(nn.Module):
    """A masked language model without its encoder: token states to logits.

    Every family has its own head under its own name; what they share is that the model
    hands the encoder's states to it. So the encoder is replaced by the states.
    """

    def __init__(self, model):
        super().__init__()
        setattr(model, model.base_model_prefix, _GivenStates())
        self.model = model

    def forward(self, states):
        """(n_tokens, hidden_size) to (n_tokens, vocab_size)."""
        given = getattr(self.model, self.model.base_model_prefix)
        given.states = states.unsqueeze(0)
        ids = torch.zeros(given.states.shape[:2], dtype=torch.long)
        return self.model(input_ids=ids.to(states.device)).logits.squeeze(0)


class _GivenStates(nn.Module):
    """Stands where an encoder was and returns what it was given."""

    def forward(self, *args, **kwargs):
        from transformers.modeling_outputs import BaseModelOutput

        return BaseModelOutput(last_hidden_state=self.states)


def without_pooler(model):
    """Drop the pooler, which is no part of the method and would only be stored."""
    if getattr(model, "pooler", None) is not None:
        model.pooler = None
    return model.eval()
