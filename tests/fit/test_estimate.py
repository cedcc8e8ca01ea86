"""Compare `estimate_fit` with the fits that it estimates."""

import dataclasses
import math
import pickle

import numpy as np
import pytest
import tiny
import torch
from sklearn.exceptions import NotFittedError
from skorch.callbacks import Callback

from sklearn_attnft import (
    AttentionFineTuneClassifier,
    MultiTaskClassifier,
    TransformerFeatureExtractor,
)
from sklearn_attnft._training import _loop

X = ["good day", "bad dog", "lovely night", "awful rain on me", "fine", "sad cat"] * 5
Y = ["good", "bad"] * 15
MORE = ["the red bird and the black fish", "we love the sun ! ! !"] * 6


@pytest.fixture
def count(monkeypatch):
    """Count the steps and tokens of each stage that are trained on."""
    counts = {}
    step = _loop._Net.train_step_single

    def counting(net, batch, **params):
        name = net.context.progress.stage.name
        n_steps, n_tokens = counts.get(name, (0, 0))
        n_tokens += sum(int(b.attention_mask.sum()) for b, _ in batch[0].parts)
        counts[name] = n_steps + 1, n_tokens
        return step(net, batch, **params)

    monkeypatch.setattr(_loop._Net, "train_step_single", counting)
    return counts


def classifier(small, **parameters):
    return AttentionFineTuneClassifier(**{**small, **parameters})


@pytest.mark.filterwarnings("ignore:.*longer than max_length")
@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"lm_epochs": 2, "head": "lstm"},
        {"lm_weight": 0.5},
        {"trainable_layers": 0},
        {"trainable_layers": 1, "micro_batch_size": 3},
        {"early_stopping": True, "validation_fraction": 0.3, "n_iter_no_change": 9},
        {"max_length": 4, "long_texts": "window", "trainable_layers": 1},
        {"max_length": 4},
        {"gradual_unfreezing": True},
        {"contrastive_epochs": 2, "trainable_layers": 0},
    ],
)
@pytest.mark.filterwarnings("ignore:`X_unlabeled` is ignored")
def test_steps_and_tokens_equal_those_of_the_fit(small, parameters, count):
    clf = classifier(small, **parameters)
    estimate = clf.estimate_fit(X, Y, X_unlabeled=MORE)
    count.clear()
    clf.fit(X, Y, X_unlabeled=MORE)
    said = {stage.name: (stage.n_steps, stage.n_tokens) for stage in estimate.stages}
    assert said == count
    assert estimate.n_steps == sum(n_steps for n_steps, _ in count.values())
    assert estimate.n_tokens == sum(n_tokens for _, n_tokens in count.values())
    epochs = [row["stage"] for row in clf.history_]
    for stage in estimate.stages[-1:]:
        assert stage.n_epochs == epochs.count(stage.name)
    # Steps that are equally long in another order, of which one more is timed.
    longer = [len(text.split()) + 2 > clf.max_length for text in X]
    if not clf.early_stopping:
        is_truncated = clf.long_texts == "truncate"
        assert estimate.truncated_fraction == is_truncated * np.mean(longer)


@pytest.mark.parametrize("parameters", [{}, {"lm_epochs": 1, "trainable_layers": 1}])
def test_estimates_have_a_plausible_size(small, parameters):
    estimate = classifier(small, **parameters).estimate_fit(X, Y, X_val=X, y_val=Y)
    seconds = [stage.seconds for stage in estimate.stages]
    assert all(0 < each < 60 for each in seconds)
    assert math.isclose(estimate.seconds, estimate.preparation_seconds + sum(seconds))
    encoder = sum(w.nbytes for w in classifier(small).fit(X, Y).module_.parameters())
    assert all(encoder < stage.peak_bytes < 100 * encoder for stage in estimate.stages)
    assert estimate.peak_bytes == max(stage.peak_bytes for stage in estimate.stages)
    assert estimate.device in ("cpu", "cuda")


def test_memory_grows_with_trained_weights_and_batch_size(small):
    def peak(**parameters):
        return classifier(small, **parameters).estimate_fit(X * 3, Y * 3).peak_bytes

    head, all_of_it = peak(trainable_layers=0), peak(trainable_layers="all")
    weights = sum(
        w.nbytes for w in classifier(small).fit(X, Y).module_.encoder.parameters()
    )
    assert all_of_it - head > 2.5 * weights  # gradients and two moments
    assert peak(batch_size=64) > peak(batch_size=4)
    assert peak(batch_size=64, micro_batch_size=4) < peak(batch_size=64)
    more = peak(early_stopping=True, validation_fraction=0.5) - peak()
    assert more > 0.5 * weights  # the weights of the best epoch


def test_the_estimator_does_not_change(small):
    clf = classifier(small, random_state=np.random.RandomState(3), lm_epochs=1)
    before = pickle.dumps(clf)
    with torch.random.fork_rng():
        torch.manual_seed(5)
        np.random.seed(5)
        states = torch.get_rng_state(), pickle.dumps(np.random.get_state())
        clf.estimate_fit(X, Y)
        assert torch.equal(torch.get_rng_state(), states[0])
        assert pickle.dumps(np.random.get_state()) == states[1]
    assert pickle.dumps(clf) == before
    with pytest.raises(NotFittedError):
        clf.predict(X)


def test_a_fitted_estimator_does_not_change(small):
    clf = classifier(small).fit(X, Y)
    before = clf.predict_proba(X)
    clf.estimate_fit(X[:10], Y[:10])
    np.testing.assert_array_equal(clf.predict_proba(X), before)
    assert clf.n_samples_fit_ == len(X)


def test_estimate_does_not_write_files_or_call_callbacks(small, tmp_path, capfd):
    class Never(Callback):
        def initialize(self):
            raise AssertionError("a callback was called")

    clf = classifier(
        small,
        lm_epochs=1,
        verbose=2,
        callbacks=[Never()],
        cache=tmp_path,
        checkpoint_dir=tmp_path / "checkpoint",
        max_length=4,  # truncates; reported in the estimate, not in a warning
    )
    assert clf.estimate_fit(X, Y).truncated_fraction > 0
    assert not list(tmp_path.iterdir())
    assert capfd.readouterr() == ("", "")


def test_estimate_raises_the_errors_of_fit(small):
    with pytest.raises(ValueError, match=r"`X` must be .* got a single str"):
        classifier(small).estimate_fit("good day", Y)
    with pytest.raises(ValueError, match="max_epochs"):
        classifier(small, max_epochs=0).estimate_fit(X, Y)
    with pytest.raises(ValueError, match="must be at most 2"):
        classifier(small, trainable_layers=3).estimate_fit(X, Y)


def test_estimate_is_readable_and_immutable(small):
    estimate = classifier(small, lm_epochs=2, max_length=4).estimate_fit(X, Y)
    lines = repr(estimate).splitlines()
    assert lines[0].startswith("A fit on ")
    assert "16.7% of the texts are truncated" in lines[1]
    assert lines[2].strip().startswith("loading and tokenizing: ")
    assert "language model head: 1 epoch, 2 steps, 131 tokens" in lines[3]
    assert "classifier: 3 epochs, 12 steps" in lines[5]
    assert str(estimate) == repr(estimate)
    with pytest.raises(dataclasses.FrozenInstanceError):
        estimate.device = "another"


def test_few_steps_do_not_warn_of_a_single_class(small):
    # Almost all labels are of one class, so the predicted class is always the same.
    classifier(small).estimate_fit(X * 4, ["good"] * 119 + ["bad"])


def test_too_little_memory_for_a_step(small, monkeypatch):
    step = _loop._Net.train_step_single

    def scarce(net, batch, **params):
        if net.config.micro_batch_size is None:
            raise MemoryError
        return step(net, batch, **params)

    monkeypatch.setattr(_loop._Net, "train_step_single", scarce)
    with pytest.warns(UserWarning, match="micro_batch_size=4"):
        estimate = classifier(small).estimate_fit(X, Y)
    assert [stage.name for stage in estimate.stages] == ["classifier"]
    assert estimate.n_steps == 12


def test_several_tasks(small, count):
    clf = MultiTaskClassifier(classifier(small, lm_epochs=1))
    y = [[label, None if i % 3 else label] for i, label in enumerate(Y)]
    estimate = clf.estimate_fit(X, y, X_unlabeled=MORE)
    count.clear()
    clf.fit(X, y, X_unlabeled=MORE)
    said = {stage.name: (stage.n_steps, stage.n_tokens) for stage in estimate.stages}
    assert said == count


def test_extractor(count):
    extractor = TransformerFeatureExtractor(
        tiny.ENCODER, max_length=32, lm_epochs=2, random_state=0
    )
    estimate = extractor.estimate_fit(X)
    count.clear()
    extractor.fit(X)
    said = {stage.name: (stage.n_steps, stage.n_tokens) for stage in estimate.stages}
    assert said == count
    none = extractor.set_params(lm_epochs=0).estimate_fit(X)
    assert (none.stages, none.n_steps, none.peak_bytes) == ((), 0, 0)
    assert 0 < none.seconds == none.preparation_seconds
