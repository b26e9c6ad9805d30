"""The framing corpus: raw bytes, what is answered, and whether the connection survives."""

import asyncio
import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.transport.serving import request, run, serving

from inferd.transport.framing import CHUNKED, Refused, check_partial, parse_head
from inferd.transport.limits import Limits

OPEN, CLOSED = "open", "closed"
HOST = b"Host: a\r\n"


def head(line=b"GET / HTTP/1.1", headers=HOST):
    return line + b"\r\n" + headers + b"\r\n"


def chunked(rest, headers=b""):
    return head(b"POST / HTTP/1.1", HOST + b"Transfer-Encoding: chunked\r\n" + headers) + rest


def length(value, body=b"", line=b"POST / HTTP/1.1"):
    return head(line, HOST + b"Content-Length: " + value + b"\r\n") + body


ACCEPTED_HEADS = (chunked(b""), length(b"999999999999999999"))
"""Heads that are right although their bodies are refused."""
EVIL = b"GET /evil HTTP/1.1\r\nHost: a\r\n\r\n"

# name: (bytes, statuses, what becomes of the connection)
# fmt: off
CORPUS = {
    # well-formed
    "get": (head(), [200], OPEN),
    "empty-line-first": (b"\r\n" + head(), [200], OPEN),
    "absolute-target": (head(b"GET http://b:80/x HTTP/1.1"), [200], OPEN),
    "absolute-target-no-path": (head(b"GET http://b HTTP/1.1"), [200], OPEN),
    "options-star": (head(b"OPTIONS * HTTP/1.1"), [200], OPEN),
    "delete": (head(b"DELETE / HTTP/1.1"), [200], OPEN),
    "body-on-get": (length(b"2", b"hi", b"GET / HTTP/1.1"), [200], OPEN),
    "length-padded": (length(b"  2 \t", b"hi"), [200], OPEN),
    "length-zero-led": (length(b"002", b"hi"), [200], OPEN),
    "chunked": (chunked(b"2\r\nhi\r\n0\r\n\r\n"), [200], OPEN),
    "chunked-upper-case": (
        head(b"POST / HTTP/1.1", HOST + b"transfer-encoding: CHUNKED\r\n") + b"A\r\n0123456789\r\n0\r\n\r\n",
        [200], OPEN,
    ),
    "chunked-trailer": (chunked(b"2\r\nhi\r\n0\r\nX: y\r\n\r\n"), [200], OPEN),
    "chunked-extension": (chunked(b'2;a;b=c;d="e"\r\nhi\r\n0;x\r\n\r\n'), [200], OPEN),
    "chunked-zeros": (chunked(b"002\r\nhi\r\n000\r\n\r\n"), [200], OPEN),
    "two-requests": (head() + length(b"2", b"hi"), [200, 200], OPEN),
    "upgrade-is-ignored": (
        head(headers=HOST + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"), [200], OPEN,
    ),
    "upgrade-with-body": (
        length(b"2\r\nConnection: upgrade\r\nUpgrade: websocket", b"hi"), [200], OPEN,
    ),
    "host-ipv6": (head(headers=b"Host: [::1]:8000\r\n"), [200], OPEN),
    "host-name": (head(headers=b"Host: my_service-1.example.com:80\r\n"), [200], OPEN),
    "latin-1-header-value": (head(headers=HOST + b"X: caf\xe9\r\n"), [200], OPEN),
    "escaped-path": (head(b"GET /a%20%C3%A9 HTTP/1.1"), [200], OPEN),
    # line ends
    "bare-lf-in-request-line": (b"GET / HTTP/1.1\nHost: a\r\n\r\n", [400], CLOSED),
    "bare-lf-everywhere": (b"GET / HTTP/1.1\nHost: a\n\n", [400], CLOSED),
    "bare-lf-after-header": (head(headers=b"Host: a\nX: y\r\n"), [400], CLOSED),
    "bare-cr-in-value": (head(headers=HOST + b"X: a\rb\r\n"), [400], CLOSED),
    "bare-cr-before-crlf": (head(headers=b"Host: a\r\r\n"), [400], CLOSED),
    "bare-cr-smuggles": (head(headers=HOST + b"X: a\rContent-Length: 5\r\n"), [400], CLOSED),
    "nul-in-value": (head(headers=HOST + b"X: a\0b\r\n"), [400], CLOSED),
    "control-in-value": (head(headers=HOST + b"X: a\x01b\r\n"), [400], CLOSED),
    "obs-fold-space": (head(headers=b"Host: a\r\n b\r\n"), [400], CLOSED),
    "obs-fold-tab": (head(headers=HOST + b"X: a\r\n\tb\r\n"), [400], CLOSED),
    "fold-of-first-header": (head(headers=b" Host: a\r\n"), [400], CLOSED),
    # header syntax
    "space-before-colon": (head(headers=b"Host : a\r\n"), [400], CLOSED),
    "space-before-length-colon": (
        head(b"POST / HTTP/1.1", HOST + b"Content-Length : 2\r\n") + b"hi", [400], CLOSED,
    ),
    "no-colon": (head(headers=HOST + b"X\r\n"), [400], CLOSED),
    "empty-name": (head(headers=HOST + b": x\r\n"), [400], CLOSED),
    "bad-name": (head(headers=HOST + b"X(y): z\r\n"), [400], CLOSED),
    "non-ascii-name": (head(headers=HOST + b"X\xc3\xa9: z\r\n"), [400], CLOSED),
    # request line
    "two-spaces": (head(b"GET  / HTTP/1.1"), [400], CLOSED),
    "trailing-space": (head(b"GET / HTTP/1.1 "), [400], CLOSED),
    "leading-space": (head(b" GET / HTTP/1.1"), [400], CLOSED),
    "tab-between": (head(b"GET\t/\tHTTP/1.1"), [400], CLOSED),
    "lower-case-method": (head(b"get / HTTP/1.1"), [501], CLOSED),
    "unknown-method": (head(b"BREW / HTTP/1.1"), [501], CLOSED),
    "connect": (head(b"CONNECT a:1 HTTP/1.1"), [501], CLOSED),
    "no-slash": (head(b"GET x HTTP/1.1"), [400], CLOSED),
    "star-without-options": (head(b"GET * HTTP/1.1"), [400], CLOSED),
    "other-scheme": (head(b"GET ftp://a/ HTTP/1.1"), [400], CLOSED),
    "userinfo-in-target": (head(b"GET http://u@a/ HTTP/1.1"), [400], CLOSED),
    "fragment": (head(b"GET /a#b HTTP/1.1"), [400], CLOSED),
    "non-ascii-target": (head(b"GET /\xff HTTP/1.1"), [400], CLOSED),
    "control-in-target": (head(b"GET /\x01 HTTP/1.1"), [400], CLOSED),
    "broken-escape": (head(b"GET /a%2 HTTP/1.1"), [400], CLOSED),
    "escape-not-utf-8": (head(b"GET /a%ff HTTP/1.1"), [400], CLOSED),
    "http-0.9": (b"GET /\r\n\r\n", [400], CLOSED),
    "http-0.9-one-line": (b"GET /\r\n", [400], CLOSED),
    "http-0.9-named": (head(b"GET / HTTP/0.9"), [505], CLOSED),
    "http-1.2": (head(b"GET / HTTP/1.2"), [505], CLOSED),
    "http-2.0": (head(b"GET / HTTP/2.0"), [505], CLOSED),
    "http-2-preface": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", [505], CLOSED),
    "http-10.1": (head(b"GET / HTTP/10.1"), [400], CLOSED),
    "http-lower-case": (head(b"GET / http/1.1"), [400], CLOSED),
    "other-protocol": (head(b"GET / HTTQ/1.1"), [400], CLOSED),
    "tls-hello": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", [400], CLOSED),
    "garbage": (b"\0\1\2\3\r\n\r\n", [400], CLOSED),
    # host
    "no-host": (head(headers=b""), [400], CLOSED),
    "no-host-1.0": (b"GET / HTTP/1.0\r\n\r\n", [200], CLOSED),
    "two-hosts": (head(headers=HOST + HOST), [400], CLOSED),
    "two-hosts-1.0": (head(b"GET / HTTP/1.0", HOST + HOST), [400], CLOSED),
    "empty-host": (head(headers=b"Host: \r\n"), [400], CLOSED),
    "host-with-path": (head(headers=b"Host: a/b\r\n"), [400], CLOSED),
    "host-with-userinfo": (head(headers=b"Host: u@a\r\n"), [400], CLOSED),
    "host-list": (head(headers=b"Host: a, b\r\n"), [400], CLOSED),
    "host-bad-port": (head(headers=b"Host: a:b\r\n"), [400], CLOSED),
    "host-non-ascii": (head(headers=b"Host: \xc3\xa9\r\n"), [400], CLOSED),
    "absolute-target-no-host": (head(b"GET http://b/x HTTP/1.1", b""), [400], CLOSED),
    # length and transfer coding
    "cl-te": (
        length(b"6\r\nTransfer-Encoding: chunked", b"0\r\n\r\n" + EVIL), [400], CLOSED,
    ),
    "te-cl": (chunked(b"0\r\n\r\n" + EVIL, b"Content-Length: 4\r\n"), [400], CLOSED),
    "two-lengths-equal": (length(b"2\r\nContent-Length: 2", b"hi"), [400], CLOSED),
    "two-lengths": (length(b"0\r\nContent-Length: 2", b"hi"), [400], CLOSED),
    "length-list": (length(b"2, 2", b"hi"), [400], CLOSED),
    "length-plus": (length(b"+2", b"hi"), [400], CLOSED),
    "length-minus": (length(b"-2", b"hi"), [400], CLOSED),
    "length-hex": (length(b"0x2", b"hi"), [400], CLOSED),
    "length-empty": (length(b""), [400], CLOSED),
    "length-decimal": (length(b"2.0", b"hi"), [400], CLOSED),
    "length-overflow": (length(b"99999999999999999999"), [400], CLOSED),
    "length-huge": (length(b"999999999999999999"), [413], CLOSED),
    "length-underscore": (length(b"1_0", b"0123456789"), [400], CLOSED),
    "te-1.0": (
        head(b"POST / HTTP/1.0", HOST + b"Transfer-Encoding: chunked\r\n") + b"0\r\n\r\n", [400], CLOSED,
    ),
    "te-gzip": (head(b"POST / HTTP/1.1", HOST + b"Transfer-Encoding: gzip\r\n"), [400], CLOSED),
    "te-identity": (
        head(b"POST / HTTP/1.1", HOST + b"Transfer-Encoding: identity\r\n"), [400], CLOSED,
    ),
    "te-gzip-chunked": (
        head(b"POST / HTTP/1.1", HOST + b"Transfer-Encoding: gzip, chunked\r\n") + b"0\r\n\r\n",
        [501], CLOSED,
    ),
    "te-chunked-gzip": (
        head(b"POST / HTTP/1.1", HOST + b"Transfer-Encoding: chunked, gzip\r\n"), [400], CLOSED,
    ),
    "te-twice": (chunked(b"0\r\n\r\n", b"Transfer-Encoding: chunked\r\n"), [400], CLOSED),
    "te-identity-then-chunked": (
        head(b"POST / HTTP/1.1", HOST + b"Transfer-Encoding: identity\r\n"
             b"Transfer-Encoding: chunked\r\n") + b"0\r\n\r\n",
        [400], CLOSED,
    ),
    "te-vertical-tab": (
        head(b"POST / HTTP/1.1", HOST + b"Transfer-Encoding: \x0bchunked\r\n"), [400], CLOSED,
    ),
    "te-xchunked": (
        head(b"POST / HTTP/1.1", HOST + b"Transfer-Encoding: xchunked\r\n"), [400], CLOSED,
    ),
    "te-space-before-colon": (
        length(b"6\r\nTransfer-Encoding : chunked", b"0\r\n\r\nX"), [400], CLOSED,
    ),
    "te-empty": (head(b"POST / HTTP/1.1", HOST + b"Transfer-Encoding:\r\n"), [400], CLOSED),
    "expectation": (length(b"2\r\nExpect: 200-maybe", b"hi"), [417], CLOSED),
    # chunks
    "chunk-bare-lf": (chunked(b"2\nhi\r\n0\r\n\r\n"), [400], CLOSED),
    "chunk-bare-lf-after-data": (chunked(b"2\r\nhi\n0\r\n\r\n"), [400], CLOSED),
    "chunk-no-crlf-after-data": (chunked(b"2\r\nhi0\r\n\r\n"), [400], CLOSED),
    "chunk-longer-than-said": (chunked(b"2\r\nhigh\r\n0\r\n\r\n"), [400], CLOSED),
    "chunk-size-prefix": (chunked(b"0x2\r\nhi\r\n0\r\n\r\n"), [400], CLOSED),
    "chunk-size-plus": (chunked(b"+2\r\nhi\r\n0\r\n\r\n"), [400], CLOSED),
    "chunk-size-minus": (chunked(b"-2\r\nhi\r\n0\r\n\r\n"), [400], CLOSED),
    "chunk-size-space": (chunked(b"2 \r\nhi\r\n0\r\n\r\n"), [400], CLOSED),
    "chunk-size-empty": (chunked(b"\r\nhi\r\n0\r\n\r\n"), [400], CLOSED),
    "chunk-size-overflow": (chunked(b"10000000000000002\r\nhi\r\n0\r\n\r\n"), [400], CLOSED),
    "chunk-size-nonsense": (chunked(b"zz\r\nhi\r\n0\r\n\r\n"), [400], CLOSED),
    "chunk-extension-bare-lf": (chunked(b"2;a\nb\r\nhi\r\n0\r\n\r\n"), [400], CLOSED),
    "chunk-extension-bare-cr": (chunked(b"2;a\rb\r\nhi\r\n0\r\n\r\n"), [400], CLOSED),
    "chunk-extension-nul": (chunked(b"2;\0\r\nhi\r\n0\r\n\r\n"), [400], CLOSED),
    "last-chunk-bare-lf": (chunked(b"0\n\r\n"), [400], CLOSED),
    "last-line-bare-lf": (chunked(b"0\r\n\n"), [400], CLOSED),
    "trailer-bare-lf": (chunked(b"0\r\nX: y\n\r\n"), [400], CLOSED),
    "trailer-fold": (chunked(b"0\r\nX: y\r\n z\r\n\r\n"), [400], CLOSED),
    "trailer-length": (chunked(b"0\r\nContent-Length: 2\r\n\r\n"), [400], CLOSED),
    "trailer-te": (chunked(b"0\r\nTransfer-Encoding: chunked\r\n\r\n"), [400], CLOSED),
    # what follows
    "body-then-garbage": (length(b"2", b"hi") + b"\0garbage\r\n\r\n", [200, 400], CLOSED),
    "longer-than-length": (length(b"2", b"high five\r\n\r\n"), [200, 400], CLOSED),
    "after-close": (head(headers=HOST + b"Connection: close\r\n") + EVIL, [200], CLOSED),
    "after-1.0": (head(b"GET / HTTP/1.0") + EVIL, [200], CLOSED),
    "chunked-then-garbage": (chunked(b"0\r\n\r\n!!\r\n\r\n"), [200, 400], CLOSED),
}
# fmt: on


async def check(server, raw, statuses, state, *, bytewise=False):
    client = await server.connect()
    if bytewise:
        await client.bytewise(raw)
    else:
        client.send(raw)
    assert [(await client.answer()).status for _ in statuses] == statuses
    if state == OPEN:
        assert await client.is_open()
    else:
        assert await client.closed() == b""
    client.close()
    assert "/evil" not in [r.path for r in server.app.accepted]


@pytest.mark.parametrize("bytewise", [False, True], ids=["whole", "bytewise"])
def test_corpus(bytewise):
    async def main():
        async with serving() as server:
            for name, (raw, statuses, state) in CORPUS.items():
                if bytewise and name.startswith("after-"):
                    raw = raw.removesuffix(EVIL)  # sent after the close, it is reset
                try:
                    await check(server, raw, statuses, state, bytewise=bytewise)
                except (AssertionError, TimeoutError, EOFError, OSError) as error:
                    raise AssertionError(f"{name}: {error!r}") from error
            # Nothing malformed reached a handler.
            answered = sum(statuses.count(200) for _, statuses, _ in CORPUS.values())
            probed = sum(state == OPEN for _, _, state in CORPUS.values())
            assert len(server.app.started) == answered + probed

    run(main())


@pytest.mark.parametrize("name", CORPUS)
def test_corpus_is_judged_by_the_pure_function_alone(name):
    raw, statuses, _ = CORPUS[name]
    raw = raw.removeprefix(b"\r\n")
    cut = raw.find(b"\r\n\r\n") + 4
    limits = Limits()
    if cut < 4:
        with pytest.raises(Refused) as caught:
            check_partial(raw, limits)
        assert caught.value.status == statuses[0]
        return
    if statuses[0] >= 400 and not raw.startswith(ACCEPTED_HEADS):
        with pytest.raises(Refused) as caught:
            parse_head(raw[:cut], limits)
        assert caught.value.status == statuses[0]
    else:
        assert parse_head(raw[:cut], limits).length >= CHUNKED
        for end in range(cut - 1):
            check_partial(raw[:end], limits)  # a prefix of a good head is never refused


def test_absolute_target_replaces_host():
    parsed = parse_head(head(b"GET http://b:1/x?y HTTP/1.1"), Limits())
    assert (parsed.path, parsed.raw_path, parsed.query) == ("/x", b"/x", b"y")
    assert parsed.headers == [(b"host", b"b:1")]
    assert parsed.index[b"host"] == b"b:1"


def test_path_is_decoded_once():
    parsed = parse_head(head(b"GET /a%2Fb%252F?%41 HTTP/1.1"), Limits())
    assert (parsed.path, parsed.raw_path, parsed.query) == ("/a/b%2F", b"/a%2Fb%252F", b"%41")


def test_first_of_equal_headers_is_found():
    parsed = parse_head(head(headers=HOST + b"X: 1\r\nx: 2\r\n"), Limits())
    assert parsed.index[b"x"] == b"1"
    assert parsed.headers[1:] == [(b"x", b"1"), (b"x", b"2")]


PIECES = st.sampled_from(
    [
        b"GET ", b"POST ", b"/", b" HTTP/1.1", b" HTTP/1.0", b"\r\n", b"\r", b"\n", b"Host: a\r\n",
        b"Content-Length: 5\r\n", b"Content-Length: 0\r\n", b"Transfer-Encoding: chunked\r\n",
        b"Expect: 100-continue\r\n", b"Connection: close\r\n", b"\r\n\r\n", b"hello", b"5\r\nhello\r\n",
        b"0\r\n\r\n", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b" ", b"\t", b"\0", b"\xff", b":", b";",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"POST /refuse HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n",
    ]
)  # fmt: skip


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(st.one_of(PIECES, st.binary(max_size=6)), max_size=14),
    st.lists(st.integers(1, 40), max_size=8),
)
def test_any_bytes_get_no_more_answers_than_requests(pieces, cuts):
    """Nothing raises, nothing hangs, nothing is answered twice, however the bytes are cut."""
    raw = b"".join(pieces)
    failures = []

    async def main():
        asyncio.get_running_loop().set_exception_handler(lambda _, c: failures.append(c))
        async with serving() as server:
            client = await server.connect()
            start = 0
            for cut in [*cuts, len(raw)]:
                client.send(raw[start : start + cut])
                start += cut
                await asyncio.sleep(0)
            await asyncio.sleep(0.002)
            client.writer.write_eof()
            seen = await client.closed()
            await server.until(lambda: server.listener.connections == 0)
            app = server.app
            answers = len(re.findall(rb"HTTP/1.1 [2-5]\d\d ", seen))
            malformed = sum(r is None for r, _, _ in app.errors)
            assert answers <= len(app.accepted) + malformed
            assert malformed <= 1
            assert len(app.done) == len(app.accepted)
            assert len(app.started) <= len(app.accepted)

    run(main())
    assert failures == []


@settings(max_examples=60, deadline=None)
@given(st.lists(st.binary(max_size=3000), max_size=4), st.lists(st.integers(1, 5000), max_size=6))
def test_bodies_arrive_as_sent_however_they_are_cut(bodies, cuts):
    """Chunked and counted bodies alternate on one connection, pipelined."""
    raw = b""
    for i, body in enumerate(bodies):
        if i % 2:
            raw += request("/", body)
        else:
            half = len(body) // 2
            parts = b"".join(b"%x\r\n%b\r\n" % (len(p), p) for p in (body[:half], body[half:]) if p)
            raw += chunked(parts + b"0\r\n\r\n")

    async def main():
        async with serving() as server:
            client = await server.connect()
            start = 0
            for cut in [*cuts, len(raw)]:
                client.send(raw[start : start + cut])
                start += cut
                await asyncio.sleep(0)
            assert [(await client.answer()).body for _ in bodies] == bodies
            assert await client.is_open()

    run(main())
