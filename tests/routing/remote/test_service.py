"""A service whose replicas are good, bad, dead and back: who is asked, what is told, what is left."""

import asyncio
import contextlib
import socket
import sys
import time

import numpy as np
import pytest
from tests.routing.remote.asking import descriptors, request, run, serving, spec_of
from tests.routing.remote.peers import METADATA, replicas

from inferd.codecs.oip_described import describe
from inferd.core.errors import (
    DeadlineExceeded,
    InferdError,
    MissingExtra,
    ModelFailed,
    Overloaded,
    Unavailable,
)
from inferd.routing.remote import service as service_module
from inferd.routing.remote.ejection import DOWN, EJECTED, UP
from inferd.routing.remote.servable import RemoteModel


@pytest.fixture(autouse=True)
def probes(monkeypatch):
    monkeypatch.setattr(service_module, "PROBE_EVERY", 0.05)


@contextlib.asynccontextmanager
async def asking(*urls, **more):
    async with serving(*urls, describe=False, **more) as service:
        yield RemoteModel(service, describe(METADATA), "1")


def numbers(seconds=5.0):
    return request({"x": np.array([[1, 2]], np.float32)}, seconds)


async def outcome(model, seconds=5.0):
    try:
        return (await model(numbers(seconds))).outputs["y"].tolist()
    except InferdError as error:
        return error


GOOD = [[2.0, 4.0]]


@pytest.mark.parametrize("mood", ["dead", "half", "garbage", "lying", "away", "busy", "gateway"])
def test_who_cannot_answer_is_made_good_by_another(mood):
    async def main():
        async with replicas(mood, "good") as (bad, good):
            async with asking(bad.url, good.url) as model:
                assert [await outcome(model) for _ in range(40)] == [GOOD] * 40
                assert bad.count > 0
                assert good.count == 40
                assert good.connections == 1

    run(main())


@pytest.mark.parametrize(
    ("mood", "kind", "message"),
    [
        ("dead", Unavailable, "the connection ended before the answer"),
        ("half", Unavailable, "before the answer was whole"),
        ("garbage", Unavailable, "the answer is not understood"),
        ("lying", Unavailable, "its answer is not understood"),
        ("away", Unavailable, "not now"),
        ("busy", Overloaded, "too much"),
        ("gateway", Unavailable, "bad gateway"),
        ("failing", ModelFailed, "it broke"),
        ("other", ModelFailed, "output 'y' is FP64, not FP32"),
    ],
    ids=lambda v: v if isinstance(v, str) else v.__name__,
)
def test_what_is_told_where_nobody_else_is_left(mood, kind, message):
    async def main():
        async with replicas(mood) as (bad,), asking(bad.url) as model:
            error = await outcome(model)
            assert type(error) is kind
            assert message in error.message
            assert "service 'work'" in error.message

    run(main())


def test_retry_after_is_passed_on():
    async def main():
        async with replicas("away", "busy") as (away, busy):
            async with asking(away.url) as one, asking(busy.url) as two:
                assert (await outcome(one)).retry_after == 3.0
                assert (await outcome(two)).retry_after == 2.0

    run(main())


def test_a_host_that_hangs_is_given_up_at_the_deadline_and_then_left_out():
    async def main():
        async with replicas("hanging", "good") as (bad, good):
            async with asking(bad.url, good.url) as model:
                # A second is enough for any replica, however slow this machine is now.
                await asyncio.gather(*(outcome(model, 1.1) for _ in range(40)))
                states = {r.site.endpoint.port: r.standing.state for r in model.service.replicas}
                assert states == {bad.port: EJECTED, good.port: UP}
                bad.ready = False
                asked = bad.count
                assert [await outcome(model) for _ in range(100)] == [GOOD] * 100
                assert bad.count == asked

    run(main())


def test_a_host_that_hangs_now_and_then_is_avoided():
    async def main():
        async with replicas("hanging", "good") as (bad, good):
            async with asking(bad.url, good.url) as model:
                found = [await outcome(model, 0.1) for _ in range(100)]
                assert found.count(GOOD) > 90
                assert found[-20:] == [GOOD] * 20

    run(main())


def test_a_hanging_host_alone_ends_every_request_by_its_deadline():
    async def main():
        async with replicas("hanging") as (bad,), asking(bad.url, connections=4) as model:
            begin = time.monotonic()
            found = await asyncio.gather(*(outcome(model, 0.3) for _ in range(50)))
            assert time.monotonic() - begin < 1.5
            assert {type(e) for e in found} <= {DeadlineExceeded, Unavailable}

    run(main())


def test_a_dead_machine_costs_one_connect_timeout_at_most():
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
            dead = f"http://127.0.0.1:{full.getsockname()[1]}"
            async with replicas("good") as (good,), asking(dead, good.url) as model:
                found = [await outcome(model, 10) for _ in range(50)]
                assert found == [GOOD] * 50
                states = [r.standing.state for r in model.service.replicas]
                assert states == [DOWN, UP]
            for sock in held:
                sock.close()

    run(main())


def test_who_was_left_out_is_back_when_it_is_ready():
    async def main():
        async with replicas("away", "good") as (bad, good):
            async with asking(bad.url, good.url) as model:
                for _ in range(60):
                    assert await outcome(model) == GOOD
                replica = next(
                    r for r in model.service.replicas if r.site.endpoint.port == bad.port
                )
                assert replica.standing.state == EJECTED
                asked = bad.count
                for _ in range(20):
                    await outcome(model)
                assert bad.count == asked
                described = model.service.describe()["replicas"][0]
                assert (described["state"], "not now" in described["reason"]) == (EJECTED, True)

                bad.ready = False
                bad.mood = "good"
                await asyncio.sleep(1.2)
                assert replica.standing.state == EJECTED
                bad.ready = True
                await asyncio.sleep(0.2)
                assert replica.standing.state == UP
                for _ in range(60):
                    await outcome(model)
                assert bad.count > asked

    run(main())


def test_of_three_replicas_two_may_be_down():
    async def main():
        async with replicas("good") as (good,):
            urls = ["http://127.0.0.1:1", "http://127.0.0.1:2", good.url]
            async with asking(*urls) as model:
                assert [await outcome(model) for _ in range(200)] == [GOOD] * 200
                states = [r.standing.state for r in model.service.replicas]
                assert states == [DOWN, DOWN, UP]

    run(main())


def test_a_replica_that_dies_under_load_fails_no_request():
    async def main():
        async with replicas("good", "good") as (one, two):
            one.delay = two.delay = 0.005
            async with asking(one.url, two.url) as model:
                found = []

                async def client():
                    for _ in range(60):
                        found.append(await outcome(model))

                async def killer():
                    await asyncio.sleep(0.1)
                    one.server.close()
                    one.mood = "dead"

                await asyncio.gather(killer(), *(client() for _ in range(16)))
                assert len(found) == 960
                assert [f for f in found if f != GOOD] == []
                assert two.count > 500

    run(main())


def test_the_breaker_opens_refuses_at_once_and_closes_again():
    async def main():
        async with replicas("away") as (bad,), asking(bad.url) as model:
            for _ in range(5):
                assert isinstance(await outcome(model), Unavailable)
            asked = bad.count
            begin = time.monotonic()
            refused = [await outcome(model) for _ in range(200)]
            assert time.monotonic() - begin < 0.3
            assert bad.count == asked
            assert "is not asked for the moment" in refused[0].message
            assert "not now" in refused[0].message
            assert 0 < refused[0].retry_after <= 2
            bad.mood = "good"
            await asyncio.sleep(2.05)
            found = await asyncio.gather(*(outcome(model) for _ in range(10)))
            assert GOOD in found
            assert await outcome(model) == GOOD
            assert model.service.breaker.state == "closed"

    run(main())


def test_one_replica_that_fails_many_at_once_does_not_open_the_breaker():
    async def main():
        async with replicas("hanging", "good") as both, asking(*(r.url for r in both)) as model:
            await asyncio.gather(*(outcome(model, 0.3) for _ in range(60)))
            assert model.service.breaker.state == "closed"

    run(main())


def test_neither_a_client_s_mistakes_nor_its_short_patience_open_the_breaker():
    async def main():
        async with replicas("failing", "hanging") as (failing, hanging):
            async with asking(failing.url) as model:
                for _ in range(20):
                    assert isinstance(await outcome(model), ModelFailed)
                assert model.service.breaker.state == "closed"
            async with asking(hanging.url) as model:
                for _ in range(20):
                    assert isinstance(await outcome(model, 0.01), DeadlineExceeded)
                assert model.service.breaker.state == "closed"
                assert model.service.replicas[0].standing.failures == 0

    run(main())


def test_repeats_stay_within_the_budget():
    async def main():
        async with replicas("busy", "busy") as both, asking(*(r.url for r in both)) as model:
            model.service.budget._tokens = 0.0
            for _ in range(300):
                assert isinstance(await outcome(model), Overloaded)
            # One question each, a fifth repeated, and the floor of ten a second.
            assert 300 <= both[0].count + both[1].count <= 300 + 60 + 40

    run(main())


@pytest.mark.parametrize("mood", ["dead", "half", "garbage", "failing", "other", "hanging"])
def test_failing_requests_leave_nothing(mood):
    times = {"hanging": 500}.get(mood, 2000)

    async def main():
        async with replicas(mood) as (bad,), asking(bad.url, connections=16) as model:
            model.service.breaker._context.threshold = 1 << 30
            await outcome(model, 0.02)
            before, tasks = descriptors(), len(asyncio.all_tasks())
            left = times

            async def client():
                nonlocal left
                while left > 0:
                    left -= 1
                    found = await outcome(model, 0.02 if mood == "hanging" else 5)
                    assert isinstance(found, InferdError)

            await asyncio.gather(*(client() for _ in range(16)))
            await asyncio.sleep(0.1)
            assert all(r.load.in_flight == 0 for r in model.service.replicas)
            assert descriptors() <= before + 40
            assert len(asyncio.all_tasks()) <= tasks + 20

    run(main())


def test_without_the_extra_grpc_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "inferd.routing.remote.grpc", None)

    with pytest.raises(MissingExtra, match=r"service 'work'.*grpcio"):
        service_module.Service(spec_of("grpc://127.0.0.1:1"))


# -- names -----------------------------------------------------------------------------------------


def test_replicas_come_and_go_with_dns():
    async def main():
        async with replicas("good") as (good,):
            addresses, asked = ["127.0.0.1"], []

            async def resolver(host, port):
                asked.append(host)
                if not addresses:
                    raise OSError("no such name")
                return list(addresses)

            url = f"http://work.internal:{good.port}"
            async with asking(url, resolver=resolver, refresh=0.05) as model:
                service = model.service
                assert await outcome(model) == GOOD
                addresses.append("127.0.0.2")
                await asyncio.sleep(0.2)
                assert [r.site.host for r in service.replicas] == ["127.0.0.1", "127.0.0.2"]
                addresses.clear()  # DNS is down: nothing changes
                await asyncio.sleep(0.2)
                assert len(service.replicas) == 2
                assert "no such name" in service.describe()["problem"]
                addresses.append("127.0.0.1")
                await asyncio.sleep(0.2)
                assert [r.site.host for r in service.replicas] == ["127.0.0.1"]
                assert service.problem == ""
                assert await outcome(model) == GOOD

    run(main())


def test_a_replica_that_is_gone_finishes_what_it_has():
    async def main():
        async with replicas("good") as (good,):
            good.delay = 0.4
            addresses = ["127.0.0.1"]

            async def resolver(host, port):
                return list(addresses)

            url = f"http://work.internal:{good.port}"
            async with asking(url, resolver=resolver, refresh=0.05) as model:
                task = asyncio.create_task(outcome(model))
                await asyncio.sleep(0.1)
                addresses[:] = ["127.0.0.3"]
                assert await task == GOOD
                assert [r.site.host for r in model.service.replicas] == ["127.0.0.3"]
                await asyncio.sleep(0.2)

    run(main())


def test_slow_dns_holds_up_nothing_but_itself():
    async def main():
        async with replicas("good") as (good,):

            async def resolver(host, port):
                await asyncio.sleep(30)

            async with asking(
                good.url, f"http://slow.internal:{good.port}", resolver=resolver
            ) as m:
                begin = time.monotonic()
                assert [await outcome(m) for _ in range(10)] == [GOOD] * 10
                assert time.monotonic() - begin < 1

    run(main())


def test_a_name_that_is_not_resolved_yet_is_told():
    async def main():
        async with serving_unresolved() as model:
            error = await outcome(model)
            assert isinstance(error, Unavailable)
            assert "no such name" in error.message

    run(main())


@contextlib.asynccontextmanager
async def serving_unresolved():
    async def resolver(host, port):
        raise OSError("no such name")

    service = service_module.Service(spec_of("http://nowhere.internal:1"), resolver=resolver)
    await service.start()
    await asyncio.sleep(0.05)
    try:
        yield RemoteModel(service, describe(METADATA), "1")
    finally:
        await service.stop()
