"""Rows of services in the route table: loading with the reason, ready with the signature, true later on."""

import asyncio
import contextlib

import numpy as np
import pytest
from tests.routing.remote.asking import request, run, spec_of
from tests.routing.remote.engines import Engine
from tests.routing.remote.peers import METADATA, OTHER, answer, replicas

from inferd.api.health import Readiness
from inferd.control import services as services_module
from inferd.control.services import Services, local
from inferd.core.errors import InvalidInput, ModelFailed, Unavailable
from inferd.core.tensor import FP64
from inferd.repository.spec import ModelSpec
from inferd.routing.remote.spec import EMBED, OPENAI
from inferd.routing.table import LOADING, READY, RouteTable


@contextlib.asynccontextmanager
async def running(*urls, wait=2.0, table=None, **more):
    table = table or RouteTable()
    spec = spec_of(*urls, **more)
    services = Services(table, {spec.name: spec})
    try:
        await services.start(wait)
        yield table
    finally:
        await services.stop()
        await services.stop()
        assert not [t for t in asyncio.all_tasks() if "inferd/control" in repr(t)]


async def until(condition, seconds=5):
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.01)


def numbers():
    return request({"x": np.array([[1, 2]], np.float32)})


def test_a_service_is_ready_with_its_signature():
    async def main():
        async with replicas("good") as (good,), running(good.url) as table:
            version = table.find("work")
            assert (version.state, version.version, version.platform) == (READY, "7", "remote")
            assert version.signature.batched
            assert [s.name for s in version.signature.inputs] == ["x"]
            assert len(table.versions("work")) == 1
            assert (await version.servable(numbers())).outputs["y"].tolist() == [[2, 4]]
            described = version.describe()
            assert described["replicas"][0]["state"] == "up"
            assert described["breaker"] == "closed"

    run(main())


def test_an_unreachable_service_is_loading_and_says_why_until_it_was_once_ready():
    async def main():
        async with replicas("good") as (good,):
            good.ready = False
            async with running(good.url, wait=0.05) as table:
                readiness = Readiness(table)
                version = table.find("work")
                assert version.state == LOADING
                assert "not ready" in version.reason
                assert version.reason in readiness.reasons()[0]
                with pytest.raises(Unavailable, match="not ready"):
                    table.resolve("work")
                good.ready = True
                await until(lambda: table.find("work").ready)
                assert readiness.reasons() == []
                good.ready = False
                good.server.close()
                assert readiness.reasons() == []
                assert table.find("work").ready

    run(main())


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_nobody_at_the_address(protocol):
    async def main():
        async with running(f"{protocol}://127.0.0.1:9", wait=0.5) as table:
            assert "refused" in table.find("work").reason

    run(main())


def test_a_model_that_is_not_there_is_told():
    async def main():
        async with replicas("good") as (one,):
            reply = one.reply

            async def replying(head, body, writer):
                if head.split()[1].endswith(b"work/ready"):
                    writer.write(answer(404, {"error": "no model named 'work'"}))
                    return True
                return await reply(head, body, writer)

            one.reply = replying
            async with running(one.url, wait=0.2) as table:
                assert table.find("work").reason == "service 'work': no model named 'work'"

    run(main())


def test_metadata_that_are_none_are_told():
    async def main():
        async with replicas("good") as (bad,):
            bad.metadata = {"inputs": 3}
            async with running(bad.url, wait=0.2) as table:
                assert "metadata are not understood" in table.find("work").reason

    run(main())


def test_an_answer_that_does_not_fit_has_the_metadata_read_again(monkeypatch):
    monkeypatch.setattr(services_module, "LEAST", 0.05)

    async def main():
        async with replicas("good") as (one,), running(one.url) as table:
            seen = []
            table.watch(seen.append)
            first = table.find("work")
            one.mood, one.metadata = "other", OTHER
            with pytest.raises(ModelFailed, match="FP64, not FP32"):
                await first.servable(numbers())
            await until(lambda: table.find("work").signature != first.signature)
            again = table.find("work")
            assert again.signature.outputs[0].dtype is FP64
            assert seen == ["work"]
            assert (await again.servable(numbers())).outputs["y"].dtype == np.float64

    run(main())


def test_metadata_are_read_again_when_the_service_was_down(monkeypatch):
    monkeypatch.setattr(services_module, "LEAST", 0.05)

    async def main():
        async with replicas("good") as (one,), running(one.url) as table:
            first = table.find("work")
            (replica,) = first.servable.service.replicas
            replica.standing.state, replica.standing.until = "down", float("inf")
            one.metadata = {**METADATA, "versions": ["7", "8"]}
            await asyncio.sleep(0.2)
            assert table.find("work") is first
            replica.standing.state = "up"
            await until(lambda: table.find("work").version == "8")
            assert [v.version for v in table.versions("work")] == ["8"]

    run(main())


def test_metadata_are_read_again_when_the_only_replica_was_not_reached(monkeypatch):
    monkeypatch.setattr(services_module, "LEAST", 0.05)

    async def main():
        async with replicas("good") as (one,), running(one.url) as table:
            first = table.find("work")
            (replica,) = first.servable.service.replicas
            one.mood, one.metadata = "dead", {**METADATA, "versions": ["8"]}
            with pytest.raises(Unavailable):
                await first.servable(numbers())
            assert replica.standing.state == "up"
            one.mood = "good"
            await asyncio.sleep(0.2)
            await first.servable(numbers())
            await until(lambda: table.find("work").version == "8")

    run(main())


def test_a_question_that_fits_and_is_refused_has_the_metadata_read_again(monkeypatch):
    monkeypatch.setattr(services_module, "LEAST", 0.05)

    async def main():
        async with replicas("good") as (one,), running(one.url) as table:
            first = table.find("work")
            one.mood, one.metadata = "refusing", OTHER
            with pytest.raises(InvalidInput, match="takes FP64"):
                await first.servable(numbers())
            await until(lambda: table.find("work").signature != first.signature)

    run(main())


def test_what_has_not_changed_is_not_replaced(monkeypatch):
    monkeypatch.setattr(services_module, "LEAST", 0.02)
    monkeypatch.setattr(services_module, "READ_AGAIN", 0.05)

    async def main():
        async with replicas("good") as (one,), running(one.url) as table:
            version, generation = table.find("work"), table.generation
            await asyncio.sleep(0.4)
            assert table.find("work") is version
            assert table.generation == generation

    run(main())


class Loading(Engine):
    """Loads its model before the first vector."""

    async def be_good(self, head, body, writer):
        await asyncio.sleep(0.5)
        return await super().be_good(head, body, writer)


def test_an_engine_has_time_to_load_its_model(monkeypatch):
    monkeypatch.setattr(services_module, "ASK_SECONDS", 0.25)

    async def main():
        async with replicas(Loading()) as (engine,):
            async with running(f"{engine.url}/v1", protocol=OPENAI, task=EMBED) as table:
                await until(lambda: table.find("work").ready)
                assert table.find("work").signature.output("embedding").shape == (-1, 3)

    run(main())


def test_a_version_that_is_named_is_the_one():
    async def main():
        async with replicas("good") as (one,), running(one.url, version="3") as table:
            assert table.find("work", "3").ready

    run(main())


def test_the_version_of_the_other_side_may_be_one_already():
    async def main():
        async with replicas("good") as (one,):
            one.metadata = {**METADATA, "versions": []}
            async with running(one.url) as table:
                assert table.find("work", "1").ready

    run(main())


def test_models_with_a_service_are_not_loaded_here(tmp_path):
    specs = [ModelSpec(name, "1", tmp_path, tmp_path) for name in ("asr", "nlu")]

    assert [s.name for s in local(specs, {"asr"})] == ["nlu"]
    assert local(specs, frozenset()) == specs
