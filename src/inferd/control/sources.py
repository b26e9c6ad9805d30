"""What PATHs hold, with what their pipelines ask for: more versions than the latest, where they name some."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from inferd.core.errors import InferdError, InvalidInput
from inferd.repository.layout import find
from inferd.repository.spec import PIPELINE, ModelSpec
from inferd.repository.store import scan
from inferd.routing.pipeline.definition.file import read_pipeline
from inferd.routing.pipeline.spec import ModelCall
from inferd.runtimes.detect import Detector


def read_specs(
    paths: Sequence[str | Path], *, trust_pickle: Collection[str] = (), every: bool = False,
    program: str | None = None,
) -> list[ModelSpec]:  # fmt: skip
    """Return a spec for each model that the PATHs hold: the latest version, and those pipelines name.

    The arguments are those of ``repository.store.scan``. Raises ``InferdError`` naming the file.
    """
    formats = Detector()
    specs = scan(paths, formats, trust_pickle=trust_pickle, every=every, program=program)
    wanted = {
        (call.model, version)
        for spec in specs if spec.runtime == PIPELINE
        for call in calls_of(spec)
        if (version := _version(call, specs)) is not None
    } - {(spec.name, spec.version) for spec in specs}  # fmt: skip
    if wanted and not every:
        found = scan(paths, formats, trust_pickle=trust_pickle, every=True, program=program)
        specs += [spec for spec in found if (spec.name, spec.version) in wanted]
    return specs


def _version(call: ModelCall, specs: Iterable[ModelSpec]) -> str | None:
    """Return the version that a step names, by its number or a label."""
    if call.version is None:
        return None
    labels = next((s.version_labels for s in specs if s.name == call.model), {})
    return labels.get(call.version, call.version)


def calls_of(spec: ModelSpec) -> tuple[ModelCall, ...]:
    """Return what a pipeline asks; raises ``ConfigError`` naming file and line."""
    assert spec.artifact is not None
    return read_pipeline(spec.artifact, spec.name).models


def wholes(specs: Iterable[ModelSpec]) -> list[ModelSpec]:
    """Return the specs that no pipeline among them asks."""
    known = list(specs)
    parts = {call.model for spec in known if spec.runtime == PIPELINE for call in _calls(spec)}
    return [spec for spec in known if spec.name not in parts]


def with_parts(spec: ModelSpec, specs: Sequence[ModelSpec]) -> list[ModelSpec]:
    """Return ``spec`` and all among ``specs`` that it asks, directly or by other pipelines."""
    found = {(spec.name, spec.version): spec}
    line = [spec]
    for one in line:
        for call in _calls(one) if one.runtime == PIPELINE else ():
            version = _version(call, specs)
            named = [s for s in specs if s.name == call.model and version in (None, s.version)]
            part = max(named, key=lambda s: int(s.version), default=None)
            if part is not None and (part.name, part.version) not in found:
                found[part.name, part.version] = part
                line.append(part)
    return list(found.values())


def chosen(
    path: str | Path, model: str | None, version: str | None, trust_pickle: bool | Collection[str]
) -> list[ModelSpec]:
    """Return the one model of a PATH that is meant, and after it what it asks, if it is a pipeline.

    Parts of pipelines are meant only where they are named. Raises ``InvalidInput`` where there are several.
    """
    trusted: Collection[str]
    if not isinstance(trust_pickle, bool):
        trusted = trust_pickle
    else:  # only what is meant is loaded, and it may be made of several
        trusted = _names(path) if trust_pickle else ()
    specs = read_specs([path], trust_pickle=trusted, every=version is not None)
    among = specs if model is not None else wholes(specs)
    found = [s for s in among if model in (None, s.name) and version in (None, s.version)]
    if model is not None and version is None:  # a pipeline may ask an older one beside the latest
        found = found[:1]
    if len(found) == 1:
        return with_parts(found[0], specs)
    names = ", ".join(sorted({f"{s.name} (version {s.version})" for s in specs}))
    if not found:
        raise InvalidInput(f"{path} holds no such model", help=f"there are: {names}")
    raise InvalidInput(f"{path} holds several models", help=f"name one of: {names}")


def _names(path: str | Path) -> list[str]:
    """Return the names of the models that ``path`` holds, whatever their files are."""
    return list(dict.fromkeys(place.name for place in find(path, Detector().endings)))


def _calls(spec: ModelSpec) -> tuple[ModelCall, ...]:
    try:
        return calls_of(spec)
    except InferdError:  # who loads it says what is wrong with it
        return ()
