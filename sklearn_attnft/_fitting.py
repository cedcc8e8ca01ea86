# SPDX-License-Identifier: BSD-3-Clause
"""Fitting, in plain arguments: tokenise, build the module, train it."""

import contextlib
import dataclasses
from dataclasses import dataclass
from numbers import Integral

import numpy as np
import torch
from sklearn.base import clone
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state
from sklearn.utils.class_weight import compute_class_weight

from . import _backbone
from ._batching import fraction_longer, tokenize
from ._inference import resolve_device, resolve_dtype
from ._modules import ModuleSpec, TextClassifier, build_module, resolve_layers
from ._training import LabelledTexts, Recipe, train
from ._validation import check_class_weight, check_two_classes


def draw_seed(random_state):
    """Draw one seed from the parameter `random_state`.

    None takes fresh entropy, not numpy's global generator, which stays as it was.
    """
    if random_state is None:
        return int(np.random.SeedSequence().generate_state(1)[0])
    return int(check_random_state(random_state).randint(np.iinfo(np.int32).max))


@contextlib.contextmanager
def isolated_generator(seed, device):
    """Seed torch's generators for a while, then put them back as they were."""
    cuda = [device] if device.type == "cuda" else []
    with _backbone.PROCESS_LOCK, torch.random.fork_rng(devices=cuda):
        torch.default_generator.manual_seed(seed)
        for each in cuda:
            with torch.cuda.device(each):
                torch.cuda.manual_seed(seed)
        yield


@dataclass(frozen=True)
class Backbone:
    """An encoder's configuration and tokenizer; its weights are loaded when needed."""

    encoder: str
    config: object
    tokenizer: _backbone.TextTokenizer

    @classmethod
    def load(cls, params, encoder_dropout=0.0):
        """Read configuration and tokenizer as the estimator's parameters say."""
        config = _backbone.load_config(
            params["encoder"], encoder_dropout=encoder_dropout
        )
        tokenizer = _backbone.load_tokenizer(
            params["encoder"],
            config,
            max_length=params["max_length"],
            long_texts=params["long_texts"],
        )
        return cls(params["encoder"], config, tokenizer)

    def spec(self, params, **kwargs):
        """Describe the module to build on this backbone."""
        return ModuleSpec(
            hidden_size=self.config.hidden_size,
            layers=resolve_layers(params["layers"], self.config.num_hidden_layers),
            pooling=params["pooling"],
            **kwargs,
        )

    def load_encoder(self):
        """Load the weights, from the checkpoint every time."""
        return _backbone.load_encoder(self.encoder, self.config)


def fit_features(params, texts):
    """Build the frozen encoder with its pooling.

    Returns
    -------
    module, spec, tokenizer
        As ``_persistence.pack`` takes them.
    longer : float
        Share of the texts that do not fit one window.
    """
    backbone = Backbone.load(params)
    spec = backbone.spec(params, mixing="mean")
    longer = fraction_longer(texts, backbone.tokenizer)
    module = build_module(backbone.load_encoder(), spec).eval()
    return module.requires_grad_(False), spec, backbone.tokenizer, longer


@dataclass(frozen=True)
class LabelledData:
    """Checked texts with their classes as indices.

    Attributes
    ----------
    texts : list of str
    labels : ndarray of int, shape (n_texts,)
    weights : ndarray of float, shape (n_texts,)
    """

    texts: list
    labels: np.ndarray
    weights: np.ndarray

    def take(self, indices):
        """Return a part, in the order of `indices`."""
        texts = [self.texts[i] for i in indices]
        return LabelledData(texts, self.labels[indices], self.weights[indices])

    def tokenized(self, tokenizer):
        """Return the same, tokenised, with weights of mean 1; and what is long."""
        tokens, is_long = tokenize(self.texts, tokenizer)
        weights = (self.weights / self.weights.mean()).astype(np.float32)
        return LabelledTexts(tokens, self.labels.astype(np.int64), weights), is_long


def weigh(data, classes, class_weight):
    """Multiply class weights in and drop what weighs nothing."""
    check_class_weight(class_weight, classes)
    data = data.take(np.flatnonzero(data.weights))
    present = np.unique(data.labels)
    check_two_classes(classes[present])
    if isinstance(class_weight, dict):
        class_weight = {c: class_weight.get(c, 1.0) for c in classes[present].tolist()}
    weights = compute_class_weight(
        class_weight,
        classes=classes[present],
        y=classes[data.labels],
        sample_weight=data.weights,
    )
    of_class = np.zeros(len(classes))
    of_class[present] = weights
    check_two_classes(classes[np.flatnonzero(of_class)])
    weighed = dataclasses.replace(data, weights=data.weights * of_class[data.labels])
    return weighed.take(np.flatnonzero(weighed.weights))


def split(data, fraction, seed):
    """Set a stratified part of the data aside for validation."""
    try:
        train_part, valid_part = train_test_split(
            np.arange(len(data.texts)),
            test_size=fraction,
            stratify=data.labels,
            random_state=seed,
        )
    except ValueError as error:
        raise ValueError(
            f"validation_fraction={fraction} of {len(data.texts)} texts cannot hold "
            "every class in both parts: raise it, pass X_val and y_val, or set "
            f"early_stopping=False ({error})"
        ) from error
    valid = data.take(valid_part)
    return data.take(train_part), dataclasses.replace(
        valid, weights=np.ones(len(valid_part))
    )


def fit_classifier(params, data, validation, n_classes):
    """Train a classifier from the checkpoint.

    Parameters
    ----------
    params : dict
        The estimator's parameters.
    data : LabelledData
    validation : LabelledData or None
    n_classes : int

    Returns
    -------
    fitted : tuple
        module, spec, tokenizer, share of long texts: as ``TextEstimator._keep`` takes
        them.
    history : list of dict
        See ``_training.train``.
    """
    device = resolve_device(params["device"])
    seed = draw_seed(params["random_state"])
    if validation is None and params["early_stopping"]:
        data, validation = split(data, params["validation_fraction"], seed)
    backbone = Backbone.load(params, params["encoder_dropout"])
    spec = backbone.spec(
        params,
        mixing="attention",
        head=params["head"],
        n_classes=n_classes,
        dropout=params["dropout"],
    )
    training, is_long = data.tokenized(backbone.tokenizer)
    if validation is not None:
        validation, _ = validation.tokenized(backbone.tokenizer)
    resolved = {
        "callbacks": _cloned(params["callbacks"]),
        "device": device,
        "dtype": resolve_dtype(params["precision"], device),
        "generator": torch.Generator().manual_seed(seed),
    }
    recipe = Recipe(**_named(params, Recipe, without=set(resolved)), **resolved)

    def new_module():
        module = TextClassifier(backbone.load_encoder(), spec)
        _freeze(module, params["trainable_layers"])
        return module

    with isolated_generator(seed, device):
        module, history = train(
            new_module, _backbone.encoder_blocks, training, validation, recipe
        )
    return (module, spec, backbone.tokenizer, float(is_long.mean())), history


def _named(params, dataclass_type, without):
    """Pick the parameters that are fields of a dataclass, but for some."""
    names = {field.name for field in dataclasses.fields(dataclass_type)} - without
    return {name: params[name] for name in names}


def _cloned(callbacks):
    """Clone skorch callbacks, which may come with a name: ``(name, callback)``."""
    return [
        (item[0], clone(item[1])) if isinstance(item, tuple) else clone(item)
        for item in callbacks or []
    ]


def _freeze(module, trainable_layers):
    """Leave trainable what the parameter `trainable_layers` says."""
    encoder = module.context.encoder
    if trainable_layers == "all":
        return
    if trainable_layers == "blocks":
        # The table of token embeddings is half of a small encoder, and its gradient
        # is dense: on short texts it would take a good part of a training step.
        encoder.get_input_embeddings().requires_grad_(False)
        return
    is_share = not isinstance(trainable_layers, Integral)
    if is_share and _backbone.shares_blocks(encoder):
        _freeze(module, "blocks")  # the one block there is
        return
    blocks = _backbone.encoder_blocks(encoder) if trainable_layers else []
    if is_share:
        trainable_layers = max(1, round(trainable_layers * len(blocks)))
    if trainable_layers > len(blocks):
        raise ValueError(
            f"trainable_layers={trainable_layers} is more than the {len(blocks)} "
            "layers of the encoder: use 'blocks' for all of them."
        )
    module.freeze(blocks[len(blocks) - trainable_layers :])
