import asyncio

import pytest
from tests.api.serving import Server, value, version

from inferd.api.control import control_plane
from inferd.api.settings import ApiSettings


def control(*versions, **more):
    return Server(*(versions or (version(),)), plane=control_plane, **more)


def test_metrics_are_scraped_in_the_format_asked_for():
    asked = []

    async def scrape(accept):
        asked.append(accept)
        return "application/openmetrics-text", b"# EOF\n"

    response = control(scrape=scrape).get("/metrics", accept="application/openmetrics-text")

    assert (response.content_type, response.body) == (b"application/openmetrics-text", b"# EOF\n")
    assert asked == ["application/openmetrics-text"]


def test_without_metrics_there_are_none():
    assert control().get("/metrics").body == b""


def test_models_are_listed():
    assert value(control().get("/models"))["models"][0]["name"] == "m"


def test_a_model_and_its_versions_are_described():
    server = control()

    assert value(server.get("/models/m"))["versions"][0]["runtime"] == "numpy"
    assert value(server.get("/models/m/versions/1"))["accepts"][0] == "application/json"
    assert server.get("/models/n").status == 404
    assert server.get("/models/m/versions/2").status == 404
    assert server.observed[1][5] == "m"


@pytest.mark.parametrize("path", ["/", "/docs"])
def test_the_page(path):
    response = control().get(path)

    assert response.status == 200
    assert response.content_type == b"text/html; charset=utf-8"


def test_the_document_is_json():
    response = control().get("/openapi.json")

    assert value(response)["openapi"] == "3.1.0"


@pytest.mark.parametrize("path", ["/", "/models", "/metrics", "/healthz", "/nowhere"])
def test_other_hosts_are_not_answered(path):
    assert control().get(path, host="evil.example").status == 403


def test_hosts_can_be_named():
    server = control(settings=ApiSettings(hosts=("models.internal",)))

    assert server.get("/models", host="models.internal:8002").status == 200


def test_changes_from_another_site_are_refused_before_anything_else():
    server = control()

    response = asyncio.run(server.ask("POST", "/models/m", sec_fetch_site="cross-site"))

    assert response.status == 403
