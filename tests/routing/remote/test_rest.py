"""The HTTP half: what is written, and servers that are neither ours nor quite like it."""

import asyncio
import threading

import numpy as np
import pytest
import trustme
from tests.routing.remote.asking import request, run, serving, spec_of
from tests.routing.remote.peers import METADATA, answer, replicas

from inferd.codecs import json
from inferd.codecs.oip_described import describe
from inferd.core.errors import Unavailable
from inferd.routing.remote import rest
from inferd.routing.remote.failure import Failure
from inferd.routing.remote.grpc import GRPCWire
from inferd.routing.remote.rest import RestWire
from inferd.routing.remote.servable import RemoteModel
from inferd.routing.remote.service import Service
from inferd.routing.remote.spec import Endpoint, ServiceSpec, TLSFiles
from inferd.routing.remote.wire import Asked
from inferd.transport.outgoing import Address, Pool
from inferd.transport.tls import server_context

X = np.array([[1, 2]], np.float32)


def heads(peer):
    """Keep the heads that a replica is asked with."""
    kept = []
    reply = peer.reply

    async def keeping(head, body, writer):
        kept.append(head)
        return await reply(head, body, writer)

    peer.reply = keeping
    return kept


def test_what_is_written():
    async def main():
        async with replicas("good") as (peer,):
            kept = heads(peer)
            async with serving(
                peer.url + "/base", name="work", model="a/b", version="2",
                headers=(("Authorization", "Bearer x"),),
            ) as model:  # fmt: skip
                await model(request({"x": X}, id="r-1"))
            asked = kept[-1].decode()
            assert asked.startswith("POST /base/v2/models/a%2Fb/versions/2/infer HTTP/1.1\r\n")
            for line in (
                f"Host: 127.0.0.1:{peer.port}", "Authorization: Bearer x", "x-request-id: r-1",
                "Content-Type: application/octet-stream", "x-server-timing: 1",
            ):  # fmt: skip
                assert f"\r\n{line}\r\n" in asked
            described = [head.split()[1] for head in kept[:-1]]
            assert b"/base/v2/models/a%2Fb/versions/2" in described

    run(main())


def test_servers_without_the_binary_form_are_asked_in_json():
    async def main():
        async with replicas("one", "two") as peers:

            async def reply(head, body, writer):
                path = head.split(b" ", 2)[1]
                if path.endswith(b"/infer"):
                    asked.append(json.loads(body))
                    out = {"name": "y", "datatype": "FP32", "shape": [1, 2], "data": [2, None]}
                    writer.write(answer(200, {"model_name": "work", "outputs": [out]}))
                elif path == b"/v2":
                    writer.write(answer(200, {"name": "other", "extensions": []}))
                else:
                    writer.write(answer(200, METADATA))
                return True

            asked = []
            for peer in peers:
                peer.reply = reply
            async with serving(*(peer.url for peer in peers)) as model:
                for _ in range(4):  # also the replica that was never asked what it reads
                    outputs = (await model(request({"x": X}))).outputs
                    np.testing.assert_array_equal(outputs["y"], [[2, np.nan]])
            assert len(asked) == 4

    run(main())


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (answer(200, [1]), "no object"),
        (answer(200, b"<html>"), "JSON"),
        (answer(500, b"oops"), "oops"),
        (answer(200, {"inputs": [], "outputs": [{"name": "y", "datatype": "FP99", "shape": [1]}]}), "FP99"),
        (answer(200, {"inputs": [{}], "outputs": []}), "no name"),
        (answer(200, {"inputs": [], "outputs": []}), "no outputs"),
        (answer(302, b"", b"Location: http://elsewhere"), "302"),
    ],
    ids=["list", "html", "500", "datatype", "name", "nothing", "redirect"],
)  # fmt: skip
def test_metadata_that_are_none(reply, reason):
    async def main():
        async with replicas("good") as (peer,):

            async def replying(head, body, writer):
                writer.write(reply)
                return True

            peer.reply = replying
            wire = RestWire(
                spec_of(peer.url), Endpoint("127.0.0.1", peer.port),
                Pool(Address("127.0.0.1", peer.port)),
            )  # fmt: skip
            with pytest.raises(Failure, match=reason):
                await wire.describe(5)
            await wire.aclose()

    run(main())


def noting(function, places):
    """Return the function, which notes whether it is called on the loop's thread."""

    def noted(*arguments, **more):
        places.append(threading.current_thread() is threading.main_thread())
        return function(*arguments, **more)

    return noted


def test_many_texts_are_written_and_read_off_the_loop(far, monkeypatch):
    texts = np.empty((50_000, 1), object)
    texts[:] = b"0123456789012345678901234567890123456789"
    places = []
    monkeypatch.setattr(rest, "decode_response", noting(rest.decode_response, places))
    monkeypatch.setattr(rest, "encode_parts", noting(rest.encode_parts, places))

    async def main():
        async with serving(far.urls["http"], name="echo", model="Echo") as model:
            specs = model.model.signature.inputs
            small = {s.name: np.zeros((1, 1), s.dtype.numpy) for s in specs}
            small["bytes"] = texts[:1]
            await model(request(small, 30))
            assert places == [True, True]
            large = {s.name: np.zeros((50_000, 1), s.dtype.numpy) for s in specs}
            large["bytes"] = texts
            outputs = (await model(request(large, 30, outputs=("bytes_out",)))).outputs
            assert (outputs["bytes_out"] == texts).all()
            assert places[2:] == [False, False]

    run(main())


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_a_long_sound_is_written_off_the_loop(far, monkeypatch, protocol):
    places = []
    monkeypatch.setattr(rest, "question", noting(rest.question, places))
    monkeypatch.setattr(GRPCWire, "_write", noting(GRPCWire._write, places))

    async def main():
        async with serving(far.urls[protocol], name="sizes", model="Sizes") as model:
            for size in (10, (1 << 20) + 1):
                sound = np.array([b"\xff" * size, None], object)[:1]
                response = await model(request({"sound": sound}, 30))
                first = await anext(response.chunks)
                assert first["output"].tolist() == [b"%d " % size]
                await response.chunks.aclose()
            assert places == [True, False]

    run(main())


def test_over_tls_by_name(tmp_path):
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    authority.issue_cert("work.internal").private_key_and_cert_chain_pem.write_to_path(
        tmp_path / "server.pem"
    )

    async def resolver(host, port):
        return ["127.0.0.1"]

    async def main():
        async with replicas("good") as (peer,):
            context = server_context(tmp_path / "server.pem")
            secure = await asyncio.start_server(peer.serve, "127.0.0.1", 0, ssl=context)
            port = secure.sockets[0].getsockname()[1]
            for name, fails in (("work.internal", False), ("other.internal", True)):
                spec = ServiceSpec(
                    "work", (Endpoint(name, port, True),), model="work",
                    tls=TLSFiles(ca=tmp_path / "ca.pem"), retries=0,
                )  # fmt: skip
                service = Service(spec, resolver=resolver)
                await service.start()
                await asyncio.sleep(0.05)
                model = RemoteModel(service, describe(METADATA), "1")
                if fails:
                    with pytest.raises(Unavailable, match="certificate"):
                        await model(request({"x": X}))
                else:
                    assert (await model(request({"x": X}))).outputs["y"].tolist() == [[2, 4]]
                await service.stop()
            secure.close()

    run(main())


def test_a_wire_that_drains_takes_nothing_more():
    async def main():
        async with replicas("good") as (peer,):
            wire = RestWire(
                spec_of(peer.url), Endpoint("127.0.0.1", peer.port),
                Pool(Address("127.0.0.1", peer.port)),
            )  # fmt: skip
            model = describe(METADATA)
            asked = Asked({"x": X}, None, {}, ())
            assert (await wire.infer(asked, model, 5)).version == "7"
            wire.drain()
            with pytest.raises(Failure) as caught:
                await wire.infer(asked, model, 5)
            assert caught.value.again
            await wire.aclose()

    run(main())
