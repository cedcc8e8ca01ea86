# SPDX-License-Identifier: BSD-3-Clause
"""The pretrained encoder that a fit starts from."""

import functools
from dataclasses import dataclass

from .. import _hf
from .._data._masking import Masking
from .._model._spec import ModuleSpec, resolve_layers
from .._runtime._device import use_one_thread_after_fork
from .._training._fingerprint import Fingerprint


@dataclass(frozen=True)
class PretrainedEncoder:
    """Configuration and tokenizer of an encoder; weights are loaded when needed.

    Attributes
    ----------
    encoder : str
        Directory or name on the hub.
    config : transformers.PretrainedConfig
    tokenizer : TextTokenizer
    identity : tuple or None
        Identity of its files: see ``_hf.encoder_identity``.
    """

    encoder: str
    config: object
    tokenizer: _hf.TextTokenizer
    identity: tuple | None = None

    @classmethod
    def load(cls, plan):
        """Read the configuration and the tokenizer that a plan names."""
        use_one_thread_after_fork()
        config = _hf.load_config(plan.encoder, encoder_dropout=plan.encoder_dropout)
        identity = _hf.encoder_identity(plan.encoder)
        if vars(config).get("transformers_weights"):  # not always beside config.json
            identity = None
        tokenizer = _hf.load_tokenizer(
            plan.encoder,
            config,
            max_length=plan.max_length,
            long_texts=plan.long_texts,
        )
        return cls(plan.encoder, config, tokenizer, identity)

    def spec(self, layers, *, mixing, tasks):
        """Describe the module to build on this encoder."""
        layers = resolve_layers(layers, self.config.num_hidden_layers)
        return ModuleSpec(self.config.hidden_size, layers, mixing, tasks)

    def load_encoder(self):
        """Load the weights again."""
        return _hf.load_encoder(self.encoder, self.config)

    def load_language_model(self):
        """Load the weights with the head of the language model, or None for it."""
        return _hf.load_language_model(self.encoder, self.config)

    def digest(self, encoder):
        """Return the digest of `encoder`, whose weights are as they were loaded."""
        compute = functools.partial(_hf.encoder_digest, encoder, self.tokenizer)
        return _hf.once_per_process(self.identity, "digest", compute)

    def fingerprint(self, parameters, seed, data):
        """Return the Fingerprint of a fit.

        Parameters
        ----------
        parameters : dict
            Those that the fit depends on.
        seed : int or None
            If None, `random_state` is None.
        data : object
            Everything that the fit learns from.
        """
        if parameters["lm_epochs"] or parameters.get("lm_weight"):
            encoder, head = self.load_language_model()
        else:
            encoder, head = self.load_encoder(), None
        weights = {} if head is None else head.state_dict()
        encoder = (
            self.digest(encoder),
            _hf.encoder_architecture(encoder),
            {name: weight.numpy() for name, weight in weights.items()},
        )
        return Fingerprint.of(parameters, seed=seed, encoder=encoder, data=data)

    def masking(self):
        """Return how texts are masked for this encoder."""
        if self.tokenizer.mask_id is None:
            raise ValueError(
                "`encoder` must have a mask token to be trained as a masked language "
                f"model, got {self.encoder!r} without one. Set lm_epochs=0 and "
                "lm_weight=0."
            )
        return Masking(self.tokenizer.mask_id, self.config.vocab_size)
