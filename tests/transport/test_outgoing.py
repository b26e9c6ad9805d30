"""The pool: reuse, bounds, deadlines, cancellation, faults, TLS; nothing is left behind."""

import asyncio
import gc
import os
import socket
import time

import pytest
import trustme
from tests.transport.answering import ASK, OK, answering, asking, saying
from tests.transport.serving import run

from inferd.core.errors import ConfigError
from inferd.transport.outgoing import Address, NoAnswer, Pool, PoolSettings
from inferd.transport.tls import client_context, server_context


def hanging(peer_answers=b""):
    async def script(peer, reader, writer, number):
        await peer.request(reader)
        writer.write(peer_answers)
        await reader.read()

    return script


def test_many_at_once_use_no_more_connections_than_allowed():
    async def slow(peer, reader, writer, number):
        while True:
            await peer.request(reader)
            await asyncio.sleep(0.002)
            writer.write(OK)

    async def main():
        async with answering(slow) as peer, asking(peer.port, connections=3) as pool:
            answers = await asyncio.gather(*(pool.exchange(ASK, 10) for _ in range(60)))
            assert {bytes(a.body) for a in answers} == {b"ok"}
            assert peer.connections == 3

    run(main())


def test_the_connection_used_last_is_used_next_and_idle_ones_are_closed():
    async def main():
        async with answering(saying(OK)) as peer, asking(peer.port, idle_time=0.1) as pool:
            await asyncio.gather(*(pool.exchange(ASK, 5) for _ in range(4)))
            assert pool.open == 4
            for _ in range(10):
                await pool.exchange(ASK, 5)
                await asyncio.sleep(0.02)
            assert pool.open == 1
            await asyncio.sleep(0.3)
            await asyncio.sleep(0.01)
            assert pool.open == 0
            assert peer.connections == 4

    run(main())


def test_waiting_is_bounded_in_number_and_time():
    async def main():
        async with answering(hanging()) as peer:
            async with asking(peer.port, connections=1, waiting=1) as pool:
                first = asyncio.create_task(pool.exchange(ASK, 0.6))
                await asyncio.sleep(0.05)
                second = asyncio.create_task(pool.exchange(ASK, 0.1))
                await asyncio.sleep(0.01)
                with pytest.raises(NoAnswer) as refused:
                    await pool.exchange(ASK, 5)
                with pytest.raises(NoAnswer, match="free within") as late:
                    await second
                with pytest.raises(NoAnswer, match="no answer within"):
                    await first
                assert refused.value.full
                assert late.value.late

    run(main())


def test_a_cancelled_wait_gives_its_place_on():
    async def main():
        async with answering(saying(OK)) as peer, asking(peer.port, connections=1) as pool:
            for _ in range(50):
                tasks = [asyncio.create_task(pool.exchange(ASK, 5)) for _ in range(4)]
                await asyncio.sleep(0)
                tasks[1].cancel()
                tasks[0].cancel()
                done = await asyncio.gather(*tasks, return_exceptions=True)
                assert [bytes(a.body) for a in done[2:]] == [b"ok", b"ok"]
            assert pool.busy == 0

    run(main())


def test_a_cancelled_exchange_closes_its_connection():
    async def main():
        async with answering(hanging(OK[:-1])) as peer, asking(peer.port) as pool:
            task = asyncio.create_task(pool.exchange(ASK, 5))
            await asyncio.sleep(0.05)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            async with asyncio.timeout(2):
                while not peer.ended:
                    await asyncio.sleep(0.01)
            await asyncio.sleep(0.01)
            assert pool.open == 0

    run(main())


def test_a_kept_connection_that_was_closed_is_replaced_once():
    """The server closes after each answer without a word; the next request finds out."""

    async def script(peer, reader, writer, number):
        await peer.request(reader)
        writer.write(OK)
        await reader.readuntil(b"\r\n\r\n")
        writer.transport.abort()

    async def main():
        async with answering(script) as peer, asking(peer.port) as pool:
            for _ in range(5):
                assert (await pool.exchange(ASK, 5)).status == 200
            assert peer.connections == 5

    run(main())


def test_a_fresh_connection_that_is_closed_is_not_tried_again():
    async def script(peer, reader, writer, number):
        await peer.request(reader)

    async def main():
        async with answering(script) as peer, asking(peer.port) as pool:
            with pytest.raises(NoAnswer, match="ended before the answer") as caught:
                await pool.exchange(ASK, 5)
            assert not caught.value.began
            assert peer.connections == 1

    run(main())


def test_half_an_answer_on_a_kept_connection_is_not_asked_for_again():
    async def script(peer, reader, writer, number):
        await peer.request(reader)
        writer.write(OK)
        await peer.request(reader)
        writer.write(OK[:9])

    async def main():
        async with answering(script) as peer, asking(peer.port) as pool:
            await pool.exchange(ASK, 5)
            with pytest.raises(NoAnswer) as caught:
                await pool.exchange(ASK, 5)
            assert caught.value.began
            assert len(peer.asked) == 2

    run(main())


def test_nobody_listens():
    async def main():
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            async with asking(free.getsockname()[1]) as pool:
                with pytest.raises(NoAnswer, match="Connection refused") as caught:
                    await pool.exchange(ASK, 5)
                assert not caught.value.connected

    run(main())


def test_a_host_that_does_not_answer_is_given_up_after_the_connect_timeout():
    """A full backlog drops what comes: the machine looks dead."""

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
            await asyncio.sleep(0.05)
            async with asking(full.getsockname()[1], connect_timeout=0.3) as pool:
                begin = time.monotonic()
                with pytest.raises(NoAnswer, match=r"no connection within 0\.3 s") as caught:
                    await pool.exchange(ASK, 5)
                assert time.monotonic() - begin < 2
                assert not caught.value.connected
                assert not caught.value.late
            for sock in held:
                sock.close()

    run(main())


def test_connections_that_are_cancelled_while_they_are_made_leave_nothing():
    async def main():
        with socket.socket() as full:
            full.bind(("127.0.0.1", 0))
            full.listen(0)
            async with asking(full.getsockname()[1], connect_timeout=5) as pool:
                tasks = [asyncio.create_task(pool.exchange(ASK, 5)) for _ in range(4)]
                await asyncio.sleep(0.05)
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
                before = len(os.listdir("/proc/self/fd"))
                for _ in range(50):
                    task = asyncio.create_task(pool.exchange(ASK, 5))
                    await asyncio.sleep(0.001)
                    task.cancel()
                    await asyncio.gather(task, return_exceptions=True)
                await asyncio.sleep(0.05)
                assert len(os.listdir("/proc/self/fd")) <= before
                assert pool.busy == 0

    run(main())


def test_a_host_that_hangs_is_given_up_at_the_deadline():
    async def main():
        async with answering(hanging()) as peer, asking(peer.port) as pool:
            with pytest.raises(NoAnswer) as caught:
                await pool.exchange(ASK, 0.1)
            assert caught.value.late
            assert caught.value.connected
            with pytest.raises(NoAnswer, match="no time"):
                await pool.exchange(ASK, 0)

    run(main())


def test_a_pool_that_closes_finishes_what_goes_on():
    async def slow(peer, reader, writer, number):
        await peer.request(reader)
        await asyncio.sleep(0.1)
        writer.write(OK)
        await reader.read()

    async def main():
        async with answering(slow) as peer, asking(peer.port) as pool:
            task = asyncio.create_task(pool.exchange(ASK, 5))
            await asyncio.sleep(0.03)
            pool.close()
            assert (await task).status == 200
            await asyncio.sleep(0.01)
            assert pool.open == 0
            with pytest.raises(NoAnswer, match="closed"):
                await pool.exchange(ASK, 5)

    run(main())


def test_10000_failures_leave_nothing():
    async def script(peer, reader, writer, number):
        await peer.request(reader)
        if number % 2:
            writer.write(OK[:20])

    async def main():
        async with answering(script) as peer, asking(peer.port, connections=8) as pool:
            before = len(os.listdir("/proc/self/fd"))
            failed = 0

            async def work():
                nonlocal failed
                for _ in range(1250):
                    try:
                        await pool.exchange(ASK, 5)
                    except NoAnswer:
                        failed += 1

            await asyncio.gather(*(work() for _ in range(8)))
            await asyncio.sleep(0.1)
            assert failed == 10_000
            await asyncio.sleep(0.01)
            assert pool.open == 0
            assert len(os.listdir("/proc/self/fd")) <= before + 8
            assert len(asyncio.all_tasks()) <= 1 + 8

    run(main())
    gc.collect()


# -- TLS -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "ca.pem")
    trustme.CA().cert_pem.write_to_path(folder / "stranger.pem")
    authority.issue_cert("asr.internal").private_key_and_cert_chain_pem.write_to_path(
        folder / "server.pem"
    )
    authority.issue_cert("gateway").private_key_and_cert_chain_pem.write_to_path(
        folder / "gateway.pem"
    )
    (folder / "text.pem").write_text("hello")
    return folder


def test_the_certificate_must_be_of_the_name_and_trusted(files):
    async def main():
        context = server_context(files / "server.pem")
        async with answering(saying(OK), ssl=context) as peer:
            good = client_context(files / "ca.pem")
            async with asking(peer.port, tls=good, name="asr.internal") as pool:
                for _ in range(2):
                    assert bytes((await pool.exchange(ASK, 5)).body) == b"ok"
            for ca, name in (("ca.pem", "other.internal"), ("stranger.pem", "asr.internal")):
                async with asking(peer.port, tls=client_context(files / ca), name=name) as pool:
                    with pytest.raises(NoAnswer, match="certificate is not accepted") as caught:
                        await pool.exchange(ASK, 5)
                    assert not caught.value.connected

    run(main())


def test_a_certificate_of_this_side_is_shown(files):
    async def main():
        context = server_context(files / "server.pem", client_ca=files / "ca.pem")
        async with answering(saying(OK), ssl=context) as peer:
            shown = client_context(files / "ca.pem", files / "gateway.pem")
            async with asking(peer.port, tls=shown, name="asr.internal") as pool:
                assert (await pool.exchange(ASK, 5)).status == 200
            bare = client_context(files / "ca.pem")
            async with asking(peer.port, tls=bare, name="asr.internal") as pool:
                with pytest.raises(NoAnswer):
                    await pool.exchange(ASK, 5)

    run(main())


@pytest.mark.parametrize("arguments", [("absent.pem",), ("text.pem",), ("ca.pem", "text.pem")])
def test_a_wrong_file_is_named(files, arguments):
    with pytest.raises(ConfigError, match=arguments[-1]):
        client_context(*(files / name for name in arguments))


def test_a_large_body_over_tls(files):
    body = b"x" * 3_000_000
    raw = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body

    async def main():
        async with answering(saying(raw), ssl=server_context(files / "server.pem")) as peer:
            tls = client_context(files / "ca.pem")
            async with asking(peer.port, tls=tls, name="asr.internal") as pool:
                assert bytes((await pool.exchange(ASK, 10)).body) == body

    run(main())


def test_a_pool_has_sensible_bounds_unasked():
    pool = Pool(Address("127.0.0.1", 1))

    assert pool.settings == PoolSettings()
    assert pool.settings.connect_timeout == 1.0
