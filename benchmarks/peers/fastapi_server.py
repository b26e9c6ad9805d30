"""FastAPI on uvicorn (uvloop, httptools): what most people write first.

``BENCH_STYLE`` says how the body is read. ``orjson``: raw, so that neither pydantic nor the standard
library's JSON costs anything, and the model runs in FastAPI's thread pool, as its documentation
advises for blocking work. ``json``: ``await request.json()``. ``pydantic``: a model with lists, in an
ordinary function. Requests are those of the simple dialect, and infer requests with one input.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel

from benchmarks.peers.common import PORT, STYLE, WORKERS, Model

JSON = "application/json"
PREDICT = "/predict"
INFER = "/v2/models/{name}/infer"


class Simple(BaseModel):
    """A request of the simple dialect."""

    data: list[Any]


class Tensor(BaseModel):
    """One tensor of an infer request."""

    name: str
    datatype: str
    shape: list[int]
    data: list[Any]


class Infer(BaseModel):
    """An infer request."""

    inputs: list[Tensor]


def numbers(model: Model, data: Any, shape: list[int] | None = None) -> list[Any]:
    """Run the model on one example, or on a batch of ``shape``; return its numbers."""
    array = np.array(data, np.float32)
    batch = array[np.newaxis] if shape is None else array.reshape(shape)
    result: list[Any] = model.run(None, {model.first: batch})[0].tolist()
    return result


def inferred(result: list[Any]) -> dict[str, Any]:
    """Return an infer response."""
    shape, flat = [len(result), len(result[0])], [number for row in result for number in row]
    output = {"name": "output", "datatype": "FP32", "shape": shape, "data": flat}
    return {"model_name": "b", "model_version": "1", "outputs": [output]}


def raw(app: FastAPI, model: Model) -> None:
    """Read bodies raw and decode them with orjson."""

    @app.post(PREDICT)
    async def predict(request: Request) -> Response:
        body = await request.body()
        return Response(await run_in_threadpool(model.one, body), media_type=JSON)

    @app.post(INFER)
    async def infer(request: Request) -> Response:
        body = await request.body()
        return Response(await run_in_threadpool(model.infer, body), media_type=JSON)


def parsed(app: FastAPI, model: Model) -> None:
    """Let the request parse its JSON."""

    @app.post(PREDICT)
    async def predict(request: Request) -> Any:
        body = await request.json()
        return {"result": numbers(model, body["data"])[0]}

    @app.post(INFER)
    async def infer(request: Request) -> Any:
        (tensor,) = (await request.json())["inputs"]
        return inferred(numbers(model, tensor["data"], tensor["shape"]))


def validated(app: FastAPI, model: Model) -> None:
    """Let pydantic read the body."""

    def predict(body: Simple) -> Any:
        return {"result": numbers(model, body.data)[0]}

    def infer(body: Infer) -> Any:
        (tensor,) = body.inputs
        return inferred(numbers(model, tensor.data, tensor.shape))

    app.post(PREDICT)(predict)
    app.post(INFER)(infer)


STYLES = {"": raw, "orjson": raw, "json": parsed, "pydantic": validated}


def create() -> FastAPI:
    """Build the application; each uvicorn worker calls it once."""
    app = FastAPI()
    STYLES[STYLE](app, Model())
    return app


def main() -> None:
    """Serve with the configured number of worker processes."""
    uvicorn.run(
        "benchmarks.peers.fastapi_server:create", factory=True, host="127.0.0.1", port=PORT,
        workers=WORKERS, log_level="error", access_log=False, loop="uvloop", http="httptools",
    )  # fmt: skip


if __name__ == "__main__":
    main()
