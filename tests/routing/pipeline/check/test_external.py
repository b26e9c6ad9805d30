import pytest
from tests.routing.pipeline.written import function, model, read

from inferd.core.plan import BatchPlan
from inferd.routing.pipeline.check.typing import plan

TWO = """\
inputs: [x]
steps:
  a: {model: m, inputs: {x: x}%s}
  b: {model: n, inputs: {x: a.y}%s}
outputs: {%s}
"""


def planned(tmp_path, a, b, *, first="", second="", outputs="y: b.y"):
    return plan(read(tmp_path, TWO % (first, second, outputs)), {"a": a, "b": b})


def fixed(**more):
    return model("x: float32 4", "y: float32 4", **more)


def free(**more):
    return model("x: float32 -1", "y: float32 -1", **more)


LONE = function("x: float32 4", "y: float32 4").signature
SHARED = BatchPlan(key_axes=(("x", 1),))


@pytest.mark.parametrize(
    ("a", "b", "steps", "straight", "ragged"),
    [
        (fixed(), fixed(), {}, True, False),
        (free(plan=SHARED), free(plan=SHARED), {}, True, False),
        (free(), free(), {}, False, True),
        (free(plan=SHARED), free(plan=BatchPlan(split=True)), {}, False, True),
        (free(plan=SHARED), free(ragged=True), {}, False, True),
        (fixed(), function("x: float32 4", "y: float32 4"), {}, False, False),
        (fixed(), fixed(), {"second": ", when: 1 in x"}, False, False),
        (fixed(), fixed(), {"second": ", timeout: 1s, fallback: {values: {y: [1, 2, 3, 4]}}"}, True, False),
        (fixed(), fixed(streams=True), {}, False, False),
        (fixed(), fixed(fallback=LONE), {"second": ", fallback: {model: o}"}, False, False),
    ],
    ids=["fixed", "one shape", "not known", "split", "ragged", "python", "condition", "fallback", "streams",
         "stands in"],
)  # fmt: skip
def test_rows_go_straight_where_every_step_takes_them_as_they_are(
    tmp_path, a, b, steps, straight, ragged
):
    if "when" in steps.get("second", ""):
        steps = {**steps, "outputs": "y: [b.y, a.y]"}
    found = planned(tmp_path, a, b, **steps)

    assert found.straight is straight
    assert found.signature.ragged is ragged
    assert found.batch.split is ragged


def test_free_axes_of_inputs_must_agree_within_a_request(tmp_path):
    found = planned(tmp_path, free(), free())

    assert found.batch.key_axes == (("x", 1),)
    assert found.batch.batched
    assert found.batch.max_batch is None


@pytest.mark.parametrize(
    ("a", "b", "more", "streams"),
    [
        (fixed(), fixed(streams=True), {}, "b"),
        (fixed(streams=True), fixed(), {}, None),
        (fixed(streams=True), fixed(), {"outputs": "y: b.y, z: a.y"}, "a"),
        (fixed(streams=True), fixed(), {"outputs": "y: [b.y, a.y]"}, None),
        (fixed(streams=True), fixed(), {"outputs": "y: [a.y, b.y]"}, "a"),
        (fixed(), fixed(streams=True), {"outputs": "y: a.y"}, None),
        (fixed(), fixed(streams=True), {"second": ", fallback: {values: {y: [1, 2, 3, 4]}}"}, None),
        (
            fixed(), fixed(streams=True),
            {"second": ", when: len(x) > 0", "outputs": "y: [b.y, a.y]"}, "b",
        ),
    ],
    ids=["last", "needed", "needed and given", "improved", "not improved", "unused", "fallback", "one of two"],
)  # fmt: skip
def test_the_step_goes_out_in_pieces_that_an_output_comes_from(tmp_path, a, b, more, streams):
    assert planned(tmp_path, a, b, **more).streams == streams


def test_the_last_of_several_goes_out_in_pieces_and_mapped_ones_never(tmp_path):
    text = (
        "inputs: [x]\nsteps:\n  a: {model: m, inputs: {x: x}}\n  b: {model: m, inputs: {x: x}}\n"
        "  c: {model: n, map: {x: x}}\noutputs: {y: b.y, z: a.y, w: c.y}\n"
    )
    stream = fixed(streams=True)
    mapped = model("x: float32", "y: float32", streams=True)
    found = plan(read(tmp_path, text), {"a": stream, "b": stream, "c": mapped})

    assert found.streams == "b"
