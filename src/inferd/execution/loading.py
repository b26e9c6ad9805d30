"""Turning a spec into a loaded program: runtime, signature, chain. The same in worker and inline."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from inferd.codecs.results import encode_request
from inferd.core.errors import ConfigError, InferdError, ModelFileError
from inferd.core.plan import BatchPlan
from inferd.core.runtime import Runtime
from inferd.core.signature import Signature
from inferd.core.step import Step
from inferd.core.tensor import Tensors
from inferd.execution.executor import Curve, Loaded
from inferd.execution.forward import add_transforms
from inferd.execution.golden import golden_samples
from inferd.execution.measure import measure
from inferd.execution.origin import Origin, check_signature
from inferd.execution.program import Program
from inferd.execution.proof import prove
from inferd.runtimes.registry import create
from inferd.transforms.compile import compile_chain

TRIAL = 16  # pieces of an answer that prove a model which streams


def load_program(spec: Mapping[str, Any], *, threads: int, curve: Curve | None, cpus: int) -> tuple[
    Program, Loaded
]:  # fmt: skip
    """Load what ``ModelSpec.to_json`` describes, prove it on its golden requests and measure it.

    ``threads``: intra-op threads of one run. ``curve``: a remembered cost curve (nothing is
    measured then). Raises ``InferdError``, never anything else.
    """
    start = time.perf_counter()
    origin = Origin.of(spec)
    try:
        runtime, signature = _loaded(spec, threads, origin)
        golden: list[Tensors] = []
        if not getattr(runtime, "proves", True):  # several functions: no request asks for all
            program = Program(
                runtime, compile_chain(signature, (), (), Path(spec["directory"])), origin.label
            )
            curve = curve or Curve()
        else:
            program, golden, inputs, answered = _proven(spec, runtime, signature, origin)
            if answered != signature:  # the artifact did not know its own outputs
                signature = answered
                program, golden, inputs, _ = _proven(spec, runtime, signature, origin)
        if curve is None:
            curve = _paced(program, inputs) if runtime.streams else measure(program, inputs, cpus)
    except InferdError:
        raise
    except MemoryError:
        raise ModelFileError(f"{origin}: not enough memory to load it") from None
    except BaseException as error:
        raise ModelFileError(
            f"{origin}: cannot be loaded: {type(error).__name__}: {error}"
        ) from error
    chain = program.chain
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
        streams=runtime.streams,
        sequences=getattr(runtime, "sequences", None),
    )
    return program, loaded


def _paced(program: Program, inputs: Tensors) -> Curve:
    """Return a first guess at what a generation takes: live ones correct it."""
    start = time.perf_counter()
    program.runtime.run(inputs)
    return Curve(((1, time.perf_counter() - start),))


def _loaded(spec: Mapping[str, Any], threads: int, origin: Origin) -> tuple[Runtime, Signature]:
    artifact = Path(spec["artifact"]) if spec["artifact"] else Path(spec["directory"])
    try:
        runtime = create(spec["runtime"])
        if hasattr(runtime, "trial"):
            runtime.trial = TRIAL
        given = {**spec["options"], "threads": threads, "sequences": spec.get("max_size")}
        signature = runtime.load(artifact, given)
        if spec["options"].get("transforms"):
            signature = add_transforms(runtime, spec)
    except InferdError as error:
        raise origin.placed(error) from error.__cause__
    check_signature(signature, origin)
    return runtime, signature


def _proven(
    spec: Mapping[str, Any], runtime: Runtime, signature: Signature, origin: Origin
) -> tuple[Program, list[Tensors], Tensors, Signature]:
    """Return the program, its golden requests, what the runtime was given, and what it answers."""
    before, after = (
        [Step.from_json(s) for s in spec[key]] for key in ("preprocess", "postprocess")
    )
    try:
        chain = compile_chain(signature, before, after, Path(spec["directory"]))
    except ConfigError as error:
        raise origin.declared(error) from None
    program = Program(runtime, chain, origin.label)
    golden = [chain.example()]
    if spec["warmup"]:
        golden = golden_samples(chain.external, chain.plan, Path(spec["warmup"]))
    inputs, answered = prove(program, golden, signature, origin, spec["warmup"])
    return program, golden, inputs, answered


def _borne(plan: BatchPlan, curve: Curve) -> BatchPlan:
    """Bound the batch by what the model was seen to bear."""
    if curve.largest is None:
        return plan
    return replace(plan, max_batch=min(curve.largest, plan.max_batch or curve.largest))


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
        "streams": loaded.streams,
        "sequences": loaded.sequences,
    }
