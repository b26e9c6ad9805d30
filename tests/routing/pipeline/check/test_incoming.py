from dataclasses import replace

import pytest
from tests.routing.pipeline.written import function, model, read

from inferd.core.errors import ConfigError
from inferd.core.tensor import BYTES, FP32, FP64
from inferd.routing.pipeline.check.incoming import check_parameters, request_types
from inferd.routing.pipeline.spec import Value


def types(tmp_path, inputs, **callees):
    rows = "".join(
        f"  {name}: {{model: m, {'map' if name == 'each' else 'inputs'}: {{x: x}}}}\n"
        for name in callees
    )
    text = f"inputs: {inputs}\nsteps:\n{rows}  t: {{transform: [softmax], inputs: {{x: x}}}}\noutputs: {{y: x}}\n"
    return request_types(read(tmp_path, text), callees)["x"]


def test_the_first_step_that_takes_it_says_the_type(tmp_path):
    found = types(tmp_path, "[x]", a=model("x: float32 -1 4", "y: bytes"))

    assert found == Value(FP32, (-1, 4))


def test_content_comes_with_the_type_and_is_overruled_by_the_file(tmp_path):
    image = model("x: image", "y: bytes")

    assert types(tmp_path, "[x]", a=image) == Value(BYTES, (), content="image")
    assert types(tmp_path, "{x: {dtype: bytes}}", a=image).content == "image"
    assert types(tmp_path, "{x: {content: text}}", a=image).content == "text"


def test_sizes_that_another_step_knows_are_taken_from_it(tmp_path):
    a, b = model("x: float32 -1 4", "y: bytes"), function("x: float32 3 -1", "y: bytes")

    assert types(tmp_path, "[x]", a=a, b=b).shape == (3, 4)


def test_a_mapped_input_is_a_list(tmp_path):
    assert types(tmp_path, "[x]", each=model("x: float32 4", "y: bytes")) == Value(FP32, (-1, 4))
    assert not types(tmp_path, "[x]", each=model("x: float32 -1", "y: bytes")).uneven


def test_what_the_file_says_counts(tmp_path):
    a = model("x: float32 -1", "y: bytes")

    assert types(tmp_path, "{x: {dtype: float64, shape: [2]}}", a=a) == Value(FP64, (2,))
    assert types(tmp_path, "{x: {dtype: float64}}", a=a) == Value(FP64, (-1,))
    assert types(tmp_path, "{x: {shape: [2]}}", a=a) == Value(FP32, (2,))


def test_steps_that_do_not_agree_are_named(tmp_path):
    with pytest.raises(ConfigError) as error:
        types(
            tmp_path,
            "[x]",
            a=model("x: float32 4", "y: bytes"),
            b=model("x: float32 5", "y: bytes"),
        )

    assert "pipeline.yaml:1: inputs.x: a.x takes it as float32[4], and b.x as float32[5]" in str(
        error.value
    )


@pytest.mark.parametrize(
    ("inputs", "missing"),
    [("[x]", "datatype and shape"), ("{x: {dtype: int8}}", "shape"), ("{x: {shape: [1]}}", "datatype")],
    ids=["both", "shape", "datatype"],
)  # fmt: skip
def test_what_nothing_says_must_be_written(tmp_path, inputs, missing):
    with pytest.raises(ConfigError, match=f"inputs.x: nothing says its {missing}, as no model"):
        types(tmp_path, inputs)


@pytest.mark.parametrize(
    ("name", "callee"),
    [("a", model("xs: float32 4", "y: bytes")), ("each", function("z: float32 4, xs: int8", "y: bytes"))],
    ids=["model", "mapped"],
)  # fmt: skip
def test_an_input_that_only_feeds_what_is_no_input_is_told_so(tmp_path, name, callee):
    with pytest.raises(ConfigError) as caught:
        types(tmp_path, "[x]", **{name: callee})

    where = "map" if name == "each" else "inputs"
    says = f"pipeline.yaml:3: steps.{name}.{where}.x: the model 'm' has no input 'x'"
    assert says in caught.value.message
    assert caught.value.help == "did you mean 'xs'?"
    assert types(
        tmp_path, "{x: {dtype: int8}}", b=model("x: int8 2", "y: bytes"), **{name: callee}
    ).shape


def test_a_parameter_of_a_step_that_its_model_does_not_know_is_refused(tmp_path):
    text = """\
    inputs: [x]
    steps:
      a:
        model: m
        inputs: {x: x}
        parameters: {heat: 1}
    outputs: {y: a.y}
    """
    step = read(tmp_path, text).steps[0]
    signature = model("x: float32", "y: float32").signature
    check_parameters(step, signature)
    check_parameters(step, replace(signature, parameters=("heat",)))
    with pytest.raises(ConfigError, match="yaml:6: steps.a.parameters: .*has no parameter 'heat'"):
        check_parameters(step, replace(signature, parameters=("heats",)))
