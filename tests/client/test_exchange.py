"""The rules of one exchange, with a fake clock and no network."""

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.client.serving import ADDRESS, Played, answer

from inferd.client.exchange import Exchanges
from inferd.client.options import Options
from inferd.client.retry import pause_before
from inferd.client.wire import Failure, Outgoing
from inferd.core.errors import DeadlineExceeded, InferdError, InvalidInput, Overloaded, Unavailable

GET = Outgoing("GET", "/v2", {})


class Server:
    """Answers in turn; the last one again and again. Each takes ``seconds``."""

    def __init__(self, *answers, seconds=0.0, draw=0.5, **options):
        self.answers = list(answers)
        self.played = Played(self.respond)
        self.seconds = seconds
        self.exchanges = Exchanges(
            Options(ADDRESS, **options), self.played.clock, lambda: draw, lambda: 1000.0
        )

    def respond(self, request):
        self.played.clock.advance(self.seconds)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

    def ask(self, timeout=None, request_id=None):
        terms = self.exchanges.terms(timeout, request_id)
        return self.played.run(self.exchanges.exchange(GET, terms))


def test_a_good_answer_is_given_back():
    good = answer(204)

    assert Server(good).ask() is good


def test_every_request_says_its_id_and_what_time_is_left():
    server = Server(answer(503), answer(200), seconds=1.0, draw=0)
    server.ask(10)
    first, second = (step.request.headers for step in server.played.sent)

    assert first["X-Request-Timeout"] == "10.000s"
    assert second["X-Request-Timeout"] == "9.000s"
    assert first["X-Request-Id"] == second["X-Request-Id"]
    assert [step.seconds for step in server.played.sent] == [10, 9]
    server.ask(request_id="mine")
    assert server.played.sent[-1].request.headers["X-Request-Id"] == "mine"


def test_without_a_timeout_nothing_is_said_of_time():
    server = Server(answer(), timeout=None)
    server.ask()

    assert "X-Request-Timeout" not in server.played.sent[0].request.headers
    assert server.played.sent[0].seconds == float("inf")


def test_ids_differ_from_call_to_call():
    server = Server(answer())
    server.ask()
    server.ask()

    assert len({step.request.headers["X-Request-Id"] for step in server.played.sent}) == 2


@pytest.mark.parametrize(
    "first", [answer(429), answer(503), Failure("refused")], ids=["429", "503", "refused"]
)
def test_what_cannot_have_been_answered_is_sent_again(first):
    server = Server(first, answer(200))

    assert server.ask().status == 200
    assert len(server.played.sent) == 2
    assert server.played.pauses == [pause_before(0, None, 0.5)]


@pytest.mark.parametrize(
    ("first", "kind"),
    [
        (answer(400), InvalidInput), (answer(500), InferdError), (answer(502), Unavailable),
        (answer(504), DeadlineExceeded), (answer(301), InvalidInput),
        (Failure("reset", began=True), Unavailable), (Failure("slow", late=True), DeadlineExceeded),
    ],
    ids=["400", "500", "502", "504", "301", "broken", "late"],
)  # fmt: skip
def test_anything_else_is_not(first, kind):
    server = Server(first, answer(200))
    with pytest.raises(kind):
        server.ask()
    assert len(server.played.sent) == 1


def test_the_server_says_how_long_to_wait():
    server = Server(answer(429, retry_after="3"), answer(200))
    server.ask()

    assert server.played.pauses == [3 + 0.5 * 0.05]


def test_repeats_end_after_their_number():
    server = Server(answer(429), retries=3)
    with pytest.raises(Overloaded):
        server.ask()
    assert len(server.played.sent) == 4
    assert server.played.pauses == [0.025, 0.05, 0.1]


def test_a_pause_that_would_outlast_the_call_is_not_begun():
    server = Server(answer(503, {"error": "loading"}, retry_after="9"), timeout=5)
    with pytest.raises(Unavailable, match="loading") as error:
        server.ask()
    assert error.value.retry_after == 9
    assert server.played.pauses == []


def test_repeats_share_a_budget():
    server = Server(answer(429), retries=1)
    for _ in range(40):
        with pytest.raises(Overloaded):
            server.ask()
    repeats = len(server.played.sent) - 40
    assert 10 <= repeats <= 10 + 4 + 1


def test_no_request_is_sent_once_time_is_up():
    server = Server(answer(503), seconds=1.0, retries=9)
    with pytest.raises((DeadlineExceeded, Unavailable)):
        server.ask(2.5)
    assert all(step.seconds > 0 for step in server.played.sent)
    assert len(server.played.sent) <= 3


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from([200, 400, 429, 500, 503, None]), st.floats(0, 3), st.integers(0, 3)),
        min_size=1, max_size=12,
    ),
    st.floats(0.01, 5), st.integers(0, 6), st.floats(0, 0.999),
)  # fmt: skip
def test_a_call_never_pauses_past_its_time(script, timeout, retries, draw):
    def respond(request):
        status, seconds, after = script[min(len(played.sent), len(script)) - 1]
        played.clock.advance(seconds)
        return Failure("refused") if status is None else answer(status, retry_after=str(after))

    played = Played(respond)
    exchanges = Exchanges(Options(ADDRESS, retries=retries), played.clock, lambda: draw)
    end = played.clock() + timeout
    with contextlib.suppress(InferdError):
        played.run(exchanges.exchange(GET, exchanges.terms(timeout)))
    assert len(played.sent) <= retries + 1
    last = max((seconds for _, seconds, _ in script), default=0)
    assert played.clock() <= end + last + 1e-6


def test_any_request_and_events_are_asked_the_same_way():
    server = Server(answer(200, {"a": 1}))
    asked = server.exchanges.ask("POST", "/predict", body=b"x", media="text/csv", accept="a/b")
    server.played.run(asked)
    request = server.played.sent[0].request

    assert (request.method, request.path, request.body) == ("POST", "/predict", b"x")
    assert (request.headers["Content-Type"], request.headers["Accept"]) == ("text/csv", "a/b")
    terms = server.exchanges.terms()
    server.played.run(server.exchanges.events("/predict", b"x", "text/plain", terms))
    assert server.played.sent[1].stream
    assert server.played.sent[1].request.headers["Accept"] == "text/event-stream"
