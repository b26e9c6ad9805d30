"""ONNX models on ONNX Runtime.

One session per worker, sequential, with its thread count given: several jobs may run on one session
at once from threads, because ONNX Runtime releases the GIL and a session is thread-safe. Spinning
threads cost 15-30 % as soon as threads exceed cores, so they are off.

Measured on a 4->3 perceptron: ``run`` with the output names and one shared ``RunOptions`` is the
quickest of the public ways in (3.4 us; without them 4.1; IO binding 5.0; OrtValues 30).
"""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # read while the library is imported

import onnxruntime as ort

from inferd.core.errors import InferdError, InvalidInput, ModelFailed, ModelFileError
from inferd.core.runtime import Options
from inferd.core.signature import Signature, TensorSpec
from inferd.core.tensor import BYTES, DType, Tensors, dtype_named
from inferd.runtimes.onnxfile import check_external_data, unshaped
from inferd.runtimes.protowalk import Corrupt
from inferd.runtimes.signatures import (
    EXAMPLE,
    declared,
    fix_ones,
    learn_outputs,
    reconcile,
    trial_inputs,
)

_TYPES = {
    "bool": "BOOL", "uint8": "UINT8", "uint16": "UINT16", "uint32": "UINT32", "uint64": "UINT64",
    "int8": "INT8", "int16": "INT16", "int32": "INT32", "int64": "INT64", "float16": "FP16",
    "float": "FP32", "double": "FP64", "string": "BYTES",
}  # fmt: skip
_FATAL = 4
"""Log level: what is an error is raised as well, and would fill the log once per bad request."""

_TENSOR = re.compile(r"tensor\((\w+)\)")
_MAPS = re.compile(r"seq\(map\((?:int64|string),tensor\((float|double)\)\)\)")
_NOISE = re.compile(r"^\[ONNXRuntimeError\] : \d+ : [A-Z_]+ : ")


class ONNXRuntime:
    """One ONNX model."""

    name = "onnx"
    releases_gil = True
    keeps_inputs = False
    streams = False

    def __init__(self) -> None:
        self._session: Any = None
        self._options: Any = None
        self._names: list[str] = []
        self._texts: tuple[str, ...] = ()
        self._maps: dict[str, np.dtype] = {}

    def load(self, artifact: Path, options: Options) -> Signature:
        if not artifact.is_file():
            raise ModelFileError(f"{artifact}: is not a file")
        check_external_data(artifact)
        self._session = _session(artifact, int(options.get("threads") or 1))
        self._options = ort.RunOptions()
        self._options.log_severity_level = _FATAL
        found, unknown = self._read(artifact, options)
        self._texts = tuple(s.name for s in found.inputs if s.dtype is BYTES)
        if unknown:
            learned = {s.name: s for s in learn_outputs(self.run, found, str(artifact))}
            outputs = tuple(learned[s.name] if s.name in unknown else s for s in found.outputs)
            found = Signature(found.inputs, outputs)
        if self._maps:
            found = self._count_classes(found)
        settled = reconcile(found, options, str(artifact))
        stated = (options.get("signature") or {}).get("outputs")
        return settled if stated else fix_ones(self.run, settled)

    def _read(self, artifact: Path, options: Options) -> tuple[Signature, set[str]]:
        """Return the signature and the names of outputs whose rank is not known."""
        try:
            vague = unshaped(artifact)
        except (Corrupt, OSError, ValueError) as error:
            raise ModelFileError(f"{artifact}: is not a valid ONNX file: {error}") from None
        wanted = declared(options, str(artifact))
        try:
            nodes = self._session.get_inputs(), self._session.get_outputs()
            _ = [(n.name, n.type, n.shape) for side in nodes for n in side]
        except UnicodeDecodeError:
            raise ModelFileError(f"{artifact}: is damaged: a name in it is not text") from None
        inputs = [_input(n, vague, wanted, artifact) for n in nodes[0]]
        outputs = []
        unknown: set[str] = set()
        for node in nodes[1]:
            maps = _MAPS.fullmatch(node.type)
            if maps:
                dtype = _dtype(maps[1])
                self._maps[node.name] = dtype.numpy
                outputs.append(TensorSpec(node.name, dtype, (-1, -1)))
                continue
            spec = _spec(node, "output", artifact)
            if not spec.shape and node.name in vague:
                unknown.add(node.name)
            outputs.append(spec)
        self._names = [s.name for s in outputs]
        return Signature(tuple(inputs), tuple(outputs)), unknown

    def _count_classes(self, found: Signature) -> Signature:
        """Learn from a trial run how many classes a ZipMap has; the file's types do not say."""
        try:
            tried = self.run(trial_inputs(found))
        except InferdError:  # made-up inputs may be refused; the number stays free then
            return found
        outputs = tuple(
            replace(s, shape=(-1, tried[s.name].shape[1])) if s.name in self._maps else s
            for s in found.outputs
        )
        return replace(found, outputs=outputs)

    def run(self, inputs: Tensors) -> Tensors:
        if self._texts:
            inputs = {**inputs, **{n: _texts(inputs[n], n) for n in self._texts}}
        try:
            results = self._session.run(self._names, inputs, self._options)
        except Exception as error:  # the library's own types, all of them Exception
            raise ModelFailed(f"the model failed: {_told(error)}") from None
        outputs = dict(zip(self._names, results, strict=True))
        if self._maps:
            for name, dtype in self._maps.items():
                outputs[name] = _columns(outputs[name], dtype)
        return outputs

    def close(self) -> None:
        self._session = None

    def version(self) -> str:
        return f"onnxruntime {ort.__version__}"


def _session(artifact: Path, threads: int) -> Any:
    ort.set_default_logger_severity(_FATAL)
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = _FATAL
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    try:
        return ort.InferenceSession(
            str(artifact.resolve()),
            options,
            providers=["CPUExecutionProvider"],
            enable_fallback=0,  # it would print, and try the same provider again
        )
    except Exception as error:  # as above
        raise ModelFileError(
            f"{artifact}: ONNX Runtime {ort.__version__} cannot load it: {_told(error)}",
            help=_advice(str(error)),
        ) from None


def _told(error: Exception) -> str:
    """Return ONNX Runtime's message on one line, without its codes and paths of its own sources."""
    text = _NOISE.sub("", str(error)) or type(error).__name__
    text = re.sub(r"^Load model from .* failed:\s*", "", text)
    text = re.sub(r"/\S+/(\w+\.(?:cc|h))(:\d+)?", r"\1", text)
    return re.sub(r"\s+", " ", text).strip()[:500]


def _advice(text: str) -> str:
    if "opset" in text.lower() or "ir_version" in text.lower() or "IR version" in text:
        return "export the model with a lower opset, or install a newer onnxruntime"
    if "not a registered" in text or "NOT_IMPLEMENTED" in text:
        return "the model uses an operator that this build does not have"
    return "check the file with `python -m onnx.checker FILE`, or export the model again"


def _dtype(name: str) -> DType:
    return dtype_named(_TYPES[name])


def _spec(node: Any, kind: str, artifact: Path) -> TensorSpec:
    found = _TENSOR.fullmatch(node.type)
    if found is None:
        help = "export the model with tensors only"
        if "map(" in node.type:
            help = "export the model without ZipMap: skl2onnx with options={'zipmap': False}"
        raise ModelFileError(
            f"{artifact}: the {kind} {node.name!r} is {node.type}, and only tensors are served",
            help=help,
        )
    if found[1] not in _TYPES:
        raise ModelFileError(
            f"{artifact}: the {kind} {node.name!r} is of datatype {found[1]}, which has no name in "
            "the Open Inference Protocol",
            help="cast it to float32 in the model",
        )
    shape = tuple(n if isinstance(n, int) and n >= 0 else -1 for n in node.shape)
    symbols = tuple(n if isinstance(n, str) and n else None for n in node.shape)
    return TensorSpec(node.name, _dtype(found[1]), shape, symbols if any(symbols) else ())


def _input(
    node: Any, vague: frozenset[str], wanted: Signature | None, artifact: Path
) -> TensorSpec:
    spec = _spec(node, "input", artifact)
    if spec.shape or node.name not in vague:
        return spec
    said = wanted.input(node.name) if wanted else None
    if said is None:
        raise ModelFileError(
            f"{artifact}: does not say how many axes the input {node.name!r} has", help=EXAMPLE
        )
    return TensorSpec(node.name, spec.dtype, said.shape, default=said.default)


def _texts(array: np.ndarray, name: str) -> np.ndarray:
    """Return texts as ``str``: ONNX Runtime would write the ``repr`` of bytes."""
    out = np.empty(array.shape, dtype=object)
    try:
        flat = [e.decode() if isinstance(e, bytes) else str(e) for e in array.flat]
    except UnicodeDecodeError:
        raise InvalidInput(f"input {name!r}: an element is not valid UTF-8 text") from None
    out.reshape(-1)[:] = flat
    return out


def _columns(rows: Any, dtype: np.dtype) -> np.ndarray:
    """Return scikit-learn's list of ``{class: score}`` (ZipMap) as rows of scores by class."""
    keys = sorted(rows[0]) if rows else []
    return np.array([[row[key] for key in keys] for row in rows], dtype=dtype, ndmin=2)
