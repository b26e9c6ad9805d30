"""What a connection is between and after its requests: its state, its patience and its end.

Timers are readings of a clock compared by the listener's sweep. A refusal is queued behind the
answers before it, then the connection *lingers*: our side is shut, and what the peer still sends
is dropped for a while, because closing over unread bytes would reset the connection and take the
answer with it. ``connection`` is the receiving half on top of this.
"""

from __future__ import annotations

import asyncio
import socket
import struct

from inferd.transport.answers import Answers
from inferd.transport.body import ChunkedBody, DroppedBody, FixedBody
from inferd.transport.framing import Head
from inferd.transport.message import Accepted, HTTPRequest
from inferd.transport.shared import Shared, logger

Body = FixedBody | DroppedBody | ChunkedBody
HEAD, BODY, IGNORE = range(3)
_RESET = struct.pack("ii", 1, 0)
MALFORMED = Head("", ("", b"", b""), [(b"connection", b"close")], {b"connection": b"close"},
                  http10=False, length=0)  # fmt: skip


class Lifetime(asyncio.Protocol):
    """The state of a connection, and what ends it.

    ``made``: the transport is there (after the handshake, with TLS). ``gone``: nothing can be
    written any more.
    """

    __slots__ = (
        "_answers", "_asked", "_body", "_body_since", "_buffer", "_closing_since", "_continue",
        "_accepted", "_counted", "_filling", "_head", "_head_since", "_held", "_idle_since", "_ignored",
        "_lingers_since", "_more", "_peer", "_request", "_shared", "_state", "_transport", "_unread",
        "__weakref__", "gone", "made",
    )  # fmt: skip

    _transport: asyncio.Transport
    _answers: Answers

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._state = HEAD
        self._buffer = b""
        self._held = self._more = self._filling = False
        self._counted = self._ignored = 0
        self._head_since: float | None = None
        self._body_since = self._idle_since = 0.0
        self._lingers_since: float | None = None
        self._closing_since: float | None = None
        self._request: HTTPRequest | None = None
        self._head = MALFORMED
        self._accepted: Accepted | None = None
        self._body: Body | None = None
        self._continue = self._unread = self._asked = False
        self._peer = ""
        self.made = self.gone = False

    def _refuse(self, status: int, message: str) -> None:
        """Queue an error as the connection's last answer and believe nothing that follows."""
        raise NotImplementedError

    def _forget(self) -> None:
        """Drop whatever of a request has arrived."""
        raise NotImplementedError

    @property
    def at_rest(self) -> bool:
        """Whether nothing of a further request has arrived."""
        return self._state == HEAD and not self._buffer and not self._more

    def finish(self) -> None:
        """The last answer is written: close, or linger where the peer may still be sending."""
        if self.gone or self._lingers_since is not None:
            return
        self._unread = self._unread or self._state == BODY or self._ignored > 0
        self._forget()
        now = self._shared.clock()
        if not self._unread:
            self._close(now)
            return
        self._lingers_since = now
        self._transport.resume_reading()
        if self._transport.can_write_eof():
            self._transport.write_eof()

    def abort(self, *, reset: bool = False) -> None:
        """Close at once, whatever is unsent; with ``reset`` the client learns that it was cut."""
        self.gone = True
        if reset:
            sock = self._transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self._answers.cancel()
        self._transport.abort()

    def expire(self, now: float) -> None:
        """Enforce the limits of time; called by the listener's sweep."""
        limits, answers = self._shared.limits, self._answers
        stuck = answers.paused_at if self._closing_since is None else self._closing_since
        if stuck is not None:
            size = self._transport.get_write_buffer_size()
            if now - stuck > limits.write_time + size / limits.least_rate:
                self.abort()
        elif self._lingers_since is not None:
            if now - self._lingers_since > limits.linger_time:
                self.abort()
        elif self._state == HEAD:
            if self._head_since is not None:
                if now - self._head_since > limits.header_time:
                    self._refuse(408, f"the headers took longer than {limits.header_time:g} s")
            elif not answers.busy:
                patience = limits.idle_time if self._asked else limits.header_time
                if now - self._idle_since > patience:
                    self._close(now)
        elif self._state == BODY and not self._held:
            allowed = limits.body_time + self._counted / limits.least_rate
            if now - self._body_since <= allowed:
                return
            if self._request is None:
                self.finish()  # the refusal is answered; its body never came
            else:
                self._refuse(408, f"the body took longer than {allowed:.3g} s")

    def close_if_idle(self, *, fresh: bool) -> None:
        """Close a connection on which nothing is going on.

        One that has not asked anything yet is closed only where ``fresh`` is true: its first
        request may be on the way.
        """
        if self.at_rest and not self._answers.busy and (self._asked or fresh):
            self._close(self._shared.clock())

    def overdue(self) -> None:
        """The stop deadline: answer 503 to what is unanswered, then close."""
        answers = self._answers
        ending = self._closing_since is not None or self._lingers_since is not None
        if self.gone or ending or answers.streaming:
            self.abort()
            return
        if not self.at_rest and self._state != IGNORE and not self._held:
            self._refuse(503, "the server is stopping")
        try:
            answers.overdue()
        except Exception:
            logger.exception("could not tell a client of the stop")
        self.finish()

    def _close(self, now: float) -> None:
        """Close once everything written is sent; the sweep bounds that."""
        self._state = IGNORE
        self._closing_since = now
        self._transport.close()
