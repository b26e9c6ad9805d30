import json

import pytest
import yaml

from inferd.core.errors import ConfigError
from inferd.deploy import quoting

NASTY = [
    "a\nRUN rm -rf /", 'a" && rm', "$(id)", "${HOME}", "`id`", "a; reboot", "{{x}}", "a'b", "a\\",
    "a\r\nb", "a\0b", "a\u2028b", "#x", "é", "%s", "*", "&a", "!tag", "- x", "a: b", "@x", "|",
]  # fmt: skip
IDS = [f"{i}" for i in range(len(NASTY))]
PATTERNS = [
    quoting.image, quoting.tag, quoting.host, quoting.size, quoting.url, quoting.variable,
    quoting.address, quoting.wheel, quoting.version,
]  # fmt: skip


@pytest.mark.parametrize("check", PATTERNS, ids=lambda f: f.__name__)
@pytest.mark.parametrize(
    "text", [*NASTY, "", " ", "-x", "a b"], ids=[*IDS, "none", "blank", "flag", "two"]
)
def test_what_is_no_such_thing_is_refused_and_shown(check, text):
    with pytest.raises(ConfigError, match="--flag"):
        check(text, "--flag")


@pytest.mark.parametrize(
    ("check", "text"),
    [
        (quoting.image, "python:3.11-slim-bookworm"),
        (quoting.image, "registry.example.org:5000/a/b@sha256:" + "0" * 64),
        (quoting.tag, "shop/iris:1.2"),
        (quoting.tag, "localhost:5000/shop"),
        (quoting.host, "models.example.org"),
        (quoting.size, "512m"),
        (quoting.url, "https://pypi.org/simple"),
        (quoting.url, "file:///opt/wheels"),
        (quoting.variable, "INFERD_LOG_LEVEL"),
        (quoting.address, "0.0.0.0"),
        (quoting.address, "::1"),
        (quoting.wheel, "inferd-0.1.0-py3-none-any.whl"),
        (quoting.version, "2.13.0+cpu"),
    ],
    ids=lambda value: value if isinstance(value, str) else value.__name__,
)
def test_what_is_one_passes(check, text):
    assert check(text, "--flag") == text


@pytest.mark.parametrize(
    "url", ["https://me:secret@x.org", "https://token@x.org", "ftp://x.org", "x.org", "https://[x"]
)
def test_an_index_with_a_password_or_of_another_kind_is_refused(url):
    with pytest.raises(ConfigError):
        quoting.url(url, "--index-url")


@pytest.mark.parametrize(
    ("name", "made"),
    [("Text_Detect.v2", "text-detect-v2"), ("asr", "asr"), ("--A--", "a"), ("x" * 60, "x" * 40)],
    ids=["mixed", "plain", "dashes", "long"],
)
def test_a_slug_is_a_host_name(name, made):
    assert quoting.slug(name) == made


@pytest.mark.parametrize("name", ["", "___", "文"], ids=["empty", "dashes", "foreign"])
def test_a_name_without_letters_makes_no_slug(name):
    with pytest.raises(ConfigError, match="no name of a service"):
        quoting.slug(name)


@pytest.mark.parametrize("text", NASTY, ids=IDS)
def test_a_word_of_a_dockerfile_is_one_line_and_reads_back(text):
    if any(ord(c) < 32 or c == "\u2028" for c in text):
        with pytest.raises(ConfigError, match="control characters"):
            quoting.docker_word(text)
        return

    word = quoting.docker_word(text)

    assert word[0] == word[-1] == '"'
    assert "\n" not in word
    # Every character that Docker would act on stands behind a backslash.
    assert unescaped(word[1:-1]) == text


def unescaped(word):
    read, chars = [], iter(word)
    for char in chars:
        assert char not in '"$'
        read.append(next(chars) if char == "\\" else char)
    return "".join(read)


def test_a_list_of_a_dockerfile_is_json():
    assert json.loads(quoting.docker_list(['a"b', "$c", "d\\"])) == ['a"b', "$c", "d\\"]
    with pytest.raises(ConfigError):
        quoting.docker_list(["a\nb"])


@pytest.mark.parametrize("text", NASTY, ids=IDS)
def test_yaml_reads_back_what_was_written(text):
    value = {"a": {text: [text, {"b": text}]}, "c": 1.5, "d": None, "e": True, "f": "on"}

    assert yaml.safe_load(quoting.to_yaml(value)) == value


def test_yaml_can_be_put_below_a_key():
    text = "top:\n" + quoting.to_yaml({"a": ["x", {"b": 1}]}, 2)

    assert yaml.safe_load(text) == {"top": {"a": ["x", {"b": 1}]}}


def test_yaml_has_no_aliases():
    same = ["x"]

    assert quoting.to_yaml({"a": same, "b": same}) == "a:\n  - x\nb:\n  - x\n"


def test_a_dollar_is_none_of_composes_variables():
    value = {"a": ["$HOME", {"b": "${x:-y}"}], "c": ("$", 1)}

    assert quoting.interpolated(value) == {"a": ["$$HOME", {"b": "$${x:-y}"}], "c": ["$$", 1]}
