"""What is measured of services, on replicas that are good and bad."""

import asyncio

import numpy as np
import pytest
from tests.routing.remote.asking import request, run, serving
from tests.routing.remote.peers import replicas

from inferd.core.errors import InferdError, Overloaded
from inferd.server.services import readings
from inferd.telemetry import table


def numbers(seconds=10.0):
    return request({"x": np.array([[1, 2]], np.float32)}, seconds)


def told(service):
    """Return what is measured, without zeros."""
    found = {(r.spec.name, *r.labels): r.value for r in readings([service])}
    assert {name for name, *_ in found} <= {spec.name for spec in table.METRICS}
    assert all(service == "work" for _, service, *_ in found)
    return {(name.removeprefix("inferd_service_"), *more): value
            for (name, _, *more), value in found.items() if value}  # fmt: skip


def test_every_request_is_counted_once_by_its_outcome_and_what_was_sent_again():
    async def main():
        async with replicas("good", "good") as (one, two), serving(one.url, two.url) as model:
            service = model.service
            assert told(service) == {("replicas", "up"): 2, ("breaker", "closed"): 1}
            await model(numbers())
            one.mood = two.mood = "busy"
            with pytest.raises(Overloaded):
                await model(numbers())
            assert told(service)["retries_total",] == 1 == one.count + two.count - 2
            assert told(service)["requests_total", "overloaded"] == 1
            one.mood = two.mood = "hanging"
            with pytest.raises(InferdError):
                await model(numbers(0.2))
            task = asyncio.create_task(model(numbers()))
            await asyncio.sleep(0.1)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert service.outcomes == {
                "ok": 1, "overloaded": 1, "deadline_exceeded": 1, "cancelled": 1,
            }  # fmt: skip

    run(main())


def test_the_breaker_and_replicas_that_are_gone_are_told():
    async def main():
        async with replicas("good", "good") as (one, two), serving(one.url, two.url) as model:
            for replica in (one, two):
                replica.server.close()
                replica.mood = "dead"
            for _ in range(8):
                with pytest.raises(InferdError):
                    await model(numbers(1.0))
            found = told(model.service)
            assert found["breaker", "opened"] == 1 and ("breaker", "closed") not in found
            assert found["replicas", "down"] >= 1
            assert (
                found["requests_total", "unavailable"] == 5
                and found["requests_total", "refused"] == 3
            )

    run(main())
