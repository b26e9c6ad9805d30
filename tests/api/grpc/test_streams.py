import asyncio
import contextlib

import grpc
import pytest
from tests.api.grpc.served import Served, refused

from inferd.api.grpc.methods import METHODS
from inferd.core.errors import InvalidInput, Unavailable

RPC = next(rpc for rpc in METHODS if rpc.route.door == "watch")


async def echo(messages):
    async for message in messages:
        if message == b"bad":
            raise InvalidInput("it is bad")
        yield message[::-1]


@contextlib.contextmanager
def serving(exchange):
    """Serve an exchange in place of the health watch."""
    with Served() as served:
        handler = served.application.streams.exchange(RPC, exchange)
        served.application.handlers._handlers[RPC.path] = grpc.stream_stream_rpc_method_handler(
            handler
        )
        yield served, served.channel.stream_stream(RPC.path)


def test_messages_are_exchanged():
    with serving(echo) as (served, call):
        assert list(call(iter([b"ab", b"cd"]))) == [b"ba", b"dc"]
        assert served.statuses() == [200]


def test_an_error_is_the_calls_status():
    with serving(echo) as (served, call):
        answers = call(iter([b"ab", b"bad"]))
        assert next(answers) == b"ba"
        with refused(grpc.StatusCode.INVALID_ARGUMENT):
            next(answers)
        assert served.statuses() == [400]


def test_a_client_that_leaves_ends_it():
    ended = []

    async def endless(messages):
        try:
            while True:
                yield b"x"
                await asyncio.sleep(0.01)
        finally:
            ended.append(True)

    with serving(endless) as (served, call):
        answers = call(iter([]))
        next(answers)
        answers.cancel()
        served.do(asyncio.sleep(0.2))
        assert ended == [True]


def test_closing_ends_what_is_open_and_refuses_what_comes():
    with serving(echo) as (served, call):
        streams = served.application.streams

        async def close():
            streams.close()

        served.do(close())
        with refused(grpc.StatusCode.UNAVAILABLE):
            next(call(iter([b"ab"])))
        with pytest.raises(Unavailable), streams.opened(None):
            pass
