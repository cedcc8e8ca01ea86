# SPDX-License-Identifier: BSD-3-Clause
"""Explanations of a fitted classifier's predictions."""

from numbers import Integral

import numpy as np
import torch
from sklearn.utils import check_scalar
from sklearn.utils.validation import check_is_fitted

from .._data._validation import check_texts
from .._runtime._seeds import draw_seed
from ._attribution import (
    ATTRIBUTIONS,
    TokenTable,
    explain,
    token_attention,
    token_attributions,
)
from ._faithfulness import faithfulness, rank_tokens
from ._validation import check_attributions, check_target


class ExplainingMixin:
    """What a classifier with attention says of its predictions."""

    @property
    def layer_attention_(self):
        """Share of each of `layers` in the mix, float64, (n_attended_layers,)."""
        check_is_fitted(self, "module_")
        weights = self.module_.tasks[0].mix.weights.detach().cpu().double()
        return torch.softmax(weights, dim=0).numpy()

    def explain(self, X, *, attribution=None, target=None, words=False):
        """Say how much each token of each text had of the attention, or of a score.

        Attention says what the context vector was made of, not what would have changed
        the prediction: :meth:`faithfulness` measures how far it does. The states of
        tokens have read the whole text, so a token stands for its surroundings too,
        with ``head="lstm"`` even more: there, the attention is over states of the LSTM.

        Parameters
        ----------
        X : array-like of str, shape (n_samples,)
        attribution : {"gradient", "integrated_gradients"} or None, default=None
            Whether to say also what each token adds to the logit of `target`.
            "gradient" is the gradient times the token's embedding.
            "integrated_gradients" adds up the gradients on the way from a text of mask
            tokens (padding tokens, if the vocabulary has none), so that the
            attributions of a text sum to the difference between the two logits; it
            takes 64 times as long. Both are computed in float32.
        target : label, default=None
            One of ``classes_``, to be explained for all texts. None: of each text the
            class with the highest score.
        words : bool, default=False
            Whether to put the pieces of a word into one row.

        Returns
        -------
        explanation : pandas.DataFrame
            Without pandas, a dict of ndarrays. A row for each token that was read, in
            the order of the texts. Special tokens have no rows, nor does what was cut
            out of a long text.

            - "sample": number of the text in `X`.
            - "token": the text's characters from "start" to "end". What is less than a
              character, or put before the text by the tokenizer, has the whole of the
              character.
            - "start", "end": places in the text, in characters.
            - "token_attention": share of the context vector, over all windows that the
              token is in. With ``pooling="attention"`` it is the attention; with
              "mean", "cls", "max" and "concat" the share of the vector's features that
              the token decided: all alike, the first token, that of the maximum, or
              the mean of these three.
            - "special_attention": share of the special tokens of the text. With
              "token_attention" over the text it sums to 1.
            - "attribution": with `attribution`; in logits.

        Raises
        ------
        ValueError
            If `attribution` is not known, `target` is no label of ``fit``, or is given
            without `attribution`.
        sklearn.exceptions.NotFittedError
            If it is not fitted.

        References
        ----------
        Simonyan et al. (2014), "Deep Inside Convolutional Networks", arXiv 1312.6034.
        Sundararajan et al. (2017), "Axiomatic Attribution for Deep Networks", arXiv
        1703.01365. Jain and Wallace (2019), "Attention is not Explanation", arXiv
        1902.10186. Wiegreffe and Pinter (2019), "Attention is not not Explanation",
        arXiv 1908.04626.
        """
        check_is_fitted(self, "module_")
        methods = check_attributions(attribution, ATTRIBUTIONS)
        class_index = check_target(target, self.classes_, attribution)
        texts = check_texts(X)
        read, values = self._token_values(texts, methods, class_index)
        columns = explain(
            read,
            values.pop("attention"),
            values.get(attribution),
            self._tokenizer,
            words=words,
        )
        return _as_frame(columns)

    def faithfulness(self, X, *, attribution=None, n_random=5, random_state=None):
        """Measure how far the tokens that an explanation names decide the prediction.

        The tokens of a text are ranked by their attention, by attributions to the
        predicted class, and at random. The first 1, 5, 10, 20 and 50 % of them (one at
        least) are taken out of the text, or are all that is left of it; special tokens
        stay. What counts is by how much the probability of the predicted class falls,
        on average over the five shares.

        Parameters
        ----------
        X : array-like of str, shape (n_samples,)
        attribution : str, list of str or None, default=None
            "gradient", "integrated_gradients", or both in a list: as of
            :meth:`explain`, to be measured beside attention.
        n_random : int, default=5
            Random orders of each text, over which "random" is the mean; 0: none.
        random_state : int, RandomState instance or None, default=None
            Draws the random orders, and the order of tokens that rank equal.

        Returns
        -------
        scores : pandas.DataFrame
            Without pandas, a dict of ndarrays. A row for each text and ranking; texts
            without tokens have none.

            - "sample": number of the text in `X`.
            - "ranking": "attention", the name of the attribution, or "random".
            - "comprehensiveness": fall of the probability without the first tokens.
              High is good: they were needed. Of a faithful ranking it is above that of
              random.
            - "sufficiency": fall of the probability with the first tokens alone. Low
              is good: they are enough. Of a faithful ranking it is below that of
              random.

            Both may be negative, where the prediction becomes more certain.

        Raises
        ------
        ValueError
            If a parameter is out of its range.
        sklearn.exceptions.NotFittedError
            If it is not fitted.

        Notes
        -----
        A text with holes is not like those that the model was trained on, so a fall is
        also that of strangeness: compare rankings with random, not with 0.

        References
        ----------
        DeYoung et al. (2020), "ERASER: A Benchmark to Evaluate Rationalized NLP
        Models", section 4.3, arXiv 1911.03429.
        """
        check_is_fitted(self, "module_")
        methods = check_attributions(attribution, ATTRIBUTIONS, several=True)
        check_scalar(n_random, "n_random", Integral, min_val=0)
        texts = check_texts(X)
        read, values = self._token_values(texts, methods)
        scores = {name: read.per_token(each) for name, each in values.items()}
        rng = np.random.RandomState(draw_seed(random_state))
        columns = faithfulness(
            self.module_,
            read,
            rank_tokens(read, scores, n_random=n_random, rng=rng),
            self._label_set.probabilities,
            self._tokenizer,
            self._prepare(),
        )
        return _as_frame(columns)

    def _token_values(self, texts, methods, class_index=None):
        """Return TokenTable, and "attention" and attributions by their names."""
        machine = self._prepare()
        read = TokenTable.of(texts, self._tokenizer)
        module, _ = self._recall(machine)
        values = {"attention": token_attention(module, read.tokens, **machine)}
        if methods and class_index is None:
            targets = self._logits(texts).argmax(axis=1)
        else:
            targets = np.full(len(texts), class_index)
        for method in methods:
            values[method] = token_attributions(
                self.module_,
                read.tokens,
                targets,
                method=method,
                baseline_id=self._tokenizer.filler_id,
                device=machine["device"],
            )
        return read, values


def _as_frame(columns):
    """Make a data frame of columns if pandas is installed."""
    try:
        import pandas as pd
    except ImportError:
        return columns
    # str may hold half a surrogate pair, which pandas' own type for text refuses.
    return pd.DataFrame(
        {
            name: pd.Series(column, dtype=column.dtype)
            for name, column in columns.items()
        }
    )
