"""What holds on a GPU: ``pytest -m gpu``, where there is one."""

import pickle

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

from sklearn_attnft import (
    AttentionFineTuneClassifier,
    MultiTaskClassifier,
    TransformerFeatureExtractor,
)

pytestmark = pytest.mark.gpu
DEVICE = "cuda"
X = ["good day", "bad dog", "lovely night", "awful rain", "fine man", "sad cat"] * 6
Y = ["good", "bad"] * 18
SETTINGS = [
    {},
    {"head": "lstm"},
    {"lm_epochs": 1},
    {"lm_weight": 0.1},
    {"contrastive_epochs": 1},
    {"trainable_layers": 0},
]


def fitted(small, **params):
    params = {**small, "max_epochs": 6, "device": DEVICE, **params}
    return AttentionFineTuneClassifier(**params).fit(X, Y)


@pytest.mark.parametrize(("precision", "most"), [("float32", 1e-4), ("bfloat16", 1e-2)])
def test_features_are_those_of_the_cpu(small, precision, most):
    extractor = TransformerFeatureExtractor(
        small["encoder"], max_length=32, precision="float32"
    )
    expected = clone(extractor).set_params(device="cpu").fit(X).transform(X)
    params = {"device": DEVICE, "precision": precision}
    found = clone(extractor).set_params(**params).fit(X).transform(X)
    errors = np.linalg.norm(found - expected, axis=1)
    assert (errors <= most * np.linalg.norm(expected, axis=1)).all()


@pytest.mark.parametrize("params", SETTINGS, ids=str)
def test_a_fit_learns_and_can_be_repeated(small, params):
    first, second = (fitted(small, **params) for _ in range(2))
    np.testing.assert_array_equal(first.predict_proba(X), second.predict_proba(X))
    assert first.score(X, Y) > 0.9 or params == {"trainable_layers": 0}


def test_what_was_fitted_there_predicts_elsewhere(small):
    clf = fitted(small)
    moved = pickle.loads(pickle.dumps(clf)).set_params(device="cpu")
    expected = clf.predict_proba(X)
    np.testing.assert_allclose(moved.predict_proba(X), expected, atol=1e-2)


def test_the_generators_of_the_user_stay(small):
    before = torch.cuda.get_rng_state()
    fitted(small, dropout=0.2)
    assert torch.equal(torch.cuda.get_rng_state(), before)


def test_several_label_sets(small):
    params = {**small, "max_epochs": 6, "device": DEVICE}
    template = AttentionFineTuneClassifier(**params)
    labels = np.array([Y, Y[::-1]], dtype=object).T
    labels[::3, 1] = None
    clf = MultiTaskClassifier(template).fit(X, labels)
    assert clf.task(0).score(X, Y) > 0.9


def test_a_batch_does_not_change_its_texts(small):
    clf = fitted(small, head="lstm", precision="float32")
    together = clf.predict_proba([*X, "good " * 30])[: len(X)]
    alone = np.concatenate([clf.predict_proba([text]) for text in X])
    np.testing.assert_allclose(together, alone, atol=1e-5)


def test_workers_take_turns_and_come_to_the_same(small):
    clf = AttentionFineTuneClassifier(**small, device=DEVICE)
    scores = [
        GridSearchCV(
            clone(clf), {"pooling": ["mean", "max"]}, cv=2, n_jobs=n_jobs, refit=False
        )
        .fit(X, Y)
        .cv_results_["mean_test_score"]
        for n_jobs in (None, 2)
    ]
    np.testing.assert_array_equal(*scores)
