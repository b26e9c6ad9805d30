"""The messages of ``inference.GRPCInferenceService``: the Open Inference Protocol over gRPC.

The service is Triton's, which holds the protocol's own and is compatible with it on the wire.

Sources: kserve/open-inference-protocol, specification/protocol/open_inference_grpc.proto;
triton-inference-server/common, protobuf/grpc_service.proto. Names and numbers only; a test compares
them with the definitions that Triton's client brings.
"""

from __future__ import annotations

from inferd.codecs.protobuf.build import MANY, File, Messages, Method

_TENSORS = ("parameters", 4, "InferParameter", "map string")
_NAMED = (("name", 1, "string"), ("version", 2, "string"))

# fmt: off
_CORE: Messages = {
    "ServerLiveRequest": (),
    "ServerLiveResponse": (("live", 1, "bool"),),
    "ServerReadyRequest": (),
    "ServerReadyResponse": (("ready", 1, "bool"),),
    "ModelReadyRequest": _NAMED,
    "ModelReadyResponse": (("ready", 1, "bool"),),
    "ServerMetadataRequest": (),
    "ServerMetadataResponse": (*_NAMED, ("extensions", 3, "string", MANY)),
    "ModelMetadataRequest": _NAMED,
    "ModelMetadataResponse": (
        ("name", 1, "string"), ("versions", 2, "string", MANY), ("platform", 3, "string"),
        ("inputs", 4, "ModelMetadataResponse.TensorMetadata", MANY),
        ("outputs", 5, "ModelMetadataResponse.TensorMetadata", MANY),
    ),
    "ModelMetadataResponse.TensorMetadata": (
        ("name", 1, "string"), ("datatype", 2, "string"), ("shape", 3, "int64", MANY),
    ),
    "InferParameter": (
        ("bool_param", 1, "bool", "one of parameter_choice"),
        ("int64_param", 2, "int64", "one of parameter_choice"),
        ("string_param", 3, "string", "one of parameter_choice"),
        ("double_param", 4, "double", "one of parameter_choice"),
        ("uint64_param", 5, "uint64", "one of parameter_choice"),
    ),
    "InferTensorContents": (
        ("bool_contents", 1, "bool", MANY), ("int_contents", 2, "int32", MANY),
        ("int64_contents", 3, "int64", MANY), ("uint_contents", 4, "uint32", MANY),
        ("uint64_contents", 5, "uint64", MANY), ("fp32_contents", 6, "float", MANY),
        ("fp64_contents", 7, "double", MANY), ("bytes_contents", 8, "bytes", MANY),
    ),
    "ModelInferRequest": (
        ("model_name", 1, "string"), ("model_version", 2, "string"), ("id", 3, "string"),
        _TENSORS,
        ("inputs", 5, "ModelInferRequest.InferInputTensor", MANY),
        ("outputs", 6, "ModelInferRequest.InferRequestedOutputTensor", MANY),
        ("raw_input_contents", 7, "bytes", MANY),
    ),
    "ModelInferRequest.InferInputTensor": (
        ("name", 1, "string"), ("datatype", 2, "string"), ("shape", 3, "int64", MANY),
        _TENSORS, ("contents", 5, "InferTensorContents"),
    ),
    "ModelInferRequest.InferRequestedOutputTensor": (
        ("name", 1, "string"), ("parameters", 2, "InferParameter", "map string"),
    ),
    "ModelInferResponse": (
        ("model_name", 1, "string"), ("model_version", 2, "string"), ("id", 3, "string"),
        _TENSORS,
        ("outputs", 5, "ModelInferResponse.InferOutputTensor", MANY),
        ("raw_output_contents", 6, "bytes", MANY),
    ),
    "ModelInferResponse.InferOutputTensor": (
        ("name", 1, "string"), ("datatype", 2, "string"), ("shape", 3, "int64", MANY),
        _TENSORS, ("contents", 5, "InferTensorContents"),
    ),
    "ModelStreamInferResponse": (
        ("error_message", 1, "string"), ("infer_response", 2, "ModelInferResponse"),
    ),
}

_STATISTICS: Messages = {
    "ModelStatisticsRequest": _NAMED,
    "StatisticDuration": (("count", 1, "uint64"), ("ns", 2, "uint64")),
    "InferStatistics": tuple(
        (name, number, "StatisticDuration")
        for number, name in enumerate(
            ("success", "fail", "queue", "compute_input", "compute_infer", "compute_output",
             "cache_hit", "cache_miss"), start=1,
        )
    ),
    "InferResponseStatistics": tuple(
        (name, number, "StatisticDuration")
        for number, name in enumerate(
            ("compute_infer", "compute_output", "success", "fail", "empty_response", "cancel"),
            start=1,
        )
    ),
    "InferBatchStatistics": (
        ("batch_size", 1, "uint64"), ("compute_input", 2, "StatisticDuration"),
        ("compute_infer", 3, "StatisticDuration"), ("compute_output", 4, "StatisticDuration"),
    ),
    "MemoryUsage": (("type", 1, "string"), ("id", 2, "int64"), ("byte_size", 3, "uint64")),
    "ModelStatistics": (
        *_NAMED, ("last_inference", 3, "uint64"), ("inference_count", 4, "uint64"),
        ("execution_count", 5, "uint64"), ("inference_stats", 6, "InferStatistics"),
        ("batch_stats", 7, "InferBatchStatistics", MANY), ("memory_usage", 8, "MemoryUsage", MANY),
        ("response_stats", 9, "InferResponseStatistics", "map string"),
    ),
    "ModelStatisticsResponse": (("model_stats", 1, "ModelStatistics", MANY),),
}

_REPOSITORY: Messages = {
    "ModelRepositoryParameter": (
        ("bool_param", 1, "bool", "one of parameter_choice"),
        ("int64_param", 2, "int64", "one of parameter_choice"),
        ("string_param", 3, "string", "one of parameter_choice"),
        ("bytes_param", 4, "bytes", "one of parameter_choice"),
    ),
    "RepositoryIndexRequest": (("repository_name", 1, "string"), ("ready", 2, "bool")),
    "RepositoryIndexResponse": (("models", 1, "RepositoryIndexResponse.ModelIndex", MANY),),
    "RepositoryIndexResponse.ModelIndex": (
        *_NAMED, ("state", 3, "string"), ("reason", 4, "string"),
    ),
    **{
        f"RepositoryModel{verb}Request": (
            ("repository_name", 1, "string"), ("model_name", 2, "string"),
            ("parameters", 3, "ModelRepositoryParameter", "map string"),
        )
        for verb in ("Load", "Unload")
    },
    "RepositoryModelLoadResponse": (),
    "RepositoryModelUnloadResponse": (),
}

_SHARED: Messages = {
    "SystemSharedMemoryStatusRequest": (("name", 1, "string"),),
    "SystemSharedMemoryStatusResponse": (
        ("regions", 1, "SystemSharedMemoryStatusResponse.RegionStatus", "map string"),
    ),
    "SystemSharedMemoryStatusResponse.RegionStatus": (
        ("name", 1, "string"), ("key", 2, "string"), ("offset", 3, "uint64"),
        ("byte_size", 4, "uint64"),
    ),
    "SystemSharedMemoryRegisterRequest": (
        ("name", 1, "string"), ("key", 2, "string"), ("offset", 3, "uint64"),
        ("byte_size", 4, "uint64"),
    ),
    "SystemSharedMemoryRegisterResponse": (),
    "SystemSharedMemoryUnregisterRequest": (("name", 1, "string"),),
    "SystemSharedMemoryUnregisterResponse": (),
    "CudaSharedMemoryStatusRequest": (("name", 1, "string"),),
    "CudaSharedMemoryStatusResponse": (
        ("regions", 1, "CudaSharedMemoryStatusResponse.RegionStatus", "map string"),
    ),
    "CudaSharedMemoryStatusResponse.RegionStatus": (
        ("name", 1, "string"), ("device_id", 2, "uint64"), ("byte_size", 3, "uint64"),
    ),
    "CudaSharedMemoryRegisterRequest": (
        ("name", 1, "string"), ("raw_handle", 2, "bytes"), ("device_id", 3, "int64"),
        ("byte_size", 4, "uint64"),
    ),
    "CudaSharedMemoryRegisterResponse": (),
    "CudaSharedMemoryUnregisterRequest": (("name", 1, "string"),),
    "CudaSharedMemoryUnregisterResponse": (),
}

_SETTINGS: Messages = {
    "TraceSettingRequest": (
        ("settings", 1, "TraceSettingRequest.SettingValue", "map string"),
        ("model_name", 2, "string"),
    ),
    "TraceSettingRequest.SettingValue": (("value", 1, "string", MANY),),
    "TraceSettingResponse": (("settings", 1, "TraceSettingResponse.SettingValue", "map string"),),
    "TraceSettingResponse.SettingValue": (("value", 1, "string", MANY),),
    **{
        name: rows
        for side in ("Request", "Response")
        for name, rows in (
            (f"LogSettings{side}",
             (("settings", 1, f"LogSettings{side}.SettingValue", "map string"),)),
            (f"LogSettings{side}.SettingValue", (
                ("bool_param", 1, "bool", "one of parameter_choice"),
                ("uint32_param", 2, "uint32", "one of parameter_choice"),
                ("string_param", 3, "string", "one of parameter_choice"),
            )),
        )
    },
}

_CONFIG: Messages = {
    "ModelConfigRequest": _NAMED,
    "ModelConfigResponse": (("config", 1, "ModelConfig"),),
    "ModelTensorReshape": (("shape", 1, "int64", MANY),),
    "ModelInput": (
        ("name", 1, "string"), ("data_type", 2, "DataType"), ("format", 3, "ModelInput.Format"),
        ("dims", 4, "int64", MANY), ("reshape", 5, "ModelTensorReshape"),
        ("is_shape_tensor", 6, "bool"), ("allow_ragged_batch", 7, "bool"), ("optional", 8, "bool"),
        ("is_non_linear_format_io", 9, "bool"),
    ),
    "ModelOutput": (
        ("name", 1, "string"), ("data_type", 2, "DataType"), ("dims", 3, "int64", MANY),
        ("label_filename", 4, "string"), ("reshape", 5, "ModelTensorReshape"),
        ("is_shape_tensor", 6, "bool"), ("is_non_linear_format_io", 7, "bool"),
    ),
    "ModelVersionPolicy": (
        ("latest", 1, "ModelVersionPolicy.Latest", "one of policy_choice"),
        ("all", 2, "ModelVersionPolicy.All", "one of policy_choice"),
        ("specific", 3, "ModelVersionPolicy.Specific", "one of policy_choice"),
    ),
    "ModelVersionPolicy.Latest": (("num_versions", 1, "uint32"),),
    "ModelVersionPolicy.All": (),
    "ModelVersionPolicy.Specific": (("versions", 1, "int64", MANY),),
    "ModelInstanceGroup": (
        ("name", 1, "string"), ("count", 2, "int32"), ("gpus", 3, "int32", MANY),
        ("kind", 4, "ModelInstanceGroup.Kind"), ("profile", 5, "string", MANY),
        ("passive", 7, "bool"), ("host_policy", 9, "string"),
    ),
    "ModelQueuePolicy": (
        ("timeout_action", 1, "ModelQueuePolicy.TimeoutAction"),
        ("default_timeout_microseconds", 2, "uint64"), ("allow_timeout_override", 3, "bool"),
        ("max_queue_size", 4, "uint32"),
    ),
    "ModelDynamicBatching": (
        ("preferred_batch_size", 1, "int32", MANY), ("max_queue_delay_microseconds", 2, "uint64"),
        ("preserve_ordering", 3, "bool"), ("priority_levels", 4, "uint64"),
        ("default_priority_level", 5, "uint64"), ("default_queue_policy", 6, "ModelQueuePolicy"),
        ("priority_queue_policy", 7, "ModelQueuePolicy", "map uint64"),
    ),
    "ModelParameter": (("string_value", 1, "string"),),
    "ModelTransactionPolicy": (("decoupled", 1, "bool"),),
    "ModelResponseCache": (("enable", 1, "bool"),),
    "ModelConfig": (
        ("name", 1, "string"), ("platform", 2, "string"), ("version_policy", 3, "ModelVersionPolicy"),
        ("max_batch_size", 4, "int32"), ("input", 5, "ModelInput", MANY),
        ("output", 6, "ModelOutput", MANY), ("instance_group", 7, "ModelInstanceGroup", MANY),
        ("default_model_filename", 8, "string"), ("cc_model_filenames", 9, "string", "map string"),
        ("metric_tags", 10, "string", "map string"),
        ("dynamic_batching", 11, "ModelDynamicBatching", "one of scheduling_choice"),
        ("parameters", 14, "ModelParameter", "map string"), ("backend", 17, "string"),
        ("model_transaction_policy", 19, "ModelTransactionPolicy"),
        ("response_cache", 24, "ModelResponseCache"), ("runtime", 25, "string"),
    ),
}

_ENUMS = {
    "DataType": {
        f"TYPE_{name}": number
        for number, name in enumerate(
            ("INVALID", "BOOL", "UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16", "INT32",
             "INT64", "FP16", "FP32", "FP64", "STRING", "BF16")
        )
    },
    "ModelInput.Format": {"FORMAT_NONE": 0, "FORMAT_NHWC": 1, "FORMAT_NCHW": 2},
    "ModelInstanceGroup.Kind": {"KIND_AUTO": 0, "KIND_GPU": 1, "KIND_CPU": 2, "KIND_MODEL": 3},
    "ModelQueuePolicy.TimeoutAction": {"REJECT": 0, "DELAY": 1},
}
# fmt: on


def _own(name: str) -> Method:
    return Method(name, f"{name}Request", f"{name}Response")


_METHODS = (
    *map(_own, ("ServerLive", "ServerReady", "ModelReady", "ServerMetadata", "ModelMetadata")),
    Method("ModelInfer", "ModelInferRequest", "ModelInferResponse"),
    Method("ModelStreamInfer", "ModelInferRequest", "ModelStreamInferResponse", streams=True),
    *map(
        _own,
        (
            "ModelConfig", "ModelStatistics", "RepositoryIndex", "RepositoryModelLoad",
            "RepositoryModelUnload", "SystemSharedMemoryStatus", "SystemSharedMemoryRegister",
            "SystemSharedMemoryUnregister", "CudaSharedMemoryStatus", "CudaSharedMemoryRegister",
            "CudaSharedMemoryUnregister", "TraceSetting", "LogSettings",
        ),
    ),
)  # fmt: skip

INFERENCE = File(
    "inference.proto",
    "inference",
    {**_CORE, **_STATISTICS, **_REPOSITORY, **_SHARED, **_SETTINGS, **_CONFIG},
    _ENUMS,
    {"GRPCInferenceService": _METHODS},
)
