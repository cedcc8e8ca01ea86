# SPDX-License-Identifier: BSD-3-Clause
"""Display of texts with shaded tokens."""

import copy
import functools
import html
import re

import numpy as np
from scipy.sparse import issparse

from .._explain._validation import labels_of_texts
from ._notebook import ShownOnce
from ._style import BLUE, VERMILION, new_axes

# Opacity of the darkest shade. Both black and white letters are legible on this shade.
OPACITY = 0.6
CAPTIONS = {
    "token_attention": "shade: token attention",
    "attribution": "shade: attribution; dotted frame: negative (against the class)",
}
# Lone surrogates, which UTF-8 cannot encode, and control characters.
_UNPRINTABLE = re.compile("[\ud800-\udfff\x00-\x08\x0b-\x1f\x7f]")


class AttentionDisplay(ShownOnce):
    """Texts whose tokens are shaded by attention or attribution.

    The whole text is shown, including tokens without a value. Shades are relative to
    the largest absolute value in the text. Positive values are blue. Negative values
    are orange and have a dotted frame. Notebooks show the display as HTML and do not
    need matplotlib.

    Parameters
    ----------
    texts : list of str, or list of tuples of two str
        The texts to show. The texts of a pair are shown on separate lines.
    explanation : DataFrame or dict of ndarray
        Explanation of these texts, as returned by the method ``explain`` of an
        estimator.
    column : str, default="token_attention"
        Column of `explanation` that sets the shades: "token_attention" or
        "attribution".
    headings : list of str or None, default=None
        A heading for each text. If None, headings are left out.

    Attributes
    ----------
    ax_ : matplotlib.axes.Axes
    figure_ : matplotlib.figure.Figure

    Examples
    --------
    >>> from sklearn_attnft.displays import AttentionDisplay
    >>> tokens = {"sample": [0], "start": [0], "end": [4], "token_attention": [1.0]}
    >>> AttentionDisplay(["good <day>"], tokens).to_html()
    '<div ...>good</span> &lt;day&gt;</div>...'
    """

    def __init__(self, texts, explanation, *, column="token_attention", headings=None):
        self.texts = texts
        self.explanation = explanation
        self.column = column
        self.headings = headings

    @classmethod
    def from_estimator(
        cls,
        estimator,
        X,
        *,
        attribution="integrated_gradients",
        target=None,
        words=False,
    ):
        """Explain the predictions for texts, and return a display of the explanation.

        No figure is drawn. Call ``plot`` to draw one.

        Parameters
        ----------
        estimator : fitted AttentionFineTuneClassifier
            For a fitted ``MultiTaskClassifier`` ``clf``, pass ``clf.task(name)``.
        X : array-like of str, shape (n_samples,) or (n_samples, 2)
        attribution : str or None, default="integrated_gradients"
            Method that computes the attributions: "integrated_gradients" or "gradient".
            The attributions set the shades. "gradient" is faster and less accurate. If
            None, token attention sets the shades.
        target : label or array-like of labels, shape (n_samples,), default=None
            The class whose logit is attributed. Pass one class for all texts, or one
            class for each text, such as the true labels. If None, the class with the
            highest logit is used for each text.
        words : bool, default=False
            Whether to shade whole words instead of tokens.

        Returns
        -------
        display : AttentionDisplay
            A display with the predictions as headings.
        """
        estimator = copy.copy(estimator)  # another thread may fit the original
        explanation = estimator.explain(
            X, attribution=attribution, target=target, words=words
        )
        texts = estimator._check_texts(X)
        predicted = estimator.predict(texts)
        if issparse(predicted):
            predicted = predicted.toarray()
        headings = [f"predicted: {label}" for label in predicted]
        if target is not None:
            labels = labels_of_texts(target, len(texts))
            headings = [
                f"{heading}; explained: {label}"
                for heading, label in zip(headings, labels, strict=True)
            ]
        return cls(
            texts,
            explanation,
            column="token_attention" if attribution is None else "attribution",
            headings=headings,
        )

    def plot(self, ax=None, *, font_size=10):
        """Write the texts on axes, with line breaks that fit the width of the axes.

        Parameters
        ----------
        ax : matplotlib.axes.Axes or None, default=None
            Axes to write on, starting at the top. If None, a new figure with the
            required height is created.
        font_size : float, default=10
            Font size in points. Characters that are missing from the font are drawn as
            boxes. To avoid boxes, set ``rcParams["font.family"]`` or show the HTML.

        Returns
        -------
        display : AttentionDisplay
        """
        leading = 1.6 * font_size
        is_new = ax is None
        ax = new_axes(self, ax, figsize=(7, 1))
        figure = ax.figure.figure  # the whole figure, also for a subfigure
        ax.set_axis_off()
        figure.draw_without_rendering()  # computes the layout, which sets the width
        width = ax.get_window_extent().width * 72 / figure.dpi
        lines = self._lines(figure, width, font_size)
        if is_new:
            figure.set_figheight((len(lines) + 1) * leading / 72)
        for row, line in enumerate(lines):
            for x, piece, style in line:
                ax.annotate(
                    piece,
                    (0, 1),
                    (x, -row * leading - font_size),
                    xycoords="axes fraction",
                    textcoords="offset points",
                    va="baseline",
                    fontsize=font_size,
                    parse_math=False,
                    annotation_clip=False,
                    **style,
                )
        self.ax_, self.figure_ = ax, ax.figure
        return self

    def to_html(self):
        """Return the texts as HTML.

        Returns
        -------
        html : str
            HTML without a text color, so the text has the color of the page.
        """
        parts = []
        for heading, segments in self._shaded():
            if heading is not None:
                parts.append(f"<div><b>{_escape(heading)}</b></div>")
            spans = []
            for piece, value, shade in segments:
                piece = _escape(piece)
                if shade:
                    color = ",".join(map(str, BLUE if shade > 0 else VERMILION))
                    style = f"background:rgba({color},{abs(shade) * OPACITY:.3f})"
                    style += ";outline:1px dotted" if shade < 0 else ""
                    piece = f'<span style="{style}" title="{value:.3g}">{piece}</span>'
                spans.append(piece)
            style = "white-space:pre-wrap;line-height:1.6;margin-bottom:0.8em"
            parts.append(f'<div style="{style}">{"".join(spans)}</div>')
        caption = _escape(CAPTIONS.get(self.column, self.column))
        return "\n".join([*parts, f"<div><small>{caption}</small></div>"])

    def _repr_html_(self):
        return self.to_html()

    def _shaded(self):
        """Yield a heading and a list of (piece, value, shade) for each text."""
        names = ["sample", "start", "end", self.column]
        columns = {name: self._column(name) for name in names}
        for i, text in enumerate(self.texts):
            of_text = columns["sample"] == i
            if isinstance(text, tuple):  # shown as one text of two lines
                is_second = self._column("text") == 1
                shift = np.where(is_second, len(text[0]) + 1, 0)
                columns |= {end: self._column(end) + shift for end in ("start", "end")}
                text = "\n".join(text)
            _, *rows = (column[of_text].tolist() for column in columns.values())
            segments = _segments(text, zip(*rows, strict=True))
            largest = max((abs(value) for _, value in segments), default=0) or 1
            heading = None if self.headings is None else self.headings[i]
            yield heading, [(piece, v, v / largest) for piece, v in segments]

    def _column(self, name):
        return np.asarray(self.explanation[name])

    def _lines(self, figure, width, font_size):
        """Return a list of lines.

        Each line is a list of tuples (offset in points, piece, annotation keywords).
        """
        lines = _Lines(figure, width, font_size)
        for heading, segments in self._shaded():
            if heading is not None:
                lines.write([(heading, {})], weight="bold")
            lines.write([(piece, _style(shade)) for piece, _, shade in segments])
            lines.lines.append([])
        lines.write([(CAPTIONS.get(self.column, self.column), {})], style="italic")
        lines.ruler.remove()
        return lines.lines


def _segments(text, rows):
    """Split a text at the token boundaries.

    Text between tokens has the value 0.

    Parameters
    ----------
    text : str
    rows : iterable of (start, end, value)
        Tokens in the order of the text. Overlapping tokens, such as the bytes of a
        character, become one segment, and their values are summed.

    Returns
    -------
    segments : list of (str, float)
        Pieces of the text and their values. Together, the pieces are the whole text.
    """
    merged = []
    for start, end, value in rows:
        if merged and start < merged[-1][1]:
            merged[-1][1] = max(end, merged[-1][1])
            merged[-1][2] += value
        else:
            merged.append([start, end, value])
    segments, done = [], 0
    for start, end, value in merged:
        segments += [(text[done:start], 0.0), (text[start:end], value)]
        done = end
    return [(piece, value) for piece, value in [*segments, (text[done:], 0.0)] if piece]


def _printable(text):
    return _UNPRINTABLE.sub("\ufffd", text)


def _escape(text):
    return html.escape(_printable(text))


def _style(shade):
    """Return the keyword arguments of an annotation with the given shade."""
    if not shade:
        return {}
    color = [c / 255 for c in (BLUE if shade > 0 else VERMILION)]
    edge = {"edgecolor": "none"}
    if shade < 0:
        edge = {"edgecolor": color, "linestyle": ":"}
    box = {"facecolor": (*color, abs(shade) * OPACITY), "boxstyle": "square,pad=0.05"}
    return {"bbox": {**box, **edge}}


class _Lines:
    """Lines of text in a proportional font, with breaks at white space."""

    def __init__(self, figure, width, font_size):
        self.width = width  # in points, like all lengths
        self.points = 72 / figure.dpi
        self.ruler = figure.text(0, 0, "", fontsize=font_size, parse_math=False)
        self.lines = []

    def write(self, segments, **font):
        """Start a new line and add segments, which are tuples (text, keywords)."""
        text = _printable("".join(piece for piece, _ in segments)).replace("\t", " ")
        ends = np.cumsum([len(piece) for piece, _ in segments])
        self.ruler.set(**{"weight": "normal", "style": "normal", **font})
        measure = functools.cache(self._measure)
        self.lines.append([])
        x = 0.0
        for word in re.finditer(r"\s|\S{1,60}", text):
            if word.group() == "\n":
                self.lines.append([])
                x = 0.0
                continue
            is_over = x + measure(word.group()) > self.width
            if is_over and x and not word.group().isspace():
                self.lines.append([])
                x = 0.0
            start = word.start()
            while start < word.end():
                i = np.searchsorted(ends, start, side="right")
                stop = min(ends[i], word.end())
                piece = text[start:stop]
                self.lines[-1].append((x, piece, {**segments[i][1], **font}))
                x += measure(piece)
                start = stop

    def _measure(self, piece):
        """Return the width of a drawn piece of text in points."""
        self.ruler.set_text(piece)
        return self.ruler.get_window_extent().width * self.points
