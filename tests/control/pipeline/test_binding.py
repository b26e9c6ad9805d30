from __future__ import annotations

import asyncio

import pytest
from tests.control.pipeline.test_parts import ONE, PLAIN, STANDING, TWO, XY, table, written

from inferd.control.pipeline.binding import Binding, Refusing
from inferd.core.errors import Unavailable
from inferd.core.message import Request
from inferd.routing.table import FAILED, READY


class Answers:
    async def __call__(self, request):
        raise AssertionError("nobody asks")


def bound(tmp_path, text, *rows, own=None):
    found = table(*rows)
    for version in found.all():
        version.servable = Answers()
    return found, Binding(found, written(tmp_path, text), own or {})


def test_each_step_gets_who_answers_it(tmp_path):
    found, bind = bound(tmp_path, PLAIN, ONE, TWO)
    assert bind() == {"a": found.find("one").servable, "b": found.find("two").servable}
    assert bind() is bind()  # nothing changed


def test_a_change_of_the_table_is_seen(tmp_path):
    found, bind = bound(tmp_path, PLAIN, ONE, TWO)
    before = bind()
    found.find("one").servable = new = Answers()
    assert bind() is before  # a servable is swapped with a whole row, which the table hears of
    found.changed("one")
    assert bind()["a"] is new and before["a"] is not new


def test_a_part_that_does_not_serve_is_named(tmp_path):
    found, bind = bound(tmp_path, PLAIN, ONE, TWO)
    found.find("two").state = FAILED
    found.changed("two")
    errors = []
    for _ in range(2):
        with pytest.raises(
            Unavailable, match="step 'b': model 'two' version 3 is failed: why two"
        ) as caught:
            bind()
        errors.append(caught.value)
    assert (
        errors[0] is not errors[1] and errors[0].retry_after
    )  # no error gathers the tracebacks of many
    found.remove("two", "3")
    with pytest.raises(Unavailable, match="step 'b': no model named 'two'"):
        bind()


def test_a_step_with_a_fallback_refuses_for_itself(tmp_path):
    own = {"f": Answers(), "t": Answers()}
    found, bind = bound(
        tmp_path, STANDING, ("one", "1", FAILED, XY), ("two", "3", READY, XY), own=own
    )
    got = bind()
    assert isinstance(got["a"], Refusing) and got["a!fallback"] is found.find("two").servable
    assert got["f"] is own["f"] and got["t"] is own["t"]
    with pytest.raises(Unavailable, match="model 'one' version 1 is failed: why one"):
        asyncio.run(got["a"](Request("one", {})))
    found.remove("two", "3")
    assert isinstance(bind()["a!fallback"], Refusing)


def test_who_a_request_was_given_is_in_use_as_long_as_it_is(tmp_path):
    found, bind = bound(tmp_path, PLAIN, ONE, TWO)
    old = found.find("one").servable
    held = bind()
    assert bind.uses(old)
    found.find("one").servable = Answers()
    found.changed("one")
    assert bind.uses(old) and bind.uses(found.find("one").servable)
    del held
    assert not bind.uses(old)
    for _ in range(200):  # nothing gathers
        found.changed("one")
        bind()
    assert len(bind._before) < 100
