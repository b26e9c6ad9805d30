"""The reflection library's own client builds our messages from what the server tells."""

import grpc
import pytest
from google.protobuf import descriptor_pb2
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)
from tests.api.grpc.served import refused

from inferd.api.grpc.methods import REFLECTION_SERVICES, SERVICES


@pytest.fixture
def database(served):
    return ProtoReflectionDescriptorDatabase(served.channel)


def test_services_are_listed(database):
    assert set(database.get_services()) == set(SERVICES)


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_described(database, name):
    service = DescriptorPool(database).FindServiceByName(name)

    assert service.full_name == name
    assert service.methods


def test_a_client_without_definitions_asks_a_model(served, database):
    pool = DescriptorPool(database)
    method = pool.FindServiceByName(SERVICES[0]).FindMethodByName("ServerMetadata")
    request, response = (GetMessageClass(t) for t in (method.input_type, method.output_type))
    raw, _ = served.ask(f"/{SERVICES[0]}/ServerMetadata", request())

    assert response.FromString(raw).name == "inferd"


def test_both_versions_of_the_service_answer(served):
    asked = reflection_pb2.ServerReflectionRequest(file_containing_symbol=SERVICES[1])
    for service in REFLECTION_SERVICES:
        call = served.channel.stream_stream(f"/{service}/ServerReflectionInfo")
        raw = next(call(iter([asked.SerializeToString()]), timeout=10))
        (file, *_) = reflection_pb2.ServerReflectionResponse.FromString(
            raw
        ).file_descriptor_response.file_descriptor_proto
        assert descriptor_pb2.FileDescriptorProto.FromString(file).package == "tensorflow.serving"


def test_an_unknown_symbol_is_said_to_be_so(served):
    stub = reflection_pb2_grpc.ServerReflectionStub(served.channel)
    asked = reflection_pb2.ServerReflectionRequest(file_containing_symbol="no.Such")
    answer = next(stub.ServerReflectionInfo(iter([asked]), timeout=10))

    assert answer.error_response.error_code == grpc.StatusCode.NOT_FOUND.value[0]


def test_nonsense_is_invalid(served):
    call = served.channel.stream_stream(f"/{REFLECTION_SERVICES[0]}/ServerReflectionInfo")
    with refused(grpc.StatusCode.INVALID_ARGUMENT):
        next(call(iter([b"\xff\xff"]), timeout=10))
