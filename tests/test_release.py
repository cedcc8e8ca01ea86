"""Version, changes, metadata and workflows of a release agree."""

import configparser
import re
import runpy
from pathlib import Path

import pytest
import yaml

import sklearn_attnft
from sklearn_attnft._persistence._pack import SCHEMA

ROOT = Path(__file__).parents[1]
VERSION = sklearn_attnft.__version__


def read(path):
    return (ROOT / path).read_text(encoding="utf-8")


def test_the_changes_begin_with_this_version():
    number, note = re.search(r"^## (\S+) \((.*)\)$", read("CHANGES.md"), re.M).groups()
    assert VERSION in (number, f"{number}.dev0")
    if "dev" in VERSION:
        assert note == "unreleased"
    else:
        assert re.fullmatch(r"\d{4}-\d\d-\d\d", note)
        text = read("CHANGES.md") + read("README.md") + read("docs/install.md")
        assert "unreleased" not in text


def test_the_citation_is_of_the_newest_release():
    citation = yaml.safe_load(read("CITATION.cff"))
    releases = re.findall(r"^## (\S+) \((\d.*)\)$", read("CHANGES.md"), re.M)
    assert (citation["version"], str(citation["date-released"])) == releases[0]
    assert citation["license"] == "BSD-3-Clause"


def test_the_changes_promise_the_schema():
    assert f"schema {SCHEMA}" in read("CHANGES.md")


def test_the_description_can_be_shown_without_the_repository():
    description = runpy.run_path(str(ROOT / "setup.py"))["description"]()
    readme = read("README.md")
    targets = re.findall(r"\]\(([^)]*)\)", description)
    assert len(targets) > 4
    assert all(target.startswith("https://") for target in targets)
    removed = set(readme.splitlines()) - set(description.splitlines())
    assert removed
    assert all(line.startswith("![") for line in removed)


def test_the_metadata_are_complete():
    parsed = configparser.ConfigParser()
    parsed.read(ROOT / "setup.cfg", encoding="utf-8")
    metadata = parsed["metadata"]
    assert metadata["author"] == "the sklearn_attnft developers"
    assert metadata["license_expression"] == "BSD-3-Clause"
    assert {"description", "keywords", "classifiers", "version"} <= set(metadata)
    oldest = parsed["options"]["python_requires"].removeprefix(">=")
    assert f"Programming Language :: Python :: {oldest}" in metadata["classifiers"]


def test_the_workflow_runs_what_the_makefile_has():
    jobs = yaml.safe_load(read(".github/workflows/tests.yml"))["jobs"]
    commands = [
        step["run"] for job in jobs.values() for step in job["steps"] if "run" in step
    ]
    targets = {
        target
        for command in commands
        for target in re.findall(r"make ([\w-]+)", command)
    }
    assert targets == {"lint", "test", "test-oldest", "docs", "dist"}
    for target in targets:
        assert re.search(rf"^{target}:", read("Makefile"), re.M)
    assert jobs["tests"]["strategy"]["matrix"]["python"] == ["3.11", "3.12", "3.13"]


@pytest.mark.parametrize(
    "page", ["SECURITY.md", "CODE_OF_CONDUCT.md", "CONTRIBUTING.md", "CHANGES.md"]
)
def test_pages_name_files_that_exist(page):
    named = re.findall(r"`((?:docs|tests|tools|examples)/[\w./-]+\.\w+)`", read(page))
    linked = re.findall(r"\]\(((?!https:)[\w./-]+)\)", read(page))
    assert named + linked
    assert all((ROOT / path).is_file() for path in named + linked)
