"""Link the names of estimators and functions that pages write as code.

The names of scikit-learn are in docs/_inventories/scikit-learn.inv, so that the site is
built without a network. `python docs/_ext/name_links.py` writes that file from the
installed version.
"""

import re
from pathlib import Path

from docutils import nodes
from sphinx.util.nodes import make_refnode

INVENTORY = Path(__file__).parents[1] / "_inventories" / "scikit-learn.inv"
MODULES = [
    *("base", "calibration", "callback", "cluster", "compose", "datasets"),
    *("decomposition", "dummy", "ensemble", "exceptions", "feature_extraction.text"),
    *("feature_selection", "frozen", "inspection", "linear_model", "metrics"),
    *("model_selection", "multiclass", "multioutput", "naive_bayes", "neighbors"),
    *("neural_network", "pipeline", "preprocessing", "semi_supervised", "svm", "tree"),
    *("discriminant_analysis", "utils", "utils.discovery", "utils.estimator_checks"),
    *("utils.metadata_routing", "utils.validation"),
]
# Of modules without __all__.
OTHERS = [
    *("BaseEstimator", "ClassifierMixin", "RegressorMixin", "TransformerMixin"),
    *("clone", "check_estimator", "check_is_fitted", "parametrize_with_checks"),
]
CALL = re.compile(r"(\w+)(?:\(.*\))?", flags=re.DOTALL)


def write_inventory():
    """Write the public names of scikit-learn, in the first format of Sphinx."""
    import importlib

    import sklearn

    lines = [
        "# Sphinx inventory version 1",
        "# Project: scikit-learn",
        f"# Version: {sklearn.__version__}",
    ]
    for module in MODULES:
        found = importlib.import_module(f"sklearn.{module}")
        for name in sorted(getattr(found, "__all__", OTHERS)):
            value = vars(found).get(name)  # experimental names are not there
            if callable(value):
                kind = "class" if isinstance(value, type) else "function"
                whole = f"sklearn.{module}.{name}"
                lines.append(f"{whole} {kind} modules/generated/{whole}.html")
    INVENTORY.parent.mkdir(exist_ok=True)
    INVENTORY.write_text("\n".join(lines) + "\n", encoding="utf-8")


def our_names(env):
    """Return the page and the anchor of each public name of the package."""
    found = {}
    for name, entry in env.get_domain("py").objects.items():
        if entry.objtype in ("class", "function"):
            found[name.rpartition(".")[2]] = (entry.docname, entry.node_id)
    return found


def their_names(env):
    """Return the address of each public name of scikit-learn."""
    inventory = getattr(env, "intersphinx_named_inventory", {}).get("sklearn", {})
    return {
        name.rpartition(".")[2]: item.uri
        for kind in ("py:class", "py:function")
        for name, item in inventory.get(kind, {}).items()
    }


def link_names(app, doctree, docname):
    """Put a link around each such name in the text of a page."""
    ours, theirs = our_names(app.env), their_names(app.env)
    for code in list(doctree.findall(nodes.literal)):
        call = CALL.fullmatch(code.astext())
        parent = code.parent
        if call is None or isinstance(parent, nodes.reference | nodes.title):
            continue
        name = call[1]
        if name in ours and ours[name][0] != docname:
            page, anchor = ours[name]
            link = make_refnode(app.builder, docname, page, anchor, code.deepcopy())
        elif name in theirs:
            link = nodes.reference("", "", code.deepcopy(), refuri=theirs[name])
        else:
            continue
        parent.replace(code, link)


def setup(app):
    """Register what is above."""
    app.connect("doctree-resolved", link_names)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


if __name__ == "__main__":
    write_inventory()
