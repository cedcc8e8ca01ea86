# SPDX-License-Identifier: BSD-3-Clause
"""Regressor with attention over the layers and tokens of a fine-tuned encoder."""

import numpy as np
from sklearn.base import (
    ClassNamePrefixFeaturesOutMixin,
    RegressorMixin,
    TransformerMixin,
    _fit_context,
)
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.validation import _num_samples, check_is_fitted

from ._base import FineTuningEstimator
from ._classifier import AttentionFineTuneClassifier
from ._data._labeled import LabeledTexts
from ._data._numbers import check_numbers, output_names
from ._data._pairs import InputKind, check_texts_or_pairs, check_unlabeled
from ._data._targets import Numbers, restore_target
from ._data._validation import check_validation_pair, check_weights
from ._explain._mixin import TokenAttentionMixin
from ._explain._validation import check_outputs
from ._fit._plan import FitData
from ._fit._tasks import Tasks
from ._hf import DEFAULT_ENCODER
from ._utils._docstrings import takes_parameter_docs
from ._utils._one_fit import reads_one_fit

# Parameters of the classifier that the regressor does not have.
CLASSIFICATION = (
    "class_weight",
    "contrastive_epochs",
    "label_smoothing",
    "label_texts",
)


@takes_parameter_docs(AttentionFineTuneClassifier)
@reads_one_fit
class AttentionFineTuneRegressor(
    RegressorMixin,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    TokenAttentionMixin,
    FineTuningEstimator,
):
    """Fine-tune a pretrained encoder to predict numbers from texts.

    The numbers are, for example, ratings, prices or scores. The model is the same as in
    :class:`AttentionFineTuneClassifier`, but the head predicts one number, or one
    number for each column of `y`. The loss is the squared error or the Huber loss of
    the standardized numbers.

    Parameters
    ----------
    head : {"linear", "mlp", "lstm"}, default="linear"
        Head that computes the numbers. "linear" is one linear layer on the context
        vector. "mlp" adds a hidden layer of the encoder's hidden size. "lstm" adds a
        bidirectional LSTM before the tokens are pooled. On long texts, "lstm" is slower
        than the other heads.
    head_learning_rate : float or "auto", default="auto"
        Peak learning rate of token attention and head. For a linear head, which starts
        with the weights of a ridge regression, "auto" is 2e-3, or 5e-4 if
        ``trainable_layers=0``. For other heads, which start with random weights, "auto"
        is 5e-3.
    loss : {"squared_error", "huber"}, default="squared_error"
        Loss of the standardized numbers. If an error is above 0.3 standard deviations,
        "huber" grows only linearly with the error. So wrong numbers in `y` change the
        model little. If a text allows several numbers, "huber" predicts a number closer
        to the median of these numbers than to their mean.
    early_stopping : bool, default=False
        If True, training stops when R² on the validation texts (D² with
        ``loss="huber"``) has not improved for `n_iter_no_change` epochs, and the
        weights of the best epoch are kept. A lower validation loss with the same score
        is an improvement too, unless the score is 1. The validation texts are `X_val`
        of :meth:`fit`. If `X_val` is not passed, a part of `X` is used for validation.
    validation_fraction : float, default=0.1
        Fraction of `X` that is set aside for early stopping if `X_val` is not passed.
        The split is random.
    callbacks : list of skorch callbacks or None, default=None
        Callbacks for the training of the regressor only, not for language-model
        fine-tuning. ``fit`` clones the callbacks. Only
        ``skorch.callbacks.EarlyStopping`` can end the training early. Scoring callbacks
        such as ``EpochScoring`` and learning-rate schedules such as ``LRScheduler``
        raise an error. A callback that monitors a value of validation texts needs
        `X_val`.
    lm_epochs : int, default=0
        Number of epochs of language-model (LM) fine-tuning on the training texts and
        `X_unlabeled`, before the regressor is trained. LM fine-tuning reads whole
        texts, in steps of 32 windows, and trains everything except the token
        embeddings. If the encoder was stored without an LM head, a new LM head is
        trained for one epoch first.
    lm_weight : float, default=0.0
        Weight of the language-model loss in joint training. If above 0, regressor and
        language model are trained together, on `loss` plus `lm_weight` times the
        language-model loss. In joint training, the regressor reads masked texts.
    cache : "memory", str, path-like or None, default=None
        Cache for results that the candidates of a search share.
        :class:`TransformerFeatureExtractor` describes "memory" and directories. If
        `lm_epochs` is above 0 and `random_state` is not None, the cache stores one
        language model for each fold. The language model is stored before the regressor
        is trained. If the encoder has no language-model head, `lm_weight` above 0 has
        the same effect as `lm_epochs` above 0. If `trainable_layers`, `lm_epochs` and
        `lm_weight` are 0, the cache stores the hidden states of all tokens. In all
        other cases, the cache is not used.

    Attributes
    ----------
    module_ : torch.nn.Module
        Trained encoder, attention and head. The head computes standardized numbers.
    layer_attention_ : ndarray of float64, shape (n_attended_layers,)
        Weight of each layer in layer attention, in the order of `layers`.
    history_ : list of dict
        One dict per epoch. :class:`AttentionFineTuneClassifier` describes the keys. The
        stage that trains the regressor has the same name as in the classifier:
        "classifier". With validation texts, the epochs of this stage have "valid_loss"
        (mean loss of the standardized numbers) and "valid_r2". With ``loss="huber"``,
        "valid_d2" replaces "valid_r2". D² is 1 minus a ratio: the mean absolute error
        of the model, divided by the mean absolute error of a model that always predicts
        the median of the training numbers.
    n_iter_ : int
        Number of epochs for which the regressor was trained.
    n_samples_fit_ : int
        Number of texts given to ``fit``.
    n_texts_in_ : int
        Number of texts of each sample: 1, or 2 for pairs.
    feature_names_in_ : ndarray of shape (2,)
        Column names. Defined only if `X` of ``fit`` was a data frame of pairs.
    truncated_fraction_ : float
        Fraction of the training texts that were truncated. With
        ``long_texts="window"``, the fraction is 0.

    See Also
    --------
    AttentionFineTuneClassifier : Classifies texts.

    Notes
    -----
    ``fit`` standardizes `y`: it subtracts the mean and divides the difference by the
    standard deviation. Mean and standard deviation are weighted by `sample_weight`.
    If ``loss="huber"``, ``fit`` subtracts the median instead of the mean. The
    difference is divided by 1.4826 times the median distance of the numbers to their
    median, not counting numbers that equal the median. Predictions are in the unit of
    `y`.

    Examples
    --------
    >>> from sklearn_attnft import AttentionFineTuneRegressor
    >>> texts = ["I love it", "It is fine", "I hate it", "Awful"] * 4
    >>> stars = [5.0, 4.0, 1.0, 1.0] * 4
    >>> reg = AttentionFineTuneRegressor(max_epochs=5, batch_size=4, random_state=0)
    >>> reg.fit(texts, stars).predict(["I like it", "It is terrible"]).round() > 3
    array([ True, False])
    """

    _parameter_constraints = {
        name: allowed
        for name, allowed in AttentionFineTuneClassifier._parameter_constraints.items()
        if name not in CLASSIFICATION
    } | {"loss": [StrOptions({"squared_error", "huber"})]}

    def __init__(
        self,
        encoder=DEFAULT_ENCODER,
        *,
        max_length=256,
        long_texts="truncate",
        layers="all",
        pooling="attention",
        head="linear",
        dropout="auto",
        trainable_layers=0.67,
        gradual_unfreezing=False,
        learning_rate="auto",
        head_learning_rate="auto",
        layer_decay=1.0,
        weight_decay=0.01,
        warmup_fraction=0.1,
        max_grad_norm=1.0,
        loss="squared_error",
        encoder_dropout=0.0,
        max_epochs="auto",
        batch_size=32,
        early_stopping=False,
        validation_fraction=0.1,
        n_iter_no_change=2,
        callbacks=None,
        random_state=None,
        lm_epochs=0,
        lm_learning_rate=1e-4,
        lm_weight=0.0,
        device="auto",
        precision="auto",
        cache=None,
        cache_size=10737418240,
        micro_batch_size=None,
        checkpoint_dir=None,
        checkpoint_minutes=10.0,
        pickle_weights="full",
        verbose=0,
    ):
        self.encoder = encoder
        self.max_length = max_length
        self.long_texts = long_texts
        self.layers = layers
        self.pooling = pooling
        self.head = head
        self.dropout = dropout
        self.trainable_layers = trainable_layers
        self.gradual_unfreezing = gradual_unfreezing
        self.learning_rate = learning_rate
        self.head_learning_rate = head_learning_rate
        self.layer_decay = layer_decay
        self.weight_decay = weight_decay
        self.warmup_fraction = warmup_fraction
        self.max_grad_norm = max_grad_norm
        self.loss = loss
        self.encoder_dropout = encoder_dropout
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.callbacks = callbacks
        self.random_state = random_state
        self.lm_epochs = lm_epochs
        self.lm_learning_rate = lm_learning_rate
        self.lm_weight = lm_weight
        self.device = device
        self.precision = precision
        self.cache = cache
        self.cache_size = cache_size
        self.micro_batch_size = micro_batch_size
        self.checkpoint_dir = checkpoint_dir
        self.checkpoint_minutes = checkpoint_minutes
        self.pickle_weights = pickle_weights
        self.verbose = verbose

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y, sample_weight=None, X_val=None, y_val=None, X_unlabeled=None):
        """Fine-tune the pretrained encoder on texts and numbers.

        Parameters
        ----------
        X : array-like of str, shape (n_samples,) or (n_samples, 2)
            Texts: a list, tuple, array, pandas or polars Series, or a data frame with
            one column. For pairs of texts, pass two columns or a list of tuples. The
            encoder reads the two texts of a pair together.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Numbers, which must be finite. If `y` is a data frame with several columns,
            the data frames that are passed as `y_val` and to ``score`` must have the
            same columns.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the texts in the loss, at least 0. Only the ratios of the weights
            matter. Texts of weight 0 are not used for training.
        X_val : array-like of str, as `X`, default=None
            Validation texts. Loss and R² (D² with ``loss="huber"``) on these texts are
            computed after each epoch and stored in ``history_``. With
            ``early_stopping=True``, R² or D² decides when to stop.
        y_val : as `y`, default=None
            Numbers of `X_val`.
        X_unlabeled : array-like of str, as `X`, default=None
            Additional texts for the language model. ``fit`` uses these texts only if
            `lm_epochs` or `lm_weight` is above 0.

        Returns
        -------
        self : AttentionFineTuneRegressor

        Raises
        ------
        ValueError
            If one of these conditions holds:

            - A parameter is invalid.
            - The encoder is not found, or the model also has a decoder.
            - The device is not available.
            - The data is empty.
            - `y` has values that are missing, infinite or not numbers.
            - `X` and `y` do not have the same length.
        TypeError, FloatingPointError, MemoryError, OSError
            As in :meth:`AttentionFineTuneClassifier.fit`.

        Warns
        -----
        DataConversionWarning
            If `y` is two-dimensional with one column. Pass a one-dimensional `y`.
        UserWarning
            As in :meth:`AttentionFineTuneClassifier.fit`.
        """
        return self._fit(X, y, sample_weight, X_val, y_val, X_unlabeled)

    def estimate_fit(
        self, X, y, sample_weight=None, X_val=None, y_val=None, X_unlabeled=None
    ):
        """Estimate time and memory of ``fit`` on this machine.

        :meth:`AttentionFineTuneClassifier.estimate_fit` describes the method.

        Parameters
        ----------
        X : array-like of str, shape (n_samples,) or (n_samples, 2)
            :meth:`fit` describes all arguments.
        y : array-like
        sample_weight : array-like of shape (n_samples,), default=None
        X_val : array-like of str, as `X`, default=None
        y_val : array-like, default=None
        X_unlabeled : array-like of str, as `X`, default=None

        Returns
        -------
        estimate : FitEstimate
        """
        return self._estimate_fit(X, y, sample_weight, X_val, y_val, X_unlabeled)

    def _check_data(self, X, y, sample_weight, X_val, y_val, X_unlabeled):
        """Check the arguments of fit and return the parameters and the FitData."""
        texts, parameters = check_texts_or_pairs(X), self._parameters()
        numbers = check_numbers(y, len(texts))
        weights = check_weights(sample_weight, len(texts))
        target = Numbers.fit(
            numbers, weights, parameters["loss"], names=output_names(y)
        )
        # Texts of weight 0 are not used, so their numbers may be far from the others.
        used = np.where(weights[:, None] > 0, numbers, target.mean)
        data = LabeledTexts(texts, (target.encode(used),), weights[:, None])
        data = data.take(np.flatnonzero(weights))
        kind = InputKind.of(X, texts)
        validation = _check_validation(X_val, y_val, kind, target)
        unlabeled = check_unlabeled(X_unlabeled, parameters)
        tasks = Tasks((target,))
        return parameters, FitData(
            tasks, data, validation, unlabeled, len(texts), task_names=[None]
        )

    def _fitted_attributes(self, model):
        attributes = super()._fitted_attributes(model)
        return {**attributes, "_targets": [each.as_dict() for each in model.targets]}

    @property
    def _target(self):
        return restore_target(self._targets[0])

    def _fitted_targets(self):
        return [self._target]

    def _targets_of_heads(self):
        return [self._target.as_head()]

    def predict(self, X):
        """Predict the numbers of each text.

        Parameters
        ----------
        X : array-like of str, shape (n_samples,) or (n_samples, 2)

        Returns
        -------
        numbers : ndarray of float64, shape (n_samples,) or (n_samples, n_outputs)
            Numbers in the unit of `y`.
        """
        logits = self._float64_logits(X)
        return self._target.predict(logits)

    def score(self, X, y, sample_weight=None):
        """Return the coefficient of determination, R².

        Parameters
        ----------
        X : array-like of str, shape (n_samples,) or (n_samples, 2)
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            True numbers.
        sample_weight : array-like of shape (n_samples,), default=None

        Returns
        -------
        score : float
            R² of ``sklearn.metrics.r2_score``. With several outputs, `score` is the
            mean of R² over the outputs.
        """
        check_is_fitted(self, "module_")
        y = _check_outputs(y, _num_samples(X), self._target)
        return super().score(X, y, sample_weight)

    def transform(self, X):
        """Return the context vectors from which the head computes the numbers.

        Parameters
        ----------
        X : array-like of str, shape (n_samples,) or (n_samples, 2)

        Returns
        -------
        X_out : ndarray of float32, shape (n_samples, n_features)
            Context vectors. ``set_output`` can change the result to a data frame.
            ``n_features`` is the hidden size of the encoder. With ``pooling="concat"``,
            ``n_features`` is three times the hidden size.
        """
        return self._forward(X, "contexts", self.verbose)

    def explain(self, X, *, attribution=None, target=None, words=False):
        """Return the attention and the attribution of each token of each text.

        Parameters
        ----------
        X : array-like of str, shape (n_samples,) or (n_samples, 2)
        attribution : {"gradient", "integrated_gradients"} or None, default=None
            Method that attributes a predicted number to the tokens.
            :meth:`AttentionFineTuneClassifier.explain` describes the methods. If None,
            only attention is returned.
        target : int or array-like of int, shape (n_samples,), default=None
            Index of the column of `y` whose prediction is attributed: one index for all
            texts, or one index for each text. If None and `attribution` is given, `y`
            of ``fit`` must have had only one column.
        words : bool, default=False
            Whether to sum the tokens of a word into one row.

        Returns
        -------
        explanation : pandas.DataFrame
            A table with the columns that :meth:`AttentionFineTuneClassifier.explain`
            describes. The column "attribution" is in the unit of `y`. With
            "integrated_gradients", the attributions of a text sum to the prediction for
            this text minus the prediction for a text of mask tokens.
        """
        check_is_fitted(self, "module_")
        texts, fitted = self._check_texts(X), self._target
        outputs = check_outputs(target, fitted.n_outputs, attribution, len(texts))
        return self._explain(texts, attribution, outputs, words, fitted.scale[outputs])

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        tags.transformer_tags.preserves_dtype = []
        return tags


def _check_outputs(y, n_texts, target, name="y"):
    """Check that `y` has the same columns as in ``fit``, and return the numbers."""
    numbers = check_numbers(y, n_texts, name)
    if numbers.shape[1] != target.n_outputs:
        raise ValueError(
            f"`{name}` must have {target.n_outputs} numbers for each text, as in fit, "
            f"got {numbers.shape[1]}. Pass the same columns as in fit."
        )
    names = output_names(y, name)
    if None not in (names, target.names) and names != target.names:
        raise ValueError(
            f"`{name}` must have the same columns as in fit, in the same order, "
            f"{list(target.names)!r}, got {list(names)!r}. Select the same columns, or "
            f"pass {name}.to_numpy() if only the names are different."
        )
    return numbers[:, 0] if target.n_outputs == 1 else numbers


def _check_validation(X_val, y_val, kind, target):
    """Return checked validation texts and numbers as LabeledTexts, or None."""
    if not check_validation_pair(X_val, y_val):
        return None
    texts = kind.check(X_val, "X_val")
    numbers = _check_outputs(y_val, len(texts), target, "y_val")
    labels = target.encode(numbers.reshape(len(texts), -1), "y_val")
    return LabeledTexts(texts, (labels,), np.ones((len(texts), 1)))
