"""The runtimes there are, as data: where each lives and which library it needs.

A framework is imported when its runtime is created, which happens in the worker that uses it.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec

from inferd.core.errors import ConfigError, MissingExtra, nearest
from inferd.core.runtime import Runtime


@dataclass(frozen=True, slots=True)
class Entry:
    """One runtime: its name in ``model.yaml``, its class, the library and the extra it needs.

    ``task``: what its models are for, where ``model.yaml`` does not say.
    """

    name: str
    target: str
    library: str
    extra: str
    doc: str
    task: str | None = None


RUNTIMES: tuple[Entry, ...] = (
    Entry("onnx", "inferd.runtimes.onnx:ONNXRuntime", "onnxruntime", "all",
          "ONNX models, on ONNX Runtime"),
    Entry("torch", "inferd.runtimes.torch:TorchRuntime", "torch", "torch",
          "TorchScript, torch.export programs, and state dicts with a factory, on PyTorch"),
    Entry("genai", "inferd.runtimes.genai.runtime:GenaiRuntime", "onnxruntime_genai", "genai",
          "text generation: directories as the builder of onnxruntime-genai writes them", "generate"),
    Entry("python", "inferd.runtimes.python:PythonRuntime", "numpy", "all",
          "a Python class derived from inferd.Model"),
    Entry("whisper", "inferd.runtimes.whisper:WhisperRuntime", "faster_whisper", "whisper",
          "Whisper models in CTranslate2's form: speech to text", "transcribe"),
    Entry("sagemaker", "inferd.runtimes.sagemaker:ScriptRuntime", "numpy", "all",
          "a script with model_fn, as SageMaker's toolkits serve it"),
    Entry("steps", "inferd.runtimes.steps:StepsRuntime", "numpy", "all",
          "the Python steps of a pipeline; no model.yaml asks for it"),
)  # fmt: skip
"""Every runtime, in order of documentation."""

BY_NAME: dict[str, Entry] = {entry.name: entry for entry in RUNTIMES}


def create(name: str) -> Runtime:
    """Return a new runtime, importing its framework.

    Raises ``ConfigError`` for an unknown name or a framework that is installed and broken,
    ``MissingExtra`` naming the extra where it is not installed.
    """
    entry = BY_NAME.get(name)
    if entry is None:
        raise ConfigError(f"unknown runtime {name!r}", help=nearest(name, BY_NAME))
    if find_spec(entry.library) is None:
        raise MissingExtra(entry.library, entry.extra, what=f"the runtime {name!r}")
    module, _, cls = entry.target.partition(":")
    try:
        loaded = import_module(module)
    except (ImportError, OSError) as error:
        raise ConfigError(
            f"the runtime {name!r} cannot be used: importing {entry.library} failed: {error}",
            help=f"reinstall it: pip install --force-reinstall {entry.library}",
        ) from error
    runtime: Runtime = getattr(loaded, cls)()
    return runtime
