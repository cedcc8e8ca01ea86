# SPDX-License-Identifier: BSD-3-Clause
"""The methods ``explain`` and ``faithfulness`` of the estimators."""

from numbers import Integral

import numpy as np
import torch
from sklearn.utils import check_scalar
from sklearn.utils.validation import check_is_fitted

from .._runtime._seeds import draw_seed
from .._utils._one_fit import reads_one_fit
from ._attribution import (
    ATTRIBUTIONS,
    TokenTable,
    explain,
    token_attention,
    token_attributions,
)
from ._faithfulness import faithfulness, rank_tokens
from ._validation import check_attributions, check_targets


class TokenAttentionMixin:
    """Mixin class for estimators with attention over layers and tokens."""

    @property
    def layer_attention_(self):
        """Weight of each layer in layer attention, in the order of `layers`.

        The array has the type float64 and the shape (n_attended_layers,).
        """
        check_is_fitted(self, "module_")
        scores = self.module_.tasks[0].mix.scores.detach().cpu().double()
        return torch.softmax(scores, dim=0).numpy()

    def _explain(self, texts, attribution, outputs, words, units=None):
        """Return the explanation of texts.

        Parameters
        ----------
        texts : list of str
        attribution : str or None
        outputs : ndarray of int64, shape (n_texts,), or None
            For each text, the index of the logit to attribute. If None, the highest
            logit of each text is attributed.
        words : bool
        units : ndarray of float64, shape (n_texts,), or None
            For each text, a factor that converts attributions of logits to the unit of
            `y`. If None, the factors are 1.
        """
        methods = check_attributions(attribution, ATTRIBUTIONS)
        table, values = self._token_values(texts, methods, outputs)
        attributions = values[attribution] if methods else None
        if methods and units is not None:
            attributions = attributions * np.repeat(units, table.tokens.n_tokens)
        columns = explain(
            table, values["attention"], attributions, self._tokenizer, words=words
        )
        return _as_frame(columns)

    def _token_values(self, texts, methods, outputs=None):
        """Return a TokenTable, and a dict of arrays with a value for each token.

        The keys of the dict are "attention" and the names in `methods`.
        """
        machine = self._prepare()
        table = TokenTable.of(texts, self._tokenizer)
        module, _ = self._module_and_cache(machine)
        values = {"attention": token_attention(module, table.tokens, machine)}
        if methods and outputs is None:
            outputs = self._forward(texts).argmax(axis=1)
        for method in methods:
            values[method] = token_attributions(
                self.module_,
                table.tokens,
                outputs,
                method=method,
                baseline_id=self._tokenizer.filler_id,
                device=machine.device,
            )
        return table, values


@reads_one_fit
class ExplainingMixin(TokenAttentionMixin):
    """Mixin class that adds explanations of predicted labels to an estimator."""

    def explain(self, X, *, attribution=None, target=None, words=False):
        """Return the attention and the attribution of each token of each text.

        Attention is the weight of each token in the context vector. A token with high
        attention does not always influence the prediction. :meth:`faithfulness`
        measures this influence. The hidden state of a token depends on the whole text,
        so a high weight can also come from the context of the token. With
        ``head="lstm"``, attention weighs the outputs of the LSTM, which depend even
        more on the context.

        Parameters
        ----------
        X : array-like of str, shape (n_samples,) or (n_samples, 2)
        attribution : {"gradient", "integrated_gradients"} or None, default=None
            Method that attributes the logit of `target` to the tokens. "gradient" is
            the gradient times the embedding of the token. "integrated_gradients"
            integrates the gradient from a text of mask tokens to the text itself. The
            attributions of a text then sum to the logit of the text minus the logit of
            the mask tokens. "integrated_gradients" takes 64 times as long as
            "gradient". If the vocabulary does not have a mask token, padding tokens
            replace the mask tokens. If None, only attention is returned.
        target : label or array-like of labels, shape (n_samples,), default=None
            The class whose logit is attributed. Pass one class for all texts, or an
            array with one class for each text, for example the true labels. If a text
            can have several labels, the class is a name in ``label_names_``. If None,
            the class with the highest logit is used for each text.
        words : bool, default=False
            Whether to sum the tokens of a word into one row.

        Returns
        -------
        explanation : pandas.DataFrame
            A table with one row per token, in the order of the texts. Special tokens
            and truncated parts of long texts have no rows. If pandas is not installed,
            the result is a dict of ndarrays.

            - "sample": index of the text or the pair in `X`.
            - "text": 0 for the first text of a pair, 1 for the second. This column
              exists only for pairs.
            - "token": the characters of the text from "start" to "end". If a token is
              only a part of a character, "token" is the whole character. If the
              tokenizer adds a token before the text, "token" is the first character of
              the text.
            - "start", "end": positions in the text, in characters.
            - "token_attention": weight of the token in the context vector, summed over
              all windows that contain the token. With ``pooling="attention"``, the
              weights are the learned attention. With "mean", all tokens have equal
              weights. With "cls", the first token has the weight 1. With "max", the
              weight is the fraction of features that have their maximum in the token.
              The weight for "concat" is the mean of the weights for "cls", "max" and
              "mean".
            - "special_attention": total weight of the special tokens of the text. This
              value and all "token_attention" of the text sum to 1.
            - "attribution": attribution of the token in logits, computed in float32.
              This column exists only if `attribution` is given.

        Raises
        ------
        ValueError
            If one of these conditions holds:

            - `attribution` is unknown.
            - `target` has a label that is not in `y` of ``fit``.
            - `target` is a list, but does not have the same length as `X`.
            - `target` is given, but `attribution` is None.
        sklearn.exceptions.NotFittedError
            If the estimator is not fitted.

        References
        ----------
        Simonyan et al. (2014), "Deep Inside Convolutional Networks", arXiv 1312.6034.
        Sundararajan et al. (2017), "Axiomatic Attribution for Deep Networks", arXiv
        1703.01365. Jain and Wallace (2019), "Attention is not Explanation", arXiv
        1902.10186. Wiegreffe and Pinter (2019), "Attention is not not Explanation",
        arXiv 1908.04626.
        """
        check_is_fitted(self, "module_")
        check_attributions(attribution, ATTRIBUTIONS)
        texts = self._check_texts(X)
        classes = self._output_names
        outputs = check_targets(target, classes, attribution, len(texts))
        return self._explain(texts, attribution, outputs, words)

    def faithfulness(self, X, *, attribution=None, n_random=5, random_state=None):
        """Measure how much the highest-ranked tokens influence the prediction.

        The tokens of a text are ranked several times: by their attention, by their
        attributions to the predicted class, and in random order. For each ranking, the
        first 1 % of the tokens (at least one token) are removed from the text, then the
        first 5, 10, 20 and 50 %, each time from the complete text. In a second test,
        only these tokens are kept. Special tokens are always kept. Each score is the
        decrease of the probability of the predicted class, averaged over the five
        percentages.

        Parameters
        ----------
        X : array-like of str, shape (n_samples,) or (n_samples, 2)
        attribution : str, list of str or None, default=None
            Rankings to measure in addition to attention: "gradient",
            "integrated_gradients" or a list of both, as in :meth:`explain`. If None,
            only attention and random orders are measured.
        n_random : int, default=5
            Number of random orders of each text. The row "random" of a text contains
            the mean scores of these orders. If 0, random orders are not measured.
        random_state : int, RandomState instance or None, default=None
            Seed of the random orders, and of the order of tokens with equal scores.

        Returns
        -------
        scores : pandas.DataFrame
            A table with one row per text and ranking. Texts without tokens have no
            rows. If pandas is not installed, the result is a dict of ndarrays.

            - "sample": index of the text in `X`.
            - "ranking": "attention", the name of the attribution, or "random".
            - "comprehensiveness": decrease of the probability when the highest-ranked
              tokens are removed. Higher is better. A faithful ranking has a higher
              value than "random".
            - "sufficiency": decrease of the probability when only the highest-ranked
              tokens are kept. Lower is better. A faithful ranking has a lower
              value than "random".

            A value is negative if the probability of the predicted class increases.

        Raises
        ------
        ValueError
            If a parameter is invalid.
        sklearn.exceptions.NotFittedError
            If the estimator is not fitted.

        Notes
        -----
        A text with removed tokens differs from the training texts. This difference
        alone can lower the probability. So compare values with "random", not with 0.

        References
        ----------
        DeYoung et al. (2020), "ERASER: A Benchmark to Evaluate Rationalized NLP
        Models", section 4.3, arXiv 1911.03429.
        """
        check_is_fitted(self, "module_")
        methods = check_attributions(attribution, ATTRIBUTIONS, several=True)
        check_scalar(n_random, "n_random", Integral, min_val=0)
        texts = self._check_texts(X)
        table, values = self._token_values(texts, methods)
        scores = {name: table.per_token(each) for name, each in values.items()}
        rng = np.random.RandomState(draw_seed(random_state))
        columns = faithfulness(
            self.module_,
            table,
            rank_tokens(table, scores, n_random=n_random, rng=rng),
            self._target.probabilities,
            self._tokenizer,
            self._prepare(),
        )
        return _as_frame(columns)


def _as_frame(columns):
    """Return columns as a DataFrame, or unchanged if pandas is not installed."""
    try:
        import pandas as pd
    except ImportError:
        return columns
    # The str type of pandas rejects lone surrogates, so the columns keep their dtype.
    return pd.DataFrame(
        {
            name: pd.Series(column, dtype=column.dtype)
            for name, column in columns.items()
        }
    )
