"""Listening sockets: made, inherited, emptied."""

import socket

import pytest

from inferd.core.errors import ConfigError
from inferd.transport.sockets import accept_waiting, bind, inherit


@pytest.fixture
def listening():
    (sock,) = bind("127.0.0.1", 0)
    yield sock
    sock.close()


def test_bind_listens_without_blocking(listening):
    assert listening.getsockname()[0] == "127.0.0.1"
    with pytest.raises(BlockingIOError):
        listening.accept()


def test_bind_to_a_taken_port_names_it(listening):
    port = listening.getsockname()[1]
    with pytest.raises(ConfigError, match=f"cannot listen on 127.0.0.1:{port}: Address already"):
        bind("127.0.0.1", port)


@pytest.mark.parametrize("host", ["no such host", "a" * 300, "\udcff", "192.0.2.1"])
def test_bind_to_what_is_not_here(host):
    with pytest.raises(ConfigError, match="cannot listen on"):
        bind(host, 0)


def test_everything_that_waits_is_accepted(listening):
    assert accept_waiting(listening) == []
    clients = [socket.create_connection(listening.getsockname()) for _ in range(10)]
    accepted = accept_waiting(listening)
    assert {a.getpeername() for a in accepted} == {c.getsockname() for c in clients}
    assert all(a.gettimeout() == 0 for a in accepted)
    for sock in clients + accepted:
        sock.close()


def test_inherit_takes_over_a_descriptor():
    parent = socket.create_server(("127.0.0.1", 0))
    address = parent.getsockname()
    child = inherit(parent.detach())
    assert child.getsockname() == address
    assert child.gettimeout() == 0
    child.close()


@pytest.mark.parametrize("descriptor", [-1, 10_000], ids=["negative", "closed"])
def test_inherit_refuses_nonsense(descriptor):
    with pytest.raises(ConfigError, match=f"file descriptor {descriptor} is no socket"):
        inherit(descriptor)


def test_inherit_refuses_datagrams():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        with pytest.raises(ConfigError, match="does not listen"):
            inherit(sock.fileno())
