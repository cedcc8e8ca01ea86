# SPDX-License-Identifier: BSD-3-Clause
"""What the cache is asked for: what a frozen encoder makes of texts.

An extractor's features are kept whole, by text. A classifier on a frozen encoder learns
from the states of tokens, so these are kept, by the tokens of each window.
"""

import dataclasses
import weakref
from collections import namedtuple

import numpy as np
import torch

from .. import _cache, _hf
from .._model._text_model import TextModel
from .._utils._process import ForkableLock

CacheInfo = namedtuple("CacheInfo", ["hits", "misses", "maxsize", "currsize"])


@dataclasses.dataclass
class _Use:
    """What is known of a fitted module beside its weights: neither pickled nor cloned.

    `digest` is of its encoder, computed when first needed, and again when who has the
    module has changed its weights, which `versions` tells.
    """

    counts: _cache.Counts = dataclasses.field(default_factory=_cache.Counts)
    digest: str | None = None
    versions: list | None = None


_USES = weakref.WeakKeyDictionary()
_LOCK = ForkableLock()


def _use_of(module):
    with _LOCK:
        return _USES.setdefault(module, _Use())


def check_cache(params):
    """Raise an OSError if the cache that the parameters name cannot be written to."""
    if params["cache"] is not None:
        _cache.open_store(params["cache"]).prepare()


def cache_info(module, params):
    """Count the uses that a module, or None, made of the cache the parameters name."""
    if params["cache"] is None:
        return CacheInfo(0, 0, 0, 0)
    counts = _Use().counts if module is None else _use_of(module).counts
    size = _cache.open_store(params["cache"]).size()
    return CacheInfo(counts.hits, counts.misses, params["cache_size"], size)


def features_cache(module, spec, tokenizer, machine, params):
    """Return the cache of a module's outputs by text; None: there is to be none."""
    return _open(
        module,
        tokenizer,
        machine,
        params,
        features=dataclasses.asdict(spec),
        max_length=tokenizer.max_length,
        long_texts=tokenizer.long_texts,
    )


def remember_digest(module, digest):
    """Know the digest of a module's encoder, so that it is not hashed again."""
    use = _use_of(module)
    use.digest, use.versions = digest, _versions(module.encoder)


def _versions(encoder):
    """Return which parameters there are, and how often each was written to."""
    return [
        (id(p), 0 if p.is_inference() else p._version) for p in encoder.parameters()
    ]


def cached_model(module, tokenizer, machine, params, digest=None):
    """Return a classifier whose states are looked up, or `module` if they change.

    They do not if the encoder is as its checkpoint has it. `digest` is a function that
    returns the digest of such an encoder; None: its weights are hashed.
    """
    is_frozen = params["trainable_layers"] == 0
    stages = ("lm_epochs", "lm_weight", "contrastive_epochs")
    if not is_frozen or any(params[stage] for stage in stages):
        return module
    if digest is not None and params["cache"] is not None:
        remember_digest(module, digest(module.encoder))
    cache = _open(module, tokenizer, machine, params, states=list(module.layers))
    return module if cache is None else CachedTextModel(module, cache)


def _open(module, tokenizer, machine, params, **options):
    """Open the cache of what a module's encoder and the options determine."""
    if params["cache"] is None:
        return None
    use = _use_of(module)
    if use.versions != _versions(module.encoder):
        remember_digest(module, _hf.encoder_digest(module.encoder, tokenizer))
    return open_cache(
        module.encoder, use.digest, machine, params, use.counts, **options
    )


def open_cache(encoder, digest, machine, params, counts, **options):
    """Open the cache of what an encoder and the options determine.

    Parameters
    ----------
    encoder : torch.nn.Module
    digest : str
        Of its weights and tokenizer.
    machine, params : dict
    counts : Counts
    **options : dict
        What else the values depend on.

    Returns
    -------
    Cache
    """
    check_cache(params)
    device = machine["device"].type
    backend = torch.backends.cuda if device == "cuda" else torch.backends.mkldnn
    return _cache.Cache(
        _cache.open_store(params["cache"]),
        params["cache_size"],
        _cache.namespace(
            encoder=digest,
            architecture=_hf.encoder_architecture(encoder),
            device=device,
            dtype=str(machine["dtype"]),
            # TF32, say, if the user has set it; what is unset is exact.
            float32=backend.matmul.fp32_precision.replace("none", "ieee"),
            **options,
        ),
        counts,
    )


def add_counts(module, counts):
    """Let the counts of a module's uses begin with those of its fit."""
    _use_of(module).counts.add(counts.hits, counts.misses)


class CachedTextModel(TextModel):
    """A model that shares all weights with another, and looks its states up."""

    def __init__(self, model, cache):
        super().__init__(model.encoder, model.layers, model.tasks)
        self.freeze([])
        self.cache = cache

    def encode(self, input_ids, attention_mask):
        """Return the states of the attended layers; 0 where there is padding."""
        lengths = attention_mask.sum(dim=1).tolist()

        def compute(rows):
            longest = max(lengths[row] for row in rows)
            with torch.no_grad():
                states, _ = TextModel.encode(
                    self, input_ids[rows, :longest], attention_mask[rows, :longest]
                )
            states = torch.stack([state.float() for state in states], dim=1)
            states = states.cpu().numpy()  # (n_rows, n_layers, n_tokens, n_features)
            return [
                of_row[:, : lengths[row]]
                for row, of_row in zip(rows, states, strict=True)
            ]

        ids = input_ids.cpu().numpy().astype("<i8", copy=False)
        contents = [row[:n].tobytes() for row, n in zip(ids, lengths, strict=True)]
        n_layers, n_features = len(self.layers), self.encoder.config.hidden_size
        states = np.zeros((n_layers, *ids.shape, n_features), dtype=np.float32)
        values = self.cache.fetch_floats(contents, compute)
        for row, (n, value) in enumerate(zip(lengths, values, strict=True)):
            states[:, row, :n] = value.reshape(n_layers, n, n_features)
        return list(torch.from_numpy(states).to(input_ids.device)), None
