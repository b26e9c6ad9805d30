"""Steps that are a pipeline's own: a function in its worker, or a quick transform in the front.

Both take and give the tensors of one example, lists of arrays as columns (``core.tensor.uneven``). Those
in the worker share one batcher and its queue; what tells them apart are the names of their tensors.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Sequence

import numpy as np

from inferd.core.errors import InferdError, InvalidInput, ModelFailed
from inferd.core.message import Request, Response, Timings
from inferd.core.plan import BatchPlan
from inferd.core.qualified import packed, unpacked
from inferd.core.servable import Promise
from inferd.core.signature import Signature, TensorSpec
from inferd.core.tensor import Tensors, dtype_of, nbytes
from inferd.execution.executor import Entry
from inferd.execution.layout import Layout
from inferd.scheduling.batcher import Batcher
from inferd.scheduling.model import chosen
from inferd.scheduling.validate import Validator

INLINE_BYTES = 1 << 20
"""A transform of more than this runs in a thread, however quick it was when it was measured."""

_ALONE = BatchPlan(batched=False)


class WorkerStep:
    """Answers one step through the worker of its pipeline. A ``Direct`` servable.

    ``inputs`` and ``outputs``: of one example; ``uneven``: names of those that are lists of arrays.
    """

    def __init__(
        self, model: str, version: str, step: str, inputs: Sequence[TensorSpec],
        outputs: Sequence[TensorSpec], uneven: Collection[str], batcher: Batcher,
    ) -> None:  # fmt: skip
        self.model = model
        self.version = version
        self.step = step
        self.batcher = batcher
        self._lists = [spec for spec in inputs if spec.name in uneven]
        self._uneven = frozenset(uneven)
        self._empty = {
            spec.name: np.empty([max(0, n) for n in (0, *spec.shape[1:])], spec.dtype.numpy)
            for spec in outputs if spec.name in uneven
        }  # fmt: skip
        plain = tuple(spec for spec in inputs if spec.name not in uneven)
        self._validator = Validator(Signature(plain, (), batched=False), _ALONE)
        self._loop = asyncio.get_running_loop()

    def begin(
        self, inputs: Tensors, promise: Promise, deadline: float, priority: int, id: str
    ) -> Entry:
        """Admit one example; raises the refusal."""
        if self._lists:
            self._check_lists(inputs)
            plain = {name: a for name, a in inputs.items() if name not in self._uneven}
            self._validator.layout(plain)
            layout, size = Layout(1, None, 1, 0), sum(map(_bytes, inputs.values()))
        else:
            layout = self._validator.layout(inputs)
            size, _ = self._validator.measure(inputs, layout)
        entry = Entry(
            packed(self.step, inputs, self._uneven), layout, _Own(promise, self._empty), deadline=deadline,
            enqueued=0.0, priority=priority, nbytes=size, id=id,
        )  # fmt: skip
        self.batcher.submit(entry)
        return entry

    def timings(self, handle: Entry) -> Timings:
        """Return the timings of an example that was answered."""
        began = handle.enqueued
        timings = Timings(queue=handle.dispatched - began, batch_size=1, began=began)
        job = handle.job
        if job is not None and job.outcome is not None:
            timings.batch, timings.run = job.outcome.batch, job.outcome.run
        return timings

    def abandon(self, handle: Entry) -> None:
        """Forget an example nobody waits for."""
        self.batcher.cancel(handle)

    async def __call__(self, request: Request) -> Response:
        """Answer one example; raises ``InferdError``."""
        future: asyncio.Future[Tensors] = self._loop.create_future()
        entry = self.begin(request.inputs, future, request.deadline, request.priority, request.id)
        try:
            outputs = await future
        except asyncio.CancelledError:
            self.batcher.cancel(entry)
            raise
        except InferdError:
            del entry, future  # the future holds the error, whose traceback holds this frame
            raise
        if request.outputs is not None:
            outputs = chosen(outputs, request.outputs)
        return Response(self.model, self.version, outputs, self.timings(entry))

    def _check_lists(self, inputs: Tensors) -> None:
        for spec in self._lists:
            column = inputs.get(spec.name)
            if column is None:
                raise InvalidInput(f"input {spec.name!r} is missing")
            for one in column:
                if type(one) is not np.ndarray:
                    one = np.asarray(one)
                if dtype_of(one) is not spec.dtype or one.ndim != len(spec.shape) - 1:
                    raise InvalidInput(
                        f"an element of input {spec.name!r} is {dtype_of(one)} {list(one.shape)}, "
                        f"expected {spec.dtype} {list(spec.shape[1:])}"
                    )


class _Own:
    """A promise that is told outputs under the step's own names.

    ``empty``: what stands for a list of no arrays, which has no datatype of its own.
    """

    __slots__ = ("_empty", "_promise", "cancel", "cancelled", "done", "set_exception")

    def __init__(self, promise: Promise, empty: Tensors) -> None:
        self._promise = promise
        self._empty = empty
        self.done = promise.done
        self.cancelled = promise.cancelled
        self.cancel = promise.cancel
        self.set_exception = promise.set_exception

    def set_result(self, result: Tensors) -> None:
        try:
            _, outputs = unpacked(result)
            for name, none in self._empty.items():
                if name in outputs and not len(outputs[name]):
                    outputs[name] = none
        except (KeyError, ValueError, TypeError, RecursionError) as error:
            self._promise.set_exception(ModelFailed(f"the worker's answer lacks {error}"))
        else:
            self._promise.set_result(outputs)


class InlineStep:
    """Answers one step here: a transform that takes well under a millisecond. A ``Direct`` servable."""

    def __init__(
        self, model: str, version: str, inputs: Sequence[TensorSpec],
        function: Callable[[Tensors], Tensors],
    ) -> None:  # fmt: skip
        self.model = model
        self.version = version
        self._validator = Validator(Signature(tuple(inputs), (), batched=False), _ALONE)
        self._function = function

    def begin(
        self, inputs: Tensors, promise: Promise, deadline: float, priority: int, id: str
    ) -> Timings | None:
        """Answer one example at once; ``None`` for a large one."""
        layout = self._validator.layout(inputs)
        if self._validator.measure(inputs, layout)[0] > INLINE_BYTES:
            return None
        outputs, timings = self._timed(inputs)
        promise.set_result(outputs)
        return timings

    def timings(self, handle: Timings) -> Timings:
        """Return the timings of an example that was answered."""
        return handle

    def abandon(self, handle: Timings) -> None:
        """It was answered at once."""

    async def __call__(self, request: Request) -> Response:
        """Answer one example; raises ``InferdError``."""
        layout = self._validator.layout(request.inputs)
        if self._validator.measure(request.inputs, layout)[0] > INLINE_BYTES:
            outputs, timings = await asyncio.to_thread(self._timed, request.inputs)
        else:
            outputs, timings = self._timed(request.inputs)
        if request.outputs is not None:
            outputs = chosen(outputs, request.outputs)
        return Response(self.model, self.version, outputs, timings)

    def _timed(self, inputs: Tensors) -> tuple[Tensors, Timings]:
        start = time.perf_counter()
        outputs = self._function(inputs)
        return outputs, Timings(run=time.perf_counter() - start, batch_size=1)


def _bytes(array: np.ndarray) -> int:
    """Return the payload of a tensor, or of a list of them."""
    if array.dtype.hasobject and any(type(one) is np.ndarray for one in array.flat):
        return sum(nbytes(np.asarray(one)) for one in array.flat)
    return nbytes(array)
