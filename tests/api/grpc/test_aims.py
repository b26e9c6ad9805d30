import pytest
from tests.api.grpc.served import version

from inferd.api.call import Call
from inferd.api.grpc.aims import Aims
from inferd.core.errors import InvalidInput, NotFound, Unavailable
from inferd.routing.table import FAILED, RouteTable


@pytest.fixture
def table():
    table = RouteTable()
    table.put(version("m", "1"))
    table.put(version("m", "2"))
    return table


@pytest.fixture
def aims(table):
    return Aims(table, lambda version: [version.version])


def test_a_codec_is_made_once_for_each_name(aims):
    call = Call("a", [])
    found, codec = aims.find(call, "m", "")

    assert (found.version, codec) == ("2", ["2"])
    assert (call.model, call.version) == ("m", "2")
    assert aims.find(call, "m", "")[1] is codec
    assert aims.find(call, "m", "1")[1] == ["1"]


def test_no_name_means_the_only_model(aims, table):
    assert aims.find(Call("a", []), "", "")[0].model == "m"
    table.put(version("n"))
    with pytest.raises(InvalidInput):
        aims.find(Call("a", []), "", "")


def test_a_change_of_the_table_is_heeded(aims, table):
    call = Call("a", [])
    aims.find(call, "m", "")
    table.remove("m", "2")

    assert aims.find(call, "m", "")[0].version == "1"
    with pytest.raises(NotFound):
        aims.find(call, "m", "2")


def test_a_version_that_failed_does_not_answer(aims, table):
    call = Call("a", [])
    found, _ = aims.find(call, "m", "2")
    found.state = FAILED

    with pytest.raises(Unavailable):
        aims.find(call, "m", "2")
    assert aims.known(call, "m", "2") is found
