from tests.api.serving import Server, value, version

from inferd.api.data import data_plane
from inferd.api.settings import ApiSettings
from inferd.routing.table import RouteTable


def test_it_is_made_of_a_table_and_settings_alone():
    table = RouteTable()
    table.put(version())
    server = Server()
    server.plane = data_plane(table, ApiSettings())

    assert value(server.post("/predict", {"data": [1, 2, 3]})) == {"result": 2.0}
    assert server.get("/readyz").status == 200


def test_a_deep_body_is_refused_quickly():
    response = Server(version()).post("/predict", b'{"data":' + b"[" * 100_000)

    assert response.status == 400
    assert "nests" in value(response)["error"]["message"]


def test_an_unknown_type_is_told_what_the_model_takes():
    response = Server(version()).post("/predict", b"x", content_type="application/xml")

    assert response.status == 415
    assert value(response)["error"]["help"].startswith("it takes application/json")
    assert "image/png" not in value(response)["error"]["help"]
