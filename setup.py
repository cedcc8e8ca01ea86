"""Make the description of the package from README.md. setup.cfg has everything else."""

import re
from pathlib import Path


def description():
    """Return README.md without the images that are files of the repository.

    A package index shows the description without these files.
    """
    readme = Path(__file__).with_name("README.md").read_text(encoding="utf-8")
    return re.sub(r"^!\[[^\]]*\]\((?!https://)[^)]*\)\n+", "", readme, flags=re.M)


if __name__ == "__main__":
    from setuptools import setup

    setup(
        long_description=description(),
        long_description_content_type="text/markdown",
    )
