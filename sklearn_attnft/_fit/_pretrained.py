# SPDX-License-Identifier: BSD-3-Clause
"""The checkpoint that a fit starts from."""

import functools
from dataclasses import dataclass

from .. import _hf
from .._data._masking import Masking
from .._model._spec import ModuleSpec, resolve_layers
from .._runtime._device import use_one_thread_after_fork
from .._runtime._seeds import draw_seed
from .._training._resume import Fingerprint


@dataclass(frozen=True)
class PretrainedEncoder:
    """An encoder's configuration and tokenizer; its weights are loaded when needed."""

    encoder: str
    config: object
    tokenizer: _hf.TextTokenizer
    identity: tuple | None = None

    @classmethod
    def load(cls, params, encoder_dropout=0.0):
        """Read configuration and tokenizer as the estimator's parameters say."""
        use_one_thread_after_fork()
        config = _hf.load_config(params["encoder"], encoder_dropout=encoder_dropout)
        identity = _hf.encoder_identity(params["encoder"])
        if vars(config).get("transformers_weights"):  # not always beside config.json
            identity = None
        tokenizer = _hf.load_tokenizer(
            params["encoder"],
            config,
            max_length=params["max_length"],
            long_texts=params["long_texts"],
        )
        return cls(params["encoder"], config, tokenizer, identity)

    def spec(self, layers, *, mixing, tasks):
        """Describe the module to build on this backbone."""
        layers = resolve_layers(layers, self.config.num_hidden_layers)
        return ModuleSpec(self.config.hidden_size, layers, mixing, tasks)

    def load_encoder(self):
        """Load the weights, from the checkpoint every time."""
        return _hf.load_encoder(self.encoder, self.config)

    def digest(self, encoder):
        """Return the digest of `encoder`, which is as it was loaded."""
        compute = functools.partial(_hf.encoder_digest, encoder, self.tokenizer)
        return _hf.once_per_process(self.identity, "digest", compute)

    def identify(self, params, data):
        """Return the seed of a fit to `data`, and its Fingerprint if one is needed."""
        seed = draw_seed(params["random_state"])
        if params["checkpoint_dir"] is None:
            return seed, None
        if params["lm_epochs"] or params.get("lm_weight"):
            encoder, head = self.load_language_model()
        else:
            encoder, head = self.load_encoder(), None
        weights = {} if head is None else head.state_dict()
        encoder = (
            self.digest(encoder),
            _hf.encoder_architecture(encoder),
            {name: weight.numpy() for name, weight in weights.items()},
        )
        given = None if params["random_state"] is None else seed
        fingerprint = Fingerprint.of(params, seed=given, encoder=encoder, data=data)
        return fingerprint.seed if given is None else seed, fingerprint

    def load_language_model(self):
        """Load the weights with the language model's head, or None for it."""
        return _hf.load_language_model(self.encoder, self.config)

    def masking(self):
        """Say how this encoder's texts are masked."""
        if self.tokenizer.mask_id is None:
            raise ValueError(
                f"encoder={self.encoder!r} has no mask token, so it cannot be trained "
                "as a masked language model: set lm_epochs=0 and lm_weight=0."
            )
        return Masking(self.tokenizer.mask_id, self.config.vocab_size)
