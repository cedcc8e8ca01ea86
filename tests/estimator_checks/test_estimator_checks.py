"""Every check passes correct estimators and catches a planted bug."""

import copy
import os
import re
import time
from numbers import Integral, Real

import numpy as np
import pytest
import torch
from scipy.special import log_softmax, softmax
from sklearn.base import (
    BaseEstimator,
    ClassifierMixin,
    TransformerMixin,
    _fit_context,
    clone,
)
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.validation import check_is_fitted
from versions import needs_numpy_2

from sklearn_attnft._data._labels import (
    check_labels,
    check_two_classes,
    encode_labels,
)
from sklearn_attnft._data._validation import check_texts, check_weights
from sklearn_attnft.estimator_checks import (
    _official,
    check_text_estimator,
    parametrize_with_text_checks,
    text_checks,
)


class Words(TransformerMixin, BaseEstimator):
    """Relative frequencies of the words of the training texts, without bugs."""

    _parameter_constraints = {"verbose": ["verbose"]}

    def __init__(self, verbose=0):
        self.verbose = verbose

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None):
        texts = self._texts(X)
        self.vocabulary_ = self._vocabulary(texts)
        return self

    def _texts(self, X, name="X"):
        return check_texts(X, name)

    def _vocabulary(self, texts):
        return sorted({word for text in texts for word in self._split(text)})

    def _split(self, text):
        return ["<start>", *re.findall(r"\w+", text)]

    def _shares(self, texts):
        """Return relative frequencies (n_texts, n_words)."""
        shares = np.zeros((len(texts), len(self.vocabulary_)))
        index = {word: i for i, word in enumerate(self.vocabulary_)}
        for row, text in zip(shares, texts, strict=True):
            words = self._split(text)
            for word in words:
                if word in index:
                    row[index[word]] += 1 / len(words)
        return shares

    def transform(self, X):
        check_is_fitted(self)
        return self._shares(self._texts(X))

    def get_feature_names_out(self, input_features=None):
        check_is_fitted(self)
        return np.array(self.vocabulary_, dtype=object)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.one_d_array = True
        tags.input_tags.two_d_array = False
        tags.input_tags.string = True
        return tags


class Bayes(ClassifierMixin, Words):
    """Naive Bayes over words with a little seeded noise, without bugs."""

    _parameter_constraints = {
        "smoothing": [Interval(Real, 0, None, closed="neither")],
        "class_weight": [StrOptions({"balanced"}), dict, None],
        "max_epochs": [Interval(Integral, 1, None, closed="left")],
        "callbacks": [list, None],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        smoothing=0.1,
        class_weight=None,
        max_epochs=2,
        callbacks=None,
        random_state=None,
        verbose=0,
    ):
        self.smoothing = smoothing
        self.class_weight = class_weight
        self.max_epochs = max_epochs
        self.callbacks = callbacks
        self.random_state = random_state
        self.verbose = verbose

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y, sample_weight=None, X_val=None, y_val=None):
        texts = self._texts(X)
        y = self._labels(y, len(texts))
        classes = self._classes(y)
        weights = self._weights(sample_weight, texts, y)
        validation = self._validation(X_val, y_val, classes)
        self._keep(**self._learn(texts, y, weights, classes, validation))
        return self

    def _labels(self, y, n_texts):
        return check_labels(y, n_texts)

    def _classes(self, y):
        classes = np.unique(y)
        check_two_classes(classes)
        return classes

    def _weights(self, sample_weight, texts, y):
        weights = check_weights(sample_weight, len(texts))
        check_two_classes(np.unique(y[weights > 0]))
        return weights

    def _validation(self, X_val, y_val, classes):
        if X_val is None and y_val is None:
            return None
        if X_val is None or y_val is None:
            raise ValueError("X_val and y_val come together.")
        texts = self._texts(X_val, "X_val")
        labels = check_labels(y_val, len(texts), "y_val")
        return texts, encode_labels(labels, classes, "y_val")

    def _scaled(self, weights):
        return weights * 100 / weights.sum()

    def _learn(self, texts, y, weights, classes, validation):
        present = np.flatnonzero(weights)
        texts = [texts[i] for i in present]
        y, weights = y[present], weights[present]
        of_class = self._class_weights(classes, y)
        weights = self._scaled(weights * of_class[np.searchsorted(classes, y)])
        learned = copy.copy(self)
        learned.vocabulary_ = self._vocabulary(texts)
        members = y[:, None] == classes  # (n_texts, n_classes)
        counts = (members * weights[:, None]).T @ learned._shares(texts)
        counts += self.smoothing
        for _ in range(self.max_epochs):
            self._step()
        noise = self._generator().normal(scale=0.01, size=counts.shape)
        return {
            "vocabulary_": learned.vocabulary_,
            "classes_": classes,
            "prior_": np.log(weights @ members / weights.sum()),
            "log_shares_": np.log(counts / counts.sum(axis=1, keepdims=True)) + noise,
            "n_iter_": self.max_epochs,
        }

    def _class_weights(self, classes, y):
        return compute_class_weight(self.class_weight, classes=classes, y=y)

    def _generator(self):
        return check_random_state(self.random_state)

    def _step(self):
        for callback in self.callbacks or []:
            callback.on_batch_end(self)

    def _keep(self, **learned):
        vars(self).update(learned)

    def _scores(self, X):
        """Return scores (n_texts, n_classes)."""
        check_is_fitted(self)
        return self._shares(self._texts(X)) @ self.log_shares_.T + self.prior_

    def decision_function(self, X):
        scores = self._scores(X)
        return scores[:, 1] - scores[:, 0] if scores.shape[1] == 2 else scores

    def predict_proba(self, X):
        return softmax(self._scores(X), axis=1)

    def predict_log_proba(self, X):
        return log_softmax(self._scores(X), axis=1)

    def predict(self, X):
        scores = self._scores(X)
        return self.classes_[scores.argmax(axis=1)]


@parametrize_with_text_checks([Words(), Bayes()])
def test_correct_estimators_pass(estimator, check):
    check(estimator)


BUGS = []


def caught_by(*checks, raising=AssertionError):
    """Return a decorator that records which checks must catch a broken class."""

    def note(broken):
        BUGS.extend((broken, check, raising) for check in checks)
        return broken

    return note


@caught_by("check_subset_invariance")
class PaddingLeaks(Bayes):
    def _shares(self, texts):
        longest = max(len(self._split(text)) for text in texts)
        return super()._shares(texts) + 0.001 * longest


@caught_by("check_subset_invariance")
class NormalizesOverTheBatch(Words):
    def transform(self, X):
        features = super().transform(X)
        return features - features.mean(axis=0)


@caught_by("check_refit_forgets")
class KeepsItsVocabulary(Bayes):
    def _vocabulary(self, texts):
        return getattr(self, "vocabulary_", None) or super()._vocabulary(texts)


@caught_by("check_refit_forgets")
class LeavesAnAttribute(Bayes):
    def _keep(self, **learned):
        super()._keep(**learned)
        if len(self.classes_) > 2:
            self.several_ = True


@caught_by("check_fit_idempotent")
class ContinuesFromTheLastFit(Bayes):
    def _keep(self, **learned):
        learned["log_shares_"] = learned["log_shares_"] + 0.5 * getattr(
            self, "log_shares_", 0.0
        )
        super()._keep(**learned)


@caught_by("check_predict_is_argmax", "check_learns", "check_decision_function")
class PredictsTheSecondBest(Bayes):
    def predict(self, X):
        return self.classes_[np.argsort(self._scores(X), axis=1)[:, -2]]


@caught_by("check_init_does_no_work")
class WorksInInit(Bayes):
    def __init__(
        self,
        smoothing=0.1,
        class_weight=None,
        max_epochs=2,
        callbacks=None,
        random_state=None,
        verbose=0,
    ):
        super().__init__(smoothing, class_weight, max_epochs, callbacks, random_state)
        self.verbose = bool(verbose)


@caught_by("check_no_attributes_set_in_init", "check_init_does_no_work")
class FailsInInit(Words):
    def __init__(self, verbose=0):
        self.verbose = verbose
        self.loud = verbose > 0


@caught_by("check_fit_keeps_parameters")
class OverwritesAParameter(Bayes):
    def _learn(self, texts, y, weights, classes, validation):
        self.max_epochs = max(self.max_epochs, len(texts))
        return super()._learn(texts, y, weights, classes, validation)


@caught_by("check_arguments_are_not_changed")
class CleansXInPlace(Words):
    def _texts(self, X, name="X"):
        texts = super()._texts(X, name)
        if isinstance(X, list):
            X[:] = [text.replace(",", "") for text in X]
        return texts


@caught_by("check_arguments_are_not_changed")
class SortsYInPlace(Bayes):
    def _labels(self, y, n_texts):
        labels = super()._labels(y, n_texts).copy()
        y.sort()
        return labels


@caught_by("check_arguments_are_not_changed", "check_weights_not_overwritten")
class ScalesWeightsInPlace(Bayes):
    def _weights(self, sample_weight, texts, y):
        weights = super()._weights(sample_weight, texts, y)
        if isinstance(sample_weight, np.ndarray):
            sample_weight *= 2
        return weights


@caught_by("check_global_random_state_untouched")
class SeedsNumpy(Bayes):
    def _generator(self):
        np.random.seed(self.random_state)
        return np.random.mtrand._rand


@caught_by("check_global_random_state_untouched")
class DrawsFromNumpy(Bayes):
    def _scores(self, X):
        np.random.random()
        return super()._scores(X)


@caught_by("check_global_random_state_untouched")
class SeedsTorch(Bayes):
    def _step(self):
        torch.rand(1)


@caught_by("check_fits_of_clones_are_equal", "check_fit_idempotent")
class IgnoresTheSeed(Bayes):
    def _generator(self):
        return np.random.default_rng()


@caught_by("check_random_state_instance")
class TakesIntSeedsOnly(Bayes):
    def _generator(self):
        if isinstance(self.random_state, int):
            return super()._generator()
        return np.random.default_rng()


@caught_by("check_global_random_state_untouched")
class DrawsWhenItIsLoaded(Bayes):
    def __setstate__(self, state):
        np.random.rand()
        super().__setstate__(state)


@caught_by("check_y_nan_refused", "check_y_of_mixed_types_refused")
class LetsNumpyReadLists(Bayes):
    def fit(self, X, y, sample_weight=None, X_val=None, y_val=None):
        y = np.asarray(y) if isinstance(y, list) else y
        return super().fit(X, y, sample_weight, X_val, y_val)


@caught_by("check_global_settings_untouched")
class SetsTheEnvironment(Bayes):
    def _step(self):
        os.environ["SKLEARN_ATTNFT_PLANTED"] = os.urandom(4).hex()


@caught_by("check_global_settings_untouched")
class SetsThreads(Words):
    def transform(self, X):
        torch.set_num_threads(torch.get_num_threads() % 2 + 1)
        return super().transform(X)


@caught_by("check_bare_str_refused")
class TakesABareStr(Bayes):
    def _texts(self, X, name="X"):
        return list(X) if isinstance(X, str) else super()._texts(X, name)


@caught_by("check_none_refused", "check_nan_refused", "check_pandas_na_refused")
class TakesMissingTexts(Bayes):
    def _texts(self, X, name="X"):
        if isinstance(X, (list, tuple)) or hasattr(X, "dtype"):
            X = ["" if x is None or x != x else x for x in map(_or_none, X)]
        return super()._texts(X, name)


def _or_none(value):
    return None if type(value).__name__ == "NAType" else value


@caught_by("check_numbers_refused", "check_one_number_refused", "check_bytes_refused")
class TakesNumbers(Bayes):
    def _texts(self, X, name="X"):
        if isinstance(X, (list, np.ndarray)):
            X = [x if x is None or isinstance(x, str) else str(x) for x in X]
        return super()._texts(X, name)


@caught_by("check_numbers_refused")
class TakesNumbersInPredictions(Bayes):
    def _scores(self, X):
        if isinstance(X, list) and isinstance(X[0], int):
            X = [str(x) for x in X]
        return super()._scores(X)


@caught_by("check_empty_refused")
class TakesNoTexts(Words):
    def transform(self, X):
        if isinstance(X, list) and not X:
            return np.zeros((0, len(self.vocabulary_)))
        return super().transform(X)


@caught_by(
    "check_several_columns_refused",
    "check_two_columns_read_or_refused",
    "check_frame_of_several_columns_refused",
)
class TakesTheFirstColumn(Bayes):
    def _texts(self, X, name="X"):
        if getattr(X, "ndim", 1) == 2:
            X = np.asarray(X, dtype=object)[:, 0]
        return super()._texts(X, name)


@caught_by("check_dict_and_set_refused")
class TakesADict(Bayes):
    def _texts(self, X, name="X"):
        return super()._texts(list(X) if isinstance(X, dict) else X, name)


@caught_by("check_nested_lists_refused")
class JoinsNestedLists(Words):
    def _texts(self, X, name="X"):
        if isinstance(X, list):
            X = [" ".join(x) if isinstance(x, list) else x for x in X]
        return super()._texts(X, name)


@caught_by("check_none_refused")
class DoesNotNameX(Words):
    def _texts(self, X, name="X"):
        try:
            return super()._texts(X, name)
        except ValueError:
            raise ValueError("bad input") from None


@caught_by("check_numbers_refused")
class FailsByAccident(Words):
    def _texts(self, X, name="X"):
        return [text.strip() for text in X]


@caught_by("check_pandas_frame")
class ReadsTheColumnName(Words):
    def _texts(self, X, name="X"):
        return list(X) if hasattr(X, "columns") else super()._texts(X, name)


@caught_by("check_pandas_object_series")
class AlignsByIndex(Bayes):
    def _labels(self, y, n_texts):
        y = y.sort_index() if hasattr(y, "sort_index") else y
        return super()._labels(y, n_texts)


@caught_by("check_empty_texts")
class DividesByTheWords(Words):
    def _split(self, text):
        return re.findall(r"\w+", text)

    def transform(self, X):
        features = super().transform(X)
        with np.errstate(invalid="ignore"):
            return features / features.sum(axis=1, keepdims=True)


@caught_by("check_unicode_texts", raising=UnicodeEncodeError)
class EncodesAsUTF8(Words):
    def _split(self, text):
        return super()._split(text.encode().decode())


@caught_by("check_sample_order_invariance")
class SortsByLength(Bayes):
    def _shares(self, texts):
        return super()._shares(sorted(texts, key=len))


@caught_by("check_duplicates_are_equal")
class MisplacesDuplicates(Bayes):
    def _scores(self, X):
        scores, texts = super()._scores(X), check_texts(X)
        distinct = list(dict.fromkeys(texts))
        if len(distinct) < len(texts):
            return scores[np.arange(len(texts)) % len(distinct)]
        return scores


@caught_by("check_one_text")
class Squeezes(Words):
    def transform(self, X):
        return super().transform(X).squeeze()


@caught_by("check_predictions_repeat")
class LearnsWhilePredicting(Bayes):
    def _scores(self, X):
        scores = super()._scores(X)
        self.prior_ = self.prior_ * 1.1
        return scores


@caught_by("check_labels_gapped_int", "check_labels_str")
class UnsortedClasses(Bayes):
    def _keep(self, **learned):
        learned["classes_"] = learned["classes_"][::-1]
        super()._keep(**learned)


@caught_by("check_labels_gapped_int", "check_labels_bool", "check_labels_list_of_str")
class PredictsIndices(Bayes):
    def predict(self, X):
        return self._scores(X).argmax(axis=1)


@caught_by("check_labels_bool", "check_labels_negative_int")
class LabelsToStr(Bayes):
    def _labels(self, y, n_texts):
        return super()._labels(y, n_texts).astype(str)


@caught_by("check_predict_proba")
class ProbabilitiesDoNotSumToOne(Bayes):
    def predict_proba(self, X):
        return 1 / (1 + np.exp(-self._scores(X)))


@caught_by("check_decision_function", "check_decision_orders_as_proba")
class OppositeSign(Bayes):
    def decision_function(self, X):
        return -super().decision_function(X)


@caught_by("check_decision_function")
class TwoColumnsOfScores(Bayes):
    def decision_function(self, X):
        return self._scores(X)


@caught_by("check_predict_log_proba")
class LogProbaIsUnnormalized(Bayes):
    def predict_log_proba(self, X):
        return self._scores(X)


@caught_by("check_score_is_accuracy")
class ScoreIsTheError(Bayes):
    def score(self, X, y, sample_weight=None):
        return 1 - super().score(X, y, sample_weight)


@caught_by("check_score_is_accuracy")
class ScoreIgnoresWeights(Bayes):
    def score(self, X, y, sample_weight=None):
        return super().score(X, y)


@caught_by("check_class_weight_moves_predictions", "check_class_weight_balanced")
class ClassWeightsReversed(Bayes):
    def _class_weights(self, classes, y):
        if not isinstance(self.class_weight, dict):
            return super()._class_weights(classes, y)
        return super()._class_weights(classes, y)[::-1]


@caught_by("check_class_weight_unknown_class_refused")
class TakesUnknownClassWeights(Bayes):
    def _class_weights(self, classes, y):
        weights = self.class_weight
        if isinstance(weights, dict):
            return np.array([weights.get(label, 1.0) for label in classes])
        return super()._class_weights(classes, y)


@caught_by(
    "check_weights_matter",
    "check_weights_decide",
    "check_weight_two_is_row_twice",
    "check_weight_zero_is_row_absent",
    "check_routing_brings_weights",
)
class IgnoresWeights(Bayes):
    def _weights(self, sample_weight, texts, y):
        return np.ones_like(super()._weights(sample_weight, texts, y))


@caught_by("check_weight_zero_is_row_absent")
class CountsRowsOfZeroWeight(Bayes):
    def _weights(self, sample_weight, texts, y):
        return super()._weights(sample_weight, texts, y) + 1e-3


@caught_by("check_weights_scale_invariance")
class DependsOnTheScaleOfWeights(Bayes):
    def _weights(self, sample_weight, texts, y):
        weights = super()._weights(sample_weight, texts, y)
        return weights if sample_weight is None else weights * max(sample_weight)

    def _scaled(self, weights):
        return weights


@caught_by("check_weight_two_is_row_twice")
class TakesTheRootOfWeights(Bayes):
    def _weights(self, sample_weight, texts, y):
        return np.sqrt(super()._weights(sample_weight, texts, y))


@caught_by("check_weights_none_is_ones")
class NoWeightsDifferFromOnes(Bayes):
    def _weights(self, sample_weight, texts, y):
        if sample_weight is None:
            sample_weight = 1.0 + (np.arange(len(texts)) % 2)
        return super()._weights(sample_weight, texts, y)


@caught_by("check_weights_series")
class AlignsWeightsByIndex(Bayes):
    def _weights(self, sample_weight, texts, y):
        if hasattr(sample_weight, "sort_index"):
            sample_weight = sample_weight.sort_index()
        return super()._weights(sample_weight, texts, y)


@caught_by(
    "check_weights_negative_refused",
    "check_weights_not_finite_refused",
    "check_weights_two_dimensional_refused",
    "check_weights_wrong_length_refused",
    "check_weights_all_zero_refused",
)
class TakesAnyWeights(Bayes):
    def _weights(self, sample_weight, texts, y):
        try:
            return super()._weights(sample_weight, texts, y)
        except ValueError:
            return np.ones(len(texts))


@caught_by("check_weights_of_one_class_refused")
class TakesWeightsOfOneClass(Bayes):
    def _weights(self, sample_weight, texts, y):
        return check_weights(sample_weight, len(texts)) + 1e-9


@caught_by("check_one_class_refused")
class TakesOneClass(Bayes):
    def _classes(self, y):
        return np.unique(y)

    def _weights(self, sample_weight, texts, y):
        return check_weights(sample_weight, len(texts))


@caught_by("check_y_nan_refused", "check_y_missing_label_refused")
class TakesMissingLabels(Bayes):
    def _labels(self, y, n_texts):
        y = np.asarray(y)
        if y.dtype.kind in "Of":
            y = np.array([str(label) for label in y.tolist()])
        return super()._labels(y, n_texts)


@caught_by("check_y_none_refused")
class TakesNoLabels(Bayes):
    def _labels(self, y, n_texts):
        if y is None:
            y = np.arange(n_texts) % 2
        return super()._labels(y, n_texts)


@caught_by("check_lengths_refused", "check_failed_target_keeps_the_earlier_fit")
class CutsToTheShorter(Bayes):
    def _labels(self, y, n_texts):
        return super()._labels(np.resize(y, n_texts), n_texts)


@caught_by("check_y_of_two_columns_refused", "check_y_column_warns")
class TakesTheFirstColumnOfLabels(Bayes):
    def _labels(self, y, n_texts):
        if getattr(y, "ndim", 1) == 2:
            y = y[:, 0]
        return super()._labels(y, n_texts)


@caught_by("check_y_continuous_refused")
class RoundsLabels(Bayes):
    def _labels(self, y, n_texts):
        if getattr(y, "dtype", np.dtype(int)).kind == "f":
            y = np.round(y).astype(int)
        return super()._labels(y, n_texts)


@caught_by("check_y_of_mixed_types_refused")
class LabelsOfMixedTypes(Bayes):
    def _labels(self, y, n_texts):
        if np.asarray(y).dtype.kind == "O":
            y = np.array([str(label) for label in y])
        return super()._labels(y, n_texts)


@caught_by("check_pickle", "check_joblib", "check_deepcopy")
class PickleLosesState(Bayes):
    def __getstate__(self):
        state = dict(super().__getstate__())
        state.pop("log_shares_", None)
        return state


@caught_by("check_pickle")
class PickleRounds(Words):
    def __getstate__(self):
        state = dict(super().__getstate__())
        if "vocabulary_" in state:
            state["vocabulary_"] = state["vocabulary_"][::-1]
        return state


@caught_by("check_save_load")
class SaveForgetsTheOrder(Words):
    def save(self, path):
        path.write_text(" ".join(self.vocabulary_[::-1]))

    @classmethod
    def load(cls, path):
        loaded = cls()
        loaded.vocabulary_ = path.read_text().split()
        return loaded


@caught_by("check_pickle_unfitted")
class PickleForgetsParameters(Bayes):
    def __getstate__(self):
        return {**super().__getstate__(), "max_epochs": 7}


@caught_by("check_clone_of_fitted_is_unfitted")
class CloneKeepsWeights(Bayes):
    def __sklearn_clone__(self):
        return copy.deepcopy(self)


@caught_by("check_clone_of_fitted_is_unfitted")
class CloneKeepsWeightsInAParameter(Bayes):
    def _keep(self, **learned):
        super()._keep(**learned)
        self.smoothing = self.smoothing * 1.5


@caught_by("check_silent")
class Prints(Bayes):
    def _step(self):
        print("step")


@caught_by("check_interrupt_in_data")
class SwallowsInterruptsInData(Bayes):
    def fit(self, X, y, sample_weight=None, X_val=None, y_val=None):
        try:
            return super().fit(X, y, sample_weight, X_val, y_val)
        except KeyboardInterrupt:
            return self


@caught_by("check_interrupt_in_training")
class SwallowsInterruptsInTraining(Bayes):
    def _step(self):
        try:
            super()._step()
        except KeyboardInterrupt:
            self.stopped_ = True


@caught_by("check_interrupt_in_training", "check_error_in_training")
class SetsAttributesBeforeTraining(Bayes):
    def _classes(self, y):
        self.classes_ = super()._classes(y)
        self.log_shares_ = np.zeros((len(self.classes_), 1))
        self.prior_ = np.zeros(len(self.classes_))
        self.vocabulary_ = ["a"]
        return self.classes_


@caught_by("check_failed_fit_keeps_the_earlier_one", "check_interrupt_in_data")
class ForgetsBeforeItChecks(Bayes):
    def fit(self, X, y, sample_weight=None, X_val=None, y_val=None):
        if hasattr(self, "prior_"):
            self.prior_ = self.prior_ * 0
        return super().fit(X, y, sample_weight, X_val, y_val)


@caught_by("check_failed_target_keeps_the_earlier_fit", raising=IndexError)
class ForgetsBeforeItChecksLabels(Bayes):
    def _classes(self, y):
        self.classes_ = np.unique(y)
        return super()._classes(y)


@caught_by("check_fit_returns_self")
class FitReturnsNone(Bayes):
    def fit(self, X, y, sample_weight=None, X_val=None, y_val=None):
        super().fit(X, y, sample_weight, X_val, y_val)


@caught_by("check_fit_returns_self")
class FitReturnsAClone(Words):
    def fit(self, X, y=None):
        super().fit(X, y)
        return clone(self)


@caught_by("check_fit_score_takes_y")
class FitTakesNoY(Words):
    def fit(self, X):
        return super().fit(X)


@caught_by("check_not_fitted_before_fit", "check_clone_of_fitted_is_unfitted")
class TransformsBeforeFit(Words):
    def transform(self, X):
        texts = self._texts(X)
        return (
            np.zeros((len(texts), 1))
            if not vars(self).get("vocabulary_")
            else (self._shares(texts))
        )


@caught_by("check_not_fitted_before_fit")
class AttributeErrorBeforeFit(Bayes):
    def predict(self, X):
        return self.classes_[self._scores(X).argmax(axis=1)]


@caught_by("check_is_fitted_after_fit")
class AlwaysFitted(Words):
    def __sklearn_is_fitted__(self):
        return True


@caught_by("check_feature_names_out")
class OneNameTooMany(Words):
    def get_feature_names_out(self, input_features=None):
        return np.append(super().get_feature_names_out(), "rest").astype(object)


@caught_by("check_feature_names_out")
class NamesAreEqual(Words):
    def get_feature_names_out(self, input_features=None):
        return np.full_like(super().get_feature_names_out(), "word")


@caught_by("check_feature_names_out_before_fit")
class NamesBeforeFit(Words):
    def get_feature_names_out(self, input_features=None):
        return np.array(getattr(self, "vocabulary_", []), dtype=object)


@caught_by(
    "check_set_output_pandas", "check_set_output_polars", "check_global_output_pandas"
)
class IgnoresSetOutput(Words, auto_wrap_output_keys=None):
    def set_output(self, *, transform=None):
        return self


@caught_by("check_set_output_pandas")
class LosesTheIndex(Words):
    def transform(self, X):
        return super().transform(list(check_texts(X)))


@caught_by("check_fit_transform")
class FitTransformDiffers(Words):
    def fit_transform(self, X, y=None):
        return self.fit(X, y).transform(X) * 2


@caught_by("check_transform_shape")
class TransformGivesInts(Words):
    def transform(self, X):
        return (super().transform(X) > 0).astype(int)


@caught_by("check_transform_shape")
class WidthOfTheBatch(Words):
    def transform(self, X):
        features = super().transform(X)
        return features[:, features.any(axis=0)]


@caught_by("check_tags_say_text")
class DishonestTags(Bayes):
    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = True
        return tags


@caught_by("check_fit_sets_fitted_attributes_only")
class AttributeWithoutUnderscore(Bayes):
    def _keep(self, **learned):
        super()._keep(**learned)
        self.n_words = len(self.vocabulary_)


@caught_by("check_parameters_are_validated")
class ValidatesNothing(Bayes):
    def _validate_params(self):
        pass


@caught_by("check_n_iter")
class CountsAsFloat(Bayes):
    def _keep(self, **learned):
        super()._keep(**{**learned, "n_iter_": float(learned["n_iter_"])})


@caught_by("check_learns")
class ShiftsLabels(Bayes):
    def _learn(self, texts, y, weights, classes, validation):
        return super()._learn(texts, np.roll(y, 1), weights, classes, validation)


@caught_by("check_validation_data_is_only_scored")
class LearnsFromValidationData(Bayes):
    def _learn(self, texts, y, weights, classes, validation):
        if validation is not None:
            texts = [*texts, *validation[0]]
            y = np.append(y, classes[validation[1]])
            weights = np.append(weights, np.ones(len(validation[0])))
        return super()._learn(texts, y, weights, classes, validation)


@caught_by(
    "check_validation_data_comes_in_pairs",
    "check_validation_lengths_refused",
    "check_validation_texts_are_checked",
)
class IgnoresValidationData(Bayes):
    def _validation(self, X_val, y_val, classes):
        return None


@caught_by("check_validation_unseen_label_refused")
class TakesUnseenLabels(Bayes):
    def _validation(self, X_val, y_val, classes):
        if X_val is None or y_val is None:
            return super()._validation(X_val, y_val, classes)
        known = np.where(np.isin(y_val, classes), y_val, classes[0])
        return super()._validation(X_val, known, classes)


@caught_by("check_pipeline_consistency", "check_grid_search")
class CountsItsInstances(Bayes):
    made = 0

    def _learn(self, texts, y, weights, classes, validation):
        type(self).made += 1
        learned = super()._learn(texts, y, weights, classes, validation)
        return {**learned, "prior_": learned["prior_"] * type(self).made}


@caught_by("check_validation_data_is_not_changed")
class SortsValidationLabels(Bayes):
    def _validation(self, X_val, y_val, classes):
        validation = super()._validation(X_val, y_val, classes)
        if y_val is not None:
            y_val.sort()
        return validation


@caught_by("check_scalars_refused")
class TakesAScalar(Words):
    def _texts(self, X, name="X"):
        return [str(X)] if isinstance(X, float) else super()._texts(X, name)


@caught_by("check_three_dimensions_refused")
class Ravels(Words):
    def _texts(self, X, name="X"):
        return super()._texts(X.ravel() if isinstance(X, np.ndarray) else X, name)


@caught_by("check_tuple", raising=TypeError)
class TakesNoTuple(Words):
    def _texts(self, X, name="X"):
        return super()._texts({} if isinstance(X, tuple) else X, name)


@caught_by("check_polars_series", "check_polars_frame")
class ReversesPolars(Bayes):
    def _texts(self, X, name="X"):
        texts = super()._texts(X, name)
        return texts[::-1] if type(X).__module__.startswith("polars") else texts


@caught_by("check_fixed_width_array")
class CutsFixedWidths(Words):
    def _texts(self, X, name="X"):
        if isinstance(X, np.ndarray) and X.dtype.kind == "U":
            X = X.astype("<U8")
        return super()._texts(X, name)


@caught_by("check_read_only_array", raising=ValueError)
class WritesIntoX(Words):
    def _texts(self, X, name="X"):
        if isinstance(X, np.ndarray):
            X[0] = X[0]
        return super()._texts(X, name)


@caught_by("check_strided_array")
class ReadsTheBuffer(Words):
    def _texts(self, X, name="X"):
        if isinstance(X, np.ndarray) and X.base is not None and X.ndim == 1:
            X = X.base[: len(X)]
        return super()._texts(X, name)


@caught_by("check_labels_categorical")
class LearnsTheCodes(Bayes):
    def _labels(self, y, n_texts):
        y = y.cat.codes.to_numpy() if hasattr(y, "cat") else y
        return super()._labels(y, n_texts)


@caught_by("check_weights_list", raising=TypeError)
class WantsAnArrayOfWeights(Bayes):
    def _weights(self, sample_weight, texts, y):
        weights = super()._weights(sample_weight, texts, y)
        return weights if sample_weight is None else sample_weight * 1.0


@caught_by("check_threads")
class SharesABuffer(Words):
    def _shares(self, texts):
        self._buffer = super()._shares(texts)
        time.sleep(0.01)
        return self._buffer


@caught_by("check_routing_requests_survive_clone")
class CloneForgetsRequests(Bayes):
    def __sklearn_clone__(self):
        return type(self)(**self.get_params())


def _kind(array):
    return getattr(getattr(array, "dtype", None), "kind", "")


@caught_by("check_object_array")
class CutsObjects(Words):
    def _texts(self, X, name="X"):
        texts = super()._texts(X, name)
        return [text[:8] for text in texts] if _kind(X) == "O" else texts


@caught_by("check_string_dtype_array")
class CutsVariableWidths(Words):
    def _texts(self, X, name="X"):
        texts = super()._texts(X, name)
        return [text[:8] for text in texts] if _kind(X) == "T" else texts


@caught_by("check_column_transformer")
class CutsPandas(Words):
    def _texts(self, X, name="X"):
        texts = super()._texts(X, name)
        is_pandas = type(X).__module__.startswith("pandas")
        return [text[:8] for text in texts] if is_pandas else texts


@caught_by("check_column_array")
class SortsColumns(Words):
    def _texts(self, X, name="X"):
        if isinstance(X, np.ndarray) and X.ndim == 2:
            X = np.sort(X, axis=0)
        return super()._texts(X, name)


@caught_by("check_pandas_string_series")
class SortsStringsByIndex(Words):
    def _texts(self, X, name="X"):
        is_string = str(getattr(X, "dtype", None)) == "string"
        return super()._texts(X.sort_index() if is_string else X, name)


@caught_by("check_special_token_texts")
class DropsSpecialTokens(Words):
    def _texts(self, X, name="X"):
        texts = super()._texts(X, name)
        return [text for text in texts if not text.startswith(("[", "<"))]


@caught_by("check_labels_object")
class CutsLabels(Bayes):
    def _labels(self, y, n_texts):
        y = y.astype("<U4") if _kind(y) == "O" else y
        return super()._labels(y, n_texts)


@caught_by("check_cross_val_score")
class ScoresNothing(Bayes):
    def score(self, X, y, sample_weight=None):
        return np.nan


@caught_by("check_set_output_default")
class AlwaysGivesFrames(Words):
    def transform(self, X):
        import pandas as pd

        return pd.DataFrame(super().transform(X), columns=self.vocabulary_)


@caught_by("check_feature_union", raising=TypeError)
class TakesNoInputFeatures(Words):
    def get_feature_names_out(self):
        return super().get_feature_names_out()


@caught_by("check_weights_int")
class ScalesIntWeightsAsInts(Bayes):
    def _weights(self, sample_weight, texts, y):
        weights = super()._weights(sample_weight, texts, y)
        return np.ceil(weights / 2) if _kind(sample_weight) == "i" else weights


@caught_by("check_routing_declined_is_dropped", "check_routing_unrequested_raises")
class AsksForWeightsAnyway(Bayes):
    def get_metadata_routing(self):
        requests = super().get_metadata_routing()
        requests.fit.add_request(param="sample_weight", alias=True)
        return requests


@pytest.mark.parametrize(
    ("broken", "name", "raising"),
    [
        pytest.param(*bug, marks=needs_numpy_2 if "string_dtype" in bug[1] else ())
        for bug in BUGS
    ],
    ids=[f"{broken.__name__}-{name}" for broken, name, _ in BUGS],
)
def test_planted_bug_is_caught(broken, name, raising):
    estimator = broken()
    check = {check.__name__: check for _, check in text_checks(estimator)}[name]
    with pytest.raises(raising):
        check(estimator)


def test_every_check_catches_a_planted_bug():
    applied = {check for good in (Words(), Bayes()) for _, check in text_checks(good)}
    names = {check.__name__ for check in applied.difference(_official.CHECKS)}
    assert names <= {name for _, name, _ in BUGS}


def test_check_text_estimator_names_the_failed_check():
    with pytest.raises(AssertionError, match="Prints fails check_silent: "):
        check_text_estimator(Prints())


@pytest.fixture(autouse=True)
def restored():
    """Restore the process state that the planted bugs change."""
    threads = torch.get_num_threads()
    state = np.random.get_state()
    with torch.random.fork_rng(devices=[]):
        yield
    np.random.set_state(state)
    torch.set_num_threads(threads)
    os.environ.pop("SKLEARN_ATTNFT_PLANTED", None)
