"""A build context on disk: what a part and a recipe say, written and copied.

A directory that somebody else filled is left alone: it is written into only where it is new, empty or
made here, which the Dockerfile's first line tells.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from inferd.core.errors import ConfigError
from inferd.deploy import dockerfile, requirements, wheel
from inferd.deploy.dockerfile import Recipe
from inferd.deploy.plan import Part
from inferd.repository.layout import PIPELINE_FILE

_MADE = "# Written by `inferd "
_OWNED = ("models", "needs", "wheels")


@dataclass(frozen=True, slots=True)
class Given:
    """What the user gives for a build: files of wheels, and a CA bundle for the builder."""

    wheels: tuple[Path, ...] = ()
    certificates: Path | None = None
    lock: str | None = None


def write_context(part: Part, recipe: Recipe, given: Given, directory: Path) -> Recipe:
    """Write a build context; returns the recipe as it was completed.

    Raises ``ConfigError`` where the directory holds something else, ``MissingExtra`` where a needed
    library is not installed here, and so has no version to pin.
    """
    lock = wheel.lock_text() if given.lock is None else given.lock
    pins = requirements.pins(part.extras, lock, part.imports.distributions)
    texts = {"requirements.txt": requirements.requirements_text(pins), **_needs(part, pins)}
    if given.certificates is not None:
        texts["ca.pem"] = _read(given.certificates)
    dockerfile.dockerfile(part, recipe)  # what it refuses is refused before anything is written
    claim(directory, "Dockerfile")
    _clear(directory)
    recipe = replace(
        recipe,
        torch=pins.torch,
        hashed=bool(pins.hashes),
        certificates=given.certificates is not None,
        wheel=_own_wheel(given.wheels, directory),
        wheels=_other_wheels(given.wheels, directory),
    )
    texts["Dockerfile"] = dockerfile.dockerfile(part, recipe)
    texts[".dockerignore"] = dockerfile.dockerignore(part, recipe)
    write(texts, directory)
    if recipe.baked:
        _copy_models(part, directory / "models")
    return recipe


def _clear(directory: Path) -> None:
    """Remove what an earlier call left and this one may not write again."""
    for name in _OWNED:
        shutil.rmtree(directory / name, ignore_errors=True)
    for old in (directory / "ca.pem", *directory.glob("inferd-*.whl")):
        old.unlink(missing_ok=True)


def place(path: str, output: Path | None, usual: str) -> Path:
    """Return where to write: ``output``, else ``usual`` here, or beside PATH where here is inside it.

    Raises ``ConfigError`` for a place inside PATH: what is written there would be served, and packed.
    """
    target = Path(path).expanduser()
    target = target if target.is_dir() else target.parent
    whole = Path(path).expanduser().is_dir() or Path(path).name == PIPELINE_FILE
    chosen = output if output is not None else Path(usual)
    if not whole or not chosen.resolve().is_relative_to(target.resolve()):
        return chosen
    beside = target.resolve().parent / f"{target.resolve().name}-{usual}"
    if output is None:
        return Path(os.path.relpath(beside))
    raise ConfigError(
        f"--output {output}: lies inside {target}, and would be served with it",
        help=f"write elsewhere, for example --output {os.path.relpath(beside)}",
    )


def claim(directory: Path, first: str) -> None:
    """Make a directory to write into; raises ``ConfigError`` where it is somebody else's."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        held = sorted(p.name for p in directory.iterdir())
        file = directory / first
        mine = file.is_file() and file.read_text(encoding="utf-8").startswith(_MADE)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{directory}: cannot be written into: {error}") from None
    if held and not mine:
        raise ConfigError(
            f"{directory}: holds {held[0]}, and no {first} of ours",
            help="choose another directory: --output DIR",
        )


def write(texts: Mapping[str, str], directory: Path) -> None:
    """Write texts by relative path."""
    for name, text in sorted(texts.items()):
        file = directory / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8", newline="\n")


def _needs(part: Part, pins: requirements.Pins) -> dict[str, str]:
    texts = [_read(copy.source) for copy in part.requirements]
    if not texts:
        return {}
    numbered = {f"needs/{number}.txt": text for number, text in enumerate(texts, 1)}
    return {**numbered, "needs/constraints.txt": requirements.constraints_text(pins, texts)}


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file}: cannot be read: {error}") from None


def _own_wheel(wheels: Sequence[Path], directory: Path) -> str | None:
    own = [w for w in wheels if w.name.startswith("inferd-")]
    if own:
        return shutil.copyfile(own[0], directory / own[0].name).name
    return wheel.make_wheel(directory).name if wheel.checkout() else None


def _other_wheels(wheels: Iterable[Path], directory: Path) -> bool:
    others = [w for w in wheels if not w.name.startswith("inferd-")]
    for file in others:
        (directory / "wheels").mkdir(exist_ok=True)
        shutil.copyfile(file, directory / "wheels" / file.name)
    return bool(others)


def _copy_models(part: Part, directory: Path) -> None:
    """Copy the models; whoever runs the container may read them and nobody may write."""
    for copy in part.files:
        target = directory / copy.target
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(copy.source, target)
        target.chmod(0o644)
    for folder in (directory, *directory.rglob("*")):
        if folder.is_dir():
            folder.chmod(0o755)
