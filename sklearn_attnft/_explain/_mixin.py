# SPDX-License-Identifier: BSD-3-Clause
"""The methods ``explain`` and ``faithfulness`` of the estimators."""

from numbers import Integral

import numpy as np
import torch
from sklearn.utils import check_scalar
from sklearn.utils.validation import check_is_fitted

from .._data._validation import check_texts
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
from ._validation import check_attributions, check_target


@reads_one_fit
class ExplainingMixin:
    """Explanations of the predictions of an estimator with attention."""

    @property
    def layer_attention_(self):
        """Share of each of `layers` in the mix, float64, (n_attended_layers,)."""
        check_is_fitted(self, "module_")
        scores = self.module_.tasks[0].mix.scores.detach().cpu().double()
        return torch.softmax(scores, dim=0).numpy()

    def explain(self, X, *, attribution=None, target=None, words=False):
        """Return the attention and the attribution of each token of each text.

        Attention says what the context vector is made of, and not what would change
        the prediction: :meth:`faithfulness` measures how far it does. The hidden state
        of a token depends on the whole text, so a token also represents its context,
        and more so with ``head="lstm"``, where attention is over states of the LSTM.

        Parameters
        ----------
        X : array-like of str, shape (n_samples,)
        attribution : {"gradient", "integrated_gradients"} or None, default=None
            How to attribute the logit of `target` to the tokens. "gradient" is the
            gradient times the token's embedding. "integrated_gradients" sums gradients
            on the way from a text of mask tokens (of padding tokens, if the vocabulary
            has no mask), so that the attributions of a text sum to the difference of
            the two logits; it takes 64 times as long. Both are computed in float32. If
            None, only attention is returned.
        target : label, default=None
            The class whose logit is attributed, for all texts. If None, it is the class
            with the highest score of each text.
        words : bool, default=False
            Whether to sum the pieces of a word into one row.

        Returns
        -------
        explanation : pandas.DataFrame
            Without pandas, a dict of ndarrays. It has a row for each token that was
            read, in the order of the texts. Special tokens and truncated parts of long
            texts have no rows.

            - "sample": index of the text in `X`.
            - "token": the characters of the text from "start" to "end". A token that is
              a part of a character, or that the tokenizer adds before the text, has the
              whole character.
            - "start", "end": positions in the text, in characters.
            - "token_attention": share of the token in the context vector, over all
              windows that contain it. With ``pooling="attention"`` it is the attention.
              For "mean", "cls", "max" and "concat" it is the fraction of the vector's
              features that the token decides: equal for all tokens, 1 for the first
              token, the fraction of maxima, and the mean of these three.
            - "special_attention": share of the special tokens of the text. Together
              with "token_attention" over the text it sums to 1.
            - "attribution": in logits, if `attribution` is given.

        Raises
        ------
        ValueError
            If `attribution` is unknown, or if `target` is not a label of ``fit`` or is
            given without `attribution`.
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
        methods = check_attributions(attribution, ATTRIBUTIONS)
        class_index = check_target(target, self.classes_, attribution)
        texts = check_texts(X)
        table, values = self._token_values(texts, methods, class_index)
        columns = explain(
            table,
            values.pop("attention"),
            values.get(attribution),
            self._tokenizer,
            words=words,
        )
        return _as_frame(columns)

    def faithfulness(self, X, *, attribution=None, n_random=5, random_state=None):
        """Measure how far explanations name the tokens that decide the prediction.

        The tokens of a text are ranked by their attention, by attributions to the
        predicted class, and at random. The first 1, 5, 10, 20 and 50 % of them (at
        least one) are removed from the text, or are all that is left of it; special
        tokens stay. The scores are the decrease of the probability of the predicted
        class, averaged over the five fractions.

        Parameters
        ----------
        X : array-like of str, shape (n_samples,)
        attribution : str, list of str or None, default=None
            "gradient", "integrated_gradients", or a list of both, as in
            :meth:`explain`; they are measured in addition to attention.
        n_random : int, default=5
            Number of random orders of each text; "random" is their mean. If 0, there is
            no random ranking.
        random_state : int, RandomState instance or None, default=None
            Seed of the random orders, and of the order of tokens with equal rank.

        Returns
        -------
        scores : pandas.DataFrame
            Without pandas, a dict of ndarrays. It has a row for each text and ranking;
            texts without tokens have none.

            - "sample": index of the text in `X`.
            - "ranking": "attention", the name of the attribution, or "random".
            - "comprehensiveness": decrease of the probability without the first tokens.
              The higher, the more these tokens were needed. A faithful ranking is above
              random.
            - "sufficiency": decrease of the probability with only the first tokens. The
              lower, the more these tokens suffice. A faithful ranking is below random.

            Both may be negative, if the prediction becomes more certain.

        Raises
        ------
        ValueError
            If a parameter is invalid.
        sklearn.exceptions.NotFittedError
            If the estimator is not fitted.

        Notes
        -----
        A text with removed tokens differs from the training texts, which alone can
        lower the probability. So compare rankings with random, not with 0.

        References
        ----------
        DeYoung et al. (2020), "ERASER: A Benchmark to Evaluate Rationalized NLP
        Models", section 4.3, arXiv 1911.03429.
        """
        check_is_fitted(self, "module_")
        methods = check_attributions(attribution, ATTRIBUTIONS, several=True)
        check_scalar(n_random, "n_random", Integral, min_val=0)
        texts = check_texts(X)
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

    def _token_values(self, texts, methods, class_index=None):
        """Return a TokenTable, and attention and attributions by their names."""
        machine = self._prepare()
        table = TokenTable.of(texts, self._tokenizer)
        module, _ = self._module_and_cache(machine)
        values = {"attention": token_attention(module, table.tokens, machine)}
        if methods and class_index is None:
            targets = self._forward(texts).argmax(axis=1)
        else:
            targets = np.full(len(texts), class_index)
        for method in methods:
            values[method] = token_attributions(
                self.module_,
                table.tokens,
                targets,
                method=method,
                baseline_id=self._tokenizer.filler_id,
                device=machine.device,
            )
        return table, values


def _as_frame(columns):
    """Return a data frame of columns, or the columns without pandas."""
    try:
        import pandas as pd
    except ImportError:
        return columns
    # A str may hold half a surrogate pair, which the str type of pandas refuses.
    return pd.DataFrame(
        {
            name: pd.Series(column, dtype=column.dtype)
            for name, column in columns.items()
        }
    )
