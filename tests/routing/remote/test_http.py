"""What both kinds of replica over HTTP share: which failure an exchange that came to nothing is."""

import pytest
from tests.routing.remote.asking import run, spec_of
from tests.routing.remote.peers import answer

from inferd.config.secret import Secret
from inferd.core.errors import DeadlineExceeded, InferdError, Overloaded, Unavailable
from inferd.routing.remote.failure import Failure
from inferd.routing.remote.http import HTTPReplica
from inferd.routing.remote.spec import Endpoint
from inferd.transport.outgoing import Address, Pool
from inferd.transport.outgoing_connection import HTTPAnswer, NoAnswer
from inferd.transport.outgoing_head import parse_answer


def replica(**more):
    pool = Pool(Address("127.0.0.1", 9))
    return HTTPReplica(spec_of("http://h:9", **more), Endpoint("h", 9), pool)


@pytest.mark.parametrize(
    ("error", "kind", "again", "blame", "reached"),
    [
        (NoAnswer("r", full=True), Overloaded, True, False, True),
        (NoAnswer("r", late=True), DeadlineExceeded, False, False, True),
        (NoAnswer("r", connected=False), Unavailable, True, True, False),
        (NoAnswer("r"), Unavailable, True, True, False),
        (NoAnswer("r", began=True), Unavailable, True, True, True),
    ],
    ids=["full", "late", "unreached", "broken", "garbled"],
)
def test_what_became_of_an_exchange(error, kind, again, blame, reached):
    async def main():
        found = replica()._failed(error)
        assert type(found.error) is kind
        assert found.error.message == "service 'work' at 127.0.0.1:9: r"
        assert (found.again, found.blame, found.reached) == (again, blame, reached)

    run(main())


def test_the_key_and_the_headers_are_sent():
    async def main():
        made = replica(key=Secret("s3cret"), headers=(("X-Team", "a"),))
        (head,) = made._head("/x")
        assert head == (
            b"GET /x HTTP/1.1\r\nHost: h:9\r\nUser-Agent: inferd\r\nX-Team: a\r\n"
            b"Authorization: Bearer s3cret\r\n\r\n"
        )

    run(main())


def test_a_refusal_says_when_to_come_back():
    async def main():
        raw = answer(503, {"error": "later"}, b"Retry-After: 7")
        head, _, body = raw.partition(b"\r\n\r\n")
        found = replica()._refused(HTTPAnswer(parse_answer(head + b"\r\n\r\n"), body))
        assert isinstance(found, Failure)
        assert isinstance(found.error, InferdError)
        assert found.error.retry_after == 7

    run(main())
