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
# A room is a folder, or a module at the root. It imports from the floors below its own,
# never from beside or above. In the folders named here, files import from above them
# in the list only.
FLOORS = [
    ["displays"],
    ["_regressor"],
    ["_classifier", "_extractor", "_multitask"],
    ["_base", "_task_scorer"],
    ["_export", "_fit"],
    ["_explain", "_persistence", "_training"],
    ["_runtime"],
    ["_model"],
    ["_cache", "_hf"],
    ["_data"],
    ["_utils", "_version", "predictor"],
]
ORDER = {
    "_data": """_text_advice _validation _pairs _labels _label_matrix _numbers
        _validation_tasks _targets
        _template _batching _tokens
        _text_parts _datasets _labeled _label_texts _masking""",
    "_model": "_losses _masked_lm _density _pooling _spec _heads _encoding _text_model",
    "_runtime": """_gpu_slots _seeds _device _memory _packed_encoding _predict
        _encoder_cache""",
    "_training": """_protocols _optimizer _progress _fingerprint _resume _seed_claim
        _callbacks _loop""",
    "_persistence": """_json _safetensors _create _directory _model_card _pack
        _save_load""",
    "_explain": "_attribution _faithfulness _validation _mixin",
    "_export": "_check _describe _graph _int8 _onnx _mixin",
    "_fit": """_report _estimate _trainable _rules _tasks _plan _stage _pretrained
        _prepare
        _lm_stage _contrastive_stage _joint _frozen_states _head_start _density
        _classification_stage
        _stages _retry _pipeline""",
}
APART = ["__init__", "datasets", "estimator_checks"]
DOORS = {
    "skorch": {"_training"},
    "transformers": {"_hf"},
    "tokenizers": {"_hf", "predictor"},
    "filelock": {"_cache"},
    "onnx": {"_export"},
    "onnxscript": {"_export"},
    "onnxruntime": {"_export", "predictor"},
}
PUBLIC = [getattr(sklearn_attnft, name) for name in sklearn_attnft.__all__]
PUBLIC = [each for each in PUBLIC if inspect.isclass(each)]
PUBLIC += [getattr(displays, name) for name in displays.__all__]
FUNCTIONS = [getattr(datasets, name) for name in datasets.__all__] + [
    getattr(estimator_checks, name) for name in estimator_checks.__all__
]


def imports_of(path):
    """Yield the module of every import in a file, "." before each of ours."""
    here = path.relative_to(PACKAGE).parent.parts
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name.split(".")[0]
        elif isinstance(node, ast.ImportFrom) and node.level:
            base = here[: len(here) - node.level + 1]
            parts = [*base, *(node.module.split(".") if node.module else [])]
            for alias in node.names:
                yield ".".join(["", *parts, alias.name])
        elif isinstance(node, ast.ImportFrom):
            yield node.module.split(".")[0]


def own_imports(path):
    """Rooms of ours that a file imports from, but its own."""
    own = {name.split(".")[1] for name in imports_of(path) if name[0] == "."}
    return own - {room_of(path)}


def room_of(path):
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def files_of(room):
    directory = PACKAGE / room
    return list(directory.glob("*.py")) or [directory.with_suffix(".py")]


def test_every_module_has_its_floor():
    rooms = {room_of(path) for path in PACKAGE.rglob("*.py")}
    placed = {room for floor in FLOORS for room in floor}
    assert rooms - placed == set(APART)


def test_the_root_is_small():
    assert len(list(PACKAGE.glob("*.py"))) <= 12


@pytest.mark.parametrize("i", range(len(FLOORS)))
def test_imports_point_down(i):
    below = {room for floor in FLOORS[i + 1 :] for room in floor}
    for room in FLOORS[i]:
        for path in files_of(room):
            own = own_imports(path)
            assert own <= below, f"{path.name} imports {own - below}"


@pytest.mark.parametrize("folder", ORDER)
def test_a_folder_has_an_order(folder):
    files, order = {path.stem: path for path in files_of(folder)}, ORDER[folder].split()
    assert {*order, "__init__"} == set(files)
    for i, name in enumerate(order):
        imported = {
            part
            for each in imports_of(files[name])
            if each.startswith(f".{folder}.")
            for part in each.split(".")[2:3]
        }
        later = imported & set(order[i:])
        assert not later, f"{name} imports {later}"


def test_what_stands_apart_imports_nothing_of_ours():
    for path in [PACKAGE / "datasets.py", *files_of("estimator_checks")]:
        assert not own_imports(path), path.name


@pytest.mark.parametrize("engine", DOORS)
def test_an_engine_has_one_door(engine):
    users = {
        room_of(path) for path in PACKAGE.rglob("*.py") if engine in imports_of(path)
    }
    assert users == DOORS[engine]


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda p: p.name)
def test_functions_fit_a_screen_and_files_are_short(path):
    text = path.read_text(encoding="utf-8")
    alone = (
        "_classifier.py",
        "_extractor.py",
        "_multitask.py",
        "_regressor.py",
        "predictor.py",  # it works alone, so it cannot be split
    )
    if path.parent != PACKAGE or path.name not in alone:
        assert len(text.splitlines()) <= 350
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            body = node.body[1:] if ast.get_docstring(node) else node.body
            size = node.end_lineno - body[0].lineno + 1 if body else 0
            # The estimators' __init__ assigns a parameter a line.
            assert size <= 50, f"{node.name} has {size} lines"


def test_importing_the_package_is_light_and_changes_nothing():
    code = """
import logging, os, sys, warnings
before = (dict(os.environ), logging.root.level, list(logging.root.handlers))
import sklearn_attnft
assert not {"torch", "transformers", "sklearn"} & set(sys.modules)
assert set(sklearn_attnft.__all__) <= set(dir(sklearn_attnft))
import torch, sklearn, skorch
filters = list(warnings.filters)
sklearn_attnft.AttentionFineTuneClassifier
assert "transformers" not in sys.modules
assert (dict(os.environ), logging.root.level, list(logging.root.handlers)) == before
assert list(warnings.filters) == filters
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="has no attribute 'Classifier'"):
        getattr(sklearn_attnft, "Classifier")  # noqa: B009


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
