# SPDX-License-Identifier: BSD-3-Clause
"""Cache for the outputs of an encoder whose weights are not trained.

The cache of an extractor holds the features of each text. A classifier on a frozen
encoder learns from hidden states, so its cache holds the hidden states of each window.
"""

import dataclasses
import functools
import weakref
from collections import namedtuple

import numpy as np
import torch

from .. import _cache, _hf
from .._model._encoding import PlainEncoding, window_keys
from .._utils._process import ForkableLock
from ._packed_encoding import PackedEncoding, sampled

CacheInfo = namedtuple("CacheInfo", ["hits", "misses", "maxsize", "currsize"])


@dataclasses.dataclass
class _Use:
    """Data about a fitted module.

    The data is neither pickled nor cloned with the module.

    `counts` has the numbers of hits and misses in the cache. `digest` is a hash of the
    encoder and the tokenizer. Before the hash is computed, `digest` is None. If
    `versions` shows that the user has changed the weights, the hash is computed again.
    """

    counts: _cache.Counts = dataclasses.field(default_factory=_cache.Counts)
    digest: str | None = None
    versions: list | None = None


_USES = weakref.WeakKeyDictionary()
_LOCK = ForkableLock()


def _use_of(module):
    with _LOCK:
        return _USES.setdefault(module, _Use())


def check_cache(settings):
    """Raise an OSError if the cache of `settings` cannot be written to.

    Parameters
    ----------
    settings : estimator or FitPlan
        An object with the attributes `cache` and `cache_size`.
    """
    if settings.cache is not None:
        _cache.open_store(settings.cache).prepare()


def cache_info(module, settings):
    """Return the hits, misses and cache size of a module as a CacheInfo.

    If `module` is None, the hits and misses are 0.
    """
    if settings.cache is None:
        return CacheInfo(0, 0, 0, 0)
    counts = _Use().counts if module is None else _use_of(module).counts
    size = _cache.open_store(settings.cache).size()
    return CacheInfo(counts.hits, counts.misses, settings.cache_size, size)


def features_cache(module, spec, tokenizer, machine, settings):
    """Return the cache for features of texts, or None if ``settings.cache`` is None."""
    return _open(
        module,
        tokenizer,
        machine,
        settings,
        features=dataclasses.asdict(spec),
        max_length=tokenizer.max_length,
        long_texts=tokenizer.long_texts,
    )


def remember_digest(module, digest):
    """Store the digest of a module's encoder, to avoid computing it again."""
    use = _use_of(module)
    use.digest, use.versions = digest, _versions(module.encoder)


def _versions(encoder):
    """Return a list that changes with a parameter, except after some edits of `.data`.

    :func:`sampled` describes which changes torch does not count.
    """
    return [
        (
            id(p),
            p.data_ptr(),
            0 if p.is_inference() else p._version,
            sampled(p).tolist(),
        )
        for p in encoder.parameters()
    ]


def with_cached_states(module, tokenizer, machine, settings):
    """If the encoder is frozen, return a model that reads cached hidden states.

    If the fit trains the encoder or ``settings.cache`` is None, `module` is returned.
    """
    contrastive = getattr(settings, "contrastive_epochs", 0)  # 0 for a regressor
    stages = settings.lm_epochs, settings.lm_weight, contrastive
    if settings.trainable_layers != 0 or any(stages):
        return module
    cache = _open(module, tokenizer, machine, settings, states=list(module.layers))
    return module if cache is None else module.with_encoding(CachedEncoding(cache))


def _open(module, tokenizer, machine, settings, **options):
    """Open the cache for values that depend on a module's encoder and on `options`."""
    if settings.cache is None:
        return None
    use = _use_of(module)
    if use.versions != _versions(module.encoder):
        remember_digest(module, _hf.encoder_digest(module.encoder, tokenizer))
    return open_cache(
        module.encoder, use.digest, machine, settings, use.counts, **options
    )


def open_cache(encoder, digest, machine, settings, counts, **options):
    """Open the cache for values that depend on an encoder and on `options`.

    Parameters
    ----------
    encoder : torch.nn.Module
    digest : str
        Hash of the weights and the tokenizer.
    machine : Machine
    settings : estimator or FitPlan
        An object with the attributes `cache` and `cache_size`.
    counts : Counts
        The hits and misses of this cache are added to `counts`.
    **options : dict
        All other settings that the values depend on.

    Returns
    -------
    Cache
    """
    check_cache(settings)
    device = machine.device.type
    backend = torch.backends.cuda if device == "cuda" else torch.backends.mkldnn
    return _cache.Cache(
        _cache.open_store(settings.cache),
        settings.cache_size,
        _cache.namespace(
            encoder=digest,
            architecture=_hf.encoder_architecture(encoder),
            device=device,
            dtype=str(machine.dtype),
            # TF32 if the user has enabled TF32. By default, float32 is exact.
            float32=backend.matmul.fp32_precision.replace("none", "ieee"),
            packed=device == "cpu" and _hf.packing_pays(machine.dtype),
            **options,
        ),
        counts,
    )


def add_counts(module, counts):
    """Add the hits and misses of a fit to the counts of the fitted module."""
    _use_of(module).counts.add(counts.hits, counts.misses)


class CachedEncoding:
    """An encoding that reads hidden states from a cache.

    The encoder runs only for windows that are missing from the cache.
    """

    def __init__(self, cache):
        self._cache = cache
        self._plain = PackedEncoding(PlainEncoding())

    def __call__(self, encoder, input_ids, attention_mask, layers):
        """Return the hidden states of `layers`. The hidden states of padding are 0."""
        lengths = (attention_mask > 0).sum(dim=1).tolist()
        compute = functools.partial(
            self._compute, encoder, input_ids, attention_mask, layers, lengths
        )
        contents = window_keys(input_ids, attention_mask)
        n_layers, n_features = len(layers), encoder.config.hidden_size
        shape = n_layers, *input_ids.shape, n_features
        states = np.zeros(shape, dtype=np.float32)
        values = self._cache.fetch_floats(contents, compute)
        for row, (n, value) in enumerate(zip(lengths, values, strict=True)):
            states[:, row, :n] = value.reshape(n_layers, n, n_features)
        return list(torch.from_numpy(states).to(input_ids.device))

    def _compute(self, encoder, input_ids, attention_mask, layers, lengths, rows):
        """Return for each row an array of shape (n_layers, n_tokens, n_features)."""
        longest = max(lengths[row] for row in rows)
        ids, mask = input_ids[rows, :longest], attention_mask[rows, :longest]
        with torch.no_grad():
            states = self._plain(encoder, ids, mask, layers)
        states = torch.stack([state.float() for state in states], dim=1)
        states = states.cpu().numpy()  # (n_rows, n_layers, n_tokens, n_features)
        pairs = zip(rows, states, strict=True)
        return [row_states[:, : lengths[row]] for row, row_states in pairs]
