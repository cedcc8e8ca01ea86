"""Tests of the content of the displays."""

import html
import re
import sys
import types

import matplotlib.pyplot as plt
import numpy as np
import pytest
import tiny
from hypothesis import given
from hypothesis import strategies as st
from sklearn.dummy import DummyClassifier
from sklearn.exceptions import NotFittedError
from test_explain import X, Y, fitted

from sklearn_attnft import (
    AttentionFineTuneClassifier,
    MultiTaskClassifier,
    TransformerFeatureExtractor,
)
from sklearn_attnft._fit._contrastive_stage import BATCH_SIZE
from sklearn_attnft.displays import (
    AttentionDisplay,
    LabelEfficiencyDisplay,
    LayerAttentionDisplay,
    TrainingDisplay,
)
from sklearn_attnft.displays._style import BLUE, VERMILION
from sklearn_attnft.displays._tokens import OPACITY

TEXTS = [
    "A <good>, $lovely$ day\n\nof the  \u00a0bird & bad",
    "",
    "xyz \ud800\x00\tday",
]


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


def read(page):
    """Return the texts in the HTML of a display."""
    blocks = re.findall(r'<div style="white-space.*?">(.*?)</div>', page, re.DOTALL)
    return [html.unescape(re.sub("<[^>]*>", "", block)) for block in blocks]


def shades(page):
    """Return the opacities in HTML, negative for vermilion."""
    found = re.findall(r"rgba\((\d+),\d+,\d+,([\d.]+)\)", page)
    return [float(a) * (1 if int(r) == BLUE[0] else -1) for r, a in found]


@given(st.lists(st.text(), min_size=1, max_size=3), st.booleans())
def test_html_contains_the_whole_text_without_markup(texts, words):
    display = AttentionDisplay.from_estimator(
        fitted(max_length=8), texts, attribution="gradient", words=words
    )
    page = display._repr_html_()
    assert re.fullmatch("[\t\n -~\x80-\U0010ffff]*", page.replace("\ufffd", ""))
    shown = [re.sub("[\x00-\x08\x0b-\x1f\x7f]", "\ufffd", text) for text in texts]
    assert read(page) == shown
    page.encode("utf-8")


def test_a_lone_surrogate_is_replaced():
    page = AttentionDisplay.from_estimator(fitted(), TEXTS).to_html()
    assert read(page)[2] == "xyz \ufffd\ufffd\tday"


def test_shades_are_proportional_to_the_values():
    columns = {"sample": [0, 0, 0, 1], "start": [0, 2, 2, 0], "end": [1, 3, 4, 2]}
    columns["attribution"] = [-2.0, 3.0, 1.0, 0.5]
    display = AttentionDisplay(
        ["a bcd", "xy", "z"], columns, column="attribution", headings=["<1>", "2", "3"]
    )
    page = display.to_html()
    # The two tokens in the middle overlap, so they are merged.
    assert shades(page) == pytest.approx([-OPACITY / 2, OPACITY, OPACITY], abs=1e-3)
    assert 'title="4">bc</span>d' in page
    assert page.count("1px dotted") == 1
    assert "<b>&lt;1&gt;</b>" in page
    assert "dotted frame: negative (against the class)" in page


@pytest.mark.parametrize("background", [(255, 255, 255), (17, 17, 17)])
@pytest.mark.parametrize("color", [BLUE, VERMILION])
def test_text_is_legible_on_the_darkest_shade(color, background):
    def luminance(rgb):
        rgb = np.array(rgb) / 255
        linear = np.where(rgb <= 0.03928, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
        return linear @ [0.2126, 0.7152, 0.0722]  # WCAG 2.1

    text = (0, 0, 0) if background[0] > 128 else (255, 255, 255)
    shade = OPACITY * np.array(color) + (1 - OPACITY) * np.array(background)
    dark, light = sorted([luminance(text), luminance(shade)])
    assert (light + 0.05) / (dark + 0.05) > 4.5


def test_attention_is_plotted_with_the_whole_text():
    display = AttentionDisplay.from_estimator(fitted(), TEXTS)
    assert display.headings == [f"predicted: {y}" for y in fitted().predict(TEXTS)]
    assert display.plot() is display
    assert display.figure_ is display.ax_.figure
    display.figure_.draw_without_rendering()
    pieces = [piece for piece in display.ax_.texts if piece.get_text().strip()]
    written = "".join(piece.get_text() for piece in pieces)
    for text in TEXTS:
        expected = text.replace("\ud800", "\ufffd").replace("\x00", "\ufffd")
        assert "".join(expected.split()) in "".join(written.split())
    width = display.figure_.bbox.width
    assert all(piece.get_window_extent().x1 <= width + 1 for piece in pieces)
    heights = {round(piece.get_window_extent().y0) for piece in pieces}
    assert min(heights) >= 0
    boxed = [p.get_text() for p in pieces if p.get_bbox_patch() is not None]
    assert boxed[:3] == ["A", "<", "good"]


def test_attention_is_plotted_on_given_axes_in_lines_that_fit():
    _, (left, right) = plt.subplots(1, 2, figsize=(6, 3))
    display = AttentionDisplay.from_estimator(
        fitted(), ["good " * 30 + "x" * 100], attribution="gradient", target="good"
    )
    display.plot(right, font_size=8)
    assert display.ax_ is right
    assert not left.texts
    assert display.headings[0].endswith("; explained: good")
    box = right.get_window_extent()
    for piece in right.texts:
        extent = piece.get_window_extent()
        assert extent.x0 >= box.x0 - 1
        if "x" not in piece.get_text():
            assert extent.x1 <= box.x1 + 1
    # Words are not split, except for one that is longer than a line.
    written = [p.get_text() for p in right.texts if p.get_weight() == "normal"]
    assert written.count("good") == 30
    assert max(map(len, written)) < 100


def test_layer_attention_is_plotted_for_one_or_several_models():
    one = LayerAttentionDisplay.from_estimator(fitted())
    np.testing.assert_allclose(one.lines_[0].get_ydata(), fitted().layer_attention_)
    assert one.lines_[0].get_label() == "AttentionFineTuneClassifier"
    some = fitted(layers=(2, 0))
    clf = MultiTaskClassifier(fitted(max_epochs=1)).fit(
        X, {"tone": Y, "n": [1, 2] * 12}
    )
    _, ax = plt.subplots()
    models = {"some": some, "both": clf}
    display = LayerAttentionDisplay.from_estimator(models, ax=ax)
    assert display.ax_ is ax
    labels = [line.get_label() for line in display.lines_]
    assert labels == ["some", "both: tone", "both: n"]
    assert display.lines_[0].get_xdata().tolist() == [0, 2]
    expected = some.layer_attention_[::-1]
    np.testing.assert_allclose(display.lines_[0].get_ydata(), expected)
    looks = {(line.get_marker(), line.get_linestyle()) for line in display.lines_}
    assert len(looks) == 3  # distinguishable in gray
    tasks = LayerAttentionDisplay.from_estimator(clf).lines_
    assert [line.get_label() for line in tasks] == ["tone", "n"]


def test_training_shows_the_stages_in_the_order_of_the_fit():
    clf = AttentionFineTuneClassifier(**fitted(max_epochs=2).get_params())
    clf.set_params(lm_epochs=1, contrastive_epochs=3)
    clf.fit(X, Y, X_val=X[:6], y_val=Y[:6])
    display = TrainingDisplay.from_estimator(clf)
    titles = [panel.get_title() for panel in display.axes_]
    stages = ["language model", "contrastive", "classifier"]
    losses = [f"loss, {stage}" for stage in stages]
    assert titles == [*losses, "validation", "learning rate"]
    rates = {line.get_label(): line for line in display.axes_[4].lines}
    assert list(rates) == stages
    for stage, line in rates.items():
        rows = [row for row in clf.history_ if row["stage"] == stage]
        assert line.get_ydata().tolist() == [row["learning_rate"] for row in rows]
    n_steps = -(-len(X) // BATCH_SIZE)
    xs = display.axes_[1].lines[0].get_xdata().tolist()
    assert xs == [n_steps, 2 * n_steps, 3 * n_steps]
    n_steps = -(-len(X) // clf.batch_size)
    lines = {line.get_label(): line for line in display.axes_[2].lines}
    rows = clf.history_[4:]
    for label, name in [("training", "train_loss"), ("validation", "valid_loss")]:
        assert lines[label].get_xdata().tolist() == [n_steps, 2 * n_steps]
        assert lines[label].get_ydata().tolist() == [row[name] for row in rows]
    scores = display.axes_[3].lines[0]
    assert scores.get_label() == "accuracy"
    assert scores.get_ydata().tolist() == [row["valid_accuracy"] for row in rows]
    _, ax = plt.subplots()
    epochs = [{"stage": "classifier", "step": 1, "train_loss": 0.7}]
    plain = TrainingDisplay(epochs).plot(ax=ax)
    assert plain.axes_ == [ax]
    assert plain.ax_ is ax
    assert plain.figure_ is ax.figure


def test_training_shows_the_scores_of_each_task():
    clf = MultiTaskClassifier(fitted(max_epochs=1))
    y = {"tone": Y, "n": [1, 2] * 12}
    clf.fit(X, y, X_val=X[:6], y_val={name: labels[:6] for name, labels in y.items()})
    scores = TrainingDisplay.from_estimator(clf).axes_[-2].lines
    names = [line.get_label() for line in scores]
    assert names == ["accuracy", "accuracy n", "accuracy tone"]


def test_training_without_epochs_is_refused():
    with pytest.raises(NotFittedError):
        TrainingDisplay.from_estimator(AttentionFineTuneClassifier())
    frozen = TransformerFeatureExtractor(tiny.ENCODER, max_length=32).fit(X)
    message = "`history` must contain epochs with losses, got no such epochs"
    with pytest.raises(ValueError, match=message):
        TrainingDisplay.from_estimator(frozen)


def test_label_efficiency_equals_the_learning_curve():
    models = {"ours": fitted(max_epochs=1), "none": DummyClassifier()}
    display = LabelEfficiencyDisplay.from_estimator(
        models,
        X,
        Y,
        train_sizes=[4, 12],
        cv=2,
        scoring="balanced_accuracy",
        random_state=0,
    )
    sizes, scores = display.scores["none"]
    assert sizes.tolist() == [4, 12]
    np.testing.assert_array_equal(scores, 0.5)
    assert display.scores["ours"][1].shape == (2, 2)
    for line, (_, of_model) in zip(
        display.lines_, display.scores.values(), strict=True
    ):
        np.testing.assert_allclose(line.get_ydata(), of_model.mean(axis=1))
    assert display.ax_.get_ylabel() == "balanced accuracy"
    assert [text.get_text() for text in display.ax_.get_legend().texts] == [*models]
    _, ax = plt.subplots()
    again = LabelEfficiencyDisplay.from_estimator(
        DummyClassifier(), X, Y, train_sizes=[4], cv=2, n_jobs=1, ax=ax
    )
    assert again.ax_ is ax
    assert again.score_name == "score"


def test_without_matplotlib_html_works_and_plot_raises_a_clear_error(monkeypatch):
    display = AttentionDisplay.from_estimator(fitted(), TEXTS)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert display.to_html()
    with pytest.raises(ImportError, match=r"AttentionDisplay.plot requires matplotlib"):
        display.plot()
    with pytest.raises(ImportError, match=r"LayerAttentionDisplay.plot requires"):
        LayerAttentionDisplay.from_estimator(fitted())


class Notebook:
    """A stand-in for IPython in the kernel of a notebook."""

    kernel = object()

    def __init__(self, monkeypatch):
        self.shown = []
        ipython = types.ModuleType("IPython")
        ipython.get_ipython = lambda: self
        ipython.display = types.ModuleType("IPython.display")
        ipython.display.display = self.shown.append
        monkeypatch.setitem(sys.modules, "IPython", ipython)
        monkeypatch.setitem(sys.modules, "IPython.display", ipython.display)
        monkeypatch.setattr("matplotlib.get_backend", lambda: "inline")


def test_a_notebook_shows_a_figure_once(monkeypatch):
    notebook = Notebook(monkeypatch)
    figure, axes = plt.subplots(1, 2)
    displays = [
        LayerAttentionDisplay.from_estimator(fitted()),
        TrainingDisplay.from_estimator(fitted(), ax=axes[0]),
        TrainingDisplay.from_estimator(fitted(), ax=figure.subfigures().subplots()),
    ]
    other = plt.figure()
    for display in displays:
        display._ipython_display_()  # the notebook shows the open figure
    assert notebook.shown == []
    assert plt.gcf() is other
    plt.close("all")
    for display in displays:
        display._ipython_display_()
    assert notebook.shown == [displays[0].figure_, figure, figure]


def test_a_notebook_shows_html_instead_of_a_closed_figure(monkeypatch):
    notebook = Notebook(monkeypatch)
    display = AttentionDisplay.from_estimator(fitted(), TEXTS)
    with pytest.raises(NotImplementedError):  # IPython then looks for HTML
        display._ipython_display_()
    display.plot()._ipython_display_()
    plt.close("all")
    with pytest.raises(NotImplementedError):
        display._ipython_display_()
    assert notebook.shown == []


@pytest.mark.parametrize("place", ["terminal", "agg", "no IPython"])
def test_displays_are_text_where_no_figure_is_shown(place, monkeypatch):
    notebook = Notebook(monkeypatch)
    if place == "terminal":
        monkeypatch.delattr(Notebook, "kernel")
    elif place == "agg":
        monkeypatch.setattr("matplotlib.get_backend", lambda: "agg")
    else:
        monkeypatch.delitem(sys.modules, "IPython")
    with pytest.raises(NotImplementedError):
        LayerAttentionDisplay.from_estimator(fitted())._ipython_display_()
    assert notebook.shown == []


def test_attention_is_shown_without_pandas(monkeypatch):
    page = AttentionDisplay.from_estimator(fitted(), TEXTS).to_html()
    monkeypatch.setitem(sys.modules, "pandas", None)
    assert AttentionDisplay.from_estimator(fitted(), TEXTS).to_html() == page
