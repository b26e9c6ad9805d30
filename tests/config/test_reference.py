from pathlib import Path

import pytest

from inferd.config.reference import is_loopback, markdown, parse
from inferd.config.settings import REFERENCE, Row


def row(kind, **more):
    return Row("a.b", kind, None, "what it is", **more)


@pytest.mark.parametrize(
    ("kind", "written", "value"),
    [
        ("text", "x", "x"),
        ("host", "127.0.0.1", "127.0.0.1"),
        ("host", "[::1]", "::1"),
        ("host", "model-server.example", "model-server.example"),
        ("count", "12", 12),
        ("count", 12, 12),
        ("share", "0.25", 0.25),
        ("share", 1, 1.0),
        ("port", "0", 0),
        ("port", 65535, 65535),
        ("bool", "yes", True),
        ("bool", "OFF", False),
        ("bool", False, False),
        ("duration", "250ms", 0.25),
        ("duration", 2, 2.0),
        ("size", "8MiB", 8 << 20),
        ("texts", "a, b,,c", ("a", "b", "c")),
        ("texts", ["a", "b"], ("a", "b")),
        ("path", "a/b", Path("/base/a/b")),
        ("path", "/a", Path("/a")),
        ("paths", ["m.onnx", "/abs", "mod:Class"], ("/base/m.onnx", "/abs", "mod:Class")),
    ],
    ids=str,
)
def test_what_is_written_becomes_a_value(kind, written, value):
    assert parse(row(kind), written, Path("/base")) == value


@pytest.mark.parametrize(
    ("kind", "written"),
    [
        ("text", 3),
        ("host", "a b"),
        ("host", ""),
        ("host", "http://x"),
        ("host", 3),
        ("count", "1.5"),
        ("count", 1.0),
        ("count", True),
        ("count", "9" * 5000),
        ("count", "٣"),
        ("share", "1.5"),
        ("share", -0.1),
        ("share", "nan"),
        ("share", "half"),
        ("share", True),
        ("port", 65536),
        ("port", -1),
        ("port", "http"),
        ("bool", "perhaps"),
        ("bool", 2),
        ("duration", "-1s"),
        ("duration", "soon"),
        ("duration", True),
        ("size", "8 parsecs"),
        ("texts", 3),
        ("texts", [1]),
        ("path", 1),
    ],
    ids=lambda v: repr(v)[:20],
)
def test_anything_else_is_refused_and_shown(kind, written):
    with pytest.raises(ValueError, match=r".") as refused:
        parse(row(kind), written)

    assert repr(written)[:20] in str(refused.value)


def test_choices_are_named_when_none_fits():
    with pytest.raises(ValueError, match="'loud' is not one of info, debug"):
        parse(row("choice", choices=("info", "debug")), "loud")


@pytest.mark.parametrize("written", ["auto", "none", None, "AUTO", " null "], ids=repr)
def test_optional_settings_may_be_left_to_the_server(written):
    assert parse(row("count", optional=True), written) is None


@pytest.mark.parametrize("written", ["auto", None], ids=repr)
def test_others_may_not(written):
    with pytest.raises(ValueError, match="not a whole number"):
        parse(row("count"), written)


def test_bounds_are_shown_in_the_settings_own_unit():
    with pytest.raises(ValueError, match="below the least, 1KiB"):
        parse(row("size", least=1024), "10")
    with pytest.raises(ValueError, match="over the most, 10s"):
        parse(row("duration", most=10), "1m")


@pytest.mark.parametrize(
    ("host", "answer"),
    [
        ("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("localhost", True),
        ("LOCALHOST", True), ("0.0.0.0", False), ("::", False), ("10.0.0.1", False),
        ("example.com", False), ("localhost.example.com", False), ("", False),
    ],
)  # fmt: skip
def test_only_this_machine_is_loopback(host, answer):
    assert is_loopback(host) == answer


def test_the_document_has_a_line_for_each():
    extra = row("size", shown="8MiB")
    text = markdown([extra])

    assert all(f"| `{r.key}` |" in text for r in (*REFERENCE, extra))


def test_what_is_a_flag_only_has_no_variable_in_the_document():
    text = markdown()

    assert "| `--trust-pickle` | - | list |" in text
    assert "INFERD_TRUST_PICKLE" not in text
