import pytest
from tests.routing.pipeline.written import read

from inferd.routing.pipeline.spec import Ref


@pytest.fixture
def spec(tmp_path):
    return read(
        tmp_path,
        """
        inputs: [x]
        steps:
          a: {model: m, inputs: {x: x}, fallback: {model: n@2}}
          b: {model: m, inputs: {x: x}, fallback: {values: {y: 1}}}
          c: {python: "f:g", inputs: {x: x}}
        outputs: {y: a.y}
        """,
    )


def test_steps_are_found_by_name(spec):
    assert spec.step("b").name == "b"
    with pytest.raises(KeyError):
        spec.step("z")


def test_models_are_named_once_fallbacks_included(spec):
    assert [(m.model, m.version) for m in spec.models] == [("m", None), ("n", "2")]


def test_references_are_written_as_in_the_file():
    assert str(Ref("a", "y")) == "a.y"
    assert str(Ref(None, "x")) == "x"
    assert {Ref("a", "y", "here"): 1}[Ref("a", "y", "there")] == 1
