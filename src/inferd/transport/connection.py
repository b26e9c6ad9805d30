"""The receiving half of a connection: bytes become requests, and every limit bites here.

A small machine walks over the bytes: HEAD (cut at the empty line, parsed, the application asked),
then BODY (kept, decoded or, for a refused request, dropped), and back, or IGNORE (nothing more is
believed). A complete request goes to ``Answers``. A request
that arrives whole in one read, the common case, touches no timer, no counter and no buffer.

``lifetime`` has the state, the limits of time and the end of a connection.

End of input from the client counts as its disconnect, as in other ASGI servers: what runs for it
is cancelled. A client that shuts its sending side must have read its answers.
"""

from __future__ import annotations

import asyncio
import re
from typing import cast

from inferd.transport.answers import Answers, Exchange
from inferd.transport.body import ChunkedBody, DroppedBody, FixedBody
from inferd.transport.filling import FILL_FROM, Filling
from inferd.transport.framing import CHUNKED, Refused, check_partial
from inferd.transport.lifetime import BODY, HEAD, IGNORE, MALFORMED, Body, Lifetime
from inferd.transport.message import Accepted, HTTPRequest, HTTPResponse
from inferd.transport.response import CONTINUE

_CR = 13
_REFUSED_BESIDES = 128
_EMPTY_LINES = re.compile(rb"^(?:\r\n)+")
_END = b"\r\n\r\n"


class Connection(Lifetime):
    """One client connection."""

    __slots__ = ()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        shared = self._shared
        self._transport = cast("asyncio.Transport", transport)
        self._answers = Answers(self, shared, self._transport)
        self.made = True
        self._idle_since = shared.clock()
        name = transport.get_extra_info("peername")
        self._peer = str(name[0]) if isinstance(name, tuple) and name else "unix"
        taken = len(shared.connections)
        if taken >= shared.limits.connections + _REFUSED_BESIDES:
            self.abort()
            return
        shared.connections.add(self)
        if taken >= shared.limits.connections:
            self._refuse(503, f"all {shared.limits.connections} connections are taken")

    def connection_lost(self, exc: Exception | None) -> None:
        self.gone = True
        shared = self._shared
        shared.connections.discard(self)
        self._count(0)
        self._buffer = b""
        request, self._request = self._request, None
        self._answers.cancel()
        if request is not None:
            shared.finished(request, 499, 0)

    def eof_received(self) -> None:
        """End of input: the transport closes itself, which cancels what runs."""

    def pause_writing(self) -> None:
        self._answers.paused_at = self._shared.clock()

    def resume_writing(self) -> None:
        self._answers.resume()
        if self._held and not self._answers.busy:
            asyncio.get_running_loop().call_soon(self._go_on)

    def data_received(self, data: bytes) -> None:
        if self._buffer:
            data = self._buffer + data
            if self._held:
                self._buffer = data
                return
            self._buffer = b""
        try:
            while data:
                state = self._state
                if state == HEAD:
                    data = self._take_head(data)
                elif state == BODY:
                    # A body is received only when its request is next: bodies do not pile up.
                    if self._answers.busy and self._request is not None:
                        self._hold(data)
                        return
                    data = self._take_body(data)
                else:
                    self._ignore(data)
                    return
        except Refused as refused:
            self._refuse(refused.status, refused.message)

    def _take_head(self, data: bytes) -> bytes:
        """Take one request (whole, where it lies whole in ``data``) and return what follows."""
        shared, answers = self._shared, self._answers
        if answers.paused_at is not None or len(answers.ready) >= shared.limits.pipelined:
            self._hold(data)
            return b""
        if data[0] == _CR:
            data = self._empty_lines(data)
        start = data.find(_END) + 4
        if start < 4:
            self._partial(data)
            return b""
        raw = data[:start]
        head = shared.heads.get(raw) or shared.head(raw)
        if self._head_since is not None:
            self._head_since = None
            self._count(0)
        self._asked = True
        request = HTTPRequest(
            head.method, head.path, head.raw_path, head.query, head.headers.copy(),
            received=shared.clock(), peer=self._peer, tls=shared.tls, http10=head.http10,
            index=head.index, memo=head.memo,
        )  # fmt: skip
        verdict = shared.accept(request)
        end = start + head.length
        if (
            isinstance(verdict, Accepted)
            and head.plain
            and end <= len(data)
            and head.length <= verdict.max_body
        ):
            request.body = data[start:end]
            if not head.keep_alive:
                self._state = IGNORE
            return self._push((request, head, verdict, None), data[end:])
        self._request, self._head = request, head
        self._open(verdict, arrived=len(data) > start)
        return data[start:]

    def _empty_lines(self, data: bytes) -> bytes:
        """Skip empty lines before a request: RFC 9112, 2.2."""
        data = _EMPTY_LINES.sub(b"", data, 1)
        if not data and self._head_since is not None:
            self._head_since = None
            self._count(0)
        return data

    def _partial(self, data: bytes) -> None:
        """Keep an incomplete head, unless it can no longer become a good one."""
        if not data:
            return
        check_partial(data, self._shared.limits)
        if self._head_since is None:
            self._head_since = self._shared.clock()
        self._count(len(data))
        self._buffer = data

    def _hold(self, data: bytes) -> None:
        """Stop reading until answers have gone out; ``rest`` goes on."""
        self._buffer = data
        self._held = True
        self._count(len(data))
        self._transport.pause_reading()

    def _open(self, verdict: Accepted | HTTPResponse, *, arrived: bool) -> None:
        """Begin to receive the body of ``_request``, or to drop that of a refused one.

        ``arrived``: the client did not wait for a 100 to send its body.
        """
        head = self._head
        if isinstance(verdict, HTTPResponse):
            self._refuse_request(verdict)
            return
        if head.length > verdict.max_body:
            raise Refused(413, f"the body is longer than {verdict.max_body} bytes")
        self._accepted = verdict
        self._state = BODY
        self._body_since = self._shared.clock()
        if head.length == CHUNKED:
            self._body = ChunkedBody(verdict.max_body, self._shared.limits)
        else:
            self._body = FixedBody(head.length)
        if head.expects and not arrived:
            self._continue = self._answers.busy
            if not self._continue:
                self._transport.write(CONTINUE)

    def _refuse_request(self, response: HTTPResponse) -> None:
        """Answer at once; keep the connection where the body to drop is small and certain."""
        head, request = self._head, self._request
        self._request = None
        if head.expects or not 0 <= head.length <= self._shared.limits.drain_bytes:
            response.close = True
        if response.close or not head.keep_alive:
            self._unread = head.length != 0
            self._state = IGNORE
        elif head.length:
            self._body = DroppedBody(head.length)
            self._state = BODY
            self._body_since = self._shared.clock()
        self._answers.push((request, head, None, response))

    def _take_body(self, data: bytes) -> bytes:
        """Take bytes of a body; hand the request to its handler when they are all there."""
        body = cast("Body", self._body)
        self._continue = False
        rest = body.feed(data)
        if not body.done:
            self._count(body.held)
            if isinstance(body, FixedBody) and body.left >= FILL_FROM and not self._shared.tls:
                self._filling = True
                self._transport.set_protocol(Filling(self, body))
            return b""
        return self._have_body(body, rest)

    def body_grew(self) -> None:
        """More of a body that is filled in place is there."""
        body = self._body
        if body is None:
            return
        if not body.done:
            try:
                self._count(body.held)
            except Refused as refused:
                self._refuse(refused.status, refused.message)
            return
        self._filling = False
        self._transport.set_protocol(self)
        self._have_body(body, b"")

    def _have_body(self, body: Body, rest: bytes) -> bytes:
        """Hand over the request whose body is complete; return what follows it."""
        self._body = None
        self._count(0)
        self._state = HEAD if self._head.keep_alive else IGNORE
        request, self._request = self._request, None
        if request is None:
            return rest
        whole, accepted = body.take(), self._accepted
        viewed = accepted is not None and accepted.view
        request.body = cast("bytes", whole) if viewed else bytes(whole)
        return self._push((request, self._head, accepted, None), rest)

    def _push(self, exchange: Exchange, rest: bytes) -> bytes:
        """Hand over a request, which may be answered at once, and return what follows it."""
        self._more = bool(rest)
        self._answers.push(exchange)
        self._more = False
        return rest

    def _ignore(self, data: bytes) -> None:
        """Drop what follows the last request that is believed."""
        self._ignored += len(data)
        if self._ignored > self._shared.limits.linger_bytes:
            self.abort()

    def _count(self, held: int) -> None:
        """Account for bytes held for an incomplete request; raises ``Refused`` over the sum."""
        shared = self._shared
        grown = held - self._counted
        self._counted = held
        shared.receiving += grown
        if grown > 0 and shared.receiving > shared.limits.receiving_bytes:
            raise Refused(503, "too many bytes are being received at once")

    def _refuse(self, status: int, message: str) -> None:
        """Queue an error as the connection's last answer and believe nothing that follows."""
        request, self._request = self._request, None
        head = self._head if request is not None else MALFORMED
        response, _ = self._shared.error(request, status, message)
        response.close = True
        self._forget()
        self._unread = True
        self._answers.push((request, head, None, response))

    def _forget(self) -> None:
        """Drop whatever of a request has arrived."""
        self._state = IGNORE
        self._buffer = b""
        self._held = self._continue = False
        if self._filling:
            self._filling = False
            self._transport.set_protocol(self)
        self._body = self._accepted = self._head_since = None
        self._count(0)

    def rest(self) -> None:
        """Everything is answered: go on with what was held back."""
        self._idle_since = self._shared.clock()
        if self._held:
            asyncio.get_running_loop().call_soon(self._go_on)
        elif self._continue:
            self._continue = False
            self._transport.write(CONTINUE)

    def _go_on(self) -> None:
        if self.gone or not self._held:
            return
        data, self._buffer = self._buffer, b""
        self._held = False
        self._count(0)
        self._body_since = self._shared.clock()
        self._transport.resume_reading()
        self.data_received(data)
