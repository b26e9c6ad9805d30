"""The metrics of services, read at scrape time from what they count anyhow."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from inferd.routing.remote.breaker import STATES
from inferd.routing.remote.ejection import STANDINGS
from inferd.routing.remote.service import Service
from inferd.telemetry import table
from inferd.telemetry.metrics import Reading


def readings(services: Iterable[Service]) -> Iterable[Reading]:
    """Yield replicas, requests, retries and the breaker of each service."""
    for service in services:
        name = service.spec.name
        states = Counter(replica.standing.state for replica in service.replicas)
        for state in STANDINGS:
            yield Reading(table.SERVICE_REPLICAS, (name, state), float(states[state]))
        for outcome, count in service.outcomes.items():
            yield Reading(table.SERVICE_REQUESTS, (name, outcome), float(count))
        yield Reading(table.SERVICE_RETRIES, (name,), float(service.retries))
        now = service.breaker.state
        for state in STATES:
            yield Reading(table.SERVICE_BREAKER, (name, state), float(state == now))
