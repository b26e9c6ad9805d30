"""What PATHs hold, with what their pipelines ask for: more versions than the latest, where they name some."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from inferd.core.errors import InferdError
from inferd.repository.spec import PIPELINE, ModelSpec
from inferd.repository.store import scan
from inferd.routing.pipeline.file import read_pipeline
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


def with_parts(spec: ModelSpec, specs: Iterable[ModelSpec]) -> list[ModelSpec]:
    """Return ``spec`` and all among ``specs`` that it asks, directly or by other pipelines."""
    by_name: dict[str, list[ModelSpec]] = {}
    for one in specs:
        by_name.setdefault(one.name, []).append(one)
    found = {(spec.name, spec.version): spec}
    line = [spec]
    for one in line:
        for call in _calls(one) if one.runtime == PIPELINE else ():
            for part in by_name.get(call.model, ()):
                if (part.name, part.version) not in found:
                    found[part.name, part.version] = part
                    line.append(part)
    return list(found.values())


def _calls(spec: ModelSpec) -> tuple[ModelCall, ...]:
    try:
        return calls_of(spec)
    except InferdError:  # who loads it says what is wrong with it
        return ()
