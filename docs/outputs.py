"""Write the outputs of the code on pages.

python docs/outputs.py docs/quickstart.md

The blocks of a page run in order, in a temporary directory. What a block prints is
written into the block of text after it.
"""

import contextlib
import io
import os
import re
import sys
import tempfile
from pathlib import Path

BLOCK = re.compile(r"```python\n(.*?)```\n(?:\n```text\n(.*?)```\n)?", flags=re.DOTALL)


def run(code, namespace, name="page"):
    """Run a block of code and return what it prints."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(code, name, "exec"), namespace)
    lines = printed.getvalue().rstrip().split("\n")
    return "".join(line.rstrip() + "\n" for line in lines if printed.getvalue())


def with_outputs(text):
    """Return the text of a page with new outputs."""
    namespace = {}

    def replaced(block):
        code, _ = block.groups()
        output = run(code, namespace)
        shown = f"\n```text\n{output}```\n" if output else ""
        return f"```python\n{code}```\n{shown}"

    return BLOCK.sub(replaced, text)


def main(pages):
    """Write the outputs of the pages."""
    for page in map(Path.absolute, map(Path, pages)):
        text = page.read_text(encoding="utf-8")
        with tempfile.TemporaryDirectory() as directory:
            os.chdir(directory)
            page.write_text(with_outputs(text), encoding="utf-8")
            os.chdir(page.parent)
        print(page.name)


if __name__ == "__main__":
    main(sys.argv[1:])
