"""Names to places: addresses come and go, a DNS server that is down changes nothing."""

import asyncio

import pytest

from inferd.routing.remote.resolve import Site, change, fixed, is_address, look_up, named, resolve
from inferd.routing.remote.spec import Endpoint, ServiceSpec

NAME, ADDRESS = Endpoint("asr.internal", 8000), Endpoint("10.0.0.9", 8000)
SPEC = ServiceSpec("asr", (NAME, ADDRESS))


def sites(*hosts):
    return [Site(NAME, host) for host in hosts]


def looked_up(resolver, known=(), seconds=5):
    return asyncio.run(look_up(SPEC, known, resolver, seconds))


def test_names_and_addresses():
    assert named(SPEC) == (NAME,)
    assert fixed(SPEC) == (Site(ADDRESS, "10.0.0.9"),)
    assert [is_address(h) for h in ("10.0.0.1", "::1", "h1", "1.2.3")] == [True, True, False, False]
    assert str(Site(NAME, "10.0.0.1")) == "10.0.0.1:8000"


def test_every_address_of_a_name_is_a_replica():
    async def resolver(host, port):
        assert (host, port) == ("asr.internal", 8000)
        return ["10.0.0.1", "10.0.0.2"]

    found, problems = looked_up(resolver)

    assert found == [*fixed(SPEC), *sites("10.0.0.1", "10.0.0.2")]
    assert problems == []


@pytest.mark.parametrize("error", [OSError("no such name"), TimeoutError(), UnicodeError("label")])
def test_a_name_that_cannot_be_resolved_keeps_what_it_had(error):
    async def resolver(host, port):
        raise error

    found, problems = looked_up(resolver, sites("10.0.0.1"))

    assert found == [*fixed(SPEC), *sites("10.0.0.1")]
    assert problems[0].startswith("'asr.internal' cannot be resolved: ")


def test_dns_that_hangs_is_given_up():
    async def resolver(host, port):
        await asyncio.Event().wait()

    found, problems = looked_up(resolver, sites("10.0.0.1"), 0.05)

    assert len(found) == 2
    assert problems == ["'asr.internal' cannot be resolved: no answer in time"]


def test_no_address_at_all_is_a_failure_too():
    async def resolver(host, port):
        return []

    found, problems = looked_up(resolver, sites("10.0.0.1"))

    assert len(found) == 2
    assert "no addresses" in problems[0]


def test_a_mistake_in_a_resolver_is_not_hidden():
    async def resolver(host, port):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        looked_up(resolver)


def test_what_changed():
    found = change(sites("a", "b"), sites("b", "c"))

    assert found.new == tuple(sites("c"))
    assert found.gone == tuple(sites("a"))


def test_this_machine_has_one_address():
    assert asyncio.run(resolve("localhost", 80)) == ["127.0.0.1"]
