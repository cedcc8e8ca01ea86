"""Test score_samples: the densities of the context vectors and their estimate."""

import pickle

import numpy as np
import pytest
import tiny
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.pipeline import make_pipeline

from sklearn_attnft import AttentionFineTuneClassifier, MultiTaskClassifier
from sklearn_attnft._fit._density import TEXTS_PER_CLASS, estimate, sample
from sklearn_attnft._model._density import ClassGaussians

X = ["good day", "bad dog", "lovely night", "awful rain", "fine man", "sad cat"] * 4
Y = np.array(["nice", "sad"] * 12)
TAGS = [{"a"}, {"a", "b"}, set()] * 8


def classifier(**parameters):
    parameters = {"max_epochs": 2, "random_state": 0, "max_length": 64, **parameters}
    return AttentionFineTuneClassifier(tiny.ENCODER, **parameters)


def relative_distances(contexts, means, fractions, covariance):
    """Return the scores by their definition."""
    center = fractions @ means
    centered = means - center
    total = covariance + centered.T @ np.diag(fractions) @ centered

    def squared(mean, matrix):
        difference = contexts - mean
        return (difference @ np.linalg.inv(matrix) * difference).sum(axis=1)

    nearest = np.min([squared(mean, covariance) for mean in means], axis=0)
    return squared(center, total) - nearest


@given(st.integers(0, 999), st.integers(2, 5), st.integers(1, 6))
def test_scores_are_the_difference_of_two_distances(seed, n_classes, n_context):
    rng = np.random.default_rng(seed)
    means = rng.normal(size=(n_classes, n_context))
    fractions = rng.dirichlet(np.full(n_classes, 5))
    root = rng.normal(size=(n_context, n_context))
    covariance = root @ root.T + np.eye(n_context)
    contexts = rng.normal(size=(7, n_context)) * 3
    density = ClassGaussians(n_classes, n_context)
    values = np.arange(n_classes), means, fractions, covariance
    density.set(*map(torch.from_numpy, values))
    actual = density.score(torch.from_numpy(contexts)).numpy()
    expected = relative_distances(contexts, means, fractions, covariance)
    np.testing.assert_allclose(actual, expected, rtol=1e-3, atol=1e-3)


def test_classes_of_equal_texts_have_scores():
    clf = classifier().fit(["good"] * 8, ["nice", "sad"] * 4)
    np.testing.assert_allclose(clf.score_samples(["good"]), [0], atol=1e-3)


def test_texts_far_from_all_classes_have_low_scores():
    rng = np.random.default_rng(0)
    labels = np.arange(300) % 3
    contexts = rng.normal(size=(300, 5)) + 6 * np.eye(5)[labels]
    means, covariance = estimate(contexts, labels, np.ones(300))
    density = ClassGaussians(3, 5)
    values = np.arange(3), means, np.ones(3) / 3, covariance
    density.set(*map(torch.from_numpy, values))
    known = density.score(torch.from_numpy(contexts))
    unknown = density.score(torch.from_numpy(rng.normal(size=(50, 5))))
    assert np.quantile(known, 0.05) > max(unknown)


def test_a_weight_of_two_counts_like_two_texts():
    rng = np.random.default_rng(0)
    contexts, labels = rng.normal(size=(40, 3)), np.arange(40) % 2
    twice = np.r_[np.arange(40), np.arange(10)]
    weights = np.ones(40)
    weights[:10] = 2
    means, _ = estimate(contexts, labels, weights)
    expected, _ = estimate(contexts[twice], labels[twice], np.ones(50))
    np.testing.assert_allclose(means, expected)


@pytest.mark.parametrize("n_per_class", [1, 2])
def test_the_covariance_of_few_texts_is_invertible(n_per_class):
    labels = np.repeat(np.arange(3), n_per_class)
    contexts = np.random.default_rng(0).normal(size=(len(labels), 20))
    _, covariance = estimate(contexts, labels, np.ones(len(labels)))
    assert np.linalg.eigvalsh(covariance).min() > 0


class Labeled:
    """Labels and weights like those of a LabeledDataset."""

    def __init__(self, labels, weights=None):
        self.labels = (labels,)
        self.weights = np.ones((len(labels), 1)) if weights is None else weights

    def __len__(self):
        return len(self.weights)


def test_the_sample_has_texts_of_each_class():
    labels = np.zeros(5000, dtype=int)
    labels[[7, 4000, 4001, 4002]] = [1, 2, 2, 2]
    rows = sample(Labeled(labels), [0], n_epochs=3, seed=0)
    assert len(rows) == 3 * 5000 // 8
    assert (np.diff(rows) > 0).all()
    counts = np.bincount(labels[rows])
    assert counts[1] == 1
    assert counts[2] >= TEXTS_PER_CLASS


def test_small_data_sets_are_used_completely():
    assert len(sample(Labeled(np.arange(200) % 2), [0], 1, 0)) == 200


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"trainable_layers": 0},
        {"lm_weight": 0.1},
        {"pooling": "concat", "head": "mlp"},
        {"long_texts": "window", "max_length": 5},
        {"class_weight": "balanced"},
    ],
)
def test_training_texts_have_higher_scores_than_other_texts(parameters):
    model = classifier(**parameters).fit(X, Y)
    scores = model.score_samples(X)
    assert scores.shape == (24,)
    assert scores.dtype == np.float64
    assert np.isfinite(scores).all()
    other = model.score_samples(["star sun fly", "red bird ! ?", "who why where"])
    assert scores.mean() > other.mean()


def test_scores_survive_clones_pickles_directories_and_pipelines(tmp_path):
    model = classifier().fit(X, Y)
    expected = model.score_samples(X)
    loaded = [
        pickle.loads(pickle.dumps(model)),
        AttentionFineTuneClassifier.load(model.save(tmp_path / "model")),
        make_pipeline(clone(model)).fit(X, Y),
    ]
    for each in loaded:
        np.testing.assert_array_equal(each.score_samples(X), expected)


def test_views_of_tasks_have_scores():
    y = {"topic": Y, "mood": np.array(["up", "down", None] * 8, object), "tags": TAGS}
    model = MultiTaskClassifier(classifier()).fit(X, y)
    for name in ("topic", "mood"):
        assert np.isfinite(model.task(name).score_samples(X)).all()
    with pytest.raises(
        AttributeError, match="not available if a text can have several"
    ):
        model.task("tags").score_samples(X)


def test_a_class_of_weight_0_is_ignored():
    y = np.array(["nice", "sad", "none"] * 8)
    weight = {"nice": 1, "sad": 1, "none": 0}
    model = classifier(class_weight=weight).fit(X, y)
    scores = model.score_samples(X)
    assert np.isfinite(scores).all()
    assert 0 < np.abs(scores).max() < 1e6  # the class has a distance of 1e30


def test_too_many_classes_have_no_density():
    assert ClassGaussians.fits(150, 384)
    assert ClassGaussians.fits(400, 768)
    assert not ClassGaussians.fits(2000, 384)


def test_scores_do_not_change_the_probabilities_of_a_fit(monkeypatch):
    model = classifier().fit(X, Y)
    monkeypatch.setattr(
        "sklearn_attnft._fit._classification_stage.fit_densities", lambda *args: None
    )
    other = classifier().fit(X, Y)
    np.testing.assert_array_equal(model.predict_proba(X), other.predict_proba(X))
    with pytest.raises(AttributeError):
        other.score_samples(X)
