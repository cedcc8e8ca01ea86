# SPDX-License-Identifier: BSD-3-Clause
"""The stages of masked-LM fine-tuning, which run before the classifier is trained."""

import dataclasses
import hashlib
import json
from dataclasses import dataclass

import numpy as np
import safetensors.torch
import torch

from .. import _cache
from .._data._masking import MaskedDataset
from .._data._template import parts_of
from .._model._masked_lm import MaskedCrossEntropy, MaskedLanguageModel, new_head
from .._runtime._encoder_cache import open_cache
from .._runtime._seeds import initial_weights
from .._training import TrainingConfig, random_state, set_random_state, train
from ._stage import Stage
from ._trainable import freeze_embeddings

BATCH_SIZE = 32  # windows
HEAD_LEARNING_RATE = 1e-3


@dataclass(frozen=True)
class LMHeadStage(Stage):
    """Train a new LM head for one epoch, while the encoder is frozen.

    This stage runs if the pretrained encoder was stored without an LM head.
    """

    name = "language model head"
    n_epochs = 1
    model: MaskedLanguageModel

    @staticmethod
    def epochs(plan):
        """Return how many epochs a FitPlan has for this stage, if the stage runs."""
        return 1 if plan.has_language_model else 0

    @staticmethod
    def largest_step(plan):
        """Return the number of windows in a step."""
        return BATCH_SIZE

    def run(self, state, context):
        """Train the LM head in place."""
        encoder = self.model.encoder
        trainable = [p for p in encoder.parameters() if p.requires_grad]
        encoder.requires_grad_(False)
        config = dataclasses.replace(self.config, max_epochs=1)
        train(self.model, MaskedCrossEntropy(), self.training, None, config, context)
        for parameter in trainable:
            parameter.requires_grad_(True)
        return state

    def after(self, state, rows):
        """Return `state` unchanged. The history does not contain this stage."""
        return state


@dataclass(frozen=True)
class LMStage(Stage):
    """Fine-tune the encoder as a masked language model on the texts of the fit."""

    name = "language model"
    model: MaskedLanguageModel
    held_out: MaskedDataset | None

    @staticmethod
    def epochs(plan):
        """Return how many epochs a FitPlan has for this stage."""
        return plan.lm_epochs

    @staticmethod
    def largest_step(plan):
        """Return the number of windows in a step."""
        return BATCH_SIZE

    def run(self, state, context):
        """Train encoder and LM head in place."""
        rows = train(
            self.model,
            MaskedCrossEntropy(),
            self.training,
            self.held_out,
            self.config,
            context,
        )
        return self.after(state, rows)


def make_lm_stages(fit, encoder, head, context):
    """Return the stages of masked-LM fine-tuning, and the language model.

    Parameters
    ----------
    fit : PreparedFit
    encoder : torch.nn.Module
    head : torch.nn.Module or None
        LM head. If None, a new LM head is created and trained first.
    context : RunContext

    Returns
    -------
    stages : list of Stage
    model : MaskedLanguageModel
    """
    freeze_embeddings(encoder)
    training, held_out = fit.masked.split(context.generator)
    own_head = head
    if head is None:
        with initial_weights(context.initial):
            own_head = new_head(encoder, training)
    model = MaskedLanguageModel(encoder, own_head)
    config = _config(fit.plan)
    stages = []
    if head is None:
        stages.append(LMHeadStage(config, training, model))
    if fit.plan.lm_epochs:
        stages.append(LMStage(config, training, model, held_out))
    if stages and _is_cached(fit.plan, context):
        cache = _open_cache(fit, encoder, head, context)
        stages = [CachedStages(stages, model, cache, _content(fit.texts, fit.seed))]
    return stages, model


def _config(plan):
    return TrainingConfig(
        learning_rate=plan.lm_learning_rate,
        head_learning_rate=HEAD_LEARNING_RATE,
        max_epochs=plan.lm_epochs,
        batch_size=BATCH_SIZE,
        micro_batch_size=plan.micro_batch_size,
    )


def _is_cached(plan, context):
    # There are three reasons not to use the cache. If `random_state` is None, no other
    # fit can have the same result. A fit that resumes must continue from its resume
    # state. A callback that ends a stage early changes the result.
    is_repeatable = plan.random_state is not None
    is_new = not context.resume.is_resuming
    is_whole = not context.progress.may_stop
    return plan.cache is not None and is_repeatable and is_new and is_whole


@dataclass(frozen=True)
class CachedStages:
    """Stages whose result is cached, so that a grid search runs them only once.

    Attributes
    ----------
    parts : list of Stage
    model : MaskedLanguageModel
        Model that the stages train in place.
    cache : Cache
    content : bytes
        Texts and seed, which determine the result.
    """

    parts: list
    model: MaskedLanguageModel
    cache: _cache.Cache
    content: bytes

    def run(self, state, context):
        """Run the stages, or restore the cached result of an earlier run."""
        computation = _Computation(self, state, context)
        (packed,) = self.cache.fetch([self.content], computation, is_long=True)
        if computation.state is not None:
            return computation.state
        return self._restore(packed, state, context)

    def _restore(self, packed, state, context):
        """Set model, random generators and history to the cached result."""
        tensors = safetensors.torch.load(packed)
        stored = json.loads(bytes(tensors.pop("stages")))
        for stage, rows in zip(self.parts, stored, strict=True):
            context.resume.next_stage()
            context.resume.end_stage(rows)
            context.progress.skip_stage(len(rows))
            state = stage.after(state, rows)
        generators = {
            name.removeprefix("state."): tensors.pop(name)
            for name in list(tensors)
            if name.startswith("state.")
        }
        set_random_state(context, generators)
        self.model.load_state_dict(tensors, strict=False)
        return state


class _Computation:
    """Function that runs the stages. The cache calls it if no result is cached.

    Attributes
    ----------
    state : FitState or None
        The state after the stages. None before the function is called.
    """

    def __init__(self, stages, state, context):
        self._stages, self._start, self._context = stages, state, context
        self.state = None

    def __call__(self, positions):
        """Run the stages, and return their changes as the bytes of a safetensors file.

        The file is the only item of the returned list.
        """
        self.state = self._start
        for stage in self._stages.parts:
            self.state = stage.run(self.state, self._context)
        learned = {
            name: parameter.detach().cpu().contiguous()
            for name, parameter in self._stages.model.named_parameters()
            if parameter.requires_grad
        }
        generators = {
            f"state.{name}": each for name, each in random_state(self._context).items()
        }
        rows = json.dumps(self._context.resume.stages).encode()
        stages = torch.frombuffer(bytearray(rows), dtype=torch.uint8)
        return [safetensors.torch.save({**learned, **generators, "stages": stages})]


def _open_cache(fit, encoder, head, context):
    """Open the cache of fine-tuned encoders."""
    weights = {} if head is None else head.state_dict()
    plan = fit.plan
    return open_cache(
        encoder,
        fit.pretrained.digest(encoder),
        context,
        plan,
        context.cache_counts,
        head={name: _sha256(weight.numpy()) for name, weight in weights.items()},
        dropout=plan.encoder_dropout,
        max_length=plan.max_length,
        stage={name: getattr(plan, name) for name in ("lm_epochs", "lm_learning_rate")},
        micro_batch_size=plan.micro_batch_size,
        constants=[BATCH_SIZE, HEAD_LEARNING_RATE],
    )


def _content(texts, seed):
    """Return bytes that contain the seed and the texts in order."""
    encoded, lengths = [], [seed]
    for text in texts:
        parts = [part.encode("utf-8", "surrogatepass") for part in parts_of(text)]
        encoded += parts
        # A negative number marks the first text of a pair.
        lengths += [-1 - len(part) for part in parts[:-1]] + [len(parts[-1])]
    return np.array(lengths, dtype="<i8").tobytes() + b"".join(encoded)


def _sha256(array):
    return hashlib.sha256(np.ascontiguousarray(array)).hexdigest()
