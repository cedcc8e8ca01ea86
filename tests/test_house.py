"""The house rules that a machine can read: imports, docstrings, import cost."""

import ast
import inspect
import re
import subprocess
import sys
from pathlib import Path

import numpydoc.docscrape
import pytest

import sklearn_attnft
from sklearn_attnft import datasets, displays, estimator_checks

PACKAGE = Path(sklearn_attnft.__file__).parent
# A module may import from the lines below its own, never from beside or above.
LAYERS = [
    ["__init__", "displays"],
    ["_classifier", "_extractor", "_multitask"],
    ["_explaining"],
    ["_fitting", "_estimator", "_task_scorer"],
    ["_joint", "_lm_stage", "_pretrained"],
    [
        "_contrastive",
        "_language_model",
        "_labelled",
        "_label_sets",
        "_saving",
        "_tasks",
    ],
    ["_boundary"],
    ["_training", "_persistence", "_faithfulness"],
    ["_checkpoint", "_frozen", "_explanation"],
    ["_gpu_slots", "_inference", "_watch"],
    ["_modules", "_validation_tasks"],
    ["_losses", "_batching", "_cache", "_validation"],
    ["_freezing", "_layers", "_seeds"],
    ["_backbone"],
    ["_artefact", "_card", "_codec", "_version", "_weight_files"],
    ["_estimate", "_progress"],
]
APART = ["datasets", "estimator_checks"]
DOORS = {
    "skorch": "_training",
    "transformers": "_backbone",
    "tokenizers": "_backbone",
    "filelock": "_cache",
}
PUBLIC = [getattr(sklearn_attnft, n) for n in sklearn_attnft.__all__ if n[0] != "_"]
PUBLIC += [getattr(displays, name) for name in displays.__all__]
FUNCTIONS = [getattr(datasets, name) for name in datasets.__all__] + [
    getattr(estimator_checks, name) for name in estimator_checks.__all__
]


def imports_of(path):
    """Yield (package or None, module) of every import in a file."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield None, alias.name.split(".")[0]
        elif isinstance(node, ast.ImportFrom) and node.level:
            names = [node.module] if node.module else [a.name for a in node.names]
            for name in names:
                yield "own", name.split(".")[0]
        elif isinstance(node, ast.ImportFrom):
            yield None, node.module.split(".")[0]


def files_of(name):
    """Files of a module, or of a package in its place."""
    directory = PACKAGE / name
    return list(directory.glob("*.py")) if directory.is_dir() else [f"{directory}.py"]


def own_imports(name):
    """Names of our modules that a module imports, its own parts left out."""
    files = [Path(file) for file in files_of(name)]
    own = {m for file in files for kind, m in imports_of(file) if kind == "own"}
    return own - {file.stem for file in files if len(files) > 1}


def test_every_module_has_its_layer():
    modules = {path.stem for path in PACKAGE.glob("*.py")}
    modules |= {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    placed = {name for layer in LAYERS for name in layer}
    assert modules - placed - set(APART) == set()


@pytest.mark.parametrize("i", range(len(LAYERS)))
def test_imports_point_down(i):
    below = {name for layer in LAYERS[i + 1 :] for name in layer}
    for name in LAYERS[i]:
        own = own_imports(name)
        assert own <= below, f"{name} imports {own - below}"


def test_what_stands_apart_imports_nothing_of_ours():
    assert not [m for kind, m in imports_of(PACKAGE / "datasets.py") if kind == "own"]
    files = (PACKAGE / "estimator_checks").glob("*.py")
    names = {path.stem for path in (PACKAGE / "estimator_checks").glob("*.py")}
    for path in files:
        own = {module for kind, module in imports_of(path) if kind == "own"}
        assert own <= names, path.name


@pytest.mark.parametrize("engine", DOORS)
def test_an_engine_has_one_door(engine):
    users = {
        path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        for path in PACKAGE.rglob("*.py")
        if engine in {module for _, module in imports_of(path)}
    }
    assert users == {DOORS[engine]}


def test_importing_the_package_is_light_and_changes_nothing():
    code = """
import logging, os, sys, warnings
before = (dict(os.environ), logging.root.level, list(logging.root.handlers))
import torch, sklearn, skorch
filters = list(warnings.filters)
import sklearn_attnft
assert "transformers" not in sys.modules
assert (dict(os.environ), logging.root.level, list(logging.root.handlers)) == before
assert list(warnings.filters) == filters
"""
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("estimator", PUBLIC)
def test_documented_defaults_are_the_signatures(estimator):
    documented = {
        parameter.name: parameter.type
        for parameter in numpydoc.docscrape.ClassDoc(estimator)["Parameters"]
    }
    signature = inspect.signature(estimator).parameters
    assert list(documented) == list(signature)
    for name, parameter in signature.items():
        written = re.search(r"default=(.+)$", documented[name])
        if parameter.default is parameter.empty:
            assert not written, f"{name} has no default"
            continue
        assert written, f"{name} documents no default"
        value = ast.literal_eval(written.group(1))
        assert value == parameter.default, name
        assert type(value) is type(parameter.default), name


@pytest.mark.parametrize("estimator", PUBLIC)
def test_public_methods_are_documented(estimator):
    for name, method in inspect.getmembers(estimator, inspect.isfunction):
        if name.startswith("_") or not method.__module__.startswith("sklearn_attnft"):
            continue
        doc = numpydoc.docscrape.FunctionDoc(method)
        signature = [p for p in inspect.signature(method).parameters if p != "self"]
        assert [p.name for p in doc["Parameters"]] == signature, name
        assert doc["Returns"], name


@pytest.mark.parametrize("function", FUNCTIONS)
def test_public_functions_are_documented(function):
    doc = numpydoc.docscrape.FunctionDoc(function)
    documented = {p.name: p.type for p in doc["Parameters"]}
    signature = inspect.signature(function).parameters
    assert list(documented) == list(signature)
    for name, parameter in signature.items():
        if parameter.default is not parameter.empty:
            written = re.search(r"default=(.+)$", documented[name])
            assert written, name
            assert ast.literal_eval(written.group(1)) == parameter.default, name


def test_nothing_prints():
    for path in PACKAGE.rglob("*.py"):
        calls = [
            node
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "print"
        ]
        assert not calls, path.name
