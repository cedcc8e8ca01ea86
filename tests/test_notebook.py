"""Test what a notebook shows, in a kernel without ipywidgets."""

import re
from pathlib import Path

import pytest

QUICKSTART = Path(__file__).parents[1] / "docs" / "quickstart.md"
# Cells after those of the quickstart, and what they show.
MORE = {
    "clf": ["text/html"],
    "clf.explain(X_test[:2], words=True).head()": ["text/html"],
    "clf.transform(X_test[:20]).shape": ["text/plain"],
    "from sklearn_attnft.displays import AttentionDisplay, TrainingDisplay": [],
    "display = TrainingDisplay.from_estimator(clf)": ["image/png"],
    "display": ["image/png"],
    "TrainingDisplay.from_estimator(clf)": ["image/png"],
    "shaded = AttentionDisplay.from_estimator(clf, X_test[:2])": [],
    "shaded": ["text/html"],
    "shaded.plot()": ["image/png"],
    "model": ["text/html"],
    "several": ["text/html"],
}


def run(sources, directory):
    """Run cells in a new kernel and return the list of outputs of each cell."""
    import nbclient
    from nbformat.v4 import new_code_cell, new_notebook

    notebook = new_notebook(cells=[new_code_cell(source) for source in sources])
    where = {"metadata": {"path": str(directory)}}
    nbclient.NotebookClient(notebook, timeout=900, resources=where).execute()
    return [cell.outputs for cell in notebook.cells]


def streams(outputs, name):
    """Return what a cell wrote to stdout or stderr."""
    return "".join(each.text for each in outputs if each.get("name") == name)


def shown(outputs):
    """Return the richest type of each value that a cell shows."""
    types = ["image/png", "text/html", "text/plain"]
    return [
        next(each for each in types if each in output.data)
        for output in outputs
        if output.output_type in ("display_data", "execute_result")
    ]


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # of jupyter, in this process
def test_the_quickstart_in_a_notebook(tmp_path, monkeypatch):
    monkeypatch.delenv("MPLBACKEND")  # so that the kernel shows figures
    blocks = re.findall(r"```python\n(.*?)```", QUICKSTART.read_text(), re.DOTALL)
    blocks = [
        block.replace("random_state=0", "random_state=0, verbose=1") for block in blocks
    ]
    outputs = run([*blocks, *MORE], tmp_path)
    fits = [i for i, block in enumerate(blocks) if "verbose=1" in block]
    assert len(fits) == 2
    for i, cell in enumerate(outputs):
        # Bars of text belong to the fits. There is nothing else, such as warnings.
        bars = [bar for bar in re.split("[\r\n]", streams(cell, "stderr")) if bar]
        assert bool(bars) == (i in fits)
        assert all(re.match(r"fit[:\w /]*: +\d+%\|.*text/s", bar) for bar in bars)
    assert "['delivery']" in streams(outputs[fits[0]], "stdout")
    for cell, expected in zip(outputs[len(blocks) :], MORE.values(), strict=True):
        assert shown(cell) == expected
        texts = "".join(output.data.get("text/plain", "") for output in cell)
        assert expected == ["text/html"] or "object at 0x" not in texts
    page = outputs[len(blocks)][0].data["text/html"]
    assert "AttentionFineTuneClassifier" in page
    assert (tmp_path / "model" / "estimator.json").is_file()
