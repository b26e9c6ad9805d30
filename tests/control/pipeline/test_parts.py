from __future__ import annotations

import pytest

from inferd.control.lifecycle import Health
from inferd.control.pipeline import parts
from inferd.core.errors import ConfigError
from inferd.core.signature import Signature
from inferd.routing.pipeline.definition.file import read_pipeline
from inferd.routing.pipeline.plan import Callee
from inferd.routing.table import FAILED, LOADING, READY, RouteTable, Version

XY = Signature.from_json({
    "inputs": [{"name": "x", "dtype": "float32", "shape": [-1, 4]}],
    "outputs": [{"name": "y", "dtype": "float32", "shape": [-1, 4]}],
})  # fmt: skip

PLAIN = """
inputs: [x]
steps:
  a: {model: one, inputs: {x: x}}
  b: {model: two@3, inputs: {x: a.y}}
outputs: {y: b.y}
"""
STANDING = """
inputs: [x]
steps:
  a: {model: one, inputs: {x: x}, fallback: {model: two}}
  f: {python: "steps:f", inputs: {x: a.y}}
  t: {transform: [softmax], inputs: {x: f.output}}
outputs: {y: t.x}
"""
VALUES = """
inputs: [x]
steps:
  a: {model: one, inputs: {x: x}, fallback: {values: {y: [0, 0, 0, 0]}}}
outputs: {y: a.y}
"""


def written(tmp_path, text, name="app"):
    path = tmp_path / name / "pipeline.yaml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    return read_pipeline(path)


def table(*rows):
    found = RouteTable()
    for name, version, state, signature in rows:
        found.put(Version(name, version, state, f"why {name}", signature))
    return found


ONE, TWO = ("one", "1", READY, XY), ("two", "3", READY, XY)


@pytest.mark.parametrize(
    ("text", "rows", "health"),
    [
        (PLAIN, [ONE, TWO], Health(READY, "")),
        (PLAIN, [ONE], Health(LOADING, "waits for model 'two': no model named 'two'")),
        (PLAIN, [ONE, ("two", "2", READY, XY)],
         Health(LOADING, "waits for model 'two': model 'two' has no version '3'")),
        (PLAIN, [ONE, ("two", "3", LOADING, None)], Health(LOADING, "waits for model 'two': why two")),
        (PLAIN, [ONE, ("two", "3", FAILED, XY)], Health(FAILED, "model 'two' has failed: why two")),
        (PLAIN, [("one", "1", LOADING, XY), ("two", "3", FAILED, XY)],
         Health(FAILED, "model 'two' has failed: why two")),
        (STANDING, [("one", "1", FAILED, None), TWO], Health(READY, "")),
        (STANDING, [("one", "1", LOADING, None), TWO], Health(READY, "")),
        (STANDING, [("one", "1", FAILED, None), ("two", "3", FAILED, None)],
         Health(FAILED, "model 'one' has failed: why one")),
        (STANDING, [ONE, ("two", "3", FAILED, None)], Health(READY, "")),
        (VALUES, [("one", "1", FAILED, XY)], Health(READY, "")),
        (VALUES, [("one", "1", LOADING, None)], Health(LOADING, "waits for model 'one': why one")),
    ],
    ids=["ready", "gone", "no such version", "loading", "failed", "failed goes first", "stands in",
         "stands in while it loads", "both failed", "only the other", "values", "values without types"],
)  # fmt: skip
def test_the_state_follows_from_the_models(tmp_path, text, rows, health):
    assert parts.health(table(*rows), written(tmp_path, text), {}) == health


def test_types_are_known_once_all_are(tmp_path):
    plain, standing = written(tmp_path, PLAIN), written(tmp_path, STANDING)
    assert parts.callees(table(ONE), plain, {}) is None
    found = parts.callees(table(ONE, TWO), plain, {})
    assert list(found) == ["a", "b"] and found["a"].signature is XY and found["a"].plan is not None
    assert parts.callees(table(ONE, TWO), standing, {}) is None
    function = Callee(Signature((), (), batched=False))
    found = parts.callees(table(ONE, TWO), standing, {"f": function})
    assert list(found) == ["a", "f"] and found["a"].fallback is XY and found["f"] is function


def test_what_stands_in_lends_its_types(tmp_path):
    standing = written(tmp_path, STANDING)
    function = Callee(Signature((), (), batched=False))
    found = parts.callees(table(("one", "1", FAILED, None), TWO), standing, {"f": function})
    assert found["a"].signature is XY and found["a"].fallback is XY


@pytest.mark.parametrize(
    ("rows", "says", "help"),
    [
        (
            [("oen", "1", READY, XY), TWO],
            "pipeline.yaml:4: no model named 'one'",
            "did you mean 'oen'?",
        ),
        (
            [ONE, ("two", "2", READY, XY)],
            "pipeline.yaml:5: model 'two' has no version '3'",
            "name a version",
        ),
    ],
    ids=["model", "version"],
)
def test_a_model_that_nobody_serves_is_refused(tmp_path, rows, says, help):
    with pytest.raises(ConfigError) as caught:
        parts.check_names(table(*rows), written(tmp_path, PLAIN))
    assert says in caught.value.message and help in caught.value.help
    parts.check_names(table(ONE, ("two", "3", LOADING, None)), written(tmp_path, PLAIN))


def test_pipelines_that_ask_each_other_are_refused(tmp_path):
    asked = {"one": ("mid", "leaf"), "mid": ("app",), "leaf": (), "two": ()}
    with pytest.raises(ConfigError) as caught:
        parts.check_cycle("app", written(tmp_path, PLAIN), asked.get)
    assert (
        "pipeline.yaml:4: these pipelines ask each other: app -> one -> mid -> app"
        in caught.value.message
    )
    parts.check_cycle("app", written(tmp_path, PLAIN), {**asked, "mid": ("leaf",)}.get)


@pytest.mark.parametrize(
    ("asked", "order"),
    [
        ({"a": ["b"], "b": ["c", "model"], "c": []}, ["c", "b", "a"]),
        ({"a": [], "b": [], "c": ["a"]}, ["a", "b", "c"]),
        ({"a": ["c"], "b": ["c"], "c": ["model"]}, ["c", "a", "b"]),
    ],
    ids=["chain", "as given", "shared"],
)
def test_those_that_are_asked_come_first(asked, order):
    assert parts.in_order(list(asked), asked) == order
