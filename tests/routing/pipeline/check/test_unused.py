import pytest
from tests.routing.pipeline.written import read

from inferd.routing.pipeline.check.unused import unused


def remarks(tmp_path, text):
    return [message.rpartition("/")[2] for message, _ in unused(read(tmp_path, text))]


LONG = """
inputs: [x, y, z, w]
steps:
  a: {model: m, inputs: {x: x}}
  b: {model: m, map: {x: [a.y, y]}, when: z > 1}
  c: {model: m, inputs: {x: x}}
  d: {model: m, inputs: {x: c.y}}
  e: {model: m, inputs: {x: x}}
outputs: {o: {from: [b.y, e.y], default: 1}, w: w}
"""


def test_what_leads_nowhere_is_named_with_its_line(tmp_path):
    found = remarks(tmp_path, LONG)

    assert [one.partition(": no ")[0] for one in found] == [
        "pipeline.yaml:6: steps.c", "pipeline.yaml:7: steps.d",
    ]  # fmt: skip
    assert "no output follows from it" in found[0]


ONE = """
inputs: [x{more}]
steps:
  a: {{model: m, inputs: {{x: x}}{when}}}{step}
outputs: {{y: {y}.y}}
"""
GUARDED = {
    "more": ", n",
    "when": ", when: n > 0",
    "step": "\n  b: {model: m, inputs: {x: [a.y, x]}}",
    "y": "b",
}
BESIDE = "\n  b: {model: m, inputs: {x: n}}"


@pytest.mark.parametrize(
    ("parts", "found"),
    [
        ({}, []),
        (GUARDED, []),
        (
            {"more": ", n"},
            ["pipeline.yaml:2: inputs.n: no step takes it, and every request must bring it"],
        ),
        (
            {"more": ", n", "step": BESIDE},
            ["pipeline.yaml:5: steps.b: no output follows from it, and every request waits for it"],
        ),
    ],
    ids=["all used", "conditions use", "input", "step"],
)
def test_inputs_and_steps(tmp_path, parts, found):
    text = ONE.format(**{"more": "", "when": "", "step": "", "y": "a", **parts})
    assert remarks(tmp_path, text) == found
