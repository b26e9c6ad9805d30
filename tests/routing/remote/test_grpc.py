"""The gRPC half: faults of connections and of answers mean what they mean over HTTP."""

import asyncio
import contextlib
import socket
import time

import grpc
import numpy as np
import pytest
import trustme
from tests.routing.remote.asking import request, run, spec_of
from tests.routing.remote.peers import METADATA

from inferd.codecs.oip_described import describe
from inferd.codecs.protobuf.messages import inference
from inferd.core.errors import DeadlineExceeded, InferdError, InvalidInput, ModelFailed, Unavailable
from inferd.routing.remote.ejection import UP
from inferd.routing.remote.grpc import GRPCWire
from inferd.routing.remote.servable import RemoteModel
from inferd.routing.remote.service import Service
from inferd.routing.remote.spec import Endpoint, TLSFiles

X = np.array([[1, 2]], np.float32)
SERVICE = "inference.GRPCInferenceService"


class Far:
    """A server that answers as ``replies`` say: method to an async function of (body, context)."""

    def __init__(self, **replies):
        self.replies = replies
        self.server = None
        self.metadata = []

    def service(self, details):
        name = details.method.rpartition("/")[2]
        reply = self.replies.get(name)
        self.metadata.append((name, dict(details.invocation_metadata)))
        if reply is None:
            return None
        if name == "ModelStreamInfer":
            return grpc.stream_stream_rpc_method_handler(reply)
        return grpc.unary_unary_rpc_method_handler(reply)


@contextlib.asynccontextmanager
async def serving(*, credentials=None, **replies):
    far = Far(**replies)

    class Handler(grpc.GenericRpcHandler):
        def service(self, details):
            return far.service(details)

    far.server = grpc.aio.server()
    far.server.add_generic_rpc_handlers([Handler()])
    if credentials is None:
        far.port = far.server.add_insecure_port("127.0.0.1:0")
    else:
        far.port = far.server.add_secure_port("127.0.0.1:0", credentials)
    await far.server.start()
    try:
        yield far
    finally:
        await far.server.stop(0)


@contextlib.asynccontextmanager
async def asking(*ports, **more):
    service = Service(spec_of(*(f"grpc://127.0.0.1:{port}" for port in ports), **more))
    await service.start()
    try:
        yield RemoteModel(service, describe(METADATA), "1")
    finally:
        await service.stop()


def answered(name="y", datatype="FP32", shape=(1, 2), raw=X.tobytes()):
    message = inference("ModelInferResponse")(model_name="work", model_version="7")
    message.outputs.add(name=name, datatype=datatype, shape=shape)
    message.raw_output_contents.append(raw)
    return message.SerializeToString()


async def good(body, context):
    return answered()


async def outcome(model, seconds=5.0):
    try:
        return (await model(request({"x": X}, seconds))).outputs["y"].tolist()
    except InferdError as error:
        return error


def test_tensors_may_be_typed_in_answers():
    async def typed(body, context):
        message = inference("ModelInferResponse")(model_name="work")
        message.outputs.add(name="y", datatype="FP32", shape=[1, 2])
        message.outputs[0].contents.fp32_contents.extend([3, 4])
        return message.SerializeToString()

    async def main():
        async with serving(ModelInfer=typed) as far, asking(far.port) as model:
            assert await outcome(model) == [[3, 4]]

    run(main())


@pytest.mark.parametrize(
    ("reply", "kind", "message"),
    [
        (b"\xff\xff", Unavailable, "cannot be parsed"),
        (answered(raw=b"123"), Unavailable, "takes 8 bytes"),
        (answered(datatype="FP99"), Unavailable, "FP99"),
        (answered(shape=(-1, 2)), Unavailable, "shape"),
        (answered(datatype="INT32"), ModelFailed, "INT32, not FP32"),
        (answered(name="z"), ModelFailed, "no output 'y'"),
        (answered(shape=(2, 1)), ModelFailed, "shape"),
    ],
    ids=["garbage", "bytes", "datatype", "free", "type", "name", "sizes"],
)
def test_answers_that_are_none(reply, kind, message):
    async def replying(body, context):
        return reply

    async def main():
        async with serving(ModelInfer=replying) as far, asking(far.port) as model:
            error = await outcome(model)
            assert type(error) is kind
            assert message in error.message

    run(main())


@pytest.mark.parametrize(
    ("code", "trailing", "kind", "after"),
    [
        (grpc.StatusCode.INVALID_ARGUMENT, (), "invalid_input", None),
        (grpc.StatusCode.INVALID_ARGUMENT, (("error-kind", "too_large"),), "too_large", None),
        (grpc.StatusCode.NOT_FOUND, (), "not_found", None),
        (grpc.StatusCode.INTERNAL, (("error-kind", "model_failed"),), "model_failed", None),
        (grpc.StatusCode.UNKNOWN, (), "model_failed", None),
        (grpc.StatusCode.UNIMPLEMENTED, (), "unsupported", None),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, (("retry-after", "7"),), "overloaded", 7.0),
        (grpc.StatusCode.UNAVAILABLE, (("error-kind", "unavailable"), ("retry-after", "4")),
         "unavailable", 4.0),
        (grpc.StatusCode.PERMISSION_DENIED, (), "unavailable", None),
    ],
    ids=str,
)  # fmt: skip
def test_statuses(code, trailing, kind, after):
    async def refusing(body, context):
        context.set_trailing_metadata(trailing)
        await context.abort(code, "as it says")

    async def main():
        async with serving(ModelInfer=refusing) as far, asking(far.port, retries=0) as model:
            error = await outcome(model)
            assert error.kind == kind
            assert "as it says" in error.message
            assert getattr(error, "retry_after", None) == after

    run(main())


def test_a_replica_that_stops_and_comes_back(monkeypatch):
    from inferd.routing.remote import service as module

    monkeypatch.setattr(module, "PROBE_EVERY", 0.05)

    async def ready(body, context):
        return inference("ServerReadyResponse")(ready=True).SerializeToString()

    replies = {"ModelInfer": good, "ServerReady": ready}

    async def main():
        async with serving(**replies) as one, serving(**replies) as two:
            async with asking(one.port, two.port) as model:
                assert [await outcome(model) for _ in range(20)] == [[[1, 2]]] * 20
                await one.server.stop(0)
                for _ in range(10):
                    found = await asyncio.gather(*(outcome(model) for _ in range(8)))
                    assert found == [[[1, 2]]] * 8
                out = next(r for r in model.service.replicas if r.site.endpoint.port == one.port)
                assert out.standing.state == "down"

                class Handler(grpc.GenericRpcHandler):
                    def service(self, details):
                        return two.service(details)

                again = grpc.aio.server()
                again.add_generic_rpc_handlers([Handler()])
                assert again.add_insecure_port(f"127.0.0.1:{one.port}") == one.port
                await again.start()
                async with asyncio.timeout(8):
                    while out.standing.state != UP:
                        await asyncio.sleep(0.05)
                await again.stop(0)

    run(main())


def test_a_dead_machine_costs_little():
    async def main():
        with socket.socket() as full:
            full.bind(("127.0.0.1", 0))
            full.listen(0)
            held = []
            for _ in range(4):
                sock = socket.socket()
                sock.setblocking(False)
                sock.connect_ex(full.getsockname())
                held.append(sock)
            async with serving(ModelInfer=good) as far:
                async with asking(full.getsockname()[1], far.port) as model:
                    begin = time.monotonic()
                    found = [await outcome(model, 10) for _ in range(30)]
                    assert found == [[[1, 2]]] * 30
                    assert time.monotonic() - begin < 8
            for sock in held:
                sock.close()

    run(main())


def test_a_hanging_server_is_given_up_and_its_call_cancelled():
    cancelled = []

    async def hanging(body, context):
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.append(1)
            raise

    async def main():
        async with serving(ModelInfer=hanging) as far, asking(far.port) as model:
            assert isinstance(await outcome(model, 0.2), DeadlineExceeded)
            task = asyncio.create_task(outcome(model))
            await asyncio.sleep(0.1)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            async with asyncio.timeout(5):
                while len(cancelled) < 2:
                    await asyncio.sleep(0.02)

    run(main())


def piece(text, *, final=False):
    message = inference("ModelStreamInferResponse")()
    message.infer_response.outputs.add(name="y", datatype="FP32", shape=[1, 2])
    message.infer_response.raw_output_contents.append(text)
    if final:
        message.infer_response.parameters["triton_final_response"].bool_param = True
    return message.SerializeToString()


def streamed(*messages, then=None):
    async def reply(messages_in, context):
        await context.read()
        for message in messages:
            await context.write(message)
        if then is not None:
            await then(context)

    return reply


async def pieces_of(model):
    described = describe(METADATA, {"model_transaction_policy": {"decoupled": True},
                                    "max_batch_size": 8})  # fmt: skip
    model.model = described
    response = await model(request({"x": X}, 5))
    return [chunk["y"].tolist() async for chunk in response.chunks]


def test_a_stream_ends_with_its_last_message():
    last = piece(X.tobytes(), final=True)

    async def main():
        async with serving(ModelStreamInfer=streamed(piece(X.tobytes()), last)) as far:
            async with asking(far.port) as model:
                assert await pieces_of(model) == [[[1, 2]], [[1, 2]]]
                assert dict(far.metadata)["ModelStreamInfer"]["triton_grpc_error"] == "true"

    run(main())


@pytest.mark.parametrize(
    ("messages", "kind", "reason"),
    [
        ([piece(X.tobytes())], ModelFailed, "ended before the answer was whole"),
        ([piece(X.tobytes()), piece(b"123")], ModelFailed, "takes 8 bytes"),
        ([piece(X.tobytes()), b"\xff\xff"], ModelFailed, "cannot be parsed"),
        ([inference("ModelStreamInferResponse")(error_message="it broke").SerializeToString()],
         ModelFailed, "it broke"),
        ([], Unavailable, "ended before"),
    ],
    ids=["end", "bytes", "garbage", "error", "nothing"],
)  # fmt: skip
def test_streams_that_break_off(messages, kind, reason):
    async def main():
        async with serving(ModelStreamInfer=streamed(*messages)) as far:
            async with asking(far.port, retries=0) as model:
                with pytest.raises(kind, match=reason):
                    await pieces_of(model)
                assert model.service.replicas[0].load.in_flight == 0

    run(main())


def test_a_stream_that_is_refused_keeps_its_kind():
    async def then(context):
        context.set_trailing_metadata((("error-kind", "invalid_input"),))
        await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "not like this")

    async def main():
        async with serving(ModelStreamInfer=streamed(then=then)) as far:
            async with asking(far.port) as model:
                with pytest.raises(InvalidInput, match="not like this"):
                    await pieces_of(model)

    run(main())


def test_over_tls_by_name(tmp_path):
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    issued = authority.issue_cert("work.internal")
    credentials = grpc.ssl_server_credentials(
        [(issued.private_key_pem.bytes(), issued.cert_chain_pems[0].bytes())]
    )

    async def resolver(host, port):
        return ["127.0.0.1"]

    async def main():
        async with serving(ModelInfer=good, credentials=credentials) as far:
            for name, ok in (("work.internal", True), ("other.internal", False)):
                spec = spec_of(
                    f"grpcs://{name}:{far.port}", tls=TLSFiles(ca=tmp_path / "ca.pem"), retries=0
                )
                service = Service(spec, resolver=resolver)
                await service.start()
                await asyncio.sleep(0.05)
                found = await outcome(RemoteModel(service, describe(METADATA), "1"))
                assert (found == [[1, 2]]) is ok, found
                await service.stop()

    run(main())


def test_headers_go_with_every_call():
    async def main():
        async with serving(ModelInfer=good) as far:
            async with asking(far.port, headers=(("X-Key", "abc"),)) as model:
                await outcome(model)
            name, metadata = far.metadata[-1]
            assert name == "ModelInfer"
            assert metadata["x-key"] == "abc"
            assert metadata["x-request-timeout"].endswith("s")

    run(main())


def test_a_server_that_has_no_configuration():
    async def metadata(body, context):
        message = inference("ModelMetadataResponse")(name="work", versions=["7"])
        message.inputs.add(name="x", datatype="FP32", shape=[-1, 2])
        message.outputs.add(name="y", datatype="FP32", shape=[-1, 2])
        return message.SerializeToString()

    async def main():
        async with serving(ModelMetadata=metadata) as far:
            wire = GRPCWire(
                spec_of(f"grpc://127.0.0.1:{far.port}"),
                Endpoint("127.0.0.1", far.port),
                "127.0.0.1",
            )
            found = await wire.describe(5)
            assert (found.signature.batched, found.versions, found.streams) == (True, ("7",), False)
            assert not await wire.ready(1)
            await wire.aclose()

    run(main())
