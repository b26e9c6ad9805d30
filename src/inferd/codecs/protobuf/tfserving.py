"""The messages of TensorFlow Serving's gRPC services, for who has no TensorFlow installed.

What the offered methods (``Predict``, ``GetModelMetadata``, ``GetModelStatus``) need. Fields of
tensors that no model here has (complex numbers, resources, variants) are left out, and those that
are sent nevertheless are kept as unknown by the library.

Sources: tensorflow/tensorflow, tensorflow/core/framework and core/protobuf; tensorflow/serving,
tensorflow_serving/apis. Names and numbers only.
"""

from __future__ import annotations

from inferd.codecs.protobuf.build import MANY, File, Messages, Method

# fmt: off
DATA_TYPES: dict[str, int] = {
    "DT_INVALID": 0, "DT_FLOAT": 1, "DT_DOUBLE": 2, "DT_INT32": 3, "DT_UINT8": 4, "DT_INT16": 5,
    "DT_INT8": 6, "DT_STRING": 7, "DT_COMPLEX64": 8, "DT_INT64": 9, "DT_BOOL": 10, "DT_QINT8": 11,
    "DT_QUINT8": 12, "DT_QINT32": 13, "DT_BFLOAT16": 14, "DT_QINT16": 15, "DT_QUINT16": 16,
    "DT_UINT16": 17, "DT_COMPLEX128": 18, "DT_HALF": 19, "DT_RESOURCE": 20, "DT_VARIANT": 21,
    "DT_UINT32": 22, "DT_UINT64": 23,
}
_CODES = (
    "OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND",
    "ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED",
    "OUT_OF_RANGE", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED",
)

_TENSORS: Messages = {
    "TensorShapeProto": (
        ("dim", 2, "TensorShapeProto.Dim", MANY), ("unknown_rank", 3, "bool"),
    ),
    "TensorShapeProto.Dim": (("size", 1, "int64"), ("name", 2, "string")),
    "TensorProto": (
        ("dtype", 1, "DataType"), ("tensor_shape", 2, "TensorShapeProto"),
        ("version_number", 3, "int32"), ("tensor_content", 4, "bytes"),
        ("float_val", 5, "float", MANY), ("double_val", 6, "double", MANY),
        ("int_val", 7, "int32", MANY), ("string_val", 8, "bytes", MANY),
        ("int64_val", 10, "int64", MANY), ("bool_val", 11, "bool", MANY),
        ("half_val", 13, "int32", MANY), ("uint32_val", 16, "uint32", MANY),
        ("uint64_val", 17, "uint64", MANY),
    ),
    "TensorInfo": (
        ("name", 1, "string", "one of encoding"), ("dtype", 2, "DataType"),
        ("tensor_shape", 3, "TensorShapeProto"),
    ),
    "SignatureDef": (
        ("inputs", 1, "TensorInfo", "map string"), ("outputs", 2, "TensorInfo", "map string"),
        ("method_name", 3, "string"),
    ),
}

_SERVING: Messages = {
    "ModelSpec": (
        ("name", 1, "string"),
        ("version", 2, "google.protobuf.Int64Value", "one of version_choice"),
        ("signature_name", 3, "string"),
        ("version_label", 4, "string", "one of version_choice"),
    ),
    "PredictRequest": (
        ("model_spec", 1, "ModelSpec"), ("inputs", 2, "tensorflow.TensorProto", "map string"),
        ("output_filter", 3, "string", MANY),
    ),
    "PredictResponse": (
        ("outputs", 1, "tensorflow.TensorProto", "map string"), ("model_spec", 2, "ModelSpec"),
    ),
    "SignatureDefMap": (("signature_def", 1, "tensorflow.SignatureDef", "map string"),),
    "GetModelMetadataRequest": (
        ("model_spec", 1, "ModelSpec"), ("metadata_field", 2, "string", MANY),
    ),
    "GetModelMetadataResponse": (
        ("model_spec", 1, "ModelSpec"), ("metadata", 2, "google.protobuf.Any", "map string"),
    ),
    "StatusProto": (("error_code", 1, "tensorflow.error.Code"), ("error_message", 2, "string")),
    "GetModelStatusRequest": (("model_spec", 1, "ModelSpec"),),
    "ModelVersionStatus": (
        ("version", 1, "int64"), ("state", 2, "ModelVersionStatus.State"),
        ("status", 3, "StatusProto"),
    ),
    "GetModelStatusResponse": (("model_version_status", 1, "ModelVersionStatus", MANY),),
}
# fmt: on

ERROR_CODES = File(
    "tensorflow_error.proto",
    "tensorflow.error",
    {},
    {"Code": {code: number for number, code in enumerate(_CODES)}},
)
TENSORS = File("tensorflow.proto", "tensorflow", _TENSORS, {"DataType": DATA_TYPES})
SERVING = File(
    "tensorflow_serving.proto",
    "tensorflow.serving",
    _SERVING,
    {
        "ModelVersionStatus.State": {
            "UNKNOWN": 0, "START": 10, "LOADING": 20, "AVAILABLE": 30, "UNLOADING": 40, "END": 50,
        }
    },
    {
        "PredictionService": (
            Method("Predict", "PredictRequest", "PredictResponse"),
            Method("GetModelMetadata", "GetModelMetadataRequest", "GetModelMetadataResponse"),
        ),
        "ModelService": (
            Method("GetModelStatus", "GetModelStatusRequest", "GetModelStatusResponse"),
        ),
    },
    needs=(
        "google/protobuf/any.proto", "google/protobuf/wrappers.proto",
        ERROR_CODES.name, TENSORS.name,
    ),
)  # fmt: skip
