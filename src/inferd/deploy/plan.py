"""What goes into one image: models, the packages they need, and how the server is started.

Pure: from specs, which ``repository.store.scan`` read, to data. Only what the models need is named:
torch where a model runs on it, an image library where pictures are decoded.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path

from inferd.core.errors import ConfigError
from inferd.deploy.files import REQUIREMENTS, Copy, of_model
from inferd.deploy.imports import Imported, imported
from inferd.deploy.requirements import EXTRAS
from inferd.repository.layout import PIPELINE_FILE
from inferd.repository.spec import ModelSpec
from inferd.runtimes.registry import RUNTIMES
from inferd.transforms import audio, image, text

HTTP_PORT, GRPC_PORT, METRICS_PORT = 8000, 8001, 8003
MODELS = "/models"
"""Where models lie in an image."""

_BY_TRANSFORM = (
    {row.name: "image" for row in image.TRANSFORMS}
    | {row.name: "text" for row in text.TRANSFORMS}
    | {row.name: "audio" for row in audio.TRANSFORMS}
)
_BY_RUNTIME = {entry.name: entry.extra for entry in RUNTIMES if entry.extra in EXTRAS}


@dataclass(frozen=True, slots=True)
class Part:
    """The content of one image.

    ``files``: copied below ``/models``; ``paths``: what ``inferd serve`` is given there, with
    ``trusted`` models. ``extras``: of inferd. ``requirements``: files with what the models' own code needs.
    ``imports``: what code without such a file imports.
    """

    name: str
    models: tuple[str, ...]
    files: tuple[Copy, ...]
    paths: tuple[str, ...]
    extras: tuple[str, ...]
    requirements: tuple[Copy, ...] = ()
    trusted: tuple[str, ...] = ()
    imports: Imported = field(default_factory=Imported)

    @property
    def grpc(self) -> bool:
        """Whether the server in it speaks gRPC."""
        return "grpc" in self.extras

    @property
    def arguments(self) -> tuple[str, ...]:
        """The arguments of ``inferd serve``."""
        trust = tuple(word for name in self.trusted for word in ("--trust-pickle", name))
        return (*self.paths, *trust)


def part(
    name: str, specs: Sequence[ModelSpec], *, extras: Iterable[str] = (),
    trusted: Iterable[str] = (), steps: Iterable[str] = (), grpc: bool | None = None,
) -> Part:  # fmt: skip
    """Return the content of an image that serves ``specs``.

    ``extras``: wanted besides those that the models need; ``trusted``: models whose pickles may be
    loaded; ``steps``: transforms that pipelines apply; ``grpc``: whether it speaks gRPC, by default
    where that is installed here. Raises ``ConfigError`` where there is nothing to pack.
    """
    if not specs:
        raise ConfigError(f"{name}: there is no model to put into an image")
    if grpc is None:
        grpc = find_spec("grpc") is not None
    files: set[Copy] = set()
    paths: set[str] = set()
    for spec in specs:
        found, asked = of_model(spec)
        files |= set(found)
        paths.add(f"{MODELS}/{asked}" if asked else MODELS)
    _check_targets(files)
    needs = [f for f in sorted(files) if f.target.name == REQUIREMENTS]
    listed = {file.target.parts[0] for file in needs}
    wanted = {*extras, *_extras(specs), *(_BY_TRANSFORM.get(s, "") for s in steps)} - {""}
    served = {spec.name for spec in specs}
    return Part(
        name=name,
        models=tuple(sorted(served)),
        files=tuple(sorted(files)),
        paths=tuple(sorted(paths)),
        extras=tuple(sorted(wanted | ({"grpc"} if grpc else set()))),
        requirements=tuple(needs),
        trusted=tuple(sorted(served & set(trusted))),
        imports=imported(f for f in files if f.target.parts[0] not in listed),
    )


def alike(parts: Sequence[Part]) -> list[Part]:
    """Return the parts with the packages that any of them needs: they are installed once, in one layer.

    What a ``requirements.txt`` beside a model names stays with its part.
    """
    extras = tuple(sorted({extra for part in parts for extra in part.extras}))
    imports = Imported(
        tuple(sorted({name for part in parts for name in part.imports.distributions})),
        tuple(sorted({name for part in parts for name in part.imports.unknown})),
    )
    return [replace(part, extras=extras, imports=imports) for part in parts]


def by_grpc(specs: Iterable[ModelSpec]) -> frozenset[str]:
    """Return the models that are asked over gRPC: sound is larger in the JSON that asks for an answer in pieces."""
    return frozenset(
        spec.name for spec in specs if any(step.name == "decode_audio" for step in spec.preprocess)
    )


def _extras(specs: Iterable[ModelSpec]) -> set[str]:
    found = {_BY_RUNTIME[s.runtime] for s in specs if s.runtime in _BY_RUNTIME}
    steps = (step for s in specs for step in (*s.preprocess, *s.postprocess))
    return found | {_BY_TRANSFORM[s.name] for s in steps if s.name in _BY_TRANSFORM}


def _check_targets(files: Iterable[Copy]) -> None:
    seen: dict[str, Path] = {}
    for file in files:
        other = seen.setdefault(str(file.target), file.source)
        if other != file.source:
            raise ConfigError(
                f"two files would be {MODELS}/{file.target} in the image: {other} and {file.source}",
                help="name the directory of the repository instead",
            )


def title(path: str | Path) -> str:
    """Return the name of what a PATH serves: of its directory or file, or of its class."""
    target = Path(path).expanduser()
    if target.name == PIPELINE_FILE:
        target = target.absolute().parent
    if target.is_dir():
        return target.resolve().name
    return target.name.rpartition(":")[2] if ":" in target.name else target.stem
