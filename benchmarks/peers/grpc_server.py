"""Servers written on gRPC for Python alone: the inference service with a model behind it.

``BENCH_STYLE``: ``aio`` runs the model in the event loop of ``grpc.aio``, ``uvloop`` the same on
uvloop, ``threads`` in the thread pool of ``grpc.server``. With several workers each is a process that
listens on the same port. Messages are those that Triton's client package generates.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import numpy as np
from tritonclient.grpc import service_pb2 as pb
from tritonclient.grpc import service_pb2_grpc as services

from benchmarks.peers.common import PORT, STYLE, WORKERS, Model

THREADS = 32
ADDRESS = f"127.0.0.1:{PORT}"


def infer(model: Model, request: pb.ModelInferRequest) -> pb.ModelInferResponse:
    """Answer one request of one input."""
    tensor = request.inputs[0]
    array = np.frombuffer(request.raw_input_contents[0], np.float32).reshape(tensor.shape)
    (result,) = model.run(None, {tensor.name: array})
    response = pb.ModelInferResponse(model_name=request.model_name, model_version="1")
    response.outputs.add(name="probabilities", datatype="FP32", shape=result.shape)
    response.raw_output_contents.append(result.tobytes())
    return response


class Threaded(services.GRPCInferenceServiceServicer):
    """The service in threads."""

    def __init__(self) -> None:
        self.model = Model()

    def ModelInfer(self, request: pb.ModelInferRequest, context: Any) -> pb.ModelInferResponse:
        """Answer one call."""
        return infer(self.model, request)

    def ModelStreamInfer(
        self, requests: Iterator[pb.ModelInferRequest], context: Any
    ) -> Iterator[pb.ModelStreamInferResponse]:
        """Answer one message after the other."""
        for request in requests:
            yield pb.ModelStreamInferResponse(infer_response=infer(self.model, request))


class Inline(services.GRPCInferenceServiceServicer):
    """The service in an event loop."""

    def __init__(self) -> None:
        self.model = Model()

    async def ModelInfer(
        self, request: pb.ModelInferRequest, context: Any
    ) -> pb.ModelInferResponse:
        """Answer one call."""
        return infer(self.model, request)

    async def ModelStreamInfer(
        self, requests: AsyncIterator[pb.ModelInferRequest], context: Any
    ) -> AsyncIterator[pb.ModelStreamInferResponse]:
        """Answer one message after the other."""
        async for request in requests:
            yield pb.ModelStreamInferResponse(infer_response=infer(self.model, request))


async def serve_inline() -> None:
    """Serve in the running loop until the process is ended."""
    server = grpc.aio.server(options=[("grpc.so_reuseport", 1)])
    services.add_GRPCInferenceServiceServicer_to_server(Inline(), server)
    server.add_insecure_port(ADDRESS)
    await server.start()
    await server.wait_for_termination()


def serve_threaded() -> None:
    """Serve from a pool of threads until the process is ended."""
    server = grpc.server(ThreadPoolExecutor(THREADS), options=[("grpc.so_reuseport", 1)])
    services.add_GRPCInferenceServiceServicer_to_server(Threaded(), server)
    server.add_insecure_port(ADDRESS)
    server.start()
    server.wait_for_termination()


def main() -> None:
    """Serve in the configured style, from as many processes as are asked for."""
    # Forked before gRPC has started anything; all are in one process group, which ends them.
    for _ in range(WORKERS - 1):
        if not os.fork():
            break
    if STYLE == "threads":
        serve_threaded()
    elif STYLE == "uvloop":
        import uvloop

        uvloop.run(serve_inline())
    elif STYLE == "aio":
        asyncio.run(serve_inline())
    else:
        sys.exit(f"unknown style {STYLE!r}")


if __name__ == "__main__":
    main()
