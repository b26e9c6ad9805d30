"""``inferd.load``: a model in a notebook or a script, without a server.

The model runs behind the same batcher and executors as in the server, on an event loop in a thread
of its own, so ``predict`` works anywhere, inside a running loop too, and calls from several threads
share batches.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Collection, Coroutine, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import numpy as np

from inferd.codecs.base import Decoded, Encoded
from inferd.codecs.json import dumps
from inferd.codecs.npy import fit
from inferd.codecs.registry import SIMPLE, decoder, encoder
from inferd.codecs.results import Results
from inferd.control.curves import CurveStore
from inferd.control.loader import Loader, LoadSettings
from inferd.control.models import Models
from inferd.control.pipeline.loader import Pipelines
from inferd.control.sources import chosen
from inferd.core.clock import monotonic
from inferd.core.errors import InferdError, InvalidInput, Unavailable, nearest
from inferd.core.message import Parameters, Request, Response, collected, completed
from inferd.core.signature import Signature
from inferd.core.tensor import Tensors, as_bytes
from inferd.repository.spec import ModelSpec
from inferd.routing.table import RouteTable, Version

T = TypeVar("T")

EXECUTORS = {"inline": "inline", "worker": "process", "process": "process"}


def load(
    path: str | Path,
    *,
    executor: str = "inline",
    model: str | None = None,
    version: str | None = None,
    threads: int = 1,
    trust_pickle: bool | Collection[str] = False,
) -> LoadedModel:
    """Load a model and return it, ready to answer. A pipeline brings the models that it asks.

    Args:
        path: a model file, a model's directory, a repository, a pipeline's directory, or ``module:Class``.
        executor: ``inline`` runs the model in this process, ``worker`` in a supervised one.
        model: which one, where ``path`` holds several.
        version: which version; the latest by default.
        threads: threads of one run inside the framework.
        trust_pickle: let a pickled file run its code (only for files you made); or the names of
            the models that may, as ``--trust-pickle`` has them.

    Raises:
        ModelFileError, ConfigError: naming the file and what to do.
    """
    if executor not in EXECUTORS:
        raise InvalidInput(f"unknown executor {executor!r}", help=nearest(executor, EXECUTORS))
    specs = chosen(path, model, version, trust_pickle)
    return LoadedModel(specs, EXECUTORS[executor], threads)


class LoadedModel:
    """A model loaded in this program. Close it, or use it as a context manager."""

    def __init__(self, specs: Sequence[ModelSpec], executor: str, threads: int = 1) -> None:
        spec = specs[0]
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run_loop, name="inferd", daemon=True)
        self._thread.start()
        self._closed = False
        self._lock = threading.Lock()
        try:
            self._models: Models = self._await(self._load(specs, executor, threads))
        except BaseException:
            self._stop_loop()
            raise
        self._version: Version = self._models.table.find(spec.name, spec.version)

    @property
    def name(self) -> str:
        """The model's name."""
        return self._version.model

    @property
    def version(self) -> str:
        """The version loaded."""
        return self._version.version

    @property
    def signature(self) -> Signature:
        """Inputs and outputs, as ``predict`` takes and gives them."""
        assert self._version.signature is not None
        return self._version.signature

    def describe(self) -> Mapping[str, Any]:
        """Return signature, cost curve, instances and memory."""
        return self._version.describe()

    def predict(
        self, data: Any, *, timeout: float | None = None, parameters: Parameters | None = None
    ) -> Any:
        """Return the model's result for ``data``.

        ``data`` is one example, a batch, or ``{input name: value}``, of numbers, lists, texts,
        bytes or arrays, as in the simple dialect; the result has the same form (arrays stay
        numpy arrays, texts are ``str``, and ``bytes`` where they are not UTF-8). ``timeout``:
        seconds. ``parameters``: what a model that generates is told of the request. Raises
        ``InferdError``.
        """
        return self._await(self._predict(data, timeout, parameters))

    async def apredict(
        self, data: Any, *, timeout: float | None = None, parameters: Parameters | None = None
    ) -> Any:
        """Return what ``predict`` returns, from async code."""
        return await asyncio.wrap_future(self._begin(self._predict(data, timeout, parameters)))

    def stream(
        self, data: Any, *, timeout: float | None = None, parameters: Parameters | None = None
    ) -> Iterator[Any]:
        """Yield the pieces of the answer to one example as they come, each as a result.

        Closing the iterator stops the generation. A model that does not stream gives one piece.
        """
        pieces = self._await(self._open(data, timeout, parameters))
        results = Results(self.signature)
        try:
            while (piece := self._await(_next(pieces))) is not None:
                yield results.piece(with_texts(piece))
        finally:
            if not self._closed:
                self._await(_close(pieces))

    def ask(self, request: Request) -> Response:
        """Return the answer to one request as it is, timings and all; a streamed one is collected."""
        return self._await(self._ask(request))

    def answer(self, media: str, body: bytes, *, timeout: float | None = None) -> bytes:
        """Return the JSON body that the server would answer to ``body`` of content type ``media``."""
        return self._await(self._answer(media, body, timeout))

    def close(self) -> None:
        """Unload the model. Idempotent."""
        self._stay_outside()
        with self._lock:  # what was asked before has begun before the end does
            if self._closed:
                return
            self._closed = True
        asyncio.run_coroutine_threadsafe(self._models.stop(5.0), self._loop).result()
        self._stop_loop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        self.close()

    # -- on the loop ------------------------------------------------------------------------------

    async def _load(self, specs: Sequence[ModelSpec], executor: str, threads: int) -> Models:
        settings = LoadSettings(threads=threads, instances=1)
        loader = Loader(RouteTable(), settings, CurveStore(None))
        models = Models(loader, Pipelines(loader, settings.limits))
        for failure in await models.load_all([replace(s, executor=executor) for s in specs]):
            await models.stop(0.0)
            raise failure
        return models

    async def _predict(
        self, data: Any, timeout: float | None, parameters: Parameters | None
    ) -> Any:
        decoded = self._decode(data)
        decoded.parameters = dict(parameters or {})
        outputs = await self._outputs(decoded, timeout)
        if isinstance(outputs, list):
            outputs = [with_texts(row) for row in outputs]
        else:
            outputs = with_texts(outputs)
        return Results(self.signature).result(outputs, decoded.single)

    def _decode(self, data: Any) -> Decoded:
        ready = as_tensors(data, self.signature)
        if ready is not None:
            return ready
        from inferd.codecs.simple import SimpleCodec

        codec = SimpleCodec(self.signature, self._version.plan)
        return codec.decode(dumps({"data": plain(data)}))

    async def _open(
        self, data: Any, timeout: float | None, parameters: Parameters | None
    ) -> AsyncIterator[Tensors]:
        decoded, servable = self._decode(data), self._version.servable
        inputs = decoded.inputs or {}
        if servable is None or not (decoded.single or _is_one(inputs)):
            raise InvalidInput("one example is answered in pieces, not a batch")
        deadline = monotonic() + timeout if timeout is not None else float("inf")
        response = await servable(
            Request(self.name, inputs, parameters=dict(parameters or {}), deadline=deadline)
        )
        return response.chunks if response.chunks is not None else _one_piece(response.outputs)

    async def _ask(self, request: Request) -> Response:
        servable = self._version.servable
        if servable is None:
            raise InferdError(f"the model is {self._version.state}: {self._version.reason}")
        response = await servable(request)
        if response.chunks is not None:
            outputs = completed(await collected(response), self.signature, request.outputs)
            response.outputs, response.chunks = outputs, None
        return response

    async def _answer(self, media: str, body: bytes, timeout: float | None) -> bytes:
        name = SIMPLE if media.partition(";")[0].strip() == "application/json" else media
        signature, plan = self.signature, self._version.plan
        decoded = decoder(name, signature, plan).decode(body)
        outputs = await self._outputs(decoded, timeout)
        answer = encoder(name, signature).encode(outputs, decoded.single, decoded.id)
        return answer.body if isinstance(answer, Encoded) else answer

    async def _outputs(self, decoded: Decoded, timeout: float | None) -> Tensors | list[Tensors]:
        deadline = monotonic() + timeout if timeout is not None else float("inf")

        async def one(inputs: Tensors) -> Tensors:
            response = await self._ask(
                Request(
                    self.name, inputs, outputs=decoded.outputs, deadline=deadline,
                    parameters=decoded.parameters,
                )
            )  # fmt: skip
            return response.outputs

        if decoded.rows is not None:
            return list(await asyncio.gather(*map(one, decoded.rows)))
        return await one(decoded.inputs or {})

    # -- the loop's thread --------------------------------------------------------------------------

    def _run_loop(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()
        self._loop.close()

    def _await(self, work: Coroutine[Any, Any, T]) -> T:
        try:
            self._stay_outside()
        except RuntimeError:
            work.close()
            raise
        return self._begin(work).result()

    def _stay_outside(self) -> None:
        """Refuse to wait for the loop's thread in that very thread."""
        if threading.current_thread() is self._thread:
            raise RuntimeError("a model that is running cannot wait for itself")

    def _begin(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        """Give ``work`` to the loop's thread; raises ``Unavailable`` once the model is closed."""
        with self._lock:
            if not self._closed:
                return asyncio.run_coroutine_threadsafe(work, self._loop)
        work.close()
        raise Unavailable(
            "the model is closed", help="load it again with inferd.load, or close it later"
        )

    def _stop_loop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)


def _is_one(inputs: Tensors) -> bool:
    return bool(inputs) and all(a.ndim and a.shape[0] == 1 for a in inputs.values())


async def _one_piece(outputs: Tensors) -> AsyncIterator[Tensors]:
    yield outputs


async def _next(pieces: AsyncIterator[Tensors]) -> Tensors | None:
    return await anext(pieces, None)


async def _close(pieces: AsyncIterator[Tensors]) -> None:
    close = getattr(pieces, "aclose", None)
    if close is not None:
        await close()


def as_tensors(data: Any, signature: Signature) -> Decoded | None:
    """Take arrays as they are where their kind and rank fit; ``None`` to read them as data.

    Raises ``InvalidInput`` for values that the input's datatype cannot hold.
    """
    if isinstance(data, np.ndarray) and signature.lone is not None:
        data = {signature.lone.name: data}
    if not isinstance(data, Mapping) or not data:
        return None
    inputs: Tensors = {}
    single: set[bool] = set()
    for spec in signature.inputs:
        value = data.get(spec.name)
        if value is None and spec.default is not None and spec.name not in data:
            continue
        if not isinstance(value, np.ndarray) or value.dtype.hasobject or value.dtype.kind in "SU":
            return None
        if not np.can_cast(value.dtype, spec.dtype.numpy, "same_kind"):
            return None
        rank = len(spec.shape)
        one = signature.batched and value.ndim == rank - 1
        if not one and value.ndim != rank:
            return None
        single.add(one)
        array = value[None] if one else value
        inputs[spec.name] = np.ascontiguousarray(fit(array, spec))
    if len(inputs) != len(data) or len(single) != 1:
        return None
    return Decoded(inputs, None, single.pop() or not signature.batched)


def with_texts(outputs: Tensors) -> Tensors:
    """Return outputs whose BYTES elements are texts where they are UTF-8, wherever the model ran."""
    return {
        name: _texts(array) if array.dtype.kind in "SUO" else array
        for name, array in outputs.items()
    }


def _texts(array: np.ndarray) -> np.ndarray:
    texts = np.empty(array.size, object)
    for index, element in enumerate(array.flat):
        texts[index] = _text(element)
    return texts.reshape(array.shape)


def _text(element: object) -> str | bytes:
    if isinstance(element, str):
        return str(element)
    data = as_bytes(element)
    try:
        return data.decode()
    except UnicodeDecodeError:
        return bytes(data)


def plain(value: Any) -> Any:
    """Return data as the simple dialect reads it: lists, numbers, texts; bytes as ``{"b64": ...}``."""
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, (bytes, bytearray)):
        import base64

        return {"b64": base64.b64encode(value).decode()}
    if isinstance(value, os.PathLike):
        return plain(Path(value).read_bytes())
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [plain(v) for v in value]
    return value
