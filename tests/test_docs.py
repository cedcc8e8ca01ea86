"""The code in the README and the guide runs (on the tiny encoder, for one epoch)."""

import re
import runpy
from pathlib import Path

import pytest
import tiny

from sklearn_attnft import AttentionFineTuneClassifier, TransformerFeatureExtractor

ROOT = Path(__file__).parents[1]


def code_of(path):
    text = (ROOT / path).read_text(encoding="utf-8")
    return re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)


@pytest.fixture
def quick(monkeypatch, tmp_path):
    """Make the tiny encoder and one epoch the defaults."""
    for estimator in (AttentionFineTuneClassifier, TransformerFeatureExtractor):
        init = estimator.__init__
        quick = {**init.__kwdefaults__, "max_length": tiny.N_POSITIONS}
        if "max_epochs" in quick:
            quick |= {"max_epochs": 1}
        monkeypatch.setattr(init, "__defaults__", (tiny.ENCODER,))
        monkeypatch.setattr(init, "__kwdefaults__", quick)
    monkeypatch.chdir(tmp_path)


@pytest.mark.filterwarnings("ignore:.*longer than max_length")
@pytest.mark.filterwarnings("ignore:Precision is ill-defined")
@pytest.mark.parametrize("path", ["README.md", "docs/guide.md"])
def test_code_blocks_run(path, quick):
    blocks = code_of(path)
    assert len(blocks) >= 2
    namespace = {}
    for block in blocks:
        exec(compile(block, path, "exec"), namespace)


@pytest.mark.filterwarnings("ignore:.*longer than max_length")
def test_the_example_of_explanations_runs(quick, capsys):
    runpy.run_path(str(ROOT / "examples" / "explain_tickets.py"), run_name="__main__")
    printed = capsys.readouterr().out
    assert "comprehensiveness" in printed
    assert {"tickets.html", "tickets.png"} <= {path.name for path in Path().iterdir()}


@pytest.mark.filterwarnings("ignore:.*longer than max_length")
def test_the_example_of_several_label_sets_runs(quick, capsys):
    runpy.run_path(str(ROOT / "examples" / "multitask_tickets.py"), run_name="__main__")
    printed = capsys.readouterr().out
    assert "three label sets at once" in printed
    assert printed.count("accuracy 0.") == 4
