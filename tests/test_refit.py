"""A prediction that runs during a refit is that of the old fit or of the new one."""

import contextlib
import copy
import gc
import itertools
import pickle
import sys
import threading
import weakref

import numpy as np
import pandas as pd
import pytest
import sklearn
import tiny

from sklearn_attnft import (
    AttentionFineTuneClassifier,
    MultiTaskClassifier,
    TransformerFeatureExtractor,
)
from sklearn_attnft.displays import AttentionDisplay, LayerAttentionDisplay

X = ["good day", "bad dog", "lovely night", "awful rain", "good man", "sad"] * 2
TWO, THREE = ["good", "bad"] * 6, ["a", "b", "c"] * 4
SMALL = {
    "max_length": 32,
    "max_epochs": 1,
    "trainable_layers": 0,
    "random_state": 0,
    "precision": "float32",
}


def classifier(**params):
    return AttentionFineTuneClassifier(tiny.ENCODER, **SMALL, **params)


def several(**params):
    return MultiTaskClassifier(classifier(**params))


def two_classifiers():
    return (
        classifier().fit(X, TWO),
        classifier(pooling="concat", layers="last").fit(X, THREE),
    )


def two_of_several_tasks():
    names = pd.DataFrame({"mood": TWO, "kind": THREE})
    tags = {"kind": TWO, "tags": [{"x"}, {"x", "y"}, set()] * 4}
    return several().fit(X, names), several(pooling="concat").fit(X, tags)


def two_extractors():
    one = TransformerFeatureExtractor(tiny.ENCODER, max_length=32)
    return one.fit(X), sklearn.clone(one).set_params(pooling="concat").fit(X)


PAIRS = {
    "classifier": two_classifiers,
    "tasks": two_of_several_tasks,
    "extractor": two_extractors,
}
READS = {
    "predict": lambda clf: clf.predict(X),
    "predict_proba": lambda clf: clf.predict_proba(X),
    "predict_log_proba": lambda clf: clf.predict_log_proba(X),
    "decision_function": lambda clf: clf.decision_function(X),
    "transform": lambda clf: clf.transform(X),
    "frame": lambda clf: clf.set_output(transform="pandas").transform(X),
    "explain": lambda clf: clf.explain(X, attribution="gradient", target="bad"),
    "words": lambda clf: clf.explain(X, words=True),
    "faithfulness": lambda clf: clf.faithfulness(X, random_state=0, n_random=1),
    "score": lambda clf: clf.score(X, TWO),
    "headings": lambda clf: AttentionDisplay.from_estimator(clf, X).headings,
}
OF_TASKS = {
    "score": lambda clf: clf.score(X, pd.DataFrame({"mood": TWO, "kind": THREE})),
    "scorer": lambda clf: clf.task_scorer("mood", "f1_macro")(
        clf, X, pd.DataFrame({"mood": TWO, "kind": THREE})
    ),
}
NOT_OF_TASKS = {"explain", "words", "faithfulness", "headings"}
CASES = [
    *(("classifier", name, read) for name, read in READS.items()),
    *(
        ("tasks", name, read)
        for name, read in (READS | OF_TASKS).items()
        if name not in NOT_OF_TASKS
    ),
    *(("extractor", name, READS[name]) for name in ("transform", "frame")),
]


@contextlib.contextmanager
def refitted_meanwhile(estimator, other):
    """Give an estimator the fit of another when its encoder runs."""

    def refit(module, args):
        vars(estimator).update(vars(other))

    hook = estimator.module_.encoder.register_forward_pre_hook(refit)
    yield
    hook.remove()


@pytest.mark.parametrize(
    ("kind", "name", "read"), CASES, ids=[f"{kind}-{name}" for kind, name, _ in CASES]
)
def test_a_read_is_of_one_fit(kind, name, read):
    one, other = PAIRS[kind]()
    expected = read(one)
    with refitted_meanwhile(one, other):
        found = read(one)
    assert one.module_ is other.module_
    if isinstance(expected, pd.DataFrame):
        pd.testing.assert_frame_equal(found, expected)
    else:
        np.testing.assert_equal(found, expected)


@pytest.mark.parametrize("kind", PAIRS)
@pytest.mark.parametrize(
    "keep",
    [
        lambda clf, path: pickle.loads(pickle.dumps(clf)),
        lambda clf, path: copy.copy(clf),
        lambda clf, path: copy.deepcopy(clf),
        lambda clf, path: type(clf).load(clf.save(path / "saved")),
    ],
    ids=["pickle", "copy", "deepcopy", "save"],
)
def test_a_copy_is_of_one_fit(kind, keep, tmp_path, monkeypatch):
    one, other = PAIRS[kind]()
    expected = one.transform(X)
    original = type(one.module_).state_dict

    def state_dict(self, *args, **kwargs):
        vars(one).update(vars(other))
        return original(self, *args, **kwargs)

    monkeypatch.setattr(type(one.module_), "state_dict", state_dict)
    kept = keep(one, tmp_path)
    monkeypatch.undo()
    np.testing.assert_array_equal(kept.transform(X), expected)


def test_a_refit_changes_all_attributes_at_once():
    # Freeing the old module runs other code, as a switch of threads would.
    clf, seen = classifier().fit(X, TWO), []

    def look():
        seen.append((clf.module_.tasks[0].classify[1].out_features, len(clf.classes_)))

    weakref.finalize(clf.module_, look)
    clf.fit(X, THREE)
    gc.collect()
    assert seen == [(3, 3)]


def test_threads_predict_while_others_refit():
    clf, stop, errors, seen = classifier(), threading.Event(), [], set()
    labels = [TWO, THREE]
    allowed = {tuple(sklearn.clone(clf).fit(X, y).predict(X)) for y in labels}
    clf.fit(X, TWO)

    def predict():
        while not stop.is_set():
            try:
                seen.add(tuple(clf.predict(X)))
            except Exception as error:
                errors.append(error)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    thread = threading.Thread(target=predict)
    thread.start()
    for y in itertools.islice(itertools.cycle(labels), 8):
        clf.fit(X, y)
    stop.set()
    thread.join()
    sys.setswitchinterval(interval)
    assert not errors
    assert seen <= allowed


def test_a_user_may_replace_the_module():
    one, other = classifier().fit(X, TWO), classifier().fit(X, TWO[::-1])
    expected = other.predict_proba(X)
    one.module_ = other.module_
    np.testing.assert_array_equal(one.predict_proba(X), expected)


def test_an_override_of_a_user_may_count():
    class Counting(AttentionFineTuneClassifier):
        def predict(self, X):
            self.n_calls_ = getattr(self, "n_calls_", 0) + 1
            return super().predict(X)

    clf = Counting(tiny.ENCODER, **SMALL).fit(X, TWO)
    clf.predict(X)
    clf.score(X, TWO)
    assert clf.n_calls_ == 2


def test_layer_attention_is_plotted_of_one_fit(monkeypatch):
    pytest.importorskip("matplotlib", reason="plots; ends with the extra plot")
    one, other = two_classifiers()
    original = type(one).layer_attention_.fget

    def layer_attention(self):
        shares = original(self)
        vars(one).update(vars(other))
        return shares

    monkeypatch.setattr(type(one), "layer_attention_", property(layer_attention))
    display = LayerAttentionDisplay.from_estimator(one)
    (shares,) = display.shares.values()
    assert len(shares) == 1 + tiny.N_LAYERS
