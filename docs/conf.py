"""Sphinx: `make docs` builds the site into docs/_build/html, without a network."""

import os
import re
import sys
from pathlib import Path

from docutils.nodes import SkipNode
from docutils.utils.math.latex2mathml import tex2mathml

from sklearn_attnft import __version__

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "sklearn_attnft"
author = "the sklearn_attnft developers"
project_copyright = "the sklearn_attnft developers, BSD-3-Clause"
version = release = __version__

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.intersphinx",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
    "gallery",
    "name_links",
    "parameter_groups",
]
exclude_patterns = ["_build", "_ext", "_inventories", "**sg_execution_times.rst"]
templates_path = ["_templates"]
myst_enable_extensions = ["colon_fence", "dollarmath"]
myst_heading_anchors = 3

# A stored inventory, so that the site is built without a network.
intersphinx_mapping = {
    "sklearn": (
        "https://scikit-learn.org/stable/",
        "_inventories/scikit-learn.inv",
    )
}
default_role = "literal"
autosummary_generate = True
autodoc_typehints = "none"
toc_object_entries_show_parents = "hide"
numpydoc_show_class_members = False  # the template of a class lists them

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "auto_examples",
    "subsection_order": [f"../examples/{name}" for name in ("start", "tasks", "trust")],
    "within_subsection_order": "gallery.ExampleOrder",
    "backreferences_dir": "api/backreferences",
    "doc_module": ("sklearn_attnft",),
    "ignore_pattern": r"^(?!plot_|explain_)",  # other scripts do not become pages
    "filename_pattern": "",  # of those left, all are run
    "download_all_examples": False,
    "show_signature": False,
    "abort_on_example_error": True,
    "parallel": min(4, os.cpu_count()),
    "capture_repr": ("_repr_html_",),
}

html_theme = "pydata_sphinx_theme"
html_title = "sklearn_attnft"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_js_files = ["site.js"]
# Cards of social networks need absolute addresses.
html_baseurl = os.environ.get("SITE_URL", "")
html_context = {"site_url": html_baseurl}
html_favicon = "_static/favicon.svg"
html_copy_source = False
html_math_renderer = "mathml"
html_sidebars = {
    "index": [],
}
html_theme_options = {
    "logo": {
        "text": f"sklearn_attnft {version}",
        "alt_text": "sklearn_attnft: home",
        "image_light": "_static/logo.svg",
        "image_dark": "_static/logo.svg",
    },
    "show_prev_next": True,
    "secondary_sidebar_items": ["page-toc"],
    "navbar_end": ["theme-switcher"],
    "footer_start": ["copyright"],
    "footer_end": [],
}
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True


def plain_roles(app, what, name, obj, options, lines):
    """Turn links of scikit-learn's docstrings into text, if they are not to names."""
    if getattr(obj, "__module__", "").startswith("sklearn."):
        role = r":(?:ref|term|mod|meth):`~?([^`<]+?)(?:\s*<[^>]*>)?`"
        lines[:] = [re.sub(role, r"\1", line) for line in lines]


def show_math(as_block):
    """Return what writes an equation as MathML, which browsers show without scripts."""

    def visit(translator, node):
        translator.body.append(tex2mathml(node.astext(), as_block=as_block))
        raise SkipNode

    return visit


def setup(app):
    """Register what is above."""
    app.connect("autodoc-process-docstring", plain_roles)
    app.add_html_math_renderer(
        "mathml", (show_math(False), None), (show_math(True), None)
    )
