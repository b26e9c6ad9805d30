"""One loaded version of one pipeline, as data that lives: its row, its parts' types, its own worker."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any

from inferd.control.loader import LoadedModel
from inferd.control.pipeline import parts
from inferd.control.pipeline.binding import Binding
from inferd.control.pipeline.steps import Placed
from inferd.core.errors import InferdError
from inferd.core.message import Timings
from inferd.core.servable import Servable
from inferd.core.tensor import Tensors
from inferd.repository.spec import PIPELINE, ModelSpec
from inferd.routing.pipeline import show
from inferd.routing.pipeline.plan import Callee, PipelinePlan
from inferd.routing.pipeline.run import AnswerObserver, Pipeline, StepObserver
from inferd.routing.pipeline.spec import PipelineSpec
from inferd.routing.table import Version


class StepTally:
    """What the steps of a pipeline did since it was loaded; ``further`` hears of them too."""

    def __init__(self) -> None:
        self.further: StepObserver | None = None
        self._steps: dict[str, list[float]] = {}

    def __call__(self, step: str, seconds: float, kind: str | None, skipped: bool, /) -> None:
        """Count a step that ended."""
        row = self._steps.get(step)
        if row is None:
            row = self._steps[step] = [0, 0.0, 0, 0, 0.0]
        if skipped:
            row[3] += 1
        else:
            row[0] += 1
            row[1] += seconds
            if kind is None:
                row[4] += seconds
            else:
                row[2] += 1
        if self.further is not None:
            self.further(step, seconds, kind, skipped)

    def to_json(self) -> dict[str, dict[str, float]]:
        """Return counts, and mean milliseconds of the runs that were not skipped, by step."""
        return {
            step: {
                "runs": ran, "mean_ms": round(spent / ran * 1e3, 4) if ran else 0.0, "failed": failed,
                "skipped": skipped,
            }
            for step, (ran, spent, failed, skipped, _) in self._steps.items()
        }  # fmt: skip

    def slowest(self, steps: Iterable[str]) -> float | None:
        """Return the seconds in which the slowest of ``steps`` answers, in the mean; ``None``: none did."""
        rows = (self._steps[step] for step in steps if step in self._steps)
        return max((row[4] / (row[0] - row[2]) for row in rows if row[0] > row[2]), default=None)


class LoadedPipeline:
    """One version of one pipeline: its row in the route table, its parts' types, its own worker."""

    def __init__(self, spec: ModelSpec, written: PipelineSpec) -> None:
        self.spec = spec
        self.written = written
        self.version = Version(
            spec.name, spec.version, task=spec.task or written.task, runtime=PIPELINE,
            platform=PIPELINE, labels=spec.version_labels, explainer=spec.explainer,
            parts=tuple(dict.fromkeys(call.model for call in written.models)),
            describe=self.describe,
        )  # fmt: skip
        self.worker: LoadedModel | None = None
        self.functions: Mapping[str, Callee] = {}
        self.callees: parts.Callees | None = None
        self.placed = Placed()
        self.plan: PipelinePlan | None = None
        self.servable: Pipeline | None = None
        self._courses: list[tuple[Pipeline, Binding]] = []
        self.error: InferdError | None = None
        self.begun = False
        self.proven = False
        self.samples: list[Tensors] = []
        self.tally = StepTally()
        self.further: AnswerObserver | None = None
        self.closed = False
        self.load_seconds = 0.0
        self.lock = asyncio.Lock()

    @property
    def label(self) -> str:
        """Name and version, as messages say them."""
        return f"{self.spec.name} v{self.spec.version}"

    @property
    def busy(self) -> bool:
        """Whether requests are under way, those included that began before it was built anew."""
        return any(servable.busy for servable, _ in self._courses)

    def answered(self, rows: int, timings: Timings) -> None:
        """Tell further of an answer, but not of those that prove it: nobody asked for them."""
        if self.further is not None and self.proven:
            self.further(rows, timings)

    def take_over(self, servable: Pipeline, binding: Binding) -> None:
        """Answer by ``servable`` from now on; those before are kept until their requests have ended."""
        self.servable = servable
        self._courses = [one for one in self._courses if one[0].busy]
        self._courses.append((servable, binding))

    def uses(self, servable: Servable) -> bool:
        """Whether a request of this pipeline may still ask ``servable``."""
        return any(one.busy and binding.uses(servable) for one, binding in self._courses)

    def describe(self) -> Mapping[str, Any]:
        """Return the live description of the control plane."""
        worker = self.worker
        told = worker.describe() if worker is not None else {}
        slowest = self.tally.slowest((*self.functions, *self.placed.worker))
        return {
            "pipeline": show.to_json(self.written, self.plan),
            "parts": list(self.version.parts),
            "in_front": sorted(self.placed.inline),
            "step_times": self.tally.to_json(),
            "load_seconds": round(self.load_seconds, 4),
            "slowest_own_ms": None if slowest is None else round(slowest * 1e3, 4),
            **{key: told[key] for key in ("batching", "counters", "quarantined") if key in told},
            "instances": told.get("instances", []),
        }
