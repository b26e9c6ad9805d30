"""``check``: would this model serve? Loads it in a throw-away worker and says what it found."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from inferd.config.settings import Settings
from inferd.control.curves import CurveStore
from inferd.control.loader import LoadedModel, Loader, LoadSettings
from inferd.control.models import apart
from inferd.control.pipeline.loaded import LoadedPipeline
from inferd.control.pipeline.loader import Pipelines
from inferd.control.sources import read_specs
from inferd.core.errors import InferdError, ModelFileError
from inferd.repository.spec import ModelSpec
from inferd.routing.pipeline.check.unused import unused
from inferd.routing.table import RouteTable

SLOW_LOAD = 30.0
SLOW_RUN = 1.0


@dataclass(slots=True)
class CheckReport:
    """What was found, one row for each model."""

    ok: bool = True
    models: list[dict[str, Any]] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form that ``inferd check --json`` prints."""
        return {"ok": self.ok, "models": self.models}


async def run_check(path: str, settings: Settings) -> CheckReport:
    """Check every model that ``path`` holds. Problems are in the report; nothing is remembered.

    Models are loaded one by one, those of pipelines together.
    """
    report = CheckReport()
    trusted: Collection[str] = settings.workers.trust_pickle
    try:
        specs = read_specs([path], trust_pickle=trusted)
    except InferdError as error:
        name = Path(path).stem if ":" not in path else path
        report.ok = False
        report.models.append({"model": name, "version": "-", "problems": [_problem(error)]})
        return report
    models, pipelines = apart(specs)
    load = LoadSettings(
        instances=1, slots=settings.workers.slots, threads=settings.workers.threads,
        max_size=settings.batching.max_size,
    )  # fmt: skip
    loader = Loader(RouteTable(), load, CurveStore(None))
    over = Pipelines(loader, load.limits)
    try:
        for spec in models:
            report.models.append(await _check(spec, loader))
            if not pipelines:
                await loader.unload(spec.name, spec.version, 1.0)
        report.models += await _check_pipelines(pipelines, over)
    finally:
        await over.stop(1.0)
        await loader.stop(1.0)
    problems = [p for row in report.models for p in row["problems"]]
    report.ok = not any(p["level"] == "error" for p in problems)
    return report


async def _check(spec: ModelSpec, loader: Loader) -> dict[str, Any]:
    row = _row(spec)
    try:
        model = await loader.load(spec)
        _describe(model, row)
    except InferdError as error:
        row["problems"].append(_problem(error))
    return row


async def _check_pipelines(specs: Sequence[ModelSpec], over: Pipelines) -> list[dict[str, Any]]:
    """Load pipelines whose models were loaded; each says for itself what is wrong with it."""
    rows, announced = [_row(spec) for spec in specs], []
    for spec, row in zip(specs, rows, strict=True):
        try:
            announced += await over.announce([spec])
        except InferdError as error:
            row["problems"].append(_problem(error))
    with contextlib.suppress(InferdError):  # each pipeline has its own
        await over.bring_up(announced)
    by_version = {(p.spec.name, p.spec.version): p for p in announced}
    for spec, row in zip(specs, rows, strict=True):
        pipeline = by_version.get((spec.name, spec.version))
        if pipeline is not None:
            _describe_pipeline(pipeline, row)
    return rows


def _row(spec: ModelSpec) -> dict[str, Any]:
    return {
        "model": spec.name, "version": spec.version, "runtime": spec.runtime, "problems": [],
    }  # fmt: skip


def _describe_pipeline(pipeline: LoadedPipeline, row: dict[str, Any]) -> None:
    version = pipeline.version
    if pipeline.error is not None:
        row["problems"].append(_problem(pipeline.error))
    elif not version.ready:
        row["problems"].append(_problem(ModelFileError(version.reason)))
    row["steps"] = [step.name for step in pipeline.written.steps]
    row["parts"] = list(version.parts)
    row["problems"] += [_remark(message, help_) for message, help_ in unused(pipeline.written)]
    if version.signature is None:
        return
    row["signature"] = version.signature.to_json()
    row["load_seconds"] = pipeline.load_seconds
    if pipeline.spec.warmup is None:
        row["problems"].append(
            _remark(
                "there are no golden requests: nothing went through all of its steps yet",
                "give real samples: warmup: samples.json in a model.yaml beside pipeline.yaml",
            )
        )


def _describe(model: LoadedModel, row: dict[str, Any]) -> None:
    loaded = model.loaded
    assert loaded is not None
    row["platform"] = loaded.runtime_version or loaded.runtime
    row["signature"] = loaded.signature.to_json()
    row["load_seconds"] = loaded.load_seconds
    row["costs"] = [[rows, seconds] for rows, seconds in loaded.curve.points]
    row["batch_limit"] = model.batcher.limit if model.batcher else 1
    row["slots"] = model.sizing.slots
    row["instances"] = model.sizing.instances
    memory = model.executors[0].describe().get("memory_bytes")
    artifact = model.spec.artifact
    row["memory"] = {
        "resident": memory,
        "artifact": artifact.stat().st_size if artifact and artifact.is_file() else None,
    }
    row["problems"] += _remarks(model)


def _remarks(model: LoadedModel) -> list[dict[str, Any]]:
    loaded, out = model.loaded, []
    assert loaded is not None
    if loaded.signature.max_batch == 1 and not loaded.streams:
        out.append(
            _remark(
                "the artifact has a fixed batch of one: requests cannot share a run",
                "export it with a free batch axis (dynamic axes) to be several times faster",
            )
        )
    elif not loaded.plan.batched:
        out.append(
            _remark(
                "the signature has no batch axis: requests run one by one",
                "make axis 0 of every input and output the batch, if the model allows it",
            )
        )
    if loaded.curve.largest is not None and loaded.plan.batched:
        out.append(
            _remark(
                f"it fails on batches of more than {loaded.curve.largest}: it is given no larger ones",
                "its signature says that the batch is free; something inside it is not",
            )
        )
    if loaded.load_seconds > SLOW_LOAD:
        out.append(_remark(f"loading took {loaded.load_seconds:.0f} s", None))
    if loaded.curve.points and loaded.curve.points[0][1] > SLOW_RUN:
        out.append(_remark(f"one example takes {loaded.curve.points[0][1]:.1f} s", None))
    if model.spec.warmup is None:
        out.append(
            _remark(
                "there are no golden requests: readiness was proven with a made-up input",
                "give real samples: warmup: samples.json in model.yaml",
            )
        )
    return out


def _remark(message: str, help_: str | None) -> dict[str, Any]:
    return {"level": "remark", "message": message, "help": help_}


def _problem(error: InferdError) -> dict[str, Any]:
    return {"level": "error", "message": error.message, "help": error.help}
