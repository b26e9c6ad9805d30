"""Turning a spec into a loaded program: runtime, signature, chain. The same in worker and inline."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from inferd.codecs.results import encode_request
from inferd.core.errors import InferdError, ModelFileError
from inferd.core.plan import BatchPlan
from inferd.core.step import Step
from inferd.core.tensor import Tensors
from inferd.execution.executor import Curve, Loaded
from inferd.execution.golden import golden_samples
from inferd.execution.measure import measure
from inferd.execution.program import Program
from inferd.runtimes.registry import create
from inferd.transforms.compile import compile_chain


def load_program(spec: Mapping[str, Any], *, threads: int, curve: Curve | None, cpus: int) -> tuple[
    Program, Loaded
]:  # fmt: skip
    """Load what ``ModelSpec.to_json`` describes, warm it up and measure it.

    ``threads``: intra-op threads of one run. ``curve``: a remembered cost curve (nothing is
    measured then). Raises ``InferdError``, never anything else.
    """
    start = time.perf_counter()
    label = f"{spec['name']} v{spec['version']}"
    try:
        runtime = create(spec["runtime"])
        options = {**spec["options"], "threads": threads}
        artifact = Path(spec["artifact"]) if spec["artifact"] else Path(spec["directory"])
        signature = runtime.load(artifact, options)
        chain = compile_chain(
            signature,
            [Step.from_json(s) for s in spec["preprocess"]],
            [Step.from_json(s) for s in spec["postprocess"]],
            Path(spec["directory"]),
        )
        program = Program(runtime, chain, label)
        golden = [chain.example()]
        if spec["warmup"]:
            golden = golden_samples(chain.external, chain.plan, Path(spec["warmup"]))
        if curve is None:
            curve = measure(program, golden, cpus)
        else:
            _warm(program, golden)
    except InferdError:
        raise
    except MemoryError:
        raise ModelFileError(f"model {label}: not enough memory to load it") from None
    except BaseException as error:
        raise ModelFileError(
            f"model {label}: cannot be loaded: {type(error).__name__}: {error}"
        ) from error
    loaded = Loaded(
        signature=chain.external,
        plan=_borne(chain.plan, curve),
        runtime=runtime.name,
        runtime_version=runtime.version(),
        releases_gil=runtime.releases_gil,
        curve=curve,
        load_seconds=time.perf_counter() - start,
        golden=tuple(golden),
        model_signature=signature,
    )
    return program, loaded


def _borne(plan: BatchPlan, curve: Curve) -> BatchPlan:
    """Bound the batch by what the model was seen to bear."""
    if curve.largest is None:
        return plan
    return replace(plan, max_batch=min(curve.largest, plan.max_batch or curve.largest))


def _warm(program: Program, golden: list[Tensors]) -> None:
    for inputs in golden:
        error = program.warm(inputs)
        if error is not None:
            raise error


def describe_loaded(loaded: Loaded) -> dict[str, Any]:
    """Return the JSON that answers a LOAD frame."""
    return {
        "signature": loaded.signature.to_json(),
        "model_signature": loaded.model_signature.to_json(),
        "plan": loaded.plan.to_json(),
        "runtime": loaded.runtime,
        "runtime_version": loaded.runtime_version,
        "releases_gil": loaded.releases_gil,
        "curve": loaded.curve.to_json(),
        "load_seconds": loaded.load_seconds,
        "golden": [
            encode_request(g, loaded.signature, single=False).decode() for g in loaded.golden
        ],
        "pid": os.getpid(),
    }
