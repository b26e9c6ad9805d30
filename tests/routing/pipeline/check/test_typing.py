from dataclasses import replace

import numpy as np
import pytest
from tests.routing.pipeline.written import batched, function, model, read

from inferd.core.errors import ConfigError
from inferd.core.tensor import BYTES, FP32, UINT8
from inferd.routing.pipeline.check.typing import plan
from inferd.routing.pipeline.plan import Callee
from inferd.routing.pipeline.spec import Ref, Value

OCR = """\
inputs: {image: {dtype: bytes, content: image}}
steps:
  recognise:
    model: text-recognise
    map: {x: crop.lines}
  join: {python: "steps:join", inputs: {texts: recognise.text, boxes: detect.boxes}}
  crop: {python: "steps:crop", inputs: {image: decode.pixels, boxes: detect.boxes}}
  detect:
    model: text-detect
    inputs: {x: decode.pixels, threshold: 0.5}
    fallback: {values: {boxes: []}}
  decode: {python: "steps:decode", inputs: {image: image}}
outputs:
  text: join.text
  boxes: detect.boxes
"""
CALLEES = {
    "decode": function("image: image", "pixels: uint8 -1 -1 3"),
    "detect": model(
        "x: uint8 -1 -1 3, threshold: float32 1", "boxes: float32 -1 4, count: int64 1"
    ),
    "crop": function(
        "image: uint8 -1 -1 3, boxes: float32 -1 4", "lines: uint8 -1 -1 -1 3", ["lines"]
    ),
    "recognise": model("x: uint8 -1 -1 3", "text: text, scores: float32 -1"),
    "join": function("texts: text -1, boxes: float32 -1 4", "text: text"),
}


@pytest.fixture
def ocr(tmp_path):
    return plan(read(tmp_path, OCR), CALLEES)


def test_nodes_stand_in_an_order_in_which_they_can_run(ocr):
    assert [n.spec.name for n in ocr.nodes] == ["decode", "detect", "crop", "recognise", "join"]
    assert [n.batched for n in ocr.nodes] == [False, True, False, True, False]
    assert [n.from_request for n in ocr.nodes] == [True, False, False, False, False]
    assert not any(n.optional for n in ocr.nodes)
    assert ocr.nodes[4].needs == {"recognise", "detect"}


def test_values_have_no_batch_axis_and_mapped_ones_are_lists(ocr):
    nodes = {n.spec.name: n for n in ocr.nodes}

    assert nodes["detect"].inputs["x"] == Value(UINT8, (-1, -1, 3))
    assert nodes["detect"].outputs["boxes"] == Value(FP32, (-1, 4))
    assert nodes["crop"].outputs["lines"] == Value(UINT8, (-1, -1, -1, 3), uneven=True)
    assert nodes["recognise"].inputs["x"] == Value(UINT8, (-1, -1, 3))
    assert nodes["recognise"].outputs["text"] == Value(BYTES, (-1,), content="text")
    assert nodes["recognise"].outputs["scores"] == Value(FP32, (-1, -1), uneven=True)


def test_constants_and_values_of_a_fallback_become_arrays(ocr):
    detect = ocr.nodes[1]

    assert detect.constants["threshold"].tolist() == [0.5]
    assert detect.constants["threshold"].dtype == np.float32
    assert detect.values["boxes"].shape == (0, 4)
    assert detect.values["boxes"].dtype == np.float32


def test_outside_everything_has_a_batch_axis(ocr):
    inputs, outputs = ocr.signature.inputs, ocr.signature.outputs

    assert [(s.name, s.dtype, s.shape, s.content) for s in inputs] == [
        ("image", BYTES, (-1,), "image"),
    ]  # fmt: skip
    assert [(s.name, s.dtype, s.shape) for s in outputs] == [
        ("text", BYTES, (-1,)), ("boxes", FP32, (-1, -1, 4)),
    ]  # fmt: skip
    assert ocr.signature.batched
    assert ocr.signature.ragged
    assert ocr.batch.split
    assert not ocr.straight
    assert ocr.streams is None


def one(tmp_path, step, callee, *, inputs="{x: {dtype: float32, shape: [4]}}", outputs="{y: a.y}"):
    """Plan a pipeline of one step ``a``, after a step ``first`` that gives many kinds of values."""
    text = (
        f"inputs: {inputs}\nsteps:\n"
        "  first: {python: 'm:f', inputs: {x: x}}\n"
        f"  a: {step}\noutputs: {outputs}\n"
    )
    first = function(
        "x: float32 4",
        "four: float32 4, one: float32 1, scalar: float32, free: float32 -1, text: text, "
        "rows: float32 -1 4, images: uint8 -1 -1 -1 3",
        ["images"],
    )
    callees = {"first": first, "a": callee}
    return plan(read(tmp_path, text), {n: c for n, c in callees.items() if c is not None})


M = "{model: m, inputs: {x: %s}}"


@pytest.mark.parametrize(
    ("ref", "taken"),
    [
        ("x", "float32 4"), ("first.four", "float32 4"), ("first.four", "float32 -1"),
        ("first.free", "float32 4"), ("first.one", "float32"), ("first.scalar", "float32 1"),
        ("first.text", "bytes 1"), ("first.text", "bytes"),
    ],
)  # fmt: skip
def test_types_that_agree(tmp_path, ref, taken):
    assert one(tmp_path, M % ref, model(f"x: {taken}", "y: float32")).nodes[1].inputs


@pytest.mark.parametrize(
    ("step", "taken", "message"),
    [
        (M % "first.four", "float32 5", "takes 'x' as float32[5], and first.four is float32[4]"),
        (M % "first.four", "float64 4", "float64[4], and first.four is float32[4]\nhelp: convert"),
        (
            M % "first.four",
            "float32 4 1",
            "float32[4, 1], and first.four is float32[4]\nhelp: resh",
        ),
        (M % "first.free", "float32", "float32[], and first.free is float32[?]\nhelp: reshape"),
        (M % "first.text", "float32", "first.text is text[]"),
        (
            M % "first.images",
            "uint8 -1 -1 -1 3",
            "a list of uint8[?, ?, 3]\nhelp: its elements may",
        ),
        (
            M % "first.foru",
            "float32 4",
            "'first' has no output 'foru'\nhelp: did you mean 'four'? It",
        ),
        (
            M % "first.zzz",
            "float32 4",
            "help: it gives: four, one, scalar, free, text, rows, images",
        ),
        (
            "{model: m, inputs: {xx: x}}",
            "float32 4",
            "'m' has no input 'xx'\nhelp: did you mean 'x'?",
        ),
        (
            "{model: m@2, inputs: {}}",
            "float32 4",
            "nothing feeds the input 'x' of the model 'm@2', floa",
        ),
        (
            "{model: m, map: {x: first.scalar}}",
            "float32",
            "float32[], a single value that has no el",
        ),
        ("{model: m, map: {x: first.rows}}", "float32 3", "an element of first.rows is float32[4]"),
        (
            "{model: m, map: {x: first.images}}",
            "float32 4",
            "an element of first.images is uint8[?, ",
        ),
        (
            M % "{value: [1, 2]}",
            "float32 4",
            "the input 'x' of the model 'm' is float32[4], and the con",
        ),
        (M % "{value: ab}", "float32", "the constant holds the text 'ab'"),
        (
            "{model: m, inputs: {x: x}, when: first.rows > 1}",
            "float32 4",
            "no single value\nhelp: ask ",
        ),
        ("{model: m, inputs: {x: x}, when: first.noo > 1}", "float32 4", "has no output 'noo'"),
        (
            "{model: m, inputs: {x: x}, when: first.one > 'a'}",
            "float32 4",
            "steps.a.when: the condition \"first.one > 'a'\" cannot be tested: a number and a text have no order",
        ),
        (
            "{model: m, inputs: {x: x}, when: first.one > 1 or len(first.scalar) > 1}",
            "float32 4",
            "first.scalar is a number, which has no length",
        ),
    ],
    ids=lambda value: value[:40],
)
def test_types_that_do_not_agree_are_named(tmp_path, step, taken, message):
    with pytest.raises(ConfigError) as error:
        one(
            tmp_path,
            step,
            model(f"x: {taken}", "y: float32"),
            outputs="{y: {from: a.y, default: 0}}",
        )

    assert str(error.value).startswith(f"{tmp_path / 'pipeline.yaml'}:4: ")
    assert message in str(error.value)


def test_a_condition_may_ask_for_a_length_of_what_is_no_single_value(tmp_path):
    step = "{model: m, inputs: {x: x}, when: len(first.images) > 0 and 3 in first.rows}"
    found = one(
        tmp_path, step, model("x: float32 4", "y: float32"), outputs="{y: [a.y, first.one]}"
    )

    assert found.nodes[1].optional


def test_a_list_of_unequal_arrays_feeds_only_who_takes_one(tmp_path):
    step = "{python: 'm:g', inputs: {x: first.images}}"
    shape = "x: uint8 -1 -1 -1 3"

    assert one(tmp_path, step, function(shape, "y: float32", ["x"])).nodes[1].inputs["x"].uneven
    with pytest.raises(ConfigError, match="may differ in shape"):
        one(tmp_path, step, function(shape, "y: float32"))


def test_an_even_array_feeds_who_takes_a_list(tmp_path):
    found = one(
        tmp_path, "{python: 'm:g', inputs: {x: first.rows}}",
        function("x: float32 -1 -1", "y: float32", ["x"]),
    )  # fmt: skip

    assert found.nodes[1].inputs["x"].uneven


def test_lists_of_lists_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="a mapped step would give lists of lists"):
        one(
            tmp_path, "{python: 'm:g', map: {x: first.rows}}",
            function("x: float32 4", "y: float32 -1 -1", ["y"]),
        )  # fmt: skip


def test_an_uneven_output_of_the_pipeline_is_refused(tmp_path):
    with pytest.raises(ConfigError) as error:
        one(tmp_path, M % "x", model("x: float32 4", "y: float32"), outputs="{y: first.images}")

    assert "pipeline.yaml:5: outputs.y: first.images is a list of uint8[?, ?, 3]" in str(
        error.value
    )
    assert "join them in a Python step" in error.value.help


def test_sources_of_an_output_are_of_one_type_and_sizes_that_differ_are_free(tmp_path):
    callee = model("x: float32 4", "y: float32 3, z: float64 4")
    found = one(tmp_path, M % "x", callee, outputs="{y: [a.y, first.four]}")

    assert found.outlets[0].value == Value(FP32, (-1,))
    with pytest.raises(
        ConfigError, match=r"outputs.y: a.z is float64\[4\], and first.four is float32"
    ):
        one(tmp_path, M % "x", callee, outputs="{y: [a.z, first.four]}")


def test_defaults_of_outputs_are_of_their_type(tmp_path):
    step, callee = (
        "{model: m, inputs: {x: x}, when: first.one > 0}",
        model("x: float32 4", "y: int8 2"),
    )
    found = one(tmp_path, step, callee, outputs="{y: {from: a.y, default: [1, -1]}}")

    assert found.outlets[0].default.tolist() == [1, -1]
    assert found.outlets[0].default.dtype == np.int8
    with pytest.raises(ConfigError, match=r"a.y is int8\[2\], and the constant holds 300, out of"):
        one(tmp_path, step, callee, outputs="{y: {from: a.y, default: [1, 300]}}")


FALLBACK = "{model: m, inputs: {x: x}, fallback: {model: small}}"


def stands_in(inputs, outputs):
    return model("x: float32 4", "y: float32 2, z: text", fallback=batched(inputs, outputs))


def test_a_model_stands_in_that_takes_the_same_and_gives_what_is_used(tmp_path):
    assert one(tmp_path, FALLBACK, stands_in("x: float32 4", "y: float32 2, more: text"))


@pytest.mark.parametrize(
    ("inputs", "outputs", "message"),
    [
        ("xx: float32 4", "y: float32 2", "'small' does not take 'x'\nhelp: did you mean 'xx'?"),
        ("x: float32 4, k: int64", "y: float32 2", "takes 'k' too, which nothing feeds"),
        (
            "x: float64 4",
            "y: float32 2",
            "the input 'x' as float64[4], and the model 'm' as float32[4]",
        ),
        (
            "x: float32 4",
            "y: float32 3",
            "the output 'y' as float32[3], and the model 'm' as float32[2]",
        ),
        ("x: float32 4", "z: text", "steps.a.fallback: lacks the output 'y', which is used"),
    ],
    ids=["name", "more", "input", "output", "lacks"],
)
def test_another_model_cannot_stand_in(tmp_path, inputs, outputs, message):
    with pytest.raises(ConfigError) as error:
        one(tmp_path, FALLBACK, stands_in(inputs, outputs))

    assert "pipeline.yaml:4: steps.a.fallback" in str(error.value)
    assert message in str(error.value)


def test_it_is_noted_whether_the_model_that_stands_in_takes_a_batch(tmp_path):
    other = function("x: float32 4", "y: float32 2").signature
    callee = model("x: float32 4", "y: float32 2", fallback=other)

    assert not one(tmp_path, FALLBACK, callee).nodes[1].fallback_batched
    assert (
        one(tmp_path, FALLBACK, stands_in("x: float32 4", "y: float32 2")).nodes[1].fallback_batched
    )


@pytest.mark.parametrize(
    ("callee", "alone"),
    [
        (model("x: float32 4", "y: float32 2"), False),
        (model("x: float32 4", "y: float32 2", streams=True), True),
        (model("x: float32 4", "y: float32 2", ragged=True), True),
    ],
    ids=["even", "streams", "ragged"],
)
def test_a_step_is_mapped_row_by_row_where_rows_cannot_go_together(tmp_path, callee, alone):
    step = "{model: m, map: {x: first.rows}}"

    assert one(tmp_path, step, callee).nodes[1].alone is alone
    assert not one(tmp_path, M % "x", callee).nodes[1].alone


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ("{z: word}", "lacks the output 'y', which is used"),
        ("{y: [1, 2], zz: 1}", "the step has no output 'zz'\nhelp: did you mean 'z'?"),
        ("{yy: [1, 2]}", "the step has no output 'yy'\nhelp: did you mean 'y'?"),
        ("{y: [1, 2, 3]}", "a.y is float32[2], and the constant has the shape [3]"),
    ],
    ids=["lacks", "unknown", "mistyped", "shape"],
)
def test_values_of_a_fallback_are_of_the_steps_types(tmp_path, values, message):
    step = f"{{model: m, inputs: {{x: x}}, fallback: {{values: {values}}}}}"

    with pytest.raises(ConfigError) as error:
        one(tmp_path, step, model("x: float32 4", "y: float32 2, z: text"))

    assert message in str(error.value)


def test_values_of_a_mapped_steps_fallback_are_its_whole_lists(tmp_path):
    step = "{model: m, map: {x: first.rows}, fallback: {values: {y: [a, b]}}}"
    found = one(tmp_path, step, model("x: float32 4", "y: text"))

    assert found.nodes[1].values["y"].tolist() == [b"a", b"b"]


def test_a_transform_is_compiled_over_what_feeds_it(tmp_path):
    text = (
        "inputs: {x: {dtype: float32, shape: [4]}}\nsteps:\n"
        "  a: {transform: [softmax, {top_k: 2}], inputs: {y: x}}\n"
        "  b: {transform: [softmax], map: {y: b4.rows}}\n"
        "  b4: {python: 'm:f', inputs: {x: x}}\n"
        "outputs: {score: a.score, rows: b.y}\n"
    )
    found = plan(read(tmp_path, text), {"b4": function("x: float32 4", "rows: float32 -1 4")})

    nodes = {n.spec.name: n for n in found.nodes}
    assert nodes["a"].outputs["score"] == Value(FP32, (2,))
    assert nodes["b"].outputs["y"] == Value(FP32, (-1, 4))
    assert not nodes["a"].batched


def test_a_transform_takes_no_list_of_unequal_arrays_and_no_constant_alone(tmp_path):
    with pytest.raises(ConfigError, match=r"yaml:4: .*a transform cannot take a list of uint8"):
        one(tmp_path, "{transform: [softmax], inputs: {y: first.images}}", None, outputs="{y: x}")
    with pytest.raises(
        ConfigError, match=r"yaml:4: steps.a.inputs.y: a constant cannot be the only"
    ):
        one(tmp_path, "{transform: [softmax], inputs: {y: [1, 2]}}", None, outputs="{y: x}")


def test_a_wrong_transform_is_named_with_file_and_line(tmp_path):
    with pytest.raises(ConfigError, match=r"pipeline.yaml:4: .*sotfmax: unknown step"):
        one(tmp_path, "{transform: [sotfmax], inputs: {y: x}}", None, outputs="{y: x}")


def test_references_are_kept_by_value_wherever_they_stand(ocr):
    assert Ref("detect", "boxes", "here") == Ref("detect", "boxes", "there")


OPTIONAL = """\
inputs:
  x: {dtype: float32, shape: [2]}
  scale: {default: %s}
steps:
  a: {model: m, inputs: {x: x, scale: scale}}
outputs: {y: a.y}
"""


def test_the_default_of_an_input_is_of_the_type_that_takes_it(tmp_path):
    callee = model("x: float32 2, scale: int64 1", "y: float32 2")
    found = plan(read(tmp_path, OPTIONAL % 3), {"a": callee})

    assert [spec.default for spec in found.signature.inputs] == [None, 3]
    with pytest.raises(
        ConfigError, match=r"pipeline.yaml:3: the input 'scale' is int64\[1\], and the"
    ):
        plan(read(tmp_path, OPTIONAL % "1.5"), {"a": callee})


def test_what_has_a_default_need_not_be_fed(tmp_path):
    text = "inputs: [x]\nsteps:\n  a: {model: m, inputs: {x: x}%s}\noutputs: {y: a.y}\n"
    whole = model("x: float32 2, scale: int64 1", "y: float32 2").signature
    x, scale = whole.inputs
    spared = replace(whole, inputs=(x, replace(scale, default=2)))
    plain = replace(whole, inputs=(x,))

    found = plan(read(tmp_path, text % ""), {"a": Callee(spared)})
    assert [spec.name for spec in found.signature.inputs] == ["x"]
    for callee in (Callee(spared, fallback=plain), Callee(plain, fallback=spared)):
        plan(read(tmp_path, text % ", fallback: {model: n}"), {"a": callee})
    with pytest.raises(ConfigError, match="nothing feeds the input 'scale'"):
        plan(read(tmp_path, text % ""), {"a": Callee(whole)})
