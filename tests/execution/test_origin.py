"""What errors of loading name: model, file, line and key of model.yaml."""

import pytest

from inferd.core.errors import ConfigError, ModelFileError
from inferd.core.signature import Signature
from inferd.execution.origin import Origin, check_signature

PLACES = {
    "class": "m/model.yaml:1", "parameters": "m/model.yaml:2",
    "signature.inputs.x": "m/model.yaml:4", "signature.outputs.y": "m/model.yaml:5",
}  # fmt: skip
ORIGIN = Origin("m v1", "m/1/w.pth", PLACES, {"class": "net:Net", "places": PLACES})
BARE = Origin("m v1", "m/1/w.pth")


def raised(message, cause=None, help=None):
    error = ModelFileError(message, help=help)
    error.__cause__ = cause
    return error


def test_it_is_read_from_what_a_worker_is_told():
    spec = {"name": "m", "version": "1", "artifact": None, "directory": "/m/1", "runtime": "python",
            "options": {"class": "net:Net", "places": PLACES}}  # fmt: skip
    found = Origin.of(spec)

    assert str(found) == "model m v1 (/m/1)"
    assert (found.places, found.by_class) == (PLACES, True)


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (raised("no module 'net' (from 'net:Net')"),
         "m/model.yaml:1: class: no module 'net' (from 'net:Net')"),
        (raised("net:Net: raised TypeError: no argument 'k'", TypeError("no argument 'k'")),
         "m/model.yaml:2: parameters: net:Net: raised TypeError: no argument 'k'"),
        (raised("net:Net: loading it raised TypeError: 3", TypeError("3")),
         "m/model.yaml:1: class: net:Net: loading it raised TypeError: 3"),
        (raised("its inputs are nested"), "model m v1 (m/1/w.pth): its inputs are nested"),
        (raised("m/1/w.pth: is empty"), "m/1/w.pth: is empty"),
        (raised("m/model.yaml:5: wrong"), "m/model.yaml:5: wrong"),
        (raised("model m v1: no"), "model m v1: no"),
    ],
    ids=["class", "parameters", "other-type-error", "neither", "file", "line", "model"],
)  # fmt: skip
def test_an_error_of_the_runtime_is_given_its_place(error, told):
    assert ORIGIN.placed(error).message == told


def test_an_error_about_the_signature_is_given_its_line():
    wrong = ConfigError("signature: input 'x' is FP32", help="do")
    origin = Origin("m v1", "m/1/w.pth", {**PLACES, "signature": "m/model.yaml:3"})

    assert origin.declared(wrong).message == "m/model.yaml:3: signature: input 'x' is FP32"
    assert BARE.declared(wrong).message == f"{BARE}: signature: input 'x' is FP32"
    assert (type(origin.declared(wrong)), origin.declared(wrong).help) == (ConfigError, "do")
    other = ConfigError("m/model.yaml:9: preprocess[0]: no")
    assert origin.declared(other) is other


def test_the_kind_and_the_help_of_an_error_stay():
    found = BARE.placed(ConfigError("no", help="do"))

    assert (type(found), found.help) == (ConfigError, "do")
    assert ORIGIN.placed(raised("net:Net: x", TypeError("argument"))).help


@pytest.mark.parametrize(
    ("origin", "place"),
    [
        (ORIGIN, "m/model.yaml:5"),
        (Origin("m v1", "f", {}, {"signature": {"outputs": [{}]}}), "model.yaml"),
        (Origin("m v1", "f.py", by_class=True), "`outputs` or the type hints of f.py"),
        (BARE, None),
    ],
    ids=["line", "no-line", "class", "artifact"],
)
def test_where_an_output_is_declared(origin, place):
    assert origin.output("y") == place


def test_where_the_inputs_are_declared():
    assert ORIGIN.inputs() == "m/model.yaml:4"
    assert BARE.inputs() is None


def row(shape):
    return {"name": "t", "dtype": "float32", "shape": shape}


@pytest.mark.parametrize(
    ("inputs", "outputs", "words"),
    [
        ([], [row([2])], "has no inputs"),
        ([row([-1])], [], "has no outputs"),
        ([row([-1, 0])], [row([-1])], r"the input 't', FP32 \[-1, 0\], has an axis of size 0"),
        ([row([0])], [row([-1])], "has an axis of size 0"),
    ],
    ids=["no-inputs", "no-outputs", "empty", "no-rows"],
)
def test_what_nothing_can_be_asked_is_refused(inputs, outputs, words):
    signature = Signature.from_json({"inputs": inputs, "outputs": outputs})

    with pytest.raises(ModelFileError, match=words) as caught:
        check_signature(signature, BARE)
    assert "model m v1 (m/1/w.pth)" in caught.value.message


def test_any_other_signature_will_do():
    check_signature(Signature.from_json({"inputs": [row([])], "outputs": [row([0])]}), BARE)
