import json

import pytest
from tests.routing.pipeline.check.test_typing import CALLEES
from tests.routing.pipeline.written import read

from inferd.routing.pipeline import show
from inferd.routing.pipeline.check.typing import plan

TEXT = """\
description: reads the text of a picture
task: ocr
inputs: {image: {dtype: bytes, content: image}, lang: , limit: {dtype: float32}}
steps:
  decode: {python: "steps:decode", inputs: {image: image}}
  recognise:
    model: text-recognise@stable
    parameters: {language: en}
    map: {x: [crop.lines, {value: []}]}
    when: len(crop.lines) > 0 and decode.count > 0 and lang == "en"
    fallback: {model: small}
  crop:
    transform: [softmax, {top_k: 3}]
    inputs: {image: decode.pixels, size: 3}
    timeout: 250ms
    fallback: {values: {lines: []}}
outputs:
  text: {from: recognise.text, default: "none"}
  pixels: decode.pixels
"""


@pytest.fixture
def spec(tmp_path):
    (tmp_path / "ocr").mkdir()
    return read(tmp_path / "ocr", TEXT)


def test_a_file_is_shown_by_level(spec):
    assert show.text(show.to_json(spec)) == (
        "pipeline ocr: reads the text of a picture  (task ocr)\n"
        "\n"
        "inputs\n"
        "  image  image[]\n"
        "  lang   as the step says that takes it\n"
        "  limit  float32[...]\n"
        "\n"
        "steps  (those of one number run at the same time)\n"
        "  1   decode: python steps:decode\n"
        "        image <- image\n"
        "  2   crop: transform softmax, top_k  (timeout 250ms; fallback values lines)\n"
        "        image <- decode.pixels\n"
        "        size <- 3\n"
        "  3   recognise: model text-recognise@stable  (fallback model small)\n"
        '        when len(crop.lines) > 0 and decode.count > 0 and lang == "en"\n'
        "        x <- each of crop.lines, else []\n"
        '        parameter language <- "en"\n'
        "\n"
        "outputs\n"
        '  text <- recognise.text, else "none"\n'
        "  pixels <- decode.pixels\n"
    )


def test_a_plan_is_shown_with_types(tmp_path):
    from tests.routing.pipeline.check.test_typing import OCR

    text = show.text(show.to_json((spec := read(tmp_path, OCR)), plan(spec, CALLEES)))

    assert "  4   recognise: model text-recognise\n" in text
    assert "        x <- each of crop.lines\n        -> text  text[?]\n" in text
    assert "        -> lines  a list of uint8[?, ?, 3]\n" in text
    assert "  text <- join.text  text[]\n" in text


def test_mermaid_is_stable_and_escaped(spec):
    assert show.mermaid(spec) == (
        "flowchart LR\n"
        '  i0(["image"])\n'
        '  i1(["lang"])\n'
        '  i2(["limit"])\n'
        '  s0["decode<br/>python steps:decode"]\n'
        '  s1["recognise<br/>model text-recognise@stable<br/>when len(crop.lines) #62; 0 and decode.count '
        '#62; 0 and lang == #34;en#34;<br/>fallback model small"]\n'
        '  s2["crop<br/>transform softmax, top_k<br/>fallback values lines"]\n'
        '  o0(["text"])\n'
        '  o1(["pixels"])\n'
        '  i0 -->|"image"| s0\n'
        '  s2 ==>|"lines as x"| s1\n'
        '  s2 -.->|"when"| s1\n'
        '  s0 -.->|"when"| s1\n'
        '  i1 -.->|"when"| s1\n'
        '  s0 -->|"pixels as image"| s2\n'
        '  s1 -->|"text"| o0\n'
        '  s0 -->|"pixels"| o1\n'
    )


def test_one_condition_is_one_line_between_two_steps(tmp_path):
    spec = read(
        tmp_path,
        "inputs: [x]\nsteps:\n  a: {model: m, inputs: {x: x}}\n"
        "  b: {model: m, inputs: {x: x}, when: a.y > 0 and a.z > 0 and x > 0}\noutputs: {y: a.y}\n",
    )

    assert show.mermaid(spec).count("when") == 3  # in the label, and a line from each of a and x


def test_the_json_form_says_all_of_it(spec):
    found = json.loads(json.dumps(show.to_json(spec)))

    assert [s["name"] for s in found["steps"]] == ["decode", "crop", "recognise"]
    recognise = found["steps"][2]
    assert recognise["level"] == 3
    assert recognise["model"] == "text-recognise@stable"
    assert recognise["map"] == {"x": ["crop.lines", {"value": []}]}
    assert recognise["needs"] == ["crop", "decode"]
    assert recognise["fallback"] == {"model": "small"}
    assert found["steps"][1]["transform"] == ["softmax", "top_k"]
    assert found["steps"][1]["fallback"] == {"values": {"lines": []}}
    assert found["outputs"]["text"] == {
        "from": ["recognise.text"], "default": "none", "type": None,
    }  # fmt: skip


def test_the_json_form_of_a_plan_has_types(tmp_path):
    from tests.routing.pipeline.check.test_typing import OCR

    found = show.to_json((spec := read(tmp_path, OCR)), plan(spec, CALLEES))

    assert found["steps"][0]["outputs"] == {"pixels": "uint8[?, ?, 3]"}
    assert found["outputs"]["text"]["type"] == "text[]"
    assert found["streams"] is None
