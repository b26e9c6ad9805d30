"""Names to addresses: every address of a name is a replica; looked up again and again.

A name that cannot be resolved keeps the addresses it had: a DNS server that is down is no reason to
stop asking replicas that are up.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

from inferd.routing.remote.spec import Endpoint, ServiceSpec

Resolver = Callable[[str, int], Awaitable[list[str]]]
"""Returns the IP addresses of a name; raises ``OSError`` where there are none."""

MOST_ADDRESSES = 256


@dataclass(frozen=True, slots=True)
class Site:
    """One replica's place: an endpoint as written, and one of its addresses."""

    endpoint: Endpoint
    host: str

    def __str__(self) -> str:
        return f"{self.host}:{self.endpoint.port}"


def is_address(host: str) -> bool:
    """Return whether a host is an IP address, not a name."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def named(spec: ServiceSpec) -> tuple[Endpoint, ...]:
    """Return the endpoints of a service that have to be resolved."""
    return tuple(e for e in spec.endpoints if not is_address(e.host))


def fixed(spec: ServiceSpec) -> tuple[Site, ...]:
    """Return the places that need no resolving."""
    return tuple(Site(e, e.host) for e in spec.endpoints if is_address(e.host))


@dataclass(frozen=True, slots=True)
class Change:
    """What a look at DNS changed: places that are new, and those that are gone."""

    new: tuple[Site, ...]
    gone: tuple[Site, ...]


def change(old: Iterable[Site], now: Iterable[Site]) -> Change:
    """Return the difference of two sets of places, in their order."""
    before, after = dict.fromkeys(old), dict.fromkeys(now)
    return Change(
        tuple(site for site in after if site not in before),
        tuple(site for site in before if site not in after),
    )


async def resolve(host: str, port: int) -> list[str]:
    """Return the addresses that the system's resolver knows of ``host``.

    Those of IPv6 only where there are no others: a host of both kinds would count as two replicas, and
    servers often listen on one kind alone.
    """
    rows = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    old = [row for row in rows if row[0] == socket.AF_INET]
    return list(dict.fromkeys(str(row[4][0]) for row in old or rows))


async def look_up(
    spec: ServiceSpec, known: Iterable[Site], resolver: Resolver, seconds: float
) -> tuple[list[Site], list[str]]:
    """Return the places of a service now, and what could not be resolved and why.

    ``known``: the places until now, which stay for a name that cannot be resolved.
    """
    endpoints = named(spec)
    answers = await asyncio.gather(
        *(_addresses(e, resolver, seconds) for e in endpoints), return_exceptions=True
    )
    sites, failures = list(fixed(spec)), []
    for endpoint, answer in zip(endpoints, answers, strict=True):
        if isinstance(answer, BaseException):
            if not isinstance(answer, (OSError, TimeoutError, UnicodeError)):
                raise answer
            reason = str(answer) or "no answer in time"
            failures.append(f"{endpoint.host!r} cannot be resolved: {reason}")
            sites += [site for site in known if site.endpoint == endpoint]
        else:
            sites += [Site(endpoint, host) for host in answer[:MOST_ADDRESSES]]
    return sites, failures


async def _addresses(endpoint: Endpoint, resolver: Resolver, seconds: float) -> list[str]:
    async with asyncio.timeout(seconds):
        found = await resolver(endpoint.host, endpoint.port)
    if not found:
        raise OSError("it has no addresses")
    return found
