import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.routing.pipeline.written import read

from inferd.core.errors import ConfigError
from inferd.core.step import Step
from inferd.core.tensor import BYTES, FP32
from inferd.routing.pipeline.definition.file import FILE, find_pipeline, own_name, read_pipeline
from inferd.routing.pipeline.definition.keys import MAX_STEPS
from inferd.routing.pipeline.spec import Constant, ModelCall, PythonCall, Ref, TransformCall

WHOLE = """\
description: reads the text of a picture
task: ocr
inputs:
  image: {dtype: bytes, content: image}
  limit: {dtype: float32, shape: [-1, 4]}
  lang:
steps:
  decode:  {python: "steps:decode", inputs: {image: image}}
  detect:
    model: text-detect@stable
    inputs: {x: decode.pixels, threshold: {value: 0.5}, size: 3, wide: [1, 2], odd: output.a.b}
    timeout: 2s
    fallback: {values: {boxes: []}}
  output: {transform: [softmax, {top_k: 3}], inputs: {x: decode.pixels}}
  recognise:
    model: text-recognise
    map: {x: crop.lines}
    inputs: {names: {value: [a, b]}}
    when: detect.count > 0
    fallback: {model: small}
  crop: {python: "steps:crop", inputs: {boxes: [detect.boxes, {value: []}]}}
outputs:
  text: recognise.text
  reply: {from: [recognise.text, decode.text], default: ""}
"""


@pytest.fixture
def whole(tmp_path):
    return read(tmp_path, WHOLE.replace("text: recognise.text\n", "text: decode.text\n", 1))


def test_a_whole_file_is_read(whole, tmp_path):
    detect, recognise = whole.step("detect"), whole.step("recognise")

    assert (whole.description, whole.task) == ("reads the text of a picture", "ocr")
    assert [s.name for s in whole.steps] == [
        "decode", "detect", "output", "recognise", "crop",
    ]  # fmt: skip
    assert whole.step("decode").call == PythonCall("steps:decode", f"{tmp_path / FILE}:8")
    assert detect.call == ModelCall("text-detect", "stable", f"{tmp_path / FILE}:10")
    assert detect.timeout == 2.0
    assert detect.where == f"{tmp_path / FILE}:9"
    assert detect.inputs["x"] == (Ref("decode", "pixels"),)
    assert detect.inputs["x"][0].where == f"{tmp_path / FILE}:11: steps.detect.inputs.x"
    assert detect.inputs["threshold"] == (Constant(0.5, f"{tmp_path / FILE}:11"),)
    assert detect.inputs["size"][0].value == 3
    assert detect.inputs["wide"][0].value == [1, 2]
    assert detect.inputs["odd"] == (Ref("output", "a.b"),)
    assert detect.fallback.values["boxes"].value == []
    assert [(m.model, m.version) for m in whole.models] == [
        ("text-detect", "stable"), ("text-recognise", None), ("small", None),
    ]  # fmt: skip
    assert recognise.mapped == {"x": (Ref("crop", "lines"),)}
    assert recognise.inputs["names"][0].value == ["a", "b"]
    assert recognise.when.text == "detect.count > 0"
    assert recognise.fallback.call.model == "small"
    assert whole.step("crop").inputs["boxes"][1].value == []
    call = whole.step("output").call
    assert isinstance(call, TransformCall)
    assert [(s.name, s.params) for s in call.steps] == [("softmax", None), ("top_k", 3)]
    assert isinstance(call.steps[0], Step)
    assert whole.outputs[1].feed == (Ref("recognise", "text"), Ref("decode", "text"))
    assert whole.outputs[1].default.value == ""


def test_inputs_say_as_much_as_they_like(whole):
    image, limit, lang = whole.inputs

    assert (image.dtype, image.shape, image.content) == (BYTES, (), "image")
    assert (limit.dtype, limit.shape) == (FP32, (-1, 4))
    assert (lang.dtype, lang.shape, lang.content) == (None, None, None)


OPTIONAL = """\
inputs:
  sound: {dtype: bytes, content: audio, default: ""}
  scale: {default: %s}
steps: {s: {model: m, inputs: {x: sound, y: scale}}}
outputs: {y: s.y}
"""


def test_an_input_may_have_a_default(tmp_path):
    sound, scale = read(tmp_path, OPTIONAL % "[1, 2]").inputs

    assert (sound.content, sound.default) == ("audio", Constant("", f"{tmp_path / FILE}:2"))
    assert scale.default.value == [1, 2]


@pytest.mark.parametrize("value", ["", "{a: 1}", "2020-01-01"], ids=["nothing", "mapping", "date"])
def test_a_default_is_a_constant(tmp_path, value):
    with pytest.raises(
        ConfigError, match=r"pipeline.yaml:3: inputs.scale.default: .* is no constant"
    ):
        read(tmp_path, OPTIONAL % value)


def test_inputs_may_be_a_list_of_names(tmp_path):
    spec = read(
        tmp_path,
        "inputs: [a, b]\nsteps: {s: {model: m, inputs: {x: a, y: b}}}\noutputs: {y: s.y}\n",
    )

    assert [(i.name, i.dtype, i.where) for i in spec.inputs] == [
        ("a", None, f"{tmp_path / FILE}:1"), ("b", None, f"{tmp_path / FILE}:1"),
    ]  # fmt: skip


GOOD = """\
inputs: {x: {dtype: float32, shape: [4]}, y: }
steps:
  a: {model: m, inputs: {x: x}}
  b: {python: "f:g", inputs: {x: a.z}}
outputs:
  z: b.z
"""


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("outputs:", "outptus: {}\noutputs:", ":5: outptus: unknown key\nhelp: did you mean 'outputs'?"),
        ("{model: m,", "{modle: m,", ":3: steps.a.modle: unknown key\nhelp: did you mean 'model'?"),
        ("{model: m,", "{", ":3: steps.a: must have one of model, python and transform; it has none"),
        ("{model: m,", "{model: m, python: 'f:g',", "it has model and python"),
        ("{python: ", "{model: m, transform: [softmax], python: ", "it has model and python and transform"),
        ("x: a.z", "x: aa.z", ":4: steps.b.inputs.x: there is no step 'aa'"),
        ("x: a.z", "x: detectt.z", "there is no step 'detectt'\nhelp: allowed: a, b"),
        ("x: a.z", "x: a", ":4: steps.b.inputs.x: 'a' is a step, not one of its outputs\nhelp: write a.OUTPUT"),
        ("x: a.z", "x: xx", ":4: steps.b.inputs.x: 'xx' is neither an input nor a step\nhelp: did you mean 'x'?"),
        ("x: a.z", "x: y.z", "'y.z': 'y' is an input, which has no outputs\nhelp: write y"),
        ("x: a.z", "x: a.", "'a.' names no output"),
        ("x: a.z", "x: ", ":4: steps.b.inputs.x: is left empty"),
        ("x: a.z", "x: 2020-01-01", "steps.b.inputs.x: a date is no constant"),
        ("x: a.z", "x: {valeu: 1}", ":4: steps.b.inputs.x.valeu: unknown key"),
        ("x: a.z", "x: {}", "steps.b.inputs.x: says no value"),
        ("x: a.z", "x: {value: {a: 1}}", "a mapping is no constant"),
        ("x: a.z", "x: {value: }", "nothing is no constant"),
        ("x: a.z", "x: [a.z, [1]]", None),
        ("x: a.z", "x: [a.z, 1, x]", "steps.b.inputs.x[2]: stands behind a constant"),
        ("x: a.z", "x: [a.z, null]", "steps.b.inputs.x[1]: is left empty"),
        ("x: a.z", "x: 99999999999999999999", "does not fit 64 bits"),
        ("x: a.z", "x: [[[[[[[[[[1]]]]]]]]]]", "holds lists more than 8 deep"),
        ("x: a.z", "x: [" + "a.z, " * 17 + "]", "has 17 sources, over 16"),
        ("  a: {", "  x: {", ":3: steps.x: is the name of an input too"),
        ("  a: {", "  1a: {", ":3: steps.1a: '1a' is no name of a step"),
        ("  a: {", "  a.b: {", "'a.b' is no name of a step"),
        ("  a: {", "  a: {model: m}\n  a: {", ":4: a: given twice"),
        ("  a: {model: m, inputs: {x: x}}", "  a: m", ":3: steps.a: must be a mapping, not 'm'"),
        ("{model: m,", "{model: flow,", "'flow' is this pipeline itself"),
        ("{model: m,", "{model: m@,", "'m@' names no model"),
        ("{model: m,", "{model: '@1',", "'@1' names no model"),
        ("{model: m,", "{model: ,", ":3: steps.a.model: is left empty"),
        ("{model: m,", "{model: [m],", "steps.a.model: must be text, not ['m']"),
        ('"f:g"', '"f.g"', ":4: steps.b.python: 'f.g' does not name an object in a module"),
        ('python: "f:g"', "transform: []", "steps.b.transform: lists no step"),
        ('python: "f:g"', "transform: softmax", "steps.b.transform: must be a list of steps"),
        ("{model: m,", "{model: m, timeout: 2 parsecs,", ":3: steps.a.timeout: '2 parsecs' has the unknown unit"),
        ("{model: m,", "{model: m, timeout: 0,", "steps.a.timeout: must be longer than nothing"),
        ("{model: m,", "{model: m, timeout: -1s,", "steps.a.timeout: '-1s' is not a duration"),
        ("{model: m,", "{model: m, map: {x: x},", ":3: steps.a.map.x: is fed by inputs: too"),
        ("{model: m,", "{model: m, map: {},", "steps.a.map: names no input"),
        ("{model: m,", "{model: m, map: x,", "steps.a.map: must be a mapping, not 'x'"),
        ("{model: m,", "{model: m, when: 1,", "steps.a.when: must be text, not 1"),
        ("{model: m,", "{model: m, when: ,", "steps.a.when: is left empty"),
        ("{model: m,", "{model: m, when: z > 1,", ":3: steps.a.when: 'z' is neither an input nor a step"),
        ("{model: m,", "{model: m, when: x + 1,", ":3: steps.a.when: the condition 'x + 1' has '+'"),
        ("{model: m,", "{model: m, fallback: {},", "steps.a.fallback: must have one of model and values; it has neither"),
        ("{model: m,", "{model: m, fallback: {model: n, values: {z: 1}},", "it has both"),
        ("{model: m,", "{model: m, fallback: {modle: n},", "steps.a.fallback.modle: unknown key"),
        ("{model: m,", "{model: m, fallback: n,", "steps.a.fallback: must be a mapping"),
        ("{model: m,", "{model: m, fallback: {values: {}},", "give no output"),
        ("{model: m,", "{model: m, fallback: {model: flow},", "this pipeline itself"),
        ("z: b.z", "z: {form: b.z}", ":6: outputs.z.form: unknown key\nhelp: did you mean 'from'?"),
        ("z: b.z", "z: {default: 1}", "outputs.z: says not where it comes from"),
        ("z: b.z", "z: 1", "outputs.z: 1 refers to no step and no input"),
        ("z: b.z", "z: {from: [b.z, 1]}", "outputs.z.from: ['b.z', 1] refers to no step"),
        ("z: b.z", "z: b.z\n  2: b.z", "the key 2 must be text"),
        ("z: b.z", "z z: b.z", "'z z' is no name of an output"),
        ("outputs:\n  z: b.z", "outputs: {}", ":5: outputs: must be a mapping of names, with one at least"),
        ("outputs:\n  z: b.z", "", "outputs: is missing"),
        ("outputs:\n  z: b.z", "outputs: [b.z]", "outputs: must be a mapping"),
        ("inputs: {x: {dtype: float32, shape: [4]}, y: }", "", "inputs: is missing"),
        ("inputs: {x: {dtype: float32, shape: [4]}, y: }", "inputs: []", ":1: inputs: names none"),
        ("inputs: {x: {dtype: float32, shape: [4]}, y: }", "inputs: [x, x]", ":1: inputs[1]: 'x' is given twice"),
        ("inputs: {x: {dtype: float32, shape: [4]}, y: }", "inputs: [x, 3]", "inputs[1]: 3 is no name"),
        ("float32", "flaot32", ":1: inputs.x.dtype: unknown datatype 'flaot32'\nhelp: did you mean 'float32'?"),
        ("shape: [4]", "shape: [0]", "inputs.x.shape: [0] is no shape"),
        ("shape: [4]", "shape: [-2]", "is no shape"),
        ("shape: [4]", "shape: 4", "is no shape"),
        ("shape: [4]", "shape: [true]", "is no shape"),
        ("shape: [4]", "content: Image!", "inputs.x.content: 'Image!' is not a name"),
        ("shape: [4]", "content: imgae", "inputs.x.content: 'imgae' is not known\nhelp: did you mean 'image'?"),
        ("shape: [4]", "shpae: [4]", "did you mean 'shape'?"),
        ("z: b.z", 'z: {from: b.z, default: "\\ud800"}', ":6: outputs.z.default: '\\ud800' is no valid text"),
        ("shape: [4]}", "shape: [4]}, z: text", "inputs.z: must be a mapping, not 'text'"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_with_file_and_line(tmp_path, old, new, message):
    assert old in GOOD
    text = GOOD.replace(old, new, 1)
    if message is None:
        read(tmp_path, text)
        return

    with pytest.raises(ConfigError) as error:
        read(tmp_path, text)

    assert str(error.value).startswith(str(tmp_path / FILE))
    assert message in str(error.value)


def test_an_empty_file_lacks_everything(tmp_path):
    with pytest.raises(ConfigError, match="inputs: is missing"):
        read(tmp_path, "")


def test_there_are_so_many_steps_at_most(tmp_path):
    rows = [f"  s{i}: {{model: m, inputs: {{x: x}}}}\n" for i in range(MAX_STEPS + 1)]
    head, tail = "inputs: [x]\nsteps:\n", "outputs: {y: s0.y}\n"

    assert len(read(tmp_path, head + "".join(rows[:-1]) + tail).steps) == MAX_STEPS
    with pytest.raises(ConfigError, match="steps: are 257, over 256"):
        read(tmp_path, head + "".join(rows) + tail)


@pytest.mark.parametrize("path", ["ocr/pipeline.yaml", "models/ocr/3/pipeline.yaml"], ids=str)
def test_a_pipeline_has_the_name_of_its_directory(tmp_path, path):
    file = tmp_path / path
    file.parent.mkdir(parents=True)
    file.write_text(GOOD.replace("model: m", "model: ocr"))

    assert own_name(file) == "ocr"
    with pytest.raises(ConfigError, match="'ocr' is this pipeline itself"):
        read_pipeline(file)
    assert read_pipeline(file, "other").file == file


def test_a_path_means_a_file_a_directory_or_the_latest_version(tmp_path):
    assert find_pipeline(tmp_path) is None
    for number in ("2", "10", "x"):
        (tmp_path / number).mkdir()
        (tmp_path / number / FILE).write_text(GOOD)

    assert find_pipeline(tmp_path) == tmp_path / "10" / FILE
    assert find_pipeline(tmp_path / "2") == tmp_path / "2" / FILE
    assert find_pipeline(tmp_path / "2" / FILE) == tmp_path / "2" / FILE
    assert find_pipeline(tmp_path / "none") is None


WORDS = st.sampled_from(
    ["inputs", "steps", "outputs", "x", "a", "a.z", "model", "python", "map", "when", "fallback", "values",
     "from", "default", "value", "timeout", "transform", "f:g", "m@1", "dtype", "shape", "bytes"]
)  # fmt: skip
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | WORDS | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=4),
    max_leaves=20,
)


@given(
    st.fixed_dictionaries(
        {"inputs": VALUES, "steps": st.dictionaries(WORDS, VALUES, max_size=3), "outputs": VALUES}
    )
)
def test_no_file_raises_anything_but_a_config_error(tmp_path_factory, content):
    import yaml

    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_text(yaml.safe_dump(content))
    with contextlib.suppress(ConfigError):
        read_pipeline(path)
