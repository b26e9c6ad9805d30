"""The readers by themselves; test_modelfile.py has every refusal with its file, line and key."""

from pathlib import Path

import pytest

from inferd.config.sources import Section, load_yaml
from inferd.core.errors import ConfigError
from inferd.core.step import Step
from inferd.repository import readers
from inferd.repository.spec import Batching, Instances


def read(reader, value):
    return reader(Section({"key": value}), "key")


@pytest.mark.parametrize(
    ("reader", "value", "found"),
    [
        (readers.text, " why ", "why"),
        (readers.word, "torch", "torch"),
        (readers.object_name, "a.b:C.d", "a.b:C.d"),
        (readers.relative_path, "a/b.onnx", Path("a/b.onnx")),
        (readers.flag, False, False),
        (readers.whole, readers.MAX_COUNT, readers.MAX_COUNT),
        (readers.auto_whole, "auto", None),
        (readers.auto_whole, 2, 2),
        (readers.seconds, "250ms", 0.25),
        (readers.batching, Section({"max_size": "auto", "max_delay": 0}), Batching(None, 0.0)),
        (readers.instances, Section({"max": 4}), Instances(None, 4)),
        (readers.choice("a", "b"), "b", "b"),
        (readers.mapping, Section({"k": [1, "a", None]}), {"k": [1, "a", None]}),
        (readers.labels, Section({"stable": 1, "old": "007"}), {"stable": "1", "old": "7"}),
        (readers.signature, Section({"batched": False}), {"batched": False}),
        (
            readers.steps,
            ["softmax", Section({"top_k": 3})],
            (Step("softmax", None), Step("top_k", 3)),
        ),
    ],
)
def test_values_as_they_are_read(reader, value, found):
    result = read(reader, value)

    assert (result, type(result)) == (found, type(found))


@pytest.mark.parametrize(
    ("reader", "value", "says"),
    [
        (readers.text, " ", "must be text, not ' '"),
        (readers.text, 5, "must be text, not 5"),
        (readers.word, "Torch", "is not a name"),
        (readers.object_name, "a.b", "does not name an object"),
        (readers.relative_path, "a/../b", "own directory"),
        (readers.relative_path, "a\0b", "own directory"),
        (readers.flag, "yes", "true or false"),
        (readers.whole, readers.MAX_COUNT + 1, "out of range"),
        (readers.auto_whole, "all", "whole number"),
        (readers.seconds, 0, "longer than nothing"),
        (readers.mapping, [1], "must be a mapping"),
        (readers.text, Section({"a": 1, "b": 2}), "a mapping of a, b"),
        (readers.text, ["x" * 100], "..."),
    ],
)  # fmt: skip
def test_a_value_of_the_wrong_kind_is_refused_with_the_reason(reader, value, says):
    with pytest.raises(ValueError) as caught:
        read(reader, value)

    assert says in str(caught.value)
    assert len(str(caught.value)) < 120


@pytest.mark.parametrize(
    ("reader", "text", "says"),
    [
        (readers.choice("process"), "key: proces", "m.yaml:1: key: 'proces' is not allowed"),
        (readers.labels, "key:\n  a: b", "m.yaml:2: key.a: must be the number of a version"),
        (readers.signature, "key:\n  max_batch: 0", "m.yaml:2: key.max_batch: 0 is out of range"),
        (
            readers.signature,
            "key:\n  inputs:\n  - {name: x, dtype: int8, shape: [1], default: }",
            "m.yaml:3: key.inputs[0].default: is left empty",
        ),
        (
            readers.signature,
            "key:\n  inputs:\n  - {name: x, dtype: int8, shape: [1], default: .nan}",
            "m.yaml:3: key.inputs[0].default: must be a number, not nan",
        ),
        (
            readers.signature,
            "key:\n  outputs:\n  - {name: x, dtype: int8, shape: [1], default: 1}",
            "m.yaml:3: key.outputs[0].default: unknown",
        ),
        (readers.mapping, "key:\n  a: .nan", "m.yaml:2: key.a: must be a number, not nan"),
        (readers.mapping, "key:\n  a: 99999999999999999999", "does not fit 64 bits"),
        (readers.steps, "key:\n- {a: 1, b: 2}", "key[0]: must be one step"),
    ],
)
def test_what_is_wrong_inside_a_value_is_found_there(tmp_path, reader, text, says):
    file = tmp_path / "m.yaml"
    file.write_text(text)

    with pytest.raises(ConfigError) as caught:
        reader(load_yaml(file), "key")

    assert says in caught.value.message
