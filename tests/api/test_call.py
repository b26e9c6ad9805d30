import pytest

from inferd.api.call import Call, RequestIds


@pytest.mark.parametrize("given", [b"abc-123", b"trace:1/2@host.example_~+=", b"x" * 128], ids=str)
def test_a_sane_id_is_taken_over(given):
    assert RequestIds("r").of(given) == given.decode()


@pytest.mark.parametrize(
    "given",
    [None, b"", b"x" * 129, b"a b", b"a\tb", b'a"b', b"a\xffb", b"a\nb", b"<script>"],
    ids=["none", "empty", "long", "space", "tab", "quote", "latin", "line", "markup"],
)
def test_any_other_gets_an_id_of_its_own(given):
    ids = RequestIds("r")

    assert ids.of(given) == "r-1"
    assert ids.of(given) == "r-2"


def test_a_call_starts_without_a_deadline_or_a_fault():
    call = Call("r-1", [])

    assert call.deadline == float("inf")
    assert call.kind is None
