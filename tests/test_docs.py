"""The documentation says what is so: its code runs, its messages are the package's.

The code runs on the tiny encoder for one epoch.
"""

import ast
import configparser
import json
import re
import runpy
import sys
import types
from pathlib import Path
from urllib.parse import unquote

import pandas as pd
import pytest
import tiny
from versions import needs_callbacks

from sklearn_attnft import (
    SKOPS_TRUSTED_TYPES,
    AttentionFineTuneClassifier,
    AttentionFineTuneRegressor,
    MultiTaskClassifier,
    TransformerFeatureExtractor,
    predictor,
)
from sklearn_attnft._export import _onnx
from sklearn_attnft._persistence import _directory

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


outputs = runpy.run_path(str(ROOT / "docs" / "outputs.py"))


def code_of(path):
    """Return the blocks of code of a page, each with the output that follows it."""
    return outputs["BLOCK"].findall(read(path))


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
    assert len(guide) >= 22


@pytest.mark.filterwarnings("ignore:.*longer than max_length")
@pytest.mark.filterwarnings("ignore:Precision is ill-defined")
@pytest.mark.filterwarnings("ignore:Every training text")
@pytest.mark.parametrize(
    "path",
    [
        pytest.param(
            path, marks=needs_callbacks if path.endswith("progress.md") else ()
        )
        for path in WITH_CODE
    ],
)
def test_code_blocks_run(path, quick):
    namespace = {}
    for code, shown in code_of(path):
        printed = outputs["run"](code, namespace, path)
        assert bool(printed) == bool(shown), f"{path}: {code}"


def test_pages_of_tasks_show_an_output():
    for page in (ROOT / "docs" / "guide").glob("*.md"):
        path = page.relative_to(ROOT).as_posix()
        blocks = code_of(path)
        if blocks:
            assert any(shown for _, shown in blocks), path


def test_outputs_are_what_the_code_prints():
    page = "```python\nprint(2)\nprint(3)\n```\n\n```text\nold\n```\n\nmore\n"
    new = outputs["with_outputs"](page)
    assert new == page.replace("old", "2\n3")
    assert outputs["with_outputs"](new) == new
    silent = "```python\nx = 2\n```\n"
    assert outputs["with_outputs"](silent + "\n```text\nold\n```\n") == silent


# These need a package that the tests do not install, or the hub.
NOT_RUN = {"mlflow", "optuna", "mapie", "cleanlab", "imblearn", "skrub", "transformers"}


def test_code_that_is_not_run_imports_what_is_not_installed():
    found = set()
    for page in PAGES:
        for block in re.findall(r"```py\n(.*?)```", read(page), flags=re.DOTALL):
            tree = ast.parse(block)
            imports = {
                name.partition(".")[0]
                for node in ast.walk(tree)
                for name in (
                    [alias.name for alias in node.names]
                    if isinstance(node, ast.Import)
                    else [node.module]
                    if isinstance(node, ast.ImportFrom)
                    else []
                )
            }
            assert imports & NOT_RUN, f"{page}: run this block: {block}"
            found |= imports & NOT_RUN
    assert found == NOT_RUN


@pytest.mark.filterwarnings("ignore:.*longer than max_length")
def test_the_code_of_the_service_runs(monkeypatch, quick):
    """fastapi is not installed for the tests, so a stand-in collects the routes."""
    blocks = re.findall(r"```text\n(.*?)```", read("docs/guide/serving.md"), re.DOTALL)
    (service,) = [block for block in blocks if block.startswith("from fastapi")]
    namespace = {}
    for code, _ in code_of("docs/guide/serving.md")[:1]:
        exec(compile(code, "serving.md", "exec"), namespace)
    fastapi, pydantic = types.ModuleType("fastapi"), types.ModuleType("pydantic")
    fastapi.FastAPI = lambda: types.SimpleNamespace(post=lambda path: lambda f: f)
    pydantic.BaseModel, pydantic.Field = object, lambda **limits: limits
    modules = {"fastapi": fastapi, "pydantic": pydantic, "predictor": predictor}
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.chdir("exported")
    exec(compile(service, "service.py", "exec"), namespace)
    request = types.SimpleNamespace(texts=["My parcel never came", "a" * 30_000])
    answer = namespace["predict"](request)
    assert set(answer["labels"]) <= set(namespace["clf"].classes_)
    assert all(0 < p <= 1 for p in answer["probabilities"])
    json.dumps(answer)


def test_the_files_of_save_and_export_are_in_a_table():
    tables = {
        "saving": {*_directory.FILES, _directory.CARD, _directory.MANIFEST},
        "serving": {*_onnx.FILES, _onnx.CARD, predictor.CONFIG},
    }
    for page, files in tables.items():
        table = read(f"docs/guide/{page}.md").partition("| file | content |")[2]
        rows = table.partition("\n\n")[0]
        assert set(re.findall(r"^\| `([\w.]+)` \|", rows, re.MULTILINE)) == files


def test_the_types_for_skops_are_counted():
    page = read("docs/guide/with_other_tools.md")
    assert "has the four estimators of this package" in page
    assert len(SKOPS_TRUSTED_TYPES) == len(ESTIMATORS) == 4


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


def test_each_fence_is_closed():
    # The site shows an empty block after a fence without a partner.
    for page in map(ROOT.joinpath, PAGES):
        for fence in ("```", ":::"):
            fences = re.findall(rf"^ *{fence}", read(page), flags=re.MULTILINE)
            assert len(fences) % 2 == 0, f"{page.name}: {fence}"


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
    ran = runpy.run_path(str(ROOT / "examples" / "trust" / "plot_explanations.py"))
    assert "accuracy 0." in capsys.readouterr().out
    assert ran["means"].loc["random", "sufficiency"].notna().all()


EXAMPLES = sorted((ROOT / "examples").glob("*/plot_*.py"))
OWN_TEXTS = {"start", "tasks", "trust"}


def test_the_examples_are_in_groups_with_their_data():
    assert {example.parent.name for example in EXAMPLES} == OWN_TEXTS
    data = ROOT / "examples" / "data"
    used = set()
    for example in EXAMPLES:
        used |= set(re.findall(r'"\.\./data/(\w+)\.csv"', example.read_text("utf-8")))
    assert used == {file.stem for file in data.glob("*.csv")}
    for name in used:
        frame = pd.read_csv(data / f"{name}.csv", keep_default_na=False)
        texts = {part: set(f["text"]) for part, f in frame.groupby("subset")}
        assert not texts["train"] & texts["test"]
        assert 300 < len(frame) == frame["text"].nunique() < 1000
        source = (data / f"{name}.md").read_text(encoding="utf-8")
        assert "- Source: " in source
        assert re.search(r"- License: (MIT|\[CC BY)", source)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_examples_and_pages_of_the_guide_link_to_each_other(example):
    description = ast.get_docstring(ast.parse(example.read_text(encoding="utf-8")))
    pages = re.findall(r":doc:`/([\w/]+)`", description)
    assert pages
    name = example.relative_to(ROOT / "examples").with_suffix("").as_posix()
    for page in pages:
        assert f"auto_examples/{name})" in read(f"docs/{page}.md"), page


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_examples_use_untuned_defaults(example):
    text = example.read_text(encoding="utf-8")
    assert "learning_rate" not in text
    assert "chosen on the test" not in text
    assert "title=" in text or "set_title(" in text or "Display" in text


@pytest.mark.filterwarnings("ignore:.*longer than max_length")
def test_the_example_of_several_label_sets_runs(quick, capsys):
    runpy.run_path(str(ROOT / "examples" / "multitask_tickets.py"), run_name="__main__")
    printed = capsys.readouterr().out
    assert "three tasks together" in printed
    assert printed.count("accuracy 0.") == 4


@needs_callbacks
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
