"""The error tree: kinds are stable and unique, and errors cross processes by kind."""

import inspect
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inferd.core import errors
from inferd.core.errors import KINDS, InferdError, MissingExtra, Overloaded, from_kind, nearest

CLASSES = [
    c for _, c in inspect.getmembers(errors, inspect.isclass)
    if issubclass(c, InferdError) and not c.__name__.startswith("_")
]  # fmt: skip


def test_every_class_has_a_kind_of_its_own():
    kinds = [c.kind for c in CLASSES]

    assert len(set(kinds)) == len(kinds)
    assert set(kinds) <= set(KINDS)
    assert all(KINDS[c.kind] is c for c in CLASSES)


def test_the_tree_in_the_docstring_is_the_tree():
    assert [c.__name__ for c in CLASSES if c.__name__ not in errors.__doc__] == []


@pytest.mark.parametrize("cls", CLASSES, ids=lambda c: c.__name__)
@given(message=st.text(max_size=20), help=st.none() | st.text(max_size=20))
def test_an_error_is_rebuilt_from_its_kind(cls, message, help):
    back = from_kind(cls.kind, message, help)

    assert type(back) is cls
    assert (back.message, back.help) == (message, help)
    assert str(back).startswith(message)
    assert getattr(back, "retry_after", None) is None


def test_an_unknown_kind_is_an_internal_error():
    assert type(from_kind("nonsense", "m")) is InferdError


def test_help_is_part_of_the_text():
    assert str(InferdError("it broke", help="mend it")) == "it broke\nhelp: mend it"
    assert str(InferdError("it broke")) == "it broke"


def test_a_refusal_says_when_to_come_back():
    assert Overloaded("full", retry_after=1.5).retry_after == 1.5
    assert Overloaded("full").retry_after is None


def test_a_missing_library_names_its_extra():
    error = MissingExtra("PIL", "image", what="decode_image")

    assert error.help == "pip install 'inferd[image]'"
    assert "decode_image needs the library 'PIL'" in error.message


@pytest.mark.parametrize(
    ("name", "allowed", "hint"),
    [
        ("normalise", ["normalize", "cast"], "did you mean 'normalize'?"),
        ("zzz", ["b", "a"], "allowed: a, b"),
        ("zzz", [], "there is no name to choose from"),
    ],
    ids=["near", "far", "none"],
)
def test_the_nearest_name_is_offered(name, allowed, hint):
    assert nearest(name, allowed) == hint


def test_however_many_names_there_are_few_are_looked_at_and_told():
    """Both the names and how many there are may be a client's."""
    told = nearest("promptly", (f"prompt{n}{n}{n}" for n in itertools.count()))

    assert told.startswith("did you mean 'prompt")
    assert len(nearest("z", (f"{n:05}" for n in itertools.count()))) < 5000
