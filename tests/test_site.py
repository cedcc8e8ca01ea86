"""The site is built without a warning; its links and images are right.

The build leaves out the examples, which only `make docs` runs.
"""

import html.parser
import re
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote

import pytest

from sklearn_attnft import (
    AttentionFineTuneClassifier,
    AttentionFineTuneRegressor,
    MultiTaskClassifier,
    TransformerFeatureExtractor,
)

pytestmark = pytest.mark.slow  # `make docs` builds it too, with the examples

ROOT = Path(__file__).parents[1]
ESTIMATORS = [
    AttentionFineTuneClassifier,
    AttentionFineTuneRegressor,
    MultiTaskClassifier,
    TransformerFeatureExtractor,
]
BUILT = ("_build", "auto_examples", "api")


class PageParser(html.parser.HTMLParser):
    """Collect the anchors, internal links and images of a page."""

    def __init__(self, text):
        super().__init__()
        self.anchors, self.links, self.images = set(), [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.anchors |= {attrs[key] for key in ("id", "name") if attrs.get(key)}
        if tag == "a" and "://" not in (link := attrs.get("href") or "#"):
            self.links.append(link)
        if tag == "img":
            self.images.append(attrs)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Build the site without a warning. The examples are run by `make docs` only."""
    root = tmp_path_factory.mktemp("site")
    for part in ("docs", "examples"):
        ignored = shutil.ignore_patterns(*BUILT)
        shutil.copytree(ROOT / part, root / part, ignore=ignored)
    for name in ("CHANGES.md", "CONTRIBUTING.md"):
        shutil.copy(ROOT / name, root)
    options = ["-W", "--keep-going", "-q", "-D", "plot_gallery=0"]
    command = [sys.executable, "-m", "sphinx", *options, "docs", "site"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return root / "site"


@pytest.fixture(scope="module")
def parsed(site):
    """Return the parsed pages of the site by their paths."""
    pages = [page for page in site.rglob("*.html") if "_static" not in page.parts]
    return {page: PageParser(page.read_text(encoding="utf-8")) for page in pages}


def test_the_site_has_all_pages_and_methods(site):
    pages = [
        page.relative_to(ROOT / "docs").with_suffix(".html")
        for page in (ROOT / "docs").rglob("*.md")
        if not set(page.parts) & set(BUILT)
    ]
    assert len(pages) > 40
    assert all((site / page).is_file() for page in pages)
    for estimator in ESTIMATORS:
        name = f"sklearn_attnft.{estimator.__name__}"
        page = (site / "api" / f"{name}.html").read_text(encoding="utf-8")
        methods = [method for method in dir(estimator) if method[0] != "_"]
        assert len(methods) > 10
        assert not [m for m in methods if f'id="{name}.{m}"' not in page]
        assert "sphx-glr-thumbcontainer" in page  # examples that use it
        assert "scikit-learn.org/stable/modules/generated" in page


def test_internal_links_of_the_site_lead_somewhere(site, parsed):
    n_links = 0
    for page, found in parsed.items():
        for link in found.links:
            path, _, anchor = unquote(link).partition("#")
            linked = (page.parent / path).resolve() if path else page
            n_links += 1
            if path and linked not in parsed:
                assert linked.is_file(), f"{page.relative_to(site)}: {link}"
            elif anchor:
                assert anchor in parsed[linked].anchors, f"{page}: {link}"
    assert n_links > 3000


def test_images_of_the_site_have_a_description(site, parsed):
    images = [(page, image) for page, found in parsed.items() for image in found.images]
    assert len(images) > 40
    for page, image in images:
        assert (image.get("alt") or "").strip(), f"{page.relative_to(site)}: {image}"
        assert "://" in image["src"] or (page.parent / image["src"]).is_file()


def test_the_parameters_of_the_classifier_are_in_groups(site):
    page = site / "api" / "sklearn_attnft.AttentionFineTuneClassifier.html"
    text = page.read_text(encoding="utf-8")
    groups = re.findall(r'class="parameter-group">([^<]+)<', text)
    names = ["Model", "Attention and head", "Training", "Language model", "Few labels"]
    assert groups == [*names, "Machine"]
    first = r'class="parameter-group">[^<]+</p>\s*<dl.*?<dt><strong>(\w+)<'
    firsts = re.findall(first, text, flags=re.DOTALL)
    assert firsts[:3] == ["encoder", "layers", "trainable_layers"]
