import pytest

from inferd.config.sources import parse_yaml
from inferd.core.errors import ConfigError
from inferd.routing.pipeline.definition.feeds import Names
from inferd.routing.pipeline.definition.stepfile import read_step
from inferd.routing.pipeline.spec import Constant, ModelCall, PythonCall, Ref, TransformCall

NAMES = Names(frozenset({"x"}), frozenset({"a", "b"}))


def step(text):
    return read_step(parse_yaml(f"\na: {text}\n", "p.yaml"), "a", NAMES, "own")


@pytest.mark.parametrize(
    ("text", "call"),
    [
        ("{model: m}", ModelCall("m", None, "p.yaml:2")),
        ("{model: m@stable}", ModelCall("m", "stable", "p.yaml:2")),
        ("{model: m@2}", ModelCall("m", "2", "p.yaml:2")),
        ("{python: 'a.b:c.d'}", PythonCall("a.b:c.d", "p.yaml:2")),
    ],
    ids=["model", "label", "version", "python"],
)
def test_what_a_step_calls(text, call):
    assert step(text).call == call


def test_a_step_may_say_all_of_it():
    found = step(
        "{transform: [softmax], inputs: {x: x, y: 1}, map: {z: b.y}, when: x > 0, timeout: 1m,"
        " fallback: {values: {y: [1]}}}"
    )

    assert isinstance(found.call, TransformCall)
    assert found.inputs == {"x": (Ref(None, "x"),), "y": (Constant(1, "p.yaml:2"),)}
    assert found.mapped == {"z": (Ref("b", "y"),)}
    assert found.when.where == "p.yaml:2: a.when"
    assert found.timeout == 60.0
    assert found.fallback.values["y"].value == [1]


def test_parameters_of_a_step_are_constants():
    found = step("{model: m, parameters: {most: 3, stop: [a, b]}}").parameters

    assert {name: each.value for name, each in found.items()} == {"most": 3, "stop": ["a", "b"]}
    assert step("{model: m, parameters: }").parameters == {}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{python: 'a:b', parameters: {most: 3}}", "a.parameters: are for a model"),
        ("{model: m, parameters: 3}", "a.parameters: must be a mapping"),
        ("{model: m, parameters: {most: }}", "a.parameters.most: nothing is no constant"),
        ("{model: m, parameters: {most: {x: 1}}}", "a.parameters.most: a mapping is no constant"),
    ],
    ids=["python", "number", "nothing", "mapping"],
)
def test_parameters_that_are_none_are_refused(text, told):
    with pytest.raises(ConfigError, match=told):
        step(text)


def test_nothing_under_inputs_is_no_inputs():
    assert step("{model: m, inputs: }").inputs == {}


def test_a_pipeline_does_not_ask_itself():
    with pytest.raises(ConfigError, match="p.yaml:2: a.model: 'own' is this pipeline itself"):
        step("{model: own@1}")
