import pytest
from tests.api.serving import Server, headers, version

from inferd.api.settings import ApiSettings

PAGE = "https://app.example"


def server(*origins):
    return Server(version(), settings=ApiSettings(cors_origins=origins))


def test_it_is_off_by_default():
    response = Server(version()).post("/predict", {"data": [1, 2, 3]}, origin=PAGE)

    assert not any(name.startswith("access-control") for name in headers(response))
    assert "vary" not in headers(response)


@pytest.mark.parametrize(
    ("origins", "origin", "allowed", "vary"),
    [
        ((PAGE,), PAGE, PAGE, "Origin"),
        ((PAGE + "/",), PAGE, PAGE, "Origin"),
        ((PAGE,), "https://evil.example", None, "Origin"),
        (("*",), "https://any.example", "*", None),
    ],
    ids=["named", "with a slash", "another", "any"],
)
@pytest.mark.parametrize("body", [{"data": [1, 2, 3]}, b"bad"], ids=["answer", "error"])
def test_named_origins_may_read_answers_and_errors(origins, origin, allowed, vary, body):
    found = headers(server(*origins).post("/predict", body, origin=origin))

    assert found.get("access-control-allow-origin") == allowed
    assert found.get("vary") == vary
    assert ("X-Request-Id" in found.get("access-control-expose-headers", "")) is bool(allowed)


async def preflight(served, origin):
    return await served.ask(
        "OPTIONS", "/predict", origin=origin, access_control_request_method="POST"
    )


def test_a_preflight_is_answered():
    import asyncio

    response = asyncio.run(preflight(server(PAGE), PAGE))
    refused = asyncio.run(preflight(server(PAGE), "https://evil.example"))

    assert response.status == 204
    assert headers(response)["access-control-allow-methods"] == "POST, OPTIONS"
    assert "Content-Type" in headers(response)["access-control-allow-headers"]
    assert "access-control-allow-methods" not in headers(refused)
