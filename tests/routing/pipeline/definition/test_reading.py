import pytest

from inferd.config.sources import parse_yaml
from inferd.core.errors import ConfigError
from inferd.repository import readers
from inferd.routing.pipeline.definition.reading import check_texts, inner, read, shown


def section(text):
    return parse_yaml(text, "p.yaml")


def test_a_reader_s_reason_gets_its_place():
    with pytest.raises(ConfigError, match="p.yaml:2: timeout: must be longer than nothing"):
        read(readers.seconds, section("a: 1\ntimeout: 0\n"), "timeout")


def test_what_is_absent_is_none_and_what_is_left_empty_only_where_that_means_something():
    assert read(readers.seconds, section("a: 1\n"), "timeout") is None
    assert read(readers.seconds, section("timeout:\n"), "timeout") is None
    with pytest.raises(ConfigError, match="p.yaml:1: model: is left empty"):
        read(readers.text, section("model:\n"), "model")


def test_a_mapping_is_asked_for_with_an_example():
    with pytest.raises(ConfigError) as error:
        inner(section("a: 3\n"), "a", "{x: 1}")

    assert str(error.value) == "p.yaml:1: a: must be a mapping, not 3\nhelp: write {x: 1}"
    assert inner(section("a: {x: 1}\n"), "a", "")["x"] == 1


@pytest.mark.parametrize(
    "text", [r'a: "\ud800"', r'a: [b, "\ud800"]', r'a: {"\ud800": 1}'], ids=str
)
def test_texts_that_are_none_are_refused(text):
    with pytest.raises(ConfigError, match="p.yaml:1: .*is no valid text"):
        check_texts(section(text))


def test_values_are_shown_shortly():
    assert shown("x" * 100) == "'" + "x" * 56 + "..."
    assert shown(section("a: 1\nb: 2\n")) == "a mapping of a, b"
