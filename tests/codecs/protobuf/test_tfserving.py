"""Our tables of TensorFlow Serving's messages, against the numbers of their definitions.

TensorFlow is not installed; the numbers below were read off the definitions that the package
tensorflow-serving-api 2.21 brings, as ``field: (number, kind)``.
"""

import pytest

from inferd.codecs.protobuf.messages import POOL

KINDS = {1: "double", 2: "float", 3: "int64", 4: "uint64", 5: "int32", 8: "bool", 9: "string",
         11: "message", 12: "bytes", 13: "uint32", 14: "enum"}  # fmt: skip

FIELDS = {
    "tensorflow.TensorProto": {
        "dtype": (1, "enum"), "tensor_shape": (2, "message"), "version_number": (3, "int32"),
        "tensor_content": (4, "bytes"), "half_val": (13, "int32*"), "float_val": (5, "float*"),
        "double_val": (6, "double*"), "int_val": (7, "int32*"), "string_val": (8, "bytes*"),
        "int64_val": (10, "int64*"), "bool_val": (11, "bool*"), "uint32_val": (16, "uint32*"),
        "uint64_val": (17, "uint64*"),
    },
    "tensorflow.TensorShapeProto": {"dim": (2, "message*"), "unknown_rank": (3, "bool")},
    "tensorflow.TensorShapeProto.Dim": {"size": (1, "int64"), "name": (2, "string")},
    "tensorflow.TensorInfo": {
        "name": (1, "string"), "dtype": (2, "enum"), "tensor_shape": (3, "message"),
    },
    "tensorflow.SignatureDef": {
        "inputs": (1, "message*"), "outputs": (2, "message*"), "method_name": (3, "string"),
    },
    "tensorflow.serving.ModelSpec": {
        "name": (1, "string"), "version": (2, "message"), "version_label": (4, "string"),
        "signature_name": (3, "string"),
    },
    "tensorflow.serving.PredictRequest": {
        "model_spec": (1, "message"), "inputs": (2, "message*"), "output_filter": (3, "string*"),
    },
    "tensorflow.serving.PredictResponse": {
        "model_spec": (2, "message"), "outputs": (1, "message*"),
    },
    "tensorflow.serving.SignatureDefMap": {"signature_def": (1, "message*")},
    "tensorflow.serving.GetModelMetadataRequest": {
        "model_spec": (1, "message"), "metadata_field": (2, "string*"),
    },
    "tensorflow.serving.GetModelMetadataResponse": {
        "model_spec": (1, "message"), "metadata": (2, "message*"),
    },
    "tensorflow.serving.StatusProto": {"error_code": (1, "enum"), "error_message": (2, "string")},
    "tensorflow.serving.GetModelStatusRequest": {"model_spec": (1, "message")},
    "tensorflow.serving.ModelVersionStatus": {
        "version": (1, "int64"), "state": (2, "enum"), "status": (3, "message"),
    },
    "tensorflow.serving.GetModelStatusResponse": {"model_version_status": (1, "message*")},
}  # fmt: skip


@pytest.mark.parametrize("name", FIELDS, ids=str)
def test_a_message_has_these_fields(name):
    found = {
        f.name: (f.number, KINDS[f.type] + "*" * f.is_repeated)
        for f in POOL.FindMessageTypeByName(name).fields
    }

    assert found == FIELDS[name]


ENUMS = {
    "tensorflow.DataType": {"DT_FLOAT": 1, "DT_STRING": 7, "DT_INT64": 9, "DT_HALF": 19,
                            "DT_BFLOAT16": 14, "DT_UINT64": 23},
    "tensorflow.error.Code": {"OK": 0, "NOT_FOUND": 5, "UNAVAILABLE": 14, "UNAUTHENTICATED": 16},
    "tensorflow.serving.ModelVersionStatus.State": {
        "UNKNOWN": 0, "START": 10, "LOADING": 20, "AVAILABLE": 30, "UNLOADING": 40, "END": 50,
    },
}  # fmt: skip


@pytest.mark.parametrize("name", ENUMS, ids=str)
def test_an_enumeration_has_these_values(name):
    found = {v.name: v.number for v in POOL.FindEnumTypeByName(name).values}

    assert ENUMS[name].items() <= found.items()


def test_the_services_have_these_methods():
    for service, methods in {
        "PredictionService": ["Predict", "GetModelMetadata"], "ModelService": ["GetModelStatus"],
    }.items():  # fmt: skip
        found = POOL.FindServiceByName(f"tensorflow.serving.{service}")
        assert [m.name for m in found.methods] == methods
