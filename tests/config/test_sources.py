import pytest

from inferd.config.sources import MAX_BYTES, Section, load_yaml, parse_yaml
from inferd.core.errors import ConfigError

TEXT = """\
runtime: onnx
preprocess:
  - cast: float32
  - normalise: {mean: [1, 2]}
cache:
  ttl: 60s
"""


def test_every_key_knows_its_line():
    section = parse_yaml(TEXT, "model.yaml")

    assert section.where("runtime") == "model.yaml:1"
    assert section.where("preprocess") == "model.yaml:2"
    assert section["preprocess"][1].where("normalise") == "model.yaml:4"
    assert section["cache"].where("ttl") == "model.yaml:6"


def test_an_error_names_file_line_and_dotted_key():
    section = parse_yaml(TEXT, "model.yaml")
    error = section["preprocess"][1].error("normalise", "unknown step", help="did you mean?")

    assert error.message == "model.yaml:4: preprocess[1].normalise: unknown step"
    assert error.help == "did you mean?"


def test_unknown_keys_are_refused_with_the_nearest():
    with pytest.raises(ConfigError, match=r"model.yaml:5: cache: unknown key") as refused:
        parse_yaml(TEXT, "model.yaml").only("runtime", "preprocess", "caches")

    assert refused.value.help == "did you mean 'caches'?"


def test_plain_gives_nested_dicts_and_lists():
    assert parse_yaml(TEXT, "model.yaml").plain() == {
        "runtime": "onnx",
        "preprocess": [{"cast": "float32"}, {"normalise": {"mean": [1, 2]}}],
        "cache": {"ttl": "60s"},
    }


@pytest.mark.parametrize(
    "text",
    ["a: !!python/object/apply:os.system ['true']", "a: 1\na: 2", "- 1", "1: 2", "a: [", "a: \x00"],
    ids=["tag", "twice", "list", "number as key", "open", "nul"],
)
def test_what_is_no_plain_mapping_is_refused_with_its_place(text):
    with pytest.raises(ConfigError, match=r"^x.yaml(:\d+)?: "):
        parse_yaml(text, "x.yaml")


def test_aliases_cannot_blow_up():
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 12)]
    with pytest.raises(ConfigError):
        parse_yaml("\n".join(lines), "x.yaml")


def test_deep_nesting_is_an_error_and_no_crash():
    with pytest.raises(ConfigError):
        parse_yaml("a: " + "[" * 20000, "x.yaml")


def test_files_are_read_within_a_bound(tmp_path):
    path = tmp_path / "x.yaml"
    with pytest.raises(ConfigError, match="cannot be read"):
        load_yaml(path)
    path.write_text("")

    assert dict(load_yaml(path)) == {}

    path.write_bytes(b"a: " + b"x" * MAX_BYTES)
    with pytest.raises(ConfigError, match="bytes, over the"):
        load_yaml(path)


def test_a_section_is_a_mapping():
    section = Section({"a": 1}, "x.yaml", {"a": 3}, 2)

    assert (section["a"], len(section), list(section)) == (1, 1, ["a"])
    assert section.where() == "x.yaml:2"
    assert section.where("b") == "x.yaml:2"
