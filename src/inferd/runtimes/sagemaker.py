"""Scripts of SageMaker's toolkits as models: ``model_fn`` and the hooks around a prediction.

A script is a Python file with functions; ``model_fn(model_dir)`` is the only one it must have::

    model_fn(model_dir) -> model
    input_fn(body, content_type) -> data          else JSON, CSV, npy and npz become numpy arrays
    predict_fn(data, model) -> prediction         else ``model.predict(data)``, or ``model(data)``
    output_fn(prediction, accept) -> body         or (body, content type); else JSON, CSV or npy
    transform_fn(model, body, content_type, accept) -> body or (body, content type): instead of these

A function that takes one argument more is given ``None`` there: the toolkits' context. The script sees
bodies as clients sent them (``core.script``), one request at a time, so batches are never formed. A
made-up request proves that the model is loaded, and no more: what a script would make of it nobody
can know; ``warmup`` in ``model.yaml`` gives it real ones.

Source: the documentation of sagemaker-inference-toolkit.
"""

from __future__ import annotations

import inspect
import platform
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from inferd.core import script
from inferd.core.errors import InferdError, ModelFailed, ModelFileError, nearest
from inferd.core.runtime import Options
from inferd.core.signature import Signature
from inferd.core.tensor import Tensors, as_bytes
from inferd.runtimes.bodies import read, written
from inferd.runtimes.code import failed, load_module

HOOKS = {"model_fn": 1, "input_fn": 2, "predict_fn": 2, "output_fn": 2, "transform_fn": 4}
"""Functions of a script, and how many arguments each is given."""


class ScriptRuntime:
    """One script."""

    name = "sagemaker"
    releases_gil = False
    keeps_inputs = False
    streams = False

    def __init__(self) -> None:
        self._model: Any = None
        self._hooks: dict[str, Callable[..., Any]] = {}

    def load(self, artifact: Path, options: Options) -> Signature:
        directory = Path(str(options.get("directory") or artifact.parent.parent))
        if artifact.suffix != ".py" or not artifact.stem.isidentifier():
            raise ModelFileError(f"{artifact}: is not a Python file that can be imported")
        if not artifact.is_file():
            raise ModelFileError(f"{artifact}: no such file")
        if options.get("signature"):
            raise ModelFileError(
                f"{artifact}: a script reads whole bodies, and model.yaml declares a signature",
                help="remove `signature`; other doors reach it by the inputs body, content_type"
                " and accept",
            )
        self._hooks = _hooks(load_module(artifact.stem, artifact.parent), artifact)
        try:
            self._model = self._call("model_fn", str(directory))
        except InferdError:
            raise
        except (Exception, SystemExit) as error:
            raise failed(f"{artifact}: model_fn raised", error) from error
        if not self._hooks.keys() & {"predict_fn", "transform_fn"} and not _answers(self._model):
            raise ModelFileError(
                f"{artifact}: model_fn returned a {type(self._model).__name__}, which cannot predict",
                help="define predict_fn(data, model)",
            )
        return script.SIGNATURE

    def run(self, inputs: Tensors) -> Tensors:
        rows = [
            self._one(as_bytes(body), as_bytes(kind).decode("latin-1"), as_bytes(accept).decode("latin-1"))
            for body, kind, accept in zip(*(inputs[s.name].flat for s in script.INPUTS), strict=True)
        ]  # fmt: skip
        return script.answers(rows)

    def _one(self, body: bytes, content_type: str, accept: str) -> tuple[bytes, str]:
        if content_type == script.MADE_UP:
            return b"", accept
        try:
            return _whole(*self._answered(body, content_type, accept))
        except SystemExit as error:
            raise ModelFailed(f"the script called sys.exit({error.code!r})") from error

    def _answered(self, body: bytes, content_type: str, accept: str) -> tuple[Any, str]:
        """Return what the script answers, and the type wanted of it."""
        if "transform_fn" in self._hooks:
            return self._call("transform_fn", self._model, body, content_type, accept), accept
        data = (
            self._call("input_fn", body, content_type)
            if "input_fn" in self._hooks
            else read(body, content_type)
        )
        prediction = (
            self._call("predict_fn", data, self._model)
            if "predict_fn" in self._hooks
            else getattr(self._model, "predict", self._model)(data)
        )
        if "output_fn" in self._hooks:
            return self._call("output_fn", prediction, accept), accept
        return written(prediction, accept), accept

    def _call(self, name: str, *arguments: Any) -> Any:
        function = self._hooks[name]
        return function(*arguments, *([None] * (_wants(function, HOOKS[name]) - len(arguments))))

    def close(self) -> None:
        self._model = None
        self._hooks = {}

    def version(self) -> str:
        return f"python {platform.python_version()}"


def _hooks(module: ModuleType, artifact: Path) -> dict[str, Callable[..., Any]]:
    """Return the functions of a script; raises ``ModelFileError`` where they are none."""
    found = {name: getattr(module, name) for name in HOOKS if hasattr(module, name)}
    if "model_fn" not in found:
        names = [n for n, value in vars(module).items() if callable(value) and n.endswith("_fn")]
        raise ModelFileError(
            f"{artifact}: defines no model_fn",
            help=nearest("model_fn", names) if names else "define model_fn(model_dir)",
        )
    others = [name for name in ("input_fn", "predict_fn", "output_fn") if name in found]
    if "transform_fn" in found and others:
        raise ModelFileError(
            f"{artifact}: defines transform_fn, which stands for all, and {', '.join(others)}",
            help="remove the one or the others",
        )
    for name, function in found.items():
        if inspect.iscoroutinefunction(function):
            raise ModelFileError(
                f"{artifact}: {name} must not be async",
                help="write `def`: it runs in its own process",
            )
        wants = _wants(function, HOOKS[name])
        if not HOOKS[name] <= wants <= HOOKS[name] + 1:
            raise ModelFileError(
                f"{artifact}: {name} takes {wants} arguments, and is given {HOOKS[name]}"
            )
    return found


def _wants(function: Callable[..., Any], given: int) -> int:
    """Return how many arguments a function is to be given, where its kind gets ``given``."""
    kinds = inspect.Parameter
    parameters = list(inspect.signature(function).parameters.values())
    if any(p.kind is kinds.VAR_POSITIONAL for p in parameters):
        return given
    placed = [
        p for p in parameters if p.kind in {kinds.POSITIONAL_ONLY, kinds.POSITIONAL_OR_KEYWORD}
    ]
    needed = sum(p.default is p.empty for p in placed)
    return max(needed, min(given, len(placed)))


def _answers(model: Any) -> bool:
    return callable(getattr(model, "predict", None)) or callable(model)


def _whole(returned: Any, accept: str) -> tuple[bytes, str]:
    """Return body and content type of what a script returned."""
    media = accept
    if isinstance(returned, tuple) and len(returned) == 2 and isinstance(returned[1], str):
        returned, media = returned
    try:
        return as_bytes(returned), media
    except InferdError:
        raise ModelFailed(
            f"the script answered a {type(returned).__name__}, and a body is bytes or text",
            help="return bytes or a str from output_fn, or (body, content type)",
        ) from None
