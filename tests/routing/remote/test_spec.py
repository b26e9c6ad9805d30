"""The deployment file: what it says is read, what it does not say well is refused by file and line."""

import pytest

from inferd.core.errors import ConfigError
from inferd.routing.remote.spec import (
    EMBED,
    GENERATE,
    GRPC,
    HTTP,
    OPENAI,
    Endpoint,
    ServiceSpec,
    parse_url,
    read_deployment,
)


@pytest.fixture
def read(tmp_path):
    def reading(text):
        path = tmp_path / "deployment.yaml"
        path.write_text(text)
        return read_deployment(path)

    return reading


def test_one_address_is_enough(read):
    found = read("services:\n  asr: {url: 'http://h1:8000'}\n")

    assert list(found) == ["asr"]
    spec = found["asr"]
    assert spec.endpoints == (Endpoint("h1", 8000),)
    assert (spec.protocol, spec.model, spec.version, spec.timeout) == (HTTP, "asr", None, None)
    assert spec.where.endswith("deployment.yaml:2")


def test_everything_that_can_be_said(read, tmp_path):
    (tmp_path / "ca.pem").write_text("x")
    spec = read(
        """
        services:
          asr:
            url: [https://h1/base/, "https://[::1]:8443"]
            protocol: http
            model: speech
            version: 2
            timeout: 1500ms
            retries: 0
            connections: 5
            refresh: 1s
            tls: {ca: ca.pem}
            headers: {Authorization: Bearer abc}
        """
    )["asr"]

    assert spec.endpoints == (Endpoint("h1", 443, True, "/base"), Endpoint("::1", 8443, True))
    assert spec.endpoints[1].authority == "[::1]:8443"
    assert (spec.model, spec.version, spec.timeout, spec.retries) == ("speech", "2", 1.5, 0)
    assert (spec.connections, spec.refresh, spec.tls.ca) == (5, 1.0, tmp_path / "ca.pem")
    assert spec.headers == (("Authorization", "Bearer abc"),)
    assert "abc" not in repr(spec)


def test_an_engine(read, monkeypatch):
    monkeypatch.setenv("ENGINE_KEY", "hush")
    spec = read(
        """
        services:
          chat:
            protocol: openai
            url: [http://h1:8000/v1, https://h2/v1/]
            key: ${ENGINE_KEY}
            headers: {X-Team: a}
          vectors: {protocol: openai, url: 'http://h1:8000/v1', model: mini, task: embed}
        """
    )
    chat, vectors = spec["chat"], spec["vectors"]

    assert chat.endpoints == (Endpoint("h1", 8000, False, "/v1"), Endpoint("h2", 443, True, "/v1"))
    assert (chat.protocol, chat.model, chat.task) == (OPENAI, "", GENERATE)
    assert (vectors.model, vectors.task, vectors.key) == ("mini", EMBED, None)
    assert chat.sent == (("X-Team", "a"), ("Authorization", "Bearer hush"))
    assert vectors.sent == ()
    assert "hush" not in repr(chat)


@pytest.mark.parametrize(
    ("url", "endpoint", "protocol"),
    [
        ("grpc://h:8001", Endpoint("h", 8001), GRPC),
        ("grpcs://h:8001", Endpoint("h", 8001, True), GRPC),
        ("http://h", Endpoint("h", 80), HTTP),
        ("http://10.0.0.1:1/", Endpoint("10.0.0.1", 1), HTTP),
    ],
    ids=str,
)
def test_urls(url, endpoint, protocol):
    assert parse_url(url) == (endpoint, protocol)


@pytest.mark.parametrize(
    "url",
    ["h:8000", "ftp://h:1", "http://", "http://h:99999", "http://h/?a=1", "http://u:p@h:1", "grpc://h",
     "grpc://h:1/path", "http://h h:1", "http://h:1/a b", "http://h\r\nx:1", "http://h\t:1", 7, None],
    ids=repr,
)  # fmt: skip
def test_what_is_no_address(url):
    with pytest.raises(ValueError):
        parse_url(url)


def test_a_password_in_an_address_is_refused_and_not_shown():
    with pytest.raises(ValueError, match="Authorization") as error:
        parse_url("http://me:secret@h:1")
    assert "secret" not in str(error.value)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("{}", "asr.url: is missing"),
        ("{url: []}", "url: is missing"),
        ("{url: 'http://h:1', retires: 3}", "retires: unknown key"),
        ("{url: ['http://h:1', 'grpc://h:2']}", "mixed"),
        ("{url: ['http://h:1', 'http://h:1/']}", "given twice"),
        ("{url: 'http://h:1', protocol: grpc}", "is grpc, and the addresses are of http"),
        ("{url: 'http://h:1', protocol: smtp}", "not known"),
        ("{url: 'http://h:1', retries: 11}", "retries: must be a whole number from 0 to 10"),
        ("{url: 'http://h:1', connections: 0}", "connections"),
        ("{url: 'http://h:1', timeout: soon}", "timeout"),
        ("{url: 'http://h:1', timeout: 0}", "shorter than a millisecond"),
        ("{url: 'http://h:1', version: true}", "version"),
        ("{url: 'http://h:1', model: ''}", "model"),
        ("{url: 'http://h:1', tls: {ca: x.pem}}", "no address is secure"),
        ("{url: 'https://h:1', tls: {ca: x.pem}}", "there is no file"),
        ("{url: 'https://h:1', tls: {key: x.pem}}", "needs cert"),
        ("{url: 'http://h:1', headers: {Host: x}}", "no header that can be set"),
        ("{url: 'http://h:1', headers: {A: \"b\\nc\"}}", "text of one line"),
        ("http://h:1", "must be a mapping"),
        ("{url: 'http://h:1', task: embed}", "task: is said by the other side"),
        ("{url: 'http://h:1', key: a b}", "key: must be 1 to"),
        ("{url: 'http://h:1', key: a, headers: {authorization: b}}", "which the key is sent as"),
        ("{url: 'http://h:1', protocol: openai, task: paint}", "task: must be generate or embed"),
        ("{url: 'http://h:1', protocol: openai, version: 2}", "version: engines have no versions"),
        ("{url: 'grpc://h:1', protocol: openai}", "is openai, and the addresses are of grpc"),
    ],
    ids=str,
)
def test_a_mistake_is_named_with_its_line(read, row, message):
    with pytest.raises(ConfigError, match=message) as caught:
        read(f"services:\n  asr: {row}\n")
    assert "deployment.yaml:2" in caught.value.message


@pytest.mark.parametrize("text", ["", "services:", "services: {}", "service: {}", "services: 3"])
def test_a_file_without_services(read, text):
    with pytest.raises(ConfigError, match="deployment.yaml"):
        read(text)


def test_a_name_that_is_no_model_s(read):
    with pytest.raises(ConfigError, match="legal model name"):
        read("services: {'a/b': {url: 'http://h:1'}}")


def test_a_spec_has_defaults():
    assert ServiceSpec("a", (Endpoint("h", 1),)).retries == 2
