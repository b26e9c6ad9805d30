"""A generated answer, whole and in pieces, in every dialect."""

import itertools

import pytest
from tests.parity.doors import prompted, requests
from tests.parity.table import DOORS, LIMITS, meets
from tests.system.serving import until

marks = itertools.count(1)


def answer(prompt):
    return [f"{prompt} {number};" for number in range(4)]


@pytest.mark.parametrize("dialect", DOORS)
def test_whole(doors, dialect):
    with meets(dialect, "whole"):
        assert doors[dialect].whole("caf\u00e9") == "".join(answer("caf\u00e9"))


@pytest.mark.parametrize("dialect", DOORS)
def test_in_pieces(doors, dialect):
    with meets(dialect, "pieces") as differs:
        found = list(doors[dialect].pieces("once"))
        wanted = answer("once")
        assert found == (["".join(wanted)] if differs else wanted)


@pytest.mark.parametrize("dialect", DOORS)
def test_a_failure_before_the_first_piece_is_an_ordinary_error(doors, dialect):
    with meets(dialect, "early_failure"):
        list(doors[dialect].pieces("early"))


@pytest.mark.parametrize("dialect", DOORS)
def test_a_failure_after_pieces_is_the_last_event(doors, dialect):
    found = []
    with meets(dialect, "late_failure"):
        for piece in doors[dialect].pieces("late"):
            found.append(piece)
    assert len(found) in (0, 2)


@pytest.mark.parametrize("dialect", DOORS)
def test_an_answer_in_pieces_is_counted_once(server, doors, dialect):
    door = doors[dialect]
    counted, before = requests(door, door.teller), server.metrics()

    def grown():
        return server.metrics().get(counted, 0) - before.get(counted, 0)

    with meets(dialect, "pieces"):
        list(doors[dialect].pieces("once"))
        until(grown, 5)
        assert grown() == 1


@pytest.mark.parametrize("dialect", DOORS)
def test_a_client_that_stops_reading_stops_the_generation(server, doors, dialect):
    prompt, teller = f"endless-p{next(marks)}", doors[dialect].teller
    note = server.folder / "models" / teller / "1" / prompt

    cancelled = server.metrics().get(requests(doors[dialect], teller, 499), 0)

    with meets(dialect, "stop"):
        if (dialect, "pieces") in LIMITS and dialect != "embeddings":  # only whole answers
            sent = doors[dialect].begin(teller, prompted(prompt))
            until(note.with_name(f"{prompt}-began").exists, 5, 0.005)
            sent.close()
        else:
            pieces = doors[dialect].pieces(prompt)
            assert next(pieces).endswith(" 0;")
            pieces.close()
        until(note.exists, 5, 0.005)
        until(lambda: server.running(teller) == 0, 5, 0.005)
        gone = requests(doors[dialect], teller, 499)
        until(lambda: server.metrics().get(gone, 0) == cancelled + 1, 5)
