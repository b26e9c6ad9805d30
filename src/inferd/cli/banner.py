"""What ``inferd serve`` prints when it is ready: the models, the addresses, a call for each.

The call works when pasted into a shell: its data has the shapes of the external signature.
"""

from __future__ import annotations

import base64
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import quote

import numpy as np

from inferd.codecs.json import dumps
from inferd.codecs.results import encode_request
from inferd.core.defaults import default_of
from inferd.core.signature import Signature, TensorSpec
from inferd.core.tensor import BYTES, Tensors, as_bytes
from inferd.execution.golden import made_from
from inferd.routing.table import Version

LONGEST, LONGEST_EVEN = 2000, 300
"""Characters of a body that is still written out in the line; ``EVEN``: of one whose values are all alike."""


@dataclass(frozen=True, slots=True)
class Served:
    """What is up: the versions that answer by default, and the base URLs of the planes.

    ``samples`` holds an example for a model where it ships one, by model name. ``data_socket``: the
    path of the Unix socket behind which ``data_url`` is. ``grpc``: ``host:port`` of gRPC.
    """

    versions: Sequence[Version]
    data_url: str
    admin_url: str | None = None
    metrics_url: str | None = None
    samples: dict[str, Tensors] | None = None
    notes: Sequence[str] = ()
    data_socket: str | None = None
    grpc: str | None = None


def render(served: Served) -> str:
    """Return the text, one block for each model."""
    lines: list[str] = []
    for version in served.versions:
        runtime = runtime_of(version)
        shown = f"  ({runtime})" if runtime else ""
        lines.append(f"{version.model}  version {version.version}{shown}")
        if version.ready and version.signature is not None:
            lines.append(f"  {inputs_line(version.signature)}")
            lines.extend(steps_line(version))
            sample = (served.samples or {}).get(version.model)
            lines.append(f"  {sample_curl(version, served.data_url, sample, served.data_socket)}")
        else:
            lines.append(f"  {version.state}: {version.reason}")
        lines.append("")
    behind = f"  (Unix socket {served.data_socket})" if served.data_socket else ""
    lines.append(f"models   {served.data_url}{behind}")
    lines.extend(
        f"page     {served.data_url}/ui/{quote(version.model, safe='')}/{behind}"
        for version in served.versions if version.page
    )  # fmt: skip
    if served.grpc:
        lines.append(f"grpc     {served.grpc}")
    if served.admin_url:
        lines.append(f"control  {served.admin_url}  (metrics, description, documentation)")
    if served.metrics_url:
        lines.append(f"metrics  {served.metrics_url}/metrics")
    lines.extend(served.notes)
    return "\n".join(lines) + "\n"


def runtime_of(version: Version) -> str:
    """Return what runs a version, with the framework's own version once it is loaded."""
    name = version.platform or version.runtime
    framework = str((version.describe().get("runtime") or {}).get("version", ""))
    if framework.partition(" ")[0] == name:  # python, python 3.12
        return framework
    return ", ".join(part for part in (name, framework) if part)


def steps_line(version: Version) -> list[str]:
    """Return the steps of a pipeline on one line, in the order in which they can run; none else."""
    pipeline = version.describe().get("pipeline") or {}
    steps = [step["name"] for step in pipeline.get("steps", ())]
    return [f"  steps: {', '.join(steps)}"] if steps else []


def inputs_line(signature: Signature) -> str:
    """Return inputs and outputs on one line: ``x float32[?, 4] -> y float32[?, 3]``."""
    return f"{_specs(signature.inputs)} -> {_specs(signature.outputs)}"


def _specs(specs: Iterable[TensorSpec]) -> str:
    return ", ".join(f"{spec.name} {kind(spec)}" for spec in specs) or "nothing"


def kind(spec: TensorSpec) -> str:
    """Return a tensor's type as a person reads it: ``float32[?, 4]``, ``image[?]``."""
    shape = ", ".join("?" if n < 0 else str(n) for n in spec.shape)
    name = (spec.content or "text") if spec.dtype is BYTES else spec.dtype.numpy.name
    return f"{name}[{shape}]" + ("" if spec.default is None else " (optional)")


_SILENCE = (
    "python3 -c \"import sys,wave; w=wave.open(sys.stdout.buffer,'wb'); "
    "w.setparams((1,2,16000,16000,'NONE','')); w.writeframes(bytes(32000))\""
)
"""A command that writes a second of silence as a WAV file, which is too long to be written out."""


def sample_curl(
    version: Version, data_url: str, sample: Tensors | None = None, socket: str | None = None
) -> str:
    """Return a shell line that asks ``version`` once and works when pasted.

    ``socket``: the Unix socket to connect to, whatever host the URL names.
    """
    signature = version.signature
    assert signature is not None
    url = shlex.quote(f"{data_url}/models/{quote(version.model, safe='')}/predict")
    curl = f"curl -sS --unix-socket {shlex.quote(socket)} {url}" if socket else f"curl -sS {url}"
    inputs = _needed(sample or made_from(signature), signature)
    first = signature.inputs[0] if len(signature.inputs) == 1 else None
    if first is not None and first.content == "audio":
        return f"{_SILENCE} | {curl} -H 'Content-Type: audio/wav' --data-binary @-"
    if first is not None and first.content == "image":
        image = as_bytes(inputs[first.name].flat[0])
        media = "image/jpeg" if image.startswith(b"\xff\xd8") else "image/png"
        return (
            f"echo {base64.b64encode(image).decode()} | base64 -d | {curl}"
            f" -H 'Content-Type: {media}' --data-binary @-"
        )
    header = "-H 'Content-Type: application/json'"
    body = encode_request(inputs, signature, single=True).decode()
    even = all((array == array.flat[0]).all() for array in inputs.values() if array.size)
    if len(body) <= (LONGEST_EVEN if even else LONGEST):
        return f"{curl} {header} -d {shlex.quote(body)}"
    return f"python3 -c {shlex.quote(_program(inputs, signature))} | {curl} {header} -d @-"


def _needed(inputs: Tensors, signature: Signature) -> Tensors:
    """Return the inputs of one example without those that say what is the default anyway."""

    def told(spec: TensorSpec) -> bool:
        array, usual = inputs[spec.name], default_of(spec, batched=signature.batched)
        return usual is None or not np.array_equal(array[0] if signature.batched else array, usual)

    return {
        s.name: inputs[s.name] for s in signature.inputs if s.name in inputs and told(s)
    } or inputs


def _program(inputs: Tensors, signature: Signature) -> str:
    """Return Python that prints a body too long to be written out."""
    values = {}
    for name, array in inputs.items():
        row = array[0] if signature.batched else array
        values[name] = _repeated(row)
    data = next(iter(values.values())) if len(signature.inputs) == 1 else _mapping(values)
    return f'import json; print(json.dumps({{"data": {data}}}))'


def _repeated(array: np.ndarray) -> str:
    # The golden input holds one value everywhere; so does the expression.
    text = dumps(array.flat[0] if array.size else 0).decode()
    for size in reversed(array.shape):
        text = f"[{text}]*{size}"
    return text


def _mapping(values: dict[str, str]) -> str:
    return "{" + ", ".join(f'"{name}": {value}' for name, value in values.items()) + "}"
