"""Python classes as models: finds the class, reads its signature, calls its four verbs.

``predict`` sees a batch. ``preprocess`` and ``postprocess`` see one request and are offered to the
executor as attributes of the runtime (``None`` where the class has none), which calls them around
``run``; so one bad request fails alone. Exceptions of the user's code pass through: the executor
reports them with type and message, and writes the traceback to the worker's log.

A method that returns lists, or is called row by row, may answer its rows in unequal shapes. The
signature then says ``ragged``: every row is prepared and answered by itself, and ``predict`` still
sees a batch.
"""

from __future__ import annotations

import inspect
import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from inferd.core.errors import InferdError, ModelFailed, ModelFileError
from inferd.core.model import Model
from inferd.core.runtime import Options
from inferd.core.signature import Signature, TensorSpec
from inferd.core.tensor import Tensors
from inferd.runtimes.code import failed, load_module, load_object
from inferd.runtimes.hints import Hints, Unhinted, declared_spec, read_hints
from inferd.runtimes.returned import Uneven, to_tensors
from inferd.runtimes.signatures import EXAMPLE, declared, learn_outputs, settle

HINT = (
    'hint it, for example `def predict(self, x: Annotated[np.ndarray, "float32", (-1, 4)]) -> '
    'Annotated[np.ndarray, "float32", (-1, 3)]` or `def predict(self, texts: list[str]) -> '
    "list[float]`, or " + EXAMPLE
)

LISTS = (
    "where rows may differ, hint what is returned as lists: `-> list[list[float]]`; every row is "
    "then answered by itself"
)
RECTANGLE = "fill the lists of one example to one length: a tensor has no ragged rows"


class Call:
    """One method of the user's class: how it is called with tensors, and what its hints say."""

    def __init__(self, method: Callable[..., Any], place: str) -> None:
        self.method = method
        self.name = method.__name__
        self.place = f"{place}.{self.name}"
        if inspect.iscoroutinefunction(method) or inspect.isasyncgenfunction(method):
            raise ModelFileError(
                f"{self.place}: must not be async", help="write `def`: it runs in its own process"
            )
        kinds = inspect.Parameter
        parameters = list(inspect.signature(method).parameters.values())
        self.names = [p.name for p in parameters if p.kind in {
            kinds.POSITIONAL_OR_KEYWORD, kinds.KEYWORD_ONLY, kinds.POSITIONAL_ONLY,
        }]  # fmt: skip
        self.needed = [
            p.name for p in parameters if p.name in self.names and p.default is p.empty
        ]  # fmt: skip
        try:
            self.hints: Hints | None = read_hints(method)
        except Unhinted as error:
            raise ModelFileError(f"{self.place}: {error}", help=HINT) from None
        self.each = self.hints is not None and self.hints.each
        self.generates = inspect.isgeneratorfunction(method)

    def fits(self, inputs: tuple[TensorSpec, ...]) -> str | None:
        """Return why the method cannot be called with these inputs, or ``None``."""
        names = [s.name for s in inputs]
        if len(self.needed) <= 1 or set(self.needed) <= set(names):
            return None
        wanted, given = ", ".join(self.needed), ", ".join(names)
        return f"{self.place}: takes {wanted}, and the model's inputs are {given}"

    def __call__(self, tensors: Tensors) -> Any:
        """Call it for all rows; row by row if it is written for one example or is a generator."""
        if not (self.each or self.generates):
            return self._once(tensors)
        rows = [self._once(part) for part in self._parts(tensors)]
        return (
            rows if not rows or not isinstance(rows[0], tuple) else tuple(zip(*rows, strict=True))
        )

    def chunks(self, tensors: Tensors) -> Iterator[Any]:
        """Yield what a generator method yields, row after row."""
        for part in self._parts(tensors):
            args, given = self._arguments(part)
            yield from self.method(*args, **given)

    def _parts(self, tensors: Tensors) -> list[Tensors]:
        count = min((a.shape[0] for a in tensors.values() if a.ndim), default=0)
        parts = [{k: a[i : i + 1] for k, a in tensors.items()} for i in range(count)]
        if self.each:
            return [{k: a.reshape(a.shape[1:]) for k, a in part.items()} for part in parts]
        return parts

    def _once(self, tensors: Tensors) -> Any:
        args, given = self._arguments(tensors)
        try:
            returned = self.method(*args, **given)
            return join(returned) if inspect.isgenerator(returned) else returned
        except SystemExit as error:
            raise ModelFailed(f"{self.name} called sys.exit({error.code!r})") from error

    def _arguments(self, tensors: Tensors) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return arguments by name where the names are inputs, else all inputs as one dict."""
        if self.needed and all(n in tensors for n in self.needed):
            given = {n: self._value(n, tensors[n]) for n in self.names if n in tensors}
            return (), given
        if len(self.needed) == 1:
            return (dict(tensors),), {}
        raise ModelFailed(
            f"{self.name} takes {', '.join(self.needed) or 'nothing'}, and was to be given "
            f"{', '.join(tensors)}"
        )

    def _value(self, name: str, array: np.ndarray) -> Any:
        slot = self.hints.inputs.get(name) if self.hints is not None else None
        return array if slot is None else slot.value(array)


def join(chunks: Iterator[Any]) -> Any:
    """Return what a generator gave as one value: texts joined, a list of the rest."""
    parts = list(chunks)
    if parts and all(isinstance(p, str) for p in parts):
        return "".join(parts)
    if parts and all(isinstance(p, bytes) for p in parts):
        return b"".join(parts)
    return parts


class PythonRuntime:
    """One Python class.

    ``streams``: ``predict`` is a generator; ``stream`` gives its chunks one by one. ``learned``: the
    outputs are nowhere declared, and were learned from a trial run.
    """

    name = "python"
    releases_gil = False
    keeps_inputs = True

    def __init__(self) -> None:
        self.streams = False
        self.learned = False
        self.preprocess: Callable[[Tensors], Tensors] | None = None
        self.postprocess: Callable[[Tensors], Tensors] | None = None
        self._model: Any = None
        self._predict: Call
        self._pre: Call | None = None
        self._post: Call | None = None
        self._outputs: tuple[TensorSpec, ...] | None = None
        self._batched = True
        self._ragged = False

    def load(self, artifact: Path, options: Options) -> Signature:
        own = artifact if artifact.is_dir() else artifact.parent
        directory = Path(str(options.get("directory") or own))
        cls, place = _class(artifact, directory, options)
        try:
            self._model = cls(**dict(options.get("parameters") or {}))
            load = getattr(self._model, "load", None)
            if load is not None:
                load(directory if artifact.suffix == ".py" else artifact)
        except InferdError:
            raise
        except (Exception, SystemExit) as error:
            raise failed(f"{place}: loading it raised", error) from error
        self._bind(place)
        return self._sign(options, place)

    def _bind(self, place: str) -> None:
        self._predict = Call(self._model.predict, place)
        self.streams = self._predict.generates
        self._pre, self._post = (
            Call(getattr(self._model, name), place) if _defines(self._model, name) else None
            for name in ("preprocess", "postprocess")
        )
        self.preprocess = self._run_pre if self._pre else None
        self.postprocess = self._run_post if self._post else None

    def _sign(self, options: Options, place: str) -> Signature:
        wanted = declared(options, place)
        first, last = self._pre or self._predict, self._post or self._predict
        inputs = (wanted.inputs if wanted else ()) or _attribute(self._model, "inputs", place)
        outputs = (wanted.outputs if wanted else ()) or _attribute(self._model, "outputs", place)
        stated = bool(outputs)
        if not inputs and first.hints is not None and first.hints.complete:
            inputs = first.hints.specs(first.hints.inputs)
        if not outputs and last.hints is not None:
            outputs = last.hints.specs(last.hints.outputs)
        if not inputs:
            raise ModelFileError(f"{first.place}: nothing says what it takes", help=HINT)
        reason = first.fits(inputs)
        if reason is not None:
            raise ModelFileError(
                reason, help="name the parameters after the inputs, or take one dict"
            )
        if outputs:
            self._outputs = outputs
        else:
            self.learned = True
            self._batched = settle(Signature(inputs, ()), options).batched
            outputs = learn_outputs(self._whole, Signature(inputs, ()), place)
        signature = settle(Signature(inputs, outputs), options)
        self._batched = signature.batched
        self._outputs = outputs
        calls = [c for c in (self._pre, self._predict) if c is not None and c is not last]
        self._ragged = may_differ(signature, last.hints, [c.hints for c in calls], stated=stated)
        return replace(signature, ragged=self._ragged)

    def _whole(self, inputs: Tensors) -> Tensors:
        """Answer one request as the executor would: all three verbs."""
        prepared = self._run_pre(inputs) if self._pre else inputs
        outputs = self.run(prepared)
        return self._run_post(outputs) if self._post else outputs

    def run(self, inputs: Tensors) -> Tensors:
        specs = None if self._post else self._outputs
        returned = self._predict(inputs)
        outputs = self._converted(self._predict, returned, specs, ragged=self._ragged)
        if self._batched:
            _check_rows(self._predict.name, inputs, outputs)
        return outputs

    def stream(self, inputs: Tensors) -> Iterator[Tensors]:
        """Yield what the generator ``predict`` yields for one request, chunk by chunk."""
        specs = None if self._post else self._outputs
        for chunk in self._predict.chunks(inputs):
            value = [chunk] if isinstance(chunk, (str, bytes)) else chunk
            yield self._converted(self._predict, value, specs)

    def _run_pre(self, inputs: Tensors) -> Tensors:
        assert self._pre is not None
        needed = self._predict.needed
        default = needed[0] if len(needed) == 1 else next(iter(inputs), "x")
        return self._tensors(self._pre, inputs, None, default)

    def _run_post(self, outputs: Tensors) -> Tensors:
        assert self._post is not None
        answer = self._tensors(self._post, outputs, self._outputs)
        if self._batched:
            _check_rows(self._post.name, outputs, answer)
        return answer

    def _tensors(
        self, call: Call, given: Tensors, specs: tuple[TensorSpec, ...] | None, default: str = "output"
    ) -> Tensors:  # fmt: skip
        return self._converted(call, call(given), specs, default)

    def _converted(
        self, call: Call, returned: Any, specs: tuple[TensorSpec, ...] | None, default: str = "output",
        *, ragged: bool = False,
    ) -> Tensors:  # fmt: skip
        try:
            return to_tensors(returned, specs, default, ragged=ragged)
        except Uneven as error:
            help = RECTANGLE if self._ragged else LISTS
            raise ModelFailed(f"what {call.name} returned {error}", help=help) from None
        except ValueError as error:
            raise ModelFailed(f"what {call.name} returned {error}") from None

    def close(self) -> None:
        model, self._model = self._model, None
        close = getattr(model, "close", None)
        if callable(close):
            close()

    def version(self) -> str:
        return f"python {platform.python_version()}"


def _class(artifact: Path, directory: Path, options: Options) -> tuple[type, str]:
    reference = options.get("class")
    if reference:
        found = load_object(str(reference), directory)
        place = str(reference)
        if not isinstance(found, type):
            raise ModelFileError(
                f"{place}: is a {type(found).__name__}, and a model is a class",
                help="wrap it: class M(inferd.Model): def predict(self, ...): ...",
            )
    else:
        found, place = _only_class(artifact)
    predict = getattr(found, "predict", None)
    if predict is None or predict is Model.predict:
        raise ModelFileError(f"{place}: the class defines no `predict`")
    return found, place


def _only_class(artifact: Path) -> tuple[type, str]:
    if artifact.suffix != ".py" or not artifact.stem.isidentifier():
        raise ModelFileError(
            f"{artifact}: no class is named", help="write `class: module:Class` into model.yaml"
        )
    module = load_module(artifact.stem, artifact.parent)
    found = [
        c for c in vars(module).values()
        if isinstance(c, type) and issubclass(c, Model) and c.__module__ == module.__name__
    ]  # fmt: skip
    if len(found) != 1:
        names = ", ".join(c.__name__ for c in found) or "none"
        raise ModelFileError(
            f"{artifact}: must hold one class derived from inferd.Model, and holds: {names}",
            help=f"say which: {artifact.name}:{found[0].__name__ if found else 'Class'}",
        )
    return found[0], f"{artifact}:{found[0].__name__}"


def _defines(model: Any, name: str) -> bool:
    method = getattr(type(model), name, None)
    return method is not None and method is not getattr(Model, name)


def _attribute(model: Any, name: str, place: str) -> tuple[TensorSpec, ...]:
    value = getattr(model, name, None)
    if not value:
        return ()
    if not isinstance(value, Mapping):
        raise ModelFileError(
            f"{place}.{name}: must be a dict, not {type(value).__name__}",
            help=f'for example {name} = {{"x": ("float32", [-1, 4])}}',
        )
    try:
        return tuple(declared_spec(str(k), row) for k, row in value.items())
    except Unhinted as error:
        raise ModelFileError(f"{place}.{name}: {error}") from None


def may_differ(
    signature: Signature, last: Hints | None, before: Sequence[Hints | None], *, stated: bool
) -> bool:
    """Return whether the rows of one request may be answered in unequal shapes.

    ``last``: what the method says that gives the outputs, ``before``: what those before it say.
    ``stated``: the outputs are declared, and not by hints; a free axis is then taken for the rows'
    own unless an input has one that it may follow.
    """
    if not signature.batched:
        return False
    if any(hints is not None and hints.ragged for hints in before):
        return True
    free = [s.name for s in signature.outputs if -1 in s.shape[1:]]
    if not free or (last is not None and last.each):
        return bool(free)
    hinted = last.outputs if last is not None else {}
    follows = any(-1 in s.shape[1:] for s in signature.inputs)
    return any(
        (n in hinted and hinted[n].element is not None) or (stated and not follows) for n in free
    )


def _check_rows(what: str, inputs: Tensors, outputs: Tensors) -> None:
    """Refuse an answer whose rows cannot belong to the batch's rows."""
    rows = next((a.shape[0] for a in inputs.values() if a.ndim), None)
    for name, array in outputs.items():
        got = array.shape[0] if array.ndim else "a single value"
        if rows is not None and got != rows:
            raise ModelFailed(
                f"{what} returned {got} for the output {name!r}, and the batch has {rows} rows",
                help="answer every row of the batch, in its order",
            )
