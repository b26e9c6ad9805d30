import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.routing.pipeline.written import read

from inferd.core.errors import ConfigError
from inferd.routing.pipeline.check import graph
from inferd.routing.pipeline.spec import (
    InputSpec,
    ModelCall,
    OutputSpec,
    PipelineSpec,
    PythonCall,
    Ref,
    StepSpec,
)

DIAMOND = """
    inputs: [x]
    steps:
      d: {model: m, inputs: {a: b.y, b: c.y}}
      b: {model: m, inputs: {x: a.y}}
      c: {model: m, inputs: {x: a.y}}
      a: {model: m, inputs: {x: x}}
      other: {model: m, inputs: {x: x}}
    outputs: {y: d.y}
"""


def test_steps_come_after_those_they_need_else_as_in_the_file(tmp_path):
    spec = read(tmp_path, DIAMOND)

    assert [s.name for s in graph.order(spec)] == ["a", "b", "c", "d", "other"]
    assert graph.levels(spec) == {"a": 0, "b": 1, "c": 1, "d": 2, "other": 0}
    assert graph.needs(spec.step("d")) == {"b", "c"}
    assert graph.needs(spec.step("a")) == set()


def test_conditions_and_mapped_inputs_are_needed_too(tmp_path):
    spec = read(
        tmp_path,
        """
        inputs: [x]
        steps:
          last: {model: m, map: {x: lines.y}, when: "count.n > 0 and x > 0"}
          lines: {model: m, inputs: {x: x}}
          count: {model: m, inputs: {x: x}}
        outputs: {y: lines.y}
        """,
    )

    assert graph.needs(spec.step("last")) == {"lines", "count"}


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ({"a": "a.y"}, "pipeline.yaml:4: the step 'a' needs its own output"),
        ({"a": "b.y", "b": "a.y"}, "pipeline.yaml:4: these steps wait for each other: a -> b -> a"),
        (
            {"first": "x", "b": "c.y", "c": "d.y", "d": "b.y", "late": "d.y"},
            "pipeline.yaml:5: these steps wait for each other: b -> c -> d -> b",
        ),
    ],
    ids=["itself", "two", "three"],
)
def test_a_cycle_is_refused_and_its_steps_are_named(tmp_path, steps, message):
    lines = "\n".join(
        f"  {name}: {{model: m, inputs: {{x: {ref}}}}}" for name, ref in steps.items()
    )

    with pytest.raises(ConfigError) as error:
        read(tmp_path, f"inputs: [x]\n\nsteps:\n{lines}\noutputs: {{y: x}}\n")

    assert message in error.value.message


def test_what_may_be_skipped_follows_the_feeds(tmp_path):
    spec = read(
        tmp_path,
        """
        inputs: [x, lang]
        steps:
          maybe: {model: m, inputs: {x: x}, when: lang == 'en'}
          follows: {model: m, inputs: {x: maybe.y, z: x}}
          either: {model: m, inputs: {x: [maybe.y, x]}}
          constant: {model: m, inputs: {x: [maybe.y, {value: 1}]}}
          both: {model: m, map: {x: [maybe.y, follows.y]}}
        outputs:
          y: {from: [both.y, maybe.y], default: 0}
          z: [both.y, either.y]
        """,
    )

    assert graph.optional(spec) == {"maybe", "follows", "both"}


def test_an_output_that_may_be_absent_needs_a_default_or_another_source(tmp_path):
    with pytest.raises(ConfigError) as error:
        read(
            tmp_path,
            """
            inputs: [x]
            steps:
              a: {model: m, inputs: {x: x}, when: x > 0}
              b: {model: m, inputs: {x: a.y}}
            outputs:
              y: [a.y, b.y]
            """,
        )

    assert "pipeline.yaml:7: outputs.y: may be absent" in error.value.message
    assert "(a.y and b.y) may be skipped" in error.value.message
    assert "default" in error.value.help


def test_messages_call_models_by_name_and_version():
    assert graph.called(ModelCall("m", "2")) == "the model 'm@2'"
    assert graph.called(PythonCall("a:b")) == "the function 'a:b'"


@st.composite
def dags(draw):
    """Draw a graph without cycles as ``{step: those it needs}``, in a random order of the file."""
    count = draw(st.integers(1, 12))
    edges = {
        f"s{i}": draw(st.sets(st.sampled_from([f"s{j}" for j in range(i)]))) if i else set()
        for i in range(count)
    }
    return {name: edges[name] for name in draw(st.permutations(list(edges)))}


def pipeline(edges):
    steps = [
        StepSpec(
            name, ModelCall("m"), {f"x{i}": (Ref(n, "y"),) for i, n in enumerate(sorted(need))}
        )
        for name, need in edges.items()
    ]
    outputs = (OutputSpec("y", (Ref(None, "x"),)),)
    return PipelineSpec("p.yaml", (InputSpec("x"),), tuple(steps), outputs)


@given(dags())
def test_an_order_respects_every_need(edges):
    order = [s.name for s in graph.order(pipeline(edges))]

    assert sorted(order) == sorted(edges)
    for name, needed in edges.items():
        assert all(order.index(n) < order.index(name) for n in needed)
    if not any(edges.values()):
        assert order == list(edges)


@given(dags(), st.data())
def test_an_edge_back_is_refused_always(edges, data):
    start = data.draw(st.sampled_from(sorted(edges)))
    reached, ahead = {start}, [start]
    while (
        ahead
    ):  # all that `start` needs, near and far: each of them waits in vain, once it needs `start`
        new = edges[ahead.pop()] - reached
        reached |= new
        ahead += new
    back = data.draw(st.sampled_from(sorted(reached)))
    edges = {**edges, back: edges[back] | {start}}

    with pytest.raises(ConfigError, match="wait for each other|needs its own output"):
        graph.order(pipeline(edges))


def test_a_long_chain_is_no_deep_recursion():
    edges = {f"s{i}": {f"s{i - 1}"} if i else set() for i in range(5000)}

    assert len(graph.order(pipeline(edges))) == 5000
    assert np.max(list(graph.levels(pipeline(edges)).values())) == 4999
