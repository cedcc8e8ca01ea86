# SPDX-License-Identifier: BSD-3-Clause
"""Share the documentation of parameters between estimators."""

import inspect
import re

_SECTION = re.compile(r"(?ms)^Parameters\n-+\n(.*?)(?=^\w[^\n]*\n-+\n|\Z)")
_ENTRY = re.compile(r"(?ms)^(\w+) : .*?(?=^\w+ : |\Z)")


def takes_parameter_docs(source):
    """Return a decorator that completes the "Parameters" section of a class docstring.

    If the docstring of the class does not describe a parameter, the description is
    copied from the docstring of the class `source`. The parameters get the order of the
    signature.
    """

    def complete(cls):
        if cls.__doc__ is None or source.__doc__ is None:  # python -OO
            return cls
        doc = inspect.cleandoc(cls.__doc__)
        entries = {**_entries(inspect.cleandoc(source.__doc__)), **_entries(doc)}
        wanted = "\n".join(entries[name] for name in inspect.signature(cls).parameters)
        start, stop = _SECTION.search(doc).span(1)
        cls.__doc__ = f"{doc[:start]}{wanted}\n\n{doc[stop:]}"
        return cls

    return complete


def _entries(doc):
    """Return the descriptions in the section "Parameters" by name."""
    section = _SECTION.search(doc).group(1)
    return {entry[1]: entry[0].rstrip() for entry in _ENTRY.finditer(section)}
