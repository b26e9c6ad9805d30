import pytest

from inferd.config.sources import parse_yaml
from inferd.core.errors import ConfigError
from inferd.routing.pipeline.definition.feeds import NAME, Names, read_feed, read_refs
from inferd.routing.pipeline.spec import Constant, Ref

NAMES = Names(frozenset({"image", "lang"}), frozenset({"detect", "read-text"}))


def feed(text):
    return read_feed(parse_yaml(f"x: {text}\n", "p.yaml"), "x", NAMES)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("image", (Ref(None, "image"),)),
        ("read-text.lines", (Ref("read-text", "lines"),)),
        ("detect.output:0.b", (Ref("detect", "output:0.b"),)),
        ("[detect.a, image]", (Ref("detect", "a"), Ref(None, "image"))),
        ("{value: image}", (Constant("image", "p.yaml:1"),)),
        ("{value: [a, b]}", (Constant(["a", "b"], "p.yaml:1"),)),
        ("[detect.a, {value: x}]", (Ref("detect", "a"), Constant("x", "p.yaml:1"))),
        ("[1, 2]", (Constant([1, 2], "p.yaml:1"),)),
        ("[]", (Constant([], "p.yaml:1"),)),
        ("[[a], [b]]", (Constant([["a"], ["b"]], "p.yaml:1"),)),
        ("-1.5", (Constant(-1.5, "p.yaml:1"),)),
        ("true", (Constant(True, "p.yaml:1"),)),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_what_may_feed_an_input(text, expected):
    assert feed(text) == expected


def test_a_source_of_a_list_is_named_by_its_own_line():
    section = parse_yaml("x:\n  - detect.a\n  - dtect.b\n", "p.yaml")

    with pytest.raises(ConfigError, match=r"p.yaml:3: x\[1\]: there is no step 'dtect'"):
        read_feed(section, "x", NAMES)


def test_outputs_refer_only():
    section = parse_yaml("x: [detect.a, image]\ny: 1\n", "p.yaml")

    assert read_refs(section, "x", NAMES) == (Ref("detect", "a"), Ref(None, "image"))
    with pytest.raises(ConfigError, match="p.yaml:2: y: 1 refers to no step and no input"):
        read_refs(section, "y", NAMES)


@pytest.mark.parametrize("name", ["a", "_", "a-b", "A1_"], ids=str)
def test_names(name):
    assert NAME.fullmatch(name)


@pytest.mark.parametrize("name", ["", "1a", "a.b", "a b", "-a", "é", "a\n"], ids=ascii)
def test_what_is_no_name(name):
    assert not NAME.fullmatch(name)
