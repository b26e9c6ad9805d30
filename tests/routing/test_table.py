"""The route table: who answers for a name and a version."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inferd.core.errors import InvalidInput, NotFound, Unavailable
from inferd.routing.table import FAILED, LOADING, READY, RouteTable, Version


async def answers(request):
    return request


def version(model="iris", number="1", state=READY, reason="", servable=answers):
    return Version(model, number, state, reason, servable=servable)


def table(*versions):
    subject = RouteTable()
    for one in versions:
        subject.put(one)
    return subject


def test_the_latest_ready_version_answers():
    subject = table(version(number="9"), version(number="10"), version(number="11", state=LOADING))

    assert subject.resolve("iris").version == "10"
    assert subject.find("iris", "11").state == LOADING
    assert [v.version for v in subject.versions("iris")] == ["9", "10", "11"]


@given(st.permutations(["1", "2", "9", "10", "100", "beta", "²"]))
def test_versions_are_ordered_as_numbers_whatever_the_order_of_arrival(order):
    subject = table(*(version(number=n) for n in order))

    assert [v.version for v in subject.versions("iris")] == [
        "beta",
        "²",
        "1",
        "2",
        "9",
        "10",
        "100",
    ]
    assert subject.resolve("iris").version == "100"


def test_a_state_that_changed_changes_who_answers():
    one, two = version(number="1"), version(number="2")
    subject = table(one, two)
    two.state, two.reason = FAILED, "its worker is gone"
    subject.changed("iris")
    assert subject.resolve("iris") is one
    one.state = FAILED
    subject.changed("iris")

    assert subject.find("iris") is two, "where none is ready the latest says why"
    with pytest.raises(Unavailable, match="its worker is gone"):
        subject.resolve("iris")


def test_the_only_model_needs_no_name():
    assert table(version()).resolve(None).model == "iris"


def test_where_several_are_served_one_must_be_named():
    with pytest.raises(InvalidInput, match="2 models") as caught:
        table(version(), version("digits")).resolve(None)
    assert "digits, iris" in caught.value.help


@pytest.mark.parametrize(
    ("subject", "ask", "error", "words"),
    [
        (table(version()), ("irris", None), NotFound, "no model named 'irris'"),
        (table(version()), ("iris", "7"), NotFound, "no version '7'"),
        (table(version()), ("irris", "1"), NotFound, "no model named"),
        (table(), (None, None), NotFound, "no model is served"),
        (table(version(state=LOADING, reason="loading")), ("iris", None), Unavailable, "loading"),
        (table(version(servable=None)), ("iris", None), Unavailable, "ready"),
    ],
    ids=["model", "version", "model-and-version", "nothing", "loading", "no-servable"],
)
def test_what_cannot_be_resolved_says_why(subject, ask, error, words):
    with pytest.raises(error, match=words) as caught:
        subject.resolve(*ask)
    if error is Unavailable:
        assert caught.value.retry_after > 0


def test_a_misspelt_name_is_told_the_right_one():
    with pytest.raises(NotFound) as caught:
        table(version()).resolve("irris")
    assert caught.value.help == "did you mean 'iris'?"


def test_labels_stand_for_versions_served_or_not():
    one, two = version(number="1"), version(number="2")
    two.labels = {"stable": "1", "next": "3"}
    subject = table(one, two)

    assert subject.labelled("iris", "stable") == "1"
    assert subject.labelled("iris", "next") == "3"
    with pytest.raises(NotFound, match="no version labelled 'old'") as caught:
        subject.labelled("iris", "old")
    assert caught.value.help == "labels: next (version 3), stable (version 1)"
    with pytest.raises(NotFound, match="no model named"):
        subject.labelled("irris", "stable")


def test_the_labels_are_those_of_the_version_that_was_put_last():
    old, new = version(), version()
    old.labels = {"stable": "1"}
    subject = table(old, new)

    with pytest.raises(NotFound) as caught:
        subject.labelled("iris", "stable")
    assert caught.value.help == "its model.yaml gives no version_labels"


def test_a_version_is_replaced_whole_and_removed():
    old, new = version(), version()
    subject = table(old, version("digits"))
    subject.put(new)
    assert subject.resolve("iris") is new
    assert subject.names() == ["digits", "iris"]
    subject.remove("iris", "1")
    subject.remove("iris", "1")
    with pytest.raises(NotFound):
        subject.versions("iris")

    assert [v.model for v in subject.all()] == ["digits"]
    assert subject.resolve(None).model == "digits"


def test_a_label_is_as_good_as_a_number_at_every_door():
    table = RouteTable()
    for number in ("1", "2"):
        table.put(
            Version("m", number, READY, servable=object(), labels={"stable": "1", "next": "9"})
        )

    assert table.find("m", "stable").version == table.resolve("m", "stable").version == "1"
    with pytest.raises(NotFound, match="no version '9'"):
        table.find("m", "next")
