"""The health probe's own stubs against our service."""

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from tests.api.grpc.served import Served, refused, version

from inferd.api.grpc.methods import SERVICES
from inferd.routing.table import LOADING

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
UNKNOWN = health_pb2.HealthCheckResponse.SERVICE_UNKNOWN


def check(served, service=""):
    stub = health_pb2_grpc.HealthStub(served.channel)
    return stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=10).status


def watch(served, service=""):
    stub = health_pb2_grpc.HealthStub(served.channel)
    return stub.Watch(health_pb2.HealthCheckRequest(service=service), timeout=20)


@pytest.mark.parametrize("service", ["", "live", *SERVICES])
def test_a_ready_server_is_serving(served, service):
    assert check(served, service) == SERVING


def test_an_unknown_service_is_not_found(served):
    with refused(grpc.StatusCode.NOT_FOUND) as said:
        check(served, "inference.GRPCInferenceServic")

    assert "inference.GRPCInferenceService" in said["details"]


def test_health_is_readiness():
    with Served(version()) as served:
        served.table.find("m").state = LOADING
        assert check(served) == NOT_SERVING
        assert check(served, SERVICES[0]) == NOT_SERVING
        assert check(served, "live") == SERVING


def test_a_watch_tells_every_change():
    with Served(version()) as served:
        served.table.find("m").state = LOADING
        watching = watch(served)
        assert next(watching).status == NOT_SERVING
        served.table.find("m").state = "ready"
        assert next(watching).status == SERVING
        served.readiness.draining = True
        assert next(watching).status == NOT_SERVING
        watching.cancel()


def test_a_watch_of_an_unknown_service_says_so(served):
    watching = watch(served, "nobody")

    assert next(watching).status == UNKNOWN
    watching.cancel()


def test_a_watch_ends_with_the_server():
    with Served(version()) as served:
        watching = watch(served)
        assert next(watching).status == SERVING
        served.loop.call_soon_threadsafe(served.application.close)
        with refused(grpc.StatusCode.UNAVAILABLE):
            next(watching)
