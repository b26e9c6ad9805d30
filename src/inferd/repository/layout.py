"""Where a PATH leads: files, version directories, model directories, repositories, classes.

::

    <repository>/<model>/<version>/<artifact>      and optionally <model>/model.yaml
    <model>/model.yaml + <artifact>                a flat model: version 1
    <artifact>                                     a lone file: name = stem, version 1
    module:Class   file.py:Class                   Python code, version 1
    <app>/pipeline.yaml + <app>/<model>/...        an application: the pipeline <app> and its models

A ``pipeline.yaml`` stands where an artifact would: in a version directory, a flat one, or beside the
directories of the models it asks, which are served too. Named by itself it stands for its directory.

A ``model.yaml`` beside a file that is named by itself is that file's too: nothing that was written
down is passed over because of how the PATH was given.

Only names, kinds and sizes are looked at here, never contents. Hidden files are ignored. Nothing
reached through a PATH may lie outside it, symbolic links included. Versions are whole numbers and
are ordered as numbers.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

from inferd.core.errors import ConfigError, ModelFileError, nearest
from inferd.repository.modelfile import NAME
from inferd.repository.readers import OBJECT

LEGAL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
"""What a model's name looks like; it is part of URLs, metrics and log lines."""

_VERSION = re.compile(r"0|[1-9]\d{0,17}", re.ASCII)
_ALMOST_VERSION = re.compile(r"v?\d[\d._-]*", re.ASCII)
_CODE = ".py"
PIPELINE_FILE = "pipeline.yaml"
SCRIPTS = "code"
"""Where a script of SageMaker's toolkits lies, below the directory of its model."""

MAX_ENTRIES = 10_000


@dataclass(frozen=True, slots=True)
class Place:
    """One version found: ``root`` is what nothing may reach out of, ``file`` the artifact if given.

    ``reference`` is the ``module:Class`` of a PATH that names one.
    """

    name: str
    version: str
    directory: Path
    root: Path
    origin: str
    file: Path | None = None
    modelfile: Path | None = None
    reference: str | None = None


def find(path: str | Path, endings: Collection[str], *, every: bool = False) -> list[Place]:
    """Return what a PATH serves: the latest version of each model, or ``every`` one.

    ``endings`` are those of servable artifacts (``.onnx`` ...). Raises ``ConfigError`` or
    ``ModelFileError`` naming the path.
    """
    origin = str(path)
    if "\0" in origin or not origin:
        raise ConfigError(f"{origin!r} is not a path")
    target = Path(origin).expanduser()
    try:
        if target.is_dir():
            return _distinct(_directory(target, origin, endings, every=every))
        if target.is_file() and target.name == PIPELINE_FILE:
            return _distinct(_directory(target.absolute().parent, origin, endings, every=every))
        if target.is_file():
            return [_file(target, origin)]
        if target.exists():
            raise ModelFileError(f"{origin}: is neither a file nor a directory")
    except OSError as error:
        raise ConfigError(f"{origin}: cannot be read: {error.strerror or error}") from None
    if ":" in target.name:
        return [_reference(origin)]
    raise _missing(target, origin)


def whole(path: str | Path, marks: Callable[[Path], bool]) -> str | Path:
    """Return the directory that is the artifact, where ``path`` is the file that ``marks`` it as one."""
    file = Path(path).expanduser()
    return file.absolute().parent if marks(file) else path


def _missing(target: Path, origin: str) -> ConfigError:
    if target.is_symlink():
        return ConfigError(f"{origin}: is a link to {target.readlink()}, which does not exist")
    try:
        beside = sorted(p.name for p in target.parent.iterdir() if not p.name.startswith("."))
    except OSError:
        return ConfigError(f"{origin}: no such file; {target.parent} is not a directory either")
    help = nearest(target.name, beside[:200]) if beside else None
    if help is not None and not help.startswith("did you mean"):
        help = "a PATH is a model file, a repository or module:Class"
    return ConfigError(f"{origin}: no such file or directory", help=help)


def _reference(origin: str) -> Place:
    before, _, name = origin.rpartition(":")
    if before.endswith(_CODE):
        file = Path(before).expanduser()
        if not file.is_file():
            raise _missing(file, before)
        reference, directory = f"{file.stem}:{name}", file.absolute().parent
    else:
        reference, directory = origin, Path.cwd()
        file = directory / f"{before}{_CODE}"
    if not OBJECT.fullmatch(reference):
        raise ConfigError(
            f"{origin}: no such file, and not a module:Class either",
            help="write a path, or for example `sentiment:Sentiment`",
        )
    found = _described(directory) if file.is_file() else None
    root = found.parent if found else directory
    return Place(name, "1", directory, root, origin, modelfile=found, reference=reference)


def _described(directory: Path) -> Path | None:
    """Return the ``model.yaml`` of whatever lies in ``directory``: a version's or a flat model's."""
    own = directory / NAME
    if not _VERSION.fullmatch(directory.name):
        return own if own.is_file() else None
    if own.is_file():
        raise _misplaced(own, directory.parent)
    above = directory.parent / NAME
    return above if above.is_file() else None


def _file(target: Path, origin: str) -> Place:
    target = target.absolute()
    parent = target.parent
    found = _described(parent)
    if found is not None and found.parent != parent:
        name = legal(parent.parent.name, str(parent.parent))
        return Place(name, parent.name, parent, parent.parent, origin, target, found)
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", target.stem).strip("-._")[:128]
    if not LEGAL.fullmatch(name):
        raise ConfigError(
            f"{origin}: no model name can be made of {target.stem!r}",
            help="rename the file, or put it into <name>/1/",
        )
    return Place(name, "1", parent, parent, origin, target, found)


def legal(name: str, place: str) -> str:
    """Return ``name`` if it is a legal model name; raises ``ConfigError`` naming the place."""
    if not LEGAL.fullmatch(name):
        raise ConfigError(
            f"{place}: {name!r} is not a legal model name",
            help="letters, digits, '.', '_' and '-', beginning with a letter or digit, at most 128",
        )
    return name


# -------------------------------------------------------------------------------- directories


@dataclass(frozen=True, slots=True)
class Listing:
    """The visible entries of one directory, by kind, in order of name."""

    files: tuple[Path, ...]
    folders: tuple[Path, ...]

    def versions(self) -> list[Path]:
        """Return version directories, the latest last."""
        found = [p for p in self.folders if _VERSION.fullmatch(p.name)]
        return sorted(found, key=lambda p: int(p.name))


def listing(directory: Path, root: Path) -> Listing:
    """List a directory without hidden entries; refuses links that lead out of ``root``."""
    files: list[Path] = []
    folders: list[Path] = []
    try:
        entries = sorted(directory.iterdir())
    except OSError as error:
        raise ConfigError(f"{directory}: cannot be listed: {error.strerror or error}") from None
    if len(entries) > MAX_ENTRIES:
        raise ConfigError(f"{directory}: holds {len(entries)} entries, over {MAX_ENTRIES}")
    for entry in entries:
        if entry.name.startswith(".") or entry.name == "__pycache__":
            continue
        inside(entry, root)
        if entry.is_dir():
            folders.append(entry)
        elif entry.is_file():
            files.append(entry)
    return Listing(tuple(files), tuple(folders))


def inside(path: Path, root: Path) -> Path:
    """Return ``path``; raises ``ModelFileError`` where it leads out of ``root`` or nowhere."""
    try:
        real = path.resolve(strict=True)
        top = root.resolve(strict=True)
    except (OSError, RuntimeError) as error:
        raise ModelFileError(f"{path}: cannot be followed: {error}") from None
    if real != top and not real.is_relative_to(top):
        raise ModelFileError(
            f"{path}: is a link that leads out of {root}, to {real}",
            help="copy the file into the repository, or serve the target's own path",
        )
    return path


def _directory(
    target: Path, origin: str, endings: Collection[str], *, every: bool
) -> list[Place]:  # fmt: skip
    target = target.absolute()
    seen = listing(target, target)
    if _named(seen, PIPELINE_FILE):
        if _VERSION.fullmatch(target.name):
            return [_version(target, target.parent, target.parent, origin)]
        return _application(target, seen, target, origin, endings, every=every)
    if seen.versions() or (_almost(seen) and not _repository(seen, target)):
        return _model(target, seen, target, origin, every=every)
    if (
        _VERSION.fullmatch(target.name)
        and (seen.files or _scripted(seen))
        and not _repository(seen, target)
    ):
        return [_version(target, target.parent, target.parent, origin)]
    if _named(seen, NAME) or not _repository(seen, target):
        if not seen.files and not _scripted(seen):
            raise ConfigError(
                f"{origin}: is an empty directory" if not seen.folders
                else f"{origin}: holds no model: {seen.folders[0].name}/ has no version directory",
                help="a repository is <model>/<version>/<artifact>, for example iris/1/iris.onnx",
            )  # fmt: skip
        return [_flat(target, seen, target, origin)]
    loose = [f.name for f in seen.files if f.suffix.lower() in endings]
    if loose:
        raise ConfigError(
            f"{origin}: {loose[0]} lies loose beside model directories",
            help=f"put it into {Path(loose[0]).stem}/1/",
        )
    places: list[Place] = []
    for folder in seen.folders:
        inner = listing(folder, target)
        if _named(inner, PIPELINE_FILE):
            places += _application(folder, inner, target, origin, endings, every=every)
        else:
            places += _model(folder, inner, target, origin, every=every)
    return places


def _application(
    folder: Path, seen: Listing, root: Path, origin: str, endings: Collection[str], *, every: bool
) -> list[Place]:  # fmt: skip
    """Return a pipeline and the models in the directories beside it; others are its own affair."""
    versions = seen.versions()
    if versions:
        raise ConfigError(
            f"{folder / PIPELINE_FILE}: lies beside version directories",
            help=f"move it into {folder.name}/{versions[-1].name}/",
        )
    loose = [f.name for f in seen.files if f.suffix.lower() in endings and f.suffix != _CODE]
    if loose:
        raise ConfigError(
            f"{folder}: {loose[0]} lies loose beside {PIPELINE_FILE}",
            help=f"put it into {Path(loose[0]).stem}/1/",
        )
    places = [_flat(folder, seen, root, origin)]
    for inner in seen.folders:
        found = listing(inner, root)
        if _named(found, PIPELINE_FILE):
            places += _application(inner, found, root, origin, endings, every=every)
        elif _is_model(found, endings):
            places += _model(inner, found, root, origin, every=every)
    return places


def _is_model(seen: Listing, endings: Collection[str]) -> bool:
    """Whether a directory beside a pipeline is a model, and no package or files of the pipeline."""
    if seen.versions() or _almost(seen) or _named(seen, NAME) or _scripted(seen):
        return True
    return any(f.suffix.lower() in endings and f.suffix != _CODE for f in seen.files)


def own_files(directory: Path) -> tuple[tuple[Path, ...], list[Path]]:
    """Return the files of a pipeline's directory, and the directories in it that are no models."""
    seen = listing(directory, directory)
    found = [(folder, listing(folder, directory)) for folder in seen.folders]
    own = [f for f, inner in found if not (_named(inner, PIPELINE_FILE) or _is_model(inner, ()))]
    return seen.files, own


def _distinct(places: list[Place]) -> list[Place]:
    """Refuse two models of one name: those of applications are served under their own names."""
    seen: dict[str, Path] = {}
    for place in places:
        numbered = (place.directory.parent.name, place.directory.name)
        folder = place.directory
        if numbered == (place.name, place.version):
            folder = folder.parent
        other = seen.setdefault(place.name, folder)
        if other != folder:
            raise ConfigError(
                f"two models are named {place.name!r}: {other} and {folder}",
                help="rename one of them",
            )
    return places


def _repository(seen: Listing, root: Path) -> bool:
    """Whether any folder looks like a model: versions in it, or a model.yaml."""
    for folder in seen.folders:
        inner = listing(folder, root)
        if inner.versions() or _almost(inner) or _scripted(inner):
            return True
        if _named(inner, NAME) or _named(inner, PIPELINE_FILE):
            return True
    return False


def _scripted(seen: Listing) -> bool:
    """Whether a directory holds a directory of scripts, which is no model by itself."""
    return any(p.name == SCRIPTS and any(p.glob(f"*{_CODE}")) for p in seen.folders)


def _almost(seen: Listing) -> list[Path]:
    return [
        p for p in seen.folders
        if _ALMOST_VERSION.fullmatch(p.name) and not _VERSION.fullmatch(p.name)
    ]  # fmt: skip


def _named(seen: Listing, name: str) -> Path | None:
    return next((f for f in seen.files if f.name == name), None)


def _model(
    folder: Path, seen: Listing, root: Path, origin: str, *, every: bool
) -> list[Place]:  # fmt: skip
    almost = _almost(seen)
    if almost:
        raise ConfigError(
            f"{almost[0]}: a version is a plain number, not {almost[0].name!r}",
            help=f"rename it to {re.sub(r'[^0-9].*', '', almost[0].name.lstrip('v0')) or '1'}",
        )
    versions = seen.versions()
    if not versions:
        if seen.files or _scripted(seen):
            return [_flat(folder, seen, root, origin)]
        raise ConfigError(
            f"{folder}: holds no version", help=f"put the model's file into {folder.name}/1/"
        )
    return [_version(v, folder, root, origin) for v in (versions if every else versions[-1:])]


def _version(directory: Path, folder: Path, root: Path, origin: str) -> Place:
    modelfile = folder / NAME
    if (directory / NAME).is_file():
        raise _misplaced(directory / NAME, folder)
    if modelfile.is_file():
        inside(modelfile, root)
    name = legal(folder.name, str(folder))
    found = modelfile if modelfile.is_file() else None
    return Place(name, directory.name, directory, root, origin, modelfile=found)


def _misplaced(modelfile: Path, folder: Path) -> ConfigError:
    return ConfigError(
        f"{modelfile}: belongs beside the version directories, in {folder.name}/",
        help=f"move it to {folder / NAME}",
    )


def _flat(folder: Path, seen: Listing, root: Path, origin: str) -> Place:
    name = legal(folder.name, str(folder))
    return Place(name, "1", folder, root, origin, modelfile=_named(seen, NAME))
