import pytest

from inferd.api.grpc.application import GRPCApplication
from inferd.api.grpc.methods import METHODS
from inferd.api.settings import ApiSettings
from inferd.routing.table import RouteTable


class Details:
    def __init__(self, method):
        self.method = method


@pytest.mark.parametrize("rpc", METHODS, ids=lambda rpc: rpc.path)
def test_every_method_has_a_handler_of_its_kind(rpc):
    application = GRPCApplication(RouteTable(), ApiSettings())
    handler = application.handlers.service(Details(rpc.path))

    assert handler.request_streaming == handler.response_streaming == rpc.streams


def test_other_methods_have_none():
    assert GRPCApplication(RouteTable(), ApiSettings()).handlers.service(Details("/a/b")) is None


def test_nothing_is_accepted_at_first():
    assert GRPCApplication(RouteTable(), ApiSettings()).accepted == 0
