import ssl

import pytest

from inferd.client.options import (
    Options,
    base_of,
    is_here,
    lasting_headers,
    proxy_of,
    seconds_of,
    tls_context,
)
from inferd.core.errors import InvalidInput


@pytest.mark.parametrize(
    ("url", "base"),
    [("http://h:1/", "http://h:1"), ("http://h/base/?a=1#b", "http://h/base"), ("https://[::1]:8", "https://[::1]:8")],
    ids=str,
)  # fmt: skip
def test_an_address_is_kept_without_what_is_no_address(url, base):
    assert base_of(url) == base


@pytest.mark.parametrize(
    "url", ["", "h:8000", "http://", "ftp://h", "http://h:port", "http://[::1"]
)
def test_what_is_no_address_is_refused(url):
    with pytest.raises(InvalidInput):
        Options(url)


@pytest.mark.parametrize(
    ("given", "seconds"), [(1, 1.0), ("250ms", 0.25), (None, float("inf")), (float("inf"), float("inf"))], ids=str
)  # fmt: skip
def test_timeouts(given, seconds):
    assert seconds_of(given) == Options("http://h", timeout=given).seconds == seconds


@pytest.mark.parametrize(
    "wrong",
    [{"timeout": 0}, {"timeout": -1}, {"timeout": "soon"}, {"compression": "br"}, {"retries": -1},
     {"connections": 0}],
    ids=str,
)  # fmt: skip
def test_wrong_settings_are_refused(wrong):
    with pytest.raises(InvalidInput):
        Options("http://h", **wrong)


def test_an_unknown_setting_is_an_error():
    with pytest.raises(TypeError, match="timeot"):
        Options("http://h", timeot=1)


def test_headers_of_every_request():
    options = Options("http://h", headers={"X-A": "1"}, api_key="secret", timings=True)
    headers = lasting_headers(options)

    assert headers["Authorization"] == "Bearer secret"
    assert headers["X-A"] == headers["X-Server-Timing"] == "1"
    assert headers["Accept-Encoding"] == "identity"
    assert headers["User-Agent"].startswith("inferd-client/")
    assert lasting_headers(Options("http://h", compression="gzip"))["Accept-Encoding"] == "gzip"
    assert "secret" not in repr(options)


@pytest.mark.parametrize(
    ("url", "here"),
    [("http://127.0.0.1:1", True), ("http://localhost", True), ("http://[::1]", True),
     ("http://10.0.0.1", False), ("http://example.org", False)],
    ids=str,
)  # fmt: skip
def test_what_is_on_this_machine(url, here):
    assert is_here(url) is here


def test_proxies_come_from_the_environment(monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://proxy:3128")
    monkeypatch.setenv("NO_PROXY", "inside.example")

    assert proxy_of("http://example.org") == "http://proxy:3128"
    assert proxy_of("http://inside.example:8000") is None
    assert proxy_of("http://127.0.0.1:8000") is None
    assert proxy_of("https://example.org") is None


def test_what_a_server_is_verified_with(tmp_path):
    own = ssl.create_default_context()

    assert tls_context(Options("https://h", verify=own)) is own
    assert tls_context(Options("https://h")).verify_mode == ssl.CERT_REQUIRED
    assert tls_context(Options("https://h", verify=False)).verify_mode == ssl.CERT_NONE
    (tmp_path / "bad.pem").write_text("no certificate")
    with pytest.raises(InvalidInput, match=r"bad\.pem"):
        tls_context(Options("https://h", ca=tmp_path / "bad.pem"))
    with pytest.raises(InvalidInput, match=r"missing\.pem"):
        tls_context(Options("https://h", cert=str(tmp_path / "missing.pem")))


def test_a_clients_certificate_is_loaded(tmp_path):
    trustme = pytest.importorskip("trustme")
    issued = trustme.CA().issue_cert("me@example.org")
    issued.private_key_and_cert_chain_pem.write_to_path(tmp_path / "both.pem")
    issued.private_key_pem.write_to_path(tmp_path / "key.pem")
    issued.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    pair = (str(tmp_path / "cert.pem"), str(tmp_path / "key.pem"))

    tls_context(Options("https://h", cert=str(tmp_path / "both.pem")))
    tls_context(Options("https://h", cert=pair))
