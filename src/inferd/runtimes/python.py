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

import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from inferd.core.errors import InferdError, ModelFailed, ModelFileError
from inferd.core.message import Parameters
from inferd.core.model import Model
from inferd.core.runtime import Engine, Options
from inferd.core.signature import Signature, TensorSpec
from inferd.core.tensor import Tensors
from inferd.runtimes.call import HINT, Call
from inferd.runtimes.code import failed, load_module, load_object
from inferd.runtimes.generate import GeneratorEngine, ModelEngine, answered, is_engine, with_batch
from inferd.runtimes.hints import Hints, Unhinted, declared_spec
from inferd.runtimes.returned import Uneven, to_tensors
from inferd.runtimes.signatures import declared, learn_outputs, settle

LISTS = (
    "where rows may differ, hint what is returned as lists: `-> list[list[float]]`; every row is "
    "then answered by itself"
)
RECTANGLE = "fill the lists of one example to one length: a tensor has no ragged rows"


class PythonRuntime:
    """One Python class.

    ``streams``: ``predict`` is a generator, or the class is an engine. ``trial``: the most pieces that
    ``run`` takes of such a model (``None``: all). ``learned``: the outputs are nowhere declared, and
    were learned from a trial run.
    """

    name = "python"
    releases_gil = False
    keeps_inputs = True

    def __init__(self) -> None:
        self.streams = False
        self.trial: int | None = None
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
        if is_engine(type(self._model)):
            self._predict = Call(self._model.add, place, hinted=False)
            self._predict.needed = ["inputs"]
            self.streams = True
        else:
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
        if self.streams:
            self._ragged = True
            if not signature.batched:
                raise ModelFileError(
                    f"{place}: a model that streams has a batch axis, and its signature none",
                    help="write axis 0 of every input and output as -1; requests come one by one",
                )
        return replace(signature, ragged=self._ragged)

    def _whole(self, inputs: Tensors) -> Tensors:
        """Answer one request as the executor would: all three verbs."""
        prepared = self._run_pre(inputs) if self._pre else inputs
        outputs = self.run(prepared)
        return self._run_post(outputs) if self._post else outputs

    @property
    def sequences(self) -> int | None:
        """How many requests the class says that it generates for at once."""
        found = getattr(self._model, "sequences", None)
        return found if isinstance(found, int) and found > 0 else None

    def engine(self) -> Engine:
        """Return the engine that answers requests of a model that streams."""
        if is_engine(type(self._model)):
            return ModelEngine(self._model, self._piece)
        return GeneratorEngine(self._stream)

    def run(self, inputs: Tensors) -> Tensors:
        if self.streams:
            rows = next((a.shape[0] for a in inputs.values() if a.ndim), 1)
            parts = [{k: a[i : i + 1] for k, a in inputs.items()} for i in range(rows)]
            return answered(self.engine(), parts, self.trial)
        specs = None if self._post else self._outputs
        returned = self._predict(inputs)
        outputs = self._converted(self._predict, returned, specs, ragged=self._ragged)
        if self._batched:
            _check_rows(self._predict.name, inputs, outputs)
        return outputs

    def _stream(self, inputs: Tensors, parameters: Parameters) -> Iterator[Tensors]:
        """Return what the generator ``predict`` yields for one row, as tensors."""
        return map(self._piece, self._predict.chunks(inputs, parameters))

    def _piece(self, value: Any) -> Tensors:
        """Return one piece of an answer as tensors; it need not hold every output."""
        value = with_batch(value, each=self._predict.each)
        specs = None if self._post else self._outputs
        if specs is not None and isinstance(value, Mapping):
            specs = tuple(s for s in specs if s.name in value)
        return self._converted(self._predict, value, specs)

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
    if (predict is None or predict is Model.predict) and not is_engine(found):
        raise ModelFileError(
            f"{place}: the class defines no `predict`",
            help="define it, or the verbs of an engine: `add`, `step` and `cancel`",
        )
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
