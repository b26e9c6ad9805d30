import contextlib
import string

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inferd.core.errors import ConfigError, InvalidInput, ModelFailed
from inferd.core.tensor import uneven
from inferd.routing.pipeline.definition.conditions import (
    MAX_DEPTH,
    MAX_REFS,
    MAX_TEXT,
    parse_condition,
)
from inferd.routing.pipeline.spec import Ref

PLACE = "pipeline.yaml:7: steps.s.when"


def find(text, where):
    step, dot, name = text.partition(".")
    return Ref(step, name, where) if dot else Ref(None, step, where)


def parse(text):
    return parse_condition(text, PLACE, find)


def check(text, **values):
    """Test a condition; ``a_x`` gives ``a.x``, a name without a line below gives an input."""
    condition = parse(text)
    named = {str(ref): ref for ref in condition.refs}
    given = {
        named[name.replace("_", ".")]: value
        if isinstance(value, (np.ndarray, np.generic, bytes))
        else np.array(value)
        for name, value in values.items()
    }
    return condition.test(given)


def text_array(*elements):
    out = np.empty(len(elements), object)
    out[:] = elements
    return out


@pytest.mark.parametrize(
    ("text", "value", "expected"),
    [
        ("a.x > 0", 1, True),
        ("a.x > 0", 0, False),
        ("0 < a.x <= 3", 3, True),
        ("0 < a.x <= 3", 4, False),
        ("a.x == -1", -1, True),
        ("a.x != 1.5", 1.5, False),
        ("not a.x >= .5", 0.25, True),
        ("a.x in [1, 2, 3]", 2, True),
        ("a.x not in (1, -2)", -2, False),
        ("a.x == True", True, True),
        ("a.x", 3, True),
        ("not a.x", 0, True),
        ("a.x > 0 and a.x < 5 or a.x == 9", 9, True),
        ("a.x in a.x", [4], True),
        ("a.x < 1" + "0" * 900, 1e308, True),
    ],
    ids=lambda value: value[:20] if isinstance(value, str) else str(value),
)
def test_numbers(text, value, expected):
    assert check(text, a_x=value) is expected


@pytest.mark.parametrize(
    ("text", "value", "expected"),
    [
        ("a.x == 'en'", b"en", True),
        ('a.x == "it\'s"', b"it's", True),
        ("a.x == 'grün'", "grün".encode(), True),
        ("a.x == '\\udcff'", b"\xff", True),
        ("a.x < 'b'", b"a", True),
        ("'rr' in a.x", b"error", True),
        ("a.x in ['en', 'de']", b"fr", False),
        ("a.x in 'a list'", b"list", True),
        ("len(a.x) > 2", b"abc", True),
        ("a.x", b"", False),
        ("a.x == 1", b"1", False),
    ],
)
def test_texts_are_compared_as_texts(text, value, expected):
    assert check(text, a_x=value) is expected
    scalar = np.empty((), object)
    scalar[()] = value

    assert check(text, a_x=scalar) is expected


def test_an_array_of_one_element_stands_for_it_and_is_still_a_list():
    assert check("a.x == 'en'", a_x=text_array(b"en"))
    assert check("a.x > 2", a_x=np.array([[3.5]]))
    assert check("len(a.x) == 1", a_x=text_array(b"en"))
    assert not check("'e' in a.x", a_x=text_array(b"en"))


def test_larger_arrays_are_asked_for_their_length_and_for_what_is_in_them():
    labels = text_array(b"cat", b"dog")

    assert check("len(a.x) == 2 and 'dog' in a.x and 'cow' not in a.x", a_x=labels)
    assert check("len(a.x) == 0", a_x=np.zeros((0, 4)))
    assert check("3 in a.x", a_x=np.array([[1, 2], [3, 4]]))
    assert check("len(a.x) == 2 and 7 in a.x", a_x=uneven([np.arange(2), np.array([7])]))


def test_names_may_hold_a_minus_and_stand_in_texts_untouched():
    condition = parse("read-text.num-lines > 0 and lang == 'read-text.num-lines'")

    assert [str(ref) for ref in condition.refs] == ["read-text.num-lines", "lang"]
    assert condition.test({condition.refs[0]: np.int64(1), condition.refs[1]: b"en"}) is False


def test_how_values_are_used_is_remembered():
    condition = parse("len(a.boxes) > 0 and a.score > 0.5 and 'x' in a.labels")

    assert condition.single == {Ref("a", "score")}
    assert condition.lists == {Ref("a", "boxes"), Ref("a", "labels")}
    assert condition.text == "len(a.boxes) > 0 and a.score > 0.5 and 'x' in a.labels"


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "1 > 0", "True", "a.x >", "a.x = 1", "a.x is 1", "a.x > None", "a.x > ...", "a.x > b'c'",
        "a.x > 1j", "a.x + 1 > 2", "a.x - 1", "a.x[0] > 1", "a.x()", "a.x if a.y else a.z", "lambda: a.x",
        "[a.x for a.x in a.y]", "(a.x := 1)", "f'{a.x}'", "a.x; a.y", "a.x\nimport os", "a.x @ a.y",
        "len(a.x, a.y)", "len()", "len", "len > 1", "len([1])", "len(len(a.x))", "max(a.x) > 1",
        "a.x == [1]", "a.x in [a.y]", "a.x in [[1]]", "a.x in 3", "a.x in [None]", "- a.x > 1", "a.x > -'1'",
        "a.x > -True", "(a.x > 1) > 0", "(not a.x) == 1", "a.x > {1}", "a.x, a.y", "*a.x", "a..x", "a.x.",
        "a.x > 1 # no", "a.x == 'a", "a.x == '\\x'", "__import__('os')", "a.x == \u00e9", "a.x ** 9",
        "x" * (MAX_TEXT + 1),
        "(" * 400 + "a.x" + ")" * 400,
        "not " * (MAX_DEPTH + 2) + "a.x",
        " and ".join(f"x{i}" for i in range(MAX_REFS + 1)),
    ],
    ids=lambda text: (text[:20] or "nothing").encode("unicode_escape").decode(),
)  # fmt: skip
def test_anything_else_is_refused_with_its_place(text):
    with pytest.raises(ConfigError) as error:
        parse(text)

    assert error.value.message.startswith(f"{PLACE}: ")
    assert "help" in str(error.value)


@pytest.mark.parametrize(
    ("text", "value", "reason"),
    [
        ("a.x > 1", np.array([1, 2]), "a.x holds 2 elements"),
        ("a.x", np.zeros((0, 4)), "a.x holds 0 elements"),
        ("a.x > 1", uneven([np.arange(2)]), "a.x holds 1 elements"),
        ("a.x > 1", b"text", "a text and a number have no order"),
        ("a.x < 'b'", np.int64(1), "a number and a text have no order"),
        ("len(a.x) > 1", np.float32(1), "has no length"),
        ("1 in a.x", np.float32(1), "in which nothing is"),
        ("1 in a.x", b"text", "cannot be part of a text"),
        ("a.x == 1", np.array(object(), object), "holds a object"),
    ],
    ids=lambda value: str(value)[:20] if isinstance(value, str) else "",
)
def test_values_that_do_not_fit_are_an_error_that_names_the_condition(text, value, reason):
    with pytest.raises(ModelFailed) as error:
        check(text, a_x=value)

    assert f"the condition {text!r} cannot be tested" in error.value.message
    assert reason in error.value.message


def test_it_is_the_clients_fault_where_only_inputs_are_looked_at():
    with pytest.raises(InvalidInput, match="lang holds 2 elements"):
        check("lang == 'en'", lang=text_array(b"en", b"de"))


def test_an_error_of_whoever_finds_names_passes():
    def none(text, where):
        raise ConfigError(f"{where}: no {text}")

    with pytest.raises(ConfigError, match=f"{PLACE}: no a.x"):
        parse_condition("a.x > 1", PLACE, none)


PIECES = st.sampled_from(
    ["a.x", "b-c.d", "x", "len(", "(", ")", "[", "]", ",", "and", "or", "not", "in", "is", "==", "<", "-",
     "1", "2.5", "1e9", "'t'", '"', "'", "\\", "True", "None", "lambda", ":", "0x", "_1", "_0", "\n", "\x00",
     "if", "else", "await", "yield", "{", "}", "*", "é"]
)  # fmt: skip


@given(
    st.lists(PIECES, max_size=30).map(" ".join) | st.text(max_size=60) | st.text(string.printable)
)
def test_no_text_raises_anything_but_a_config_error(text):
    try:
        condition = parse(text)
    except ConfigError:
        return
    values = {ref: np.float32(1) for ref in condition.refs}
    with contextlib.suppress(ModelFailed, InvalidInput):
        assert condition.test(values) in (True, False)


WAV = b"RIFF\xa4\xff" + bytes(100)


@pytest.mark.parametrize(
    ("text", "value", "wanted"),
    [
        ("len(audio) > 0", b"", False), ("len(audio) > 0", WAV, True), ("len(audio) == 106", WAV, True),
        ("audio != ''", b"", False), ("audio != ''", WAV, True), ("'RIFF' in audio", WAV, True),
        ("len(audio) == 1", "é".encode(), True), ("audio in ['é', 'e']", "é".encode(), True),
        ("audio", b"", False), ("not audio", WAV, False),
    ],
    ids=lambda value: "" if isinstance(value, bytes) else str(value),
)  # fmt: skip
def test_a_file_is_compared_and_measured_as_it_is(text, value, wanted):
    assert check(text, audio=text_array(value).reshape(())) is wanted
    assert check(text, audio=value) is wanted


def test_a_text_that_no_value_can_be_is_refused():
    with pytest.raises(ConfigError, match="no valid text"):
        parse("name == '\\ud800'")
