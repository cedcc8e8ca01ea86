# SPDX-License-Identifier: BSD-3-Clause
"""Compare the predictions of an exported directory with those of the estimator."""

import copy
from dataclasses import dataclass

import numpy as np
import torch

from .._runtime._device import Machine
from .._runtime._predict import predict

TOLERANCE = 1e-4  # maximum difference of a value in float32
# Largest fraction of labels that int8 may change without a warning.
MAX_CHANGED = 0.01
# Short texts in several writing systems. Some texts have characters of several code
# points, or only white space. `default_texts` adds long texts.
TEXTS = [
    "",
    " ",
    "a",
    "It rains.",
    "The quick brown fox jumps over the lazy dog, and the dog does not mind at all.",
    "1,234.5 USD @ 50 % - see https://example.org/path?query=1#part",
    "[CLS] [SEP] [MASK] <s> </s> [PAD]",
    "Größe, façade, İstanbul, naïve",
    "Сегодня хорошая погода, и мы идём гулять.",
    # Greek ("The weather is"), escaped because an omicron looks like a Latin O.
    "\u039f \u03ba\u03b1\u03b9\u03c1\u03cc\u03c2 \u03b5\u03af\u03bd\u03b1\u03b9",
    "今日は天気がいいので、散歩に行きます。",
    "今天天气很好",
    "오늘은 날씨가 좋습니다.",
    "الطقس جميل اليوم.",
    "मौसम आज अच्छा है।",
    "วันนี้อากาศดี",
    "\U0001f600 \U0001f44d\U0001f3fd \U0001f468\u200d\U0001f469\u200d\U0001f467",
    "tab\tnew line\nzero width\u200b and \ufffd",
]


@dataclass(frozen=True)
class Difference:
    """Difference between the predictions of the graph and of the estimator.

    Attributes
    ----------
    n_texts : int
        Number of texts on which the predictions were compared.
    probabilities : float
        Largest absolute difference of a probability. For a regressor, the largest
        absolute difference of a standardized number. For a feature extractor, 0.0.
    contexts : float
        Largest difference of a feature. The difference is relative if the absolute
        value of the feature is above 1, and absolute otherwise.
    changed_labels : float
        Fraction of the predicted labels that differ.
    """

    n_texts: int
    probabilities: float
    contexts: float
    changed_labels: float

    @property
    def is_small(self):
        """Whether the difference is small enough to be a rounding error."""
        worst = max(self.probabilities, self.contexts)
        return bool(worst <= TOLERANCE)


def default_texts(max_length, n_texts):
    """Return texts, or pairs of texts, with up to 3 * `max_length` words each."""
    words = " ".join(TEXTS).split()
    lengths = [max_length // 2, max_length, 3 * max_length]
    texts = TEXTS + [" ".join(np.resize(words, n).tolist()) for n in lengths]
    if n_texts == 1:
        return texts
    return [*zip(texts, texts[::-1], strict=True), (texts[-1], texts[-1])]


class Reference:
    """The outputs of an estimator for texts, on the CPU in float32.

    Parameters
    ----------
    estimator : fitted estimator
    targets : list of Target
    order : list of int
        For each target, the index of its task in ``module_.tasks``.
    texts : list of str or of tuple of str
    """

    def __init__(self, estimator, targets, order, texts):
        self._targets, self._texts = targets, texts
        model = estimator.module_
        if any(each.device.type != "cpu" for each in model.parameters()):
            model = copy.deepcopy(model).cpu()
        spec = estimator._spec
        self._contexts = self._run(model, estimator._tokenizer, "contexts")
        sizes = [spec.context_size(task) for task in spec.tasks]
        self._contexts = np.hstack(_in_order(self._contexts, sizes, order))
        self._logits = []
        if targets:
            logits = self._run(model, estimator._tokenizer, "logits")
            sizes = [task.n_outputs for task in spec.tasks]
            self._logits = _in_order(logits.astype(np.float64), sizes, order)

    def _run(self, model, tokenizer, output):
        machine = Machine(torch.device("cpu"), torch.float32)
        texts = self._texts
        return predict(
            model, texts, tokenizer=tokenizer, machine=machine, output=output
        )

    def compare(self, predictor):
        """Return the Difference between an OnnxPredictor and the estimator."""
        contexts = predictor.transform(self._texts)
        scale = np.maximum(np.abs(self._contexts), 1)
        of_contexts = np.abs(contexts - self._contexts) / scale
        distances, changed = [], []
        if [target.kind for target in self._targets] == ["numbers"]:
            found = predictor.run(self._texts, "logits")
            distances.append(np.abs(found - self._logits[0]))
        elif self._targets:
            found = predictor.predict_proba(self._texts)
            found = [found] if predictor.config_["single_task"] else found
            in_graph = predictor.run(self._texts, "probabilities")
            sizes = [each.shape[1] for each in found]
            in_graph = np.split(in_graph, np.cumsum(sizes)[:-1], axis=1)
            for i, target in enumerate(self._targets):
                expected = target.probabilities(self._logits[i])
                distances += [np.abs(found[i] - expected)]
                distances += [np.abs(in_graph[i] - expected)]
                changed.append(_labels(target, found[i]) != _labels(target, expected))
        return Difference(
            n_texts=len(self._texts),
            probabilities=_largest(distances),
            contexts=_largest([of_contexts]),
            changed_labels=float(np.mean([each.mean() for each in changed] or 0.0)),
        )


def _labels(target, probabilities):
    if target.multilabel:
        return probabilities > 0.5
    return probabilities.argmax(axis=1)


def _largest(distances):
    """Return the largest value, or infinity if a value is NaN."""
    values = [float(each.max()) for each in distances]
    return max((np.inf if np.isnan(v) else v for v in values), default=0.0)


def _in_order(values, sizes, order):
    """Split an array into one array per task, and return a list in the given order."""
    parts = np.split(values, np.cumsum(sizes)[:-1], axis=1)
    return [parts[i] for i in order]
