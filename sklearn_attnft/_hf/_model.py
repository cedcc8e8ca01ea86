# SPDX-License-Identifier: BSD-3-Clause
"""Load configurations and weights of encoders and of their masked-LM heads."""

import copy
from inspect import signature

import torch
from torch import nn

from .._utils._imports import paused_garbage_collection
from .._utils._messages import shorten
from .._utils._process import preserve_generator, translate_errors
from ._attention import use_products
from ._find import (
    DEFAULT_ENCODER,
    find_encoder,
    not_found,
    refuse_adapter,
    refuse_own_code,
)
from ._limits import without_unknown
from ._padding import refuse_reading_of_padding
from ._quiet import quiet
from ._weights import SAFE, WeightsError, read_state_dict

# Names of dropout probabilities in the configurations of transformers.
ATTENTION_DROPOUTS = ("attention_probs_dropout_prob", "attention_dropout")
HIDDEN_DROPOUTS = (
    "hidden_dropout_prob",
    "hidden_dropout",
    "dropout",
    "activation_dropout",
    "embedding_dropout",
    "mlp_dropout",
)
SIZES = ("hidden_size", "num_hidden_layers")  # settings of every text encoder
# Settings that select kernels. A kernel is code, and a config.json could select one on
# the hub.
IMPLEMENTATIONS = ("_attn_implementation", "_experts_implementation")
# Families of text encoders for which transformers has no masked language model.
WITHOUT_LM = {"clip_text_model", "markuplm", "splinter", "visual_bert"}


def load_config(encoder, *, encoder_dropout=0.0):
    """Return the configuration of a text encoder.

    The dropout of attention probabilities is set to 0, because other values prevent
    fused attention. All other dropouts of the encoder are set to `encoder_dropout`. For
    a model that is not a text encoder, ValueError is raised.
    """
    from transformers import AutoConfig, PreTrainedConfig, __version__

    source = find_encoder(encoder)
    refuse_adapter(encoder)

    def unreadable(error):
        return ValueError(not_found(encoder, source))

    def not_understood(error):
        refuse_own_code(encoder, error)
        return ValueError(
            f"encoder={str(encoder)!r} has a config.json that transformers "
            f"{__version__} cannot read (model_type={shorten(kind, 80)}; "
            f"{type(error).__name__}: {shorten(error, 120, str)}). If the model is "
            'new, upgrade transformers. If config.json lacks "model_type", add it in a '
            "copy of the directory."
        )

    with translate_errors(unreadable), quiet():
        found, _ = PreTrainedConfig.get_config_dict(source)  # may be {}
        kind = found.get("model_type")
    if not found:
        raise unreadable(None)
    refuse_family(str(kind), encoder)
    with translate_errors(not_understood), quiet():
        config = AutoConfig.from_pretrained(source, trust_remote_code=False)
    refuse_decoder(config, encoder)
    _check_and_set(config, encoder, encoder_dropout)
    return config


def _check_and_set(config, encoder, encoder_dropout):
    """Refuse encoders that cannot be trained or saved, and set kernels and dropouts."""
    if getattr(config, "quantization_config", None) is not None:
        raise ValueError(
            f"encoder={str(encoder)!r} is quantized (quantization_config in its "
            "config.json). Quantized weights cannot be trained. Pass the original "
            "encoder, which is not quantized."
        )
    try:  # what a fit can save must load again
        without_unknown(config)
    except ValueError as error:
        raise ValueError(
            f"encoder={str(encoder)!r} is larger than any known encoder: {error}. "
            "Correct its config.json."
        ) from error
    if config.model_type == "big_bird":  # changes this for good if a text is short
        config.attention_type = "original_full"
    for name in IMPLEMENTATIONS:
        if hasattr(config, name):
            setattr(config, name, None)
    for name in ATTENTION_DROPOUTS:
        if hasattr(config, name):
            setattr(config, name, 0.0)
    for name in HIDDEN_DROPOUTS:
        if hasattr(config, name):
            setattr(config, name, float(encoder_dropout))


def refuse_family(kind, encoder):
    """Raise ValueError for a model type that is not a text encoder.

    The model type is looked up in the lists of transformers before a configuration is
    created. Otherwise, the configuration of a model that is not a text encoder could
    download files and run code from these files.
    """
    from transformers import CONFIG_MAPPING
    from transformers.models.auto import configuration_auto
    from transformers.models.auto import modeling_auto as registry

    if kind not in configuration_auto.CONFIG_MAPPING_NAMES:
        return  # unknown to transformers, or registered by the user
    masked = kind in {*registry.MODEL_FOR_MASKED_LM_MAPPING_NAMES, *WITHOUT_LM}
    if kind in registry.MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES:
        raise _not_an_encoder(encoder, "has a decoder", kind)
    if kind in registry.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES and not masked:
        raise _not_an_encoder(encoder, "is a decoder-only model", kind)
    if not masked or "text_config" in CONFIG_MAPPING[kind].sub_configs:
        raise _not_an_encoder(encoder, "is not a single text encoder", kind)


def refuse_decoder(config, encoder):
    """Raise ValueError for the configuration of a decoder."""
    # A config.json can change is_encoder_decoder of the object, but not of the class.
    is_pair = getattr(type(config), "is_encoder_decoder", False)
    if is_pair or config.is_encoder_decoder or getattr(config, "is_decoder", False):
        raise _not_an_encoder(encoder, "has a decoder", config.model_type)
    if not all(hasattr(config, size) for size in SIZES):
        raise _not_an_encoder(
            encoder, "is not a single text encoder", config.model_type
        )


def _not_an_encoder(encoder, reason, kind):
    return ValueError(
        f"encoder={str(encoder)!r} {reason} (model type {shorten(kind, 80)}), but this "
        f"package fine-tunes text encoders only. Pass {DEFAULT_ENCODER!r}, or a BERT, "
        "RoBERTa, DeBERTa or ModernBERT model."
    )


@paused_garbage_collection()
def load_encoder(encoder, config):
    """Load the encoder's weights in float32, on the CPU, without a pooling layer.

    Returns
    -------
    torch.nn.Module
        The encoder in evaluation mode.
    """
    from transformers import MODEL_MAPPING

    model, _ = _load_model(MODEL_MAPPING, encoder, config)
    model = without_pooler(model)
    refuse_reading_of_padding(model, encoder)
    return model


@paused_garbage_collection()
def load_language_model(encoder, config):
    """Load an encoder and its masked-LM head, if a head is stored.

    Returns
    -------
    encoder : torch.nn.Module
        The encoder in evaluation mode, without a pooling layer.
    head : torch.nn.Module or None
        Maps hidden states (n_tokens, hidden_size) to logits (n_tokens, vocab_size).
        None if the encoder was stored without a head.
    """
    from transformers import MODEL_FOR_MASKED_LM_MAPPING

    model, missing = _load_model(MODEL_FOR_MASKED_LM_MAPPING, encoder, config)
    prefix = f"{model.base_model_prefix}."
    lacks_head = any(not key.startswith(prefix) for key in missing)
    _tie(model)
    base = without_pooler(model.base_model)
    refuse_reading_of_padding(base, encoder)
    return base, None if lacks_head else _PretrainedHead(model)


def _tie(model):
    """Let the token embeddings and the output layer share one tensor.

    If the configuration ties these tensors but the file contains both, transformers 5.2
    keeps two tensors. This function replaces them by one tensor if they are equal.
    """
    embeddings, decoder = model.get_input_embeddings(), model.get_output_embeddings()
    tied = model.config.tie_word_embeddings and decoder is not None
    if tied and torch.equal(decoder.weight, embeddings.weight):
        decoder.weight = embeddings.weight


def _load_model(mapping, encoder, config):
    """Load a model. Return the model and the names of its missing weights.

    If weights of the encoder are missing, ValueError is raised, because transformers
    would initialize them at random. The weights of the pooling layer may be missing,
    because this layer is not used.
    """
    from huggingface_hub.errors import EntryNotFoundError

    source = find_encoder(encoder)
    try:
        with preserve_generator(), quiet(), torch.inference_mode(False):
            weights = read_state_dict(source, config)
            config = copy.copy(config)
            vars(config).pop("transformers_weights", None)  # weights have been read
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
        raise ValueError(not_found(encoder, source, SAFE[0])) from error
    except Exception as error:  # a damaged file can raise any exception
        raise ValueError(
            f"encoder={str(encoder)!r} has weights that cannot be read ("
            f"{type(error).__name__}: {shorten(error, 200, str)}). Download the "
            "weights again. If you use git, install git-lfs first, because git alone "
            "downloads pointers instead of weights."
        ) from error
    missing = set(report["missing_keys"])
    wrong = {name for name, *_ in report["mismatched_keys"]}
    prefix = f"{model.base_model_prefix}."
    is_base = model.base_model is model
    wrong |= {key for key in missing if is_base or key.startswith(prefix)}
    wrong = {key for key in wrong if not key.removeprefix(prefix).startswith("pooler.")}
    if wrong:
        raise ValueError(
            f"encoder={str(encoder)!r} must have the weights that its config.json "
            f"requires, but {len(wrong)} weights are missing or have a wrong shape ("
            f"{', '.join(sorted(wrong)[:3])}, ...). Save the encoder again with "
            "save_pretrained."
        )
    use_products(model)
    return model, missing


def _model_class(mapping, config):
    """Return the model class of transformers for a configuration."""
    found = mapping[type(config)]
    if not isinstance(found, (list, tuple)):
        return found
    named = [each for each in found if each.__name__ in (config.architectures or ())]
    return [*named, *found][0]


class _PretrainedHead(nn.Module):
    """A module that applies the head of a masked language model.

    The name of the head depends on the model family, but each model passes the hidden
    states of its encoder to its head. So this class replaces the encoder of the model
    by a module that returns given hidden states, and then runs the whole model.
    """

    def __init__(self, model):
        super().__init__()
        setattr(model, model.base_model_prefix, _GivenStates())
        self.model = model

    def forward(self, states):
        """Map (n_tokens, hidden_size) to logits (n_tokens, vocab_size)."""
        given = getattr(self.model, self.model.base_model_prefix)
        given.states = states.unsqueeze(0)
        ids = torch.zeros(given.states.shape[:2], dtype=torch.long)
        return self.model(input_ids=ids.to(states.device)).logits.squeeze(0)


class _GivenStates(nn.Module):
    """A module that replaces an encoder and returns given hidden states."""

    def forward(self, *args, **kwargs):
        from transformers.modeling_outputs import BaseModelOutput

        return BaseModelOutput(last_hidden_state=self.states)


def without_pooler(model):
    """Remove the pooling layer, and return the model in evaluation mode.

    This package never uses the pooling layer. Some families call it in any case: there,
    it is replaced by a module without weights.
    """
    if getattr(model, "pooler", None) is not None:
        has_switch = "add_pooling_layer" in signature(type(model)).parameters
        model.pooler = None if has_switch else nn.Identity()
    return model.eval()
