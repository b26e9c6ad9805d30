import dataclasses

from inferd.routing.pipeline.definition.keys import INPUT, OUTPUT, STEP, TOP, reference
from inferd.routing.pipeline.spec import InputSpec, StepSpec


def test_every_key_is_in_the_reference():
    text = reference()

    for prefix, keys in (
        ("", TOP),
        ("inputs.NAME.", INPUT),
        ("steps.NAME.", STEP),
        ("outputs.NAME.", OUTPUT),
    ):
        for key in keys:
            assert f"| `{prefix}{key.name}` |" in text
            assert key.doc in text


def test_rows_are_whole():
    lines = reference().splitlines()

    assert len({line.replace("\\|", "").count("|") for line in lines}) == 1


def test_what_a_spec_holds_can_be_written():
    steps = {f.name for f in dataclasses.fields(StepSpec)} - {"name", "call", "mapped", "where"}
    inputs = {f.name for f in dataclasses.fields(InputSpec)} - {"name", "where"}

    assert steps <= {key.name for key in STEP}
    assert inputs == {key.name for key in INPUT}
