"""TensorFlow Serving's services through stubs made of our own tables."""

import grpc
import numpy as np
import pytest
from tests.api.grpc.served import Served, refused, version
from tests.api.serving import Numpy
from tests.codecs.protobuf.test_infer import X

from inferd.api.settings import ApiSettings
from inferd.codecs.protobuf.messages import serving
from inferd.codecs.protobuf.tensorproto import TENSOR, read, write
from inferd.core.signature import TensorSpec
from inferd.core.tensor import FP32
from inferd.routing.table import FAILED

PREDICTION, MODEL = "/tensorflow.serving.PredictionService", "/tensorflow.serving.ModelService"


@pytest.fixture(scope="module")
def labelled():
    labels = {"stable": "1", "canary": "2", "gone": "7"}
    first = version("m", "1", function=lambda x: {"y": x * 1}, labels=labels)
    second = version("m", "2", function=lambda x: {"y": x * 2}, labels=labels)
    with Served(first, second) as running:
        yield running


def predict(served, number=None, label=None, name="m", outputs=(), **inputs):
    message = serving("PredictRequest")(output_filter=outputs)
    message.model_spec.name = name
    if number is not None:
        message.model_spec.version.value = number
    if label is not None:
        message.model_spec.version_label = label
    for key, array in (inputs or {"x": X}).items():
        message.inputs[key].CopyFrom(TENSOR.FromString(write(array)))
    raw, _ = served.ask(f"{PREDICTION}/Predict", message)
    return serving("PredictResponse").FromString(raw)


@pytest.mark.parametrize(
    ("which", "number", "factor"),
    [({}, 2, 2), ({"number": 1}, 1, 1), ({"label": "stable"}, 1, 1), ({"label": "canary"}, 2, 2)],
    ids=["latest", "number", "label", "other label"],
)
def test_a_version_is_asked(labelled, which, number, factor):
    answer = predict(labelled, **which)

    assert (answer.model_spec.name, answer.model_spec.version.value) == ("m", number)
    found = read(answer.outputs["y"], TensorSpec("y", FP32, (-1, 2)))
    np.testing.assert_array_equal(found, X * factor)


NOBODY = {
    "model": {"name": "nobody"}, "version": {"number": 9}, "label": {"label": "none"},
    "version of a label": {"label": "gone"},
}  # fmt: skip


@pytest.mark.parametrize("which", NOBODY.values(), ids=NOBODY)
def test_who_is_not_there_is_not_found(labelled, which):
    with refused(grpc.StatusCode.NOT_FOUND):
        predict(labelled, **which)


def test_a_bad_input_is_invalid(labelled):
    with refused(grpc.StatusCode.INVALID_ARGUMENT):
        predict(labelled, x=X.astype(np.float64))


def test_large_tensors_are_coded_off_the_loop():
    many = version(servable=Numpy(lambda x: {"y": x + 1}))
    with Served(many, settings=ApiSettings(offload_bytes=1000)) as served:
        array = np.arange(2000, dtype=np.float32).reshape(-1, 2)
        answer = predict(served, x=array)
        assert list(answer.outputs["y"].float_val) == (array + 1).ravel().tolist()
        assert served.observed[0][4].encode > 0


def metadata(served, *fields):
    message = serving("GetModelMetadataRequest")(metadata_field=fields)
    message.model_spec.name = "m"
    raw, _ = served.ask(f"{PREDICTION}/GetModelMetadata", message)
    return serving("GetModelMetadataResponse").FromString(raw)


def test_metadata_hold_the_signature(labelled):
    answer = metadata(labelled, "signature_def")
    packed = answer.metadata["signature_def"]
    signatures = serving("SignatureDefMap")()

    assert packed.type_url == "type.googleapis.com/tensorflow.serving.SignatureDefMap"
    assert packed.Unpack(signatures)
    found = signatures.signature_def["serving_default"]
    assert found.method_name == "tensorflow/serving/predict"
    assert found.inputs["x"].dtype == 1
    assert [d.size for d in found.inputs["x"].tensor_shape.dim] == [-1, 2]
    assert answer.model_spec.version.value == 2


@pytest.mark.parametrize("fields", [(), ("something",), ("signature_def", "x")], ids=str)
def test_other_metadata_are_not_there(labelled, fields):
    with refused(grpc.StatusCode.INVALID_ARGUMENT) as said:
        metadata(labelled, *fields)

    assert "signature_def" in said["details"]


def status(served, number=None, name="m"):
    message = serving("GetModelStatusRequest")()
    message.model_spec.name = name
    if number is not None:
        message.model_spec.version.value = number
    raw, _ = served.ask(f"{MODEL}/GetModelStatus", message)
    return serving("GetModelStatusResponse").FromString(raw).model_version_status


def test_states_of_versions():
    with Served(version("m", "1"), version("m", "2"), version("m", "beta")) as served:
        failed = served.table.find("m", "1")
        failed.state, failed.reason = FAILED, "no such file"
        every, one = status(served), status(served, 2)
        with refused(grpc.StatusCode.NOT_FOUND):
            status(served, name="nobody")

    assert [(s.version, s.state) for s in every] == [(2, 30), (1, 50)]
    assert every[1].status.error_message == "no such file"
    assert every[1].status.error_code != 0
    assert [s.version for s in one] == [2]


@pytest.mark.parametrize("method", ["Classify", "Regress", "MultiInference"])
def test_what_takes_examples_is_not_offered(labelled, method):
    with refused(grpc.StatusCode.UNIMPLEMENTED):
        labelled.ask(f"{PREDICTION}/{method}")


def test_what_is_served_is_not_changed_by_clients(labelled):
    with refused(grpc.StatusCode.PERMISSION_DENIED):
        labelled.ask(f"{MODEL}/HandleReloadConfigRequest")
