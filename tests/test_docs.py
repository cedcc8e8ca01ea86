"""The documentation says what is so: its code runs, its messages are the package's.

The code runs on the tiny encoder for one epoch.
"""

import ast
import configparser
import re
import runpy
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote

import pytest
import tiny

from sklearn_attnft import (
    AttentionFineTuneClassifier,
    AttentionFineTuneRegressor,
    MultiTaskClassifier,
    TransformerFeatureExtractor,
)

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "sklearn_attnft"
ESTIMATORS = [
    AttentionFineTuneClassifier,
    AttentionFineTuneRegressor,
    MultiTaskClassifier,
    TransformerFeatureExtractor,
]
BUILT = ("_build", "auto_examples", "api")
PAGES = [
    page.relative_to(ROOT)
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    if not set(page.parts) & set(BUILT)
]


def read(path):
    return (ROOT / path).read_text(encoding="utf-8")


def code_of(path):
    return re.findall(r"```python\n(.*?)```", read(path), flags=re.DOTALL)


WITH_CODE = [page.as_posix() for page in PAGES if code_of(page)]


@pytest.fixture
def quick(monkeypatch, tmp_path):
    """Make the tiny encoder and one epoch the defaults."""
    for estimator in set(ESTIMATORS) - {MultiTaskClassifier}:
        init = estimator.__init__
        quick = {**init.__kwdefaults__, "max_length": tiny.N_POSITIONS}
        if "max_epochs" in quick:
            quick |= {"max_epochs": 1}
        monkeypatch.setattr(init, "__defaults__", (tiny.ENCODER,))
        monkeypatch.setattr(init, "__kwdefaults__", quick)
    monkeypatch.chdir(tmp_path)


def test_the_pages_with_code_are_found():
    guide = {page for page in WITH_CODE if page.startswith("docs/guide/")}
    assert {"README.md", "docs/index.md", "docs/quickstart.md"} <= set(WITH_CODE)
    assert len(guide) >= 9


@pytest.mark.filterwarnings("ignore:.*longer than max_length")
@pytest.mark.filterwarnings("ignore:Precision is ill-defined")
@pytest.mark.filterwarnings("ignore:In the last epoch every training text")
@pytest.mark.parametrize("path", WITH_CODE)
def test_code_blocks_run(path, quick):
    namespace = {}
    for block in code_of(path):
        exec(compile(block, path, "exec"), namespace)


def without_names(text):
    """Put dots for the names of arguments, which messages are given."""
    return re.sub(r"\b(X|y|X_val|y_val)\b", "...", text)


def messages():
    """Yield the one-line strings of the package, dots for what is put in."""
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                parts = (getattr(part, "value", None) for part in node.values)
                text = "".join(p if isinstance(p, str) else "..." for p in parts)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                text = node.value
            else:
                continue
            if "\n" not in text:  # else a docstring
                # Backticks cannot be quoted in a code span of Markdown.
                yield without_names(text.replace("`", ""))


def test_quoted_messages_are_in_the_package():
    page = read("docs/guide/troubleshooting.md")
    quoted = re.findall(r"^\| `(.+?)` \|", page, flags=re.MULTILINE)
    assert len(quoted) > 50
    said = list(messages())
    for message in quoted:
        parts = without_names(message).split("...")
        pattern = re.compile(".*".join(map(re.escape, parts)))
        assert any(pattern.search(text) for text in said), message


@pytest.mark.slow  # `make docs` builds it too, with the examples
def test_the_site_is_built_without_a_warning(tmp_path):
    """But for the examples, which only `make docs` runs."""
    for part in ("docs", "examples"):
        ignored = shutil.ignore_patterns(*BUILT)
        shutil.copytree(ROOT / part, tmp_path / part, ignore=ignored)
    shutil.copy(ROOT / "CHANGES.md", tmp_path)
    options = ["-W", "--keep-going", "-q", "-D", "plot_gallery=0"]
    command = [sys.executable, "-m", "sphinx", *options, "docs", "site"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    site = tmp_path / "site"
    pages = {page.with_suffix(".html").relative_to("docs") for page in PAGES[1:]}
    assert all((site / page).is_file() for page in pages)
    for estimator in ESTIMATORS:
        name = f"sklearn_attnft.{estimator.__name__}"
        page = (site / "api" / f"{name}.html").read_text(encoding="utf-8")
        methods = [method for method in dir(estimator) if method[0] != "_"]
        assert len(methods) > 10
        assert not [m for m in methods if f'id="{name}.{m}"' not in page]


@pytest.mark.filterwarnings("ignore:.*longer than max_length")
def headings(page):
    """Return the anchors of a page's headings, as the site names them."""
    text = re.sub(r"```.*?```", "", read(page), flags=re.DOTALL)
    titles = re.findall(r"^#+ (.*)$", text, flags=re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


def test_links_to_headings_have_a_heading():
    links = [
        (page, target, anchor)
        for page in map(ROOT.joinpath, PAGES)
        for target, anchor in re.findall(r"\]\(([\w./-]*)#([\w-]+)\)", read(page))
    ]
    assert len(links) > 20
    for page, target, anchor in links:
        linked = page.parent / target if target else page
        assert anchor in headings(linked), f"{page.name}: {target}#{anchor}"


def test_links_to_files_have_a_file():
    links = [
        (ROOT / page, target)
        for page in PAGES
        for target in re.findall(r"\]\(([\w./-]+)(?:#[\w-]+)?\)", read(page))
        if not target.startswith(("auto_examples", "../auto_examples"))  # generated
    ]
    assert len(links) > 50
    for page, target in links:
        assert (page.parent / target).is_file(), f"{page.name}: {target}"


def test_the_readme_is_short_and_its_links_are_absolute():
    """A package index shows it as the description, without the files around it."""
    readme = read("README.md")
    assert len(readme.splitlines()) < 120
    links = re.findall(r"(?<!!)\[[^\]]*\]\(([^)]*)\)", readme)
    assert links
    assert all(link.startswith("https://") for link in links)


def test_paths_in_the_readme_exist():
    named = re.findall(r"`((?:docs|examples|benchmarks)/[\w./]+)`", read("README.md"))
    assert len(named) > 3
    assert all((ROOT / path).is_file() for path in named)


def test_the_example_of_explanations_runs(quick, capsys):
    ran = runpy.run_path(str(ROOT / "examples" / "plot_explanations.py"))
    assert "accuracy 0." in capsys.readouterr().out
    assert ran["means"].loc["random", "sufficiency"].notna().all()


@pytest.mark.filterwarnings("ignore:.*longer than max_length")
def test_the_example_of_several_label_sets_runs(quick, capsys):
    runpy.run_path(str(ROOT / "examples" / "multitask_tickets.py"), run_name="__main__")
    printed = capsys.readouterr().out
    assert "three tasks together" in printed
    assert printed.count("accuracy 0.") == 4


def test_the_example_of_progress_runs(quick, capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["grid_progress.py", "--texts", "40"])
    runpy.run_path(str(ROOT / "examples" / "grid_progress.py"), run_name="__main__")
    printed = capsys.readouterr().out
    assert "classifier: 3 epochs" in printed
    assert "refit-with-best-params" in printed
    assert printed.count("classifier epoch") == 3


def test_the_badges_are_what_the_package_asks_for():
    asked = configparser.ConfigParser()
    asked.read(ROOT / "setup.cfg", encoding="utf-8")
    options = asked["options"]
    needs = dict(re.findall(r"([\w-]+)>=([\d.]+)", options["install_requires"]))
    needs["python"] = options["python_requires"].removeprefix(">=")
    license_name = asked["metadata"]["license_expression"]
    badge = r"!\[(.*?)\]\(https://img\.shields\.io/badge/(.*?)-blue\)"
    shown = re.findall(badge, read("README.md"))
    assert len(shown) == 4
    for words, badge in shown:
        name, value = re.split("(?<!-)-(?!-)", unquote(badge).replace("_", " "))
        name, value = name.replace("--", "-"), value.replace("--", "-")
        if name == "license":
            assert words == value == license_name
        else:
            assert value == f"≥{needs[name]}"
            assert words.lower() == f"{name} {needs[name]} and newer"
