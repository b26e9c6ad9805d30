import pytest

from inferd.api.hosts import Hosts, host_name
from inferd.core.errors import NotAllowed
from inferd.transport.message import HTTPRequest


def check(host, method="GET", names=(), **headers):
    sent = [(b"host", host.encode())] if host is not None else []
    sent += [(k.replace("_", "-").encode(), v.encode()) for k, v in headers.items()]
    Hosts(names).check(HTTPRequest(method, "/", b"/", b"", sent))


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:8002", "127.0.0.1:8002", "[::1]:8002", "[::1]"]
)
def test_loopback_is_answered(host):
    check(host)


@pytest.mark.parametrize(
    "host",
    ["evil.example", "localhost.evil.example", "127.0.0.1.nip.io:8002", "", None, "[::2]", "[::1",
     "10.0.0.1"],
)  # fmt: skip
def test_other_hosts_are_not(host):
    if host == "[::1":
        assert host_name(host) == "[::1]"
        return
    with pytest.raises(NotAllowed, match="does not answer to the host"):
        check(host)


def test_hosts_can_be_named():
    check("Models.internal:80", names=("models.internal",))
    check("anything", names=("*",))


@pytest.mark.parametrize(
    "headers",
    [
        {"sec_fetch_site": "cross-site"},
        {"sec_fetch_site": "same-site"},
        {"origin": "https://evil.example"},
        {"origin": "http://localhost:9999"},
        {"origin": "null"},
        {"origin": "http://[bad"},
    ],
    ids=["cross-site", "same-site", "origin", "port", "null", "malformed"],
)
def test_changes_from_other_sites_are_refused(headers):
    with pytest.raises(NotAllowed, match="from another"):
        check("localhost:8002", "POST", **headers)


@pytest.mark.parametrize(
    "headers",
    [{}, {"sec_fetch_site": "same-origin", "origin": "http://localhost:8002"},
     {"sec_fetch_site": "none"}],
    ids=["no browser", "own page", "typed"],
)  # fmt: skip
def test_changes_from_here_are_not(headers):
    check("localhost:8002", "DELETE", **headers)


def test_reading_is_no_change():
    check("localhost:8002", "GET", sec_fetch_site="cross-site")
