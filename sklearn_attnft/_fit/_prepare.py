# SPDX-License-Identifier: BSD-3-Clause
"""Check, split and tokenize the data of a fit before the first stage."""

import dataclasses
import math
from dataclasses import dataclass

from .._data._datasets import LabeledDataset
from .._data._labeled import split
from .._data._masking import MaskedDataset, masked_dataset
from .._data._tokens import truncated_fraction
from .._model._spec import ModuleSpec, TaskSpec
from .._runtime._encoder_cache import check_cache
from .._runtime._seeds import draw_seed
from .._training._callbacks import check_validation_callbacks
from .._training._fingerprint import Fingerprint
from .._training._seed_claim import SeedClaim, claim_seed
from .._utils._warnings import warn
from ._plan import FitData, FitPlan, FittedModel
from ._pretrained import PretrainedEncoder


@dataclass(frozen=True)
class PreparedFit:
    """A fit whose data is checked, split and tokenized.

    Attributes
    ----------
    plan : FitPlan
    pretrained : PretrainedEncoder
    spec : ModuleSpec
    texts : list of str
        Texts for the language model. Labeled texts come first.
    seed : int
    fingerprint : Fingerprint or None
        If None, no resume state is written.
    claim : SeedClaim or None
        Holds the seed if the fit writes a resume state and its `random_state` is None.
        Otherwise None.
    truncated_fraction : float
        Fraction of the training texts that are truncated.
    data : FitData or None
        None for an extractor.
    labeled, validation : LabeledDataset or None
        Training and validation texts. None for an extractor.
    masked : MaskedDataset or None
        Texts for the language model. If None, no language model is trained.
    """

    plan: FitPlan
    pretrained: PretrainedEncoder
    spec: ModuleSpec
    texts: list
    seed: int
    fingerprint: Fingerprint | None
    claim: SeedClaim | None
    truncated_fraction: float
    data: FitData | None = None
    labeled: LabeledDataset | None = None
    validation: LabeledDataset | None = None
    masked: MaskedDataset | None = None

    def fitted(self, module, history):
        """Return the FittedModel of a trained module."""
        data = self.data
        targets = []
        if data is not None:
            by_name = {target.name: target for target in data.tasks.targets}
            targets = [by_name[name] for name in data.task_names]
        return FittedModel(
            module,
            self.spec,
            self.pretrained.tokenizer,
            self.truncated_fraction,
            list(history),
            len(self.texts) if data is None else data.n_samples,
            targets,
            None if data is None else data.y_container,
            None if data is None else data.label_names,
        )


def prepare_features(plan, texts, *, warns=True):
    """Prepare the fit of an extractor.

    Parameters
    ----------
    plan : FitPlan
    texts : list of str
    warns : bool
        Whether to warn of truncated texts.

    Returns
    -------
    PreparedFit
    """
    pretrained = PretrainedEncoder.load(plan)
    tasks = (TaskSpec(plan.pooling),)
    spec = pretrained.spec(plan.layers, mixing="mean", tasks=tasks)
    check_cache(plan)
    truncated = truncated_fraction(texts, pretrained.tokenizer)
    if warns:
        _warn_if_truncated(pretrained.tokenizer, truncated)
    identity, masked = (0, None, None), None
    if plan.has_language_model:
        # Layers and pooling do not influence the language model, so fits that differ
        # only in these parameters have the same resume state.
        parameters = dict(vars(plan))
        del parameters["layers"], parameters["pooling"]
        identity = _identify(plan, parameters, pretrained, texts)
        masked = _masked(pretrained, texts, identity[0])
    return PreparedFit(
        plan, pretrained, spec, texts, *identity, truncated, masked=masked
    )


def prepare_tasks(plan, data, *, warns=True):
    """Prepare the fit of a classifier.

    Parameters
    ----------
    plan : FitPlan
    data : FitData
    warns : bool
        Whether to warn of truncated texts.

    Returns
    -------
    PreparedFit
    """
    tasks, training, validation = data.tasks, data.training, data.validation
    pretrained = PretrainedEncoder.load(plan)
    spec = pretrained.spec(plan.layers, mixing="attention", tasks=tasks.specs(plan))
    plan = plan.for_encoder(spec.hidden_size)
    everything = (tasks, training, validation, data.unlabeled)
    identity = _identify(plan, vars(plan), pretrained, everything)
    seed, *_ = identity
    if validation is None and plan.early_stopping:
        fraction = plan.validation_fraction
        training, validation = split(training, tasks.targets, fraction, seed)
    elif validation is None:
        check_validation_callbacks(plan.callbacks or [])
    if plan.early_stopping:
        tasks.check_validation(validation)
    # Label texts are added after the split, so that validation does not use them.
    training = tasks.with_label_texts(training, plan)
    tokenizer = pretrained.tokenizer
    labeled, is_truncated = training.tokenized(tokenizer, sampling=tasks.sampling)
    truncated = float(is_truncated.mean())
    if warns:
        _warn_if_truncated(tokenizer, truncated)
    if validation is not None:
        validation, _ = validation.tokenized(tokenizer)
    texts = [*training.texts, *data.unlabeled]
    masked = None
    if plan.has_language_model:
        masked = _masked(pretrained, texts, seed)
    return PreparedFit(
        plan,
        pretrained,
        spec,
        texts,
        *identity,
        truncated,
        data,
        labeled,
        validation,
        masked,
    )


def _masked(pretrained, texts, seed):
    masking = pretrained.masking()
    return masked_dataset(texts, pretrained.tokenizer, masking, seed)


def _identify(plan, parameters, pretrained, data):
    """Return the seed of a fit, its Fingerprint or None, and its SeedClaim or None."""
    seed = draw_seed(plan.random_state)
    if plan.checkpoint_dir is None:
        return seed, None, None
    if plan.random_state is not None:
        return seed, pretrained.fingerprint(parameters, seed, data), None
    fingerprint = pretrained.fingerprint(parameters, None, data)
    claim = claim_seed(plan.checkpoint_dir, fingerprint, seed)
    fingerprint = dataclasses.replace(fingerprint, seed=claim.seed)
    return claim.seed, fingerprint, claim


def _warn_if_truncated(tokenizer, fraction):
    """Warn if `fraction`, the fraction of texts that are truncated, is above 0."""
    if fraction == 0:
        return
    # The percentage is rounded, so that the folds of a cross-validation often give the
    # same warning. Python shows the same warning only once.
    percent = math.ceil(100 * fraction)
    cure = _how_to_read_more(tokenizer)
    if tokenizer.long_texts == "truncate":
        warn(
            f"Up to {percent}% of the texts are longer than "
            f"max_length={tokenizer.max_length} tokens and are truncated in the "
            f"middle. To read whole texts, set long_texts='window', or {cure}."
        )
    else:
        warn(
            f"The middle of the shorter text is removed in up to {percent}% of the "
            "pairs. Each window has both texts of a pair, and the shorter text can use "
            f"at most half of max_length={tokenizer.max_length} tokens. To read whole "
            f"texts, {cure}."
        )


def _how_to_read_more(tokenizer):
    """Return advice for a warning: how to read more tokens of a text at once."""
    limit = tokenizer.n_positions
    if tokenizer.max_length >= limit:
        return "pass an encoder that reads more tokens (max_length cannot be higher)"
    if limit < 10**9:  # else the tokenizer does not state a limit
        return f"raise max_length (this encoder reads up to {limit} tokens)"
    return "raise max_length"
