"""Sphinx: `make docs` builds the site into docs/_build/html, without a network."""

import re

from docutils.nodes import SkipNode
from docutils.utils.math.latex2mathml import tex2mathml

from sklearn_attnft import __version__

project = "sklearn_attnft"
author = "the sklearn_attnft developers"
project_copyright = "the sklearn_attnft developers, BSD-3-Clause"
version = release = __version__

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_build", "**sg_execution_times.rst"]
templates_path = ["_templates"]
myst_enable_extensions = ["colon_fence", "dollarmath"]
myst_heading_anchors = 3

autosummary_generate = True
autodoc_typehints = "none"
toc_object_entries_show_parents = "hide"
numpydoc_show_class_members = False  # the template of a class lists them

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "auto_examples",
    "ignore_pattern": r"^(?!plot_|explain_)",  # other scripts do not become pages
    "filename_pattern": "",  # of those left, all are run
    "download_all_examples": False,
    "show_signature": False,
    "abort_on_example_error": True,
    "capture_repr": ("_repr_html_",),
}

html_theme = "pydata_sphinx_theme"
html_title = "sklearn_attnft"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_math_renderer = "mathml"
html_sidebars = {
    "index": [],
}
html_theme_options = {
    "logo": {"text": "sklearn_attnft"},
    "show_prev_next": True,
    "secondary_sidebar_items": ["page-toc"],
    "navbar_end": ["theme-switcher"],
    "footer_start": ["copyright"],
    "footer_end": [],
}
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True


def plain_roles(app, what, name, obj, options, lines):
    """Turn links of scikit-learn's docstrings into text: its pages are not here."""
    if getattr(obj, "__module__", "").startswith("sklearn."):
        role = r":(?:ref|term|class|func|meth|mod):`~?([^`<]+?)(?:\s*<[^>]*>)?`"
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
