"""Build the quickstart repository: ``python -m examples.quickstart.build --out DIR``.

Each recipe trains one model on real data that a library ships and writes ``DIR/<model>``: the
artifact under ``1/``, ``model.yaml`` beside it. A model is built when it is missing or when what it
is made from changed (its recipe, its files, the libraries' versions); the digest of all that is kept
in ``DIR/.built.json``. A model appears whole or not at all: it is built aside and moved in.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

HERE = Path(__file__).parent
STAMPS = ".built.json"


@dataclass(frozen=True, slots=True)
class Recipe:
    """How one model is made.

    ``module`` holds ``build(folder) -> summary``, or the function ``function`` names. ``libraries``
    are what it needs installed, by distribution name; ``files`` what it copies from ``files/``.
    """

    model: str
    module: str
    libraries: tuple[str, ...]
    files: tuple[str, ...] = ()
    function: str = "build"


RECIPES: tuple[Recipe, ...] = (
    Recipe("iris", "tabular", ("scikit-learn", "skl2onnx"), function="iris"),
    Recipe("digits", "tabular", ("scikit-learn", "skl2onnx", "pillow"), function="digits"),
    Recipe("wine", "wine", ("scikit-learn", "torch"), ("net.py",)),
    Recipe("keywords", "python_class", (), ("keywords.py",)),
    Recipe("reviews", "sentences", ("snownlp", "torch", "onnx", "tokenizers"), function="ids"),
    Recipe("sentiment", "sentences", ("snownlp", "torch", "onnx", "tokenizers"), function="texts"),
)


def missing(recipe: Recipe) -> str:
    """Return the first library of the recipe that is not installed, or nothing."""
    for library in recipe.libraries:
        try:
            version(library)
        except PackageNotFoundError:
            return library
    return ""


def digest(recipe: Recipe) -> str:
    """Return what the model is made from as one hash."""
    made_of = hashlib.sha256(repr(recipe).encode())
    for library in recipe.libraries:
        made_of.update(f"{library}=={version(library)}\n".encode())
    for name in (f"{recipe.module}.py", *(f"files/{name}" for name in recipe.files)):
        made_of.update((HERE / name).read_bytes())
    return made_of.hexdigest()


def build(out: Path, recipes: Sequence[Recipe] = RECIPES) -> int:
    """Bring ``out`` up to date; print a line for each model. Returns how many were skipped."""
    out.mkdir(parents=True, exist_ok=True)
    stamps = _stamps(out)
    skipped = 0
    for recipe in recipes:
        lacking = missing(recipe)
        if lacking:
            skipped += 1
            print(f"{recipe.model:10} skipped: {lacking} is not installed", flush=True)
            continue
        wanted = digest(recipe)
        if stamps.get(recipe.model) == wanted and (out / recipe.model).is_dir():
            print(f"{recipe.model:10} up to date", flush=True)
            continue
        start = time.monotonic()
        summary = _make(out, recipe)
        stamps[recipe.model] = wanted
        (out / STAMPS).write_text(json.dumps(stamps, indent=1))
        print(f"{recipe.model:10} {summary}, {time.monotonic() - start:.1f} s", flush=True)
    return skipped


def _make(out: Path, recipe: Recipe) -> str:
    module = import_module(f"examples.quickstart.{recipe.module}")
    make: Callable[[Path], str] = getattr(module, recipe.function)
    aside = out / f".{recipe.model}.partial"
    shutil.rmtree(aside, ignore_errors=True)
    (aside / "1").mkdir(parents=True)
    for name in recipe.files:
        shutil.copyfile(HERE / "files" / name, aside / "1" / name)
    summary = make(aside)
    target = out / recipe.model
    shutil.rmtree(target, ignore_errors=True)
    aside.rename(target)
    return summary


def _stamps(out: Path) -> dict[str, str]:
    try:
        stamps = json.loads((out / STAMPS).read_text())
    except (OSError, ValueError):
        return {}
    return stamps if isinstance(stamps, dict) else {}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    parser = argparse.ArgumentParser(description="Build the quickstart models.")
    parser.add_argument("--out", type=Path, required=True, help="the repository to write")
    parser.add_argument("--only", nargs="+", metavar="MODEL", help="build these models alone")
    options = parser.parse_args(arguments)
    known = [recipe.model for recipe in RECIPES]
    for name in options.only or ():
        if name not in known:
            parser.error(f"no model named {name!r}; there are: {', '.join(known)}")
    chosen = [r for r in RECIPES if not options.only or r.model in options.only]
    if build(options.out, chosen):
        print("for the skipped ones: pip install 'inferd[quickstart]' torch==2.13.0")
    return 0


if __name__ == "__main__":
    sys.exit(main())
