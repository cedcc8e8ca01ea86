"""Test the progress bar of a fit, and callbacks of scikit-learn."""

import copy
import functools
import io
import pickle
import sys

import joblib
import numpy as np
import pytest
import rich
import tiny
import torch
from rich.file_proxy import FileProxy
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from tqdm import tqdm
from versions import needs_callbacks

from sklearn_attnft import (
    AttentionFineTuneClassifier,
    AttentionFineTuneRegressor,
    MultiTaskClassifier,
    TransformerFeatureExtractor,
)
from sklearn_attnft._runtime import _predict
from sklearn_attnft._utils import _progress_bar
from sklearn_attnft._utils._compat import ProgressBar, ScoringMonitor
from sklearn_attnft._utils._progress_bar import is_shown
from sklearn_attnft.displays import AttentionDisplay

X = ["good day", "bad dog", "lovely night", "awful rain", "fine man", "sad cat"] * 4
Y = ["good", "bad"] * 12
LM = {"lm_epochs": 2, "max_epochs": 3}
STAGES = ["language model head"] + ["language model"] * 2 + ["classifier"] * 3


class Recorder:
    """A callback of scikit-learn that records its calls.

    `act` is called at the end of each epoch with the number of the epoch in the fit and
    the fitted estimator. If it returns True, the stage ends.
    """

    def __init__(self, act=lambda epoch, fitted: False):
        self.act = act
        self.began, self.ended, self.told = [], [], []

    def setup(self, estimator, context):
        self.told.append("setup")

    def teardown(self, estimator, context):
        self.told.append("teardown")

    def on_fit_task_begin(self, estimator, context):
        self.began.append(context)

    def on_fit_task_end(
        self, estimator, context, *, X, y, metadata, fitted_estimator=None
    ):
        self.ended.append(context)
        self.data = X, y, metadata
        if context.parent is not None:
            return self.act(context.task_id, fitted_estimator)


def epochs(contexts):
    """Return the stages of the epochs among the tasks."""
    names = [each.task_name for each in contexts if each.parent is not None]
    return [name.removesuffix(" epoch") for name in names]


@pytest.fixture(autouse=True)
def wide_terminal(monkeypatch):
    """Let tqdm and rich write whole lines; rich cuts names in 80 columns.

    The console of rich may exist: an earlier test made it, in a narrower terminal.
    """
    monkeypatch.setenv("COLUMNS", "200")
    rich.reconfigure()
    yield
    monkeypatch.undo()
    rich.reconfigure()


def weights_of(clf):
    return {name: w.clone() for name, w in clf.module_.state_dict().items()}


def assert_same_weights(one, other):
    for name, weight in weights_of(one).items():
        assert torch.equal(weight, weights_of(other)[name]), name


def classifier(small, **parameters):
    return AttentionFineTuneClassifier(**{**small, **parameters})


class TestOurBar:
    def test_one_bar_for_all_stages(self, small, capsys):
        classifier(small, **LM, verbose=1).fit(X, Y)
        out, err = capsys.readouterr()
        assert out == ""
        assert err.count("\n") == 1
        fit, _ = err.split("\n")
        for stage in ["model head 1/1", "language model 2/2", "classifier 1/3"]:
            assert f"{stage}: " in fit
        last = fit.split("\r")[-1]
        assert "fit: classifier 3/3: 100%" in last
        assert "141/141" in last  # 3 epochs of 23 texts (1 is held out), 3 of 24
        assert "text/s" in last
        assert "train_loss=" in last

    def test_only_a_long_transform_shows_a_bar_after_the_fit(
        self, small, capsys, monkeypatch
    ):
        y = {"mood": Y, "again": Y}
        clf = classifier(small, verbose=1).fit(X, Y)
        models = [
            clf,
            MultiTaskClassifier(classifier(small, verbose=1)).fit(X, y),
            AttentionFineTuneRegressor(**{**small, "verbose": 1}).fit(X, range(24)),
            TransformerFeatureExtractor(tiny.ENCODER, max_length=32, verbose=1).fit(X),
        ]
        capsys.readouterr()
        for model in models:
            model.transform(X)
        assert capsys.readouterr().err == ""
        monkeypatch.setattr(_predict, "BAR_DELAY", 0.0)
        for model in models:
            model.transform(X)
            assert "encode: 100%" in capsys.readouterr().err
        for model in models[:3]:
            model.predict(X)
        clf.predict_proba(X), clf.score(X, Y), clf.score_samples(X)
        clf.explain(X, attribution="gradient")
        AttentionDisplay.from_estimator(clf, X)
        clf.set_params(verbose=0).transform(X)
        assert capsys.readouterr() == ("", "")

    def test_joint_training_counts_unlabeled_texts(self, small, capsys):
        clf = classifier(small, lm_weight=0.5, verbose=1)
        clf.fit(X, Y, X_unlabeled=X[:10])
        assert "135/135" in capsys.readouterr().err  # 33 for the head, 3 epochs of 34

    @needs_callbacks
    def test_bar_of_a_stopped_stage_ends_at_100_percent(self, small, capsys):
        clf = classifier(small, verbose=1).set_callbacks(Recorder(lambda *_: True))
        clf.fit(X, Y)
        assert "fit: classifier 1/3: 100%" in capsys.readouterr().err
        assert clf.n_iter_ == 1

    @needs_callbacks
    def test_a_failed_fit_closes_the_bar(self, small):
        def fail(epoch, fitted):
            raise RuntimeError("of the callback")

        clf = classifier(small, verbose=1).set_callbacks(Recorder(fail))
        with pytest.raises(RuntimeError, match="of the callback"):
            clf.fit(X, Y)
        assert not [bar for bar in tqdm._instances if not bar.disable]
        assert not hasattr(clf, "module_")

    def test_nothing_is_written_without_verbose(self, small, capfd):
        clf = classifier(small, **LM).fit(X, Y)
        pickle.loads(pickle.dumps(clf)).predict_proba(X)
        TransformerFeatureExtractor(tiny.ENCODER, max_length=32).fit(X).transform(X)
        assert capfd.readouterr() == ("", "")

    def test_bar_is_not_shown_inside_a_rich_display(self, monkeypatch):
        monkeypatch.setattr(sys, "stderr", FileProxy(None, io.StringIO()))
        assert not is_shown(2)

    @needs_callbacks
    def test_bar_is_not_shown_with_the_bar_of_scikit_learn(self, small, capsys):
        classifier(small, verbose=1).set_callbacks(ProgressBar()).fit(X, Y)
        out, err = capsys.readouterr()
        assert "AttentionFineTuneClassifier - fit" in out
        assert err == ""

    def test_notebooks_show_a_widget(self, monkeypatch):
        widget = type("Widget", (tqdm,), {})
        monkeypatch.setattr("tqdm.auto.tqdm", widget)
        _progress_bar._bar_class.cache_clear()
        with _progress_bar.open_bar(True, total=3) as bar:
            assert isinstance(bar, widget)
            assert bar.total == 3
        _progress_bar._bar_class.cache_clear()

    def test_the_environment_may_disable_the_bar(
        self, small, monkeypatch, capfd, tmp_path
    ):
        # tqdm reads the variable when it is imported.
        monkeypatch.setattr(
            tqdm, "__init__", functools.partialmethod(tqdm.__init__, disable=True)
        )
        clf = classifier(small, verbose=1, checkpoint_dir=tmp_path)
        expected = clf.fit(X, Y).predict(X)
        # The second fit skips the stages of the first one.
        np.testing.assert_array_equal(clf.fit(X, Y).predict(X), expected)
        assert capfd.readouterr() == ("", "")

    def test_no_lock_of_tqdm_is_taken_without_a_bar(self, small, monkeypatch):
        # A forked worker that is killed can leave the lock held forever.
        monkeypatch.setattr(tqdm, "get_lock", lambda: pytest.fail("took the lock"))
        monkeypatch.setattr(tqdm, "_lock", None, raising=False)
        classifier(small, verbose=0).fit(X, Y).predict(X)


@needs_callbacks
class TestCallbacksOfScikitLearn:
    def test_each_epoch_is_a_task(self, small):
        recorder = Recorder()
        clf = classifier(small, **LM).set_callbacks(recorder).fit(X, Y)
        assert epochs(recorder.began) == epochs(recorder.ended) == STAGES
        root = recorder.began[0]
        assert root.max_subtasks == len(STAGES)
        assert root is recorder.ended[-1]
        assert recorder.told == ["setup", "teardown"]
        assert not {"_callback_fit_ctx", "_skl_callbacks_to_teardown"} & set(vars(clf))

    def test_callbacks_get_the_data(self, small):
        recorder, weights = Recorder(), np.linspace(1, 2, len(X))
        classifier(small).set_callbacks(recorder).fit(X, Y, sample_weight=weights)
        texts, labels, metadata = recorder.data
        assert (texts, labels) == (X, Y)
        assert metadata["sample_weight"] is weights

    @pytest.mark.parametrize(
        "parameters",
        [
            {"encoder_dropout": 0.2},
            {"lm_epochs": 1, "lm_weight": 0.2},
            {"trainable_layers": 0, "head": "lstm"},
            {"early_stopping": True, "validation_fraction": 0.25},
        ],
    )
    def test_callbacks_do_not_change_the_fit(self, small, parameters):
        def meddle(epoch, fitted):
            torch.manual_seed(1)
            np.random.rand()
            if fitted is not None:
                fitted.predict(X)
                for weight in fitted.module_.parameters():
                    weight.data.zero_()

        plain = classifier(small, **parameters).fit(X, Y)
        watched = classifier(small, **parameters).set_callbacks(Recorder(meddle))
        with torch.random.fork_rng():
            torch.manual_seed(7)
            before = torch.get_rng_state()
            assert_same_weights(plain, watched.fit(X, Y))
            assert torch.equal(torch.get_rng_state(), before)
        assert [r["train_loss"] for r in watched.history_] == [
            r["train_loss"] for r in plain.history_
        ]

    def test_callbacks_get_the_estimator_of_each_epoch(self, small):
        kept = []
        recorder = Recorder(lambda epoch, fitted: kept.append(fitted))
        clf = classifier(small, **LM, encoder_dropout=0.5).set_callbacks(recorder)
        clf.fit(X, Y)
        assert kept[:3] == [None] * 3  # during language-model epochs
        expected = clf.predict_proba(X)
        assert [each.n_iter_ for each in kept[3:]] == [1, 2, 3]
        assert [len(each.history_) for each in kept[3:]] == [3, 4, 5]
        np.testing.assert_array_equal(kept[-1].predict_proba(X), expected)
        np.testing.assert_array_equal(kept[-1].predict_proba(X), expected)
        assert not np.array_equal(kept[3].predict_proba(X), expected)
        assert kept[3].transform(X).shape == (24, 32)

    def test_a_monitor_scores_after_each_epoch(self, small):
        monitor = ScoringMonitor(scoring=["accuracy", "neg_log_loss"])
        clf = classifier(small, max_epochs=6).set_callbacks(monitor).fit(X, Y)
        log = monitor.get_logs().data
        assert [row["task_name"] for row in log] == ["fit"] + ["classifier epoch"] * 6
        losses = [row["neg_log_loss"] for row in log]
        assert losses[0] == losses[-1]  # after the fit, and after the last epoch
        assert losses[-1] > losses[1]
        assert log[0]["accuracy"] == clf.score(X, Y)

    @pytest.mark.parametrize(
        ("stop", "expected"),
        [
            (lambda epoch, fitted: epoch == 4, STAGES[:5]),
            (lambda epoch, fitted: epoch == 1, STAGES[:2] + STAGES[3:]),
            (lambda epoch, fitted: epoch == 5, STAGES),
        ],
    )
    def test_callbacks_can_end_a_stage(self, small, stop, expected):
        recorder = Recorder(stop)
        clf = classifier(small, **LM).set_callbacks(recorder).fit(X, Y)
        assert epochs(recorder.ended) == expected
        assert clf.n_iter_ == expected.count("classifier")
        plain = classifier(small, **LM).fit(X, Y)
        if stop(4, None):
            losses = [row["train_loss"] for row in clf.history_]
            assert losses == [row["train_loss"] for row in plain.history_[:4]]

    def test_early_stopping_reports_its_last_epoch(self, small):
        recorder = Recorder()
        clf = classifier(
            small,
            max_epochs=20,
            learning_rate=1e-9,
            head_learning_rate=1e-9,
            early_stopping=True,
            validation_fraction=0.25,
        )
        clf.set_callbacks(recorder).fit(X, Y)
        assert clf.n_iter_ == len(epochs(recorder.ended)) < 20

    def test_several_tasks(self, small):
        scorer = MultiTaskClassifier.task_scorer(0, "accuracy")
        recorder, monitor = Recorder(), ScoringMonitor(scoring={"mood": scorer})
        clf = MultiTaskClassifier(classifier(small)).set_callbacks(recorder, monitor)
        y = [[label, label] for label in Y]
        clf.fit(X, y)
        assert epochs(recorder.ended) == ["classifier"] * 3
        scores = [row["mood"] for row in monitor.get_logs().data]
        assert len(scores) == 4
        assert scores[0] == scorer(clf, X, y)

    def test_callbacks_of_a_template_raise_an_error(self, small):
        template = classifier(small).set_callbacks(Recorder())
        with pytest.raises(TypeError, match="Call set_callbacks of MultiTask"):
            MultiTaskClassifier(template).fit(X, [[label, label] for label in Y])

    @pytest.mark.parametrize(("n", "stages"), [(0, []), (2, STAGES[:3])])
    def test_extractor(self, n, stages):
        recorder = Recorder()
        extractor = TransformerFeatureExtractor(
            tiny.ENCODER, max_length=32, lm_epochs=n, random_state=0
        )
        extractor.set_callbacks(recorder).fit(X)
        assert epochs(recorder.ended) == stages
        assert recorder.began[0].max_subtasks == len(stages)

    def test_a_restarted_fit_reports_each_epoch_once(self, small, monkeypatch):
        from sklearn_attnft._training import _loop

        step, calls = _loop._Net.train_step_single, []

        def scarce(net, batch, **params):
            calls.append(len(batch[0].parts))
            if len(calls) == 5:  # in the second epoch
                raise MemoryError
            return step(net, batch, **params)

        monkeypatch.setattr(_loop._Net, "train_step_single", scarce)
        recorder = Recorder()
        clf = classifier(small).set_callbacks(recorder)
        with pytest.warns(UserWarning, match="starts again with micro_batch_size=4"):
            clf.fit(X, Y)
        assert epochs(recorder.began) == epochs(recorder.ended) == ["classifier"] * 3

    def test_a_resumed_fit_reports_the_epochs_before_it(self, small, tmp_path, capsys):
        def die(epoch, fitted):
            if epoch == 4:
                raise KeyboardInterrupt

        clf = classifier(small, **LM, checkpoint_dir=tmp_path, verbose=1)
        with pytest.raises(KeyboardInterrupt):
            clf.set_callbacks(Recorder(die)).fit(X, Y)
        recorder = Recorder()
        capsys.readouterr()
        clf.set_callbacks(recorder).fit(X, Y)
        assert epochs(recorder.ended) == STAGES
        assert "141/141" in capsys.readouterr().err
        assert clf.n_iter_ == 3


@needs_callbacks
class TestCopies:
    def test_a_clone_has_the_callbacks_but_not_the_weights(self, small):
        recorder = Recorder()
        cloned = clone(classifier(small).set_callbacks(recorder).fit(X, Y))
        assert cloned._skl_callbacks == [recorder]
        assert not hasattr(cloned, "module_")

    def test_a_pickle_has_the_weights_once(self, small):
        plain = len(pickle.dumps(classifier(small).fit(X, Y)))
        clf = classifier(small).set_callbacks(ScoringMonitor(scoring="accuracy"))
        watched = pickle.dumps(clf.fit(X, Y).fit(X, Y))
        assert len(watched) < plain + 5000
        loaded = pickle.loads(watched)
        np.testing.assert_array_equal(loaded.predict_proba(X), clf.predict_proba(X))

    def test_a_copy_shares_the_weights(self, small):
        clf = classifier(small).fit(X, Y)
        copied = copy.copy(clf).set_params(verbose=1)
        assert copied.module_ is clf.module_
        assert clf.verbose == 0

    def test_save_leaves_callbacks_out(self, small, tmp_path):
        clf = classifier(small).set_callbacks(Recorder()).fit(X, Y)
        with pytest.warns(UserWarning, match="_skl_callbacks is not saved"):
            clf.save(tmp_path / "model")
        loaded = AttentionFineTuneClassifier.load(tmp_path / "model")
        assert not hasattr(loaded, "_skl_callbacks")


class TestInASearch:
    @needs_callbacks
    @pytest.mark.parametrize(
        "backend", ["threading", pytest.param("loky", marks=pytest.mark.slow)]
    )
    def test_the_bar_of_scikit_learn_shows_our_epochs(self, small, backend, capsys):
        pipeline = make_pipeline(classifier(small, max_epochs=2, verbose=1))
        search = GridSearchCV(
            pipeline,
            {"attentionfinetuneclassifier__max_epochs": [1, 2]},
            cv=2,
            n_jobs=2,
        )
        search.set_callbacks(ProgressBar(max_propagation_depth=None))
        with joblib.parallel_config(backend):
            search.fit(X, Y)
        out, err = capsys.readouterr()
        assert out.count("AttentionFineTuneClassifier - fit") == 5  # includes the refit
        assert "encode" not in out
        if backend == "loky":
            assert "fit:" not in err

    def test_a_worker_shows_no_bar_unless_asked(self):
        levels = (0, 1, True, 2)
        shown = joblib.Parallel(n_jobs=2)(map(joblib.delayed(is_shown), levels))
        assert shown == [False, False, False, True]
        assert [is_shown(verbose) for verbose in levels] == [False, True, True, True]

    @needs_callbacks
    def test_a_monitor_gets_scores_of_workers(self, small):
        monitor = ScoringMonitor(scoring="accuracy")
        clf = classifier(small, max_epochs=2).set_callbacks(monitor)
        GridSearchCV(clf, {"pooling": ["mean", "max"]}, cv=2, n_jobs=2).fit(X, Y)
        names = [row["task_name"] for row in monitor.get_logs().data]
        assert names.count("classifier epoch") == 2 * (2 * 2 + 1)

    @needs_callbacks
    def test_a_pipeline_shows_the_extractor_in_the_bar(self, capsys):
        model = make_pipeline(
            TransformerFeatureExtractor(tiny.ENCODER, max_length=32),
            LogisticRegression(),
        )
        model.set_callbacks(ProgressBar()).fit(X, Y)
        assert "TransformerFeatureExtractor - fit" in capsys.readouterr().out
