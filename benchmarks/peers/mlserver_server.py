"""MLServer: its gRPC door, with a runtime of a few lines around ONNX Runtime.

Its settings are files, written to a folder of its own beside the port. ``BENCH_WORKERS``: processes
for inference behind the front, 0 runs the model in the front. ``BENCH_BATCH``: adaptive batching.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse

from benchmarks.peers import common
from benchmarks.peers.common import BATCH, PORT, WAIT_MS, WORKERS
from benchmarks.process import free_port
from benchmarks.sides import STATE


class Inference(MLModel):
    """Holds the model; the protocol's form in and out."""

    async def load(self) -> bool:
        """Load the model."""
        self.model = common.Model()
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """Answer one request, or those that batching put together."""
        return self.answer(payload)

    async def predict_stream(
        self, payloads: AsyncIterator[InferenceRequest]
    ) -> AsyncIterator[InferenceResponse]:
        """Answer one message after the other."""
        async for payload in payloads:
            yield self.answer(payload)

    def answer(self, payload: InferenceRequest) -> InferenceResponse:
        """Run the model."""
        array = np.asarray(NumpyCodec.decode_input(payload.inputs[0]), np.float32)
        (result,) = self.model.run(None, {payload.inputs[0].name: array})
        output = NumpyCodec.encode_output("probabilities", result)
        return InferenceResponse(model_name=self.name, model_version="1", outputs=[output])


def main() -> None:
    """Write the settings and become MLServer."""
    folder = STATE / f"mlserver-{PORT}"
    folder.mkdir(parents=True, exist_ok=True)
    server = {
        "host": "127.0.0.1", "grpc_port": PORT, "http_port": free_port(),
        "metrics_port": free_port(), "parallel_workers": WORKERS, "debug": False,
    }  # fmt: skip
    model = {
        "name": "t", "implementation": "benchmarks.peers.mlserver_server.Inference",
        "parameters": {"version": "1"},
    }  # fmt: skip
    if BATCH > 1:
        model |= {"max_batch_size": BATCH, "max_batch_time": WAIT_MS / 1e3}
    (folder / "settings.json").write_text(json.dumps(server))
    (folder / "model-settings.json").write_text(json.dumps(model))
    os.chdir(folder)
    command = str(Path(sys.executable).with_name("mlserver"))
    os.execv(command, [command, "start", str(folder)])


if __name__ == "__main__":
    main()
