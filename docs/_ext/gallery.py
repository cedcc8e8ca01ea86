"""Order of the gallery, and a description of each of its thumbnails."""

import re

from docutils import nodes

FIRST = ["plot_fine_tune.py", "plot_few_labels.py", "plot_calibration.py"]


class ExampleOrder:
    """Sort key of the examples in a folder: those of FIRST, then by name."""

    def __init__(self, source_directory):
        self.source_directory = source_directory

    def __call__(self, file):
        """Return the key of an example."""
        return file not in FIRST, file


def describe_thumbnails(app, doctree):
    """Give each thumbnail the title of its example as its description."""
    for image in doctree.findall(nodes.image):
        if not image.get("alt") and "thumb" in image["uri"]:
            after = image.parent.parent.children
            titles = (re.search(r'title">(.*?)</div>', n.astext()) for n in after)
            place = after.index(image.parent)
            found = [title[1] for title in list(titles)[place:] if title]
            image["alt"] = f"Figure of the example: {found[0]}" if found else ""


def setup(app):
    """Register what is above."""
    app.connect("doctree-read", describe_thumbnails)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
