"""``check``: would this model serve? Loads it in a throw-away worker and says what it found."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from inferd.config.settings import Settings
from inferd.control.curves import CurveStore
from inferd.control.loader import LoadedModel, Loader, LoadSettings
from inferd.core.errors import InferdError
from inferd.repository.spec import ModelSpec
from inferd.repository.store import scan
from inferd.routing.table import RouteTable
from inferd.runtimes.detect import Detector

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
    """Check every model that ``path`` holds. Problems are in the report; nothing is remembered."""
    report = CheckReport()
    trusted: Collection[str] = settings.workers.trust_pickle
    try:
        specs = scan([path], Detector(), trust_pickle=trusted)
    except InferdError as error:
        name = Path(path).stem if ":" not in path else path
        report.ok = False
        report.models.append({"model": name, "version": "-", "problems": [_problem(error)]})
        return report
    for spec in specs:
        row = await _check(spec, settings)
        report.ok = report.ok and not any(p["level"] == "error" for p in row["problems"])
        report.models.append(row)
    return report


async def _check(spec: ModelSpec, settings: Settings) -> dict[str, Any]:
    workers = settings.workers
    loader = Loader(
        RouteTable(),
        LoadSettings(
            instances=1, slots=workers.slots, threads=workers.threads,
            max_size=settings.batching.max_size,
        ),
        CurveStore(None),
    )  # fmt: skip
    row: dict[str, Any] = {
        "model": spec.name, "version": spec.version, "runtime": spec.runtime, "problems": [],
    }  # fmt: skip
    try:
        model = await loader.load(spec)
        _describe(model, row)
    except InferdError as error:
        row["problems"].append(_problem(error))
    finally:
        await loader.stop(1.0)
    return row


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
    if loaded.signature.max_batch == 1:
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
