"""Large bodies are received in place, whatever else happens on the connection meanwhile."""

import pytest
from tests.transport.serving import App, request, run, serving

from inferd.transport.body import FixedBody
from inferd.transport.filling import FILL_FROM
from inferd.transport.message import Accepted

BODY = bytes(range(256)) * 4096


class Views(App):
    """Takes bodies as views where told to; remembers what it was given."""

    def __init__(self, view):
        super().__init__(max_body=1 << 24)
        self.view = view
        self.given = []

    def accept(self, request):
        self.accepted.append(request)
        return Accepted(self.handle, self.max_body, None, self.view)

    async def handle(self, request):
        self.given.append(type(request.body))
        return await super().handle(request)


def talk(exchange, app=None, **options):
    async def main():
        async with serving(app, **options) as server:
            await exchange(server, await server.connect())

    run(main())


@pytest.mark.parametrize(
    ("view", "kind"), [(True, memoryview), (False, bytes)], ids=["view", "bytes"]
)
def test_a_large_body_arrives_whole_and_the_connection_goes_on(view, kind):
    async def exchange(server, client):
        for path in ("/a", "/b"):
            answer = await client.ask(path, BODY)
            assert answer.body == BODY
        assert (await client.ask("/small-one", b"x")).body == b"x"
        assert server.app.given[:2] == [kind, kind]
        assert server.app.given[2] is bytes
        assert server.listener.receiving == 0

    talk(exchange, Views(view))


def test_what_follows_a_large_body_is_not_part_of_it():
    async def exchange(server, client):
        client.send(request("/a", BODY) + request("/b", b"next") + request("/c", BODY[::-1]))
        assert [(await client.answer()).body for _ in range(3)] == [BODY, b"next", BODY[::-1]]

    talk(exchange)


async def begun(server, client, sent=FILL_FROM):
    """Send the head and the beginning of a large body; wait until it is counted."""
    head = request("/a", BODY)[: -len(BODY)]
    client.send(head + BODY[: sent // 2])
    await server.until(lambda: server.listener.receiving)
    client.send(BODY[sent // 2 : sent])
    await server.until(lambda: server.listener.receiving >= sent)


def test_bytes_are_counted_as_they_come_and_given_back_when_the_client_leaves():
    async def exchange(server, client):
        await begun(server, client)
        assert server.listener.receiving == FILL_FROM
        client.close()
        await server.until(lambda: not server.listener.connections)
        assert server.listener.receiving == 0
        assert server.app.done == [("/a", 499, 0)]

    talk(exchange)


def test_a_body_that_takes_too_long_is_refused():
    async def exchange(server, client):
        await begun(server, client)
        await server.later(1000)
        assert (await client.answer()).status == 408
        assert server.listener.receiving == 0

    talk(exchange)


def test_more_than_may_be_received_at_once_is_refused():
    async def exchange(server, client):
        await begun(server, client)
        client.send(BODY[FILL_FROM:400_000])
        assert (await client.answer()).status == 503
        assert server.listener.receiving == 0

    talk(exchange, receiving_bytes=300_000)


def test_a_stop_answers_who_is_still_sending():
    async def main():
        async with serving() as server:
            client = await server.connect()
            await begun(server, client)
            await server.listener.stop(0, 0)
            assert (await client.answer()).status == 503

    run(main())


def test_memory_is_not_touched_before_bytes_arrive():
    body = FixedBody(1 << 34)
    body.feed(b"begin")
    room = body.room()

    assert len(room) == (1 << 34) - 5
    room[:3] = b"ing"
    body.filled(3)
    assert (body.held, body.left, body.done) == (8, (1 << 34) - 8, False)
    assert bytes(body._whole[:8]) == b"begining"


def test_an_idle_client_with_a_large_body_does_not_hold_up_others():
    async def exchange(server, client):
        await begun(server, client)
        other = await server.connect()
        assert (await other.ask("/o", b"1")).body == b"1"

    talk(exchange)
