"""The doors of gRPC: ``ModelInfer`` and ``ModelStreamInfer`` in Triton's own messages, and ``Predict``."""

import queue

import grpc
import numpy as np
from tests.parity.doors import Door, prompted
from tests.parity.simple import of_raw, raw
from tests.parity.tensors import NUMPY, dtype_of
from tests.parity.wire import TIMEOUT, Answer, Refused
from tritonclient.grpc import service_pb2, service_pb2_grpc

from inferd.codecs.protobuf.messages import CLASSES, serving

TYPED = {
    "BOOL": "bool_contents", "INT8": "int_contents", "INT16": "int_contents",
    "INT32": "int_contents", "INT64": "int64_contents", "UINT8": "uint_contents",
    "UINT16": "uint_contents", "UINT32": "uint_contents", "UINT64": "uint64_contents",
    "FP16": "fp32_contents", "FP32": "fp32_contents", "FP64": "fp64_contents",
    "BYTES": "bytes_contents",
}  # fmt: skip

CODES = {
    "invalid_input": "INVALID_ARGUMENT", "not_found": "NOT_FOUND", "unavailable": "UNAVAILABLE",
    "overloaded": "RESOURCE_EXHAUSTED", "deadline_exceeded": "DEADLINE_EXCEEDED",
    "model_failed": "INTERNAL", "unsupported": "UNIMPLEMENTED",
}  # fmt: skip
"""Kind to status of gRPC."""


def refused(error):
    """Return the ``Refused`` of a failed call: its kind is in the metadata and must fit its status."""
    trailing = {key: value for key, value in error.trailing_metadata() or ()}
    kind = trailing.get("error-kind")
    if kind is None:  # the library's own refusal
        kind = {grpc.StatusCode.RESOURCE_EXHAUSTED: "overloaded"}.get(
            error.code(), str(error.code())
        )
    else:
        assert error.code().name == CODES[kind]
    return Refused(kind, error.details(), error.code(), trailing)


def wishes(timeout, id):
    """Return the metadata by which any call may say its deadline and its id."""
    found = () if timeout is None else (("x-request-timeout", f"{int(timeout * 1000)}ms"),)
    return found if id is None else (*found, ("x-request-id", id))


class RpcDoor(Door):
    """A method that answers one message with one."""

    def message(self, model, inputs, *, outputs=None, version=None, label=None):
        raise NotImplementedError

    def method(self):
        raise NotImplementedError

    def tensors(self, answer):
        raise NotImplementedError

    def predict(
        self, model, inputs, *, outputs=None, version=None, label=None, timeout=None, id=None
    ):
        message = self.message(model, inputs, outputs=outputs, version=version, label=label)
        try:
            answer, call = self.method().with_call(
                message, timeout=TIMEOUT, metadata=wishes(timeout, id)
            )
        except grpc.RpcError as error:
            raise refused(error) from None
        return Answer(self.tensors(answer), dict(call.trailing_metadata())["x-request-id"])

    def begin(self, model, inputs):
        return Call(self.method().future(self.message(model, inputs)))

    def tell(self, method, message):
        """Call a method that tells something."""
        try:
            return method(message, timeout=TIMEOUT)
        except grpc.RpcError as error:
            raise refused(error) from None


class Call:
    """A call whose answer nobody waits for."""

    def __init__(self, call):
        self.close = call.cancel


class OIPGrpc(RpcDoor):
    """Raw contents both ways."""

    label = "oip_grpc"

    def __init__(self, server):
        super().__init__(server)
        self.stub = service_pb2_grpc.GRPCInferenceServiceStub(server.channel)

    def method(self):
        return self.stub.ModelInfer

    def message(self, model, inputs, *, outputs=None, version=None, label=None):
        message = service_pb2.ModelInferRequest(
            model_name=model, model_version=version or label or ""
        )
        for name, array in inputs.items():
            self.add(message, message.inputs.add(name=name, datatype=dtype_of(array)), array)
        for name in outputs or ():
            message.outputs.add(name=name)
        return message

    def add(self, message, tensor, array):
        """Put an array into a tensor of a message."""
        tensor.shape.extend(array.shape)
        message.raw_input_contents.append(raw(array))

    def tensors(self, answer):
        parts = zip(answer.outputs, answer.raw_output_contents, strict=True)
        return {t.name: of_raw(part, t.datatype, list(t.shape)) for t, part in parts}

    def metadata(self, model):
        told = self.tell(self.stub.ModelMetadata, service_pb2.ModelMetadataRequest(name=model))
        return tuple(
            {t.name: (t.datatype, tuple(t.shape)) for t in tensors}
            for tensors in (told.inputs, told.outputs)
        )

    def ready(self, model):
        return self.tell(self.stub.ModelReady, service_pb2.ModelReadyRequest(name=model)).ready

    def pieces(self, prompt):
        call = self._open(prompt)
        try:
            for answer in call:
                if answer.error_message:
                    raise Refused("model_failed", answer.error_message)
                for array in self.tensors(answer.infer_response).values():
                    yield from (element.decode() for element in array.ravel().tolist())
        except grpc.RpcError as error:
            raise refused(error) from None
        finally:
            call.cancel()

    def _open(self, prompt):
        message = self.message("teller", prompted(prompt))
        return self.stub.ModelStreamInfer(iter([message]), timeout=TIMEOUT)


class Typed(OIPGrpc):
    """Each tensor in the field of its datatype; answers are raw all the same."""

    def add(self, message, tensor, array):
        tensor.shape.extend(array.shape)
        getattr(tensor.contents, TYPED[tensor.datatype]).extend(array.ravel().tolist())


class Stream(OIPGrpc):
    """``ModelStreamInfer`` for a single request; errors end the stream with their status."""

    def predict(
        self, model, inputs, *, outputs=None, version=None, label=None, timeout=None, id=None
    ):
        message = self.message(model, inputs, outputs=outputs, version=version, label=label)
        metadata = (*wishes(timeout, id), ("triton_grpc_error", "true"))
        call = self.stub.ModelStreamInfer(iter([message]), timeout=TIMEOUT, metadata=metadata)
        try:
            (answer,) = call
        except grpc.RpcError as error:
            raise refused(error) from None
        assert not answer.error_message
        found = self.tensors(answer.infer_response)
        return Answer(found, dict(call.trailing_metadata())["x-request-id"])

    def begin(self, model, inputs):
        requests = queue.Queue()
        requests.put(self.message(model, inputs))
        return Call(self.stub.ModelStreamInfer(iter(requests.get, None)))

    def whole(self, prompt):
        return "".join(self.pieces(prompt))


class TFServing(RpcDoor):
    """TensorFlow Serving's ``Predict``."""

    label = "tfserving_grpc"
    TYPES = {"BYTES": 7, "FP16": 19, "FP32": 1, "FP64": 2, "INT8": 6, "INT16": 5, "INT32": 3,
             "INT64": 9, "UINT8": 4, "UINT16": 17, "UINT32": 22, "UINT64": 23, "BOOL": 10}  # fmt: skip
    FIELDS = {"FP32": "float_val", "FP64": "double_val", "INT64": "int64_val", "BOOL": "bool_val",
              "UINT32": "uint32_val", "UINT64": "uint64_val", "BYTES": "string_val"}  # fmt: skip

    def method(self):
        return self._call("PredictionService/Predict", "PredictRequest", "PredictResponse")

    def _call(self, name, request, response):
        return self.server.channel.unary_unary(
            f"/tensorflow.serving.{name}",
            request_serializer=serving(request).SerializeToString,
            response_deserializer=serving(response).FromString,
        )

    def specify(self, spec, model, version=None, label=None):
        spec.name = model
        if version is not None:
            spec.version.value = int(version)
        if label is not None:
            spec.version_label = label

    def message(self, model, inputs, *, outputs=None, version=None, label=None):
        message = serving("PredictRequest")()
        self.specify(message.model_spec, model, version, label)
        message.output_filter.extend(outputs or ())
        for name, array in inputs.items():
            dtype = dtype_of(array)
            tensor = CLASSES["tensorflow.TensorProto"](dtype=self.TYPES[dtype])
            for size in array.shape:
                tensor.tensor_shape.dim.add(size=size)
            if dtype == "BYTES":
                tensor.string_val.extend(array.ravel().tolist())
            else:
                tensor.tensor_content = array.tobytes()
            message.inputs[name].CopyFrom(tensor)
        return message

    def tensors(self, answer):
        names = {number: name for name, number in self.TYPES.items()}
        found = {}
        for name, tensor in answer.outputs.items():
            dtype = names[tensor.dtype]
            shape = [dim.size for dim in tensor.tensor_shape.dim]
            if dtype == "FP16":
                flat = np.array(tensor.half_val, np.uint16).view(np.float16)
            else:
                values = list(getattr(tensor, self.FIELDS.get(dtype, "int_val")))
                flat = np.empty(len(values), NUMPY[dtype])
                flat[:] = values
            found[name] = flat.reshape(shape)
        return found

    def metadata(self, model):
        request = serving("GetModelMetadataRequest")(metadata_field=["signature_def"])
        self.specify(request.model_spec, model)
        names = ("GetModelMetadataRequest", "GetModelMetadataResponse")
        told = self.tell(self._call("PredictionService/GetModelMetadata", *names), request)
        signatures = serving("SignatureDefMap")()
        assert told.metadata["signature_def"].Unpack(signatures)
        definition = signatures.signature_def["serving_default"]
        types = {number: name for name, number in self.TYPES.items()}
        return tuple(
            {
                n: (types[t.dtype], tuple(d.size for d in t.tensor_shape.dim))
                for n, t in side.items()
            }
            for side in (definition.inputs, definition.outputs)
        )

    def ready(self, model):
        request = serving("GetModelStatusRequest")()
        self.specify(request.model_spec, model)
        names = ("GetModelStatusRequest", "GetModelStatusResponse")
        told = self.tell(self._call("ModelService/GetModelStatus", *names), request)
        return told.model_version_status[0].state == 30  # AVAILABLE

    def whole(self, prompt):
        answer = self.predict("teller", prompted(prompt))
        return answer.tensors["text"][0].decode()
