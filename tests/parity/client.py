"""The doors of the Python client, in both of its forms."""

import asyncio
import threading

from tests.parity.doors import Door, prompted
from tests.parity.wire import Answer, Refused

from inferd.client.aio import AsyncClient
from inferd.client.sync import Client
from inferd.core.errors import InferdError


class Binary(Door):
    """Tensors as bytes."""

    label = "oip"
    binary = True

    def __init__(self, server):
        super().__init__(server)
        self.client = Client(server.http.address, binary=self.binary, retries=0)

    def predict(
        self, model, inputs, *, outputs=None, version=None, label=None, timeout=None, id=None
    ):
        given = {} if timeout is None else {"timeout": timeout}
        try:
            result = self.client.predict(
                model, inputs, outputs=outputs, version=version or label, request_id=id, **given
            )
        except InferdError as error:
            raise refused(error) from None
        return Answer(dict(result), result.request_id)

    def begin(self, model, inputs):
        return Task(self.server.http.address, model, inputs, binary=self.binary)

    def metadata(self, model):
        signature = self.client.metadata(model).signature
        return tuple(
            {spec.name: (spec.dtype.name, spec.shape) for spec in side}
            for side in (signature.inputs, signature.outputs)
        )

    def ready(self, model):
        return self.client.ready(model)

    def pieces(self, prompt):
        stream = self.client.stream("teller", prompted(prompt))
        try:
            for piece in stream:
                yield piece["text"].item().decode()
        except InferdError as error:
            raise refused(error) from None
        finally:
            stream.close()

    def close(self):
        self.client.close()


class Json(Binary):
    """Tensors as JSON."""

    binary = False


def refused(error):
    headers = {"x-request-id": getattr(error, "request_id", None)}
    if getattr(error, "retry_after", None) is not None:
        headers["retry-after"] = error.retry_after
    return Refused(error.kind, error.message, getattr(error, "status", None), headers)


class Task:
    """A call of the asynchronous client in a loop of its own; closing it cancels the call."""

    def __init__(self, address, model, inputs, *, binary):
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self._client = AsyncClient(address, binary=binary, retries=0)
        self._call = asyncio.run_coroutine_threadsafe(
            self._client.predict(model, inputs), self._loop
        )

    def close(self):
        self._call.cancel()
        asyncio.run_coroutine_threadsafe(self._client.aclose(), self._loop).result(5)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()
