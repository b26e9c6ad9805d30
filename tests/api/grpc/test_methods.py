import pytest
from tritonclient.grpc import service_pb2

from inferd.api.grpc.methods import INFERENCE_SERVICE, METHODS, SERVICES, markdown
from inferd.api.routes import PERMISSIONS
from inferd.codecs.protobuf.messages import POOL


@pytest.mark.parametrize("rpc", METHODS, ids=lambda rpc: rpc.path)
def test_a_method_has_a_permission_and_a_summary(rpc):
    assert rpc.route.permission in PERMISSIONS
    assert rpc.route.summary
    assert rpc.path == rpc.route.template == rpc.raw_path.decode() == f"/{rpc.service}/{rpc.name}"


def test_every_method_of_tritons_service_is_known():
    (service,) = service_pb2.DESCRIPTOR.services_by_name.values()
    ours = {rpc.name: rpc.streams for rpc in METHODS if rpc.service == INFERENCE_SERVICE}

    assert ours == {method.name: method.client_streaming for method in service.methods}


def test_described_methods_are_offered():
    offered = {(rpc.service, rpc.name) for rpc in METHODS}
    for name in SERVICES[:3]:
        for method in POOL.FindServiceByName(name).methods:
            assert (name, method.name) in offered


def test_the_table_has_every_method():
    assert all(f"| `{rpc.name}` |" in markdown() for rpc in METHODS)
