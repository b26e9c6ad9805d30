"""Listening sockets: made, inherited, and emptied before they are closed.

A connection that waits in the accept queue of a socket that is closed is reset, although its client
may have sent its request already; so the queue is emptied right before the close.
"""

from __future__ import annotations

import socket

from inferd.core.errors import ConfigError

BACKLOG = 2048


def bind(host: str, port: int) -> list[socket.socket]:
    """Return sockets listening on every address of ``host`` (port 0: one free port for all).

    Raises ``ConfigError`` when the name has no address or one cannot be listened on.
    """
    try:
        found = socket.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except (OSError, UnicodeError) as error:
        raise ConfigError(
            f"cannot listen on {host!r}: {error}", help="name an address of this machine"
        ) from None
    sockets: list[socket.socket] = []
    try:
        for family, address in dict.fromkeys((row[0], row[4]) for row in found):
            if port == 0 and sockets:
                address = (address[0], sockets[0].getsockname()[1], *address[2:])
            sockets.append(_listen(family, address))
    except OSError as error:
        for sock in sockets:
            sock.close()
        raise ConfigError(
            f"cannot listen on {host}:{port}: {error.strerror or error}",
            help="stop what listens there, or choose another port",
        ) from None
    return sockets


def inherit(descriptor: int) -> socket.socket:
    """Return the listening socket behind an inherited file descriptor.

    Raises ``ConfigError`` when it is no listening stream socket.
    """
    try:
        sock = socket.socket(fileno=descriptor)
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"file descriptor {descriptor} is no socket: {error}",
            help="pass the number of a listening socket that this process inherited",
        ) from None
    listening = sock.type == socket.SOCK_STREAM and sock.getsockopt(
        socket.SOL_SOCKET, socket.SO_ACCEPTCONN
    )
    if not listening:
        sock.detach()
        raise ConfigError(
            f"file descriptor {descriptor} is a socket that does not listen",
            help="pass the number of a listening socket that this process inherited",
        )
    sock.setblocking(False)
    return sock


def accept_waiting(sock: socket.socket) -> list[socket.socket]:
    """Accept every connection that waits in the queue."""
    accepted: list[socket.socket] = []
    while True:
        try:
            connection, _ = sock.accept()
        except ConnectionAbortedError:
            continue
        except OSError:  # the queue is empty, or no descriptor is left
            return accepted
        connection.setblocking(False)
        accepted.append(connection)


def _listen(family: int, address: tuple[object, ...]) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind(address)
        sock.listen(BACKLOG)
        sock.setblocking(False)
    except OSError:
        sock.close()
        raise
    return sock
