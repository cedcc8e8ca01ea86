"""Show the parameters of an estimator in the groups that its docstring names."""

import re

from docutils import nodes

import sklearn_attnft

GROUP = re.compile(r"([a-z][a-z ]*?) \(`(\w+)`")


def groups_of(name):
    """Return the name of the group that begins with a parameter, for each group."""
    own = getattr(sklearn_attnft, name).__doc__
    for text in (own, sklearn_attnft.AttentionFineTuneClassifier.__doc__):
        _, found, order = text.partition("The order of the parameters is:")
        if found:
            order = " ".join(order.partition("Parameters\n")[0].split())
            pairs = [
                (group.removeprefix("and "), first)
                for group, first in GROUP.findall(order)
            ]
            return {first: group[0].upper() + group[1:] for group, first in pairs}
    return {}


def divide(parameters, groups):
    """Replace a list of parameters by a heading and a list for each group."""
    parts = []
    for item in parameters.children:
        name = item.children[0].astext().partition(" ")[0]
        if name in groups:
            heading = nodes.paragraph("", groups[name], classes=["parameter-group"])
            parts += [heading, nodes.definition_list()]
        elif not parts:
            return  # such as a list of attributes
        parts[-1] += item.deepcopy()
    if len(parts) > 2:
        parameters.parent.replace(parameters, parts)


def group_parameters(app, doctree):
    """Divide the parameters on the page of each estimator."""
    name = app.env.docname.rpartition(".")[2]
    if app.env.docname.startswith("api/") and hasattr(sklearn_attnft, name):
        for field in list(doctree.findall(nodes.field)):
            title, body = field.children
            if title.astext() == "Parameters":
                for parameters in list(body.findall(nodes.definition_list))[:1]:
                    divide(parameters, groups_of(name))
                return  # those of the methods follow


def setup(app):
    """Register what is above."""
    app.connect("doctree-read", group_parameters)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
