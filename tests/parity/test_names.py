"""Versions, labels, and what is told of a model: the same in every dialect."""

import numpy as np
import pytest
from tests.parity.doors import value
from tests.parity.models import SIGNATURES
from tests.parity.table import DOORS, cells, meets
from tests.parity.tensors import same
from tests.parity.wire import Refused

TOLD = ("echo-bytes", "scalar-fp32", "several", "every", "rank3")
NEWEST = 2.0


def plus(door, **more):
    """Ask ``versioned``, which adds its number; the embedding's model has one version."""
    if door.task != "tensors":
        return door.ask("works", **more)
    return door.predict("versioned", value(10.0), **more).tensors["y"]


@pytest.mark.parametrize("dialect", DOORS)
def test_the_newest_version_answers_where_none_is_named(doors, dialect):
    door = doors[dialect]
    if door.task == "tensors":
        same(plus(door), np.array([[10 + NEWEST]], np.float32))
    else:
        assert plus(door).tensors


@pytest.mark.parametrize("dialect", DOORS)
def test_a_version_is_named_by_its_number(doors, dialect):
    door = doors[dialect]
    with meets(dialect, "version") as differs:
        found = plus(door, version="1")
        if door.task == "tensors":
            same(found, np.array([[10 + (NEWEST if differs else 1)]], np.float32))


@pytest.mark.parametrize("dialect", DOORS)
def test_a_version_is_named_by_its_label(doors, dialect):
    door = doors[dialect]
    with meets(dialect, "label") as differs:
        found = plus(door, label="stable")
        if door.task == "tensors":
            same(found, np.array([[10 + (NEWEST if differs else 1)]], np.float32))


@pytest.mark.parametrize("dialect", DOORS)
def test_an_unknown_version_is_not_found(doors, dialect):
    with meets(dialect, "unknown_version") as differs:
        plus(doors[dialect], version="9")
        assert differs


@pytest.mark.parametrize("dialect", DOORS)
@pytest.mark.parametrize("model", TOLD)
def test_metadata_name_the_tensors_as_the_model_has_them(doors, dialect, model):
    with meets(dialect, "metadata") as differs:
        told = doors[dialect].metadata(model)
        assert told == (({}, {}) if differs else SIGNATURES[model])


@pytest.mark.parametrize("dialect", DOORS)
def test_readiness_is_told_of_each_model(doors, dialect):
    with meets(dialect, "ready") as differs:
        told = [doors[dialect].ready(model) for model in ("echo-fp32", "broken")]
        if not differs:
            assert told == [True, False]
        else:
            assert told[0] == told[1]


@pytest.mark.parametrize(("dialect", "operation"), cells(("not_ready", "unknown_model")))
def test_a_model_that_cannot_answer_is_refused(doors, dialect, operation):
    with meets(dialect, operation):
        doors[dialect].ask({"not_ready": "broken", "unknown_model": "unknown"}[operation])


@pytest.mark.parametrize("dialect", DOORS)
def test_what_is_not_ready_says_when_to_come_back(doors, dialect):
    with pytest.raises(Refused) as refusal:
        doors[dialect].ask("broken")
    assert int(refusal.value.headers["retry-after"]) >= 1
    assert "its weights are lost" in refusal.value.text
