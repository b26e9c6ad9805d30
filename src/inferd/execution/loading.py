"""Turning a spec into a loaded program: runtime, signature, chain. The same in worker and inline."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import replace
from math import inf
from pathlib import Path
from typing import Any

import numpy as np

from inferd.codecs.results import encode_request
from inferd.core.errors import InferdError, InvalidInput, ModelFailed, ModelFileError
from inferd.core.plan import BatchPlan
from inferd.core.signature import Signature, TensorSpec
from inferd.core.step import Step
from inferd.core.tensor import Tensors, dtype_of
from inferd.execution.blocks import Block
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
        curve = _tried(program, golden, curve, cpus, spec)
        if spec["signature"]:
            check_declared(program, golden[0], chain.external, label)
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


def _tried(
    program: Program, golden: list[Tensors], curve: Curve | None, cpus: int, spec: Mapping[str, Any]
) -> Curve:
    """Run the golden requests and return the cost curve; says what was sent where they fail."""
    try:
        if curve is None:
            return measure(program, golden, cpus)
        _warm(program, golden)
    except (ModelFailed, InvalidInput) as error:
        shapes = ", ".join(f"{n} {list(a.shape)}" for n, a in golden[0].items())
        what = f"a sample of {spec['warmup']}" if spec["warmup"] else f"a made-up input ({shapes})"
        raise ModelFileError(
            f"model {program.label} ({spec['artifact'] or spec['directory']}): "
            f"{what} was refused: {error.message}",
            help="give inputs the model accepts: `warmup: samples.json` in model.yaml; or correct the"
            " signature there, if the model takes other shapes",
        ) from None
    return curve


def check_declared(program: Program, golden: Tensors, declared: Signature, label: str) -> None:
    """Refuse a model whose answer to its golden request is not what its signature declares."""
    outcome = program.run([Block(1, golden)], [inf], 0)
    for block in outcome.blocks:
        for spec in declared.outputs:
            said = _unlike(spec, block.tensors.get(spec.name))
            if said:
                raise ModelFileError(
                    f"model {label}: output {spec.name!r} {said}",
                    help="correct signature.outputs in model.yaml",
                )


def _unlike(spec: TensorSpec, array: np.ndarray | None) -> str:
    """Say how an answer differs from what is declared of it; empty where it does not."""
    if array is None:
        return "is declared, the model answered none of that name"
    fits = len(array.shape) == len(spec.shape) and all(
        want in (-1, n) for want, n in zip(spec.shape, array.shape, strict=True)
    )
    if not fits:
        shapes = list(spec.shape), list(array.shape)
        return f"is declared with shape {shapes[0]}, the model answered shape {shapes[1]}"
    if dtype_of(array) is not spec.dtype:
        return f"is declared as {spec.dtype}, the model answered {dtype_of(array)}"
    return ""


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
