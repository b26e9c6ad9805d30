"""Which files of a PATH go into an image, and where they lie there.

Pure but for looking: nothing is read, copied or followed out of the PATH. A directory of a model goes
whole, without hidden files and caches. A lone file may lie anywhere, in somebody's home for one, so of
its directory goes only what belongs to it: its ``model.yaml``, the files which that names, those of the
same stem, and, for Python code, the other code beside it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from inferd.config.sources import load_yaml
from inferd.core.errors import ConfigError
from inferd.repository.layout import PIPELINE_FILE, inside, listing, own_files
from inferd.repository.modelfile import NAME
from inferd.repository.page import FOLDER
from inferd.repository.spec import PIPELINE, ModelSpec

_CODE = ".py"
REQUIREMENTS = "requirements.txt"
MOST_FILES = 10_000


@dataclass(frozen=True, slots=True, order=True)
class Copy:
    """One file: where it is, and where it goes below the directory of models."""

    target: PurePosixPath
    source: Path


def of_model(spec: ModelSpec) -> tuple[tuple[Copy, ...], str]:
    """Return the files of a model, and what ``inferd serve`` is given, below the models' directory.

    The latter is empty where that is the whole directory.
    """
    home = PurePosixPath(spec.name)
    if _lone(spec):
        return _of_file(spec, home)
    versioned = (spec.directory.parent.name, spec.directory.name) == (spec.name, spec.version)
    pipeline = spec.runtime == PIPELINE
    # A flat directory is told from a version's by its model.yaml or pipeline.yaml alone.
    told = pipeline or spec.modelfile is not None
    place = home / spec.version if versioned or not told else home
    found = list(_of_pipeline(spec.directory, place) if pipeline else _tree(spec.directory, place))
    if versioned and spec.modelfile is not None:
        found.append(Copy(home / NAME, spec.modelfile))
        found += _beside(spec.modelfile.parent, home)
    found += _page(spec, home, place)
    return tuple(sorted(set(found))), ""


def _lone(spec: ModelSpec) -> bool:
    origin = Path(spec.origin).expanduser()
    return not (origin.is_dir() or origin.name == PIPELINE_FILE)


def _of_pipeline(folder: Path, home: PurePosixPath) -> Iterator[Copy]:
    """Yield the files of a pipeline without those of the models beside it."""
    files, folders = own_files(folder)
    yield from (Copy(home / f.name, f) for f in files)
    for below in folders:
        yield from _tree(below, home / below.name)


def _beside(folder: Path, home: PurePosixPath) -> list[Copy]:
    """Return the files beside version directories, which ``model.yaml`` may name."""
    return [
        Copy(home / f.name, f) for f in listing(folder, folder).files if f.name != NAME
    ]  # fmt: skip


def _page(spec: ModelSpec, home: PurePosixPath, place: PurePosixPath) -> list[Copy]:
    """Return the files of a model's page: in ``place``, where its version is, or in ``home``."""
    if spec.page is None:
        return []
    where = place if spec.page.parent == spec.directory else home
    return list(_tree(spec.page, where / FOLDER))


def _tree(folder: Path, home: PurePosixPath) -> Iterator[Copy]:
    """Yield every visible file below a directory; raises where a link leads out of it."""
    pending = [(folder, home)]
    count = 0
    while pending:
        here, place = pending.pop()
        seen = listing(here, folder)
        pending += [(below, place / below.name) for below in seen.folders]
        count += len(seen.files)
        if count > MOST_FILES:
            raise ConfigError(
                f"{folder}: holds over {MOST_FILES} files", help="name the model's own directory"
            )
        yield from (Copy(place / f.name, f) for f in seen.files if f.suffix != ".pyc")


# ------------------------------------------------------------------------------ lone files


def _of_file(spec: ModelSpec, home: PurePosixPath) -> tuple[tuple[Copy, ...], str]:
    folder = spec.directory
    versioned = spec.modelfile is not None and spec.modelfile.parent != folder
    place = home / spec.version if versioned else home
    reference = spec.options.get("class") if spec.artifact is None or _is_code(spec) else None
    program = _program(spec, reference) if reference else spec.artifact
    if program is None:
        raise ConfigError(f"{spec.origin}: there is no file to put into an image")
    found = {Copy(place / program.name, inside(program, folder)), *_page(spec, home, place)}
    if spec.modelfile is not None:
        found.add(Copy(home / NAME, spec.modelfile))
        found |= _named(spec.modelfile, folder, place)
    if program.suffix == _CODE:
        found |= {Copy(place / f.name, f) for f in _siblings(folder) if f.suffix == _CODE}
        found |= {Copy(place / f.name, f) for f in _siblings(folder) if f.name == REQUIREMENTS}
    else:
        found |= {Copy(place / f.name, f) for f in _siblings(folder) if _of_stem(f, program)}
    asked = f"{place / program.name}"
    if reference and ":" in Path(spec.origin).name:
        asked += f":{reference.partition(':')[2]}"
    return tuple(sorted(found)), asked


def _is_code(spec: ModelSpec) -> bool:
    return spec.artifact is not None and spec.artifact.suffix == _CODE


def _program(spec: ModelSpec, reference: str) -> Path:
    module = reference.partition(":")[0]
    file = spec.directory / f"{module}{_CODE}"
    if "." in module or not file.is_file():
        raise ConfigError(
            f"{spec.origin}: {module} is no file of {spec.directory}, so it cannot be put into an image",
            help=f"put the code into a directory of a model, with `class: {reference}` in {NAME}",
        )
    return file


def _siblings(folder: Path) -> list[Path]:
    """Return the visible files of a directory that are no links out of it."""
    found = []
    for entry in sorted(folder.iterdir()):
        if not entry.name.startswith(".") and entry.is_file():
            real = entry.resolve()
            if real.is_relative_to(folder.resolve()):
                found.append(entry)
    return found


def _of_stem(file: Path, program: Path) -> bool:
    return re.fullmatch(rf"{re.escape(program.stem)}[._-].*", file.name) is not None


def _named(modelfile: Path, folder: Path, place: PurePosixPath) -> set[Copy]:
    """Return the files beside a lone artifact that its ``model.yaml`` names."""
    found = set()
    for text in _texts(load_yaml(modelfile).plain()):
        if len(text) < 256 and text not in ("", ".", "..") and "\0" not in text:
            file = folder / text
            if file.is_file():
                found.add(Copy(place / text, inside(file, folder)))
    return found


def _texts(value: Any) -> Iterable[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)
