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
    """Configuration and tokenizer of an encoder, whose weights are loaded later.

    Attributes
    ----------
    encoder : str
        Directory of the encoder, or name on the Hugging Face hub.
    config : transformers.PretrainedConfig
    tokenizer : TextTokenizer
    identity : tuple or None
        Identity of the files, as ``_hf.encoder_identity`` returns it.
    """

    encoder: str
    config: object
    tokenizer: _hf.TextTokenizer
    identity: tuple | None = None

    @classmethod
    def load(cls, plan):
        """Read configuration and tokenizer of the encoder of a FitPlan."""
        use_one_thread_after_fork()
        config = _hf.load_config(plan.encoder, encoder_dropout=plan.encoder_dropout)
        identity = _hf.encoder_identity(plan.encoder)
        # `transformers_weights` can name weights in another directory. `identity` does
        # not cover the files in that directory.
        if vars(config).get("transformers_weights"):
            identity = None
        tokenizer = _hf.load_tokenizer(
            plan.encoder,
            config,
            max_length=plan.max_length,
            long_texts=plan.long_texts,
        )
        return cls(plan.encoder, config, tokenizer, identity)

    def spec(self, layers, *, mixing, tasks):
        """Return the ModuleSpec of a model with this encoder."""
        layers = resolve_layers(layers, self.config.num_hidden_layers)
        return ModuleSpec(self.config.hidden_size, layers, mixing, tasks)

    def load_encoder(self):
        """Load the encoder with its pretrained weights."""
        return _hf.load_encoder(self.encoder, self.config)

    def load_language_model(self):
        """Load and return the encoder and the LM head.

        If no LM head was stored, the head is None.
        """
        return _hf.load_language_model(self.encoder, self.config)

    def digest(self, encoder):
        """Return the digest of `encoder`.

        The weights must not have changed since they were loaded.
        """
        compute = functools.partial(_hf.encoder_digest, encoder, self.tokenizer)
        return _hf.once_per_process(self.identity, "digest", compute)

    def fingerprint(self, parameters, seed, data):
        """Return the Fingerprint of a fit.

        Parameters
        ----------
        parameters : dict
            Parameters that change the result of the fit.
        seed : int or None
            Seed of the fit, or None if `random_state` is None.
        data : object
            All texts and labels of the fit.
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
        """Return the Masking of texts for this encoder."""
        if self.tokenizer.mask_id is None:
            raise ValueError(
                "`encoder` must have a mask token to be trained as a masked language "
                f"model, got {self.encoder!r} without one. Set lm_epochs=0 and "
                "lm_weight=0."
            )
        return Masking(self.tokenizer.mask_id, self.config.vocab_size)
